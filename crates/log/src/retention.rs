//! Retention: how long a channel keeps what, by channel pattern.

use crate::{Channel, ChannelPattern, Timestamp};

/// Whether a channel's events are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Written and synced before anybody sees them.
    Durable,
    /// Kept in memory only; a restart loses them (and says so to readers that needed them).
    Ephemeral,
}

/// What a reader that is behind gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Every event.
    All,
    /// The newest one.
    Latest,
}

/// How long a channel keeps its events. Every limit is finite; an event goes as soon as one limit is
/// exceeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Written down or not. Default durable.
    pub durability: Durability,
    /// All events, or the newest only. Default all.
    pub keep: Keep,
    /// How many events. Default 1 000 000; at least 1.
    pub events_max: u64,
    /// How old, in milliseconds. Default seven days.
    pub age_max_ms: u64,
    /// How many bytes ([`crate::Event::weight_bytes`]). Default 1 GiB.
    pub bytes_max: u64,
    /// Whether the channel keeps a list of who is on it. Default no.
    pub presence: bool,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            durability: Durability::Durable,
            keep: Keep::All,
            events_max: 1_000_000,
            age_max_ms: 7 * 24 * 3600 * 1000,
            bytes_max: 1 << 30,
            presence: false,
        }
    }
}

impl Retention {
    /// Memory only, with limits that fit memory: 1000 events, 5 minutes, 4 MiB a channel.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self {
            durability: Durability::Ephemeral,
            events_max: 1000,
            age_max_ms: 5 * 60 * 1000,
            bytes_max: 4 << 20,
            ..Self::default()
        }
    }

    /// Whether the oldest event of a channel has to go.
    ///
    /// `events` and `bytes` are what the channel holds, `oldest` the time of its oldest event.
    #[must_use]
    pub fn exceeded(&self, events: u64, bytes: u64, oldest: Timestamp, now: Timestamp) -> bool {
        // The newest event of a channel stays however large it is: a channel that keeps nothing would be a
        // surprise.
        let too_many = events > self.events_limit() || (bytes > self.bytes_max && events > 1);
        events > 0 && (too_many || now.millis_since(oldest) > self.age_max_ms)
    }

    /// How many events are kept: one where only the newest counts.
    #[must_use]
    pub fn events_limit(&self) -> u64 {
        match self.keep {
            Keep::All => self.events_max.max(1),
            Keep::Latest => 1,
        }
    }
}

/// A retention and the channels it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// Which channels.
    pub pattern: ChannelPattern,
    /// What holds for them.
    pub retention: Retention,
}

/// The rules in order: the first whose pattern matches decides, else the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetentionRules {
    rules: Vec<RetentionRule>,
    default: Retention,
    reserved: ReservedRetention,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ReservedRetention(Retention);

impl Default for ReservedRetention {
    fn default() -> Self {
        Self(Retention::ephemeral())
    }
}

impl RetentionRules {
    /// Rules in order, and what holds for channels that none matches. Channels of the server (`$…`) are
    /// ephemeral unless a rule with `$` says otherwise.
    #[must_use]
    pub fn new(rules: Vec<RetentionRule>, default: Retention) -> Self {
        Self { rules, default, reserved: ReservedRetention::default() }
    }

    /// What holds for a channel.
    #[must_use]
    pub fn of(&self, channel: &Channel) -> &Retention {
        let matching = self.rules.iter().find(|rule| rule.pattern.matches(channel.as_str()));
        match matching {
            Some(rule) => &rule.retention,
            None if channel.is_reserved() => &self.reserved.0,
            None => &self.default,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_rule_decides() {
        let rule = |pattern: &str, events_max| RetentionRule {
            pattern: ChannelPattern::new(pattern),
            retention: Retention { events_max, ..Retention::default() },
        };
        let rules = RetentionRules::new(vec![rule("a_*", 1), rule("*", 2)], Retention::default());
        let limit = |name: &str| rules.of(&Channel::new(name).expect(name)).events_max;
        assert_eq!((limit("a_1"), limit("b")), (1, 2));
        assert_eq!(rules.of(&Channel::new("$x").expect("a name")).durability, Durability::Ephemeral);
    }

    #[test]
    fn the_newest_event_stays_however_large_it_is() {
        let retention = Retention { bytes_max: 10, ..Retention::default() };
        let now = Timestamp::from_millis(0);
        assert!(!retention.exceeded(1, 1000, now, now));
        assert!(retention.exceeded(2, 1000, now, now));
    }
}
