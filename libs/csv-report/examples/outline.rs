//! Says how CSV files are read: a line a file, and one a column. For comparing with other readers of CSV.
//!
//! ```text
//! cargo run -p anywire-csv-report --example outline -- prices.csv
//! ```

use std::path::Path;

use anywire_csv_report::{
    Limits, Outline, Reading, Source, StepError, Ticker, detect, parse, statistics, validate,
};

fn main() {
    for path in std::env::args().skip(1) {
        match outline(Path::new(&path)) {
            Ok(outline) => print(&path, &outline),
            Err(error) => println!("file\t{path}\terror\t{error}"),
        }
    }
}

fn outline(path: &Path) -> Result<Outline, StepError> {
    let ticker = Ticker::default();
    let limits = Limits { columns_max: 5000, row_bytes_max: 1 << 20 };
    let dialect = detect(path, &Reading::default(), &ticker)?;
    let source = Source::new(path.to_owned(), dialect, limits.row_bytes_max);
    let shape = parse(&source, limits, &ticker)?;
    for (kind, found) in shape.faults.iter() {
        println!("fault\t{}\t{}\t{:?}", kind.name(), found.count, found.places);
    }
    let kinds = validate(&source, &shape, &ticker)?;
    let statistics = statistics(&source, &shape, kinds, &ticker)?;
    Ok(Outline::of(&source.dialect, &shape, &statistics))
}

fn print(path: &str, outline: &Outline) {
    let Outline { encoding, delimiter, header_line, rows, doubts, columns } = outline;
    let header = header_line.map_or("none".to_owned(), |line| line.to_string());
    let doubts = doubts.join(",");
    println!("file\t{path}\t{encoding}\t{delimiter}\t{header}\t{rows}\t{}\t{doubts}", columns.len());
    for column in columns {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        println!(
            "column\t{:?}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:?}",
            column.name,
            column.kind,
            column.missing,
            column.invalid,
            column.distinct.map_or(String::new(), |count| count.to_string()),
            text(&column.least),
            text(&column.greatest),
            column.mean.map_or(String::new(), |mean| mean.to_string()),
            column.doubt.unwrap_or_default(),
            column.invalid_lines
        );
    }
}
