//! The monitor over its routes, on a log in memory and a clock that is moved by hand.
//!
//! Knows: docs/http-api.md. Does not know: how history is kept.

mod alerts;
mod history;
mod newest;
mod support;
