//! Grants: what somebody may do, each one thing, as they are written in the configuration.

use std::{fmt, str::FromStr};

use anywire_log::{Channel, ChannelPattern};

/// What stands in a pattern for the id of the user.
const USER: &str = "{user}";

/// One thing that somebody may do. Written `*`, `subscribe:<pattern>`, `publish:<pattern>`, `app:action` or
/// `app:action:own`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Everything there is.
    Everything,
    /// Following the channels of a pattern, in which `{user}` stands for the id of the user.
    Subscribe(ChannelPattern),
    /// Publishing to them.
    Publish(ChannelPattern),
    /// Using a part of the server.
    Do(Deed),
}

/// An action of an application, or of the server itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deed {
    /// `jobs`, `monitor`, `pipeline`, … or `server`.
    pub(crate) app: Box<str>,
    /// `read`, `manage`, ….
    pub(crate) action: Box<str>,
    /// Only on what one has made oneself.
    pub(crate) own_only: bool,
}

/// Why a text is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// It has not two or three parts.
    #[error(
        "{text:?} is no grant; write \"*\", \"subscribe:PATTERN\", \"publish:PATTERN\", \"APP:ACTION\" or \"APP:ACTION:own\""
    )]
    Shape {
        /// The whole text.
        text: String,
    },
    /// A part is no name.
    #[error(
        "{part:?} in the grant {text:?} is no name; use small letters, digits and '-', such as jobs:read"
    )]
    Name {
        /// The part.
        part: String,
        /// The whole text.
        text: String,
    },
    /// What follows the action is not `own`.
    #[error("{limit:?} in the grant {text:?} limits nothing; only \"own\" does: what one has made oneself")]
    Limit {
        /// What was there.
        limit: String,
        /// The whole text.
        text: String,
    },
    /// No channel could ever fit the pattern.
    #[error("no channel fits the pattern in the grant {text:?}: {why}")]
    Pattern {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        let shape = || GrantError::Shape { text: text.to_owned() };
        let (first, rest) = text.split_once(':').ok_or_else(shape)?;
        match first {
            "subscribe" => pattern(rest, text).map(Self::Subscribe),
            "publish" => pattern(rest, text).map(Self::Publish),
            app => Deed::parse(app, rest, text).map(Self::Do),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Subscribe(pattern) => write!(f, "subscribe:{}", pattern.as_str()),
            Self::Publish(pattern) => write!(f, "publish:{}", pattern.as_str()),
            Self::Do(Deed { app, action, own_only: false }) => write!(f, "{app}:{action}"),
            Self::Do(Deed { app, action, own_only: true }) => write!(f, "{app}:{action}:own"),
        }
    }
}

