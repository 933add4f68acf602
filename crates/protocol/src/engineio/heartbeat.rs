//! When to ping a client, and when it is gone. Times are coarse milliseconds, given by the caller.
//!
//! ```text
//!            interval                 timeout
//!  heard ──────────────▶ ping sent ─────────────▶ dead
//!    ▲                      │ a packet
//!    └──────────────────────┘
//! ```
//!
//! A client that polls gets its ping only when it polls. Until then the time-out runs from when the ping was
//! due: who has not come for interval and timeout is gone, however late anybody looks. From its poll on it
//! has the whole time-out to answer, and [`TRAVEL_MS`] for the way there and back.
//!
//! Invariants:
//! - A client that answers each ping within the time-out lives for ever. Any packet answers: a pong may be
//!   queued behind a long message.
//! - A client that got its ping has at least the time-out to answer, and is not given up before a look that
//!   came in time: what it sent may lie unread while the whole process was held up.

/// What the way of a ping and of its answer may take, beside the time-out that the client is told.
const TRAVEL_MS: u64 = 500;

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

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The next ping is due.
    Nothing,
    /// The client has not come for its ping yet.
    Poll,
    /// The client has its ping.
    Answer,
}

/// The heartbeat of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// When the ping is due, or else the end.
    due_ms: u64,
    awaited: Awaited,
}

impl Heartbeat {
    /// A session that has just begun.
    #[must_use]
    pub fn new(now_ms: u64, times: HeartbeatTimes) -> Self {
        Self { due_ms: now_ms + u64::from(times.interval_ms), awaited: Awaited::Nothing }
    }

    /// A packet came.
    pub fn received(&mut self, now_ms: u64, times: HeartbeatTimes) {
        if self.awaited != Awaited::Nothing {
            *self = Self::new(now_ms, times);
        }
    }

    /// The client has come for what waits for it, and so for its ping.
    pub fn taken(&mut self, now_ms: u64, times: HeartbeatTimes) {
        if self.awaited == Awaited::Poll {
            self.grant(now_ms, times);
        }
    }

    /// Gives a client that has been pinged another time-out: it could not have seen the ping yet.
    pub fn grant(&mut self, now_ms: u64, times: HeartbeatTimes) {
        let due_ms = now_ms + u64::from(times.timeout_ms) + TRAVEL_MS;
        *self = Self { due_ms, awaited: Awaited::Answer };
    }

    /// What is due. [`Beat::Ping`] is said once a ping; `reaches` tells whether it would be sent now, or wait
    /// for a poll.
    pub fn tick(&mut self, now_ms: u64, times: HeartbeatTimes, reaches: bool) -> Beat {
        if now_ms < self.due_ms {
            return Beat::Nothing;
        }
        match self.awaited {
            Awaited::Nothing if reaches => {
                self.grant(now_ms, times);
                Beat::Ping
            }
            Awaited::Nothing => {
                *self = Self { due_ms: self.due_ms + u64::from(times.timeout_ms), awaited: Awaited::Poll };
                if now_ms < self.due_ms { Beat::Ping } else { Beat::Dead }
            }
            Awaited::Poll => Beat::Dead,
            Awaited::Answer if now_ms - self.due_ms > 2 * u64::from(times.look_ms) => {
                self.due_ms = now_ms + u64::from(times.look_ms);
                Beat::Nothing
            }
            Awaited::Answer => Beat::Dead,
        }
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
            assert_eq!(heartbeat.tick(now_ms + 299, TIMES, true), Beat::Nothing);
            assert_eq!(heartbeat.tick(now_ms + 300, TIMES, true), Beat::Ping);
            assert_eq!(heartbeat.tick(now_ms + 400, TIMES, true), Beat::Nothing);
            now_ms += 450 + TRAVEL_MS;
            heartbeat.received(now_ms, TIMES);
        }
    }

    #[test]
    fn a_silent_client_is_dead_after_interval_and_timeout() {
        let mut heartbeat = Heartbeat::new(0, TIMES);
        assert_eq!(heartbeat.tick(300, TIMES, true), Beat::Ping);
        assert_eq!(heartbeat.tick(499 + TRAVEL_MS, TIMES, true), Beat::Nothing);
        assert_eq!(heartbeat.tick(500 + TRAVEL_MS, TIMES, true), Beat::Dead);
    }

    #[test]
    fn a_late_look_leaves_time_to_answer() {
        let mut heartbeat = Heartbeat::new(0, TIMES);
        assert_eq!(heartbeat.tick(10_000, TIMES, true), Beat::Ping);
        assert_eq!(heartbeat.tick(10_199 + TRAVEL_MS, TIMES, true), Beat::Nothing);
        assert_eq!(heartbeat.tick(10_200 + TRAVEL_MS, TIMES, true), Beat::Dead);
    }

    #[test]
    fn nobody_is_given_up_by_a_look_that_comes_late_itself() {
        let mut heartbeat = Heartbeat::new(0, TIMES);
        assert_eq!(heartbeat.tick(300, TIMES, true), Beat::Ping);
        assert_eq!(heartbeat.tick(5_000, TIMES, true), Beat::Nothing, "its answer may lie unread");
        let mut answered = heartbeat;
        answered.received(5_001, TIMES);
        assert_eq!(answered.tick(5_050, TIMES, true), Beat::Nothing);
        assert_eq!(heartbeat.tick(5_050, TIMES, true), Beat::Dead);
    }

    #[test]
    fn who_does_not_come_for_its_ping_is_dead_in_time_whenever_somebody_looks() {
        let begun = Heartbeat::new(0, TIMES);
        let mut heartbeat = begun;
        assert_eq!(heartbeat.tick(340, TIMES, false), Beat::Ping);
        assert_eq!(heartbeat.tick(499, TIMES, false), Beat::Nothing);
        assert_eq!(heartbeat.tick(500, TIMES, false), Beat::Dead);
        assert_eq!({ begun }.tick(500, TIMES, false), Beat::Dead, "nobody looked before");
        assert_eq!({ begun }.tick(9_000, TIMES, false), Beat::Dead);
    }

    #[test]
    fn who_comes_for_its_ping_has_the_whole_time_to_answer() {
        let mut heartbeat = Heartbeat::new(0, TIMES);
        assert_eq!(heartbeat.tick(300, TIMES, false), Beat::Ping);
        heartbeat.taken(490, TIMES);
        assert_eq!(heartbeat.tick(689 + TRAVEL_MS, TIMES, false), Beat::Nothing);
        heartbeat.taken(689 + TRAVEL_MS, TIMES);
        assert_eq!(heartbeat.tick(690 + TRAVEL_MS, TIMES, false), Beat::Dead, "polling again is no answer");
    }

    #[test]
    fn a_packet_nobody_asked_for_changes_nothing() {
        let mut heartbeat = Heartbeat::new(0, TIMES);
        heartbeat.received(200, TIMES);
        assert_eq!(heartbeat.tick(300, TIMES, true), Beat::Ping);
    }
}
