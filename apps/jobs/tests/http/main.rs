//! The application as its callers see it: over its HTTP routes, on a real log.

mod broken;
mod commands;
mod creation;
mod damage;
mod numbers;
mod progress;
mod report;
mod restart;
mod servers;
mod steps;
mod streams;
mod support;
mod uploads;
mod videos;
