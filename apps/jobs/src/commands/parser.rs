//! What a line of a command says about its progress.
//!
//! ```text
//! lines     "[3/9] Linking"  "Step 3/9: Linking"  "#6 [2/4] RUN make"  "done 42 %"
//! json      {"step":"Linking","percent":42,"total_steps":9,"message":"…","metadata":{…},
//!            "artefact":"a.png","result":{…},"error":"…"}
//! ffmpeg    what `-progress pipe:1` writes; the whole is the longest "Duration:" of its inputs
//! pattern   a regular expression with groups named step, percent, message, done, total
//! ```
//! A line that says nothing is a line of the log, no error: commands talk.

use anywire_app::http::read_members;
use regex::{Captures, Regex};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{
    figures::{clock_us, figure, literal, share},
    phases::{Phases, Place},
    shares::Shares,
    text::cut,
};
use crate::domain::{Json, Metadata, ParserKind, STEPS_MAX};

/// Step names, messages and errors are cut to this many characters: a command has no say in our limits.
const NAME_CHARS_MAX: usize = 100;
const MESSAGE_CHARS_MAX: usize = 500;
const ERROR_CHARS_MAX: usize = 4000;
/// The compiled size of somebody's pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParsedLine {
    /// It is only for machines and does not belong in the log.
    pub hidden: bool,
    /// The step it belongs to: a new one if the name is new.
    pub step: Option<String>,
    /// The number of that step, if it has one.
    pub number: Option<u32>,
    /// How many steps there are.
    pub total_steps: Option<u32>,
    /// How much of the whole is done, 0 to 100.
    pub percent: Option<f64>,
    /// What to show.
    pub message: Option<String>,
    /// Members to set; null removes one.
    pub metadata: Metadata,
    /// A file that is ready.
    pub artefact: Option<String>,
    /// What came out of it all.
    pub result: Option<Json>,
    /// Why it will fail.
    pub error: Option<String>,
}

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is none.
    #[error(
        "parser is \"pattern\" and pattern is missing; give a regular expression with a group named percent, step, message, or done and total"
    )]
    Missing,
    /// It is no regular expression.
    #[error("pattern {pattern:?} is no regular expression: {detail}")]
    Syntax {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        detail: String,
    },
    /// It has none of the groups that mean something.
    #[error(
        "pattern {pattern:?} has no group that means anything; name one (?<percent>…), (?<step>…), (?<message>…), or (?<done>…) and (?<total>…)"
    )]
    NoGroup {
        /// The pattern.
        pattern: String,
    },
}

/// Reads one command's lines.
#[derive(Debug)]
pub struct Parser(How);

#[derive(Debug)]
enum How {
    Lines { steps: Box<Steps>, shares: Box<Shares>, phases: Phases },
    Json,
    Ffmpeg { whole_us: u64 },
    Pattern(Regex),
}

impl Parser {
    /// A parser of that kind.
    ///
    /// # Errors
    /// [`PatternError`] when the pattern is missing or means nothing.
    pub fn new(kind: ParserKind, pattern: Option<&str>) -> Result<Self, PatternError> {
        Ok(Self(match kind {
            ParserKind::Lines => How::Lines {
                steps: Box::new(Steps::new()),
                shares: Box::new(Shares::new()),
                phases: Phases::default(),
            },
            ParserKind::Json => How::Json,
            ParserKind::Ffmpeg => How::Ffmpeg { whole_us: 0 },
            ParserKind::Pattern => How::Pattern(check_pattern(pattern.ok_or(PatternError::Missing)?)?),
        }))
    }

    /// What the next line says.
    pub fn read(&mut self, line: &str) -> ParsedLine {
        match &mut self.0 {
            How::Lines { steps, shares, phases } => plain(line, steps, shares, phases),
            How::Json => json(line).unwrap_or_default(),
            How::Ffmpeg { whole_us } => ffmpeg(line, whole_us),
            How::Pattern(pattern) => pattern.captures(line).map(|found| groups(&found)).unwrap_or_default(),
        }
    }
}

