//! The connection to Redis: a thread that blocks, since then the socket itself bounds what is read.
//!
//! The library's asynchronous subscription puts messages into a queue without a bound; here nothing is read
//! while the log cannot take it. What piles up then is Redis', which has a limit of its own
//! (`client-output-buffer-limit pubsub`) and ends the connection.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use redis::RedisResult;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use crate::{address::client, shared::Shared};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How often a silent connection looks whether the server stops.
const READ_WITHIN: Duration = Duration::from_millis(200);
const RETRY_MIN: Duration = Duration::from_millis(100);
/// How much may wait between this thread and the log, in bytes. A message that is larger waits alone.
const WAITING_BYTES_MAX: u32 = 8 << 20;

/// Whose format a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Node,
    Python,
}

/// A message as Redis gave it.
pub(crate) struct Received {
    pub(crate) source: Source,
    pub(crate) bytes: Vec<u8>,
    /// Its share of [`WAITING_BYTES_MAX`], given back when it is dealt with.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// Listens until the server stops, connecting again whenever it must.
pub(crate) fn listen(emitters: &Shared, sender: &mpsc::Sender<Received>, runtime: &Handle) {
    let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX as usize));
    let session = Session { emitters, sender, runtime, room };
    let pause_max = Duration::from_millis(u64::from(emitters.config.retry_ms_max));
    let mut pause = RETRY_MIN;
    while !session.ends() {
        let ended = session.run();
        let was_connected = emitters.metrics.connected.swap(false, Relaxed);
        if session.ends() {
            return;
        }
        emitters.metrics.connections_lost.fetch_add(1, Relaxed);
        if was_connected {
            pause = RETRY_MIN;
        }
        let error = ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
        let pause_ms = pause.as_millis() as u64;
        tracing::warn!(
            pause_ms,
            "no connection to socketio.redis.url: {error}; what emitters publish meanwhile is lost, for Redis keeps nothing"
        );
        let shutdown = &emitters.context.shutdown;
        let _stopped = runtime.block_on(tokio::time::timeout(pause, shutdown.cancelled()));
        pause = (pause * 2).min(pause_max);
    }
}

struct Session<'a> {
    emitters: &'a Shared,
    sender: &'a mpsc::Sender<Received>,
    runtime: &'a Handle,
    room: Arc<Semaphore>,
}

impl Session<'_> {
    fn ends(&self) -> bool {
        self.emitters.context.shutdown.is_cancelled() || self.sender.is_closed()
    }

    /// One connection, until it breaks or the server stops.
    fn run(&self) -> RedisResult<()> {
        let config = &self.emitters.config;
        let client = client(config.url.as_deref().unwrap_or_default())?;
        let mut connection = client.get_connection_with_timeout(CONNECT_WITHIN)?;
        connection.set_write_timeout(Some(CONNECT_WITHIN))?;
        connection.set_read_timeout(Some(CONNECT_WITHIN))?;
        let mut subscriber = connection.as_pubsub();
        if !config.emitter_key.is_empty() {
            subscriber.psubscribe(pattern(&config.emitter_key))?;
        }
        if !config.python_channel.is_empty() {
            subscriber.subscribe(&config.python_channel)?;
        }
        subscriber.set_read_timeout(Some(READ_WITHIN))?;
        self.emitters.metrics.connected.store(true, Relaxed);
        tracing::info!("listening to emitters in Redis");
        while !self.ends() {
            match subscriber.get_message() {
                Ok(message) => {
                    let source = if message.from_pattern() { Source::Node } else { Source::Python };
                    self.hand_over(source, message.get_payload()?);
                }
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until there is room for it, or until the server stops.
    fn hand_over(&self, source: Source, bytes: Vec<u8>) {
        self.emitters.metrics.received.fetch_add(1, Relaxed);
        let share = u32::try_from(bytes.len()).unwrap_or(u32::MAX).clamp(1, WAITING_BYTES_MAX);
        let send = async {
            // The semaphore is never closed, and a closed queue means that the server stops.
            if let Ok(room) = Arc::clone(&self.room).acquire_many_owned(share).await {
                let _stopped = self.sender.send(Received { source, bytes, _room: room }).await;
            }
        };
        self.runtime.block_on(send);
    }
}

/// Redis' pattern for all channels of a key: `socket.io#*`, with what is special in patterns taken literally.
fn pattern(key: &str) -> String {
    let mut pattern = String::with_capacity(key.len() + 2);
    for character in key.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "#*"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_literally() {
        assert_eq!(pattern("socket.io"), "socket.io#*");
        assert_eq!(pattern("a*[b]"), "a\\*\\[b\\]#*");
    }

    #[test]
    fn an_address_is_checked_before_anything_is_connected() {
        assert!(client("redis://:secret@127.0.0.1:6379/2").is_ok());
        assert!(client("redis+unix:///run/redis/redis.sock").is_ok());
        assert!(client("http://127.0.0.1").is_err());
        assert!(client("not an address").is_err());
    }
}
