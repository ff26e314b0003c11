//! Prometheus metrics of one service.
//!
//! Each service has its own registry, not a global one, so that several can run in one process. Every series
//! exists from the first scrape, at 0: the first increase of a series that appears out of nowhere is invisible
//! to `rate()`.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::process;

/// Upper bounds of request duration histograms in seconds.
const REQUEST_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of database query duration histograms in seconds.
const QUERY_BUCKETS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The registry of one service. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    service: &'static str,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("service", &self.0.service).finish_non_exhaustive()
    }
}

impl Metrics {
    /// An empty registry for `service`.
    pub fn new(service: &'static str) -> Self {
        let set = |builder: PrometheusBuilder, name: &str, buckets: &[f64]| {
            let matcher = Matcher::Full(name.to_owned());
            builder.set_buckets_for_metric(matcher, buckets).expect("fails for an empty list only")
        };
        let builder = PrometheusBuilder::new();
        let builder = set(builder, "http_request_duration_seconds", REQUEST_BUCKETS);
        let builder = set(builder, "db_query_duration_seconds", QUERY_BUCKETS);
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let metrics = Self(Arc::new(Inner { service, recorder, handle }));
        metrics.describe_gauge("build_info", "Version of the running program, always 1.");
        let labels = [("service", service), ("version", env!("CARGO_PKG_VERSION"))];
        metrics.gauge("build_info", &labels).set(1.0);
        metrics
    }

    /// Name of the service, the value of the label `service`.
    pub fn service(&self) -> &'static str {
        self.0.service
    }

    /// Sets the help text of a counter.
    pub fn describe_counter(&self, name: &'static str, help: &'static str) {
        self.0.recorder.describe_counter(name.into(), None, help.into());
    }

    /// Sets the help text of a gauge.
    pub fn describe_gauge(&self, name: &'static str, help: &'static str) {
        self.0.recorder.describe_gauge(name.into(), None, help.into());
    }

    /// Sets the help text of a histogram.
    pub fn describe_histogram(&self, name: &'static str, help: &'static str) {
        self.0.recorder.describe_histogram(name.into(), None, help.into());
    }

    /// The counter with these labels, created at 0 when it is new.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.0.recorder.register_counter(&key(name, labels), &METADATA)
    }

    /// The gauge with these labels.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.0.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    /// The histogram with these labels.
    pub fn histogram(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
        self.0.recorder.register_histogram(&key(name, labels), &METADATA)
    }

    /// Everything in the Prometheus text format, the process's own metrics included.
    pub fn render(&self) -> String {
        let mut text = self.0.handle.render();
        process::render(&mut text);
        text
    }

    /// Folds recorded histogram samples into their buckets. Samples are kept one by one until a scrape does
    /// this; without it, memory would grow for as long as nobody scrapes.
    pub fn fold(&self) {
        self.0.handle.run_upkeep();
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> =
        labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_exist_from_the_start_and_registries_are_separate() {
        let (a, b) = (Metrics::new("a"), Metrics::new("b"));
        a.describe_counter("things_total", "Things.");
        let _ = a.counter("things_total", &[("kind", "x")]);
        let _ = a.histogram("http_request_duration_seconds", &[("route", "/")]);
        let text = a.render();
        assert!(text.contains("# HELP things_total Things."), "{text}");
        assert!(text.contains("things_total{kind=\"x\"} 0"), "{text}");
        assert!(text.contains("http_request_duration_seconds_bucket{route=\"/\",le=\"0.005\"} 0"), "{text}");
        assert!(text.contains("http_request_duration_seconds_count{route=\"/\"} 0"), "{text}");
        assert!(!b.render().contains("things_total"));
        a.counter("things_total", &[("kind", "x")]).increment(2);
        assert!(a.render().contains("things_total{kind=\"x\"} 2"));
    }
}
