//! The detail views, as they look.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyModifiers};
use harness_event::{
    AlertRule, ClusterEvent, Event, EventKind, LogLine, Millis, ObservedPod, PodLog, PodUsage, Timestamp,
    Verdict, verdict::testkit,
};
use ratatui::style::Color;

use crate::{
    Options, Reply, Request,
    app::{App, Effect, View},
    keys::Mode,
    mailbox::Message,
    testkit::{draw, find, key, press, text, with},
};

const BROKEN: &str = "auth-b5cdc48c8-zptfm";

/// The recorded run up to this time, with what newer logs say beside: usage, Events, excerpts, rules, values.
fn events(until: Millis) -> Vec<Event> {
    let recorded = testkit::recorded_run();
    let start = Timestamp(recorded[0].at.0 - recorded[0].elapsed.0);
    let mut events: Vec<Event> = Vec::new();
    for mut event in recorded.into_iter().filter(|event| event.elapsed <= until) {
        if let EventKind::AlertSeen { state, active_at, value, .. } = &mut event.kind {
            *active_at = (state != "inactive").then(|| event.at - Millis(700));
            *value = Some("17.25".into());
        }
        if let EventKind::PodObserved(pod) = &mut event.kind {
            detail(pod, start);
        }
        let extra = match &event.kind {
            EventKind::BaselineTaken { .. } => vec![rules(), usage(start, 8)],
            EventKind::FaultEffectObserved { .. } => {
                vec![
                    broken(start),
                    usage(start, 90),
                    seen(start, "BackOff", 3),
                    excerpt(start, false),
                    excerpt(start, true),
                ]
            }
            _ => Vec::new(),
        };
        let (at, elapsed) = (event.at, event.elapsed);
        events.push(event);
        events.extend(extra.into_iter().map(|kind| Event { seq: 0, at, elapsed, kind }));
    }
    for (seq, event) in events.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    events
}

fn detail(pod: &mut ObservedPod, start: Timestamp) {
    let app = pod.pod.split('-').next().unwrap_or_default().to_owned();
    pod.namespace = "gallery".into();
    pod.owner = Some(format!("deployment/{app}"));
    pod.node = Some("node-1".into());
    (pod.containers, pod.ready_containers) = (1, u32::from(pod.ready));
    pod.created_at = Some(start - Millis::from_secs(3600));
}

fn broken(start: Timestamp) -> EventKind {
    let mut pod = ObservedPod {
        pod: BROKEN.into(),
        status: "CrashLoopBackOff".into(),
        restarts: 4,
        message: Some("back-off 40s restarting failed container auth (evil \u{1b}[31mtext\u{7})".into()),
        ..ObservedPod::default()
    };
    detail(&mut pod, start);
    EventKind::PodObserved(pod)
}

fn usage(start: Timestamp, millicores: u64) -> EventKind {
    let pods = [BROKEN, "api-688d45b7f9-htv5v", "images-879bccfdf-wwjqt"];
    let used = |pod: &str| PodUsage {
        namespace: "gallery".into(),
        pod: pod.into(),
        cpu_millicores: millicores,
        memory_bytes: 34 << 20,
    };
    EventKind::PodsMeasured { sampled_at: start, pods: pods.map(used).into() }
}

fn seen(start: Timestamp, reason: &str, count: i32) -> EventKind {
    EventKind::ClusterEventSeen(ClusterEvent {
        namespace: "gallery".into(),
        object: format!("pod/{BROKEN}"),
        severity: "Warning".into(),
        reason: reason.into(),
        message: "Back-off restarting failed container auth in pod".into(),
        count,
        seen_at: start + Millis(22_500),
    })
}

fn excerpt(start: Timestamp, previous: bool) -> EventKind {
    let line = |ms: i64, text: &str| LogLine { written_at: Some(start + Millis(ms)), text: text.into() };
    EventKind::PodLogRead(PodLog {
        namespace: "gallery".into(),
        pod: BROKEN.into(),
        container: "auth".into(),
        previous,
        why: "restarted".into(),
        read_at: start + Millis(22_800),
        lines: vec![
            line(22_000, "listening on :18082"),
            line(
                22_400,
                "level=error msg=\"connection to the database was refused\" host=postgres.gallery.svc port=5432 attempt=1 of=5 wait=250ms",
            ),
        ],
        cut: true,
        error: None,
    })
}

fn rules() -> EventKind {
    let rule = |severity: &str, factor: &str| AlertRule {
        alert: "PortalAvailabilityBudgetBurn".into(),
        group: "sloth-slo-alerts-gallery-portal-availability".into(),
        expression: format!(
            "max(slo:sli_error:ratio_rate5m{{sloth_id=\"gallery-portal-availability\"}} > ({factor} * 0.001)) without (sloth_window)"
        ),
        pending_for: Millis(0),
        keep_firing_for: Millis(0),
        labels: BTreeMap::from([("sloth_severity".into(), severity.to_owned())]),
        annotations: BTreeMap::from([(
            "summary".into(),
            "{{$labels.sloth_service}} burns its error budget".to_owned(),
        )]),
    };
    EventKind::AlertRulesRead { rules: vec![rule("page", "14.4"), rule("ticket", "3")] }
}

