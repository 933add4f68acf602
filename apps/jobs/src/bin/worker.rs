//! The processes beside the server, as a program of their own: for tests, and for programs that have Anywire
//! as a library.

use std::process::ExitCode;

fn main() -> ExitCode {
    anywire_jobs::worker(std::env::args_os().skip(1).collect())
}
