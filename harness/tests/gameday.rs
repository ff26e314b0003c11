//! Game days on the embedded stack: what is done by hand is undone, whatever ends it, and becomes a scenario that passes.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{Place, Ran};
use harness_event::{Event, EventKind, read_log};

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// The surroundings of a short game day: a page that answers, and visitors of it.
const SURROUNDINGS: &str = r#"
title = "Visitors"
namespace = "gallery"
[[steady_state.http]]
name = "portal-page"
url = "service://gallery/portal:18080/"
[[load]]
name = "visitors"
background = true
users = 2
[[load.step]]
name = "page"
url = "service://gallery/portal:18080/"
think = "100ms"
[[fault]]
name = "never-injected-here"
duration = "1s"
restart = { workload = "deployment/portal" }
[expect]
recovery_within = "10s"
"#;

fn file(place: &Place, name: &str, text: &str) -> String {
    let path = place.path().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scenarios").join(name)
}

/// Directory of the last run.
fn last(place: &Place) -> Option<PathBuf> {
    let runs = fs::read_dir(place.path().join("state/runs")).into_iter().flatten().flatten();
    runs.map(|entry| entry.path()).max()
}

/// What happened in the last run, for failures.
fn told(place: &Place) -> String {
    let mut narrator = harness_event::narrate::Narrator::default();
    let lines = events(place).into_iter().filter_map(|event| narrator.tell(&event));
    lines.map(|line| line.text + "\n").collect()
}

/// The facts of the last run.
fn events(place: &Place) -> Vec<Event> {
    let Some(last) = last(place) else { return Vec::new() };
    let Ok(bytes) = fs::read(last.join("events.ndjson")) else { return Vec::new() };
    read_log(bytes.as_slice()).map(|log| log.events).unwrap_or_default()
}

#[track_caller]
fn has(events: &[Event], what: &str, is: impl Fn(&EventKind) -> bool) {
    let kinds: Vec<_> = events.iter().map(|event| &event.kind).collect();
    assert!(kinds.iter().any(|kind| is(kind)), "no {what}");
}

/// Killed if the test ends before it does.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_is_done_by_hand_is_undone_and_becomes_a_scenario() {
    let place = Place::new();
    let surroundings = file(&place, "surroundings.toml", SURROUNDINGS);
    let drill = file(
        &place,
        "drill.txt",
        "wait steady\nload start visitors\nplan scale deployment=redis replicas=0 duration=2s\n\
         inject scale deployment=redis replicas=0 duration=2s\nwait faults\nload stop visitors\nwait loads\nnote it's done\n",
    );
    let ended = place.run(&["gameday", "--keep", "--script", &drill, &surroundings]).expect(0);
    assert!(ended.out.contains("ENDED") && ended.out.contains("it's done"), "{ended:?}");
    assert!(ended.out.contains("deployment/redis scaled to 0"), "{ended:?}");
    let facts = events(&place);
    has(
        &facts,
        "request",
        |kind| matches!(kind, EventKind::FaultRequested { spec } if spec.name == "scale-redis"),
    );
    has(
        &facts,
        "revert",
        |kind| matches!(kind, EventKind::FaultRevertVerified { fault, .. } if fault == "scale-redis"),
    );
    has(
        &facts,
        "load",
        |kind| matches!(kind, EventKind::LoadFinished { load, begun, .. } if load == "visitors" && *begun > 0),
    );
    has(&facts, "record of alerts", |kind| matches!(kind, EventKind::AlertHistoryRead { .. }));

    let exported = place.path().join("exported.toml").display().to_string();
    place.run(&["export-scenario", "last", "-o", &exported]).expect(0);
    place.run(&["validate", &exported]).expect(0);
    place.run(&["export-scenario", "last", "-o", &exported]).expect(2);

    // Whoever is killed leaves the fault, and everybody can take it back.
    let drill = file(
        &place,
        "killed.txt",
        "inject scale deployment=redis replicas=0 duration=10m\nwait faults 10m\n",
    );
    let before = last(&place);
    let mut command = place.command(&["gameday", "--keep", "--script", &drill]);
    let mut running = Killed(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + PATIENCE;
    let struck = |event: &Event| matches!(event.kind, EventKind::FaultEffectObserved { .. });
    while last(&place) == before || !events(&place).iter().any(struck) {
        let ended = running.0.try_wait().unwrap();
        let late = Instant::now() > deadline;
        assert!(ended.is_none() && !late, "the fault did not strike: {ended:?}\n{}", told(&place));
        thread::sleep(Duration::from_millis(20));
    }
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    place.run(&["judge", "last"]).expect(6);
    // Nobody else gets the namespace before that.
    place.run(&["gameday", "--keep", "--script", &drill]).expect(2);
    let undone = place.run(&["recover"]).expect(0);
    assert!(undone.out.contains("scale deployment/redis to 1"), "{undone:?}");
}

#[test]
fn a_stack_is_not_left_behind_where_nothing_can_be_recorded() {
    let place = Place::new();
    fs::create_dir(place.path().join("state")).unwrap();
    // No directory.
    file(&place, "state/runs", "");
    let drill = file(&place, "drill.txt", "note never\n");
    let ran = place.run(&["gameday", "--script", &drill]).expect(2);
    assert!(ran.err.contains("state/runs"), "{ran:?}");
    let status = place.run(&["status"]);
    assert!(status.out.contains("No embedded stack"), "{status:?}");
}

#[test]
#[ignore = "long: part of make test-long"]
fn a_lost_database_becomes_a_scenario_that_passes() {
    let place = Place::new();
    let drill = file(
        &place,
        "drill.txt",
        "wait steady\nnote the database goes\ninject scale deployment=postgres replicas=0 duration=12s\n\
         wait faults\nwait alerts\n",
    );
    let surroundings = scenario("db-failure.toml").display().to_string();
    place.run(&["gameday", "--keep", "--script", &drill, &surroundings]).expect(0);
    let exported = place.path().join("exported.toml").display().to_string();
    place.run(&["export-scenario", "last", "-o", &exported]).expect(0);
    let text = fs::read_to_string(&exported).unwrap();
    for alert in ["PostgresDown", "APIServiceDown"] {
        assert!(text.contains(&format!("alert = \"{alert}\"")), "{text}");
    }
    let passed: Ran = place.run(&["run", "--keep", &exported]).expect(0);
    assert!(passed.out.contains("PASSED"), "{passed:?}\n{text}");
}
