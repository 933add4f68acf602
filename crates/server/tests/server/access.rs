//! People: signing in, what a session counts for, and what attackers try.

use serde_json::{Value, json};

use crate::support::{Answer, Server, server};

pub(crate) const KEY: &str = "0123456789abcdef";
pub(crate) const BEARER: (&str, &str) = ("Authorization", "Bearer 0123456789abcdef");
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const OWN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");

pub(crate) async fn guarded() -> Server {
    server(&[&format!("auth.api_keys=['{KEY}']")]).await
}

/// Somebody with an account, signed in; what the cookie holds.
pub(crate) async fn signed_in(server: &Server, name: &str, role: &str) -> String {
    let wish = json!({ "name": name, "password": PASSWORD, "roles": [role] });
    let added = server.send("POST", "/api/access/users", &[BEARER], &wish.to_string()).await;
    assert_eq!(added.status, 201, "{}", added.text);
    cookie(&sign_in(server, name, PASSWORD, &[]).await)
}

pub(crate) async fn sign_in(server: &Server, name: &str, password: &str, headers: &[(&str, &str)]) -> Answer {
    let wish = json!({ "name": name, "password": password }).to_string();
    server.send("POST", "/api/access/sign-in", headers, &wish).await
}

/// `name=value` of the cookie that an answer sets.
pub(crate) fn cookie(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

async fn me(server: &Server, cookie: &str) -> Value {
    server.send("GET", "/api/access/me", &[("Cookie", cookie)], "").await.json()
}

#[tokio::test]
async fn whoever_signs_in_is_somebody_until_they_sign_out() {
    let server = guarded().await;
    let nobody = server.get("/api/access/me").await.json();
    assert_eq!((&nobody["user"], &nobody["ways"]), (&Value::Null, &json!(["key"])));
    let cookie = signed_in(&server, "anna", "viewer").await;
    assert!(cookie.starts_with("anywire=") && cookie.len() > 40, "{cookie}");
    let anna = me(&server, &cookie).await;
    assert_eq!((&anna["name"], &anna["roles"]), (&json!("anna"), &json!(["viewer"])));
    let with = [("Cookie", cookie.as_str()), OWN];
    assert_eq!(server.send("GET", "/api/jobs", &with, "").await.status, 200);
    let refused = server.send("PUT", "/api/performance/alerts", &with, "{\"rules\":[]}").await;
    assert_eq!(refused.json()["code"], "forbidden", "a viewer changes nothing");
    let out = server.send("POST", "/api/access/sign-out", &with, "").await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(me(&server, &cookie).await["user"], Value::Null);
    let ended = server.send("GET", "/api/jobs", &with, "").await;
    assert_eq!((ended.status.as_u16(), &ended.json()["code"]), (401, &json!("unauthorized")));
    assert!(ended.text.contains("the session has ended"), "{}", ended.text);
}

#[tokio::test]
async fn the_cookie_is_protected_where_the_page_is() {
    let server = guarded().await;
    signed_in(&server, "anna", "viewer").await;
    let host = server.address.to_string();
    let origin = format!("https://{host}");
    let answer = sign_in(&server, "anna", PASSWORD, &[("Origin", &origin)]).await;
    let line = answer.header("set-cookie");
    assert!(line.starts_with("__Host-anywire=") && line.contains("; Secure"), "{line}");
    assert!(line.contains("; HttpOnly; SameSite=Lax"), "{line}");
}

#[tokio::test]
async fn a_cookie_that_was_laid_under_somebody_is_worth_nothing_after_they_signed_in() {
    let server = guarded().await;
    let attackers = signed_in(&server, "mallory", "viewer").await;
    signed_in(&server, "anna", "admin").await;
    for laid in [attackers.as_str(), "anywire=chosen-by-the-attacker"] {
        let own = cookie(&sign_in(&server, "anna", PASSWORD, &[("Cookie", laid), OWN]).await);
        assert_ne!(own, laid);
        assert_eq!(me(&server, &own).await["name"], "anna");
        assert_eq!(me(&server, laid).await["user"], Value::Null, "{laid} is over");
    }
}

#[tokio::test]
async fn passwords_can_be_tried_ten_times_and_names_are_not_told() {
    let server = guarded().await;
    signed_in(&server, "anna", "viewer").await;
    let wrong = sign_in(&server, "anna", "wrong horse", &[]).await;
    let unknown = sign_in(&server, "nobody-of-this-name", "wrong horse", &[]).await;
    assert_eq!((wrong.status.as_u16(), &wrong.text), (401, &unknown.text));
    for _ in 2..10 {
        assert_eq!(sign_in(&server, "anna", "wrong horse", &[]).await.status, 401);
    }
    for (name, password) in [("anna", PASSWORD), ("anna", "wrong horse"), ("another", "wrong horse")] {
        let refused = sign_in(&server, name, password, &[]).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (429, &json!("rate_limited")));
        assert!(!refused.header("retry-after").is_empty());
    }
}

