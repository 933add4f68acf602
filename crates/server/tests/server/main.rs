//! The assembled server, from outside: its API, its description, its command line, TLS.
//!
//! Knows: docs/http-api.md, docs/metrics.md, PROTOCOL.md. Does not know: how any of it works.

mod api;
mod commands;
mod description;
mod metrics;
mod process;
mod replies;
mod runs;
mod sockets;
mod support;
mod tls;
