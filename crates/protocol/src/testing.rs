//! JSON texts for tests: sound ones, nearly sound ones, and those on which parsers differ.

use proptest::{prelude::*, sample::select};

const SCALARS: [&str; 40] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "-0",
    "1.5",
    "1e5",
    "-1E+400",
    "18446744073709551615",
    "18446744073709551616",
    "9007199254740993",
    "01",
    "1.",
    ".5",
    "-",
    "+1",
    "1e",
    "nul",
    "NaN",
    "",
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"x y\"",
    "\"$a\"",
    "\"base64\"",
    "\"AAEC\"",
    "\"\\u0061\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"\\x\"",
    "\"a\u{1}\"",
    "\"é\u{7f}\"",
    "\"[{\\\"\"",
    "\"0\"",
    "\"1f0c93ab-5\"",
    "{\"_placeholder\":true,\"num\":0}",
    "\"a longer text, beyond what is looked at in one step\\n\"",
];
const NAMES: [&str; 22] = [
    "\"op\"",
    "\"id\"",
    "\"channel\"",
    "\"channels\"",
    "\"after\"",
    "\"presence\"",
    "\"token\"",
    "\"cursor\"",
    "\"event\"",
    "\"data\"",
    "\"encoding\"",
    "\"events\"",
    "\"idempotency_key\"",
    "\"\\u006fp\"",
    "\"ch\\u0061nnel\"",
    "\"d\\u0061ta\"",
    "\"x\"",
    "\"\"",
    "\"$args\"",
    "\"\\ud800\"",
    "op",
    "1",
];
const SPACES: [&str; 9] = ["", "", "", "", " ", "\n", "\t\r\n ", "\u{a0}", "\u{feff}"];

fn space() -> impl Strategy<Value = &'static str> {
    // Mostly none, and seldom one that is no white space of JSON.
    prop_oneof![60 => Just(""), 6 => select(&SPACES[..7]), 1 => select(&SPACES[7..])]
}

fn scalar() -> impl Strategy<Value = String> {
    select(&SCALARS[..]).prop_map(str::to_owned)
}

/// Any value.
pub(crate) fn text() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        let list =
            prop::collection::vec(inner.clone(), 0..5).prop_map(|values| format!("[{}]", values.join(",")));
        let member = (select(&NAMES[..20]), space(), inner);
        let members = prop::collection::vec(member, 0..5).prop_map(|members| object(&members));
        prop_oneof![list, members]
    })
}

fn object(members: &[(&str, &str, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, space, value)| format!("{space}{name}:{space}{value}{space}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A member as a client may send it, and sometimes as none should.
fn member() -> impl Strategy<Value = (&'static str, &'static str, String)> {
    let sound = select(
        &[
            ("\"op\"", "\"publish\""),
            ("\"op\"", "\"publish\""),
            ("\"op\"", "\"subscribe\""),
            ("\"op\"", "\"ping\""),
            ("\"id\"", "7"),
            ("\"channel\"", "\"a\""),
            ("\"channel\"", "\"a\""),
            ("\"channels\"", "[\"a\",\"b\"]"),
            ("\"event\"", "\"x\""),
            ("\"data\"", "{\"n\": [1,\n2]}"),
            ("\"data\"", "\"AAEC\""),
            ("\"encoding\"", "\"base64\""),
            ("\"idempotency_key\"", "\"k\""),
            ("\"events\"", "[{\"channel\":\"a\"},{\"channel\":\"b\",\"data\":1}]"),
            (
                "\"events\"",
                "[{\"channel\":\"a\"},{\"channel\":\"a\"},{\"channel\":\"a\"},{\"channel\":\"a\"}]",
            ),
            ("\"after\"", "\"0\""),
            ("\"presence\"", "true"),
            ("\"d\\u0061ta\"", "1"),
        ][..],
    );
    let sound = (sound, space()).prop_map(|((name, value), space)| (name, space, value.to_owned()));
    prop_oneof![12 => sound, 1 => (select(&NAMES[..]), space(), text()), 1 => (select(&NAMES[..20]), space(), scalar())]
}

/// An object such as clients send.
pub(crate) fn document() -> impl Strategy<Value = String> {
    let members = prop::collection::vec(member(), 0..6);
    prop_oneof![9 => (members, space()).prop_map(|(members, space)| format!("{space}{}{space}", object(&members))), 1 => text()]
}
