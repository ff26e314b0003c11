//! Logs of every kind of run.

use harness_event::{
    AlertInterval, AlertRule, AlertSeries, CancelReason, ClusterEvent, DetectionBound, Event, EventKind,
    IntervalEnd, Labels, LogLine, Millis, ObservedPod, Phase, PodLog, Verdict, read_log, verdict::testkit,
};
use harness_report::{HtmlOptions, html};
use serde_json::Value;

/// The page of a log.
pub fn page(events: &[Event]) -> String {
    html(events, &Verdict::of(events), &HtmlOptions::default()).unwrap()
}

/// Gives facts their own time, where they have one: as the conductor would have recorded them.
fn timed(kinds: Vec<EventKind>) -> Vec<Event> {
    let mut now = 0;
    let mut events = testkit::log(kinds);
    for event in &mut events {
        let own = match &event.kind {
            EventKind::RunStarted { .. } => Some(testkit::at(0)),
            EventKind::FaultApplied { sent_at, .. } | EventKind::FaultRevertStarted { sent_at, .. } => {
                Some(*sent_at)
            }
            EventKind::FaultEffectObserved { effect_at, .. }
            | EventKind::FaultRevertVerified { effect_at, .. } => Some(*effect_at),
            EventKind::ProbeAnswered { sent_at, latency_us, .. } => {
                Some(*sent_at + Millis(*latency_us as i64 / 1000))
            }
            EventKind::SteadyStateChecked { asked_at, .. } => Some(*asked_at),
            EventKind::NotificationReceived(told) => Some(told.received_at),
            EventKind::LoadSampled { sample, .. } => Some(sample.from + sample.length),
            EventKind::PhaseStarted { phase: Phase::Verdict } => Some(testkit::at(34_000)),
            EventKind::RunFinished { .. } => Some(testkit::at(35_000)),
            _ => None,
        };
        now = own.map_or(now, |at| (at - testkit::START).0.max(now));
        event.elapsed = Millis(now);
        event.at = testkit::at(now);
    }
    events
}

/// Everything that people see around a failure: phases, pods, rules, bounds.
fn around(mut kinds: Vec<EventKind>) -> Vec<EventKind> {
    let effect = kinds.iter().position(|kind| {
        matches!(kind, EventKind::FaultEffectObserved { .. } | EventKind::LoadStarted { .. })
    });
    let effect = effect.unwrap_or(1);
    let pod = |restarts, ready| {
        EventKind::PodObserved(ObservedPod {
            namespace: "gallery".into(),
            pod: "postgres-0".into(),
            status: "Running".into(),
            ready,
            restarts,
            ..ObservedPod::default()
        })
    };
    let line = |ms: i64, text: &str| LogLine { written_at: Some(testkit::at(ms)), text: text.into() };
    let rule = AlertRule {
        alert: testkit::ALERT.into(),
        group: "gallery".into(),
        expression: "up{job=\"api\"} == 0 and on () vector(1) > 0".into(),
        pending_for: Millis(5000),
        keep_firing_for: Millis(0),
        labels: Labels::from([("severity".to_owned(), "page".to_owned())]),
        annotations: Labels::new(),
    };
    let bound = DetectionBound {
        expectation: format!("alert/{}/firing", testkit::ALERT),
        earliest: Millis(5000),
        worst: Millis(8000),
        terms: "scrape interval 0..1s + for 5s".into(),
    };
    let stranger = ClusterEvent {
        namespace: "gallery".into(),
        object: "pod/postgres-0".into(),
        severity: "Warning".into(),
        reason: "BackOff".into(),
        message: "Back-off restarting failed container".into(),
        count: 3,
        seen_at: testkit::at(9000),
    };
    let excerpt = PodLog {
        namespace: "gallery".into(),
        pod: "postgres-0".into(),
        container: "postgres".into(),
        previous: false,
        why: "target of fault database-down".into(),
        read_at: testkit::at(26_000),
        lines: vec![line(1000, "ready to accept connections"), line(6000, "received fast shutdown request")],
        cut: true,
        error: None,
    };
    kinds.splice(
        effect + 1..effect + 1,
        [pod(0, true), pod(2, false), EventKind::ClusterEventSeen(stranger), EventKind::PodLogRead(excerpt)],
    );
    let start = |phase| EventKind::PhaseStarted { phase };
    kinds.splice(
        1..1,
        [
            start(Phase::Prepare),
            EventKind::AlertRulesRead { rules: vec![rule] },
            EventKind::BoundComputed(bound),
            EventKind::PhaseFinished { phase: Phase::Prepare },
            start(Phase::Fault),
        ],
    );
    kinds
}

pub fn passing() -> Vec<Event> {
    timed(around(testkit::passing_run()))
}

pub fn surge() -> Vec<Event> {
    timed(around(testkit::surge_run()))
}

