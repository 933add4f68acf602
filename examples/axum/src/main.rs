//! Anywire mounted in somebody's own axum application.

use std::net::SocketAddr;

use anywire::{Anywire, Settings};
use axum::{Router, routing::get};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let anywire = Anywire::start(Settings::default().finish()?).await?;
    let own = Router::new().route("/hello", get(async || "hello from the application"));
    let app = own.merge(anywire.gateway().router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    // With the addresses of peers: without keys only this machine is let in.
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
