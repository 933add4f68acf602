//! When a connection needs a heartbeat, a ping, or an end. Times are coarse milliseconds, given by the
//! caller.
//!
//! Invariants:
//! - A client hears something at least once an interval.
//! - A WebSocket peer that was silent for two intervals is dead, unless it could not hear us meanwhile; SSE
//!   and polls say nothing by nature and only fail to be written to.

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// Send the cursor.
    Heartbeat,
    /// Send the cursor and ask the peer for a sign of life.
    HeartbeatAndPing,
    /// The peer is gone.
    Dead,
}

/// The times of one connection. Small on purpose: every idle connection has one.
#[derive(Debug, Clone, Copy)]
pub struct Liveness {
    sent_ms: u64,
    received_ms: u64,
    pinged: bool,
}

impl Liveness {
    /// A connection that has just been opened.
    #[must_use]
    pub const fn new(now_ms: u64) -> Self {
        Self { sent_ms: now_ms, received_ms: now_ms, pinged: false }
    }

    /// Something was written.
    pub const fn sent(&mut self, now_ms: u64) {
        self.sent_ms = now_ms;
    }

    /// Something was read.
    pub const fn received(&mut self, now_ms: u64) {
        self.received_ms = now_ms;
        self.pinged = false;
    }

    /// The peer cannot hear us at the moment, since what was written before is still on its way: its silence
    /// says nothing and counts from now on.
    pub const fn excused(&mut self, now_ms: u64) {
        self.received(now_ms);
    }

    /// What is due. `answers` says whether the peer can answer pings.
    pub const fn tick(&mut self, now_ms: u64, interval_ms: u64, answers: bool) -> Due {
        let silent_ms = now_ms.saturating_sub(self.received_ms);
        if answers && self.pinged && silent_ms >= 2 * interval_ms {
            return Due::Dead;
        }
        if answers && !self.pinged && silent_ms >= interval_ms {
            self.pinged = true;
            self.sent_ms = now_ms;
            return Due::HeartbeatAndPing;
        }
        if now_ms.saturating_sub(self.sent_ms) >= interval_ms {
            self.sent_ms = now_ms;
            return Due::Heartbeat;
        }
        Due::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_pinged_after_one_interval_and_dead_after_two() {
        let mut liveness = Liveness::new(0);
        assert_eq!(liveness.tick(999, 1000, true), Due::Nothing);
        assert_eq!(liveness.tick(1000, 1000, true), Due::HeartbeatAndPing);
        assert_eq!(liveness.tick(1500, 1000, true), Due::Nothing);
        assert_eq!(liveness.tick(2000, 1000, true), Due::Dead);
    }

    #[test]
    fn a_peer_that_answers_lives_and_hears_a_heartbeat_each_interval() {
        let mut liveness = Liveness::new(0);
        assert_eq!(liveness.tick(1000, 1000, true), Due::HeartbeatAndPing);
        liveness.received(1001);
        assert_eq!(liveness.tick(2000, 1000, true), Due::Heartbeat);
        assert_eq!(liveness.tick(2001, 1000, true), Due::HeartbeatAndPing);
    }

    #[test]
    fn a_peer_that_could_not_hear_the_ping_is_asked_again() {
        let mut liveness = Liveness::new(0);
        assert_eq!(liveness.tick(1000, 1000, true), Due::HeartbeatAndPing);
        liveness.excused(60_000);
        assert_eq!(liveness.tick(60_500, 1000, true), Due::Heartbeat);
        assert_eq!(liveness.tick(61_000, 1000, true), Due::HeartbeatAndPing);
        assert_eq!(liveness.tick(62_000, 1000, true), Due::Dead);
    }

    #[test]
    fn who_cannot_answer_is_never_called_dead() {
        let mut liveness = Liveness::new(0);
        for second in 1..100 {
            assert_eq!(liveness.tick(second * 1000, 1000, false), Due::Heartbeat);
        }
    }

    #[test]
    fn events_spare_the_heartbeat() {
        let mut liveness = Liveness::new(0);
        liveness.sent(900);
        liveness.received(900);
        assert_eq!(liveness.tick(1000, 1000, true), Due::Nothing);
    }
}
