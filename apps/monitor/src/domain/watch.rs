//! Where a rule stands at a host: when a metric raises an alert, when it ends. Pure.
//!
//! ```text
//!           beyond `raise` ▶ Rising ── for `for_s` ──▶ Raised ◀── beyond `clear` again ──┐
//! Calm ◀──── back ──────────┘                            └─ back at `clear` ▶ Falling ───┤
//!   ▲                                                                                    │
//!   └───────────────────────────────────── for `for_s` ──────────────────────────────────┘
//! ```
//! Between `raise` and `clear` nothing changes: a metric that trembles around one threshold makes one alert,
//! not many.
//!
//! Invariant: a hole is no evidence: it neither raises nor ends anything, and what was rising begins anew. A
//! clock that went back leaves a hole.

use super::rule::Rule;

/// Where one rule stands at one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Watch {
    /// Nothing to say.
    #[default]
    Calm,
    /// Beyond `raise` since then, not long enough yet.
    Rising { since: i64, seen: i64 },
    /// An alert stands.
    Raised { since: i64 },
    /// Back at `clear` since then, not long enough yet.
    Falling { raised: i64, since: i64, seen: i64 },
}

/// What a look at a figure led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Raised { since: i64 },
    Cleared { since: i64 },
}

impl Watch {
    /// Where it stands after the next value, and what turns by it; `patience_ms` is the longest distance
    /// between two values without a hole. What turns does so when its alert is committed: [`Watch::turned`].
    pub(crate) fn after(self, rule: &Rule, time: i64, value: f64, patience_ms: i64) -> (Self, Option<Turn>) {
        let follows = |seen: i64| (0..=patience_ms).contains(&(time - seen));
        let fresh = |since: i64, seen: i64| if follows(seen) { since } else { time };
        let bad = rule.is_beyond(value, rule.raise);
        // Strictly on the bad side of `clear`; at `clear` itself it is over.
        let held = rule.is_beyond(value, rule.clear);
        let next = match self {
            Self::Calm if bad => Self::Rising { since: time, seen: time },
            Self::Rising { since, seen } if bad => Self::Rising { since: fresh(since, seen), seen: time },
            Self::Calm | Self::Rising { .. } => Self::Calm,
            Self::Raised { since } if held => Self::Raised { since },
            Self::Raised { since } => Self::Falling { raised: since, since: time, seen: time },
            Self::Falling { raised, .. } if held => Self::Raised { since: raised },
            Self::Falling { raised, since, seen } => {
                Self::Falling { raised, since: fresh(since, seen), seen: time }
            }
        };
        let long = |since: i64| time - since >= i64::from(rule.for_s) * 1000;
        let turn = match next {
            Self::Rising { since, .. } if long(since) => Some(Turn::Raised { since: time }),
            Self::Falling { raised, since, .. } if long(since) => Some(Turn::Cleared { since: raised }),
            _ => None,
        };
        (next, turn)
    }

    /// Where it stands after a turn.
    pub(crate) fn turned(turn: Turn) -> Self {
        match turn {
            Turn::Raised { since } => Self::Raised { since },
            Turn::Cleared { .. } => Self::Calm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::rule::{Side, tests::rule},
        *,
    };

    /// Looks at a value as a decision does.
    fn look(watch: &mut Watch, rule: &Rule, time: i64, value: f64) -> Option<Turn> {
        let (next, turn) = watch.after(rule, time, value, 2500);
        *watch = turn.map_or(next, Watch::turned);
        turn
    }

    /// One value a second; what turned, with its second.
    fn check(rule: &Rule, values: &[f64]) -> Vec<(i64, bool)> {
        let mut watch = Watch::default();
        let looks = values.iter().enumerate().map(|(second, value)| (second as i64 * 1000, *value));
        looks
            .filter_map(|(time, value)| look(&mut watch, rule, time, value).map(|turn| (time / 1000, turn)))
            .map(|(second, turn)| (second, matches!(turn, Turn::Raised { .. })))
            .collect()
    }

    #[test]
    fn a_figure_that_trembles_around_the_threshold_makes_one_alert() {
        let trembling = [95.0, 89.0, 91.0, 80.0, 92.0, 76.0, 99.0, 74.0, 80.0];
        assert_eq!(check(&rule(0), &trembling), [(0, true), (7, false)]);
    }

    #[test]
    fn a_figure_must_stay_beyond_for_as_long_as_the_rule_says() {
        assert_eq!(check(&rule(2), &[95.0, 95.0, 80.0, 95.0, 95.0]), []);
        assert_eq!(
            check(&rule(2), &[95.0, 95.0, 95.0, 70.0, 80.0, 70.0, 70.0, 70.0]),
            [(2, true), (7, false)]
        );
    }

    #[test]
    fn a_hole_begins_the_waiting_anew() {
        let mut watch = Watch::default();
        assert_eq!(look(&mut watch, &rule(2), 0, 95.0), None);
        assert_eq!(look(&mut watch, &rule(2), 60_000, 95.0), None);
        assert_eq!(look(&mut watch, &rule(2), 62_000, 95.0), Some(Turn::Raised { since: 62_000 }));
        assert_eq!(watch, Watch::Raised { since: 62_000 });
    }

    #[test]
    fn a_clock_that_went_back_blinds_no_rule() {
        let mut watch = Watch::default();
        assert_eq!(look(&mut watch, &rule(2), 3_600_000, 95.0), None);
        assert_eq!(look(&mut watch, &rule(2), 1000, 95.0), None);
        assert_eq!(look(&mut watch, &rule(2), 3000, 95.0), Some(Turn::Raised { since: 3000 }));
        assert_eq!(look(&mut watch, &rule(2), 0, 10.0), None);
        assert_eq!(look(&mut watch, &rule(2), 2000, 10.0), Some(Turn::Cleared { since: 3000 }));
    }

    #[test]
    fn below_is_the_mirror_of_above() {
        let low = Rule { side: Side::Below, raise: 5.0, clear: 10.0, ..rule(0) };
        assert_eq!(check(&low, &[20.0, 4.0, 6.0, 11.0]), [(1, true), (3, false)]);
    }
}
