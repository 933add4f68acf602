//! What a client says about itself when it joins a namespace.
//!
//! `auth` is the application's own object; a few members mean something here, everything else is ignored,
//! also a member of the wrong type, but for `channels`: nobody is told that they joined what they did not.

use std::borrow::Cow;

use anywire_codes::Refusal;
use anywire_log::Channel;
use sha1::Digest as _;

use crate::{
    names,
    scan::{Scan, string},
};

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
    pub channels: Vec<Channel>,
}

impl ConnectAuth {
    /// Reads `auth`.
    ///
    /// # Errors
    /// Says what is wrong if `channels` holds what names none, or more than `channels_max`: all are joined,
    /// or none is.
    pub fn parse(auth: Option<&str>, channels_max: usize) -> Result<Self, Refusal> {
        let mut read = Self::default();
        let Some(auth) = auth else { return Ok(read) };
        let mut channels = None;
        let mut scan = Scan::new(auth, usize::MAX);
        let scanned = scan.members(|scan, name| {
            let value = scan.value()?;
            let text = || string(value).map(Cow::into_owned);
            match name {
                "token" => read.token = text().map(bare),
                "recover" => read.recover = value == "true",
                "after" => read.after = names::name(value).map(Cow::into_owned),
                "pid" => read.pid = text(),
                "offset" => read.offset = text(),
                "channels" => channels = Some(value).filter(|value| *value != "null"),
                _ => {}
            }
            Ok(())
        });
        // Only an object comes this far.
        debug_assert!(scanned.is_ok());
        let named = channels.map(|value| names::one_or_more("channels", value, channels_max));
        read.channels = named.transpose()?.unwrap_or_default();
        Ok(read)
    }
}

/// A token without the word that stands before it in a header.
fn bare(token: String) -> String {
    match token.strip_prefix("Bearer ") {
        Some(bare) => bare.trim().to_owned(),
        None => token,
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
        let auth = ConnectAuth::parse(
            Some(
                r#"{"token":"Bearer t","recover":true,"after":0,"pid":1,"offset":"x","channels":["a",2],"mine":{}}"#,
            ),
            2,
        );
        let expected = ConnectAuth {
            token: Some("t".into()),
            recover: true,
            after: Some("0".into()),
            offset: Some("x".into()),
            channels: ["a", "2"].map(|name| Channel::new(name).expect("a name")).to_vec(),
            ..ConnectAuth::default()
        };
        assert_eq!(auth, Ok(expected));
        assert_eq!(ConnectAuth::parse(None, 0), Ok(ConnectAuth::default()));
        assert_eq!(ConnectAuth::parse(Some(r#"{"channels":null}"#), 0), Ok(ConnectAuth::default()));
    }

    #[test]
    fn channels_are_joined_all_or_none() {
        for channels in [r#"["a",null]"#, r#"["a",{}]"#, "true", r#"["a",["b"]]"#, r#"["a","b c"]"#] {
            ConnectAuth::parse(Some(&format!("{{\"channels\":{channels}}}")), 2).expect_err(channels);
        }
    }
}
