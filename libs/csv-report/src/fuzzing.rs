//! What must hold for any file: the body of a fuzz target in `/fuzz`.

use std::{fs, path::Path};

use crate::{
    Facts, Limits, Outline, Reading, Source, StepError, Ticker, charts, checksum, detect, parse, render,
    statistics, validate,
};

#[cfg(test)]
#[path = "../../../fuzz/smoke.rs"]
mod smoke;

/// Small, so that they are met often.
const LIMITS: Limits = Limits { columns_max: 50, row_bytes_max: 2000 };
/// The elements of a page. What a file holds makes no other.
const ELEMENTS: &str = " article b body button code dd details div dl dt em figcaption figure footer form h1 h2 h3 head header html i input label li line main meta nav ol option p path polyline q rect script section select span strong style summary svg table tbody td template text th thead title tr tspan ul circle g a br ";

/// Any file becomes a report whose figures fit together and whose page has no markup of the file's, or is
/// refused. The first line says how it is to be read: `name=value` pairs, divided by blanks.
pub fn report(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, page) = (folder.path().join("data"), folder.path().join("page"));
    let at = data.iter().position(|byte| *byte == b'\n').map_or(data.len(), |at| at + 1);
    let (choices, file) = data.split_at(at);
    fs::write(&path, file).expect("a written file");
    let reading = reading(&String::from_utf8_lossy(choices));
    match read(&path, &page, &reading) {
        Ok(rows) => {
            let text = fs::read_to_string(&page).expect("a page of UTF-8");
            check_elements(&text);
            let has = |text: &[u8], word: &[u8]| {
                text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
            };
            assert!(!has(text.as_bytes(), b"NaN") || has(file, b"NaN"), "a figure that is none");
            assert!(rows <= file.len() as u64 + 1, "more rows than bytes");
        }
        Err(error) => {
            let place = error.place().unwrap_or((1, 1));
            assert!(place.0 > 0 && place.1 > 0, "{error}");
            assert!(!matches!(error, StepError::Io(_) | StepError::Stopped), "{error}");
        }
    }
}

fn reading(text: &str) -> Reading {
    let mut reading = Reading::default();
    for (name, value) in text.split_ascii_whitespace().filter_map(|pair| pair.split_once('=')) {
        let _made_or_refused = reading.choose(name, value);
    }
    reading
}

fn read(path: &Path, page: &Path, reading: &Reading) -> Result<u64, StepError> {
    let ticker = Ticker::default();
    let sha256 = checksum(path, &ticker)?;
    let dialect = detect(path, reading, &ticker)?;
    let source = Source::new(path.to_owned(), dialect, LIMITS.row_bytes_max);
    let shape = parse(&source, LIMITS, &ticker)?;
    assert!(shape.names.len() <= LIMITS.columns_max);
    let columns = validate(&source, &shape, &ticker)?;
    assert_eq!(columns.len(), shape.names.len());
    let statistics = statistics(&source, &shape, columns, &ticker)?;
    let outline = Outline::of(&source.dialect, &shape, &statistics);
    for column in &outline.columns {
        assert!(column.missing + column.invalid <= shape.rows, "{column:?} of {} rows", shape.rows);
        assert!(column.mean.is_none_or(|mean| !mean.is_nan()), "{column:?}");
    }
    let (statistics, charts) = charts(statistics, shape.rows, &ticker)?;
    let facts = Facts {
        title: "<x-title>".to_owned(),
        size_bytes: fs::metadata(path)?.len(),
        sha256,
        made_at: "2026-01-23T10:00:00Z".to_owned(),
        dialect: source.dialect.clone(),
    };
    render(&facts, &shape, &statistics, &charts, page)?;
    Ok(shape.rows)
}

fn check_elements(page: &str) {
    for rest in page.split('<').skip(1) {
        let name = rest.strip_prefix('/').unwrap_or(rest);
        let end = name.find(|sign: char| !sign.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = &name[..end];
        // Behind `<!` stands the kind of the page; a bare `<` of a style or script is followed by no name.
        assert!(name.is_empty() || ELEMENTS.contains(&format!(" {name} ")), "<{name} is none of ours");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_report_keeps_its_promises_for_any_file() {
        super::smoke::check("csv_report", 400, super::report);
    }
}
