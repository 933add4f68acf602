//! When to ping a client, and when it is gone.
//!
//! ```text
//!            interval                 timeout
//!  pong ───────────────▶ ping sent ─────────────▶ dead
//!    ▲                      │ pong
//!    └──────────────────────┘
//! ```
//!
//! Knows: coarse times in milliseconds, given by the caller. Does not know: clocks, bytes.
//!
//! Invariants:
//! - A client that answers each ping within the time-out lives for ever; only a pong answers a ping.
//! - However late the caller looks, a client has at least the time-out (less one look) to answer a ping that was really sent.

/// The times all sessions share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatTimes {
    /// From a pong to the next ping, in milliseconds.
    pub interval_ms: u32,
    /// From a ping to the end, if no pong comes, in milliseconds.
    pub timeout_ms: u32,
    /// How often the caller looks, in milliseconds.
    pub look_ms: u32,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Nothing.
    Nothing,
    /// Send a ping.
    Ping,
    /// The client is gone.
    Dead,
}

/// The heartbeat of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// When something is due.
    due_ms: u64,
    /// A ping was sent: what is due is the end.
    pinged: bool,
}

impl Heartbeat {
    /// A session that has just begun.
    #[must_use]
    pub fn new(now_ms: u64, times: HeartbeatTimes) -> Self {
        Self { due_ms: now_ms + u64::from(times.interval_ms), pinged: false }
    }

    /// A pong came.
    pub fn pong(&mut self, now_ms: u64, times: HeartbeatTimes) {
        if self.pinged {
            *self = Self::new(now_ms, times);
        }
    }

    /// Gives a client that has been pinged another time-out: it could not have seen the ping yet.
    pub fn grant(&mut self, now_ms: u64, times: HeartbeatTimes) {
        *self = Self { due_ms: now_ms + u64::from(times.timeout_ms), pinged: true };
    }

    /// What is due. [`Beat::Ping`] is said once a ping; the time-out runs from when it was due, not from the look that found it.
    pub fn tick(&mut self, now_ms: u64, times: HeartbeatTimes) -> Beat {
        if now_ms < self.due_ms {
            return Beat::Nothing;
        }
        if self.pinged {
            return Beat::Dead;
        }
        let sent_ms = self.due_ms.max(now_ms.saturating_sub(u64::from(times.look_ms)));
        *self = Self { due_ms: sent_ms + u64::from(times.timeout_ms), pinged: true };
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: HeartbeatTimes = HeartbeatTimes { interval_ms: 300, timeout_ms: 200, look_ms: 50 };

    #[test]
    fn a_client_that_answers_lives() {
        let mut heartbeat = Heartbeat::new(0, TIMES);
        let mut now_ms = 0;
        for _ in 0..10 {
            assert_eq!(heartbeat.tick(now_ms + 299, TIMES), Beat::Nothing);
            assert_eq!(heartbeat.tick(now_ms + 300, TIMES), Beat::Ping);
            assert_eq!(heartbeat.tick(now_ms + 400, TIMES), Beat::Nothing);
            now_ms += 450;
            heartbeat.pong(now_ms, TIMES);
        }
    }

    #[test]
    fn a_silent_client_is_dead_after_interval_and_timeout() {
        let mut heartbeat = Heartbeat::new(0, TIMES);
        assert_eq!(heartbeat.tick(320, TIMES), Beat::Ping);
        assert_eq!(heartbeat.tick(499, TIMES), Beat::Nothing);
        assert_eq!(heartbeat.tick(500, TIMES), Beat::Dead);
    }

    #[test]
    fn a_late_look_leaves_time_to_answer() {
        let mut heartbeat = Heartbeat::new(0, TIMES);
        assert_eq!(heartbeat.tick(10_000, TIMES), Beat::Ping);
        assert_eq!(heartbeat.tick(10_149, TIMES), Beat::Nothing);
        assert_eq!(heartbeat.tick(10_150, TIMES), Beat::Dead);
    }

    #[test]
    fn a_pong_nobody_asked_for_changes_nothing() {
        let mut heartbeat = Heartbeat::new(0, TIMES);
        heartbeat.pong(200, TIMES);
        assert_eq!(heartbeat.tick(300, TIMES), Beat::Ping);
    }
}
