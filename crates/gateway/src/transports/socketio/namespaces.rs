//! The namespaces there are, as configured.

use std::sync::Arc;

use anywire_log::{Channel, ChannelPattern, EventName};
use serde_json::value::RawValue;

use super::config::{NamespaceSection, SocketIoConfig};

/// Why Socket.IO cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketIoError {
    /// The path is none.
    #[error("socketio.path is {path:?}; it must begin and end with '/', such as \"/socket.io/\"")]
    Path {
        /// The path.
        path: String,
    },
    /// A namespace's name is none.
    #[error(
        "socketio.namespaces has a namespace called {name:?}; names begin with '/' and hold no ',' or '?'"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A value of a namespace is wrong.
    #[error("namespace {name:?}: {setting} is {value:?}: {detail}")]
    Value {
        /// The namespace.
        name: String,
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// One namespace, or all that fit a pattern.
#[derive(Debug)]
pub(super) struct Namespace {
    pattern: ChannelPattern,
    listener: Option<String>,
    /// With `{user}` in them.
    channels: Vec<String>,
    pub(super) welcome: Option<(EventName, String)>,
    pub(super) recovery: bool,
    pub(super) emit_to: Option<Channel>,
    pub(super) subscribe: bool,
    newest_first: Vec<ChannelPattern>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct NamespaceTable(Vec<Arc<Namespace>>);

impl NamespaceTable {
    pub(super) fn new(config: &SocketIoConfig) -> Result<Self, SocketIoError> {
        let path = config.path.clone();
        if !path.starts_with('/') || !path.ends_with('/') || path.len() < 2 {
            return Err(SocketIoError::Path { path });
        }
        let all: Result<_, _> =
            config.namespaces.iter().map(|section| namespace(section).map(Arc::new)).collect();
        Ok(Self(all?))
    }

    pub(super) fn find(&self, listener: &str, name: &str) -> Option<&Arc<Namespace>> {
        self.0.iter().find(|namespace| {
            namespace.listener.as_deref().is_none_or(|only| only == listener)
                && namespace.pattern.matches(name)
        })
    }
}

impl Namespace {
    /// The channels that somebody joins as they connect. Without a user, those of users fall away.
    pub(super) fn channels(&self, user: Option<&str>) -> Vec<Channel> {
        let named = self.channels.iter().filter_map(|text| match (text.contains("{user}"), user) {
            (false, _) => Some(text.clone()),
            (true, Some(user)) => Some(text.replace("{user}", user)),
            (true, None) => None,
        });
        named.filter_map(|text| Channel::new(&text).ok()).collect()
    }

    pub(super) fn newest_first(&self, channel: &Channel) -> bool {
        self.newest_first.iter().any(|pattern| pattern.matches(channel.as_str()))
    }
}

fn namespace(section: &NamespaceSection) -> Result<Namespace, SocketIoError> {
    let name = if section.name.is_empty() { "/" } else { &section.name };
    if !name.starts_with('/') || name.contains([',', '?']) || name.len() > 255 {
        return Err(SocketIoError::Name { name: name.to_owned() });
    }
    let wrong = |setting, value: &str, detail: String| SocketIoError::Value {
        name: name.to_owned(),
        setting,
        value: value.to_owned(),
        detail,
    };
    for channel in &section.channels {
        Channel::new(&channel.replace("{user}", "user"))
            .map_err(|error| wrong("channels", channel, error.to_string()))?;
    }
    let data = section.welcome_data.as_deref().unwrap_or("null");
    serde_json::from_str::<&RawValue>(data)
        .map_err(|error| wrong("welcome_data", data, error.to_string()))?;
    let welcome = section.welcome_event.as_deref().map(EventName::new).transpose();
    let welcome = welcome.map_err(|error| wrong("welcome_event", &error.name, error.to_string()))?;
    let emit_to = section
        .emit_to
        .as_deref()
        .map(|text| Channel::new(text).map_err(|error| wrong("emit_to", text, error.to_string())));
    Ok(Namespace {
        pattern: ChannelPattern::new(name),
        listener: section.listener.clone(),
        channels: section.channels.clone(),
        welcome: welcome.map(|event| (event, data.to_owned())),
        recovery: section.recovery,
        emit_to: emit_to.transpose()?,
        subscribe: section.subscribe,
        newest_first: section.newest_first.iter().map(|text| ChannelPattern::new(text)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(name: &str) -> NamespaceSection {
        NamespaceSection { name: name.to_owned(), ..NamespaceSection::default() }
    }

    fn namespaces(sections: Vec<NamespaceSection>) -> Result<NamespaceTable, SocketIoError> {
        NamespaceTable::new(&SocketIoConfig { namespaces: sections, ..SocketIoConfig::default() })
    }

    #[test]
    fn the_first_namespace_whose_name_and_listener_fit_decides() {
        let other = NamespaceSection {
            listener: Some("3001".into()),
            channels: vec!["pipeline".into(), "user_{user}".into()],
            ..section("/")
        };
        let all = namespaces(vec![other, section("/"), section("/team-*")]).expect("sound");
        let channels = |listener, name, user| {
            let found = all.find(listener, name)?.channels(user);
            Some(found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(channels("3001", "/", None), Some(vec!["pipeline".into()]));
        assert_eq!(channels("3001", "/", Some("u1")), Some(vec!["pipeline".into(), "user_u1".into()]));
        assert_eq!(channels("main", "/", None), Some(vec![]));
        assert_eq!(channels("main", "/team-a", None), Some(vec![]));
        assert_eq!(channels("main", "/team", None), None);
    }

    #[test]
    fn a_namespace_that_cannot_be_is_refused_by_name() {
        let check = |section: NamespaceSection, words: &str| {
            let error = namespaces(vec![section]).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        };
        check(section("chat"), "\"chat\"");
        check(section("/a,b"), "\"/a,b\"");
        check(NamespaceSection { channels: vec!["a b".into()], ..section("/") }, "channels is \"a b\"");
        check(NamespaceSection { welcome_data: Some("{".into()), ..section("/") }, "welcome_data");
        check(NamespaceSection { welcome_event: Some(String::new()), ..section("/") }, "welcome_event");
        check(NamespaceSection { emit_to: Some(String::new()), ..section("/") }, "emit_to");
        let bad = SocketIoConfig { path: "socket.io".into(), ..SocketIoConfig::default() };
        assert!(matches!(NamespaceTable::new(&bad), Err(SocketIoError::Path { .. })));
    }
}
