use std::time::{Duration, Instant};

use harness_event::{
    Event, EventKind, FaultAction, FaultSpec, LoadSample, LoadStart, Millis, Phase, RunState, Timestamp,
    Verdict, WorkloadRef, verdict::testkit,
};

use super::{
    report::{ExpectationReport, FaultReport, RunReport},
    runs::{KEPT, Runs, SILENCE},
};

fn report(run: &str) -> RunReport {
    RunReport { run: run.to_owned(), mode: "scenario".to_owned(), ..RunReport::default() }
}

#[test]
fn only_the_last_few_runs_are_kept() {
    let mut runs = Runs::default();
    for run in 0..KEPT + 2 {
        runs.take(report(&format!("r{run}"))).unwrap();
        runs.take(report(&format!("r{run}"))).unwrap();
    }
    let kept: Vec<_> = runs.kept().map(|kept| kept.report.run.clone()).collect();
    assert_eq!(kept, ["r2", "r3", "r4", "r5", "r6"]);
    assert_eq!(runs.reports, 2 * (KEPT as u64 + 2));
}

#[test]
fn what_would_make_too_many_or_meaningless_series_is_refused() {
    let fault = FaultReport { fault: "f".to_owned(), kind: "scale".to_owned(), active: false };
    let expectation = |state: &str| ExpectationReport {
        expectation: "e".to_owned(),
        state: state.to_owned(),
        deadline: None,
        took: None,
    };
    let cases = [
        report(""),
        RunReport { faults: vec![fault; 201], ..report("r") },
        RunReport { phase: Some("lunch".to_owned()), ..report("r") },
        RunReport { expectations: vec![expectation("perhaps")], ..report("r") },
        RunReport { scenario: "x".repeat(301), ..report("r") },
    ];
    let mut runs = Runs::default();
    for case in cases {
        assert!(runs.take(case.clone()).is_err(), "{case:?}");
    }
    assert_eq!(runs.kept().count(), 0);
    runs.take(RunReport { expectations: vec![expectation("met")], ..report("r") }).unwrap();
}

#[test]
fn nothing_is_claimed_of_a_run_that_fell_silent() {
    let mut runs = Runs::default();
    let fault = FaultReport { fault: "f".to_owned(), kind: "scale".to_owned(), active: true };
    runs.take(RunReport { faults: vec![fault.clone()], ..report("lost") }).unwrap();
    let over = RunReport { faults: vec![fault], outcome: Some("passed".to_owned()), ..report("over") };
    runs.take(over).unwrap();
    let soon = runs.exposition_at(Instant::now());
    assert!(soon.contains("harness_fault_active{run=\"lost\""), "{soon}");
    let late = runs.exposition_at(Instant::now() + SILENCE + Duration::from_secs(1));
    assert!(!late.contains("harness_fault_active{run=\"lost\""), "{late}");
    assert!(late.contains("harness_run_info{run=\"lost\""), "{late}");
    assert!(late.contains("harness_run_outcome{run=\"over\",outcome=\"passed\"} 1"), "{late}");
}

