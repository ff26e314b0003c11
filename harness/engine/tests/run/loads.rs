//! Where loads are on a run's timeline.

use std::time::Duration;

use harness_event::{
    EventKind, FaultAction, FaultSpec, LoadMeasure, LoadPhase, LoadStart, LoadStats, Millis, Outcome, Phase,
    Plan, Timestamp, Verdict,
};
use k8s_openapi::{
    api::core::v1::Pod,
    serde_json::{from_value, json},
};
use kube::Api;

use super::{
    fixture::{Fixture, expect, written},
    worker::{DYING, is_alive, load},
};

const NOW: LoadStart = LoadStart::After(Millis(0));

fn started(name: &str) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::LoadStarted { load, .. } if load == name)
}

fn finished(name: &str) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::LoadFinished { load, .. } if load == name)
}

fn begins(wanted: Phase) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::PhaseStarted { phase } if *phase == wanted)
}

fn ends(wanted: Phase) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::PhaseFinished { phase } if *phase == wanted)
}

/// Statistics of a load in a phase.
fn stats(fixture: &Fixture, name: &str, wanted: LoadPhase) -> LoadStats {
    let found = fixture.kinds().into_iter().find_map(|kind| match kind {
        EventKind::LoadMeasured { load, phase, step: None, stats } if load == name && phase == wanted => {
            Some(stats)
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no {wanted} of {name} in {}", written(&fixture.kinds())))
}

fn assert_passed(fixture: &Fixture, verdict: &Verdict) {
    assert_eq!(verdict.outcome, Outcome::Passed, "{verdict:#?}\n{}", written(&fixture.kinds()));
}

/// Each fact in its order, and the run ends by itself as soon as there is enough of the last phase.
#[tokio::test]
async fn a_surge_beside_a_load_in_the_background() {
    let fixture = Fixture::new().await;
    let (measure, url) = (LoadMeasure::ErrorRatio, fixture.url());
    let loads = vec![
        load("visitors", LoadStart::Background, None, &url),
        load("surge", LoadStart::After(Millis(500)), Some(60), &url),
    ];
    let expectations = vec![
        expect("surge", "surge", LoadPhase::During, LoadMeasure::Requests, ">= 60"),
        expect("surge", "visitors", LoadPhase::Before, measure, "== 0"),
        expect("surge", "visitors", LoadPhase::After, measure, "== 0"),
    ];
    let verdict = fixture.run(fixture.plan(loads, expectations)).await;
    assert_passed(&fixture, &verdict);

    let places = [
        fixture.place("the background's start", started("visitors")),
        fixture.place("baseline", |kind| matches!(kind, EventKind::BaselineTaken { .. })),
        fixture.place("fault phase", begins(Phase::Fault)),
        fixture.place("the surge's start", started("surge")),
        fixture.place("the surge's end", finished("surge")),
        fixture.place("heal phase", begins(Phase::Heal)),
        fixture.place("recovery phase", begins(Phase::Recovery)),
        fixture.place("the background's end", finished("visitors")),
        fixture.place("end of the recovery phase", ends(Phase::Recovery)),
    ];
    assert!(places.is_sorted(), "{places:?} {}", written(&fixture.kinds()));
    let after = stats(&fixture, "visitors", LoadPhase::After);
    assert!(after.to - after.from >= Millis(4500), "{after:?}");
    let before = stats(&fixture, "visitors", LoadPhase::Before);
    let surge = stats(&fixture, "surge", LoadPhase::During);
    assert!(
        before.to <= surge.from && after.from >= surge.to - Millis(250),
        "{before:?} {surge:?} {after:?}"
    );
    assert!(!is_alive(fixture.dir(), "visitors") && !is_alive(fixture.dir(), "surge"));
    let EventKind::RunFinished { demanded, .. } = fixture.kinds().pop().unwrap() else { panic!() };
    let surge_took = surge.to - surge.from;
    // Baseline, wait, surge, what is needed after it; within what the pipes and a busy machine add.
    let wanted = Millis(1000) + Millis(500) + surge_took + Millis(5000);
    assert!((demanded - wanted).0.abs() < 2000, "{demanded} is not {wanted}");
}

async fn ready_pod(api: &Api<Pod>, name: &str) {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api", "uid": "0b1d", "controller": true,
    });
    let pod = json!({
        "metadata": { "name": name, "labels": { "app": "api" }, "ownerReferences": [owner] },
        "spec": { "containers": [{ "name": "c", "image": "pause" }] },
    });
    api.create(&Default::default(), &from_value(pod).unwrap()).await.unwrap();
    let status =
        json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] } });
    api.patch_status(name, &Default::default(), &kube::api::Patch::Merge(status)).await.unwrap();
}

