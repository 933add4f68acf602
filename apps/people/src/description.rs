//! The routes of people, described.

use anywire_app::description::{Answer, Content, Header, Operation, Parameter, schemas::After};
use serde_json::{Value, json};

use crate::api::{
    KeyMade, Keys, Me, NewKey, NewPassword, NewUser, Revoke, Sessions, SignIn, UserAdded, UserChanges,
    UserShown, Users,
};

const TAG: &str = "Access";
const EXAMPLE_LINE: &str = "{\"cursor\":\"1f0c93ab-18\",\"time\":\"2026-01-23T10:00:03.000Z\",\"what\":\"user-added\",\"who\":\"account:1f0c93ab5e6d7f80\",\"name\":\"anna\",\"whom\":\"ben\",\"address\":\"192.0.2.7\",\"detail\":\"viewer\"}\n";

/// The operations, in the order in which a page shows them.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        sign_in(),
        sign_out(),
        sign_out_everywhere(),
        set_password(),
        me(),
        list_sessions(),
        list_users(),
        add_user(),
        change_user(),
        remove_user(),
        list_keys(),
        add_key(),
        revoke_key(),
        revoke(),
        audit(),
    ]
}

fn example_of_me() -> Value {
    json!({
        "user": "account:1f0c93ab5e6d7f80", "name": "anna", "roles": ["viewer"],
        "grants": ["subscribe:*", "jobs:read", "monitor:read", "pipeline:read", "server:read"],
        "expires_at": "2026-01-23T22:00:03.000Z", "session": "77ab01cd23ef4567", "open": false,
        "ways": ["password", "key"], "providers": [],
    })
}

fn example_of_user() -> Value {
    json!({
        "id": "1f0c93ab5e6d7f80", "name": "anna", "roles": ["viewer"], "disabled": false,
        "created_at": "2026-01-23T10:00:03.000Z", "sessions": 1,
    })
}

fn example_of_key() -> Value {
    json!({
        "id": "90ab01cd23ef4567", "name": "reports", "roles": ["publisher"], "grants": ["jobs:read"],
        "created_at": "2026-01-23T10:00:03.000Z", "ends_at": null, "used_at": null,
    })
}

fn with(mut example: Value, member: &str, value: Value) -> Value {
    example[member] = value;
    example
}

fn cookie() -> Header {
    Header::new("Set-Cookie", "The session: `__Host-anywire` for pages under TLS, `anywire` for others.")
        .schema(json!({ "type": "string" }))
}

/// Refused to pages elsewhere, and where the body is a form's.
fn own_pages_only(operation: Operation) -> Operation {
    operation
        .refuses(
            403,
            &["origin_forbidden", "host_forbidden", "forbidden"],
            "the request comes from another page (Sec-Fetch-Site: cross-site); sessions count on this server's own pages",
        )
        .refuses(415, &["media_type"], "Content-Type is \"text/plain\"; send application/json")
}

fn sign_in() -> Operation {
    let operation = Operation::post("/api/access/sign-in", "signIn")
        .is(TAG, "Begin a session")
        .about(
            "The cookie of the answer is who one is from then on, on every route and transport. Ten passwords a \
             minute may be tried for a name and from an address; then there is a wait that grows. The answer is \
             the same, and takes as long, for names that there are not.",
        )
        .open()
        .reads::<SignIn>(json!({ "name": "anna", "password": "correct horse" }))
        .answers(
            Answer::new(200, "Who one is now.")
                .header(cookie())
                .with(Content::answer::<Me>().example(example_of_me())),
        )
        .refuses_invalid()
        .refuses(401, &["unauthorized", "token_expired"], "the name or the password is wrong")
        .refuses_large()
        .refuses(
            429,
            &["rate_limited"],
            "too many passwords were tried for this name or from this address; wait 60 s",
        )
        .appends();
    own_pages_only(operation)
}

fn sign_out() -> Operation {
    let operation = Operation::post("/api/access/sign-out", "signOut")
        .is(TAG, "End this session")
        .about("Its connections end within a second. Whoever has none gets the same answer.")
        .open()
        .answers(Answer::new(204, "It is over.").header(cookie()))
        .refuses(401, &["unauthorized", "token_expired"], "the token was refused: it is neither a key nor a JWT")
        .refuses(
            403,
            &["origin_forbidden", "host_forbidden", "forbidden"],
            "the request comes from another page (Sec-Fetch-Site: cross-site); sessions count on this server's own pages",
        );
    operation.appends()
}

