//! The assembled server, from outside: its API, its description, its command line, TLS.

mod access;
mod api;
mod commands;
mod crowded;
mod damage;
mod description;
mod ends;
mod floods;
mod metrics;
mod monitors;
mod people;
mod process;
mod replies;
mod runs;
mod sockets;
mod support;
mod terminal;
mod tls;
mod unread;