/// A fault's requests are those from just before its call until it is undone.
#[tokio::test]
async fn phases_are_those_of_the_faults() {
    let fixture = Fixture::new().await;
    let api: Api<Pod> = Api::namespaced(fixture.client(), "default");
    ready_pod(&api, "api-1").await;
    let replaced = tokio::spawn({
        let api = api.clone();
        async move {
            while api.get_opt("api-1").await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            ready_pod(&api, "api-2").await;
        }
    });
    let loads = vec![load("visitors", LoadStart::Background, None, &fixture.url())];
    let expectations = vec![expect("kill", "visitors", LoadPhase::During, LoadMeasure::ErrorRatio, "== 0")];
    let fault = FaultSpec {
        name: "kill".into(),
        action: FaultAction::DeletePods {
            selector: "app=api".into(),
            count: None,
            grace_period_seconds: Some(0),
        },
        start: Millis(0),
        duration: Millis(1000),
        effect_within: Millis(20_000),
    };
    let plan = Plan { faults: vec![fault], ..fixture.plan(loads, expectations) };
    let verdict = fixture.run(plan).await;
    replaced.await.unwrap();
    assert_passed(&fixture, &verdict);
    let at = |is: fn(&EventKind) -> Option<Timestamp>| fixture.kinds().iter().find_map(is).unwrap();
    let sent = at(|kind| match kind {
        EventKind::FaultApplied { sent_at, .. } => Some(*sent_at),
        _ => None,
    });
    let undone = at(|kind| match kind {
        EventKind::FaultRevertVerified { effect_at, .. } => Some(*effect_at),
        _ => None,
    });
    assert!(stats(&fixture, "visitors", LoadPhase::Before).to <= sent);
    assert!(stats(&fixture, "visitors", LoadPhase::During).to >= undone);
}

#[tokio::test]
async fn a_cancelled_run_stops_its_loads_at_once() {
    let fixture = Fixture::new().await;
    let url = fixture.url();
    let loads = vec![
        load("visitors", LoadStart::Background, None, &url),
        load("surge", NOW, Some(1_000_000), &url),
        load("later", LoadStart::After(Millis::from_secs(3600)), Some(10), &url),
    ];
    let expectations = vec![expect("surge", "surge", LoadPhase::During, LoadMeasure::ErrorRatio, "== 0")];
    let cancel = async {
        fixture.fact("the surge's start", started("surge")).await;
        fixture.cancel.cancel();
        std::time::Instant::now()
    };
    let (verdict, cancelled) = tokio::join!(fixture.run(fixture.plan(loads, expectations)), cancel);
    assert!(cancelled.elapsed() < Duration::from_secs(30));
    assert_eq!(verdict.outcome, Outcome::Aborted, "{verdict:#?}");
    for name in ["visitors", "surge", "later"] {
        assert!(!is_alive(fixture.dir(), name), "{name}");
    }
    assert!(!fixture.kinds().iter().any(started("later")));
}

