//! What an emitter said, and the publications it becomes.

use std::{borrow::Cow, collections::HashSet};

use anywire_app::Owned;
use anywire_log::{Channel, ChannelError, EventName, EventNameError, Payload, Publication};

use crate::{
    config::{NAMESPACE, ROOM, RedisConfig},
    pickle::PickleError,
    value::ValueError,
};

/// What the rest of the server demands of publications.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Payload bytes of one event (`limits.message_bytes_max`).
    pub message_bytes_max: usize,
    /// Channels that the server's own applications write to.
    pub owned: Vec<Owned>,
}

/// One `emit` in another process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Emission<'a> {
    pub(crate) namespace: Cow<'a, str>,
    pub(crate) event: Cow<'a, str>,
    pub(crate) payload: Payload,
    /// Empty: everybody.
    pub(crate) rooms: Vec<Cow<'a, str>>,
}

/// Why a message is not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it has {bytes} bytes, the limit is {max} (limits.message_bytes_max); send less")]
    TooLarge { bytes: usize, max: usize },
    #[error("it is no message of this kind of emitter: {0}")]
    Format(String),
    #[error("it is pickled, and {0}; python-socketio 5.14 and newer send JSON")]
    Pickle(#[from] PickleError),
    #[error("its data cannot be JSON: {0}")]
    Data(#[from] ValueError),
    #[error("it asks for {0:?}; only events are taken, and only a Socket.IO server can do that")]
    Request(String),
    #[error("it leaves some clients out ({0}), which a log cannot; publish to a room without them")]
    Except(&'static str),
    #[error("it wants an acknowledgement; only a Socket.IO server can give one")]
    Acknowledgement,
    #[error("it names {rooms} rooms, the limit is {max} (socketio.redis.rooms_max)")]
    TooManyRooms { rooms: usize, max: usize },
    #[error("{0}")]
    Channel(#[from] ChannelError),
    #[error("channel {0} belongs to the server; use another room")]
    Reserved(Channel),
    #[error("{0}")]
    Event(#[from] EventNameError),
}

/// Which channels rooms and namespaces are.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    room_channel: String,
    broadcast_channel: String,
    rooms_max: usize,
    rules: Rules,
}

impl Mapping {
    pub(crate) fn new(config: &RedisConfig, rules: Rules) -> Self {
        Self {
            room_channel: config.room_channel.clone(),
            broadcast_channel: config.broadcast_channel.clone(),
            rooms_max: config.rooms_max,
            rules,
        }
    }

    pub(crate) fn message_bytes_max(&self) -> usize {
        self.rules.message_bytes_max
    }

    /// The publications of one emission, a channel once however many rooms it stands for.
    pub(crate) fn publications(&self, emission: &Emission<'_>) -> Result<Vec<Publication>, Refused> {
        let (rooms, max) = (emission.rooms.len(), self.rooms_max);
        if rooms > max {
            return Err(Refused::TooManyRooms { rooms, max });
        }
        let (bytes, max) = (emission.payload.as_bytes().len(), self.rules.message_bytes_max);
        if bytes > max {
            return Err(Refused::TooLarge { bytes, max });
        }
        let name = EventName::new(&emission.event)?;
        let mut seen = HashSet::new();
        let mut publications = Vec::new();
        for channel in self.channels(emission) {
            let channel = self.allowed(&channel)?;
            if seen.insert(channel.clone()) {
                let (name, payload) = (name.clone(), emission.payload.clone());
                publications.push(Publication { channel, name, payload });
            }
        }
        Ok(publications)
    }

    fn channels(&self, emission: &Emission<'_>) -> Vec<String> {
        if emission.rooms.is_empty() {
            return vec![self.broadcast_channel.replace(NAMESPACE, &emission.namespace)];
        }
        // The namespace first: a room may be named "{namespace}", and must not become one.
        let template = self.room_channel.replace(NAMESPACE, &emission.namespace);
        emission.rooms.iter().map(|room| template.replace(ROOM, room)).collect()
    }

    fn allowed(&self, name: &str) -> Result<Channel, Refused> {
        let channel = Channel::new(name)?;
        if channel.is_reserved() || self.rules.owned.iter().any(|owned| owned.refuses(&channel, true)) {
            return Err(Refused::Reserved(channel));
        }
        Ok(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(change: impl FnOnce(&mut RedisConfig)) -> Mapping {
        let mut config = RedisConfig::default();
        change(&mut config);
        let owned = vec![Owned::state("jobs"), Owned::state("performance:*"), Owned::shown("progress_*")];
        Mapping::new(&config, Rules { message_bytes_max: 100, owned })
    }

    fn emission<'a>(namespace: &'a str, rooms: &[&'a str]) -> Emission<'a> {
        Emission {
            namespace: namespace.into(),
            event: "news".into(),
            payload: Payload::null(),
            rooms: rooms.iter().map(|room| Cow::Borrowed(*room)).collect(),
        }
    }

    fn channels(mapping: &Mapping, emission: &Emission<'_>) -> Result<Vec<String>, String> {
        let named = |publication: &Publication| publication.channel.to_string();
        let publications = mapping.publications(emission).map_err(|refused| refused.to_string())?;
        Ok(publications.iter().map(named).collect())
    }

    #[test]
    fn a_room_is_a_channel_and_everybody_is_the_namespaces_channel() {
        let mapping = mapping(|_| ());
        assert_eq!(channels(&mapping, &emission("/", &["a", "b", "a"])), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(channels(&mapping, &emission("/", &[])), Ok(vec!["broadcast:/".into()]));
        assert_eq!(channels(&mapping, &emission("/chat", &[])), Ok(vec!["broadcast:/chat".into()]));
    }

    #[test]
    fn namespaces_can_be_told_apart_in_the_names_of_channels() {
        let mapping = mapping(|config| config.room_channel = "{namespace}#{room}".into());
        assert_eq!(channels(&mapping, &emission("/chat", &["a"])), Ok(vec!["/chat#a".into()]));
        // A room cannot smuggle a namespace in.
        assert_eq!(channels(&mapping, &emission("/", &["{namespace}"])), Ok(vec!["/#{namespace}".into()]));
    }

    #[test]
    fn what_nobody_may_publish_is_refused_with_the_setting_or_a_way_out() {
        let mapping = mapping(|config| config.rooms_max = 2);
        let refusal = |emission: &Emission<'_>| channels(&mapping, emission).expect_err("refused");
        assert!(refusal(&emission("/", &["jobs"])).contains("belongs to the server"));
        assert!(refusal(&emission("/", &["performance:alerts"])).contains("belongs to the server"));
        assert!(refusal(&emission("/", &["$presence:a"])).contains("belongs to the server"));
        assert!(refusal(&emission("/", &["a b"])).contains("white space"));
        assert!(refusal(&emission("/", &["a", "b", "c"])).contains("socketio.redis.rooms_max"));
        let large = Emission { payload: Payload::Json(vec![b' '; 101].into()), ..emission("/", &["a"]) };
        assert!(refusal(&large).contains("limits.message_bytes_max"));
        let nameless = Emission { event: "".into(), ..emission("/", &["a"]) };
        assert!(refusal(&nameless).contains("no event name"));
    }
}
