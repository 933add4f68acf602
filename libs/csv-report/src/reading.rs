//! How a file is to be read, where its reader knows better than what can be found out: every choice is `auto`
//! until somebody makes it.

use std::{collections::BTreeMap, fmt};

use encoding_rs::Encoding;

use crate::value::{DateOrder, NumberStyle};

/// The most columns whose type is chosen.
pub const CHOSEN_COLUMNS_MAX: usize = 500;
/// The last line that can be named as the header.
const HEADER_LINE_MAX: u64 = 10_000;

/// The choices that were made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    pub(crate) encoding: Option<&'static Encoding>,
    pub(crate) delimiter: Option<u8>,
    pub(crate) quote: Option<Quote>,
    pub(crate) header: Option<Header>,
    pub(crate) decimal: Option<NumberStyle>,
    pub(crate) dates: Option<DateOrder>,
    /// By the column's number, from 1.
    pub(crate) columns: BTreeMap<usize, Chosen>,
}

/// What stands around fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quote {
    None,
    Sign(u8),
}

/// Which row names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    None,
    /// The row that begins in this line, from 1; what is above it is left out.
    Line(u64),
}

/// What a column is said to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chosen {
    Number,
    Date,
    Boolean,
    /// Texts; words that programs write for nothing, such as `NA`, are missing.
    Text,
    /// Texts, and those words too.
    Verbatim,
}

/// A choice that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value:?}; {way_out}")]
pub struct ReadingError {
    /// The option.
    pub name: String,
    /// Its value, cut when it is long.
    pub value: String,
    /// What it can be.
    pub way_out: &'static str,
}

/// An option that is not about one column.
#[derive(Debug, Clone, Copy)]
pub struct ReadingOption {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The values it takes, as a regular expression of ECMA-262; of an encoding the usual names.
    pub pattern: &'static str,
}

/// The options that are not about one column.
pub const OPTIONS: [ReadingOption; 6] = [
    ReadingOption {
        name: "encoding",
        about: "The file's encoding, by a name that the web knows: `utf-8`, `windows-1258`, `shift_jis`, …",
        pattern: "^(|auto|utf-8|utf-16le|utf-16be|windows-125[0-8]|windows-874|iso-8859-([2-8]|10|1[3-6])|koi8-[ru]|macintosh|gbk|gb18030|big5|euc-jp|euc-kr|shift_jis|iso-2022-jp)$",
    },
    ReadingOption {
        name: "delimiter",
        about: "What stands between fields: one sign of ASCII, `tab`, or `space` for any run of blanks.",
        pattern: r"^(|auto|tab|space|[!#$%&()*,/:;<=>?@\[\\\]^_`{|}~])$",
    },
    ReadingOption {
        name: "quote",
        about: "What stands around fields that hold a delimiter: `\"`, `'`, another sign of ASCII, or `none`.",
        pattern: r#"^(|auto|none|["'!#$%&()*,/:;<=>?@\[\\\]^_`{|}~])$"#,
    },
    ReadingOption {
        name: "header",
        about: "The line that names the columns, from 1 (what is above it is left out), or `none`.",
        pattern: "^(|auto|none|[1-9][0-9]{0,3}|10000)$",
    },
    ReadingOption {
        name: "decimal",
        about: "What stands before decimals: `point` (1,234.5) or `comma` (1.234,5).",
        pattern: "^(|auto|point|comma)$",
    },
    ReadingOption {
        name: "dates",
        about: "The order of a date's parts: `dmy`, `mdy` or `ymd`.",
        pattern: "^(|auto|dmy|mdy|ymd)$",
    },
];
/// What the option that chooses a column's type begins with; the column's number follows, from 1.
pub const COLUMN_OPTION: &str = "column.";
/// What a column can be said to hold.
pub const COLUMN_KINDS: [&str; 5] = ["number", "date", "boolean", "text", "verbatim"];

