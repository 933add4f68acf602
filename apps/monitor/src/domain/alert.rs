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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum AlertState {
    Raised,
    Cleared,
}
