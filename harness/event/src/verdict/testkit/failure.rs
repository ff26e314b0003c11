//! A database failure: one fault, one alert in all its states, users, replicas, recovery.

use super::common::{at, observed, run_started};
use crate::{
    AlertExpectation, AlertInterval, AlertSeries, AlertState, EventKind, Expectation, ExpectationKind,
    FaultAction, FaultSpec, HttpExpectation, IntervalEnd, LabelMatcher, Labels, Millis, Monitoring,
    Notification, NotifiedAlert, ObservedWorkload, Phase, Plan, SteadyCheck, SteadyCheckKind, Window,
    WorkloadExpectation, WorkloadRef,
};

/// Name of the scripted fault.
pub const FAULT: &str = "database-down";
/// Name of the scripted alert.
pub const ALERT: &str = "APIServiceDown";

fn workload() -> WorkloadRef {
    WorkloadRef { kind: "Deployment".into(), name: "postgres".into() }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Labels of the scripted alert.
pub fn alert_labels() -> Labels {
    labels(&[("alertname", ALERT), ("severity", "page")])
}

fn expectation(id: &str, kind: ExpectationKind) -> Expectation {
    Expectation { id: id.into(), title: format!("{id} is seen"), line: 1, fault: FAULT.into(), kind }
}

fn alert(state: AlertState, within: i64) -> Expectation {
    let receiver = (state == AlertState::Delivered).then(|| "harness".to_owned());
    let labels = vec![LabelMatcher::equal("severity", "page")];
    let kind = AlertExpectation { alert: ALERT.into(), labels, state, within: Millis(within), receiver };
    expectation(&format!("alert/{ALERT}/{state}"), ExpectationKind::Alert(kind))
}

/// One fault, one alert in all its states, login answers, replicas, recovery.
pub fn plan() -> Plan {
    let http = |window, status, within| {
        let (probe, step) = ("user".to_owned(), "login".to_owned());
        let expected = HttpExpectation {
            probe,
            step,
            window,
            status,
            body_contains: None,
            within: Millis(within),
            max_latency: None,
        };
        expectation(&format!("http/{status}"), ExpectationKind::Http(expected))
    };
    let check = SteadyCheckKind::Http {
        url: "http://portal/".into(),
        status: 200,
        body_contains: None,
        timeout: Millis(1000),
    };
    Plan {
        title: "Database failure".into(),
        description: String::new(),
        namespace: "gallery".into(),
        monitoring: Monitoring {
            prometheus: "http://p".into(),
            alertmanager: "http://a".into(),
            receiver: "http://r".into(),
        },
        baseline: Millis(2000),
        steady_state: vec![SteadyCheck { name: "portal answers".into(), kind: check }],
        probes: vec![],
        loads: vec![],
        slos: vec![],
        compress: None,
        history: None,
        faults: vec![FaultSpec {
            name: FAULT.into(),
            action: FaultAction::Scale { workload: workload(), replicas: 0 },
            start: Millis(0),
            duration: Millis(20_000),
            effect_within: Millis(5000),
        }],
        expectations: vec![
            alert(AlertState::Pending, 4000),
            alert(AlertState::Firing, 10_000),
            alert(AlertState::Delivered, 12_000),
            alert(AlertState::Resolved, 8000),
            expectation("alerts/none-unexpected", ExpectationKind::NoUnexpectedAlert),
            http(Window::During, 503, 3000),
            http(Window::After, 200, 5000),
            expectation("workload/deployment/postgres", workload_ready()),
            expectation("recovery", ExpectationKind::Recovery { within: Millis(10_000) }),
        ],
        allowed_alerts: vec![],
    }
}

fn workload_ready() -> ExpectationKind {
    ExpectationKind::Workload(WorkloadExpectation { workload: workload(), ready: 1, within: Millis(10_000) })
}

/// A run of [`plan`] in which all is well: effect at 5 s, pending 6 s, firing 11 s, delivered 12 s, revert 25 s, healed 27 s,
/// resolved 29 s, end 34 s.
pub fn passing_run() -> Vec<EventKind> {
    let fault = || FAULT.to_owned();
    let answer = |ms: i64, status: u16| EventKind::ProbeAnswered {
        probe: "user".into(),
        step: "login".into(),
        round: 0,
        sent_at: at(ms),
        latency_us: 10_000,
        status: Some(status),
        body: "{}".into(),
        error: None,
        healthy: status == 200,
    };
    let steady = |ms: i64, ok| EventKind::SteadyStateChecked {
        check: "portal answers".into(),
        asked_at: at(ms),
        ok,
        detail: "200".into(),
    };
    let replicas = |ms: i64, ready| {
        EventKind::WorkloadObserved(ObservedWorkload {
            workload: workload(),
            seen_at: at(ms),
            desired: 1,
            ready,
            available: ready,
        })
    };
    let action = FaultAction::Scale { workload: workload(), replicas: 0 };
    let targets = vec!["deployment/postgres".to_owned()];
    vec![
        run_started(plan()).kind,
        EventKind::ClockMeasured { offset: Millis(0), bound: Millis(2) },
        steady(3000, true),
        EventKind::BaselineTaken { alerts: vec![] },
        observed(),
        EventKind::FaultPlanned { fault: fault(), action, targets, inverse: "scale to 1".into() },
        EventKind::FaultApplied { fault: fault(), sent_at: at(4000) },
        replicas(4900, 0),
        EventKind::FaultEffectObserved { fault: fault(), effect_at: at(5000), detail: "0 ready".into() },
        answer(6000, 503),
        answer(7000, 503),
        answer(24_000, 503),
        notification(12_000, "firing"),
        EventKind::FaultRevertStarted { fault: fault(), sent_at: at(25_000) },
        replicas(27_000, 1),
        EventKind::FaultRevertVerified { fault: fault(), effect_at: at(27_000), detail: "1 ready".into() },
        answer(28_000, 200),
        steady(28_500, true),
        answer(33_000, 200),
        notification(30_000, "resolved"),
        EventKind::Note { text: "end".into() },
        observed(),
        EventKind::PhaseStarted { phase: Phase::Verdict },
        history(vec![series("pending", 6000, 11_000), series("firing", 11_000, 29_000)]),
        EventKind::AlertInputsChecked {
            alert: ALERT.into(),
            resolved_at: at(29_000),
            present: true,
            detail: "up: 1 of 1".into(),
        },
        EventKind::RunFinished { demanded: Millis(30_000), bring_up: Millis(0) },
    ]
}

/// The scripted alert in one state, ended by a stale marker.
pub fn series(state: &str, from: i64, to: i64) -> AlertSeries {
    let run = AlertInterval { from: at(from), last: at(to - 1000), end: IntervalEnd::Stale(at(to)) };
    AlertSeries { labels: alert_labels(), state: state.into(), intervals: vec![run] }
}

/// The record of the whole run.
pub fn history(series: Vec<AlertSeries>) -> EventKind {
    EventKind::AlertHistoryRead { from: at(-10_000), to: at(36_000), series, sha256: "00".into() }
}

/// A notification about the scripted alert.
pub fn notification(ms: i64, status: &str) -> EventKind {
    let ends_at = (status == "resolved").then(|| at(29_000));
    let alert = NotifiedAlert {
        status: status.into(),
        labels: alert_labels(),
        starts_at: at(11_000),
        ends_at,
        fingerprint: "f".into(),
    };
    EventKind::NotificationReceived(Notification {
        receiver: "harness".into(),
        received_at: at(ms),
        status: status.into(),
        alerts: vec![alert],
    })
}
