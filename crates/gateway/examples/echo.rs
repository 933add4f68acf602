//! An echo server made of the gateway's own sockets and framing: what `conformance/autobahn` judges.
//!
//! `cargo run --release -p anywire-gateway --features echo --example echo -- 127.0.0.1:9001` prints its URL
//! when it is ready.

use std::sync::Arc;

use anywire_gateway::{Gateway, GatewayConfig};
use anywire_log::{Log, MemoryEngine, RetentionRules, SystemClock, TailConfig};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let rules = RetentionRules::default();
    let engine = Arc::new(MemoryEngine::new(rules.clone(), Arc::new(SystemClock))?);
    let log = Log::start(engine, rules, TailConfig::default());
    let gateway = Gateway::start(log, GatewayConfig::default(), Arc::new(SystemClock))?;
    let listener = TcpListener::bind(address).await?;
    println!("ws://{}/", listener.local_addr()?);
    Ok(gateway.serve_echo(listener).await?)
}
