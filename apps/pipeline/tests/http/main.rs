//! The application as its callers see it: over its HTTP routes, on a real log.

mod broken;
mod processing;
mod records;
mod restart;
mod support;