/// In the middle of the faults: one alert fires.
fn live() -> App {
    with(Options { color: false, ..Options::default() }, events(Millis::from_secs(30)))
}

/// After the verdict.
fn over() -> App {
    let events = events(Millis(i64::MAX));
    let verdict = Verdict::of(&testkit::recorded_run());
    let mut app = with(Options { color: false, ..Options::default() }, events);
    app.update(Message::Concluded(Box::new(verdict)));
    app.update(Message::Closed);
    app
}

/// A frame without header and footer.
fn body(app: &mut App, width: u16, height: u16) -> String {
    let shown = text(app, width, height);
    let lines: Vec<_> = shown.lines().skip_while(|line| !line.starts_with(['▸', '─'])).collect();
    lines[..lines.len() - 1].join("\n")
}

fn select(app: &mut App, view: char, filter: &str) {
    press(app, view);
    press(app, '/');
    filter.chars().for_each(|char| {
        press(app, char);
    });
    key(app, KeyCode::Enter, KeyModifiers::NONE);
}

fn enter(app: &mut App) {
    key(app, KeyCode::Enter, KeyModifiers::NONE);
}

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 50)];

#[test]
fn lists_with_their_previews() {
    let mut app = live();
    for (key, name) in [('2', "pods"), ('3', "alerts"), ('4', "load"), ('5', "faults"), ('6', "log")] {
        press(&mut app, key);
        for (width, height) in SIZES {
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), body(&mut app, width, height));
        }
    }
}

#[test]
fn details_of_a_pod() {
    let mut app = live();
    select(&mut app, '2', "zptfm");
    enter(&mut app);
    insta::assert_snapshot!("pod_status", body(&mut app, 120, 40));
    let requests = press(&mut app, 'd');
    let (namespace, pod) = ("gallery".to_owned(), BROKEN.to_owned());
    let describe = Request::DescribePod { namespace: namespace.clone(), pod: pod.clone() };
    assert_eq!(requests, [Effect::Request(describe.clone())]);
    assert!(text(&mut app, 120, 40).contains("asked for, no answer yet"));
    let told = "Name:   auth\nStatus: \u{1b}[2JRunning".to_owned();
    app.update(Message::Reply(Reply::PodDescribed { namespace, pod, text: told }));
    insta::assert_snapshot!("pod_describe", body(&mut app, 120, 40));
    press(&mut app, 'l');
    let shown = text(&mut app, 120, 40);
    assert!(shown.contains("kept with the run") && shown.contains("listening on :18082"), "{shown}");
    let error = "pods \"auth\" not found".to_owned();
    app.update(Message::Reply(Reply::Failed { request: describe, error }));
    press(&mut app, 'e');
    insta::assert_snapshot!("pod_events", body(&mut app, 80, 24));
    press(&mut app, 'p');
    press(&mut app, 'w');
    insta::assert_snapshot!("pod_log_before_wrapped", body(&mut app, 80, 24));
    key(&mut app, KeyCode::Esc, KeyModifiers::NONE);
    assert!(!app.ui.details);
}

#[test]
fn what_was_not_recorded_is_said_and_not_asked_for() {
    let mut app = with(
        Options { mode: Mode::Replay, color: false, ..Options::default() },
        events(Millis::from_secs(30)),
    );
    select(&mut app, '2', "zptfm");
    assert_eq!(press(&mut app, 'd'), []);
    assert!(text(&mut app, 120, 40).contains("the description was not recorded"));
    assert_eq!(press(&mut app, 'l'), []);
    let shown = text(&mut app, 120, 40);
    assert!(shown.contains("listening on :18082") && !shown.contains("not recorded"), "{shown}");
    select(&mut app, '2', "");
    app.ui.lists[crate::app::List::Pods].filter = "api-".into();
    let mut app = with(
        Options { mode: Mode::Replay, color: false, ..Options::default() },
        events(Millis::from_secs(30)),
    );
    select(&mut app, '2', "api-");
    press(&mut app, 'l');
    assert!(text(&mut app, 120, 40).contains("the log was not recorded"));
}

#[test]
fn details_of_an_alert() {
    let mut app = live();
    select(&mut app, '3', "page");
    enter(&mut app);
    insta::assert_snapshot!("alert_firing", body(&mut app, 120, 40));
    let mut app = over();
    select(&mut app, '3', "page");
    enter(&mut app);
    press(&mut app, 't');
    insta::assert_snapshot!("alert_resolved_wall_clock", body(&mut app, 120, 50));
}

#[test]
fn details_of_a_load() {
    let mut app = over();
    select(&mut app, '4', "crowd");
    enter(&mut app);
    insta::assert_snapshot!("load_measured", body(&mut app, 120, 60));
    let mut app = over();
    select(&mut app, '4', "users");
    enter(&mut app);
    insta::assert_snapshot!("load_open_80x24", body(&mut app, 80, 24));
}

