//! Starting again on the same data and address, for the network lab.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use tokio::sync::Notify;

/// Where the next process learns the address that this one had (port 0 would take another).
pub(crate) const LISTEN_VARIABLE: &str = "ANYWIRE_RESTART_LISTEN";

/// Whether a restart is wanted.
#[derive(Debug, Default)]
pub(crate) struct Restart {
    wanted: AtomicBool,
    notify: Notify,
}

impl Restart {
    pub(crate) fn want(&self) {
        self.wanted.store(true, Relaxed);
        self.notify.notify_one();
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    pub(crate) async fn wanted(&self) {
        self.notify.notified().await;
    }
}

/// Replaces this process by a new one of the same program with the same arguments. Returns only if that
/// failed.
pub(crate) fn replace_process(address: SocketAddr) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    // The program that runs, even if its file was replaced meanwhile (proc(5)).
    std::process::Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .env(LISTEN_VARIABLE, address.to_string())
        .exec()
}
