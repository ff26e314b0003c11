//! `/metrics/probes`: how often the probes of the running containers succeeded and failed.

use super::{probes::ProbeKind, server::Scrape};
use crate::metrics::{Exposition, Kind};

/// The text of a scrape.
pub fn render(scrape: &Scrape) -> String {
    let mut out = Exposition::default();
    let name = "prober_probe_total";
    out.family(
        name,
        Kind::Counter,
        "Cumulative number of a liveness, readiness or startup probe for a container by result.",
    );
    for (account, ..) in &scrape.containers {
        for kind in [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness] {
            for (count, result) in account.probes(kind).into_iter().zip(["failed", "successful"]) {
                let labels = [
                    ("container", account.container.as_str()),
                    ("namespace", account.namespace.as_str()),
                    ("pod", account.pod.as_str()),
                    ("pod_uid", account.pod_uid.as_str()),
                    ("probe_type", kind.title()),
                    ("result", result),
                ];
                if count > 0 {
                    out.sample(name, &labels, count as f64);
                }
            }
        }
    }
    out.into_text()
}
