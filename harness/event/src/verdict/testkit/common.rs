//! What all scripted runs share.

use crate::{AlertmanagerHealth, Event, EventKind, Millis, Phase, Plan, PrometheusHealth, Timestamp};

/// Start of every scripted run.
pub const START: Timestamp = Timestamp(1_763_700_000_000);

/// `START` plus so many milliseconds.
pub fn at(ms: i64) -> Timestamp {
    START + Millis(ms)
}

/// First event of a log.
pub fn run_started(plan: Plan) -> Event {
    let kind = EventKind::RunStarted {
        format: crate::FORMAT_VERSION,
        run: "20261121-100000-abcd".into(),
        harness: "0.1.0".into(),
        scenario: "scenarios/db-failure.toml".into(),
        scenario_sha256: "00".into(),
        mode: crate::RunMode::Scenario,
        plan,
    };
    Event { seq: 0, at: START, elapsed: Millis(0), kind }
}

/// Monitoring as it always is in a run in which all is well.
pub fn observed() -> EventKind {
    let prometheus =
        Some(PrometheusHealth { started_at: START, config_loaded_at: START, ..Default::default() });
    let alertmanager =
        Some(AlertmanagerHealth { started_at: START, config_loaded_at: START, ..Default::default() });
    EventKind::MonitoringObserved { prometheus, alertmanager, errors: vec![] }
}

/// Numbers the facts: all recorded at 34 s, those of the verdict phase at 35 s: only what they say of themselves counts.
pub fn log(kinds: Vec<EventKind>) -> Vec<Event> {
    let mut in_verdict = false;
    let event = |(seq, kind): (usize, EventKind)| {
        in_verdict |= matches!(kind, EventKind::PhaseStarted { phase: Phase::Verdict });
        let ms = if in_verdict { 35_000 } else { 34_000 };
        Event { seq: seq as u64, at: at(ms), elapsed: Millis(ms), kind }
    };
    kinds.into_iter().enumerate().map(event).collect()
}
