use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::testing::{document, text};

fn value(text: &str) -> Result<&str, ScanError> {
    let mut scan = Scan::new(text, usize::MAX);
    let value = scan.value()?;
    scan.end()?;
    Ok(value)
}

fn check(text: &str) {
    let expected: Option<&RawValue> = serde_json::from_str(text).ok();
    assert_eq!(value(text).ok(), expected.map(RawValue::get), "{text:?}");
}

/// Where a parser may go wrong.
#[rustfmt::skip]
const TEXTS: [&str; 66] = [
    "", " ", "null", "nul", "nulll", " true ", "false", "fals", "\u{feff}1", "\u{a0}1", "0", "-0", "01",
    "-", "-a", "1.", ".5", "1.5", "1e", "1e+", "1e+5", "1E-400", "+1", "1 2", "NaN", "\"", "\"a",
    "\"a\"", "\"\\\"", "\"\\\"\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\uD800\"", "\"\t\"",
    "\"\u{7f}é\u{1f600}\"", "[", "]", "[]", "[ ]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[[],{}]", "[}",
    "{", "}", "{}", "{ }", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{\"a\" 1}",
    "{a:1}", "{1:1}", "{\"a\":1}", "{\"a\":1 , \"a\":[{\"b\":{}}]}", "{\"a\":1]", "[1}",
    "{\"\\ud800\":1}", "// 1", "1//",
];

#[test]
fn a_text_passes_exactly_if_serde_json_takes_it() {
    TEXTS.iter().for_each(|text| check(text));
}

#[test]
fn a_special_byte_is_found_wherever_it_stands_in_a_string() {
    for length in 0..100 {
        for at in 0..length {
            for special in ["\"", "\\", "\u{1f}", "\\n", "é", "\u{80}", "!"] {
                let plain = "a".repeat(length);
                check(&format!("\"{}{special}{}\"", &plain[..at], &plain[at..]));
            }
        }
    }
}

#[test]
fn nesting_of_half_a_million_levels_passes_and_is_refused_where_it_may_not_be() {
    let lists = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    assert_eq!(value(&lists), Ok(lists.as_str()));
    assert_eq!(Scan::new(&lists, 64).value(), Err(ScanError::Nesting));
    let objects = format!("{}1{}", "[{\"a\":".repeat(1000), "}]".repeat(1000));
    assert_eq!(value(&objects), Ok(objects.as_str()));
    assert_eq!(value(&objects.replacen("}]", "]}", 1)), Err(ScanError::Syntax));
    let siblings = format!("[{}]", vec!["[[]]"; 100].join(","));
    assert_eq!(Scan::new(&siblings, 3).value(), Ok(siblings.as_str()));
    assert_eq!(Scan::new(&siblings, 2).value(), Err(ScanError::Nesting));
}

#[test]
fn objects_and_lists_are_taken_apart_in_one_pass() {
    let mut scan = Scan::new(" {\"a\" : 1, \"\\u0062\":[2 , {}]} ", usize::MAX);
    let mut pieces = Vec::new();
    scan.members(|scan, name| {
        if name == "b" {
            return scan.elements(|scan| scan.value().map(|value| pieces.push(value.to_owned())));
        }
        scan.value().map(|value| pieces.push(format!("{name}={value}")))
    })
    .and_then(|()| scan.end())
    .expect("a sound text");
    assert_eq!(pieces, ["a=1", "2", "{}"]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert!(explain("{\"a\":tru}").contains("line 1 column"), "{}", explain("{\"a\":tru}"));
    assert_eq!(explain("[]"), "it is no JSON object");
}

proptest! {
    #[test]
    fn any_text_passes_exactly_if_serde_json_takes_it(text in prop_oneof![text(), document()]) {
        check(&text);
    }

    #[test]
    fn any_cut_of_a_text_passes_exactly_if_serde_json_takes_it(text in document(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(text.chars().count() + 1);
        check(&text.chars().take(cut).collect::<String>());
    }
}
