//! `POST /anywire/tickets`: who cannot send headers (`EventSource`, a browser's WebSocket, a video, a
//! download) puts a ticket into the address.

use std::{fmt::Display, sync::Arc};

use anywire_access::{Principal, TicketError};
use anywire_log::Channel;
use anywire_protocol::{Code, Refusal, json::iso_time, request::check_channels};
use axum::extract::{Request, State};
use http::StatusCode;
use serde::Deserialize;

use super::{body::read_within, caller::find_caller, reply::Refused, request::address};
use crate::{
    Gateway,
    admission::{act::Act, auth::Gate, rights::Rights as _},
    reply::Reply,
};

/// The longest name of a channel, and what stands around it.
const CHANNEL_BYTES_MAX: usize = 512;

/// What a ticket is wanted for.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// The channels it is for; without them it is for all that its owner may do.
    #[serde(default)]
    channels: Vec<String>,
}

/// Makes a ticket for whoever asks.
pub(super) async fn issue(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Reply, Refused> {
    let principal = find_caller(&gateway, &request, Gate::principal)?.principal;
    let account = gateway.admission.account(&principal, address(&request));
    gateway.admission.charge(account.as_deref(), Act::Handshake, 1)?;
    let principal = narrowed(&gateway, principal, request).await?;
    let (ticket, ends) = gateway.admission.gate.issue_ticket(principal).map_err(|error| {
        let code = if error == TicketError::TooMany { Code::Busy } else { Code::Internal };
        Refusal::new(code, error.to_string())
    })?;
    let body = serde_json::json!({ "ticket": ticket, "expires_at": iso_time(ends) });
    let mut reply = Reply::json(body.to_string());
    reply.status = StatusCode::CREATED;
    Ok(reply)
}

/// Whoever asks, with no more rights than asked for.
async fn narrowed(gateway: &Gateway, principal: Principal, request: Request) -> Result<Principal, Refusal> {
    let channels_max = gateway.config.limits.channels_max;
    let bytes_max = channels_max * CHANNEL_BYTES_MAX + CHANNEL_BYTES_MAX;
    let too_large = |bytes: &dyn Display| {
        let message = format!(
            "the request has {bytes} bytes, the limit is {bytes_max} for {channels_max} channels (limits.channels_max); name fewer"
        );
        Refusal::new(Code::TooLarge, message)
    };
    let (parts, body) = request.into_parts();
    let body = read_within(gateway, &parts.headers, body, bytes_max, too_large).await?;
    if body.is_empty() {
        return Ok(principal);
    }
    let wish: Wish = serde_json::from_slice(&body).map_err(|error| {
        let message = format!("the body is not {{\"channels\":[…]}}: {error}");
        Refusal::new(Code::InvalidRequest, message)
    })?;
    if wish.channels.is_empty() {
        return Ok(principal);
    }
    check_channels(wish.channels.len(), channels_max)?;
    let channels: Result<Vec<Channel>, _> = wish.channels.iter().map(|name| Channel::new(name)).collect();
    let channels = channels.map_err(|error| Refusal::new(Code::InvalidChannel, error.to_string()))?;
    principal.check_subscribe(&channels)?;
    Ok(principal.following_only(&channels))
}