impl Reading {
    /// Makes a choice. False if there is no such option.
    ///
    /// # Errors
    /// [`ReadingError`] names the value and what it can be.
    pub fn choose(&mut self, name: &str, value: &str) -> Result<bool, ReadingError> {
        let refused = |way_out| ReadingError {
            name: name.chars().take(40).collect(),
            value: value.chars().take(40).collect(),
            way_out,
        };
        let auto = matches!(value, "" | "auto");
        match name {
            "encoding" => self.encoding = encoding(auto, value).map_err(refused)?,
            "delimiter" => self.delimiter = delimiter(auto, value).map_err(refused)?,
            "quote" => self.quote = quote(auto, value).map_err(refused)?,
            "header" => self.header = header(auto, value).map_err(refused)?,
            "decimal" => {
                let known = [("point", NumberStyle::Point), ("comma", NumberStyle::Comma)];
                self.decimal = one_of(auto, value, known, "use auto, point or comma").map_err(refused)?;
            }
            "dates" => {
                let known = [("dmy", DateOrder::Dmy), ("mdy", DateOrder::Mdy), ("ymd", DateOrder::Ymd)];
                self.dates = one_of(auto, value, known, "use auto, dmy, mdy or ymd").map_err(refused)?;
            }
            _ => match name.strip_prefix(COLUMN_OPTION) {
                Some(number) => self.choose_column(number, auto, value).map_err(refused)?,
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    fn choose_column(&mut self, number: &str, auto: bool, value: &str) -> Result<(), &'static str> {
        let known = [
            ("number", Chosen::Number),
            ("date", Chosen::Date),
            ("boolean", Chosen::Boolean),
            ("text", Chosen::Text),
            ("verbatim", Chosen::Verbatim),
        ];
        let chosen = one_of(auto, value, known, "use auto, number, date, boolean, text or verbatim")?;
        let column = number.parse().ok().filter(|column| (1..=100_000).contains(column));
        let column: usize = column.ok_or("name a column by its number, such as column.2")?;
        match chosen {
            None => drop(self.columns.remove(&column)),
            Some(_) if self.columns.len() >= CHOSEN_COLUMNS_MAX => {
                return Err("the types of at most 500 columns can be chosen");
            }
            Some(kind) => drop(self.columns.insert(column, kind)),
        }
        Ok(())
    }

    /// Whether nothing was chosen.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        *self == Self::default()
    }

    /// An option's value, as it can be given again.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        match name {
            "encoding" => self.encoding.map(|encoding| encoding.name().to_ascii_lowercase()),
            "delimiter" => self.delimiter.map(delimiter_name),
            "quote" => self.quote.map(|quote| match quote {
                Quote::None => "none".to_owned(),
                Quote::Sign(sign) => char::from(sign).to_string(),
            }),
            "header" => self.header.map(|header| match header {
                Header::None => "none".to_owned(),
                Header::Line(line) => line.to_string(),
            }),
            "decimal" => self.decimal.map(|style| style.name().to_owned()),
            "dates" => self.dates.map(|order| order.name().to_owned()),
            _ => None,
        }
    }
}

impl fmt::Display for Reading {
    /// The choices in their own order, one a line: equal readings are equal texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ReadingOption { name, .. } in OPTIONS {
            if let Some(value) = self.value(name) {
                writeln!(f, "{name}={value}")?;
            }
        }
        self.columns
            .iter()
            .try_for_each(|(column, kind)| writeln!(f, "{COLUMN_OPTION}{column}={}", kind.name()))
    }
}

impl Chosen {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::Boolean => "boolean",
            Self::Text => "text",
            Self::Verbatim => "verbatim",
        }
    }
}

/// A delimiter as the option has it.
pub(crate) fn delimiter_name(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tab".to_owned(),
        b' ' => "space".to_owned(),
        other => char::from(other).to_string(),
    }
}

fn one_of<T: Copy, const N: usize>(
    auto: bool,
    value: &str,
    known: [(&str, T); N],
    way_out: &'static str,
) -> Result<Option<T>, &'static str> {
    let found = known.iter().find(|(name, _)| *name == value).map(|(_, one)| *one);
    if auto || found.is_some() { Ok(found) } else { Err(way_out) }
}

fn encoding(auto: bool, value: &str) -> Result<Option<&'static Encoding>, &'static str> {
    if auto {
        return Ok(None);
    }
    let found = Encoding::for_label(value.as_bytes()).filter(|found| *found != encoding_rs::REPLACEMENT);
    found.map(Some).ok_or("use auto or a name such as utf-8, windows-1252, windows-1258 or shift_jis")
}

fn delimiter(auto: bool, value: &str) -> Result<Option<u8>, &'static str> {
    match value {
        _ if auto => Ok(None),
        "tab" | "\t" | "\\t" => Ok(Some(b'\t')),
        "space" | " " => Ok(Some(b' ')),
        _ => sign(value)
            .map(Some)
            .ok_or("use auto, tab, space or one sign of ASCII such as ; that is no letter, digit or quote"),
    }
}