/// A load in the background that fails before the baseline's end: nothing is done to the system.
#[tokio::test]
async fn a_load_that_cannot_be_carried_out_keeps_the_run_from_proving_anything() {
    let fixture = Fixture::new().await;
    let url = fixture.url();
    let loads = vec![load(DYING, LoadStart::Background, None, &url), load("surge", NOW, Some(10), &url)];
    let expectations = vec![expect("surge", "surge", LoadPhase::During, LoadMeasure::ErrorRatio, "== 0")];
    let verdict = fixture.run(fixture.plan(loads, expectations)).await;
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "{verdict:#?}");
    let skipped = |kind: &EventKind| matches!(kind, EventKind::InjectionSkipped { reason } if reason.contains("load \"dying\" failed"));
    fixture.place("the reason", skipped);
    assert!(!fixture.kinds().iter().any(started("surge")));
    assert!(!is_alive(fixture.dir(), "surge"));
}

/// A timed load whose worker dies is no pass, and nothing is waited for after it.
#[tokio::test]
async fn a_surge_that_dies_is_no_pass() {
    let fixture = Fixture::new().await;
    let loads = vec![load(DYING, NOW, Some(10), &fixture.url())];
    let expectations = vec![expect(DYING, DYING, LoadPhase::During, LoadMeasure::ErrorRatio, "== 0")];
    let verdict = fixture.run(fixture.plan(loads, expectations)).await;
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "{verdict:#?}");
    let failed = |kind: &EventKind| matches!(kind, EventKind::LoadFailed { error, .. } if error.contains("exit status: 3"));
    assert!(fixture.place("the failure", failed) < fixture.place("heal phase", begins(Phase::Heal)));
}

#[tokio::test]
async fn compressed_time_is_there_or_the_run_is_refused() {
    let mut fixture = Fixture::new().await;
    let loads = vec![load("surge", NOW, Some(10), &fixture.url())];
    let expectations = vec![expect("surge", "surge", LoadPhase::During, LoadMeasure::Requests, ">= 10")];
    let plan = Plan { compress: Some(30), ..fixture.plan(loads, expectations) };
    let verdict = fixture.run(plan.clone()).await;
    assert_eq!(verdict.outcome, Outcome::Refused);
    assert!(verdict.reasons[0].contains("only the embedded stack can compress time"), "{verdict:#?}");

    fixture.log = harness_engine::Log::unrecorded();
    fixture.compression = Some((30, vec!["HighErrorCount: increase() > 5".into()]));
    let verdict = fixture.run(plan).await;
    assert_passed(&fixture, &verdict);
    let compressed = |kind: &EventKind| matches!(kind, EventKind::TimeCompressed { factor: 30, .. });
    assert_eq!(fixture.place("the compression", compressed), 1);
}

/// Addresses are checked before anything is touched, with everything else that is wrong.
#[tokio::test]
async fn a_load_that_reaches_nobody_is_refused() {
    let fixture = Fixture::new().await;
    let loads = vec![
        load("nowhere", NOW, Some(10), "service://default/images:18083/"),
        load("silence", NOW, Some(10), "http://127.0.0.1:1/"),
    ];
    let expectations = vec![expect("nowhere", "nowhere", LoadPhase::During, LoadMeasure::Requests, ">= 10")];
    let verdict = fixture.run(fixture.plan(loads, expectations)).await;
    assert_eq!(verdict.outcome, Outcome::Refused, "{verdict:#?}");
    assert_eq!(verdict.reasons.len(), 2, "{verdict:#?}");
    assert!(verdict.reasons[0].contains("Service images does not exist in namespace default"));
    assert!(verdict.reasons[1].contains("http://127.0.0.1:1/ cannot be connected to"));
    let silent = vec![load("silence", NOW, Some(10), "http://127.0.0.1:1/")];
    let expectations = vec![expect("silence", "silence", LoadPhase::During, LoadMeasure::Requests, ">= 10")];
    let fixture = Fixture::new().await;
    let verdict = fixture.run(fixture.plan(silent, expectations)).await;
    assert_eq!(verdict.outcome, Outcome::NotReady, "{verdict:#?}");
}
