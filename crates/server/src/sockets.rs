//! One Socket.IO client, from a back end: an event for it alone, its answer, its end (docs/http-api.md).

use std::{sync::Arc, time::Duration};

use anywire_app::{
    description::schemas::{Anything, EventNameText, True},
    http::{ApiError, Body, invalid, parse_json, read_text, whole_body},
};
use anywire_gateway::{AskError, Gateway, SocketArgs, Whose};
use anywire_log::EventName;
use anywire_protocol::Code;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, value::RawValue};

/// The longest a request waits for an answer, in milliseconds.
const TIMEOUT_MS_MAX: u64 = 60_000;
/// The largest body, in bytes.
const BODY_BYTES_MAX: usize = 2 << 20;

/// Routes for back ends.
pub(crate) fn routes(gateway: &Arc<Gateway>) -> Router {
    Router::new()
        .route("/api/sockets/emit", post(emit))
        .route("/api/sockets/disconnect", post(disconnect))
        .route("/api/clients/disconnect", post(disconnect_clients))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::clone(gateway))
}

/// An event for one client.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Emit {
    /// The client's public id in its namespace, from `/api/delivery/clients`.
    socket: String,
    #[schemars(with = "EventNameText")]
    event: String,
    /// The event's arguments, any JSON.
    #[serde(default)]
    #[schemars(with = "Vec<Anything>")]
    args: Vec<Box<RawValue>>,
    /// How long to wait for the client's answer, in milliseconds; without it none is asked for.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = TIMEOUT_MS_MAX))]
    timeout_ms: Option<u64>,
    /// Dropped unless the client can take it at once.
    #[serde(default)]
    volatile: bool,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Emitted {
    /// Whether the client acknowledged it in time.
    answered: bool,
    /// What the client said, as it was written.
    #[schemars(with = "Option<Vec<Anything>>")]
    answer: Option<Vec<Box<RawValue>>>,
}

impl Emitted {
    const UNANSWERED: Self = Self { answered: false, answer: None };
}

/// A whole number or none; `3.0` is one. The arguments beside it stay as they were written.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    let number = |value: Value| {
        anywire_app::whole_number(&value)
            .ok_or_else(|| D::Error::custom(format!("{value} is no whole number from 0")))
    };
    value.map(number).transpose()
}

/// A client to be disconnected.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disconnect {
    /// The client's public id in its namespace, from `/api/delivery/clients`.
    socket: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Disconnected {
    #[schemars(with = "True")]
    disconnected: bool,
}

/// Whose connections are to end: one of the three.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ending {
    /// Of a user: the `sub` of a token, or the name of an account.
    #[serde(default)]
    #[schemars(with = "String")]
    user: Option<String>,
    /// Of a client, by its name in `/api/delivery/clients`.
    #[serde(default)]
    #[schemars(with = "String")]
    client: Option<String>,
    /// Of a session at the console, by its id.
    #[serde(default)]
    #[schemars(with = "String")]
    session: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct EndedClients {
    /// How many connections were ended.
    disconnected: usize,
}

async fn disconnect_clients(State(gateway): State<Arc<Gateway>>, body: Body) -> Result<Response, ApiError> {
    let body = whole_body(body, BODY_BYTES_MAX, "send less")?;
    let body: Ending = parse_json(&body, "whose connections are to end")?;
    let whose = match (body.user, body.client, body.session) {
        (Some(user), None, None) => Whose::User(user),
        (None, Some(client), None) => Whose::Client(client),
        (None, None, Some(session)) => Whose::Session(session),
        _ => return Err(invalid("name one of \"user\", \"client\" and \"session\", and only one")),
    };
    Ok(answer(EndedClients { disconnected: gateway.disconnect_clients(&whose) }))
}

async fn emit(State(gateway): State<Arc<Gateway>>, body: Body) -> Result<Response, ApiError> {
    let body = whole_body(body, BODY_BYTES_MAX, "send less")?;
    // What stands in its arguments is between those who use them.
    let body: Emit = read_text(&body)
        .and_then(|text| serde_json::from_str(text.get()))
        .map_err(|error| invalid(format!("the body is not an event for a socket: {error}")))?;
    let name =
        EventName::new(&body.event).map_err(|error| ApiError::new(Code::InvalidEvent, error.to_string()))?;
    Ok(send(&gateway, &body, &name).await)
}

async fn send(gateway: &Gateway, body: &Emit, name: &EventName) -> Response {
    let values: Vec<&str> = body.args.iter().map(|value| value.get()).collect();
    let args = SocketArgs::from_marked(&values);
    let Some(timeout_ms) = body.timeout_ms else {
        return match gateway.emit_to_socket(&body.socket, name, &args, body.volatile) {
            Ok(()) => answer(Emitted::UNANSWERED),
            Err(error) => refused(&error),
        };
    };
    if !(1..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
        return invalid(format!("\"timeout_ms\" is {timeout_ms}; expected 1 to {TIMEOUT_MS_MAX}"))
            .into_response();
    }
    let patience = Duration::from_millis(timeout_ms);
    match gateway.ask_socket(&body.socket, name, &args, patience).await {
        Ok(said) => {
            let null = |_| RawValue::NULL.to_owned();
            let values =
                said.marked().into_iter().map(|value| RawValue::from_string(value).unwrap_or_else(null));
            answer(Emitted { answered: true, answer: Some(values.collect()) })
        }
        Err(AskError::TimedOut { .. }) => answer(Emitted::UNANSWERED),
        Err(error) => refused(&error),
    }
}

async fn disconnect(State(gateway): State<Arc<Gateway>>, body: Body) -> Result<Response, ApiError> {
    let body = whole_body(body, BODY_BYTES_MAX, "send less")?;
    let body: Disconnect = parse_json(&body, "the name of a socket")?;
    Ok(match gateway.disconnect_socket(&body.socket).await {
        true => answer(Disconnected { disconnected: true }),
        false => refused(&AskError::Unknown { socket: body.socket }),
    })
}

fn answer(value: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

fn refused(error: &AskError) -> Response {
    let code = match error {
        AskError::Unknown { .. } | AskError::TimedOut { .. } => Code::NotFound,
        AskError::TooMany | AskError::Full { .. } => Code::Busy,
    };
    ApiError::new(code, error.to_string()).into_response()
}