fn quote(auto: bool, value: &str) -> Result<Option<Quote>, &'static str> {
    match value {
        _ if auto => Ok(None),
        "none" => Ok(Some(Quote::None)),
        "\"" | "'" => Ok(Some(Quote::Sign(value.as_bytes()[0]))),
        _ => sign(value)
            .map(|sign| Some(Quote::Sign(sign)))
            .ok_or("use auto, none or one sign of ASCII such as ' that is no letter or digit"),
    }
}

/// One sign of ASCII that can stand between or around fields.
fn sign(value: &str) -> Option<u8> {
    let [byte] = value.as_bytes() else { return None };
    let usable = byte.is_ascii_punctuation() && !matches!(byte, b'"' | b'\'' | b'.' | b'-' | b'+');
    (usable || matches!(byte, 1..=8 | 0x0b..=0x0c | 0x0e..=0x1f)).then_some(*byte)
}

fn header(auto: bool, value: &str) -> Result<Option<Header>, &'static str> {
    match value {
        _ if auto => Ok(None),
        "none" => Ok(Some(Header::None)),
        _ => {
            let line = value.parse().ok().filter(|line| (1..=HEADER_LINE_MAX).contains(line));
            line.map(|line| Some(Header::Line(line)))
                .ok_or("use auto, none or the number of a line from 1 to 10000")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_kept_in_one_order_and_auto_takes_one_back() {
        let mut reading = Reading::default();
        for (name, value) in [
            ("column.12", "text"),
            ("dates", "mdy"),
            ("delimiter", "tab"),
            ("column.3", "date"),
            ("quote", "none"),
            ("encoding", "latin1"),
            ("header", "2"),
            ("decimal", "comma"),
        ] {
            assert_eq!(reading.choose(name, value), Ok(true), "{name}");
        }
        let text = "encoding=windows-1252\ndelimiter=tab\nquote=none\nheader=2\ndecimal=comma\ndates=mdy\n\
                    column.3=date\ncolumn.12=text\n";
        assert_eq!(reading.to_string(), text);
        for name in ["encoding", "delimiter", "quote", "header", "decimal", "dates", "column.3", "column.12"]
        {
            assert_eq!(reading.choose(name, "auto"), Ok(true));
        }
        assert!(reading.is_auto());
        assert_eq!(reading.choose("lang", "en"), Ok(false));
    }

    #[test]
    fn the_values_that_are_described_are_those_that_are_taken() {
        for ReadingOption { name, pattern, .. } in OPTIONS {
            let pattern = regex::Regex::new(pattern).expect("a pattern");
            let signs = (' '..='~').map(String::from);
            let words = ["", "auto", "none", "tab", "space", "point", "comma", "dmy", "10000", "10001", "0"];
            for value in words.into_iter().map(str::to_owned).chain(signs) {
                // A blank is taken for the word.
                let taken = Reading::default().choose(name, &value).is_ok() && value != " ";
                assert_eq!(pattern.is_match(&value), taken, "{name} {value:?}");
            }
            for encoding in
                ["utf-8", "windows-1258", "iso-8859-16", "koi8-u", "shift_jis", "gb18030", "utf-16be"]
            {
                if pattern.is_match(encoding) {
                    assert!(Reading::default().choose(name, encoding).is_ok(), "{encoding}");
                }
            }
        }
    }

    #[test]
    fn a_choice_that_cannot_be_is_named_with_what_can() {
        let refused = |name: &str, value: &str| {
            Reading::default().choose(name, value).expect_err("refused").to_string()
        };
        assert_eq!(refused("decimal", "dot"), "decimal is \"dot\"; use auto, point or comma");
        assert!(refused("delimiter", "ab").contains("one sign of ASCII"));
        assert!(refused("delimiter", "1").contains("no letter, digit or quote"));
        assert!(refused("quote", "xx").contains("none"));
        assert!(refused("header", "0").contains("from 1 to 10000"));
        assert!(refused("encoding", "klingon").contains("such as utf-8"));
        assert!(refused("column.x", "text").contains("column.2"));
        assert!(refused("column.2", "int").contains("number, date"));
        let mut reading = Reading::default();
        for column in 1..=CHOSEN_COLUMNS_MAX {
            assert_eq!(reading.choose(&format!("column.{column}"), "text"), Ok(true));
        }
        assert!(
            reading.choose("column.501", "text").expect_err("too many").to_string().contains("at most 500")
        );
    }
}
