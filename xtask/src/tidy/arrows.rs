//! Dependencies among our own packages point the way ARCHITECTURE.md draws them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    finding::Finding,
    source::{Source, find},
};

const DRAWING: &str = "ARCHITECTURE.md";
type Arrows = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(sources: &[Source], metadata: &Value) -> Vec<Finding> {
    let Some(drawing) = find(sources, DRAWING) else {
        return vec![Finding::new(DRAWING, 0, "is missing")];
    };
    compare(&drawn(&drawing.text), &real(metadata))
}

/// The lines `a -> b c` of the block that opens with three back-quotes and `arrows`.
fn drawn(text: &str) -> Arrows {
    let block = text.split("```arrows").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let lines = block.lines().filter_map(|line| line.split_once("->"));
    lines
        .map(|(from, to)| (from.trim().to_owned(), to.split_whitespace().map(str::to_owned).collect()))
        .collect()
}

/// Dependencies among members, but not those of tests.
fn real(metadata: &Value) -> Arrows {
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    let members: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut arrows = Arrows::new();
    for package in packages {
        let targets = arrows.entry(package["name"].as_str().unwrap_or_default().to_owned()).or_default();
        for dependency in package["dependencies"].as_array().unwrap_or(&empty) {
            let name = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"] != "dev" && members.contains(name) {
                targets.insert(name.to_owned());
            }
        }
    }
    arrows
}

fn compare(drawn: &Arrows, real: &Arrows) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (from, targets) in real {
        let Some(allowed) = drawn.get(from) else {
            findings.push(Finding::new(DRAWING, 0, format!("the arrows do not draw the package `{from}`")));
            continue;
        };
        for to in targets.difference(allowed) {
            findings.push(Finding::new(
                DRAWING,
                0,
                format!("`{from} -> {to}` exists and is not drawn: it may not exist"),
            ));
        }
        for to in allowed.difference(targets) {
            findings.push(Finding::new(DRAWING, 0, format!("`{from} -> {to}` is drawn and does not exist")));
        }
    }
    for from in drawn.keys().filter(|from| !real.contains_key(*from)) {
        findings.push(Finding::new(DRAWING, 0, format!("the arrows draw `{from}`, which is no package")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(kind: &str) -> Value {
        let text = format!(
            r#"{{"packages":[
                {{"name":"a","dependencies":[{{"name":"b","kind":{kind}}},{{"name":"serde","kind":null}}]}},
                {{"name":"b","dependencies":[]}}]}}"#
        );
        serde_json::from_str(&text).expect("JSON")
    }

    fn findings(drawing: &str, kind: &str) -> Vec<String> {
        let text = format!("# x\n```arrows\n{drawing}\n```\n");
        let found = check(&[Source::new(DRAWING, text)], &metadata(kind));
        found.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn drawn_arrows_are_good() {
        assert_eq!(findings("a -> b\nb ->", "null"), Vec::<String>::new());
        assert_eq!(findings("a ->\nb ->", "\"dev\""), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found() {
        assert_eq!(findings("a ->\nb ->", "null").len(), 1);
        assert_eq!(findings("a ->\nb ->", "\"build\"").len(), 1);
    }

    #[test]
    fn a_drawn_arrow_that_does_not_exist_is_found() {
        assert_eq!(findings("a -> b\nb -> a", "null").len(), 1);
    }

    #[test]
    fn a_package_that_is_not_drawn_and_a_drawing_without_package_are_found() {
        assert_eq!(findings("a -> b", "null").len(), 1);
        assert_eq!(findings("a -> b\nb ->\nc ->", "null").len(), 1);
        assert_eq!(check(&[], &metadata("null")).len(), 1);
    }
}
