//! What must hold for any CSV file that is sent to a topic: the body of a fuzz target in `/fuzz`.

use std::{collections::BTreeMap, fs};

use anywire_csv_report::{Reading, Ticker};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::csv::{BatchLimits, check};

#[cfg(test)]
#[path = "../../../../fuzz/smoke.rs"]
mod smoke;

/// Small, so that they are met often.
const LIMITS: BatchLimits = BatchLimits { rows_max: 3, bytes_max: 400, row_bytes_max: 800 };
/// How many batches are looked at.
const BATCHES_MAX: usize = 10_000;

/// Of a file every row becomes an object with all columns, within the limits, or nothing of it is sent. The
/// first line says how it is to be read: `name=value` pairs, divided by blanks.
pub fn csv_records(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    let at = data.iter().position(|byte| *byte == b'\n').map_or(data.len(), |at| at + 1);
    let (choices, file) = data.split_at(at);
    fs::write(&path, file).expect("a written file");
    let mut reading = Reading::default();
    for (name, value) in
        String::from_utf8_lossy(choices).split_ascii_whitespace().filter_map(|pair| pair.split_once('='))
    {
        let _made_or_refused = reading.choose(name, value);
    }
    let Ok(checked) = check(&path, &reading, LIMITS, &Ticker::default()) else { return };
    let (out, mut batches) = mpsc::channel(BATCHES_MAX);
    checked.send(LIMITS, &out).expect("a file that was read can be read again");
    drop(out);
    let mut columns = None;
    while let Ok(batch) = batches.try_recv() {
        let value = batch.record.value.expect("rows");
        let rows: Vec<BTreeMap<String, &RawValue>> =
            serde_json::from_slice(&value).expect("a list of objects");
        assert_eq!(rows.len() as u64, batch.rows);
        assert!((1..=LIMITS.rows_max).contains(&rows.len()));
        assert!(value.len() <= LIMITS.bytes_max || rows.len() == 1 && value.len() <= LIMITS.row_bytes_max);
        for row in rows {
            let names: Vec<String> = row.into_keys().collect();
            assert_eq!(*columns.get_or_insert_with(|| names.clone()), names);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_file_of_records_keeps_its_promises_for_any_bytes() {
        super::smoke::check("csv_records", 500, super::csv_records);
    }
}
