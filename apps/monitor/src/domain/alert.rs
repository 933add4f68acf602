//! An alert: one turn of a rule at a host.

use serde::{Deserialize, Serialize};

use super::rule::Side;

/// One turn of a rule at a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Alert {
    /// `raised` or `cleared`.
    pub(crate) state: AlertState,
    pub(crate) host: String,
    pub(crate) rule: String,
    pub(crate) figure: String,
    pub(crate) side: Side,
    /// What the metric was.
    pub(crate) value: f64,
    pub(crate) threshold: f64,
    #[serde(with = "anywire_app::time::iso_millis")]
    #[schemars(with = "anywire_app::description::schemas::Time")]
    pub(crate) since: i64,
    #[serde(with = "anywire_app::time::iso_millis")]
    #[schemars(with = "anywire_app::description::schemas::Time")]
    pub(crate) at: i64,
    /// Why it ended, if not by its figure: that may be as bad as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_by: Option<EndedBy>,
}

/// What ended an alert, other than its figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum EndedBy {
    /// Nothing is heard of the host any more.
    Silence,
    /// The rule is gone, off, or about something else.
    Rule,
    /// The host was forgotten.
    Forgotten,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum AlertState {
    Raised,
    Cleared,
}
