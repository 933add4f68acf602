//! One line a file: how it is to be read. The files are in `fixtures/`.

use std::path::Path;

use anywire_csv_report::{
    Faults, Limits, Outline, OutlineColumn, Reading, Source, Ticker, detect, parse, statistics, validate,
};

const LIMITS: Limits = Limits { columns_max: 500, row_bytes_max: 1 << 20 };

fn report(path: &Path, choices: &[(&str, &str)]) -> (Outline, Faults) {
    let ticker = Ticker::default();
    let mut reading = Reading::default();
    for (name, value) in choices {
        assert_eq!(reading.choose(name, value), Ok(true), "{name}");
    }
    let dialect = detect(path, &reading, &ticker).expect("a dialect");
    let source = Source::new(path.to_owned(), dialect, LIMITS.row_bytes_max);
    let shape = parse(&source, LIMITS, &ticker).expect("rows");
    let kinds = validate(&source, &shape, &ticker).expect("columns");
    let found = statistics(&source, &shape, kinds, &ticker).expect("statistics");
    (Outline::of(&source.dialect, &shape, &found), shape.faults)
}

fn fixture(name: &str, choices: &[(&str, &str)]) -> (Outline, Faults) {
    report(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name), choices)
}

fn text(content: &[u8], choices: &[(&str, &str)]) -> (Outline, Faults) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("x.csv");
    std::fs::write(&path, content).expect("written");
    report(&path, choices)
}

/// `name: kind least … greatest (doubt)`, with what is missing or invalid.
fn shown(column: &OutlineColumn) -> String {
    let mut shown = format!("{}: {}", column.name, column.kind);
    if let (Some(least), Some(greatest)) = (&column.least, &column.greatest) {
        shown.push_str(&format!(" {least} … {greatest}"));
    }
    if column.kind == "text" {
        shown.push_str(&format!(" {} distinct", column.distinct.unwrap_or(0)));
    }
    if column.missing > 0 {
        shown.push_str(&format!(" missing {}", column.missing));
    }
    if column.invalid > 0 {
        shown.push_str(&format!(" invalid {} in {:?}", column.invalid, column.invalid_lines));
    }
    if let Some(doubt) = column.doubt {
        shown.push_str(&format!(" ({doubt})"));
    }
    shown
}

/// The file's facts in one line, its columns, its faults.
fn told((outline, faults): &(Outline, Faults)) -> Vec<String> {
    let header = outline.header_line.map_or("none".to_owned(), |line| line.to_string());
    let mut facts =
        format!("{} {} header {header}, {} rows", outline.encoding, outline.delimiter, outline.rows);
    if !outline.doubts.is_empty() {
        facts.push_str(&format!(" ({})", outline.doubts.join(", ")));
    }
    let faults = faults.iter().map(|(kind, found)| {
        let places: Vec<_> =
            found.places.iter().map(|place| format!("{}:{}", place.line, place.column)).collect();
        format!("! {} {} at {}", found.count, kind.name(), places.join(" "))
    });
    std::iter::once(facts).chain(outline.columns.iter().map(shown)).chain(faults).collect()
}

