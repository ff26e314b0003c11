//! Scenarios made of logs.

mod database;
mod whatever;

use harness_event::{EventKind, Millis, Plan, RunMode, verdict::testkit};
use harness_scenario::export::{ExportOptions, Exported, export};

/// The test kit's surroundings, with names that a file may have.
fn surroundings() -> Plan {
    let mut plan = testkit::plan();
    plan.steady_state[0].name = "portal-answers".into();
    plan
}

/// The test kit's run in these surroundings.
fn passing_run() -> Vec<EventKind> {
    let rename = |kind| match kind {
        EventKind::RunStarted { .. } => testkit::run_started(surroundings()).kind,
        EventKind::SteadyStateChecked { asked_at, ok, detail, .. } => {
            EventKind::SteadyStateChecked { check: "portal-answers".into(), asked_at, ok, detail }
        }
        kind => kind,
    };
    testkit::passing_run().into_iter().map(rename).collect()
}

/// The beginning of a game day in these surroundings.
fn game_day(plan: Plan) -> EventKind {
    let plan = Plan { faults: vec![], loads: vec![], expectations: vec![], ..plan };
    match testkit::run_started(plan).kind {
        EventKind::RunStarted { format, run, harness, scenario_sha256, plan, .. } => EventKind::RunStarted {
            format,
            run,
            harness,
            scenario: String::new(),
            scenario_sha256,
            mode: RunMode::GameDay,
            plan,
        },
        other => other,
    }
}

/// The database failure of the test kit, as if somebody had injected it by hand.
fn by_hand() -> Vec<EventKind> {
    let spec = testkit::plan().faults.remove(0);
    let mut run = passing_run();
    run[0] = game_day(surroundings());
    let planned = run.iter().position(|kind| matches!(kind, EventKind::FaultPlanned { .. })).unwrap();
    run.insert(
        planned,
        EventKind::FaultRequested { spec: harness_event::FaultSpec { start: Millis(4000), ..spec } },
    );
    run
}

fn exported(kinds: Vec<EventKind>, options: ExportOptions) -> Exported {
    export(&testkit::log(kinds), options).unwrap()
}
