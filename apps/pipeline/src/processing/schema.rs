//! A record's value against a JSON Schema.

use std::path::Path;

use jsonschema::Validator;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::error::{Failure, ProcessingError};
use crate::{domain::DataType, topics::Record};

/// How many characters of a complaint are kept: it goes to every browser.
const COMPLAINT_MAX: usize = 500;

pub(super) struct Schema {
    validator: Validator,
}

impl Schema {
    pub(super) fn read(path: &Path) -> Result<Self, ProcessingError> {
        let place = || path.to_owned();
        let text = std::fs::read(path).map_err(|error| ProcessingError::Read { path: place(), error })?;
        let wrong = |detail: String| ProcessingError::Schema { path: place(), detail };
        let schema: Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        Self::new(&schema).map_err(wrong)
    }

    fn new(schema: &Value) -> Result<Self, String> {
        jsonschema::validator_for(schema)
            .map(|validator| Self { validator })
            .map_err(|error| error.to_string())
    }

    /// A batch of rows is checked row by row: the schema is that of one record. A tombstone has no value that
    /// a schema could be about: it says that its key is gone.
    pub(super) fn check(&self, record: &Record) -> Result<(), Failure> {
        let Some(text) = &record.content.value else { return Ok(()) };
        let value = parse(text).map_err(|error| Failure::Record(format!("the value is no JSON: {error}")))?;
        match (DataType::of(record).0, &value) {
            (DataType::Csv, Value::Array(rows)) => {
                let mut numbered = (1..).zip(rows);
                numbered.try_for_each(|(number, row)| self.check_value(row, &format!("row {number}: ")))
            }
            _ => self.check_value(&value, ""),
        }
    }

    fn check_value(&self, value: &Value, whose: &str) -> Result<(), Failure> {
        // The quick answer first: nearly all records are sound.
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let complaints = self.validator.iter_errors(value).take(3);
        let complaints: Vec<String> =
            complaints.map(|error| format!("{}: {error}", place(error.instance_path().as_str()))).collect();
        let text = format!("{whose}{}", complaints.join("; "));
        Err(Failure::Record(text.chars().take(COMPLAINT_MAX).collect()))
    }
}

/// Reads a value to be checked. A number beyond what a double holds is JSON all the same, and is checked as
/// the greatest there is.
fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let first = serde_json::from_slice(text);
    let sound = || serde_json::from_slice::<IgnoredAny>(text).is_ok();
    match (first, std::str::from_utf8(text)) {
        (Err(_), Ok(text)) if sound() => serde_json::from_str(&finite(text)),
        (first, _) => first,
    }
}

/// The same JSON with the greatest double in the place of greater numbers.
fn finite(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '-' | '0'..='9' => rest.find(|c: char| !"+-.eE0123456789".contains(c)).unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match token.parse::<f64>() {
            Ok(number) if number.is_infinite() => out.push_str(&number.clamp(f64::MIN, f64::MAX).to_string()),
            _ => out.push_str(token),
        }
        rest = after;
    }
    out
}

/// How long the string is that a sound JSON text begins with, in bytes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "value" } else { pointer }
}

#[cfg(test)]
mod tests {
    use anywire_log::Timestamp;
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::{
        domain::DATA_TYPE_HEADER,
        topics::{NewRecord, Partition, Place, TopicName},
    };

    fn record(value: &str, csv: bool) -> Record {
        let header = (DATA_TYPE_HEADER.to_owned(), Some(Bytes::from_static(b"CSV_BATCH")));
        let content = NewRecord {
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: if csv { vec![header] } else { Vec::new() },
            key: None,
        };
        let partition = Partition { topic: TopicName::new("t").expect("a name"), number: 0 };
        Record { place: Place { partition, offset: 0 }, time: Timestamp::from_millis(0), content }
    }

    fn check(value: &str, csv: bool) -> Result<(), String> {
        let schema =
            json!({"type": "object", "required": ["name"], "properties": {"value": {"type": "number"}}});
        let schema = Schema::new(&schema).expect("a schema");
        schema.check(&record(value, csv)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_value_that_does_not_fit_is_told_where_and_why() {
        assert_eq!(check(r#"{"name":"Test","value":100}"#, false), Ok(()));
        let error = check(r#"{"value":"x"}"#, false).expect_err("no name");
        assert!(error.contains("/value: ") && error.contains("name"), "{error}");
        let error = check("{", false).expect_err("no JSON");
        assert!(error.starts_with("the value is no JSON"), "{error}");
    }

    #[test]
    fn numbers_of_any_size_are_json() {
        let schema =
            Schema::new(&json!({"type": "object", "properties": {"n": {"type": "number", "minimum": 0}}}));
        let schema = schema.expect("a schema");
        let check = |value: &str| schema.check(&record(value, false)).map_err(|failure| failure.to_string());
        for number in ["9007199254740993", "1.10", "1E400", "123456789012345678901234567890"] {
            assert_eq!(check(&format!(r#"{{"s":"\\\"1E400","n":{number}}}"#)), Ok(()), "{number}");
        }
        assert!(check(r#"{"n":-1E400}"#).expect_err("below zero").contains("/n: "));
        assert!(check(r#"{"n":1E400"#).expect_err("no JSON").starts_with("the value is no JSON"));
    }

    #[test]
    fn a_tombstone_fits_every_schema_and_a_null_does_not() {
        let schema = Schema::new(&json!({"type": "object"})).expect("a schema");
        let mut tombstone = record("", false);
        tombstone.content.value = None;
        assert_eq!(schema.check(&tombstone), Ok(()));
        assert!(schema.check(&record("null", false)).is_err());
        assert!(schema.check(&record("", false)).is_err(), "an empty value is no tombstone");
    }

    #[test]
    fn rows_of_a_file_are_checked_one_by_one() {
        assert_eq!(check(r#"[{"name":"a"},{"name":"b"}]"#, true), Ok(()));
        let error = check(r#"[{"name":"a"},{}]"#, true).expect_err("row 2 has no name");
        assert!(error.starts_with("row 2: value: "), "{error}");
    }
}