/// It fires too late, and something else fires, too.
pub fn failing() -> Vec<Event> {
    let labels = Labels::from([("alertname".to_owned(), "DiskFull".to_owned())]);
    let run = AlertInterval { from: testkit::at(8000), last: testkit::at(34_000), end: IntervalEnd::Open };
    let stranger = AlertSeries { labels, state: "firing".into(), intervals: vec![run] };
    let late = |kind| match kind {
        EventKind::AlertHistoryRead { .. } => testkit::history(vec![
            testkit::series("pending", 6000, 17_000),
            testkit::series("firing", 17_000, 29_000),
            stranger.clone(),
        ]),
        kind => kind,
    };
    timed(around(testkit::passing_run()).into_iter().map(late).collect())
}

pub fn inconclusive() -> Vec<Event> {
    let missing = |kind| match kind {
        EventKind::AlertHistoryRead { .. } => {
            EventKind::AlertHistoryMissing { error: "remote read answered 503".into() }
        }
        kind => kind,
    };
    timed(around(testkit::passing_run()).into_iter().map(missing).collect())
}

fn stopped(kind: EventKind) -> Vec<Event> {
    let end = EventKind::RunFinished { demanded: Millis(0), bring_up: Millis(0) };
    timed(vec![testkit::run_started(testkit::plan()).kind, kind, end])
}

pub fn refused() -> Vec<Event> {
    stopped(EventKind::RunRefused {
        problems: vec!["no rule is called APIServiceDown".into(), "no receiver".into()],
    })
}

pub fn not_ready() -> Vec<Event> {
    stopped(EventKind::NotReady { component: "Prometheus".into(), reason: "connection refused".into() })
}

pub fn cancelled() -> Vec<Event> {
    let reason = CancelReason::Signal("SIGINT".into());
    timed(testkit::passing_run().into_iter().chain([EventKind::RunCancelled { reason }]).collect())
}

pub fn left_behind() -> Vec<Event> {
    let kinds = testkit::passing_run().into_iter().map(|kind| match kind {
        EventKind::FaultRevertVerified { fault, .. } => {
            EventKind::FaultRevertFailed { fault, error: "connection refused".into() }
        }
        kind => kind,
    });
    timed(kinds.collect())
}

/// The log ends in the middle of the fault.
pub fn unfinished() -> Vec<Event> {
    let mut events = passing();
    let end =
        events.iter().position(|event| matches!(event.kind, EventKind::FaultRevertStarted { .. })).unwrap();
    events.truncate(end);
    events
}

pub fn game_day() -> Vec<Event> {
    let mut plan = testkit::plan();
    plan.expectations.clear();
    let spec = plan.faults.remove(0);
    let mut kinds = testkit::passing_run();
    let EventKind::RunStarted { mode, plan: told, .. } = &mut kinds[0] else { unreachable!("a run starts") };
    (*mode, *told) = (harness_event::RunMode::GameDay, plan);
    kinds.insert(4, EventKind::FaultRequested { spec });
    kinds.insert(8, EventKind::NoteWritten { text: "the pager rang".into() });
    timed(kinds)
}

/// All of them by name.
pub fn all() -> Vec<(&'static str, Vec<Event>)> {
    vec![
        ("passing", passing()),
        ("surge", surge()),
        ("failing", failing()),
        ("inconclusive", inconclusive()),
        ("refused", refused()),
        ("not-ready", not_ready()),
        ("cancelled", cancelled()),
        ("left-behind", left_behind()),
        ("unfinished", unfinished()),
        ("game-day", game_day()),
        ("hostile", hostile(&failing())),
        ("hostile-surge", hostile(&surge())),
    ]
}

/// What somebody would write into a label to get out of its place.
pub const HOSTILE: &str = "\"'`--></title></style></script><script>pwned=1</script><img src=x onerror=pwned=1>{{ 7*7 }}{% raw %}\u{202e}\u{0}&amp;";

/// Every text of a log that may be any text ends in [`HOSTILE`]; the same texts stay the same.
pub fn hostile(events: &[Event]) -> Vec<Event> {
    let mut lines = String::new();
    for event in events {
        let mut value = serde_json::to_value(event).unwrap();
        let mut paths = Vec::new();
        collect(&value, &mut String::new(), &mut paths);
        for path in paths {
            let old = value.pointer(&path).cloned().unwrap();
            *value.pointer_mut(&path).unwrap() = Value::String(format!("{}{HOSTILE}", old.as_str().unwrap()));
            // Times and words with a meaning do not read back with it.
            if serde_json::from_value::<Event>(value.clone()).is_err() {
                *value.pointer_mut(&path).unwrap() = old;
            }
        }
        lines.push_str(&value.to_string());
        lines.push('\n');
    }
    read_log(lines.as_bytes()).unwrap().events
}

/// Pointers to all texts. States of alerts are texts, too, but without them nothing would be seen.
fn collect(value: &Value, path: &mut String, paths: &mut Vec<String>) {
    let length = path.len();
    match value {
        Value::String(_) => paths.push(path.clone()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.extend(["/", &index.to_string()]);
                collect(item, path, paths);
                path.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                if !["state", "event"].contains(&name.as_str()) {
                    path.extend(["/", &name.replace('~', "~0").replace('/', "~1")]);
                    collect(item, path, paths);
                    path.truncate(length);
                }
            }
        }
        _ => {}
    }
}