impl Deed {
    fn parse(app: &str, rest: &str, text: &str) -> Result<Self, GrantError> {
        let (action, own_only) = match rest.split_once(':') {
            None => (rest, false),
            Some((action, "own")) => (action, true),
            Some((_, limit)) => {
                return Err(GrantError::Limit { limit: limit.to_owned(), text: text.to_owned() });
            }
        };
        let is_name = |part: &&str| {
            let starts = part.starts_with(|first: char| first.is_ascii_lowercase());
            starts && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        match [app, action].into_iter().find(|part| !is_name(part)) {
            Some(part) => Err(GrantError::Name { part: part.to_owned(), text: text.to_owned() }),
            None => Ok(Self { app: app.into(), action: action.into(), own_only }),
        }
    }
}

fn pattern(pattern: &str, text: &str) -> Result<ChannelPattern, GrantError> {
    let refused = |why: String| GrantError::Pattern { text: text.to_owned(), why };
    // A name that fits: what a channel may not be called, a pattern may not say.
    let sample = pattern.replace(USER, "user").replace('*', "x");
    Channel::new(&sample).map_err(|error| refused(error.to_string()))?;
    if sample.contains(['{', '}']) {
        return Err(refused(format!("of what stands in braces only {USER} is known")));
    }
    Ok(ChannelPattern::new(pattern))
}

/// A pattern with the id of a user in the place of `{user}`; none if it would say more than that one id.
pub(crate) fn for_user(pattern: &ChannelPattern, user: Option<&str>) -> Option<ChannelPattern> {
    let text = pattern.as_str();
    if !text.contains(USER) {
        return Some(pattern.clone());
    }
    // A user who is called `*` would get everybody's channels, one who is called nothing those of a shorter
    // pattern, and one with `$` in front the server's own.
    let user = user.filter(|user| !user.is_empty() && !user.contains('*'))?;
    let named = text.replace(USER, user);
    (named.starts_with('$') == text.starts_with('$')).then(|| ChannelPattern::new(&named))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant(text: &str) -> Grant {
        text.parse().expect(text)
    }

    #[test]
    fn grants_are_written_as_they_are_read() {
        let texts = [
            "*",
            "subscribe:progress_*",
            "subscribe:$overview",
            "subscribe:inbox:{user}:*",
            "publish:*",
            "jobs:create",
            "jobs:read:own",
            "redis-emitter:read",
        ];
        for text in texts {
            assert_eq!(grant(text).to_string(), text);
        }
    }

    #[test]
    fn a_text_that_is_no_grant_is_told_what_one_looks_like() {
        for (text, expected) in [
            ("", "\"\" is no grant; write \"*\", \"subscribe:PATTERN\""),
            ("jobs", "\"jobs\" is no grant"),
            ("jobs:", "\"\" in the grant \"jobs:\" is no name"),
            (":read", "\"\" in the grant \":read\" is no name"),
            ("Jobs:read", "\"Jobs\" in the grant \"Jobs:read\" is no name"),
            ("jobs:*", "\"*\" in the grant \"jobs:*\" is no name"),
            ("jobs:read:all", "\"all\" in the grant \"jobs:read:all\" limits nothing; only \"own\" does"),
            ("jobs:read:own:x", "\"own:x\" in the grant"),
            (
                "subscribe:",
                "no channel fits the pattern in the grant \"subscribe:\": a channel name is empty",
            ),
            ("publish:a b", "control characters, white space and ',' are not allowed"),
            ("subscribe:a,b", "control characters, white space and ',' are not allowed"),
            ("subscribe:u_{uesr}", "of what stands in braces only {user} is known"),
        ] {
            let error = text.parse::<Grant>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_name_of_a_user_opens_no_more_than_one_users_channels() {
        let fits = |pattern: &str, user: &str, channel: &str| {
            let pattern = for_user(&ChannelPattern::new(pattern), Some(user));
            pattern.is_some_and(|pattern| pattern.matches(channel))
        };
        assert!(fits("inbox_{user}", "u1", "inbox_u1"));
        assert!(fits("{user}:*", "u1", "u1:a"));
        assert!(!fits("inbox_{user}", "u1", "inbox_u2"));
        assert!(!fits("inbox_{user}", "*", "inbox_u2"));
        assert!(!fits("inbox_{user}", "u*", "inbox_u2"));
        assert!(!fits("{user}*", "", "anything"));
        assert!(!fits("{user}", "$presence:room", "$presence:room"));
        assert!(fits("$presence:{user}", "u1", "$presence:u1"));
        assert_eq!(for_user(&ChannelPattern::new("inbox_{user}"), None), None);
        assert!(for_user(&ChannelPattern::new("open_*"), None).is_some());
    }

    proptest! {
        #[test]
        fn whatever_is_taken_for_a_grant_is_the_same_one_when_it_is_written_and_read(text in ".{0,40}") {
            if let Ok(grant) = text.parse::<Grant>() {
                prop_assert_eq!(grant.to_string(), text);
            }
        }

        #[test]
        fn a_user_fits_the_own_pattern_and_no_other_user_does(
            user in "[a-z0-9@.|*$_-]{0,12}",
            other in "[a-z0-9@.|_-]{1,12}",
        ) {
            let pattern = for_user(&ChannelPattern::new("inbox_{user}"), Some(&user));
            let fits = |id: &str| {
                pattern.as_ref().is_some_and(|pattern| pattern.matches(&format!("inbox_{id}")))
            };
            prop_assert_eq!(fits(&other), user == other);
        }
    }
}
