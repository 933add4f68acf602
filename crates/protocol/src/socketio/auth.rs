//! What a client says about itself when it joins a namespace.
//!
//! `auth` is the application's own object; a few members mean something here, everything else is ignored,
//! also members of the wrong type.

use serde_json::Value;
use sha1::Digest as _;

/// The members of `auth` that mean something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectAuth {
    /// The token (with or without `Bearer `).
    pub token: Option<String>,
    /// The client wants to be able to go on where it stopped: events carry their cursor as the last argument.
    pub recover: bool,
    /// Go on after this cursor.
    pub after: Option<String>,
    /// The private id of an earlier connection (socket.io-client's own recovery).
    pub pid: Option<String>,
    /// The last offset it saw (socket.io-client's own recovery); may be any text at all.
    pub offset: Option<String>,
    /// Channels to join at once.
    pub channels: Vec<String>,
}

impl ConnectAuth {
    /// Reads `auth`.
    #[must_use]
    pub fn parse(auth: Option<&str>) -> Self {
        let value: Value = auth.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let token = text("token").map(|token| match token.strip_prefix("Bearer ") {
            Some(bare) => bare.trim().to_owned(),
            None => token,
        });
        let channels = value["channels"].as_array().into_iter().flatten();
        Self {
            token,
            recover: value["recover"] == Value::Bool(true),
            after: text("after"),
            pid: text("pid"),
            offset: text("offset"),
            channels: channels.filter_map(|channel| channel.as_str().map(str::to_owned)).collect(),
        }
    }
}

/// The name under which what belongs to a private id is kept: from it the id cannot be found out.
#[must_use]
pub fn recovery_name(pid: &str) -> String {
    let digest = sha1::Sha1::digest(pid.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_members_are_taken_and_others_passed_over() {
        let auth = ConnectAuth::parse(Some(
            r#"{"token":"Bearer t","recover":true,"pid":1,"offset":"x","channels":["a",2],"mine":{}}"#,
        ));
        let expected = ConnectAuth {
            token: Some("t".into()),
            recover: true,
            offset: Some("x".into()),
            channels: vec!["a".into()],
            ..ConnectAuth::default()
        };
        assert_eq!(auth, expected);
        assert_eq!(ConnectAuth::parse(None), ConnectAuth::default());
    }
}
