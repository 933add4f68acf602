//! Why a request is refused: the table of codes and messages that every Engine.IO client has.

/// A refused request. The numbers are the protocol's own and permanent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// `transport` is neither `polling` nor `websocket`.
    #[error("Transport unknown")]
    UnknownTransport,
    /// No session has this id: it never existed, has ended, or was on a server that has restarted.
    #[error("Session ID unknown")]
    UnknownSession,
    /// A session begins with `GET`.
    #[error("Bad handshake method")]
    BadMethod,
    /// The request does not fit the session: another transport, a second poll at once, a broken body.
    #[error("Bad request")]
    BadRequest,
    /// A packet is over a limit of what one may be.
    #[error("Bad request: {reason}")]
    BadPacket {
        /// What is wrong with it.
        reason: String,
    },
    /// The origin, host or token is not let in, or there is no room; in the words of whoever refused.
    #[error("{reason}")]
    Forbidden {
        /// What is wrong, and the way out.
        reason: String,
        /// The HTTP status.
        status: u16,
        /// When to try again, in milliseconds, where that is known.
        retry_ms: Option<u32>,
    },
    /// `EIO` is not 4: a client of Socket.IO 2 or older, which has to be updated.
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
}

impl EngineError {
    /// The number in the answer.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSession => 1,
            Self::BadMethod => 2,
            Self::BadRequest | Self::BadPacket { .. } => 3,
            Self::Forbidden { .. } => 4,
            Self::UnsupportedVersion => 5,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Forbidden { status, .. } => *status,
            _ => 400,
        }
    }

    /// The body of the answer: `{"code":5,"message":"Unsupported protocol version"}`.
    #[must_use]
    pub fn body(&self) -> String {
        let mut out = format!("{{\"code\":{},\"message\":", self.code()).into_bytes();
        crate::json::write_string(&mut out, &self.to_string());
        out.push(b'}');
        String::from_utf8(out).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_look_as_every_client_knows_them() {
        let check = |error: EngineError, body: &str| assert_eq!(error.body(), body);
        check(EngineError::UnknownTransport, r#"{"code":0,"message":"Transport unknown"}"#);
        check(EngineError::UnknownSession, r#"{"code":1,"message":"Session ID unknown"}"#);
        check(EngineError::BadMethod, r#"{"code":2,"message":"Bad handshake method"}"#);
        check(EngineError::BadRequest, r#"{"code":3,"message":"Bad request"}"#);
        check(EngineError::UnsupportedVersion, r#"{"code":5,"message":"Unsupported protocol version"}"#);
        let forbidden = EngineError::Forbidden { reason: "no \"x\"".into(), status: 403, retry_ms: None };
        assert_eq!((forbidden.status(), EngineError::BadRequest.status()), (403, 400));
        check(forbidden, r#"{"code":4,"message":"no \"x\""}"#);
    }
}
