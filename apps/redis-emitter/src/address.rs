//! The address of Redis, with the settings its connection gets.

use std::time::Duration;

use redis::{Client, IntoConnectionInfo, RedisResult};

/// A peer that went away without a word is noticed after about a minute.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);

/// Reads an address.
pub(crate) fn client(url: &str) -> RedisResult<Client> {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    let info = url.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_keepalive(keepalive).set_nodelay(true);
    Client::open(info.set_tcp_settings(tcp))
}
