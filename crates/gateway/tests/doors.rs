//! By which name, through which proxy and on which way a request may come.

mod support;

use anywire_gateway::{AuthConfig, GatewayConfig, LimitsConfig};
use support::{Server, server, server_with};

/// What keeps a request off the direct path, or does not.
const PATHS: [&str; 2] = ["", "Content-Length: 0\n"];

async fn answer(server: &Server, head: &str) -> String {
    server.request(head).await.until("\r\n\r\n").await.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_names_one_host_and_it_is_one() {
    let server = server().await;
    for target in ["/anywire/poll?channels=a", "/anywire/sse?channels=a", "/anywire/presence?channel=a"] {
        for more in PATHS {
            for (hosts, status) in [
                ("Host: 127.0.0.1\n", "200"),
                ("Host: [::1]:8000\n", "200"),
                ("", "400"),
                ("Host: 127.0.0.1\nHost: 127.0.0.1\n", "400"),
                ("Host: 127.0.0.1\nHost: evil.example\n", "400"),
                ("Host: 127.0.0.1:1.evil.example\n", "400"),
                ("Host: [::1]evil.example\n", "400"),
                ("Host: user@127.0.0.1\n", "400"),
                ("Host: \n", "400"),
                ("Host: evil.example\n", "403"),
            ] {
                let text = answer(&server, &format!("GET {target} HTTP/1.1\n{hosts}{more}\n")).await;
                assert!(
                    text.starts_with(&format!("HTTP/1.1 {status}")),
                    "{target} {hosts:?} {more:?}: {text}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_server_is_not_open_to_who_comes_through_a_proxy() {
    let closed = server().await;
    let auth = AuthConfig { open_behind_proxy: true, ..AuthConfig::default() };
    let open = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 1 << 20).await;
    for path in ["/anywire/poll?channels=a", "/anywire/sse?channels=a", "/socket.io/?EIO=4&transport=polling"]
    {
        for sign in [
            "Forwarded: for=192.0.2.7",
            "X-Forwarded-For: 192.0.2.7",
            "X-Forwarded-Proto: https",
            "X-Real-IP: 192.0.2.7",
            "Via: 1.1 proxy",
            "CF-Connecting-IP: 192.0.2.7",
        ] {
            for more in PATHS {
                let head = format!("GET {path} HTTP/1.1\nHost: 127.0.0.1:8000\n{sign}\n{more}\n");
                let text = answer(&closed, &head).await;
                assert!(text.starts_with("HTTP/1.1 403"), "{path} {sign}: {text}");
                let text = answer(&open, &head).await;
                assert!(text.starts_with("HTTP/1.1 200"), "{path} {sign}: {text}");
            }
        }
    }
    // nginx, where nothing but the address behind it is configured.
    let stock = "GET /anywire/poll?channels=a HTTP/1.0\nHost: 127.0.0.1:8000\nConnection: close\n\n";
    let text = closed.request(stock).await.until("auth.open_behind_proxy").await.to_owned();
    assert!(text.starts_with("HTTP/1.0 403"), "{text}");
    assert!(answer(&open, stock).await.starts_with("HTTP/1.0 200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_that_a_trusted_proxy_names_is_the_one_that_is_shown() {
    let auth = AuthConfig { open_behind_proxy: true, ..AuthConfig::default() };
    let limits = LimitsConfig { trusted_proxies: vec!["127.0.0.0/8".into()], ..LimitsConfig::default() };
    let trusting = server_with(GatewayConfig { auth, limits, ..GatewayConfig::default() }, 1 << 20).await;
    let auth = AuthConfig { open_behind_proxy: true, ..AuthConfig::default() };
    let other = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 1 << 20).await;
    for (server, address) in [(&trusting, "192.0.2.7"), (&other, "127.0.0.1")] {
        for more in PATHS {
            let line = "X-Forwarded-For: 198.51.100.9, 192.0.2.7";
            let head = format!("GET /anywire/sse?channels=a HTTP/1.1\nHost: localhost\n{line}\n{more}\n");
            let mut reader = server.request(&head).await;
            reader.until("id: ").await;
            let clients = server.gateway.clients(10).1;
            assert!(clients.iter().all(|client| client.address.to_string() == address), "{clients:?}");
            assert!(!clients.is_empty());
        }
    }
}
