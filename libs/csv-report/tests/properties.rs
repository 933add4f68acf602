//! What holds of every file, whatever is in it: a report is made or refused with a reason, and every row is
//! in it.

use std::{ops::ControlFlow, path::Path, sync::LazyLock};

use anywire_csv_report::{
    Facts, Limits, Outline, Reading, Source, StepError, Ticker, charts, detect, page, parse, statistics,
    validate,
};
use proptest::prelude::*;

const LIMITS: Limits = Limits { columns_max: 50, row_bytes_max: 4096 };

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a directory"));

/// The report of a file, and how many rows there are to read.
fn report(path: &Path) -> Result<(Outline, u64), StepError> {
    let ticker = Ticker::default();
    let dialect = detect(path, &Reading::default(), &ticker)?;
    let source = Source::new(path.to_owned(), dialect.clone(), LIMITS.row_bytes_max);
    let shape = parse(&source, LIMITS, &ticker)?;
    let kinds = validate(&source, &shape, &ticker)?;
    let found = statistics(&source, &shape, kinds, &ticker)?;
    let outline = Outline::of(&source.dialect, &shape, &found);
    let mut records = 0;
    source.records(&ticker, |_| {
        records += 1;
        ControlFlow::Continue(())
    })?;
    let (found, drawn) = charts(found, shape.rows, &ticker)?;
    let facts = Facts {
        title: "x".to_owned(),
        size_bytes: 0,
        sha256: String::new(),
        made_at: String::new(),
        dialect,
    };
    assert!(page(&facts, &shape, &found, &drawn).ends_with("</html>\n"));
    Ok((outline, records))
}

/// Pieces of files as people have them, good and bad.
fn pieces() -> impl Strategy<Value = Vec<&'static [u8]>> {
    let piece = prop::sample::select(vec![
        &b"id,name,amount\n"[..],
        b"1,ann,2.50\n",
        b"2;bob;3,75\r\n",
        b"a\tb\n",
        b"\n",
        b"\r",
        b",",
        b";",
        b"\t",
        b"\"",
        b"\"\"",
        b"'",
        b"\\\"",
        b"#",
        b"# note\n",
        b"sep=;\n",
        b"Total,,30\n",
        b"Source: x\n",
        b"1.234,50",
        b"(5)",
        b"-",
        b"NA",
        b"--",
        b"2024-03-15",
        b"15/03/24",
        b"20240315",
        b"14:05",
        b"Jan-24",
        b"+84912345678",
        b"007",
        b"1e400",
        b"9007199254740993",
        b"yes",
        b"\xe2\x82\xac",
        b"\xc4\x91",
        b"\xe9",
        b"\xff",
        b"\0",
        b"\x1a",
        b"\xef\xbb\xbf",
        b" ",
        b"\xe2\x80\xaf",
        b"12 %",
        b"m/s",
        b"99999999999999999999",
        b".",
        b"<b>",
        b"&",
    ]);
    prop::collection::vec(piece, 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_file_has_a_report_of_all_its_rows_or_a_reason(pieces in pieces()) {
        let content = pieces.concat();
        let path = FOLDER.path().join("x.csv");
        std::fs::write(&path, &content).expect("written");
        match report(&path) {
            Ok((outline, records)) => {
                prop_assert_eq!(outline.rows, records);
                for column in &outline.columns {
                    prop_assert!(column.missing + column.invalid <= outline.rows, "{:?}", column);
                    prop_assert!(column.distinct.unwrap_or(0) <= outline.rows);
                }
            }
            Err(StepError::File(reason) | StepError::Place { message: reason, .. }) => {
                prop_assert!(reason.len() > 20, "{}", reason);
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A table that is written by the book comes back with all rows and columns, whatever the texts.
    #[test]
    fn a_table_by_the_book_is_read_whole(
        delimiter in prop::sample::select(vec![',', ';', '\t', '|']),
        end in prop::sample::select(vec!["\n", "\r\n"]),
        rows in prop::collection::vec(("[a-zđ \",;|\t\n#']{0,12}", 0_u32..100_000, "[a-z]{1,8}"), 2..30),
    ) {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let mut content = ["note", "count", "word"].join(&delimiter.to_string()) + end;
        for (note, count, word) in &rows {
            content += &[quoted(note), count.to_string(), word.clone()].join(&delimiter.to_string());
            content += end;
        }
        let path = FOLDER.path().join("book.csv");
        std::fs::write(&path, &content).expect("written");
        let (outline, _) = report(&path).expect("a report");
        let names: Vec<&str> = outline.columns.iter().map(|column| column.name.as_str()).collect();
        prop_assert_eq!((names, outline.rows), (vec!["note", "count", "word"], rows.len() as u64), "{}", content);
        let greatest = rows.iter().map(|(_, count, _)| *count).max().expect("rows").to_string();
        prop_assert_eq!(outline.columns[1].greatest.as_deref(), Some(greatest.as_str()), "{}", content);
    }
}
