//! Channels: the names events are published under, and patterns over them.

use std::{borrow::Borrow, fmt, sync::Arc};

/// The greatest length of a channel name, in bytes.
const CHANNEL_BYTES_MAX: usize = 255;

/// The name of a channel: 1 to 255 bytes without control characters, white space or `,` (PROTOCOL.md, section
/// 1).
///
/// Cost of a clone: one reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(Arc<str>);

/// Why a text is not a channel name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The text was empty.
    #[error("a channel name is empty; give it 1 to 255 bytes")]
    Empty,
    /// The text was longer than [`CHANNEL_BYTES_MAX`].
    #[error("a channel name has {bytes} bytes; at most 255 are allowed")]
    TooLong {
        /// How long it was.
        bytes: usize,
    },
    /// A character that a name may not hold.
    #[error("channel {name:?} holds {character:?}; control characters, white space and ',' are not allowed")]
    Character {
        /// The whole text.
        name: String,
        /// The first offending character.
        character: char,
    },
}

impl Channel {
    /// Checks a text and makes it a channel name.
    ///
    /// # Errors
    /// [`ChannelError`] names what is wrong with the text.
    pub fn new(name: &str) -> Result<Self, ChannelError> {
        if name.is_empty() {
            return Err(ChannelError::Empty);
        }
        if name.len() > CHANNEL_BYTES_MAX {
            return Err(ChannelError::TooLong { bytes: name.len() });
        }
        let offending = |c: &char| c.is_control() || c.is_whitespace() || *c == ',';
        match name.chars().find(offending) {
            Some(character) => Err(ChannelError::Character { name: name.to_owned(), character }),
            None => Ok(Self(Arc::from(name))),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name belongs to the server (it starts with `$`).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl Borrow<str> for Channel {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A pattern over channel names: literal text in which each `*` stands for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPattern {
    text: String,
    /// Where its first `*` is, if it has one. Most names differ from most patterns before that, and each
    /// publication is compared with all patterns of the server's applications.
    star: Option<usize>,
}

impl ChannelPattern {
    /// Makes a pattern. Every text is one; `*` alone matches every channel.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self { text: pattern.to_owned(), star: pattern.find('*') }
    }

    /// The pattern's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a name fits the pattern.
    ///
    /// Cost: O(name × stars), no allocation. A `*` at the start does not match reserved names (those with
    /// `$`), so that a rule or a token for "everything" never opens the server's own channels by accident.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some(star) = self.star else { return name == self.text };
        let (first, rest_of_pattern) = self.text.split_at(star);
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        if star == 0 && name.starts_with('$') {
            return false;
        }
        let mut parts = rest_of_pattern[1..].split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_comma_or_white_space_is_refused_and_named() {
        for text in ["a,b", "a b", "a\nb", "\u{7f}", "\u{a0}x"] {
            let error = Channel::new(text).expect_err(text);
            assert!(matches!(error, ChannelError::Character { .. }), "{text:?}: {error}");
        }
        assert_eq!(Channel::new("").expect_err("empty"), ChannelError::Empty);
        assert_eq!(Channel::new(&"x".repeat(256)).expect_err("long"), ChannelError::TooLong { bytes: 256 });
        assert!(Channel::new("tiếng-việt:42").is_ok());
    }

    #[test]
    fn patterns_match_by_literal_text_and_stars() {
        let check = |pattern: &str, name: &str| ChannelPattern::new(pattern).matches(name);
        assert!(check("*", "anything"));
        assert!(check("progress_*", "progress_42"));
        assert!(check("a*b*c", "a12b34c"));
        assert!(check("exact", "exact"));
        assert!(!check("exact", "exactly"));
        assert!(!check("progress_*", "progres_42"));
        assert!(!check("a*b", "a"));
        assert!(!check("*", "$overview"));
        assert!(check("$*", "$overview"));
        assert!(check("a*a", "aa"));
        assert!(!check("a*a", "a"));
    }
}