fn sign_out_everywhere() -> Operation {
    Operation::post("/api/access/sign-out-everywhere", "signOutEverywhere")
        .is(TAG, "End all of one's sessions")
        .about("On every device. Their connections end within a second.")
        .answers(Answer::new(204, "They are over.").header(cookie()))
        .guarded()
        .appends()
}

fn set_password() -> Operation {
    Operation::put("/api/access/password", "setPassword")
        .is(TAG, "Change one's password")
        .about("Every other session of the account ends.")
        .reads::<NewPassword>(json!({ "old": "correct horse", "new": "battery staple" }))
        .answers(Answer::new(204, "It is another now."))
        .refuses(400, &["invalid_request"], "the password has 4 characters; at least 10 are needed")
        .guarded()
        .refuses_large()
        .refuses(415, &["media_type"], "Content-Type is \"text/plain\"; send application/json")
        .refuses(
            429,
            &["rate_limited"],
            "too many passwords were tried for this name or from this address; wait 60 s",
        )
        .appends()
}

fn me() -> Operation {
    Operation::get("/api/access/me", "me")
        .is(TAG, "Who one is")
        .about("And what one may do; for whoever has not said who they are, how to.")
        .open()
        .writes::<Me>(200, "Who one is.", example_of_me())
        .refuses(
            401,
            &["unauthorized", "token_expired"],
            "the token was refused: it is neither a key nor a JWT",
        )
        .refuses(
            403,
            &["origin_forbidden", "host_forbidden", "forbidden"],
            "origin \"https://evil.example\" is not allowed; add it to auth.origins",
        )
}

fn limit() -> Parameter {
    Parameter::query("limit", "The most entries of the answer.")
        .schema(json!({ "type": "integer", "minimum": 1, "maximum": 1_000, "default": 200 }))
        .example(json!(200))
}

fn after() -> Parameter {
    Parameter::query("after", "`next` of the answer before this one.").example(json!("anna"))
}

fn list_sessions() -> Operation {
    Operation::get("/api/access/sessions", "listSessions")
        .is(TAG, "Who is signed in")
        .about("One's own sessions; everybody's for who has the right `access:manage`.")
        .takes(limit())
        .takes(after())
        .writes::<Sessions>(
            200,
            "The sessions.",
            json!({
                "sessions": [{
                    "id": "77ab01cd23ef4567", "user": "1f0c93ab5e6d7f80", "name": "anna",
                    "address": "192.0.2.7", "agent": "Mozilla/5.0", "started_at": "2026-01-23T10:00:03.000Z",
                    "used_at": "2026-01-23T10:05:03.000Z", "expires_at": "2026-01-23T22:00:03.000Z",
                    "current": true,
                }],
                "next": null,
            }),
        )
        .refuses_invalid()
        .guarded()
}

fn list_users() -> Operation {
    Operation::get("/api/access/users", "listUsers")
        .is(TAG, "All accounts")
        .about("By name; with the roles that there are to give.")
        .takes(limit())
        .takes(after())
        .writes::<Users>(
            200,
            "The accounts.",
            json!({
                "users": [example_of_user()], "roles": ["admin", "operator", "publisher", "viewer"],
                "next": null,
            }),
        )
        .refuses_invalid()
        .guarded()
}

fn add_user() -> Operation {
    Operation::post("/api/access/users", "addUser")
        .is(TAG, "Add an account")
        .about("From the first one on, nobody gets in who does not say who they are.")
        .reads::<NewUser>(json!({ "name": "anna", "password": "correct horse", "roles": ["viewer"] }))
        .writes::<UserAdded>(201, "It was added.", with(example_of_user(), "password", Value::Null))
        .refuses(400, &["invalid_request"], "the password has 4 characters; at least 10 are needed")
        .guarded()
        .refuses(
            409,
            &["name_taken", "limit_reached"],
            "there is an account \"anna\" already; choose another name, or change that one",
        )
        .refuses_large()
        .refuses(415, &["media_type"], "Content-Type is \"text/plain\"; send application/json")
        .appends()
}

fn user_id() -> Parameter {
    Parameter::path("id", "The account.").example(json!("1f0c93ab5e6d7f80"))
}

fn change_user() -> Operation {
    Operation::patch("/api/access/users/{id}", "changeUser")
        .is(TAG, "Change an account")
        .about(
            "Its sessions end where it is disabled or gets another password; where it gets other roles, its \
             connections do, and come back with them.",
        )
        .takes(user_id())
        .reads::<UserChanges>(json!({ "disabled": true }))
        .writes::<UserShown>(200, "As it is now.", with(example_of_user(), "disabled", json!(true)))
        .refuses(400, &["invalid_request"], "the password has 4 characters; at least 10 are needed")
        .guarded()
        .refuses(404, &["not_found"], "there is no account \"x\"; the list shows those there are")
        .refuses(
            409,
            &["last_admin", "limit_reached"],
            "anna is the last account that may do everything; give another one such a role first",
        )
        .refuses_large()
        .refuses(415, &["media_type"], "Content-Type is \"text/plain\"; send application/json")
        .appends()
}

