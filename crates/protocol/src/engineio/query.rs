//! What an Engine.IO request asks for, by its query string.

use anywire_codes::query::Members;

use super::EngineError;

/// What carries a session's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// HTTP requests: a GET waits for packets, a POST brings some.
    Polling,
    /// One WebSocket.
    WebSocket,
}

/// The query of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What carries the packets.
    pub carrier: Carrier,
    /// The session; `None` begins one.
    pub session: Option<String>,
    /// A token for all namespaces of the session, where the client gives none in `auth`.
    pub token: Option<String>,
    /// The name the client gave itself, for the list of clients.
    pub client: Option<String>,
}

impl Query {
    /// Reads a query string (without `?`). Unknown parameters are ignored: clients add their own.
    ///
    /// # Errors
    /// [`EngineError`], as the reference implementation orders them: transport, then (for a new session) the
    /// version. What is no UTF-8 or stands there twice is a bad request.
    pub fn parse(query: &str) -> Result<Self, EngineError> {
        let members = Members::parse(query).map_err(|_| EngineError::BadRequest)?;
        let text = |name| members.text(name).map_err(|_| EngineError::BadRequest);
        let carrier = match text("transport")? {
            Some("polling") => Carrier::Polling,
            Some("websocket") => Carrier::WebSocket,
            _ => return Err(EngineError::UnknownTransport),
        };
        if text("EIO")? != Some("4") {
            return Err(EngineError::UnsupportedVersion);
        }
        Ok(Self {
            carrier,
            session: text("sid")?.map(str::to_owned),
            token: text("token")?.or(text("ticket")?).map(str::to_owned),
            client: text("client")?.filter(|name| is_name(name)).map(str::to_owned),
        })
    }
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_transport_version_and_session() {
        let query = Query::parse("EIO=4&transport=polling&t=abc&sid=x%2By").expect("a query");
        assert_eq!((query.carrier, query.session.as_deref()), (Carrier::Polling, Some("x+y")));
        let query = Query::parse("transport=websocket&EIO=4&token=t&client=a").expect("a query");
        assert_eq!((query.carrier, query.session), (Carrier::WebSocket, None));
        assert_eq!((query.token.as_deref(), query.client.as_deref()), (Some("t"), Some("a")));
    }

    #[test]
    fn another_version_or_transport_is_refused() {
        let check = |query, error| assert_eq!(Query::parse(query), Err(error), "{query}");
        check("transport=polling", EngineError::UnsupportedVersion);
        check("EIO=3&transport=polling", EngineError::UnsupportedVersion);
        check("EIO=abc&transport=websocket", EngineError::UnsupportedVersion);
        check("EIO=4", EngineError::UnknownTransport);
        check("EIO=4&transport=abc", EngineError::UnknownTransport);
        check("EIO=4&transport=polling&sid=%ff", EngineError::BadRequest);
        check("EIO=4&transport=polling&sid=a&sid=b", EngineError::BadRequest);
        check("EIO=4&transport=polling&transport=websocket", EngineError::BadRequest);
    }
}