const FILES: &[(&str, &[&str])] = &[
    ("apostrophe-plural.csv", &["UTF-8 , header 1, 4 rows", "id: integer 1 … 4", "owner: text 4 distinct"]),
    ("apostrophe-quote-1col.csv", &["UTF-8 , header 1, 4 rows", "lyric: text 4 distinct"]),
    ("backslash-quotes.csv", &["UTF-8 , header 1, 2 rows", "a: integer 1 … 2", "b: text 2 distinct"]),
    (
        "comment-lines.csv",
        &["UTF-8 , header 3, 2 rows", "time: date 2024-01-01 … 2024-01-02", "kwh: decimal 1.5 … 2.5"],
    ),
    (
        "cp1251.csv",
        &["windows-1251 ; header 1, 2 rows (encoding)", "имя: text 2 distinct", "город: text 2 distinct"],
    ),
    (
        "cr-only-bad.csv",
        &["UTF-8 , header 1, 31 rows", "a: integer 0 … 29 invalid 1 in [32]", "b: integer 1 … 1"],
    ),
    (
        "crlf-bad.csv",
        &["UTF-8 , header 1, 31 rows", "a: integer 0 … 29 invalid 1 in [32]", "b: integer 1 … 1"],
    ),
    (
        "date-header.csv",
        &[
            "UTF-8 , header 1, 3 rows",
            "product: text 3 distinct",
            "2024-01-01: integer 1 … 8",
            "2024-02-01: integer 2 … 9",
            "2024-03-01: integer 3 … 10",
        ],
    ),
    ("dates-9999.csv", &["UTF-8 , header 1, 4 rows", "d: date 0001-01-01 … 9999-12-31", "v: integer 1 … 4"]),
    (
        "dates-ampm.csv",
        &["UTF-8 , header 1, 3 rows", "d: date 2024-03-14 13:05 … 2024-03-16 00:00", "v: integer 1 … 3"],
    ),
    (
        "dates-named2.csv",
        &["UTF-8 , header 1, 3 rows", "d: date 2024-03-15 … 2024-03-17", "v: integer 1 … 3"],
    ),
    (
        "defender-title.csv",
        &[
            "UTF-8 , header 2, 9 rows",
            "Severity: text 1 distinct",
            "CVSS v3: decimal 6 … 6.8",
            "Age (days): integer 10 … 18",
            "Has Exploit: boolean",
            "Related Software: text 9 distinct",
        ],
    ),
    ("dong2.csv", &["UTF-8 , header 1, 3 rows", "giá: integer 15000 … 1200000"]),
    (
        "estonian-1252.csv",
        &["windows-1252 , header 1, 5 rows (encoding)", "linn: text 5 distinct", "arv: integer 5 … 40"],
    ),
    (
        "exchange.csv",
        &[
            "UTF-8 ; header 1, 3 rows",
            "date: date 2024-01-02 … 2024-01-04",
            "eur: decimal 26.498 … 26.601 (decimal_mark)",
            "usd: decimal 24.31 … 24.401 (decimal_mark)",
        ],
    ),
    (
        "fx.csv",
        &[
            "UTF-8 , header 1, 4 rows",
            "date: date 2024-01-02 … 2024-01-05",
            "eurusd: decimal 1.0921 … 1.0946",
        ],
    ),
    ("ids-16-minus.csv", &["UTF-8 , header 1, 3 rows", "id: text 3 distinct (long)", "x: integer 1 … 2"]),
    (
        "kwh.csv",
        &[
            "UTF-8 ; header 1, 3 rows",
            "time: date 2024-01-01 00:00 … 2024-01-01 02:00",
            "kwh: decimal 0.412 … 1.018",
        ],
    ),
    (
        "lat-lon-semicolon.csv",
        &[
            "UTF-8 ; header 1, 3 rows",
            "city: text 3 distinct",
            "lat: decimal 16.463 … 22.336 (decimal_mark)",
            "lon: decimal 103.843 … 107.59 (decimal_mark)",
        ],
    ),
    (
        "leading-zero-decimals-semicolon.csv",
        &["UTF-8 ; header 1, 4 rows", "t: text 4 distinct", "humidity: decimal 0.125 … 0.5"],
    ),
    (
        "lf-blank-bad.csv",
        &["UTF-8 , header 1, 31 rows", "a: integer 0 … 29 invalid 1 in [36]", "b: integer 1 … 1"],
    ),
    ("long-prefix.csv", &["UTF-8 , header 1, 30 rows", "url: text 30 distinct", "n: integer 0 … 29"]),
    (
        "macroman.csv",
        &["macintosh , header 1, 1 rows (encoding)", "prénom: text 1 distinct", "ville: text 1 distinct"],
    ),
    (
        "money-minus-dollar.csv",
        &["UTF-8 , header 1, 4 rows", "d: text 4 distinct", "amount: decimal -1200.5 … 1234.56"],
    ),
    (
        "money-paren.csv",
        &[
            "UTF-8 , header 1, 3 rows",
            "Date: date 2023-01-01 … 2023-03-01 (day_and_month)",
            "Type: text 2 distinct",
            "Description: text 3 distinct",
            "Amount: decimal -1200.5 … 400",
        ],
    ),
    (
        "money-symbols.csv",
        &[
            "UTF-8 , header 1, 2 rows",
            "d: text 2 distinct",
            "inr: decimal 99 … 1234.5",
            "krw: integer 700 … 5000",
            "brl: decimal 9 … 10.5",
            "chf: decimal 1.3 … 12.3",
            "sek: integer 20 … 100",
        ],
    ),
    (
        "months-named.csv",
        &[
            "UTF-8 , header 1, 3 rows",
            "symbol: text 1 distinct",
            "date: date 2000-01-01 … 2000-03-01",
            "price: decimal 36.35 … 43.22",
        ],
    ),
    (
        "phones-plus.csv",
        &["UTF-8 , header 1, 3 rows", "name: text 3 distinct", "phone: text 3 distinct (phone)"],
    ),
    (
        "preamble.csv",
        &[
            "UTF-8 , header 2, 3 rows",
            "Year: integer 1880 … 1882",
            "Jan: decimal -0.2 … 0.15",
            "Feb: decimal -0.25 … 0.14",
        ],
    ),
    (
        "quoted-header-numbers.csv",
        &["UTF-8 , header 1, 2 rows", "1: integer 4 … 7", "2: integer 5 … 8", "3: integer 6 … 9"],
    ),
    (
        "ragged-short.csv",
        &[
            "UTF-8 , header 1, 3 rows",
            "a: integer 1 … 6",
            "b: integer 2 … 7",
            "c: integer 3 … 8 missing 1",
            "! 1 short_rows at 3:4",
        ],
    ),
    ("semicolon-decimal-comma-1col.csv", &["UTF-8 tab header 1, 3 rows", "preis: decimal 1.5 … 3.75"]),
    ("sep-comma.csv", &["UTF-8 , header 2, 2 rows", "One: integer 1 … 3", "Two: integer 2 … 4"]),
    (
        "sep-semicolon.csv",
        &[
            "UTF-8 ; header 2, 2 rows",
            "One: integer 1 … 5",
            "Two: integer 2 … 6",
            "Three: integer 3 … 7",
            "Four: integer 4 … 8",
        ],
    ),
    (
        "shiftjis.csv",
        &["Shift_JIS , header 1, 2 rows (encoding)", "名前: text 2 distinct", "都市: text 2 distinct"],
    ),
    (
        "space-quotes-comma.csv",
        &["UTF-8 , header 1, 2 rows", "id: integer 1 … 2", "name, full: text 2 distinct", "v: integer 5 … 6"],
    ),
    ("spaces.csv", &["UTF-8 space header 1, 2 rows", "a: integer 1 … 3", "b: integer 2 … 4"]),
    ("swiss-groups.csv", &["UTF-8 ; header 1, 3 rows", "c: text 3 distinct", "v: decimal 99 … 12000"]),
    (
        "trailing-comma-rows.csv",
        &["UTF-8 , header 1, 2 rows", "a: integer 1 … 4", "b: integer 2 … 5", "c: integer 3 … 6"],
    ),
    ("unicode-minus.csv", &["UTF-8 , header 1, 3 rows", "city: text 3 distinct", "temp: decimal -5.5 … 3.2"]),
    (
        "us-months.csv",
        &[
            "UTF-8 , header 1, 12 rows",
            "date: date 2000-01-01 … 2000-12-01 (day_and_month)",
            "v: integer 1 … 12",
        ],
    ),
    (
        "utf8-one-bad-byte.csv",
        &[
            "UTF-8 , header 1, 4 rows (encoding)",
            "tên: text 4 distinct",
            "giá: integer 1 … 4",
            "! 1 bytes at 4:2",
        ],
    ),
    (
        "weights-3dec-tab.csv",
        &["UTF-8 tab header 1, 3 rows", "id: text 3 distinct", "kg: decimal 0.5 … 12.75"],
    ),
    (
        "weights-3dec-with-ints.csv",
        &["UTF-8 ; header 1, 3 rows", "id: text 3 distinct", "kg: decimal 0.5 … 12.75", "n: integer 5 … 7"],
    ),
    (
        "years-header-25.csv",
        &[
            "UTF-8 , header 1, 25 rows",
            "country: text 25 distinct",
            "1960: integer 1 … 73",
            "1970: integer 2 … 122",
            "1980: integer 3 … 171",
        ],
    ),
    (
        "years-header.csv",
        &[
            "UTF-8 , header 1, 2 rows",
            "region: text 2 distinct",
            "2023: integer 5 … 10",
            "2024: integer 6 … 20",
            "2025: integer 7 … 30",
        ],
    ),
    (
        "zips-rare-zero.csv",
        &["UTF-8 , header 1, 32 rows", "zip: text 32 distinct (leading_zero)", "city: text 3 distinct"],
    ),
];

