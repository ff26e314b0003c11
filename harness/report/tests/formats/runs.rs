//! Runs of every outcome, with the recorded times that a real log has.

use harness_event::{
    CancelReason, Event, EventKind, Millis, Notification, ObservedPod, Outcome, Plan, RunMode, Verdict,
    verdict::testkit,
};

/// The scripted log, but for its beginning, which is at its start.
pub fn recorded(kinds: Vec<EventKind>) -> Vec<Event> {
    let mut events = testkit::log(kinds);
    if let Some(first) = events.first_mut() {
        (first.at, first.elapsed) = (testkit::START, Millis(0));
    }
    events
}

pub fn passing() -> Vec<Event> {
    recorded(testkit::passing_run())
}

pub fn surging() -> Vec<Event> {
    recorded(testkit::surge_run())
}

pub fn failing() -> Vec<Event> {
    let late = |kind| match kind {
        EventKind::AlertHistoryRead { .. } => testkit::history(vec![
            testkit::series("pending", 6000, 17_000),
            testkit::series("firing", 17_000, 29_000),
        ]),
        kind => kind,
    };
    recorded(testkit::passing_run().into_iter().map(late).collect())
}

/// The facts of a passing run up to a place, then others.
fn cut_at(stop: impl Fn(&EventKind) -> bool, more: Vec<EventKind>) -> Vec<Event> {
    let kinds = testkit::passing_run().into_iter().take_while(|kind| !stop(kind));
    recorded(kinds.chain(more).collect())
}

fn finished() -> EventKind {
    EventKind::RunFinished { demanded: Millis(0), bring_up: Millis(0) }
}

/// One run of every outcome, with its verdict.
pub fn every_outcome() -> Vec<(Outcome, Vec<Event>)> {
    let start = || vec![testkit::run_started(testkit::plan()).kind];
    let with = |more: Vec<EventKind>| recorded(start().into_iter().chain(more).collect());
    let planned = |kind: &EventKind| matches!(kind, EventKind::FaultPlanned { .. });
    let reverting = |kind: &EventKind| matches!(kind, EventKind::FaultRevertVerified { .. });
    let undone = |reason| {
        let kinds = testkit::passing_run().into_iter();
        let kinds = kinds
            .filter(|kind| !matches!(kind, EventKind::PhaseStarted { .. } | EventKind::RunFinished { .. }));
        recorded(kinds.chain([EventKind::RunCancelled { reason }, finished()]).collect())
    };
    let game_day = testkit::passing_run().into_iter().map(|kind| match kind {
        EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, plan, .. } => {
            let plan = Plan { expectations: vec![], ..plan };
            EventKind::RunStarted {
                format,
                run,
                harness,
                scenario,
                scenario_sha256,
                mode: RunMode::GameDay,
                plan,
            }
        }
        EventKind::Note { .. } => EventKind::NoteWritten { text: "the *portal* says <oops> | @all".into() },
        kind => kind,
    });
    let all = vec![
        (Outcome::Passed, passing()),
        (Outcome::Passed, surging()),
        (Outcome::Failed, failing()),
        (
            Outcome::Inconclusive,
            cut_at(
                planned,
                vec![
                    EventKind::InjectionSkipped { reason: "steady state was not reached".into() },
                    finished(),
                ],
            ),
        ),
        (
            Outcome::Refused,
            with(vec![EventKind::RunRefused {
                problems: vec!["no rule \"X\"".into(), "for is too long".into()],
            }]),
        ),
        (
            Outcome::NotReady,
            with(vec![EventKind::NotReady { component: "Prometheus".into(), reason: "refused".into() }]),
        ),
        (Outcome::Aborted, undone(CancelReason::Signal("SIGTERM".into()))),
        (Outcome::InternalError, undone(CancelReason::Internal("a bug".into()))),
        (
            Outcome::RollbackIncomplete,
            cut_at(
                reverting,
                vec![
                    EventKind::FaultRevertFailed {
                        fault: testkit::FAULT.into(),
                        error: "connection refused".into(),
                    },
                    finished(),
                ],
            ),
        ),
        (Outcome::Ended, recorded(game_day.collect())),
    ];
    for (outcome, events) in &all {
        assert_eq!(Verdict::of(events).outcome, *outcome, "{:#?}", Verdict::of(events));
    }
    all
}

/// Every text in it is made to break out of where it stands.
pub fn hostile(evil: &str) -> Vec<Event> {
    let kinds = testkit::passing_run().into_iter().map(|kind| match kind {
        EventKind::RunStarted { format, run, harness, scenario_sha256, mode, mut plan, .. } => {
            plan.title = evil.into();
            for expectation in &mut plan.expectations {
                expectation.id += evil;
                expectation.title = evil.into();
            }
            EventKind::RunStarted { format, run, harness, scenario: evil.into(), scenario_sha256, mode, plan }
        }
        EventKind::FaultPlanned { fault, action, .. } => {
            EventKind::FaultPlanned { fault, action, targets: vec![evil.into()], inverse: evil.into() }
        }
        EventKind::Note { .. } => EventKind::NoteWritten { text: evil.into() },
        EventKind::NotificationReceived(notification) => {
            EventKind::NotificationReceived(Notification { receiver: evil.into(), ..notification })
        }
        EventKind::AlertInputsChecked { alert, resolved_at, .. } => {
            EventKind::AlertInputsChecked { alert, resolved_at, present: false, detail: evil.into() }
        }
        kind => kind,
    });
    let pod = ObservedPod {
        namespace: evil.into(),
        pod: evil.into(),
        status: evil.into(),
        ..ObservedPod::default()
    };
    let mut kinds: Vec<_> = kinds.collect();
    kinds.insert(1, EventKind::PodObserved(pod));
    recorded(kinds)
}

pub const EVIL: [&str; 6] = [
    "| a || b |\n| --- |\n# heading\r\n```sh\nrm -rf /\n```",
    "</td></table><script>alert(1)</script><!-- \" ' & -->",
    "[x](javascript:alert(1)) ![i](http://e.example/x.png) <http://e.example> @everyone #1 \\",
    "` `` ``` ```` `",
    "\u{0}\u{8}\u{b}\u{1b}[31m\u{202e}\u{fffe}\u{ffff} ]]> %00 \u{2028}",
    "*_~^$!{{ x }}:+1:\t1. 2) - + = ---",
];
