//! What the page shows of a file, as its reader sees it in English.

use anywire_csv_report::{
    Facts, Limits, Reading, Source, Ticker, charts, detect, page, parse, statistics, validate,
};
use regex::Regex;

const LIMITS: Limits = Limits { columns_max: 500, row_bytes_max: 1 << 20 };

/// The page's words, one blank between two.
fn words(content: &str, choices: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("x.csv");
    std::fs::write(&path, content).expect("written");
    let ticker = Ticker::default();
    let mut reading = Reading::default();
    for (name, value) in choices {
        assert_eq!(reading.choose(name, value), Ok(true), "{name}");
    }
    let dialect = detect(&path, &reading, &ticker).expect("a dialect");
    let source = Source::new(path, dialect.clone(), LIMITS.row_bytes_max);
    let shape = parse(&source, LIMITS, &ticker).expect("rows");
    let kinds = validate(&source, &shape, &ticker).expect("columns");
    let found = statistics(&source, &shape, kinds, &ticker).expect("statistics");
    let (found, drawn) = charts(found, shape.rows, &ticker).expect("charts");
    let facts = Facts {
        title: "x.csv".to_owned(),
        size_bytes: content.len() as u64,
        sha256: String::new(),
        made_at: String::new(),
        dialect,
    };
    let html = page(&facts, &shape, &found, &drawn);
    let replaced = |html: &str, pattern: &str, with: &str| {
        Regex::new(pattern).expect("a pattern").replace_all(html, with).into_owned()
    };
    let english = replaced(&html, "<t?span lang=\"vi\">.*?</t?span>", "");
    let english = replaced(&english, "(?s)<style>.*?</style>", " ");
    // Marks within a text have no blanks around them.
    let joined = replaced(&english, "</?(b|q|code|span)( lang=\"en\")?>", "");
    let text = replaced(&joined, "<[^>]*>", " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shows(content: &str, expected: &[&str]) {
    shows_with(content, &[], expected);
}

fn shows_with(content: &str, choices: &[(&str, &str)], expected: &[&str]) {
    let words = words(content, choices);
    for text in expected {
        assert!(words.contains(text), "{content:?} does not show {text:?}: {words}");
    }
}

#[test]
fn amounts_of_money_have_their_decimals_in_every_figure() {
    shows(
        "k,eur\na,199999.95\nb,100000.10\nc,0.05\n",
        &[
            "Sum 300,000.10",
            "Median (middle half) 100,000.10 (≈ 50,000.08 – 150,000.03)",
            "Mean ± deviation ≈ 100,000.03 ± 99,999.95",
            "Least – greatest 0.05 – 199,999.95",
            "eur decimal 0 % 0 3 0.05 100,000.10 ≈ 100,000.03 199,999.95",
        ],
    );
    shows("k,v\na,1234567.89\nb,7654321.12\n", &["Sum 8,888,889.01", "Median (middle half) 4,444,444.505"]);
    shows("k,v\na,\"$1,200.50\"\nb,$3.00\nc,$15.75\n", &["Sum 1,219.25", "Least – greatest 3.00 – 1,200.50"]);
    shows("k;v\na;1.200,50 €\nb;3,00 €\nc;15,75 €\n", &["Sum 1,219.25"]);
    shows("k;v\na;1'234'567.50\nb;2'000.00\nc;999.95\n", &["Sum 1,237,567.45"]);
    shows("k,v\na,(1200.50)\nb,200.25\n", &["Sum −1,000.25"]);
}

#[test]
fn a_sum_is_exact_or_says_that_it_is_not() {
    let cents = "0.1\n".repeat(1000);
    shows(&format!("v\n{cents}"), &["Sum 100.0"]);
    shows("k,v\na,1\nb,12346\n", &["Sum 12,347", "Median (middle half) 6,173.5"]);
    shows("k,v\na,23\nb,24690\n", &["Median (middle half) 12,356.5"]);
    shows("k,v\na,9007199254740.993\nb,0.001\n", &["Sum 9,007,199,254,740.994"]);
    shows("k,v\na,1.5\nb,2.25\nc,3\n", &["Sum 6.75", "Least – greatest 1.5 – 3"]);
    shows(
        "k,v\na,1e3\nb,2.5\n",
        &[
            "Sum ≈ 1,002.5",
            "Mean ± deviation ≈ 501.25",
            "Median (middle half) ≈ 501.25 (≈ ",
            "5 % – 95 % ≈ ",
            "Least – greatest 2.5 – 1,000",
        ],
    );
    // Exact, estimated of a sample, and rounded.
    shows("k,v\na,1\nb,2\nc,3\n", &["Mean ± deviation 2 ± 1", "Median (middle half) 2 (1.5 – 2.5)"]);
    let many: String = (0..60_000).map(|number| format!("{number},x\n")).collect();
    shows(
        &format!("v,k\n{many}"),
        &[
            "Sum 1,799,970,000",
            "Mean ± deviation ≈ 30,000 ± 17,321",
            "Median (middle half) ≈ ",
            "5 % – 95 % ≈ ",
        ],
    );
    shows("k,v\na,1\nb,1\nc,2\n", &["Mean ± deviation ≈ 1.333 ± 0.577", "Median (middle half) 1 (1 – 1.5)"]);
    shows("k,v\na,0.1234567890123456\nb,1e3\n", &["Least – greatest ≈ 0.123456789012 – 1,000"]);
    shows("k,v\na,0.1234567891\nb,1\n", &["Sum ≈ 1.1234567891"]);
}

#[test]
fn one_column_that_could_be_several_is_told() {
    let file = "Title\nMade today\nid,amount\n1,5\n";
    shows(file, &["It was read as one column; , divides some of its lines."]);
    shows_with(file, &[("delimiter", "tab")], &["Header first row", "Columns 1"]);
    assert!(!words(file, &[("delimiter", "tab")]).contains("divides some"));
}

#[test]
fn words_that_may_be_missing_are_told_with_how_they_were_read() {
    shows(
        "code,n\nNA,1\nDE,2\nFR,3\n",
        &["code: cells that say NA were read as texts, not as missing (cells: 1)."],
    );
    let answers = "answer,n\nNone,1\nSome,2\n<NA>,3\nNil,4\nNone,5\n";
    let told = "answer: cells that say None, &lt;NA&gt; were read as missing, not as texts (cells: 3).";
    shows(answers, &[told, "answer is missing in 60 % of the rows."]);
    shows_with(answers, &[("column.1", "verbatim")], &["None 2 · 40 %", "text, even NA or - · "]);
    assert!(!words(answers, &[("column.1", "verbatim")]).contains("cells that say"));
    shows("a,b\n1,\n2,x\n", &["b is empty in 50 % of the rows."]);
}