#[test]
fn labels_are_escaped() {
    let mut runs = Runs::default();
    runs.take(RunReport { scenario: "a\"b\\c\nd".to_owned(), ..report("r") }).unwrap();
    let text = runs.exposition();
    assert!(text.contains(r#"scenario="a\"b\\c\nd""#), "{text}");
}

/// The state after these facts, a second apart.
fn state(kinds: Vec<EventKind>) -> RunState {
    let mut state = RunState::default();
    for (seq, kind) in (0..).zip(kinds) {
        let at = Millis::from_secs(i64::try_from(seq).unwrap());
        state.apply(&Event { seq, at: Timestamp(1_000_000 + at.0), elapsed: at, kind });
    }
    state
}

#[test]
fn a_fault_is_active_from_its_calls_until_it_is_undone() {
    let spec = FaultSpec {
        name: "db".into(),
        action: FaultAction::Scale {
            workload: WorkloadRef { kind: "Deployment".into(), name: "db".into() },
            replicas: 0,
        },
        start: Millis(0),
        duration: Millis(1),
        effect_within: Millis(1),
    };
    let plan = harness_event::Plan { faults: vec![spec.clone()], ..testkit::plan() };
    let at = Timestamp(1_000_000);
    let kinds = [
        testkit::run_started(plan).kind,
        EventKind::PhaseStarted { phase: Phase::Fault },
        EventKind::FaultPlanned {
            fault: "db".into(),
            action: spec.action.clone(),
            targets: vec!["deployment/db".into()],
            inverse: String::new(),
        },
        EventKind::FaultApplied { fault: "db".into(), sent_at: at },
        EventKind::FaultEffectObserved { fault: "db".into(), effect_at: at, detail: String::new() },
        EventKind::FaultRevertStarted { fault: "db".into(), sent_at: at },
        EventKind::FaultRevertVerified { fault: "db".into(), effect_at: at, detail: String::new() },
    ];
    let active = |facts: usize| {
        let report = RunReport::of(&state(kinds[..facts].to_vec()));
        assert_eq!((report.faults.len(), report.faults[0].kind.as_str()), (1, "scale"));
        report.faults[0].active
    };
    assert_eq!((1..=7).map(active).collect::<Vec<_>>(), [false, false, false, true, true, true, false]);
    let going_on = RunReport::of(&state(kinds.to_vec()));
    assert_eq!((going_on.phase.as_deref(), going_on.outcome), (Some("fault"), None));
}

#[test]
fn a_finished_run_is_in_no_phase_and_has_an_outcome_and_exact_detection_times() {
    let events = testkit::log(testkit::passing_run());
    let mut state = RunState::default();
    events.iter().for_each(|event| state.apply(event));
    let verdict = Verdict::of(&events);
    state.conclude(verdict.clone());
    let report = RunReport::of(&state);
    assert_eq!((report.phase, report.outcome.as_deref()), (None, Some("passed")));
    let detection = verdict.detections.first().expect("the run expects an alert");
    let told = |stage: &str| {
        let found = report.detections.iter().find(|one| one.alert == detection.alert && one.stage == stage);
        found.map(|one| one.took)
    };
    assert_eq!(told("firing"), detection.firing_at.map(|at| at - detection.effect_at));
    assert!(told("firing").is_some());
    assert!(report.expectations.iter().all(|one| one.state == "met"), "{:?}", report.expectations);
}

#[test]
fn a_load_is_told_as_of_its_last_second_and_only_while_it_runs() {
    let spec = testkit::load_spec("crowd", LoadStart::After(Millis(0)));
    let plan = harness_event::Plan { loads: vec![spec], ..testkit::plan() };
    let sample = LoadSample {
        from: Timestamp(1_000_000),
        length: Millis(500),
        users: 7,
        requests: 10,
        failed: 1,
        behind: Millis(0),
        p50_us: 1_000,
        p95_us: 2_000,
        p99_us: 4_000,
    };
    let mut kinds = vec![
        testkit::run_started(plan).kind,
        EventKind::LoadStarted { load: "crowd".into(), started_at: Timestamp(1_000_000) },
        EventKind::LoadSampled { load: "crowd".into(), sample },
    ];
    let running = &RunReport::of(&state(kinds.clone())).loads[0];
    assert_eq!((running.active, running.users, running.rate, running.failed), (true, 7, 20.0, 0.1));
    assert_eq!(running.latency["0.99"], 0.004);
    kinds.push(EventKind::LoadFailed { load: "crowd".into(), error: "it died".into() });
    let ended = &RunReport::of(&state(kinds)).loads[0];
    assert_eq!((ended.active, ended.rate, ended.latency.len()), (false, 0.0, 0));
}