#[tokio::test]
async fn no_other_page_can_use_a_session() {
    let server = server(&[&format!("auth.api_keys=['{KEY}']"), "auth.origins=['https://app.example']"]).await;
    let cookie = signed_in(&server, "anna", "admin").await;
    let with_cookie = ("Cookie", cookie.as_str());
    let own = format!("http://{}", server.address);
    let publication = r#"{"channel":"a","event":"e","data":1}"#;
    for (headers, expected) in [
        (vec![OWN], 200),
        (vec![("Origin", own.as_str())], 200),
        (vec![], 403),
        (vec![("Origin", "https://app.example")], 403),
        (vec![("Sec-Fetch-Site", "same-site")], 403),
        (vec![("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")], 403),
        (vec![OWN, ("Content-Type", "text/plain")], 415),
        (vec![OWN, ("Content-Type", "application/x-www-form-urlencoded")], 415),
    ] {
        let all: Vec<_> = [with_cookie].into_iter().chain(headers.iter().copied()).collect();
        let published = server.send("POST", "/anywire/publish", &all, publication).await;
        assert_eq!(published.status.as_u16(), expected, "publish {headers:?}: {}", published.text);
        let added = server.send("DELETE", "/api/access/keys/none", &all, "").await;
        let expected = if expected == 200 { 404 } else { expected };
        assert_eq!(added.status.as_u16(), expected, "manage {headers:?}: {}", added.text);
    }
    let login = sign_in(&server, "anna", PASSWORD, &[("Sec-Fetch-Site", "cross-site")]).await;
    assert_eq!((login.status.as_u16(), login.header("set-cookie")), (403, ""), "no page signs others in");
    let form = [OWN, ("Content-Type", "text/plain")];
    assert_eq!(sign_in(&server, "anna", PASSWORD, &form).await.status, 415);
}

#[tokio::test]
async fn what_is_on_the_channels_of_accounts_is_told_to_nobody() {
    let server = guarded().await;
    let cookie = signed_in(&server, "anna", "admin").await;
    for headers in [[BEARER, OWN], [("Cookie", cookie.as_str()), OWN]] {
        for target in [
            "/anywire/poll?channels=$access&after=0",
            "/anywire/poll?channels=$audit",
            "/anywire/presence?channel=$access",
        ] {
            assert_eq!(server.send("GET", target, &headers, "").await.status, 403, "{target}");
        }
        let body = r#"{"channel":"$access","event":"user","data":1}"#;
        assert_eq!(server.send("POST", "/anywire/publish", &headers, body).await.status, 403);
        let listed = server.send("GET", "/api/channels?prefix=$", &headers, "").await;
        assert!(!listed.text.contains("$access") && !listed.text.contains("$audit"), "{}", listed.text);
    }
}

