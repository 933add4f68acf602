//! The application as its callers see it: over its HTTP routes, on a real log.

mod progress;
mod report;
mod restart;
mod support;
mod uploads;
