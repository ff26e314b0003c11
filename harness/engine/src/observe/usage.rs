//! What pods use, from `metrics.k8s.io` (metrics-server, or what stands in for it).

use std::{collections::BTreeMap, time::Duration};

use harness_event::{EventKind, PodUsage, Timestamp};
use kube::Client;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::{changes::Scope, pod_log::said};
use crate::log::Log;

/// Name of this observer. No verdict looks at it.
pub const USAGE_OBSERVER: &str = "usage of pods";
/// Pause between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// From so many pods on, the pause is longer.
const MANY: usize = 500;
const EVERY_OF_MANY: Duration = Duration::from_secs(10);
/// Pause where nobody serves it, or we may not read it.
const PAUSE: Duration = Duration::from_secs(30);
/// Time limit of one answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Reports what pods use, until told to stop. A look that says what the last one said is no fact: metrics-server has new values
/// every 15 s only. A cluster that does not serve it has no usage, and that is no outage.
pub async fn watch_usage(client: Client, scope: Scope, log: Log, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        let (mut last, mut failing) = (Vec::new(), false);
        loop {
            let pause = match read_usage(&client, &scope).await {
                Ok(seen) => {
                    if std::mem::take(&mut failing) {
                        log.record(EventKind::ObserverRecovered { observer: USAGE_OBSERVER.to_owned() });
                    }
                    let pause = if seen.len() >= MANY { EVERY_OF_MANY } else { EVERY };
                    if seen != last {
                        let pods = seen.clone();
                        log.record(EventKind::PodsMeasured { sampled_at: Timestamp::now(), pods });
                        last = seen;
                    }
                    pause
                }
                Err(Unread::NotServed) => PAUSE,
                Err(Unread::Failed { error, refused }) => {
                    if !std::mem::replace(&mut failing, true) {
                        log.record(EventKind::ObserverFailed { observer: USAGE_OBSERVER.to_owned(), error });
                    }
                    if refused { PAUSE } else { EVERY }
                }
            };
            tokio::time::sleep(pause).await;
        }
    })
    .await;
}

/// Why there are no values.
enum Unread {
    /// Nobody serves it.
    NotServed,
    /// No answer, or a refusal.
    Failed { error: String, refused: bool },
}

async fn read_usage(client: &Client, scope: &Scope) -> Result<Vec<PodUsage>, Unread> {
    let path = match scope {
        Scope::Namespace(namespace) => format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"),
        Scope::All => "/apis/metrics.k8s.io/v1beta1/pods".to_owned(),
    };
    let failed = |error: String| Unread::Failed { error, refused: false };
    let request = http::Request::get(path).body(Vec::new()).map_err(|error| failed(error.to_string()))?;
    match tokio::time::timeout(LIMIT, client.request::<PodMetricsList>(request)).await {
        Ok(Ok(list)) => Ok(list.items.into_iter().map(PodMetrics::usage).collect()),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(Unread::NotServed),
        Ok(Err(error)) => {
            let refused = matches!(&error, kube::Error::Api(status) if matches!(status.code, 401 | 403));
            Err(Unread::Failed { error: said(&error), refused })
        }
        Err(_) => Err(failed(format!("no answer within {} s", LIMIT.as_secs()))),
    }
}

#[derive(Deserialize)]
struct PodMetricsList {
    items: Vec<PodMetrics>,
}

#[derive(Deserialize)]
struct PodMetrics {
    metadata: Metadata,
    #[serde(default)]
    containers: Vec<ContainerMetrics>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize)]
struct ContainerMetrics {
    #[serde(default)]
    usage: BTreeMap<String, String>,
}

impl PodMetrics {
    fn usage(self) -> PodUsage {
        let sum = |resource: &str| -> f64 {
            let texts = self.containers.iter().filter_map(|container| container.usage.get(resource));
            texts.filter_map(|text| quantity(text)).sum()
        };
        let (cpu, memory) = (sum("cpu"), sum("memory"));
        PodUsage {
            namespace: self.metadata.namespace,
            pod: self.metadata.name,
            // Rounded up, as kubectl does: a pod that does something does not show 0.
            cpu_millicores: (cpu * 1000.0).ceil() as u64,
            memory_bytes: memory.round() as u64,
        }
    }
}

/// A quantity of Kubernetes as a number: `250m`, `1200n`, `64Mi`, `1e3`, `2`.
fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let scaled = SUFFIXES.iter().find_map(|(suffix, factor)| {
        let number: f64 = text.strip_suffix(suffix)?.parse().ok()?;
        Some(number * factor)
    });
    scaled.or_else(|| text.parse().ok()).filter(|value: &f64| value.is_finite() && *value >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, value) in [
            ("250m", 0.25),
            ("1200n", 1.2e-6),
            ("15u", 1.5e-5),
            ("2", 2.0),
            ("64Mi", 67_108_864.0),
            ("100k", 100_000.0),
            ("1e3", 1000.0),
            ("1E", 1e18),
            ("0", 0.0),
        ] {
            let read = quantity(text).unwrap();
            assert!((read - value).abs() <= value * 1e-12, "{text}: {read}");
        }
        for bad in ["", "m", "x", "1x", "-1", "NaN", "inf"] {
            assert_eq!(quantity(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_pod_uses_what_its_containers_use() {
        let text = r#"{"items": [{"metadata": {"name": "a", "namespace": "shop"}, "containers": [
            {"name": "x", "usage": {"cpu": "1500u", "memory": "1Mi"}}, {"name": "y", "usage": {"cpu": "2m", "memory": "1Ki"}}]}]}"#;
        let list: PodMetricsList = serde_json::from_str(text).unwrap();
        let usage: Vec<_> = list.items.into_iter().map(PodMetrics::usage).collect();
        let wanted = PodUsage {
            namespace: "shop".into(),
            pod: "a".into(),
            cpu_millicores: 4,
            memory_bytes: 1_049_600,
        };
        assert_eq!(usage, [wanted]);
    }
}