#[tokio::test]
async fn the_first_account_closes_an_open_server_and_the_last_admin_stays() {
    let server = server(&[]).await;
    let open = server.get("/api/access/me").await.json();
    assert_eq!((&open["open"], &open["grants"]), (&json!(true), &json!(["*"])));
    let wish = json!({ "name": "anna", "roles": ["admin"] }).to_string();
    let added = server.send("POST", "/api/access/users", &[], &wish).await.json();
    let (id, password) = (added["id"].as_str().expect("an id"), added["password"].as_str().expect("made"));
    assert!(password.len() >= 15, "{password}");
    assert_eq!(server.get("/api/jobs").await.status, 401, "nobody gets in any more who does not say who");
    let cookie = cookie(&sign_in(&server, "anna", password, &[]).await);
    let with = [("Cookie", cookie.as_str()), OWN];
    let target = format!("/api/access/users/{id}");
    for (method, body) in
        [("PATCH", r#"{"disabled":true}"#), ("PATCH", r#"{"roles":["viewer"]}"#), ("DELETE", "")]
    {
        let refused = server.send(method, &target, &with, body).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (409, &json!("last_admin")), "{body}");
    }
}

#[tokio::test]
async fn keys_are_made_used_and_taken_back_and_all_is_written_down() {
    let server = guarded().await;
    let cookie = signed_in(&server, "anna", "admin").await;
    let with = [("Cookie", cookie.as_str()), OWN];
    let wish = json!({ "name": "reports", "roles": ["publisher"] }).to_string();
    let made = server.send("POST", "/api/access/keys", &with, &wish).await.json();
    let bearer = format!("Bearer {}", made["key"].as_str().expect("told once"));
    let publish = async || {
        let headers = [("Authorization", bearer.as_str())];
        server.send("POST", "/anywire/publish", &headers, r#"{"channel":"a","event":"e","data":1}"#).await
    };
    assert_eq!(publish().await.status, 200);
    let listed = server.send("GET", "/api/access/keys", &with, "").await;
    assert!(!listed.text.contains(made["key"].as_str().expect("told")), "{}", listed.text);
    assert_eq!(server.send("POST", "/api/access/keys", &with, &wish).await.json()["code"], "name_taken");
    let target = format!("/api/access/keys/{}", made["id"].as_str().expect("an id"));
    assert_eq!(server.send("DELETE", &target, &with, "").await.status, 204);
    assert_eq!(publish().await.status, 401);
    let audit = server.send("GET", "/api/access/audit", &with, "").await;
    let lines: Vec<Value> =
        audit.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let what: Vec<&str> = lines.iter().filter_map(|line| line["what"].as_str()).collect();
    assert_eq!(what, ["user-added", "sign-in", "key-added", "key-revoked"]);
    assert_eq!((&lines[3]["name"], &lines[3]["whom"]), (&json!("anna"), &json!("reports")));
    let rest = format!("/api/access/audit?after={}", lines[2]["cursor"].as_str().expect("a cursor"));
    assert_eq!(server.send("GET", &rest, &with, "").await.text.lines().count(), 1);
    assert!(!audit.text.contains(PASSWORD) && !audit.text.contains("argon2"), "{}", audit.text);
}

#[tokio::test]
async fn who_may_not_do_everything_gives_and_takes_it_from_nobody() {
    let server =
        server(&[&format!("auth.api_keys=['{KEY}']"), "auth.roles={ manager = ['access:manage'] }"]).await;
    signed_in(&server, "anna", "admin").await;
    signed_in(&server, "other", "admin").await;
    let manager = signed_in(&server, "max", "manager").await;
    let with = [("Cookie", manager.as_str()), OWN];
    let users = server.send("GET", "/api/access/users", &with, "").await.json();
    let anna = format!("/api/access/users/{}", users["users"][0]["id"].as_str().expect("an id"));
    let own = format!("/api/access/users/{}", users["users"][1]["id"].as_str().expect("an id"));
    for (method, target, body) in [
        ("POST", "/api/access/users", r#"{"name":"b","roles":["admin"]}"#),
        ("POST", "/api/access/keys", r#"{"name":"b","grants":["*"]}"#),
        ("PATCH", own.as_str(), r#"{"roles":["admin"]}"#),
        ("PATCH", anna.as_str(), r#"{"password":"another horse"}"#),
        ("DELETE", anna.as_str(), ""),
        ("POST", "/api/access/revoke", r#"{"user":"anna"}"#),
    ] {
        let refused = server.send(method, target, &with, body).await;
        assert_eq!(refused.json()["code"], "forbidden", "{method} {target}: {}", refused.text);
    }
    let viewer = json!({ "name": "vera", "roles": ["viewer"] }).to_string();
    assert_eq!(server.send("POST", "/api/access/users", &with, &viewer).await.status, 201);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_needs_the_old_one() {
    let server = guarded().await;
    let first = signed_in(&server, "anna", "viewer").await;
    let second = cookie(&sign_in(&server, "anna", PASSWORD, &[]).await);
    let with = [("Cookie", second.as_str()), OWN];
    let change = async |old: &str, new: &str| {
        let body = json!({ "old": old, "new": new }).to_string();
        server.send("PUT", "/api/access/password", &with, &body).await.status.as_u16()
    };
    assert_eq!(change("wrong horse", "battery staple").await, 403);
    assert_eq!(change(PASSWORD, "short").await, 400);
    assert_eq!(change(PASSWORD, "battery staple").await, 204);
    assert_eq!(me(&server, &first).await["user"], Value::Null);
    assert_eq!(me(&server, &second).await["name"], "anna");
    assert_eq!(sign_in(&server, "anna", PASSWORD, &[]).await.status, 401);
    assert_eq!(sign_in(&server, "anna", "battery staple", &[]).await.status, 200);
    let sessions = server.send("GET", "/api/access/sessions", &with, "").await.json();
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(2));
    assert_eq!(server.send("GET", "/api/access/users", &with, "").await.status, 403);
    assert_eq!(server.send("POST", "/api/access/sign-out-everywhere", &with, "").await.status, 204);
    assert_eq!(me(&server, &second).await["user"], Value::Null);
}