#[test]
fn details_of_a_fault() {
    let mut app = live();
    press(&mut app, '5');
    enter(&mut app);
    insta::assert_snapshot!("fault_active", body(&mut app, 120, 40));
    let mut app = over();
    press(&mut app, '5');
    enter(&mut app);
    insta::assert_snapshot!("fault_undone", body(&mut app, 80, 40));
}

#[test]
fn the_log_is_narrowed_and_wrapped() {
    let mut app = live();
    press(&mut app, '6');
    for _ in 0..4 {
        press(&mut app, 's');
    }
    app.update(Message::Tick(std::time::Duration::from_secs(300)));
    let alerts = text(&mut app, 120, 40);
    assert!(alerts.contains("only alert"), "{alerts}");
    assert!(alerts.contains("alert firing: PortalAvailabilityBudgetBurn"), "{alerts}");
    assert!(!alerts.contains("hpa "), "{alerts}");
    let mut app = live();
    press(&mut app, '6');
    press(&mut app, 'w');
    press(&mut app, 't');
    insta::assert_snapshot!("log_wrapped", body(&mut app, 80, 24));
    press(&mut app, 'g');
    insta::assert_snapshot!("log_wrapped_top", body(&mut app, 80, 24));
    press(&mut app, 'w');
    enter(&mut app);
    press(&mut app, 'j');
    insta::assert_snapshot!("log_whole_line", body(&mut app, 80, 24));
    let mut app = live();
    select(&mut app, '6', "the instance before");
    enter(&mut app);
    let shown = text(&mut app, 120, 40);
    assert!(shown.contains("listening on :18082") && shown.contains("connection to the database"), "{shown}");
}

#[test]
fn without_unicode_there_is_none_and_no_text_of_the_cluster_reaches_the_terminal_as_it_is() {
    let options = Options { color: false, unicode: false, ..Options::default() };
    let mut app = with(options, events(Millis::from_secs(30)));
    for char in ['2', '3', '4', '5', '6'] {
        press(&mut app, char);
        for details in [false, true] {
            app.ui.details = details;
            let shown = text(&mut app, 120, 40);
            assert!(shown.chars().all(|char| char == '\n' || (' '..='~').contains(&char)), "{shown}");
        }
    }
    let mut app = live();
    select(&mut app, '2', "zptfm");
    enter(&mut app);
    assert!(text(&mut app, 120, 40).contains("evil ?[31mtext?"));
}

/// The run so far, and these facts five seconds later.
fn then(kinds: Vec<EventKind>) -> App {
    let mut events = events(Millis::from_secs(30));
    let last = events[events.len() - 1].clone();
    events.extend(kinds.into_iter().enumerate().map(|(index, kind)| Event {
        seq: last.seq + 1 + index as u64,
        at: last.at + Millis(5000),
        elapsed: last.elapsed + Millis(5000),
        kind,
    }));
    with(Options::default(), events)
}

#[test]
fn what_is_wrong_is_said_in_words_and_in_red() {
    let labels = BTreeMap::from([("alertname".to_owned(), "Stranger".to_owned())]);
    let (state, active_at, value) = ("firing".to_owned(), None, None);
    let mut app = then(vec![
        EventKind::AlertSeen { labels, state, active_at, value },
        EventKind::FaultRevertFailed { fault: "auth-lost".into(), error: "connection refused".into() },
    ]);
    for (view, words) in [('3', "Stranger"), ('5', "LEFT BEHIND"), ('2', "CrashLoopBackOff")] {
        press(&mut app, view);
        let frame = draw(&mut app, 120, 40);
        let place = find(&frame, words).unwrap_or_else(|| panic!("{words} is on the screen"));
        // The selected row is turned around, in the same colour.
        assert_eq!(frame[(place.x, place.y)].fg, Color::Red, "{words}");
    }
    press(&mut app, '5');
    enter(&mut app);
    let shown = text(&mut app, 120, 40);
    assert!(shown.contains("connection refused") && shown.contains("harness recover"), "{shown}");
    press(&mut app, '3');
    assert!(text(&mut app, 120, 40).contains("(1 UNEXPECTED)"));
}

#[test]
fn nothing_panics_at_any_size() {
    let sizes = [1, 2, 5, 13, 20, 40, 80, 131, 200];
    for mut app in [live(), over(), with(Options::default(), vec![])] {
        for view in View::ALL {
            app.ui.view = view;
            for (details, wrap, scroll) in [(false, false, 0), (true, true, 7), (true, false, usize::MAX)] {
                (app.ui.details, app.ui.wrap, app.ui.scroll) = (details, wrap, scroll);
                for width in sizes {
                    for height in [1, 3, 5, 7, 24, 61] {
                        draw(&mut app, width, height);
                    }
                }
            }
        }
    }
}
