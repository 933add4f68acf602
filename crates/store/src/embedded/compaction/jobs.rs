//! What the upkeep thread has to do, and when the scrub ends.

use std::{sync::Arc, time::Duration};

use anywire_log::Channel;
use parking_lot::{Condvar, Mutex};

use crate::embedded::segment::{file::Segment, segment_index::Notes};

/// A segment that was sealed and has no index yet.
pub(crate) struct Sealed {
    pub(crate) segment: Arc<Segment>,
    pub(crate) notes: Notes,
    /// The channels with events in it, some perhaps twice.
    pub(crate) channels: Vec<Channel>,
}

/// What there is to do.
#[derive(Default)]
pub(crate) struct Jobs {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    sealed: Vec<Sealed>,
    tick: bool,
    stop: bool,
}

impl Jobs {
    pub(crate) fn seal(&self, sealed: Sealed) {
        self.state.lock().sealed.push(sealed);
        self.woken.notify_one();
    }

    /// Retention was applied: there may be segments to remove.
    pub(crate) fn tick(&self) {
        self.state.lock().tick = true;
        self.woken.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.woken.notify_one();
    }

    /// Waits until there is something to do; returns the sealed segments and whether this is the end.
    pub(crate) fn wait(&self) -> (Vec<Sealed>, bool) {
        let mut state = self.state.lock();
        while !state.tick && !state.stop && state.sealed.is_empty() {
            self.woken.wait(&mut state);
        }
        state.tick = false;
        (std::mem::take(&mut state.sealed), state.stop)
    }

    /// Waits for the next tick or the end, and puts jobs back that are to be tried again then.
    pub(crate) fn retry_at_tick(&self, failed: Vec<Sealed>) {
        let mut state = self.state.lock();
        while !state.tick && !state.stop {
            self.woken.wait(&mut state);
        }
        state.sealed.extend(failed);
    }
}

/// Whether the scrub is to end.
#[derive(Default)]
pub(crate) struct Stop {
    wanted: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(crate) fn stop(&self) {
        *self.wanted.lock() = true;
        self.changed.notify_all();
    }

    /// Waits; whether the end is wanted.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let mut wanted = self.wanted.lock();
        if !*wanted && !time.is_zero() {
            self.changed.wait_for(&mut wanted, time);
        }
        *wanted
    }
}
