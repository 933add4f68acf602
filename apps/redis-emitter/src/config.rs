//! What can be set for emitters in other processes.

use anywire_log::{Channel, ChannelError};
use anywire_settings::{OutOfRange, SettingValue, settings};

settings! {
    /// Where emitters publish, and what becomes of it.
    #[derive(PartialEq, Eq)]
    pub struct RedisConfig {
        /// The Redis to listen to: `redis://user:password@host:6379/0`, or
        /// `redis+unix:///run/redis/redis.sock`. Without it nobody listens.
        pub url: Option<String> = None;
        /// What `@socket.io/redis-emitter` was given as `key`. An empty text listens to none of them.
        pub emitter_key: String = "socket.io".to_owned();
        /// What python-socketio's `RedisManager` was given as `channel`. An empty text listens to none of
        /// them.
        pub python_channel: String = "socketio".to_owned();
        /// The channel an event for a room is published to; `{room}` and `{namespace}` stand for names.
        pub room_channel: String = ROOM.to_owned();
        /// The channel an event without a room is published to; `{namespace}` stands for the name.
        pub broadcast_channel: String = "broadcast:{namespace}".to_owned();
        /// How many rooms one event may name.
        pub rooms_max: usize = 100, in 1..=10_000;
        /// The longest pause before connecting again; the first is 100 ms, each is twice the one before.
        pub retry_ms_max: u32 = 10_000, in 100..=600_000;
    }
}

/// Stands for the room in `room_channel`.
pub(crate) const ROOM: &str = "{room}";
/// Stands for the namespace in both templates.
pub(crate) const NAMESPACE: &str = "{namespace}";

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number outside its range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
    /// A template that makes no channel name.
    #[error("socketio.redis.{field} is {value:?}, which makes no channel name: {error}")]
    Template {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with the name.
        error: ChannelError,
    },
    /// All rooms would be one channel.
    #[error(
        "socketio.redis.room_channel is {value:?}; it must hold {{room}}, or all rooms would be one channel"
    )]
    OneRoom {
        /// Its value.
        value: String,
    },
    /// Nothing to listen to.
    #[error(
        "socketio.redis.url is set, but emitter_key and python_channel are both empty; set one, or remove the url"
    )]
    Deaf,
    /// The address is none.
    #[error(
        "socketio.redis.url is no address of a Redis: {detail}; expected redis://host:6379/0 or redis+unix:///path"
    )]
    Url {
        /// What the library said.
        detail: String,
    },
    /// This program was built without it.
    #[error(
        "socketio.redis.url is set, but this program was built without Redis; build it with --features redis"
    )]
    NotBuilt,
}

impl RedisConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_ranges("socketio.redis")?;
        if !self.room_channel.contains(ROOM) {
            return Err(ConfigError::OneRoom { value: self.room_channel.clone() });
        }
        template("room_channel", &self.room_channel)?;
        template("broadcast_channel", &self.broadcast_channel)?;
        match &self.url {
            None => Ok(()),
            Some(_) if self.emitter_key.is_empty() && self.python_channel.is_empty() => {
                Err(ConfigError::Deaf)
            }
            Some(url) => address(url),
        }
    }
}

fn template(field: &'static str, value: &str) -> Result<(), ConfigError> {
    let example = value.replace(ROOM, "r").replace(NAMESPACE, "/");
    match Channel::new(&example) {
        Ok(_) => Ok(()),
        Err(error) => Err(ConfigError::Template { field, value: value.to_owned(), error }),
    }
}

#[cfg(feature = "redis")]
fn address(url: &str) -> Result<(), ConfigError> {
    crate::address::client(url).map(drop).map_err(|error| ConfigError::Url { detail: error.to_string() })
}

#[cfg(not(feature = "redis"))]
fn address(_url: &str) -> Result<(), ConfigError> {
    Err(ConfigError::NotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut RedisConfig)) -> String {
        let mut config = RedisConfig::default();
        change(&mut config);
        config.check().expect_err("it cannot be").to_string()
    }

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(RedisConfig::default().check(), Ok(()));
    }

    #[test]
    fn what_cannot_be_is_named_with_its_value_and_a_way_out() {
        assert!(refusal(|config| config.rooms_max = 0).contains("rooms_max is 0; set it between 1 and"));
        assert!(refusal(|config| config.room_channel = "all".into()).contains("must hold {room}"));
        assert!(
            refusal(|config| config.broadcast_channel = "a b".into())
                .contains("broadcast_channel is \"a b\"")
        );
        let deaf = |config: &mut RedisConfig| {
            config.url = Some("redis://127.0.0.1".into());
            config.emitter_key.clear();
            config.python_channel.clear();
        };
        assert!(refusal(deaf).contains("both empty"));
        assert!(refusal(|config| config.url = Some("http://x".into())).contains("socketio.redis.url"));
    }
}
