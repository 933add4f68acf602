//! The `anywire` program.

use std::process::ExitCode;

/// Connections come and go all the time, small and alike: an allocator that packs them keeps an idle one
/// under 4 KiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    anywire::cli::main()
}
