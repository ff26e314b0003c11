use super::*;
use crate::verdict::testkit::{self, ALERT, FAULT, at, log, passing_run};

#[test]
fn it_tells_what_was_done_and_what_was_seen() {
    let mut run = passing_run();
    run.push(EventKind::NoteWritten { text: "somebody called".into() });
    let chronicle = Chronicle::of(&log(run));
    let deed = &chronicle.deeds[0];
    assert_eq!((chronicle.deeds.len(), deed.name(), deed.by_hand), (1, FAULT, false));
    let times = [deed.began_at, deed.effect_at, deed.ending_at, deed.over_at];
    assert_eq!(times, [4000, 5000, 25_000, 27_000].map(|ms| Some(at(ms))));
    let alert = &chronicle.alerts[0];
    assert_eq!((chronicle.alerts.len(), alert.name(), alert.after), (1, ALERT, Some(0)));
    assert_eq!(
        (alert.began_at, alert.firing_at, alert.ended_at),
        (at(6000), Some(at(11_000)), Some(at(29_000)))
    );
    assert_eq!(alert.delivered, Some((at(12_000), "harness".into())));
    assert_eq!(alert.told_resolved_at, Some(at(30_000)));
    assert_eq!(chronicle.notes[0].text, "somebody called");
    assert!(chronicle.exact);
}

#[test]
fn without_a_record_it_tells_what_polling_saw() {
    let seen = |state: &str| EventKind::AlertSeen {
        labels: testkit::alert_labels(),
        state: state.into(),
        active_at: None,
        value: None,
    };
    let kinds = passing_run().into_iter().filter(|kind| !matches!(kind, EventKind::AlertHistoryRead { .. }));
    let mut events = log(kinds.collect());
    for (state, ms) in [("pending", 7000), ("firing", 11_500), ("inactive", 29_500)] {
        events.push(Event { seq: 0, at: at(ms), elapsed: Millis(ms), kind: seen(state) });
    }
    let chronicle = Chronicle::of(&events);
    let alert = &chronicle.alerts[0];
    assert_eq!(
        (alert.began_at, alert.firing_at, alert.ended_at),
        (at(7000), Some(at(11_500)), Some(at(29_500)))
    );
    assert!(!chronicle.exact);
}

#[test]
fn an_alert_that_comes_back_has_two_episodes() {
    let mut firing = testkit::series("firing", 11_000, 15_000);
    firing.intervals.extend(testkit::series("firing", 20_000, 29_000).intervals);
    let mut pending = testkit::series("pending", 6000, 11_000);
    pending.intervals.extend(testkit::series("pending", 18_000, 20_000).intervals);
    let kinds = passing_run().into_iter().map(|kind| match kind {
        EventKind::AlertHistoryRead { .. } => testkit::history(vec![pending.clone(), firing.clone()]),
        kind => kind,
    });
    let chronicle = Chronicle::of(&log(kinds.collect()));
    let times: Vec<_> =
        chronicle.alerts.iter().map(|alert| (alert.began_at, alert.firing_at, alert.ended_at)).collect();
    let episode = |began: i64, firing: i64, ended: i64| (at(began), Some(at(firing)), Some(at(ended)));
    assert_eq!(times, [episode(6000, 11_000, 15_000), episode(18_000, 20_000, 29_000)]);
    assert!(chronicle.alerts[1].delivered.is_none(), "what was sent was about the first");
}

#[test]
fn what_was_over_before_is_left_out() {
    let kinds = passing_run().into_iter().map(|kind| match kind {
        EventKind::AlertHistoryRead { .. } => testkit::history(vec![testkit::series("firing", 1000, 3000)]),
        kind => kind,
    });
    assert_eq!(Chronicle::of(&log(kinds.collect())).alerts, []);
}

#[test]
fn an_alert_belongs_to_the_fault_that_was_on_rather_than_to_the_load_beside_it() {
    let mut run = passing_run();
    let load = testkit::load_spec("users", crate::LoadStart::After(Millis(0)));
    let at_effect =
        run.iter().position(|kind| matches!(kind, EventKind::FaultEffectObserved { .. })).unwrap();
    run.insert(at_effect, EventKind::LoadStarted { load: "users".into(), started_at: at(5500) });
    run.insert(at_effect, EventKind::LoadRequested { spec: load });
    let chronicle = Chronicle::of(&log(run));
    let names: Vec<_> = chronicle.deeds.iter().map(Deed::name).collect();
    assert_eq!(names, [FAULT, "users"]);
    assert_eq!(chronicle.alerts[0].after, Some(0));
}

#[test]
fn a_fault_that_was_undone_at_last_is_not_told_as_left() {
    let mut run = passing_run();
    let verified = run.iter().position(|kind| matches!(kind, EventKind::FaultRevertVerified { .. })).unwrap();
    let failed = EventKind::FaultRevertFailed { fault: FAULT.into(), error: "refused".into() };
    let again = EventKind::FaultRevertStarted { fault: FAULT.into(), sent_at: at(26_000) };
    run.splice(verified..verified, [failed.clone(), again]);
    let deed = Chronicle::of(&log(run.clone())).deeds[0].clone();
    assert_eq!((deed.error, deed.over_at), (None, Some(at(27_000))));
    assert_eq!(deed.ending_at, Some(at(25_000)), "with the first try");
    run.push(failed);
    assert_eq!(Chronicle::of(&log(run)).deeds[0].error.as_deref(), Some("refused"));
}
