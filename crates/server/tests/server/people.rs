//! `anywire user`, `key`, `revoke` and `token`: before the first start, and while a server runs.

use std::{
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use crate::process::{Process, program, run, words};

const SECRET: &str = "auth.jwt_secret=0123456789abcdef0123456789abcdef";

fn on_files(data: &Path, arguments: &[&str]) -> Output {
    let data = data.display().to_string();
    run(&[arguments, &["--data", &data]].concat())
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", words(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command with a password on its standard input.
fn with_password(arguments: &[&str], password: &str) -> Output {
    let mut command = program(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("its input");
    writeln!(stdin, "{password}").expect("written");
    drop(stdin);
    child.wait_with_output().expect("its end")
}

#[test]
fn the_first_account_is_added_before_there_is_a_server_and_closes_it() {
    let data = tempfile::tempdir().expect("a directory");
    let fresh = data.path().join("data");
    let added = printed(&on_files(&fresh, &["user", "add", "anna", "--role", "admin"]));
    let mut lines = added.lines();
    assert_eq!(lines.next(), Some("anna is added, with the role admin"));
    let password = lines.next().and_then(|line| line.strip_prefix("password: ")).expect("one was made");
    assert!(password.len() >= 15, "{password}");
    let again = on_files(&fresh, &["user", "add", "anna", "--role", "admin"]);
    assert!(words(&again).contains("there is an account \"anna\" already"), "{}", words(&again));
    assert_eq!(printed(&on_files(&fresh, &["user", "list"])), "anna\tadmin\tenabled\n");

    let process = Process::serve("127.0.0.1:0", &fresh, &[]);
    let url = process.url();
    let refused = run(&["publish", "a", "1", "--url", &url]);
    assert!(words(&refused).contains("no token was given"), "{}", words(&refused));
    let asked = run(&["user", "list", "--url", &url]);
    assert!(words(&asked).contains("set ANYWIRE_KEY"), "{}", words(&asked));
}

#[test]
fn whoever_is_an_admin_stays_and_others_can_be_shut_out_and_let_in() {
    let data = tempfile::tempdir().expect("a directory");
    let files = data.path().display().to_string();
    for (name, role) in [("anna", "admin"), ("ben", "viewer")] {
        let add = ["user", "add", name, "--role", role, "--data", &files, "--password-stdin"];
        assert_eq!(
            printed(&with_password(&add, "correct horse")),
            format!("{name} is added, with the role {role}\n")
        );
    }
    let last = on_files(data.path(), &["user", "disable", "anna"]);
    assert!(words(&last).contains("anna is the last account that may do everything"), "{}", words(&last));
    let unknown = on_files(data.path(), &["user", "disable", "carl"]);
    assert!(
        words(&unknown).contains("there is no user \"carl\"; `anywire user list`"),
        "{}",
        words(&unknown)
    );
    printed(&on_files(data.path(), &["user", "disable", "ben"]));
    assert!(printed(&on_files(data.path(), &["user", "list"])).contains("ben\tviewer\tdisabled\n"));
    printed(&on_files(data.path(), &["user", "enable", "ben"]));
    let passwd = ["user", "passwd", "ben", "--data", &files, "--password-stdin"];
    assert!(words(&with_password(&passwd, "short")).contains("at least 10 are needed"));
    assert!(printed(&with_password(&passwd, "battery staple")).is_empty());
}

#[test]
fn a_key_is_made_on_files_and_opens_the_running_server_until_it_is_taken_back() {
    let data = tempfile::tempdir().expect("a directory");
    let key = printed(&on_files(data.path(), &["key", "add", "root", "--role", "admin"]));
    let key = key.trim();
    assert!(key.starts_with("anywire_"), "{key}");
    let process = Process::serve("127.0.0.1:0", data.path(), &[]);
    let url = process.url();
    let ask = |arguments: &[&str]| run(&[arguments, &["--url", &url, "--key", key]].concat());
    let other = printed(&ask(&["key", "add", "reports", "--role", "publisher"]));
    let publish = || run(&["publish", "a", "1", "--url", &url, "--token", other.trim()]);
    printed(&publish());
    let listed = printed(&ask(&["key", "list"]));
    assert!(listed.contains("reports\tpublisher\tnever ends\tused "), "{listed}");
    printed(&ask(&["key", "revoke", "reports"]));
    assert!(words(&publish()).contains("401"), "{}", words(&publish()));
    printed(&ask(&["revoke", "--user", "u1"]));
}

#[test]
fn a_token_is_signed_as_the_server_takes_it_and_checked_as_it_would() {
    let sign = |more: &[&str]| run(&[&["token", "--user", "u1", "--set", SECRET], more].concat());
    let token = printed(&sign(&["--subscribe", "inbox_{user}", "--minutes", "5"]));
    let checked = printed(&run(&["token", "check", token.trim(), "--set", SECRET]));
    assert!(checked.starts_with("user \"u1\"\nid: user:u1\nends: 20"), "{checked}");
    let wrong = run(&["token", "check", token.trim(), "--set", &SECRET.replace('0', "9")]);
    assert!(words(&wrong).contains("its signature is wrong"), "{}", words(&wrong));
    let refused = sign(&["--role", "viewer"]);
    assert!(words(&refused).contains("add it to auth.jwt_roles_allowed"), "{}", words(&refused));
    let without = run(&["token", "--user", "u1"]);
    assert!(words(&without).contains("set auth.jwt_secret"), "{}", words(&without));
}
