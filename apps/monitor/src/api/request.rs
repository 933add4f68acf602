//! What every route takes: the service, and a body of a limited size.

use std::sync::Arc;

use axum::extract::State;

use crate::service::MonitorService;

/// The largest body: five minutes of samples of a large machine.
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;
/// What to do about a larger one.
pub(super) const BODY_WAY_OUT: &str = "send fewer samples at a time";

pub(super) type Service = State<Arc<MonitorService>>;
