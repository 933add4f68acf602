//! The metrics page: its form, and that docs/metrics.md explains every name.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::server;

/// A metric family as the page declares it.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    /// Name with labels, and value.
    samples: Vec<(String, f64)>,
}

/// Reads OpenMetrics text strictly: samples follow their family, every family is declared once, the end is
/// marked.
fn parse(page: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let lines = page.strip_suffix("# EOF\n").expect("an end marker").lines();
    for line in lines {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (word, name) = (words.next().expect(line), words.next().expect(line));
            let text = words.next().unwrap_or_default().to_owned();
            assert!(matches!(word, "HELP" | "TYPE" | "UNIT"), "{line}");
            if current != name {
                assert!(!families.contains_key(name), "{name} is declared twice");
                name.clone_into(&mut current);
            }
            let family = families.entry(current.clone()).or_default();
            match word {
                "TYPE" => family.kind = text,
                "HELP" => family.help = text,
                _ => {}
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect(line);
        let family = families.get_mut(&current).expect(line);
        let bare = name.split('{').next().unwrap_or_default();
        let suffix =
            bare.strip_prefix(current.as_str()).unwrap_or_else(|| panic!("{line} stands under {current}"));
        let allowed: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{current} is a {other}"),
        };
        assert!(allowed.contains(&suffix), "{line} in a {}", family.kind);
        family.samples.push((name.to_owned(), value.parse().expect(line)));
    }
    families
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_sound_openmetrics_and_counts_what_happened() {
    let server = server(&[]).await;
    for data in 0..3 {
        server.post("/anywire/publish", &format!("{{\"channel\":\"a\",\"data\":{data}}}")).await;
    }
    server.get("/anywire/poll?channels=a&after=0").await;
    server.get("/anywire/poll?channels=a&after=x").await;
    let page = server.get("/metrics").await;
    assert_eq!(page.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let families = parse(&page.text);
    for (name, family) in &families {
        assert!(!family.help.is_empty(), "{name} has no help");
        assert!(!family.samples.is_empty(), "{name} has no sample");
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
    }
    let value = |family: &str, sample: &str| {
        let samples = &families[family].samples;
        samples.iter().find(|(name, _)| name == sample).unwrap_or_else(|| panic!("{sample} in {samples:?}")).1
    };
    assert_eq!(value("anywire_polls", "anywire_polls_total"), 1.0);
    assert!(value("anywire_events", "anywire_events_total") >= 3.0);
    assert!(value("anywire_refusals", "anywire_refusals_total") >= 1.0);
    assert!(value("anywire_commit_latency_seconds", "anywire_commit_latency_seconds_count") >= 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_applications_commit_is_in_the_commit_latency() {
    let server = server(&[]).await;
    // Nobody publishes; the monitor's first sample comes soon.
    loop {
        let families = parse(&server.get("/metrics").await.text);
        let samples = &families["anywire_commit_latency_seconds"].samples;
        let count = samples.iter().find(|(name, _)| name.ends_with("_count")).expect("a count").1;
        if count >= 1.0 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

fn check_histogram(name: &str, family: &Family) {
    let buckets: Vec<f64> =
        family.samples.iter().filter(|(name, _)| name.contains("_bucket{")).map(|(_, v)| *v).collect();
    assert!(buckets.is_sorted(), "the buckets of {name} do not rise: {buckets:?}");
    let last = family.samples.iter().rfind(|(name, _)| name.contains("_bucket{")).expect("buckets");
    assert!(last.0.contains("le=\"+Inf\""), "{name} ends with {}", last.0);
    let count = family.samples.iter().find(|(name, _)| name.ends_with("_count")).expect("a count").1;
    assert_eq!(last.1, count, "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_explained_and_nothing_else_is() {
    let server = server(&[]).await;
    let families = parse(&server.get("/metrics").await.text);
    let named: BTreeSet<String> = families
        .iter()
        .map(|(name, family)| if family.kind == "counter" { format!("{name}_total") } else { name.clone() })
        .collect();
    let documented: BTreeSet<String> = include_str!("../../../../docs/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, named);
}
