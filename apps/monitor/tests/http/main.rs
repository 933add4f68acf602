//! The monitor over its routes, on a log in memory and a clock that is moved by hand.

mod alerts;
mod broken;
mod clocks;
mod history;
mod newest;
mod restart;
mod support;
