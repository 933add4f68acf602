//! Rules of alerts: when a figure raises one, when it ends. Pure.
//!
//! ```text
//!           beyond `raise` ▶ Rising ── for `for_s` ──▶ Raised ◀── beyond `clear` again ──┐
//! Calm ◀──── back ──────────┘                            └─ back at `clear` ▶ Falling ───┤
//!   ▲                                                                                    │
//!   └───────────────────────────────────── for `for_s` ──────────────────────────────────┘
//! ```
//! Between `raise` and `clear` nothing changes: a figure that trembles around one threshold makes one alert, not many.
//!
//! Knows: figures and time. Does not know: hosts, the log, who is told.
//!
//! Invariant: a hole is no evidence: it neither raises nor ends anything, and what was rising begins anew.

use serde::{Deserialize, Serialize};

/// The most rules there may be.
pub(crate) const RULES_MAX: usize = 50;
const TEXT_BYTES_MAX: usize = 100;

/// Which side of the threshold is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

/// When a figure is worth an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name among the rules.
    pub id: String,
    /// The figure, such as `cpu` or `disk:/`.
    pub figure: String,
    /// Which side is bad.
    pub side: Side,
    /// Where it is raised.
    pub raise: f64,
    /// Where it ends; on the good side of `raise`.
    pub clear: f64,
    /// For how many seconds the figure must stay beyond, before either happens.
    pub for_s: u32,
    /// Whether it is looked at.
    pub enabled: bool,
}

/// Why a rule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Too many.
    #[error("there are {count} rules; at most 50 are allowed")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// Two of one name.
    #[error("two rules have the id {id:?}; give each its own")]
    Twice {
        /// The name.
        id: String,
    },
    /// A text that is empty or long.
    #[error("rule {id:?}: {field} has {bytes} bytes; use 1 to 100")]
    Text {
        /// Of which rule.
        id: String,
        /// Which text.
        field: &'static str,
        /// How long.
        bytes: usize,
    },
    /// Thresholds without room between them.
    #[error(
        "rule {id:?}: raise is {raise} and clear is {clear}; clear must be on the good side of raise, or equal"
    )]
    Thresholds {
        /// Of which rule.
        id: String,
        /// One.
        raise: String,
        /// The other.
        clear: String,
    },
    /// Too long a time.
    #[error("rule {id:?}: for_s is {for_s}; use 0 to 86400")]
    Time {
        /// Of which rule.
        id: String,
        /// How long.
        for_s: u32,
    },
}

impl Rule {
    /// Those that hold until somebody changes them.
    pub(crate) fn defaults() -> Vec<Self> {
        let rule = |id: &str, figure: &str, raise, clear, for_s| Self {
            id: id.to_owned(),
            figure: figure.to_owned(),
            side: Side::Above,
            raise,
            clear,
            for_s,
            enabled: true,
        };
        vec![
            rule("cpu", "cpu", 90.0, 75.0, 30),
            rule("memory", "memory", 90.0, 85.0, 30),
            rule("disk", "disk", 90.0, 88.0, 30),
            rule("delivery", "delivery_p99", 250.0, 100.0, 30),
        ]
    }

    /// Checks a whole set.
    ///
    /// # Errors
    /// [`RuleError`] names the rule and the field.
    pub(crate) fn check_all(rules: &[Self]) -> Result<(), RuleError> {
        if rules.len() > RULES_MAX {
            return Err(RuleError::TooMany { count: rules.len() });
        }
        for (at, rule) in rules.iter().enumerate() {
            rule.check()?;
            if rules[..at].iter().any(|other| other.id == rule.id) {
                return Err(RuleError::Twice { id: rule.id.clone() });
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), RuleError> {
        for (field, text) in [("id", &self.id), ("figure", &self.figure)] {
            if !(1..=TEXT_BYTES_MAX).contains(&text.len()) {
                let id = self.id.chars().take(40).collect();
                return Err(RuleError::Text { id, field, bytes: text.len() });
            }
        }
        let room = match self.side {
            Side::Above => self.clear <= self.raise,
            Side::Below => self.clear >= self.raise,
        };
        if !room || !self.raise.is_finite() || !self.clear.is_finite() {
            let (raise, clear) = (self.raise.to_string(), self.clear.to_string());
            return Err(RuleError::Thresholds { id: self.id.clone(), raise, clear });
        }
        if self.for_s > 86_400 {
            return Err(RuleError::Time { id: self.id.clone(), for_s: self.for_s });
        }
        Ok(())
    }

    fn is_beyond(&self, value: f64, threshold: f64) -> bool {
        match self.side {
            Side::Above => value > threshold,
            Side::Below => value < threshold,
        }
    }
}

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
    /// Looks at the next value; `patience_ms` is the longest distance between two values without a hole.
    pub(crate) fn look(&mut self, rule: &Rule, time: i64, value: f64, patience_ms: i64) -> Option<Turn> {
        let fresh = |since: i64, seen: i64| if time - seen > patience_ms { time } else { since };
        let bad = rule.is_beyond(value, rule.raise);
        // Strictly on the bad side of `clear`; at `clear` itself it is over.
        let held = rule.is_beyond(value, rule.clear);
        let next = match *self {
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
        let (next, turn) = match next {
            Self::Rising { since, .. } if long(since) => {
                (Self::Raised { since: time }, Some(Turn::Raised { since: time }))
            }
            Self::Falling { raised, since, .. } if long(since) => {
                (Self::Calm, Some(Turn::Cleared { since: raised }))
            }
            other => (other, None),
        };
        *self = next;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(for_s: u32) -> Rule {
        Rule {
            id: "cpu".into(),
            figure: "cpu".into(),
            side: Side::Above,
            raise: 90.0,
            clear: 75.0,
            for_s,
            enabled: true,
        }
    }

    /// One value a second; what turned, with its second.
    fn check(rule: &Rule, values: &[f64]) -> Vec<(i64, bool)> {
        let mut watch = Watch::default();
        let looks = values.iter().enumerate().map(|(second, value)| (second as i64 * 1000, *value));
        looks
            .filter_map(|(time, value)| watch.look(rule, time, value, 2500).map(|turn| (time / 1000, turn)))
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
        assert_eq!(watch.look(&rule(2), 0, 95.0, 2500), None);
        assert_eq!(watch.look(&rule(2), 60_000, 95.0, 2500), None);
        assert_eq!(watch.look(&rule(2), 62_000, 95.0, 2500), Some(Turn::Raised { since: 62_000 }));
        assert_eq!(watch, Watch::Raised { since: 62_000 });
    }

    #[test]
    fn below_is_the_mirror_of_above() {
        let low = Rule { side: Side::Below, raise: 5.0, clear: 10.0, ..rule(0) };
        assert_eq!(check(&low, &[20.0, 4.0, 6.0, 11.0]), [(1, true), (3, false)]);
    }

    #[test]
    fn rules_without_sense_are_refused_by_name() {
        let check = |rules: &[Rule]| Rule::check_all(rules).map_err(|error| error.to_string());
        assert!(check(&[Rule { clear: 95.0, ..rule(0) }]).expect_err("turned round").contains("raise is 90"));
        assert!(check(&[rule(0), rule(1)]).expect_err("twice").contains("\"cpu\""));
        assert!(check(&[Rule { figure: String::new(), ..rule(0) }]).expect_err("empty").contains("figure"));
        assert!(check(&[Rule { raise: f64::NAN, ..rule(0) }]).is_err());
        assert_eq!(check(&Rule::defaults()), Ok(()));
    }
}