/// `Step 3/9`, `[3/9]`, `(3 of 9)`, `12/340 Test #12`, with BuildKit's `#6`, `=>` and names of stages before;
/// numbers may have thousands.
const STEP: &str = r"(?xi) ^\s* (?: \#\d+\s+ | (?:=>\s*)+ (?:CACHED\s+|ERROR\s+)? )?
    (?: (?:step|stage|phase|epoch|pass|part|task|round|iteration)\s+
        (?<n1>\d{1,3}(?:,\d{3})+|\d{1,9}) \s*(?:/|of)\s* (?<t1>\d{1,3}(?:,\d{3})+|\d{1,9})
      | [\[(]\s* (?<stage>(?:[\w.:@/+-]*[[:alpha:]][\w.:@/+-]*\s+){0,3})
        (?<n2>\d{1,3}(?:,\d{3})+|\d{1,9}) \s*(?:/|of)\s* (?<t2>\d{1,3}(?:,\d{3})+|\d{1,9}) \s*[\])] )
    \s*[:\-–]?\s* (?<name>.*) $";
/// `[3/9]` behind other text, such as a time, and `(3/9)` at the end.
const STEP_BEHIND: &str = r"(?xi) ^ (?<head>.*\S) \s+ (?: \[\s* (?<n1>\d{1,9}) \s*(?:/|of)\s* (?<t1>\d{1,9}) \s*\] (?: [:\s]\s*(?<name>.*) )?
      | \( (?<n2>\d{1,9}) \s*(?:/|of)\s* (?<t2>\d{1,9}) \) \s*[.…]* ) $";
/// What packages and tests are numbered by: `  Installing : foo   12/340`, `12/340 Test #12: foo`.
const STEP_BARE: &str = r"(?x) ^\s* (?: (?<head>\w[\w\x20]*\s*:\s.*\S) \s{2,} (?<n1>\d{1,9})/(?<t1>\d{1,9}) \s*
      | (?<n2>\d{1,9})/(?<t2>\d{1,9}) \s+ Test\s+\#\d+: \s+ (?<name>\S+) .* ) $";

/// Reads one command's lines for numbers of steps.
#[derive(Debug)]
struct Steps([Regex; 3]);

impl Steps {
    fn new() -> Self {
        Self([STEP, STEP_BEHIND, STEP_BARE].map(literal))
    }

    /// The number of a step; beside a share only one that begins the line.
    fn find<'a>(&self, line: &'a str, has_share: bool) -> Option<Captures<'a>> {
        let kinds = if has_share { 1 } else { self.0.len() };
        self.0[..kinds].iter().find_map(|step| step.captures(line))
    }
}

fn check_pattern(pattern: &str) -> Result<Regex, PatternError> {
    let built = regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    let built = built.map_err(|error| PatternError::Syntax {
        pattern: cut(pattern, NAME_CHARS_MAX),
        detail: error.to_string(),
    })?;
    let has = |name: &str| built.capture_names().flatten().any(|group| group == name);
    if ["percent", "step", "message"].into_iter().any(has) || (has("done") && has("total")) {
        return Ok(built);
    }
    Err(PatternError::NoGroup { pattern: cut(pattern, NAME_CHARS_MAX) })
}

fn plain(line: &str, steps: &Steps, shares: &mut Shares, phases: &mut Phases) -> ParsedLine {
    let share = shares.read(line);
    let step = steps.find(line, share.is_some());
    let mut parsed = step.map(|found| numbered(&found, phases)).unwrap_or_default();
    let said = parsed.percent;
    parsed.percent = share.or(said);
    if parsed.percent.is_some() && parsed.percent != said {
        parsed.message = Some(cut(line, MESSAGE_CHARS_MAX));
    }
    parsed
}