#[test]
fn every_file_is_read_as_the_table_says() {
    for (name, expected) in FILES {
        assert_eq!(told(&fixture(name, &[])), *expected, "{name}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_can_be_changed() {
    let columns = |name: &str, choices: &[(&str, &str)]| told(&fixture(name, choices));
    let kwh = columns("lat-lon-semicolon.csv", &[("decimal", "comma")]);
    assert_eq!(kwh[2..], ["lat: integer 16463 … 22336", "lon: integer 103843 … 107590"]);
    let days = columns("us-months.csv", &[("dates", "dmy")]);
    assert_eq!(days[1], "date: date 2000-01-01 … 2000-01-12");
    let zips = columns("zips-rare-zero.csv", &[("column.1", "number")]);
    assert_eq!(zips[1], "zip: integer 2134 … 90029");
    let data = columns("years-header.csv", &[("header", "none")]);
    assert_eq!(data[0], "UTF-8 , header none, 3 rows");
    let title = columns("preamble.csv", &[("header", "1"), ("delimiter", ";")]);
    assert_eq!(title[..2], ["UTF-8 ; header 1, 4 rows", "Land-Ocean: Global Means: text 4 distinct"]);
    let one = columns("spaces.csv", &[("delimiter", "tab")]);
    assert_eq!(one[1], "a b: text 2 distinct");
    let latin = columns("macroman.csv", &[("encoding", "windows-1252")]);
    assert_eq!(latin[..2], ["windows-1252 , header 1, 1 rows", "prŽnom: text 1 distinct"]);
    let other =
        |content: &str, name: &str, value: &str| told(&text(content.as_bytes(), &[(name, value)]))[1].clone();
    let short = "d\n15/03/24\n16/03/24\n";
    assert_eq!(other(short, "dates", "ymd"), "d: date 2015-03-24 … 2016-03-24");
    assert_eq!(other(short, "column.1", "text"), "d: text 2 distinct");
    assert_eq!(other("d\n20240315\n", "column.1", "number"), "d: integer 20240315 … 20240315");
    assert_eq!(other("id\n20240315\n", "column.1", "date"), "id: date 2024-03-15 … 2024-03-15");
    assert_eq!(other("m\nJan-24\nFeb-24\n", "column.1", "text"), "m: text 2 distinct");
    assert_eq!(other("t\n14:05\n15:00\n", "column.1", "text"), "t: text 2 distinct");
    let titled = text(b"Title\nMade today\nid,amount\n1,5\n", &[("delimiter", ",")]);
    assert_eq!(told(&titled), ["UTF-8 , header 3, 1 rows", "id: integer 1 … 1", "amount: integer 5 … 5"]);
    let codes = text(b"code,n\nNA,1\nDE,2\n", &[("column.1", "text")]);
    assert_eq!(told(&codes)[1], "code: text 1 distinct missing 1");
    let answers = text(b"answer,n\nNone,1\nSome,2\n-,3\n,4\n", &[("column.1", "verbatim")]);
    assert_eq!(told(&answers)[1], "answer: text 3 distinct missing 1");
    let nothing = text(b"a,b\n1,NA\n2,NA\n", &[("column.2", "verbatim")]);
    assert_eq!(told(&nothing)[2], "b: text 1 distinct");
    let plain = columns("apostrophe-plural.csv", &[("quote", "none"), ("column.2", "date")]);
    assert_eq!(plain[2], "owner: date 1970-01-01 … 1970-01-01 invalid 4 in [2, 3, 4]");
}

/// Texts that are read in one way, and what they are read as.
const TEXTS: &[(&str, &[&str])] = &[
    // A row of units, and a second row of names.
    (
        "time,temp\ns,°C\n0,20.5\n1,20.7\n2,21\n",
        &[
            "UTF-8 , header 1, 4 rows",
            "time: integer 0 … 2 invalid 1 in [2]",
            "temp: decimal 20.5 … 21 invalid 1 in [2]",
        ],
    ),
    (
        ",2023,2024\nRegion,Q1,Q2\nNorth,1,2\nSouth,3,4\nEast,5,6\n",
        &[
            "UTF-8 , header 1, 4 rows",
            "#1: text 4 distinct",
            "2023: integer 1 … 5 invalid 1 in [2]",
            "2024: integer 2 … 6 invalid 1 in [2]",
        ],
    ),
    // Footnotes: alone in rows of a table of several columns.
    (
        "Year,Value\n2020,1.5\n2021,1.7\n2022,1.9\n\nSource: Office\nNote: preliminary\n",
        &[
            "UTF-8 , header 1, 5 rows",
            "Year: integer 2020 … 2022 invalid 2 in [6, 7]",
            "Value: decimal 1.5 … 1.9 missing 2",
            "! 2 short_rows at 6:15 7:18",
        ],
    ),
    (
        "a,b\n1,--\n2,3.5\n3,…\n4,n.a.\n5,2\n",
        &["UTF-8 , header 1, 5 rows", "a: integer 1 … 5", "b: decimal 2 … 3.5 missing 3"],
    ),
    // Empty names at the end of the header, where no row is so long.
    ("a,b,\n1,2\n3,4\n", &["UTF-8 , header 1, 2 rows", "a: integer 1 … 3", "b: integer 2 … 4"]),
    (
        "Title: x\n\nType: y\n\n\nid,Year,Value,\nL1,1959,5.8\nL1,1960,5.1\nL1,1961,5.3\n",
        &[
            "UTF-8 , header 6, 3 rows",
            "id: text 1 distinct",
            "Year: integer 1959 … 1961",
            "Value: decimal 5.1 … 5.8",
        ],
    ),
    (
        "at,n\n2024/03/15 2:05:33 PM GMT+7,1\n2024/03/15 2:06:01 PM GMT+7,2\n",
        &["UTF-8 , header 1, 2 rows", "at: date 2024-03-15 07:05 … 2024-03-15 07:06", "n: integer 1 … 2"],
    ),
    (
        "id,name\n1,'Doe, John'\n2,'Roe, Jane'\n",
        &["UTF-8 , header 1, 2 rows", "id: integer 1 … 2", "name: text 2 distinct"],
    ),
    ("id,w\n1,'tis\n2,'twas\n", &["UTF-8 , header 1, 2 rows", "id: integer 1 … 2", "w: text 2 distinct"]),
    (
        "Export of users\nname,email\na,b@c\nd,e@f\n",
        &["UTF-8 , header 2, 2 rows", "name: text 2 distinct", "email: text 2 distinct"],
    ),
    (
        "Report of sales\nMade 2024-01-01\n\nid,amount\n1,5\n2,6\n3,7\n4,8\n5,9\n",
        &["UTF-8 , header 4, 5 rows", "id: integer 1 … 5", "amount: integer 5 … 9"],
    ),
    (
        "Sales report: Q1\nAuthor: Anna\nid;amount\n1;5,5\n2;6,5\n3;7,5\n4;8,5\n",
        &["UTF-8 ; header 3, 4 rows", "id: integer 1 … 4", "amount: decimal 5.5 … 8.5"],
    ),
    // A title that the delimiter divides, too.
    (
        "Sales, Q1\nAuthor: Anna\n\nid,amount\n1,5\n2,6\n",
        &["UTF-8 , header 4, 2 rows", "id: integer 1 … 2", "amount: integer 5 … 6"],
    ),
    // More lines above the table than it has rows.
    (
        "Bank\nAccount 1\nOwner: An\nFrom May\nTo June\n\nday;what;eur\n2024-05-01;rent;5\n2024-05-02;milk;7\n",
        &[
            "UTF-8 ; header 7, 2 rows",
            "day: date 2024-05-01 … 2024-05-02",
            "what: text 2 distinct",
            "eur: integer 5 … 7",
        ],
    ),
    (
        "Bank\nAccount 1\nid,note\n1,a\n2,b\n3,c\nEnd\n",
        &[
            "UTF-8 , header 3, 4 rows",
            "id: integer 1 … 3 invalid 1 in [7]",
            "note: text 3 distinct missing 1",
            "! 1 short_rows at 7:4",
        ],
    ),
    // Text in which a comma is common is one column, and the report says that it could be two.
    (
        "note\nfirst line\nHello, world\nFoo, bar\nBaz, qux\n",
        &["UTF-8 tab header 1, 4 rows (delimiter)", "note: text 4 distinct"],
    ),
    (
        "name\nDoe, John\nRoe, Jane\nPoe, Ed\nLow, Al\nMay, Jo\nRay, Di\nLee, Bo\nKay, Cy\nHay, Ty\nDay, Ed\n",
        &["UTF-8 tab header 1, 10 rows (delimiter)", "name: text 10 distinct"],
    ),
    (
        "Places\nplace, km\nHue, 5\nVinh, 7\n",
        &["UTF-8 , header 2, 2 rows", "place: text 2 distinct", "km: integer 5 … 7"],
    ),
    (
        "Title\nMade today\nid,amount\n1,5\n",
        &["UTF-8 tab header 1, 3 rows (delimiter)", "Title: text 3 distinct"],
    ),
    (
        "Report,,\n,,\nname,q,p\na,1,2\nb,2,3\n",
        &["UTF-8 , header 3, 2 rows", "name: text 2 distinct", "q: integer 1 … 2", "p: integer 2 … 3"],
    ),
    ("% made\n1,2\n3,4\n", &["UTF-8 , header none, 2 rows", "#1: integer 1 … 3", "#2: integer 2 … 4"]),
    ("a,b\n1,2\n# note\n3,4\n", &["UTF-8 , header 1, 2 rows", "a: integer 1 … 3", "b: integer 2 … 4"]),
    ("tag,n\n#a,1\n#b,2\n", &["UTF-8 , header 1, 2 rows", "tag: text 2 distinct", "n: integer 1 … 2"]),
    (
        "\"x\",\"y\"\n\"r1\",5,6\n\"r2\",7,8\n",
        &["UTF-8 , header 1, 2 rows", "#1: text 2 distinct", "x: integer 5 … 7", "y: integer 6 … 8"],
    ),
    (
        "a,b,c\n1,2,3,,\n4,5,6,,,\n",
        &["UTF-8 , header 1, 2 rows", "a: integer 1 … 4", "b: integer 2 … 5", "c: integer 3 … 6"],
    ),
    (
        "id;kg\nA;1,250\nB;2,375\n",
        &["UTF-8 ; header 1, 2 rows", "id: text 2 distinct", "kg: decimal 1.25 … 2.375 (decimal_mark)"],
    ),
    (
        ",0,1\n0,1.5,2\n1,3.5,4\n",
        &["UTF-8 , header 1, 2 rows", "#1: integer 0 … 1", "0: decimal 1.5 … 3.5", "1: integer 2 … 4"],
    ),
    (
        "1990,5.2\n1991,5.3\n",
        &["UTF-8 , header none, 2 rows", "#1: integer 1990 … 1991", "#2: decimal 5.2 … 5.3"],
    ),
    ("note\nHello, world\nFoo bar\nBaz, qux, x\n", &["UTF-8 tab header 1, 3 rows", "note: text 3 distinct"]),
    (
        "t\n2024-01-01 10:00\n2024-01-02 11:00\n",
        &["UTF-8 , header 1, 2 rows", "t: date 2024-01-01 10:00 … 2024-01-02 11:00"],
    ),
    (
        "name   age\nBob     12\nAl       9\n",
        &["UTF-8 space header 1, 2 rows", "name: text 2 distinct", "age: integer 9 … 12"],
    ),
    (
        "a:b:c\n1:2:3\n",
        &["UTF-8 : header 1, 1 rows", "a: integer 1 … 1", "b: integer 2 … 2", "c: integer 3 … 3"],
    ),
    (
        "a,v,w\nx,$5,-€1\ny,€6,€2\n",
        &["UTF-8 , header 1, 2 rows", "a: text 2 distinct", "v: integer 5 … 6 (units)", "w: integer -1 … 2"],
    ),
    ("symbol,n\nNa,1\nHe,2\n", &["UTF-8 , header 1, 2 rows", "symbol: text 2 distinct", "n: integer 1 … 2"]),
    // `NA` is a code among codes, and missing among others: both are told.
    (
        "code,n\nNA,1\nDE,2\nFR,3\nUS,4\n",
        &["UTF-8 , header 1, 4 rows", "code: text 4 distinct (words)", "n: integer 1 … 4"],
    ),
    (
        "region,n\nEMEA,1\nNA,2\n-,3\nAPAC,NA\n",
        &[
            "UTF-8 , header 1, 4 rows",
            "region: text 3 distinct missing 1 (words)",
            "n: integer 1 … 3 missing 1",
        ],
    ),
    (
        "answer,n\nNone,1\nSome,2\nnull,3\nNil,4\n-,5\n",
        &["UTF-8 , header 1, 5 rows", "answer: text 2 distinct missing 3 (words)", "n: integer 1 … 5"],
    ),
    ("a,b\n1,NA\n2,NA\n", &["UTF-8 , header 1, 2 rows", "a: integer 1 … 2", "b: empty missing 2 (words)"]),
    (
        "a,b\n1,\"5\" disk\"\n2,x\n",
        &["UTF-8 , header 1, 2 rows", "a: integer 1 … 2", "b: text 2 distinct", "! 1 quotes at 2:6"],
    ),
    // Years of two digits: the order in which the dates lie closest together.
    (
        "d\n15/03/24\n16/03/24\n",
        &["UTF-8 , header 1, 2 rows", "d: date 2024-03-15 … 2024-03-16 (short_year)"],
    ),
    (
        "d\n03/15/24\n04/02/24\n",
        &["UTF-8 , header 1, 2 rows", "d: date 2024-03-15 … 2024-04-02 (short_year)"],
    ),
    (
        "d\n24-03-15\n24-03-16\n",
        &["UTF-8 , header 1, 2 rows", "d: date 2024-03-15 … 2024-03-16 (short_year)"],
    ),
    (
        "d\n15-03-24\n16-03-24\n",
        &["UTF-8 , header 1, 2 rows", "d: date 2024-03-15 … 2024-03-16 (short_year)"],
    ),
    (
        "d\n20240315\n20240316\n",
        &["UTF-8 , header 1, 2 rows", "d: date 2024-03-15 … 2024-03-16 (compact_date)"],
    ),
    (
        "order_id,n\n20240315,1\n20240316,2\n",
        &[
            "UTF-8 , header 1, 2 rows",
            "order_id: integer 20240315 … 20240316 (compact_date)",
            "n: integer 1 … 2",
        ],
    ),
    // Numbers that follow each other leave the month behind, and days of other centuries are numbers.
    (
        "n,phone,m\n20240131,20240315,18500101\n20240132,20240316,18500102\n",
        &[
            "UTF-8 , header 1, 2 rows",
            "n: integer 20240131 … 20240132",
            "phone: text 2 distinct (name)",
            "m: integer 18500101 … 18500102",
        ],
    ),
    (
        "m,n\nJan-24,1\nFeb-24,2\n",
        &["UTF-8 , header 1, 2 rows", "m: date 2024-01-01 … 2024-02-01 (month_of_year)", "n: integer 1 … 2"],
    ),
    (
        "m,n\nMar 2024,1\nApr 2024,2\n",
        &["UTF-8 , header 1, 2 rows", "m: date 2024-03-01 … 2024-04-01", "n: integer 1 … 2"],
    ),
    (
        "t,n\n14:05,1\n2:15 PM,2\n",
        &["UTF-8 , header 1, 2 rows", "t: time 14:05 … 14:15 (time_of_day)", "n: integer 1 … 2"],
    ),
    // Versions, codes of banks and addresses are none.
    (
        "v,s,a,r\n1.2.34,20-45-67,10.0.0.1,90:15\n1.3.12,20-31-90,10.0.0.2,91:20\n",
        &[
            "UTF-8 , header 1, 2 rows",
            "v: text 2 distinct",
            "s: text 2 distinct",
            "a: text 2 distinct",
            "r: text 2 distinct",
        ],
    ),
];

#[test]
fn every_text_is_read_as_the_table_says() {
    for (content, expected) in TEXTS {
        assert_eq!(told(&text(content.as_bytes(), &[])), *expected, "{content:?}");
    }
}

#[test]
fn faults_are_counted_and_named_and_the_rest_is_reported() {
    let mixed =
        b"a,b\r\n1,2\r\n\r\n3\r\n4,5,6\r\n\"7\r\n8\",9\r\n10,\"x\"y\r\n1\x002,\xff\r\n11,\"12\r\n13,14\r\n";
    assert_eq!(
        told(&text(mixed, &[])),
        [
            "windows-1252 , header 1, 8 rows (encoding)",
            "a: text 8 distinct",
            "b: text 7 distinct missing 1",
            "! 1 short_rows at 4:2",
            "! 1 long_rows at 5:5",
            "! 2 quotes at 8:7 10:4",
            "! 1 nuls at 9:2",
        ]
    );
    assert_eq!(told(&text(mixed, &[("encoding", "utf-8")]))[6], "! 1 bytes at 9:5");
}
