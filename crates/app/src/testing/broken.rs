//! Calls over a real connection that breaks right after they were sent.

use std::net::SocketAddr;

use axum::Router;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

/// How many different moments a connection breaks at.
const MOMENTS: usize = 30;

/// Serves routes on a free port of the loopback, until the runtime ends.
///
/// # Panics
/// Where there is no port.
pub async fn serve(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// Sends a call and resets the connection without an answer, at another moment for each number.
///
/// # Panics
/// Where nobody listens.
pub async fn send_and_reset(
    address: SocketAddr,
    number: usize,
    (method, path): (&str, &str),
    headers: &str,
    body: &[u8],
) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).await.expect("sent");
    stream.set_zero_linger().expect("a socket");
    for _ in 0..number % MOMENTS {
        tokio::task::yield_now().await;
    }
}
