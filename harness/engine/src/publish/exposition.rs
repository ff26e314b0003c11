//! Runs in Prometheus' text format.

use std::{fmt::Write as _, time::Instant};

use harness_event::{Millis, Timestamp};

use super::{
    report::{PHASES, RunReport, STATES},
    runs::{Kept, Runs},
};

impl Runs {
    /// The series of all runs, as `/metrics` shows them.
    pub fn exposition(&self) -> String {
        self.exposition_at(Instant::now())
    }

    pub(super) fn exposition_at(&self, now: Instant) -> String {
        let mut out = Text::default();
        out.family("alert_receiver_run_reports_total", "counter", "Reports of runs that arrived.");
        out.sample("alert_receiver_run_reports_total", &[], self.reports as f64);
        for family in FAMILIES {
            let mut samples = Vec::new();
            for kept in self.kept().filter(|kept| family.of_lost_runs || !kept.is_lost(now)) {
                (family.samples)(kept, &mut |labels, value| samples.push((kept, labels, value)));
            }
            if samples.is_empty() {
                continue;
            }
            out.family(family.name, family.kind, family.help);
            for (kept, labels, value) in samples {
                let run = [("run", kept.report.run.clone())];
                out.sample(family.name, &run.into_iter().chain(labels).collect::<Vec<_>>(), value);
            }
        }
        out.0
    }
}

type Labels = Vec<(&'static str, String)>;
type Take<'t> = dyn FnMut(Labels, f64) + 't;

/// A metric of runs.
struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    /// It stays true of a run that is not heard of any more.
    of_lost_runs: bool,
    samples: fn(&Kept, &mut Take<'_>),
}

/// A family of what is going on, or was found out.
const fn now(name: &'static str, help: &'static str, samples: fn(&Kept, &mut Take<'_>)) -> Family {
    Family { name, help, kind: "gauge", of_lost_runs: false, samples }
}

/// A family of what stays true.
const fn always(name: &'static str, help: &'static str, samples: fn(&Kept, &mut Take<'_>)) -> Family {
    Family { name, help, kind: "gauge", of_lost_runs: true, samples }
}

const FAMILIES: [Family; 16] = [
    always("harness_run_info", "A run, always 1.", |kept, take| {
        let RunReport { scenario, mode, .. } = &kept.report;
        take(vec![("scenario", scenario.clone()), ("mode", mode.clone())], 1.0);
    }),
    always("harness_run_start_timestamp_seconds", "When the run began, Unix time.", |kept, take| {
        take(vec![], unix(kept.report.started_at));
    }),
    always(
        "harness_run_report_timestamp_seconds",
        "When the run was last heard of, Unix time.",
        |kept, take| {
            take(vec![], unix(kept.heard_at));
        },
    ),
    now("harness_run_active", "Whether the run goes on.", |kept, take| {
        take(vec![], flag(kept.report.outcome.is_none()));
    }),
    now("harness_run_elapsed_seconds", "How long the run has been going on, or went on.", |kept, take| {
        take(vec![], seconds(kept.report.elapsed));
    }),
    now("harness_run_phase", "Whether the run is in this phase.", |kept, take| {
        for phase in PHASES.map(|phase| phase.to_string()) {
            let is = kept.report.phase.as_ref() == Some(&phase);
            take(vec![("phase", phase)], flag(is));
        }
    }),
    now("harness_run_outcome", "What the run proved, always 1; there once that is known.", |kept, take| {
        if let Some(outcome) = &kept.report.outcome {
            take(vec![("outcome", outcome.clone())], 1.0);
        }
    }),
    now("harness_fault_active", "Whether the fault is on.", |kept, take| {
        for one in &kept.report.faults {
            take(vec![("fault", one.fault.clone()), ("kind", one.kind.clone())], flag(one.active));
        }
    }),
    now("harness_load_active", "Whether the load sends requests.", |kept, take| {
        for one in &kept.report.loads {
            take(vec![("load", one.load.clone())], flag(one.active));
        }
    }),
    now("harness_load_users", "Users of the load that are running.", |kept, take| {
        for one in &kept.report.loads {
            take(vec![("load", one.load.clone())], f64::from(one.users));
        }
    }),
    now("harness_load_requests_per_second", "Requests of the load in its last second.", |kept, take| {
        for one in &kept.report.loads {
            take(vec![("load", one.load.clone())], one.rate);
        }
    }),
    now(
        "harness_load_failed_ratio",
        "Share of these requests that were not answered as expected.",
        |kept, take| {
            for one in &kept.report.loads {
                take(vec![("load", one.load.clone())], one.failed);
            }
        },
    ),
    // What has quantiles is a summary, also without sum and count.
    Family {
        kind: "summary",
        ..now("harness_load_latency_seconds", "Latency of these requests, by quantile.", |kept, take| {
            for one in &kept.report.loads {
                for (quantile, value) in &one.latency {
                    take(vec![("load", one.load.clone()), ("quantile", quantile.clone())], *value);
                }
            }
        })
    },
    now("harness_expectation_state", "Whether the expectation is in this state.", |kept, take| {
        for one in &kept.report.expectations {
            for state in STATES {
                let labels = vec![("expectation", one.expectation.clone()), ("state", state.to_owned())];
                take(labels, flag(one.state == state));
            }
        }
    }),
    now("harness_expectation_deadline_seconds", "By when the expectation is to be met.", |kept, take| {
        for one in &kept.report.expectations {
            if let Some(deadline) = one.deadline {
                take(vec![("expectation", one.expectation.clone())], seconds(deadline));
            }
        }
    }),
    now(
        "harness_detection_seconds",
        "Time from the fault's effect until the alert was pending, firing, delivered; from its revert until resolved.",
        |kept, take| {
            for one in &kept.report.detections {
                take(vec![("alert", one.alert.clone()), ("stage", one.stage.clone())], seconds(one.took));
            }
        },
    ),
];

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn seconds(length: Millis) -> f64 {
    length.0 as f64 / 1000.0
}

fn unix(at: Timestamp) -> f64 {
    at.0 as f64 / 1000.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, String)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// A label's value as the text format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
