//! A histogram of the server's `/metrics`, in the Prometheus text format.

use serde_json::{Value, json};

/// Cumulative counts by upper bound in seconds, rising.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Buckets(Vec<(f64, f64)>);

impl Buckets {
    /// The buckets of one metric, summed over its labels. `None`: there is no such metric.
    pub(crate) fn parse(text: &str, metric: &str) -> Option<Self> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for line in text.lines() {
            let Some((bound, count)) = bucket_line(line, metric) else { continue };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, count)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        (!buckets.is_empty()).then_some(Self(buckets))
    }

    /// What was counted since an earlier reading.
    pub(crate) fn since(mut self, earlier: Option<Self>) -> Self {
        for ((_, count), (_, before)) in
            self.0.iter_mut().zip(earlier.into_iter().flat_map(|buckets| buckets.0))
        {
            *count -= before;
        }
        self
    }

    /// A quantile in milliseconds, interpolated within its bucket; of the unbounded bucket its lower end.
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<f64> {
        let total = self.0.last()?.1;
        let wanted = total * share;
        let (mut below, mut counted) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if total > 0.0 && *count >= wanted {
                let inside = (wanted - counted) / (count - counted).max(f64::MIN_POSITIVE);
                let width = if bound.is_finite() { bound - below } else { 0.0 };
                return Some((below + width * inside.clamp(0.0, 1.0)) * 1000.0);
            }
            (below, counted) = (*bound, *count);
        }
        None
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "count": self.0.last().map(|(_, count)| count),
            "p50_ms": self.quantile_ms(0.5),
            "p99_ms": self.quantile_ms(0.99),
        })
    }
}

fn bucket_line(line: &str, metric: &str) -> Option<(f64, f64)> {
    let labels = line.strip_prefix(metric)?.strip_prefix("_bucket{")?;
    let (labels, count) = labels.split_once('}')?;
    let bound = labels.split(',').find_map(|label| label.trim().strip_prefix("le=\"")?.strip_suffix('"'))?;
    let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
    Some((bound, count.split_ascii_whitespace().next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE commit histogram\ncommit_bucket{le=\"0.001\"} 50\ncommit_bucket{le=\"0.01\"} 99\n\
                        commit_bucket{le=\"+Inf\"} 100\ncommit_sum 1\ncommit_count 100\ncommit_other_bucket{le=\"1\"} 7\n";

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let buckets = Buckets::parse(TEXT, "commit").expect("the metric is there");
        assert_eq!(buckets.quantile_ms(0.5), Some(1.0));
        assert_eq!(buckets.quantile_ms(0.25), Some(0.5));
        assert!((buckets.quantile_ms(0.99).expect("100 values") - 10.0).abs() < 1e-9);
        assert_eq!(buckets.quantile_ms(1.0), Some(10.0));
    }

    #[test]
    fn only_what_came_since_is_counted() {
        let earlier = Buckets::parse(TEXT, "commit");
        let later = Buckets::parse(&TEXT.replace(" 100", " 110").replace(" 99", " 109"), "commit");
        let since = later.expect("the metric is there").since(earlier);
        assert!(since.quantile_ms(0.5).expect("ten values") > 1.0);
    }

    #[test]
    fn a_metric_that_is_missing_or_empty_has_no_quantile() {
        assert_eq!(Buckets::parse(TEXT, "delivery"), None);
        assert_eq!(Buckets(vec![(1.0, 0.0)]).quantile_ms(0.5), None);
    }
}
