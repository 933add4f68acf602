//! What an application counts, as values of one moment, and their collector: names, kinds and help are
//! written once, and the encoder of the metrics page writes the text.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use crate::Application;

/// One family of the metrics page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    name: &'static str,
    help: &'static str,
    is_counter: bool,
    /// The label that tells the samples apart, where there are several.
    label: &'static str,
    samples: Vec<(&'static str, u64)>,
}

impl Metric {
    /// What goes up and down.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, is_counter: false, label: "", samples: vec![("", value)] }
    }

    /// What only grows. The page adds `_total` to the name of its sample.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { is_counter: true, ..Self::gauge(name, help, value) }
    }

    /// Several gauges of one name, told apart by a label.
    #[must_use]
    pub fn gauges(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        samples: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> Self {
        Self { name, help, is_counter: false, label, samples: samples.into_iter().collect() }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = if self.is_counter { MetricType::Counter } else { MetricType::Gauge };
        let mut family = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (value, count) in &self.samples {
            if self.label.is_empty() {
                self.encode_one(*count, &mut family)?;
            } else {
                self.encode_one(*count, &mut family.encode_family(&[(self.label, *value)])?)?;
            }
        }
        Ok(())
    }

    fn encode_one(&self, count: u64, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        if self.is_counter {
            encoder.encode_counter::<NoLabelSet, _, u64>(&count, None)
        } else {
            encoder.encode_gauge(&i64::try_from(count).unwrap_or(i64::MAX))
        }
    }
}

/// The metrics of all applications, for a registry.
pub struct ApplicationMetrics(pub Vec<Arc<dyn Application>>);

impl fmt::Debug for ApplicationMetrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.iter().map(|application| application.name())).finish()
    }
}

impl Collector for ApplicationMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = self.0.iter().flat_map(|application| application.metrics());
        metrics.into_iter().try_for_each(|metric| metric.encode(&mut encoder))
    }
}

#[cfg(test)]
mod tests {
    use anywire_log::BoxFuture;
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    struct Counting;

    impl Application for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn routes(&self) -> axum::Router {
            axum::Router::new()
        }

        fn run(self: Arc<Self>) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }

        fn metrics(&self) -> Vec<Metric> {
            vec![
                Metric::counter("bytes", "Bytes that came.", 7),
                Metric::gauges("jobs", "Jobs by status.", "status", [("queued", 1), ("running", 2)]),
            ]
        }
    }

    #[test]
    fn a_page_has_names_kinds_and_help_as_they_were_written() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ApplicationMetrics(vec![Arc::new(Counting)])));
        let mut page = String::new();
        encode(&mut page, &registry).expect("text");
        let lines = [
            "# HELP bytes Bytes that came.",
            "# TYPE bytes counter",
            "bytes_total 7",
            "# HELP jobs Jobs by status.",
            "# TYPE jobs gauge",
            "jobs{status=\"queued\"} 1",
            "jobs{status=\"running\"} 2",
            "# EOF\n",
        ];
        assert_eq!(page, lines.join("\n"));
    }
}
