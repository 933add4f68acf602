//! The name of a host: 1 to 64 characters of `A-Z a-z 0-9 . _ -`, and neither `.` nor `..`.

use std::{fmt, sync::Arc};

/// The name of a host: 1 to 64 characters of `A-Z a-z 0-9 . _ -`, and neither `.` nor `..`: in an address
/// those are folders, also escaped, and no browser could ask for such a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, schemars::JsonSchema)]
pub struct HostName(#[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,64}$"))] Arc<str>);

/// Why a text is not the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no host name; use 1 to 64 characters of A-Z a-z 0-9 . _ -, and neither . nor ..")]
pub struct HostNameError {
    /// The text, cut to 80 characters.
    pub text: String,
}

impl HostName {
    /// Checks a text and makes it a host's name.
    ///
    /// # Errors
    /// [`HostNameError`] names the text.
    pub fn new(text: &str) -> Result<Self, HostNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !is_folder(text) {
            return Ok(Self(Arc::from(text)));
        }
        Err(HostNameError { text: text.chars().take(80).collect() })
    }

    /// A name made of any text: what is not allowed becomes `-`.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let fit = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let name: String = text.chars().take(64).map(fit).collect();
        Self(Arc::from(if name.is_empty() || is_folder(&name) { "localhost" } else { &name }))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether an address takes it for a folder: this one, or the one above.
fn is_folder(text: &str) -> bool {
    matches!(text, "." | "..")
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_short_and_plain() {
        assert!(HostName::new("web-1.example").is_ok());
        for text in ["", ".", "..", "a b", "a:b", "tiếng", &"x".repeat(65)] {
            assert!(HostName::new(text).is_err(), "{text}");
        }
        assert!(HostName::new("...").is_ok() && HostName::new(".a").is_ok());
        assert_eq!(HostName::lossy("..").as_str(), "localhost");
        assert_eq!(HostName::lossy("my host!").as_str(), "my-host-");
    }
}
