//! A record's value against a JSON Schema.

use std::path::Path;

use jsonschema::Validator;
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

    /// A batch of rows is checked row by row: the schema is that of one record.
    pub(super) fn check(&self, record: &Record) -> Result<(), Failure> {
        let text = record.content.value.as_deref().unwrap_or(b"null");
        let value: Value = serde_json::from_slice(text).map_err(|error| {
            let message = format!("the value is no JSON: {error}");
            Failure::Record(message)
        })?;
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
    fn rows_of_a_file_are_checked_one_by_one() {
        assert_eq!(check(r#"[{"name":"a"},{"name":"b"}]"#, true), Ok(()));
        let error = check(r#"[{"name":"a"},{}]"#, true).expect_err("row 2 has no name");
        assert!(error.starts_with("row 2: value: "), "{error}");
    }
}
