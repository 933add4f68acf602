//! How much of the whole a line of a program says is done, in the shapes that programs have for it.
//!
//! ```text
//! a share         "42 %", "[ 45%]", " 45%|████▌     | 45/100", "45.0% of 10 MiB"; the last of a line
//! a bar           "[=====>   ] 12/340", "12/340 [==>....]"
//! two sizes       "━━━━━━━━ 1.2/2.5 MB"
//! curl            " 45 1000M   45  450M …": the first column of its table
//! ffmpeg          "time=00:00:04.00", of the longest "Duration:" that came
//! ```
//! A share of something else is none: `coverage: 45.0% of statements`, `deflated 45%`, `foo%20bar`.

use regex::{Captures, Regex};

use super::figures::{clock_us, figure, literal, share};

/// A share, with what stands before it.
const PERCENT: &str = r"(?:(?<before>^|.)(?<sign>[-−])|^|[^\d.,])(?<share>[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:[.,]\d{1,3})?)(?:\s?%|\s(?:percent|per\scent)\b)";
/// A bar with a count on one of its sides.
const BAR: &str = r"(?x)
      [\[|│] [=\#>█▉▊▋▌▍▎▏━╸\-.\x20]* [=\#>█━.\-] [=\#>█▉▊▋▌▍▎▏━╸\-.\x20]* [\]|│] \s* (?<n1>\d{1,9})/(?<t1>\d{1,9}) (?:[:\s]|$)
    | ^\s* (?<n2>\d{1,9})/(?<t2>\d{1,9}) \s+ (?: \[ [=>.\x20]{4,} \] | [━╸]{4,} )";
/// What is done and what there is, in one unit or each in its own.
const SIZES: &str = r"(?x) (?:^|[\s(]) (?<done>\d+(?:\.\d+)?) \s? (?<unit>[kKMGT]i?B|B|bytes)? \s?/\s?
    (?<total>\d+(?:\.\d+)?) \s? (?<units>[kKMGT]i?B|B|bytes) (?:[\s,)\]]|$)";
/// A row of the table that curl draws: shares of all, of what comes and of what goes, sizes, times.
const CURL: &str = r"^\s*(\d{1,3})\s+[\d.]+[kMGTP]?\s+\d{1,3}\s+[\d.]+[kMGTP]?\s+\d{1,3}\s+[\d.]+[kMGTP]?\s+[\d.]+[kMGTP]?\s+[\d.]+[kMGTP]?\s+(?:[\d:]+|--:--:--|\d+[dhm]\s\d+[hms])\s+\S+\s+\S+\s+[\d.]+[kMGTP]?\s*$";
/// A row of a table of files: how much of each is tested, as coverage.py writes it.
const TABLE: &str = r"^\S+\s+\d+(?:\s+\d+){1,3}\s+\d{1,3}(?:\.\d+)?%(?:\s+[\d,\s>-]+)?$";
/// ffmpeg's own line of progress.
const TIME: &str = r"\btime=(?<time>\d{2,}:\d{2}:\d{2}(?:\.\d+)?)\s+bitrate=";

/// What a share of something else stands behind, as the last word before it.
const OF_OTHERS_BEFORE: [&str; 19] = [
    "coverage",
    "covered",
    "deflated",
    "stored",
    "compressed",
    "usage",
    "used",
    "cpu",
    "memory",
    "mem",
    "ram",
    "swap",
    "ratio",
    "accuracy",
    "acc",
    "battery",
    "loss",
    "confidence",
    "similarity",
];
/// What stands behind a share of something else.
const OF_OTHERS_AFTER: [&str; 19] = [
    "of statements",
    "packet loss",
    "coverage",
    "covered",
    "cpu",
    "tests passed",
    "passed",
    "faster",
    "slower",
    "smaller",
    "larger",
    "full",
    "used",
    "usage",
    "idle",
    "hit",
    "of memory",
    "of cpu",
    "/",
];

/// Reads one command's lines for shares.
#[derive(Debug)]
pub(super) struct Shares {
    percent: Regex,
    bar: Regex,
    sizes: Regex,
    curl: Regex,
    table: Regex,
    time: Regex,
    /// How long the longest input of ffmpeg is.
    whole_us: u64,
}

