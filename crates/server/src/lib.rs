//! Anywire as one server: the log, its engine, the gateway, the applications and the console, put together.
//!
//! [`Anywire::start`] assembles everything from a [`Config`]; [`Anywire::serve`] listens; [`Anywire::router`]
//! is the whole thing for somebody's own axum application.

mod api;
mod assembly;
mod classic;
pub mod cli;
pub mod config;
mod conformance;
mod console;
pub mod description;
mod limits;
mod logging;
mod memory;
mod meter;
mod openapi;
mod overview;
pub mod reference;
mod restart;
mod sections;
mod sockets;
mod storage;

pub use assembly::{Anywire, StartError};
pub use config::{Config, ConfigError, Settings};
