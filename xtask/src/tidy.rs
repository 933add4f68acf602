//! `cargo xtask tidy`: the house rules a program can check.
//!
//! Knows: which rules there are, how findings are shown. Does not know: how a rule is checked.

mod arrows;
mod codes;
mod configuration;
mod functions;
mod heads;
mod lengths;
mod lexer;
mod source;
mod text;
mod words;

use std::time::Instant;

use crate::{Failure, process::elapsed, workspace};
use source::Source;

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// From 1; 0 means the file as a whole.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

/// Checks everything and lists what is wrong.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let verbose = match arguments {
        [] => false,
        [flag] if flag == "--verbose" => true,
        other => return Err(format!("tidy does not know {}; it knows --verbose", other.join(" "))),
    };
    let started = Instant::now();
    let sources = source::load(&workspace::files()?)?;
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(heads::check(source));
        findings.extend(words::check(source));
        findings.extend(text::check(source));
    }
    findings.extend(lengths::check(&sources, verbose));
    findings.extend(arrows::check(&sources, &workspace::metadata()?));
    findings.extend(configuration::check(&sources));
    findings.extend(codes::check(&sources));
    findings.sort();
    for finding in &findings {
        match finding.line {
            0 => println!("{}: {}", finding.path, finding.message),
            line => println!("{}:{line}: {}", finding.path, finding.message),
        }
    }
    println!("tidy: {} files, {} findings, {}", sources.len(), findings.len(), elapsed(started.elapsed()));
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len())) }
}

/// One file of the workspace by its path.
fn find<'a>(sources: &'a [Source], path: &str) -> Option<&'a Source> {
    sources.iter().find(|source| source.path == path)
}