/// What a line with the number of a step says.
fn numbered(found: &Captures<'_>, phases: &mut Phases) -> ParsedLine {
    let text = |name: &str| found.name(name).map_or("", |group| group.as_str().trim());
    let number = |one: &str, other: &str| {
        let digits = found.name(one).or_else(|| found.name(other))?.as_str().replace(',', "");
        digits.parse::<u32>().ok()
    };
    let numbers = number("n1", "n2").zip(number("t1", "t2"));
    let Some((index, total)) = numbers.filter(|(index, total)| (1..=*total).contains(index)) else {
        return ParsedLine::default();
    };
    // On a terminal BuildKit writes how long a step has taken to the right of its name.
    let name = match found[0].trim_start().strip_prefix("=>").and_then(|_| text("name").split_once("  ")) {
        Some((name, _)) => name,
        None => text("name"),
    };
    let name = if name.is_empty() { without_mark(text("head")) } else { name };
    let name = match name {
        "" => format!("{index}/{total}"),
        name => cut(name, NAME_CHARS_MAX),
    };
    let mut parsed = ParsedLine::default();
    match phases.take(text("stage"), index, total, &name) {
        Place::New { number, total } if total > STEPS_MAX => {
            parsed.percent = Some(f64::from(number - 1) / f64::from(total) * 100.0);
            parsed.message = Some(name);
        }
        Place::New { number, total } => {
            (parsed.step, parsed.number, parsed.total_steps) = (Some(name), Some(number), Some(total));
        }
        Place::Current { total } => {
            (parsed.message, parsed.total_steps) = (Some(name), Some(total.min(STEPS_MAX)));
        }
        Place::Past => {}
    }
    parsed
}

/// Without what a log puts before its lines, such as `[INFO]`.
fn without_mark(text: &str) -> &str {
    let rest = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    rest.map_or(text, |(_, rest)| rest.trim_start())
}

fn json(line: &str) -> Option<ParsedLine> {
    let members = read_members(line.as_bytes()).ok()?;
    let text = |name: &str, chars_max: usize| Some(cut(&member::<String>(members.get(name))?, chars_max));
    let percent = member(members.get("percent"));
    Some(ParsedLine {
        hidden: !members.contains_key("log"),
        step: text("step", NAME_CHARS_MAX),
        number: None,
        total_steps: member(members.get("total_steps")),
        percent: percent.filter(|percent| (0.0..=100.0).contains(percent)),
        message: text("message", MESSAGE_CHARS_MAX),
        metadata: member(members.get("metadata")).unwrap_or_default(),
        artefact: text("artefact", NAME_CHARS_MAX),
        result: members.get("result").map(|result| Json::from(*result)),
        error: text("error", ERROR_CHARS_MAX),
    })
}

/// A member that is what it should be; else it says nothing.
fn member<T: DeserializeOwned>(value: Option<&&RawValue>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}

/// `key=value` lines are ffmpeg's progress; everything else is its talk.
fn ffmpeg(line: &str, whole_us: &mut u64) -> ParsedLine {
    if let Some(text) = line.trim_start().strip_prefix("Duration: ") {
        let named = text.split(',').next().and_then(clock_us).unwrap_or(0);
        *whole_us = (*whole_us).max(named);
        return ParsedLine::default();
    }
    let Some((key, value)) = line.split_once('=').filter(|(key, _)| is_progress_key(key)) else {
        return ParsedLine::default();
    };
    let mut parsed = ParsedLine { hidden: true, ..ParsedLine::default() };
    match key {
        // Both are in microseconds; the name of the first is an old mistake of ffmpeg.
        "out_time_us" | "out_time_ms" => {
            let done_us = value.parse::<u64>().unwrap_or(0);
            #[expect(clippy::cast_precision_loss, reason = "a share is no more exact than that")]
            if *whole_us > 0 {
                parsed.percent = Some((done_us as f64 / *whole_us as f64 * 100.0).min(100.0));
            }
        }
        "speed" if value.trim() != "N/A" => {
            parsed.message = Some(cut(&format!("speed {}", value.trim()), NAME_CHARS_MAX))
        }
        _ => {}
    }
    parsed
}

fn is_progress_key(key: &str) -> bool {
    const KEYS: [&str; 10] = [
        "frame",
        "fps",
        "bitrate",
        "total_size",
        "out_time_us",
        "out_time_ms",
        "out_time",
        "dup_frames",
        "speed",
        "progress",
    ];
    KEYS.contains(&key) || key == "drop_frames" || key.starts_with("stream_")
}

