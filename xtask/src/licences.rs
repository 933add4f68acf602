//! The licence and the source of every dependency are among those that `deny.toml` allows.
//!
//! `cargo deny` says the same, and more; but it takes minutes to build, and this must hold everywhere.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use crate::{Failure, workspace};

const LIST: &str = "deny.toml";
/// How `cargo metadata` names the registry that everybody uses.
const REGISTRY: &str = "crates.io-index";

/// Answers how many packages were looked at.
pub(crate) fn check() -> Result<usize, Failure> {
    let path = workspace::root().join(LIST);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (allowed, metadata) = (allowed(&text), metadata()?);
    let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let findings: Vec<String> = packages.iter().filter_map(|package| finding(package, &allowed)).collect();
    if findings.is_empty() { Ok(packages.len()) } else { Err(findings.join("; ")) }
}

/// The packages of this platform, as the lock file has them.
fn metadata() -> Result<Value, Failure> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let platform =
        version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    let mut cargo = Command::new(workspace::cargo());
    cargo.args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--all-features",
        "--filter-platform",
        platform,
    ]);
    let text = output(cargo.current_dir(workspace::root()))?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

fn output(command: &mut Command) -> Result<String, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program} does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The texts of the list `allow`.
fn allowed(text: &str) -> BTreeSet<&str> {
    let list =
        text.split_once("\nallow = [").and_then(|(_, rest)| rest.split(']').next()).unwrap_or_default();
    list.split('"').skip(1).step_by(2).collect()
}

/// What is wrong with a package, if anything is.
fn finding(package: &Value, allowed: &BTreeSet<&str>) -> Option<String> {
    let name = format!("{} {}", package["name"].as_str()?, package["version"].as_str()?);
    // A package of our own has no source.
    if let Some(source) = package["source"].as_str()
        && !source.contains(REGISTRY)
    {
        return Some(format!("{name} comes from {source}"));
    }
    let Some(licence) = package["license"].as_str() else { return Some(format!("{name} names no licence")) };
    (!is_allowed(licence, allowed)).then(|| format!("{name} is under {licence}, which {LIST} does not allow"))
}

/// Whether an SPDX expression can be met by allowed licences alone. What is no expression cannot.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    // Before there were expressions, a slash was an OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut terms = Terms { words: spaced.split_whitespace().collect(), place: 0, allowed };
    let met = terms.either();
    met && terms.place == terms.words.len()
}

struct Terms<'a> {
    words: Vec<&'a str>,
    place: usize,
    allowed: &'a BTreeSet<&'a str>,
}

impl<'a> Terms<'a> {
    /// Takes a word if it is the next one.
    fn take(&mut self, word: &str) -> bool {
        let next = self.words.get(self.place) == Some(&word);
        self.place += usize::from(next);
        next
    }

    fn either(&mut self) -> bool {
        let mut met = self.both();
        while self.take("OR") {
            met |= self.both();
        }
        met
    }

    fn both(&mut self) -> bool {
        let mut met = self.one();
        while self.take("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let met = self.either();
            return self.take(")") && met;
        }
        let licence = self.words.get(self.place).copied().unwrap_or_default();
        self.place += 1;
        if self.take("WITH") {
            let exception = self.words.get(self.place).copied().unwrap_or_default();
            self.place += 1;
            return self.allowed.contains(format!("{licence} WITH {exception}").as_str());
        }
        self.allowed.contains(licence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str =
        "[licenses]\nallow = [\n    \"MIT\",\n    \"Apache-2.0 WITH LLVM-exception\",\n    \"ISC\",\n]\n";

    #[test]
    fn the_list_is_read() {
        assert_eq!(allowed(DENY), BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]));
        assert_eq!(allowed("[bans]\n"), BTreeSet::new());
    }

    #[test]
    fn an_expression_is_met_by_allowed_licences_alone() {
        let check = |expression: &str, met: bool| {
            assert_eq!(is_allowed(expression, &allowed(DENY)), met, "{expression}");
        };
        check("MIT", true);
        check("GPL-3.0", false);
        check("GPL-3.0 OR MIT", true);
        check("GPL-3.0/MIT", true);
        check("MIT AND GPL-3.0", false);
        check("MIT AND (GPL-3.0 OR ISC)", true);
        check("GPL-3.0 AND MIT OR ISC", true);
        check("Apache-2.0", false);
        check("Apache-2.0 WITH LLVM-exception", true);
        for broken in ["", "MIT MIT", "(MIT", "MIT)", "MIT OR", "MIT WITH"] {
            check(broken, false);
        }
    }

    #[test]
    fn a_package_without_licence_or_from_elsewhere_is_found() {
        let check = |package: Value, words: Option<&str>| {
            let found = finding(&package, &allowed(DENY));
            assert_eq!(found.is_some(), words.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(words.unwrap_or_default()));
        };
        let package = |source: Option<&str>, licence: Option<&str>| serde_json::json!({ "name": "a", "version": "1.0.0", "source": source, "license": licence });
        check(package(None, Some("MIT")), None);
        check(package(Some("registry+x/crates.io-index"), Some("ISC")), None);
        check(package(Some("git+https://example.org/a"), Some("MIT")), Some("comes from git"));
        check(package(None, None), Some("names no licence"));
        check(package(None, Some("GPL-3.0")), Some("GPL-3.0"));
    }
}
