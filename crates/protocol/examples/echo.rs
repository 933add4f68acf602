//! An echo server over plain sockets: what `conformance/autobahn` judges.
//!
//! `cargo run --release -p anywire-protocol --example echo -- 127.0.0.1:9001` prints its URL when it is ready.
//!
//! Knows: tokio's sockets. Does not know: the log, the gateway.

use std::{env, io, time::Duration};

use anywire_protocol::websocket::{
    Limits, Opcode, Received, Receiver, Violation, accept, close_frame, close_reply_frame, frame_header,
    pong_frame,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// The largest message of the suite is 16 MiB.
const LIMITS: Limits = Limits { message_bytes_max: 16 << 20 };
const HEAD_BYTES_MAX: usize = 16 << 10;
const LINGER: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let listener = TcpListener::bind(address).await?;
    println!("ws://{}/", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = serve(socket).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn serve(mut socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut input = shake_hands(&mut socket).await?;
    let mut receiver = Receiver::new();
    let mut output = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let outcome = receiver.receive(&mut input, &LIMITS, &mut |item| answer(item, &mut output));
        if let Err(Violation { close_code, reason }) = outcome {
            output.extend(close_frame(close_code, reason));
        }
        socket.write_all(&output).await?;
        output.clear();
        if receiver.is_closed() {
            return linger(socket, &mut buffer).await;
        }
        let len = socket.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        input.clear();
        input.extend_from_slice(&buffer[..len]);
    }
}

/// Answers the handshake and gives back the bytes that came behind it.
async fn shake_hands(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while head.len() < HEAD_BYTES_MAX && socket.read_buf(&mut head).await? > 0 {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let status = request.parse(&head).map_err(io::Error::other)?;
        if let httparse::Status::Complete(len) = status {
            let headers = request.headers.iter().map(|header| (header.name, header.value));
            let accepted =
                accept(request.method.unwrap_or_default(), headers, &[]).map_err(io::Error::other)?;
            socket.write_all(&accepted.response()).await?;
            return Ok(head.split_off(len));
        }
    }
    Err(io::Error::other("the request's head did not end"))
}

fn answer(item: Received<'_>, output: &mut Vec<u8>) {
    match item {
        Received::Text(text) => echo(Opcode::Text, text.as_bytes(), output),
        Received::Binary(bytes) => echo(Opcode::Binary, bytes, output),
        Received::Ping(payload) => output.extend(pong_frame(payload)),
        Received::Pong(_) => {}
        Received::Close { code, .. } => output.extend(close_reply_frame(code)),
    }
}

fn echo(opcode: Opcode, payload: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(frame_header(opcode, payload.len()).as_slice());
    output.extend_from_slice(payload);
}

/// Ends our side first and reads the rest, so that no reset overtakes the close frame.
async fn linger(mut socket: TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    socket.shutdown().await?;
    let drained = timeout(LINGER, async {
        while socket.read(buffer).await? > 0 {}
        io::Result::Ok(())
    });
    drained.await.unwrap_or(Ok(()))
}