impl Shares {
    pub(super) fn new() -> Self {
        Self {
            percent: literal(PERCENT),
            bar: literal(BAR),
            sizes: literal(SIZES),
            curl: literal(CURL),
            table: literal(TABLE),
            time: literal(TIME),
            whole_us: 0,
        }
    }

    /// What the next line says is done, 0 to 100.
    pub(super) fn read(&mut self, line: &str) -> Option<f64> {
        if !line.bytes().any(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if let Some(text) = line.trim_start().strip_prefix("Duration: ") {
            let named = text.split(',').next().and_then(clock_us).unwrap_or(0);
            self.whole_us = self.whole_us.max(named);
            return None;
        }
        if line.contains(['%']) || line.contains("cent") {
            return self.shown(line);
        }
        self.counted(line)
            .or_else(|| self.sized(line))
            .or_else(|| self.of_curl(line))
            .or_else(|| self.timed(line))
    }

    fn shown(&self, line: &str) -> Option<f64> {
        if self.table.is_match(line) {
            return None;
        }
        self.percent.captures_iter(line).filter_map(|found| of_progress(line, &found)).last()
    }

    fn counted(&self, line: &str) -> Option<f64> {
        let found = self.bar.captures(line)?;
        let number =
            |one: &str, other: &str| found.name(one).or_else(|| found.name(other))?.as_str().parse().ok();
        part(number("n1", "n2")?, number("t1", "t2")?)
    }

    fn sized(&self, line: &str) -> Option<f64> {
        // The layers of an image come side by side: none is the whole.
        let layer = line
            .split_once(": ")
            .is_some_and(|(name, _)| name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let found = self.sizes.captures_iter(line).last().filter(|_| !layer)?;
        let units = bytes_of(&found["units"]);
        let unit = found.name("unit").map_or(units, |unit| bytes_of(unit.as_str()));
        part(found["done"].parse::<f64>().ok()? * unit, found["total"].parse::<f64>().ok()? * units)
    }

    fn of_curl(&self, line: &str) -> Option<f64> {
        share(&self.curl.captures(line)?[1])
    }

    fn timed(&self, line: &str) -> Option<f64> {
        let done_us = clock_us(&self.time.captures(line)?["time"])?;
        #[expect(clippy::cast_precision_loss, reason = "a share is no more exact than that")]
        part(done_us as f64, self.whole_us as f64)
    }
}

fn part(done: f64, total: f64) -> Option<f64> {
    (total > 0.0 && done <= total).then(|| done / total * 100.0)
}

fn bytes_of(unit: &str) -> f64 {
    let base: f64 = if unit.contains('i') { 1024.0 } else { 1000.0 };
    let power = match unit.as_bytes().first() {
        Some(b'k' | b'K') => 1,
        Some(b'M') => 2,
        Some(b'G') => 3,
        Some(b'T') => 4,
        _ => 0,
    };
    base.powi(power)
}

/// A share that is none of progress: below zero, the end of a greater number (`1 050 %`), an escape of an
/// address (`a%20b`), or a share of something else.
fn of_progress(line: &str, found: &Captures<'_>) -> Option<f64> {
    let text = &found["share"];
    let negative = found.name("sign").is_some()
        && found.name("before").is_none_or(|sign| sign.as_str().trim().is_empty() || sign.as_str() == "(");
    let whole = text.split(['.', ',']).next().unwrap_or_default();
    let tail = whole.len() == 3 && whole.starts_with('0');
    let (begins, ends) = (found.name("share")?.start(), found.get(0)?.end());
    if negative || tail || is_of_other(&line[..begins], &line[ends..]) {
        None
    } else {
        figure(text).and_then(in_range)
    }
}

fn in_range(percent: f64) -> Option<f64> {
    (0.0..=100.0).contains(&percent).then_some(percent)
}

fn is_of_other(before: &str, after: &str) -> bool {
    if after.starts_with(|c: char| c.is_ascii_alphanumeric()) && !after.starts_with("of") {
        return true;
    }
    let before = before.trim_end_matches([' ', '\t', ':', '=', '(', '[', '-', '~', '≈']).to_lowercase();
    let word = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let after = after.trim_start().to_lowercase();
    OF_OTHERS_BEFORE.contains(&word)
        || OF_OTHERS_AFTER.iter().any(|other| {
            after.strip_prefix(other).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        })
}
