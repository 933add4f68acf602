//! `cargo xtask tidy`: the house rules a program can check.

mod arrows;
mod circles;
mod codes;
mod comments;
mod finding;
mod functions;
mod heads;
mod lengths;
mod lexer;
mod modules;
mod ratchet;
mod rust;
mod source;
mod text;
mod unused;
mod words;

use std::time::Instant;

use serde_json::Value;

use crate::{Failure, process::elapsed, workspace};
use finding::Finding;
use source::Source;

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// Names the longest files and functions.
    verbose: bool,
    /// Names every place that a number of the ratchet still allows.
    wide: bool,
    /// Draws the circles of files, and does nothing else.
    circles: bool,
    /// Writes lower numbers.
    ratchet: bool,
}

/// Checks everything and lists what is wrong.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let options = parse(arguments)?;
    let started = Instant::now();
    let sources = source::load(&workspace::files()?)?;
    if options.circles {
        circles::print(&sources);
        return Ok(());
    }
    let metadata = workspace::metadata()?;
    let counts = [
        heads::phrases(&sources),
        comments::wide(&sources),
        circles::files(&sources),
        unused::dependencies(&sources, &metadata),
    ];
    if options.wide {
        ratchet::print(&counts);
    }
    if options.ratchet {
        return ratchet::lower(&counts, &sources);
    }
    let mut findings = check(&sources, &metadata, options.verbose);
    findings.extend(ratchet::check(&counts, &sources));
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

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options::default();
    for argument in arguments {
        match argument.as_str() {
            "--verbose" => options.verbose = true,
            "--wide" => options.wide = true,
            "--circles" => options.circles = true,
            "--ratchet" => options.ratchet = true,
            other => {
                return Err(format!(
                    "tidy does not know {other:?}; it knows --verbose, --wide, --circles, --ratchet"
                ));
            }
        }
    }
    Ok(options)
}

fn check(sources: &[Source], metadata: &Value, verbose: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        findings.extend(circles::check(source));
        findings.extend(heads::check(source));
        findings.extend(words::check(source));
        findings.extend(text::check(source));
    }
    findings.extend(lengths::check(sources, verbose));
    findings.extend(arrows::check(sources, metadata));
    findings.extend(codes::check(sources));
    findings
}