fn groups(found: &Captures<'_>) -> ParsedLine {
    let text =
        |name: &str| found.name(name).map(|group| group.as_str().trim()).filter(|text| !text.is_empty());
    let number = |name: &str| text(name).and_then(figure);
    let part = number("done").zip(number("total")).filter(|(_, total)| *total > 0.0);
    let part = part.map(|(done, total)| (done / total * 100.0).clamp(0.0, 100.0));
    ParsedLine {
        step: text("step").map(|name| cut(name, NAME_CHARS_MAX)),
        percent: text("percent").and_then(share).or(part),
        message: text("message").map(|message| cut(message, MESSAGE_CHARS_MAX)),
        ..ParsedLine::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: ParserKind, pattern: Option<&str>, lines: &[&str]) -> Vec<ParsedLine> {
        let mut parser = Parser::new(kind, pattern).expect("a parser");
        lines.iter().map(|line| parser.read(line)).collect()
    }

    fn one(kind: ParserKind, line: &str) -> ParsedLine {
        read(kind, None, &[line]).remove(0)
    }

    #[test]
    fn plain_lines_tell_steps_and_percentages() {
        let check = |line: &str, step: Option<(&str, u32)>, percent: Option<f64>| {
            let parsed = one(ParserKind::Lines, line);
            assert_eq!(parsed.step.as_deref().zip(parsed.total_steps), step, "{line}");
            assert_eq!(parsed.percent, percent, "{line}");
            assert!(!parsed.hidden);
        };
        check("[3/9] Linking foo", Some(("Linking foo", 9)), None);
        check("Step 2/3 : RUN make", Some(("RUN make", 3)), None);
        check("(1 of 4) Đọc tệp", Some(("Đọc tệp", 4)), None);
        check("[10/9] beyond", None, None);
        check("3/9 apples", None, None);
        check("download  42.5% of 3 MiB", None, Some(42.5));
        check("10% then 20 %", None, Some(20.0));
        check("1000% sure", None, None);
        check("nothing", None, None);
    }

    /// What the last of these lines says: name, number and total of the step it begins.
    fn last_step(lines: &[&str]) -> Option<(String, u32, u32)> {
        let last = read(ParserKind::Lines, None, lines).pop().expect("a line");
        Some((last.step?, last.number?, last.total_steps?))
    }

    #[test]
    fn a_number_of_a_step_is_its_number_wherever_the_first_one_stands() {
        let check = |lines: &[&str], name: &str, number: u32, total: u32| {
            assert_eq!(last_step(lines), Some((name.to_owned(), number, total)), "{lines:?}");
        };
        check(&["[7/9] Linking"], "Linking", 7, 9);
        check(&["[7/9]"], "7/9", 7, 9);
        check(&["[11999/12000] a.o", "[12000/12000] b.o"], "b.o", 12_000, 12_000);
        check(&["[1,234/12,000] c.o"], "c.o", 1234, 12_000);
        check(&["[ 3/9] x", "[ 8/10] y"], "y", 8, 10);
        check(&["#5 [1/4] FROM alpine", "#6 [2/4] RUN make"], "RUN make", 2, 4);
        check(&["=> [2/4] COPY . ."], "COPY . .", 2, 4);
        check(&[" => [stage-1 2/4] RUN make            1.2s"], "RUN make", 2, 4);
        check(&["=> CACHED [build 3/4] RUN x"], "RUN x", 3, 4);
        check(&["Step 2/3 : RUN make"], "RUN make", 2, 3);
    }

    #[test]
    fn stages_that_run_side_by_side_and_builds_one_after_another_add_up() {
        let check = |lines: &[&str], expected: Option<(&str, u32, u32)>| {
            let found = last_step(lines);
            assert_eq!(found.as_ref().map(|(name, n, t)| (name.as_str(), *n, *t)), expected, "{lines:?}");
        };
        let stages =
            ["#7 [builder 1/3] FROM go", "#8 [stage-1 1/2] FROM alpine", "#9 [builder 2/3] RUN go build"];
        check(&stages[..2], Some(("FROM alpine", 2, 5)));
        check(&stages, Some(("RUN go build", 3, 5)));
        // The header of a vertex comes again when its output goes on.
        check(&["#5 [1/4] FROM a", "#6 [2/4] RUN b", "#5 [1/4] FROM a"], None);
        check(&["[1/2] a", "[2/2] b", "[1/3] c"], Some(("c", 3, 5)));
        check(&["[1/2] a", "[2/2] b", "[1/3] c", "[2/3] d"], Some(("d", 4, 5)));
    }

    /// The shares that real programs print.
    const SHARES: &[(&str, Option<f64>)] = &[
        ("[ 45%] Building C object a.c.o", Some(45.0)),
        ("<=====--------> 45% EXECUTING [12s]", Some(45.0)),
        ("    Building [=====>         ] 17/340: serde, syn(build)", Some(5.0)),
        ("tests/test_a.py ....F.s                                  [ 45%]", Some(45.0)),
        ("foo.zip             45%[=====>      ]   1.20M   500KB/s    eta 3s", Some(45.0)),
        ("  450K .......... .......... .......... 45% 1.2M 2s", Some(45.0)),
        ("########################                     45.0%", Some(45.0)),
        (" 45 1000M   45  450M    0     0  12.3M      0  0:01:21  0:00:36  0:00:45 12.5M", Some(45.0)),
        ("  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current", None),
        ("  1,234,567  45%    1.20MB/s    0:00:12 (xfr#5, to-chk=169/396)", Some(45.0)),
        (" 45%|████▌     | 45/100 [00:12<00:15,  3.60it/s]", Some(45.0)),
        ("45it [00:12,  3.60it/s]", None),
        ("Progress: [ 45%] [########............]", Some(45.0)),
        ("Receiving objects:  45% (450/1000), 1.20 MiB | 1.00 MiB/s", Some(45.0)),
        ("     ━━━━━━━━━━╸━━━━━━━━━━━━━━━━━━ 1.2/2.4 MB 3.4 MB/s eta 0:00:01", Some(50.0)),
        ("a1b2c3d4e5f6: Downloading [=====>     ]  12.5MB/25MB", None),
        ("Fetched 512 KiB / 2 MiB", Some(25.0)),
        (" 45%", Some(45.0)),
        ("[download]  45.0% of   10.00MiB at    1.20MiB/s ETA 00:04", Some(45.0)),
        ("[#2089b0 400.0KiB/33.2MiB(45%) CN:1 DL:115.7KiB ETA:4m51s]", Some(45.0)),
        (" 45.0% Extracting: home/ann/a.txt", Some(45.0)),
        ("[0:05] 45.00%  450 files 1.2 GiB, total 1000 files 2.5 GiB, 0 errors ETA 0:06", Some(45.0)),
        ("1.20GiB 0:00:12 [ 100MiB/s] [=====>      ] 45% ETA 0:00:15", Some(45.0)),
        ("450000000 bytes (450 MB, 429 MiB) copied, 5 s, 90 MB/s", None),
        ("136/340 [===========>..................] - ETA: 12s - loss: 0.5", Some(40.0)),
        ("136/340 ━━━━━━━━━━━━━━━━━━━━ 1s 5ms/step - accuracy: 0.45", Some(40.0)),
        ("[==========45.0%=====      ]", Some(45.0)),
        ("45 percent complete. (450 of 1000 file records processed)", Some(45.0)),
        ("Jobs: 1 (f=1): [R(1)][45.0%][r=10MiB/s][eta 00m:30s]", Some(45.0)),
        ("pandas-2.2.0         | 12.3 MB   | ####5      |  45%", Some(45.0)),
        // Shares of something else.
        ("ok  \tpkg\t0.012s\tcoverage: 45.0% of statements", None),
        ("TOTAL                 200     20    90%", None),
        ("src/foo.py             20      2    90%   12-13, 40", None),
        ("  adding: a.txt (deflated 45%)", None),
        ("3 packets transmitted, 3 received, 0% packet loss, time 2003ms", None),
        ("98% tests passed, 2 tests failed out of 100", None),
        ("0.00s user 0.00s system 99% cpu 0.01 total", None),
        ("/dev/sda1       100G   45G   55G  45% /", None),
        ("GET /files/a1%20b.txt 200", None),
        ("CPU: 45%  memory: 12%", None),
        ("this build was 45% faster", None),
    ];

    /// The steps that real programs count.
    const COUNTS: &[(&str, &str, u32, u32)] = &[
        ("[12/340] Building CXX object a.o", "Building CXX object a.o", 12, 340),
        ("[12 / 340] Compiling foo", "Compiling foo", 12, 340),
        (
            "[INFO] Building anywire 1.0                                       [2/9]",
            "Building anywire 1.0",
            2,
            9,
        ),
        ("compile [1/3]", "compile", 1, 3),
        ("2024-01-01 10:00:00 [3/9] Linking", "Linking", 3, 9),
        ("10:00:00 INFO [3/9]: Linking", "Linking", 3, 9),
        ("Copying files (3/9)", "Copying files", 3, 9),
        ("Copying files (3 of 9)...", "Copying files", 3, 9),
        (
            "(12/45): bash-5.2.x86_64.rpm        1.2 MB/s |  45 kB",
            "bash-5.2.x86_64.rpm        1.2 MB/s |  45 kB",
            12,
            45,
        ),
        (
            "  Installing       : bash-5.2.x86_64                         12/45",
            "Installing       : bash-5.2.x86_64",
            12,
            45,
        ),
        (" 12/340 Test  #12: parser_test ....   Passed    0.01 sec", "parser_test", 12, 340),
        ("[1/4] Resolving packages...", "Resolving packages...", 1, 4),
        ("Epoch 2/9", "2/9", 2, 9),
        ("#6 [build 2/4] RUN make", "RUN make", 2, 4),
    ];

    #[test]
    fn what_programs_print_is_read_as_they_mean_it() {
        for (line, percent) in SHARES {
            let parsed = one(ParserKind::Lines, line);
            assert_eq!((parsed.percent, parsed.step), (*percent, None), "{line}");
        }
        let ffmpeg = [
            "  Duration: 00:01:00.00, start: 0.000000, bitrate: 1205 kb/s",
            "frame=  100 fps= 25 q=28.0 size=     256kB time=00:00:15.00 bitrate= 524.3kbits/s speed=1.0x",
        ];
        assert_eq!(read(ParserKind::Lines, None, &ffmpeg)[1].percent, Some(25.0));
        for (line, name, number, total) in COUNTS {
            assert_eq!(last_step(&[line]), Some(((*name).to_owned(), *number, *total)), "{line}");
        }
        let packages = one(ParserKind::Lines, "(3/9) installing bash    [######----]  45%");
        assert_eq!((packages.number, packages.percent), (Some(3), Some(45.0)));
        for line in [
            "released on 3/15",
            "ratio 3/9",
            "see a[1/2]b",
            "https://example.org/3/9",
            "Score: 7/10",
            "[9/3] odd",
        ] {
            assert_eq!(last_step(&[line]), None, "{line}");
        }
    }

    #[test]
    fn the_same_number_again_is_news_of_that_step() {
        let told = read(ParserKind::Lines, None, &["[3/9] fetch 10%", "[3/9] fetch 40%", "[3/11] fetch"]);
        assert_eq!((told[1].step.as_deref(), told[1].percent), (None, Some(40.0)));
        assert_eq!((told[2].total_steps, told[2].message.as_deref()), (Some(11), Some("fetch")));
    }

    #[test]
    fn a_share_is_told_from_other_numbers() {
        let check = |line: &str, percent: Option<f64>| {
            assert_eq!(one(ParserKind::Lines, line).percent, percent, "{line}");
        };
        check("1,234 %", None);
        check("cpu 1,050 %", None);
        check("1 050 %", None);
        check("12,5 %", Some(12.5));
        check("0,125 %", Some(0.125));
        check("99.875%", Some(99.875));
        check("changed by -5%", None);
        check("(-5 %)", None);
        check("file-50%", Some(50.0));
        check("50\u{a0}%", Some(50.0));
    }

    #[test]
    fn json_of_a_command_stays_as_it_was_written() {
        let typed = r#"{"z":1.10,"b":1E400,"c":9007199254740993,"d":-0.0,"e":"\u00e9","a":{"x":1,"x":2}}"#;
        let parsed = one(ParserKind::Json, &format!(r#"{{"metadata":{typed},"result":{typed}}}"#));
        assert_eq!(serde_json::to_string(&parsed.metadata).expect("JSON"), typed);
        assert_eq!(parsed.result.as_ref().map(Json::get), Some(typed));
        let odd = one(ParserKind::Json, r#"{"step":7,"percent":1E400,"message":"m"}"#);
        assert_eq!((odd.step, odd.percent, odd.message.as_deref()), (None, None, Some("m")));
    }

    #[test]
    fn json_lines_tell_everything_and_other_lines_are_talk() {
        let line = r#"{"step":"speak","percent":12.5,"total_steps":5,"message":"câu 1","metadata":{"a":1},"artefact":"a.png"}"#;
        let parsed = one(ParserKind::Json, line);
        assert_eq!(
            (parsed.step.as_deref(), parsed.total_steps, parsed.percent),
            (Some("speak"), Some(5), Some(12.5))
        );
        assert_eq!((parsed.message.as_deref(), parsed.artefact.as_deref()), (Some("câu 1"), Some("a.png")));
        assert!(parsed.hidden && parsed.metadata.get("a").map(Json::get) == Some("1"));
        for line in ["talk", "[1,2]", "7", "{broken"] {
            assert_eq!(one(ParserKind::Json, line), ParsedLine::default(), "{line}");
        }
        assert_eq!(one(ParserKind::Json, r#"{"percent":101,"step":7}"#).percent, None);
    }

    #[test]
    fn ffmpeg_tells_its_share_of_the_longest_input() {
        let lines = [
            "  Duration: 00:00:10.00, start: 0.000000, bitrate: 1411 kb/s",
            "  Duration: 00:00:04.00, start: 0.000000",
            "out_time_us=2500000",
            "speed=1.5x",
            "progress=end",
            "[libx264] frame I:3",
        ];
        let parsed = read(ParserKind::Ffmpeg, None, &lines);
        assert_eq!(parsed[2].percent, Some(25.0));
        assert_eq!(parsed[3].message.as_deref(), Some("speed 1.5x"));
        assert_eq!(
            parsed.iter().map(|parsed| parsed.hidden).collect::<Vec<_>>(),
            [false, false, true, true, true, false]
        );
    }

    #[test]
    fn a_pattern_of_ones_own_tells_what_its_groups_are_named() {
        let pattern = r"^(?<step>\w+): (?<done>\d+) of (?<total>\d+)";
        let parsed = read(ParserKind::Pattern, Some(pattern), &["copy: 5 of 20 files", "other"]);
        assert_eq!((parsed[0].step.as_deref(), parsed[0].percent), (Some("copy"), Some(25.0)));
        assert_eq!(parsed[1], ParsedLine::default());
        let pattern = "(?<done>[0-9,]+)/(?<total>[0-9,]+)";
        let parsed = read(ParserKind::Pattern, Some(pattern), &["1,500/12,000"]);
        assert_eq!(parsed[0].percent, Some(12.5));
    }

    #[test]
    fn a_pattern_that_means_nothing_is_refused_with_the_way_out() {
        let check = |pattern: Option<&str>, words: &str| {
            let error = Parser::new(ParserKind::Pattern, pattern).expect_err("refused").to_string();
            assert!(error.contains(words), "{error}");
        };
        check(None, "pattern is missing");
        check(Some("("), "is no regular expression");
        check(Some("(a)"), "no group that means anything");
        check(Some("(?<done>a)"), "no group that means anything");
        check(Some(r"(?<percent>\w{1000}){1000}"), "is no regular expression");
    }
}
