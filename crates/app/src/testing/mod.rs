//! What tests of applications need: a log in memory with a clock that a test moves, an engine that answers as
//! late as the test wants, futures dropped at every await, and decisions without a log.

mod broken;
mod drops;
mod given;
mod late;
mod world;

pub use broken::{send_and_reset, serve};
pub use drops::{dropped_after, poll_once};
pub use given::{Given, When, given};
pub use late::LateEngine;
pub use world::{T0, World};
