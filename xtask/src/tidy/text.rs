//! The bytes of a file: line ends, white space, paths of one machine, registries in lock files.

use super::{finding::Finding, source::Source};

/// Folders of one machine. Written in parts, so that this file is no finding of its own.
const MACHINES: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let path = source.path.as_str();
    let mut findings = Vec::new();
    if source.text.contains('\r') && is_written_by_hand(path) {
        findings.push(Finding::new(path, 0, "has CR line ends; LF only"));
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') && is_written_by_hand(path) {
        findings.push(Finding::new(path, 0, "does not end with a line break"));
    }
    let lock = path.ends_with("package-lock.json");
    for (index, line) in source.text.lines().enumerate() {
        let mut finding = |message: &str| findings.push(Finding::new(path, index + 1, message));
        if line.ends_with([' ', '\t']) && is_written_by_hand(path) {
            finding("trailing white space");
        }
        if lock && line.contains("\"resolved\": \"http") {
            finding(
                "names a registry's host: put `omit-lockfile-registry-resolved=true` into .npmrc and install again",
            );
        }
        if MACHINES.iter().any(|folder| names_folder(line, folder)) {
            finding("a path of one machine");
        }
    }
    findings
}

/// Data for tests is as it is.
fn is_written_by_hand(path: &str) -> bool {
    const WRITTEN: [&str; 14] =
        ["rs", "ts", "js", "mjs", "vue", "css", "html", "md", "toml", "json", "yml", "yaml", "sh", "py"];
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    WRITTEN.contains(&extension)
        && !path.contains("vectors/")
        && !path.contains("snapshots/")
        && !path.contains("fixtures/")
}

/// Whether a line names a folder from the root of a file system, and not as the tail of an address.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        before.is_none_or(|sign| !sign.is_alphanumeric() && !"._-}/~".contains(sign))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str, expected: usize) {
        let found = check(&Source::new(path, text.to_owned()));
        assert_eq!(found.len(), expected, "{text:?}: {found:?}");
    }

    #[test]
    fn clean_text_is_good() {
        check_text("a.md", "One.\n\nTwo.\n", 0);
        check_text("a.md", "", 0);
    }

    #[test]
    fn line_ends_and_white_space_are_found() {
        check_text("a.rs", "one\r\n", 1);
        check_text("a.rs", "one \n", 1);
        check_text("a.rs", "one", 1);
        check_text("conformance/vectors/a.txt", "one \r\n", 0);
    }

    #[test]
    fn registries_in_lock_files_are_found() {
        check_text("e2e/package-lock.json", "  \"resolved\": \"https://example.org/a.tgz\",\n", 1);
        check_text("e2e/package-lock.json", "  \"version\": \"1.0.0\",\n", 0);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        check_text("a.md", &format!("see {}me/a\n", MACHINES[1]), 1);
        check_text("a.md", &format!("see https://example.org{}a\n", MACHINES[3]), 0);
        check_text("a.md", "see /usr/bin/chromium\n", 0);
    }
}
