//! Rules of alerts: which thresholds a metric has, and for how long it must stay beyond. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    figure::{Figures, SILENCE},
    sample::NUMBER_MAX,
};

/// The most rules there may be.
pub(crate) const RULES_MAX: usize = 50;
const TEXT_BYTES_MAX: usize = 100;

/// Which side of the threshold is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

/// When a figure is worth an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name among the rules.
    #[schemars(length(min = 1, max = TEXT_BYTES_MAX))]
    pub id: String,
    /// The figure, such as `cpu` or `disk:/`; `silence` is how many seconds ago the host was last heard of.
    #[schemars(length(min = 1, max = TEXT_BYTES_MAX))]
    pub figure: String,
    /// Which side is bad.
    pub side: Side,
    /// Where it is raised.
    #[schemars(range(min = -NUMBER_MAX, max = NUMBER_MAX))]
    pub raise: f64,
    /// Where it ends; on the good side of `raise`.
    #[schemars(range(min = -NUMBER_MAX, max = NUMBER_MAX))]
    pub clear: f64,
    /// For how many seconds the figure must stay beyond, before either happens.
    #[schemars(range(max = 86_400))]
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
    /// A threshold beyond what a figure can be.
    #[error(
        "rule {id:?}: {field} is {value}; expected -9007199254740991 to 9007199254740991, as figures go no further"
    )]
    Threshold {
        /// Of which rule.
        id: String,
        /// Which threshold.
        field: &'static str,
        /// What it is.
        value: String,
    },
    /// A figure that there is not.
    #[error("rule {id:?} is about {figure:?}, and there is no such figure; there are {known}")]
    Figure {
        /// Of which rule.
        id: String,
        /// What it is about.
        figure: String,
        /// Those that there are.
        known: String,
    },
    /// Silence that is bad while it is short.
    #[error("rule {id:?} is about \"silence\" below a threshold; silence is bad above one")]
    Silence {
        /// Of which rule.
        id: String,
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
            rule("silence", SILENCE, 60.0, 5.0, 0),
        ]
    }

    /// Checks a whole set; `before` holds now, and what it is about may be of a disk that is away.
    ///
    /// # Errors
    /// [`RuleError`] names the rule and the field.
    pub(crate) fn check_all(rules: &[Self], before: &[Self], figures: &Figures) -> Result<(), RuleError> {
        if rules.len() > RULES_MAX {
            return Err(RuleError::TooMany { count: rules.len() });
        }
        for (at, rule) in rules.iter().enumerate() {
            rule.check()?;
            if !figures.has(&rule.figure) && !before.iter().any(|other| other.figure == rule.figure) {
                let (id, figure) = (rule.id.clone(), rule.figure.clone());
                return Err(RuleError::Figure { id, figure, known: figures.named() });
            }
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
        if self.figure == SILENCE && self.side == Side::Below {
            return Err(RuleError::Silence { id: self.id.clone() });
        }
        for (field, value) in [("raise", self.raise), ("clear", self.clear)] {
            if !(-NUMBER_MAX..=NUMBER_MAX).contains(&value) {
                return Err(RuleError::Threshold { id: self.id.clone(), field, value: value.to_string() });
            }
        }
        let room = match self.side {
            Side::Above => self.clear <= self.raise,
            Side::Below => self.clear >= self.raise,
        };
        if !room {
            let (raise, clear) = (self.raise.to_string(), self.clear.to_string());
            return Err(RuleError::Thresholds { id: self.id.clone(), raise, clear });
        }
        if self.for_s > 86_400 {
            return Err(RuleError::Time { id: self.id.clone(), for_s: self.for_s });
        }
        Ok(())
    }

    pub(super) fn is_beyond(&self, value: f64, threshold: f64) -> bool {
        match self.side {
            Side::Above => value > threshold,
            Side::Below => value < threshold,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::domain) fn rule(for_s: u32) -> Rule {
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

    #[test]
    fn rules_without_sense_are_refused_by_name() {
        let figures = Figures::with(["core:0".to_owned()]);
        let check = |rules: &[Rule]| Rule::check_all(rules, &[], &figures).map_err(|error| error.to_string());
        assert!(check(&[Rule { clear: 95.0, ..rule(0) }]).expect_err("turned round").contains("raise is 90"));
        assert!(check(&[rule(0), rule(1)]).expect_err("twice").contains("\"cpu\""));
        assert!(check(&[Rule { figure: String::new(), ..rule(0) }]).expect_err("empty").contains("figure"));
        for number in [f64::NAN, f64::INFINITY, 1e308, 9_007_199_254_740_992.0] {
            let message = check(&[Rule { raise: number, ..rule(0) }]).expect_err("out of reach");
            assert!(
                message.contains(&format!("raise is {number}; expected -9007199254740991 to")),
                "{message}"
            );
        }
        assert!(
            check(&[Rule { clear: -1e308, ..rule(0) }]).expect_err("out of reach").contains("clear is -1")
        );
        let always = Rule { raise: -1.0, clear: -2.0, ..rule(0) };
        assert_eq!(check(&[always]), Ok(()), "a rule that always holds is a way to try alerts");
        let silence = Rule { figure: SILENCE.into(), side: Side::Below, raise: 1.0, ..rule(0) };
        assert!(check(&[silence]).expect_err("turned round").contains("silence"));
        assert_eq!(check(&Rule::defaults()), Ok(()));
    }

    #[test]
    fn a_rule_about_a_figure_that_there_is_not_is_refused_with_those_that_there_are() {
        let figures = Figures::with(["disk:/".to_owned()]);
        let about = |figure: &str| Rule { figure: figure.to_owned(), ..rule(0) };
        let message = Rule::check_all(&[about("cpu_percent")], &[], &figures).expect_err("none").to_string();
        assert!(message.contains("rule \"cpu\" is about \"cpu_percent\""), "{message}");
        assert!(message.contains("there are cpu, memory,") && message.ends_with("disk:/"), "{message}");
        assert_eq!(Rule::check_all(&[about("disk:/")], &[], &figures), Ok(()));
        assert!(Rule::check_all(&[about("disk:/gone")], &[], &figures).is_err());
        assert_eq!(Rule::check_all(&[about("disk:/gone")], &[about("disk:/gone")], &figures), Ok(()));
    }
}