fn remove_user() -> Operation {
    Operation::delete("/api/access/users/{id}", "removeUser")
        .is(TAG, "Remove an account")
        .about("Another one of this name is another one: it owns nothing of this one's.")
        .takes(user_id())
        .answers(Answer::new(204, "It is gone."))
        .guarded()
        .refuses(404, &["not_found"], "there is no account \"x\"; the list shows those there are")
        .refuses(
            409,
            &["last_admin"],
            "anna is the last account that may do everything; give another one such a role first",
        )
        .appends()
}

fn list_keys() -> Operation {
    Operation::get("/api/access/keys", "listKeys")
        .is(TAG, "API keys that were made here")
        .about("By name. Those of the configuration are not among them.")
        .takes(limit())
        .takes(after())
        .writes::<Keys>(200, "The keys.", json!({ "keys": [example_of_key()], "next": null }))
        .refuses_invalid()
        .guarded()
}

fn add_key() -> Operation {
    Operation::post("/api/access/keys", "addKey")
        .is(TAG, "Make an API key")
        .about("The key is told in this answer and never again: only its SHA-256 is kept.")
        .reads::<NewKey>(json!({ "name": "reports", "roles": ["publisher"], "grants": ["jobs:read"] }))
        .writes::<KeyMade>(
            201,
            "It was made.",
            with(example_of_key(), "key", json!("anywire_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        )
        .refuses(400, &["invalid_request"], "the key may do nothing; give it \"roles\" or \"grants\"")
        .guarded()
        .refuses(
            409,
            &["name_taken", "limit_reached"],
            "there is a key \"reports\" already; choose another name, or change that one",
        )
        .refuses_large()
        .refuses(415, &["media_type"], "Content-Type is \"text/plain\"; send application/json")
        .appends()
}

fn revoke_key() -> Operation {
    Operation::delete("/api/access/keys/{id}", "revokeKey")
        .is(TAG, "Take an API key back")
        .about("Its connections end within a second.")
        .takes(Parameter::path("id", "The key.").example(json!("90ab01cd23ef4567")))
        .answers(Answer::new(204, "It opens nothing any more."))
        .guarded()
        .refuses(404, &["not_found"], "there is no key \"x\"; the list shows those there are")
        .appends()
}

fn revoke() -> Operation {
    Operation::post("/api/access/revoke", "revoke")
        .is(TAG, "Take sessions and tokens back")
        .about(
            "Of a user (the sessions of the account of this name, and the tokens with this `sub` that were made \
             until now), one session, or one token by its `jti`. Their connections end within a second.",
        )
        .reads::<Revoke>(json!({ "user": "u1" }))
        .answers(Answer::new(204, "They open nothing any more."))
        .refuses(
            400,
            &["invalid_request"],
            "name one of \"user\", \"session\" and \"token_id\", and only one",
        )
        .guarded()
        .refuses(404, &["not_found"], "there is no session \"x\"; the list shows those there are")
        .refuses_large()
        .refuses(415, &["media_type"], "Content-Type is \"text/plain\"; send application/json")
        .appends()
}

fn audit() -> Operation {
    Operation::get("/api/access/audit", "audit")
        .is(TAG, "Who did what, from where and when")
        .about(
            "Lines of JSON, the oldest first, kept for 90 days: `cursor`, `time`, `what`, `who` (an id), `name`, \
             `whom`, `address`, `detail`; all but the first four may be `null`. Ask for what comes `after` the \
             last `cursor`.",
        )
        .takes(Parameter::query("after", "The `cursor` of the last line one has.").of::<After>().example(json!("0")))
        .takes(
            Parameter::query("limit", "The most lines of the answer.")
                .schema(json!({ "type": "integer", "minimum": 1, "maximum": 10_000, "default": 1_000 }))
                .example(json!(1_000)),
        )
        .answers(
            Answer::new(200, "The lines.").with(Content::text("application/x-ndjson").example(json!(EXAMPLE_LINE))),
        )
        .refuses(400, &["invalid_request", "invalid_cursor"], "\"limit\" is \"0\"; expected a whole number from 1 to 10000")
        .guarded()
}
