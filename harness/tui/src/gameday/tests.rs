use std::{collections::BTreeMap, time::Duration};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use harness_event::{Event, EventKind, LoadStart, Millis, RunMode, verdict::testkit};
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    Catalogue, CatalogueEntry, CatalogueField, FaultForm, FaultPreview, FieldInput, LoadChoice, Mode,
    Options, Reply, Request,
    app::{App, Effect},
    mailbox::Message,
};

fn field(key: &str, required: bool, preset: &str, input: FieldInput) -> CatalogueField {
    let summary = match key {
        "workload" => "The workload.",
        "replicas" => "Wanted number.",
        "duration" => "For how long, counted from its effect; then it is reverted.",
        _ => "How soon after the API call the effect must be seen.",
    };
    CatalogueField { key: key.into(), summary: summary.into(), required, preset: preset.into(), input }
}

fn catalogue() -> Catalogue {
    let workloads = ["api", "auth", "images", "portal", "postgres", "postgres-exporter", "redis"];
    let workloads = workloads.map(|name| format!("deployment/{name}")).to_vec();
    let entry = |kind: &str, summary: &str, fields| CatalogueEntry {
        kind: kind.into(),
        summary: summary.into(),
        fields,
    };
    Catalogue {
        faults: vec![
            entry(
                "scale",
                "Sets the replicas of a workload; reverted to the number found before.",
                vec![
                    field("workload", true, "", FieldInput::Choice(workloads)),
                    field("replicas", true, "", FieldInput::Text),
                    field("duration", true, "30s", FieldInput::Text),
                    field("effect_within", false, "10s", FieldInput::Text),
                ],
            ),
            entry("restart", "Restarts a rollout, as `kubectl rollout restart` does.", vec![]),
        ],
        loads: vec![
            LoadChoice {
                load: "visitors".into(),
                summary: "20 users, each sends its next request when the last one is answered".into(),
            },
            LoadChoice { load: "surge".into(), summary: "200/s for 30s".into() },
        ],
    }
}

struct View {
    app: App,
    size: (u16, u16),
}

impl View {
    fn new(size: (u16, u16)) -> Self {
        let options = Options {
            color: false,
            unicode: true,
            mode: Mode::GameDay,
            leave_when_over: false,
            panic_log: None,
        };
        let mut view = Self { app: App::new(&options), size };
        view.message(Message::Resized(size.0, size.1));
        view.message(Message::Tick(Duration::from_secs(1)));
        let EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, plan, .. } =
            testkit::run_started(testkit::plan()).kind
        else {
            unreachable!()
        };
        let plan = harness_event::Plan { faults: vec![], expectations: vec![], ..plan };
        let mode = RunMode::GameDay;
        view.event(EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, mode, plan });
        view
    }

    fn message(&mut self, message: Message) -> Vec<Effect> {
        self.app.update(message)
    }

    fn event(&mut self, kind: EventKind) {
        let event = Event { seq: 0, at: testkit::at(0), elapsed: Millis(1000), kind };
        self.message(Message::Event(Box::new(event)));
    }

    fn reply(&mut self, reply: Reply) {
        self.message(Message::Reply(reply));
    }

    fn press(&mut self, code: KeyCode) -> Vec<Effect> {
        self.message(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn typed(&mut self, text: &str) -> Vec<Effect> {
        text.chars().flat_map(|char| self.press(KeyCode::Char(char))).collect()
    }

    fn screen(&mut self) -> String {
        self.app.prepare();
        let area = Rect::new(0, 0, self.size.0, self.size.1);
        let mut buf = Buffer::empty(area);
        self.app.render(area, &mut buf);
        let row = |y| (0..area.width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..area.height).map(row).collect::<Vec<_>>().join("\n")
    }

    /// The rows of the dialog only: what lies under it is not this test's.
    fn dialog(&mut self) -> String {
        let screen = self.screen();
        let rows: Vec<&str> = screen.lines().collect();
        let top = rows.iter().position(|row| row.contains('┌')).expect("a dialog");
        let bottom = rows.iter().position(|row| row.contains('└')).expect("its end");
        let left = rows[top].chars().position(|char| char == '┌').unwrap();
        let width = rows[top].chars().skip(left).position(|char| char == '┐').unwrap() + 1;
        let cut = |row: &&str| row.chars().skip(left).take(width).collect::<String>();
        rows[top..=bottom].iter().map(cut).collect::<Vec<_>>().join("\n")
    }
}

fn asked(effects: &[Effect]) -> Vec<Request> {
    let request = |effect: &Effect| match effect {
        Effect::Request(request) => Some(request.clone()),
        Effect::Quit { .. } => None,
    };
    effects.iter().filter_map(request).collect()
}

fn filled() -> FaultForm {
    let values = [
        ("workload", "deployment/postgres"),
        ("replicas", "0"),
        ("duration", "30s"),
        ("effect_within", "10s"),
    ];
    let values = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
    FaultForm { kind: "scale".into(), values: BTreeMap::from(values) }
}

fn preview() -> FaultPreview {
    FaultPreview {
        targets: vec!["deployment/postgres".into()],
        effect: "scales deployment/postgres to 0 for 30s".into(),
        inverse: "scale deployment/postgres to 1".into(),
        warnings: vec!["HorizontalPodAutoscaler postgres scales it too: it would undo the fault".into()],
    }
}

/// From the key to the form with everything filled in.
fn fill(view: &mut View) {
    assert_eq!(asked(&view.press(KeyCode::Char('i'))), [Request::ReadCatalogue]);
    view.reply(Reply::Catalogue(catalogue()));
    view.press(KeyCode::Enter);
    view.typed("postgres");
    // The first that holds what was typed.
    view.press(KeyCode::Enter);
    view.typed("0");
}

#[test]
fn a_fault_is_injected_from_its_kind_to_the_confirmation() {
    let mut view = View::new((80, 24));
    fill(&mut view);
    assert_eq!(asked(&view.press(KeyCode::Enter)), [Request::PlanFault(filled())]);
    assert!(view.press(KeyCode::Char('y')).is_empty(), "nobody knows yet what it would do");
    view.reply(Reply::FaultPlanned { form: filled(), preview: Ok(preview()) });
    let held =
        KeyEvent { kind: KeyEventKind::Repeat, ..KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE) };
    assert!(view.message(Message::Key(held)).is_empty(), "a held key does not confirm");
    assert_eq!(asked(&view.press(KeyCode::Char('y'))), [Request::InjectFault(filled())]);
    assert!(view.app.ui.dialog.is_none());
    view.reply(Reply::Done { request: Request::InjectFault(filled()) });
    assert_eq!(view.app.ui.toasts.back().unwrap().text, "injected: scale deployment/postgres");
}

#[test]
fn what_is_wrong_with_a_form_is_said_in_it() {
    let mut view = View::new((80, 24));
    fill(&mut view);
    view.press(KeyCode::Enter);
    // An answer to an older form says nothing about this one.
    let other = FaultForm { kind: "restart".into(), ..filled() };
    view.reply(Reply::FaultPlanned { form: other, preview: Err(vec!["of another".into()]) });
    let problem = "deployment/postgres already has 0 replicas, so scaling it to 0 changes nothing";
    view.reply(Reply::FaultPlanned { form: filled(), preview: Err(vec![problem.into()]) });
    let screen = view.dialog();
    assert!(screen.contains("already has 0 replicas") && !screen.contains("of another"), "{screen}");
    // It can be mended.
    view.typed("1");
    assert!(!view.dialog().contains("already has"), "{}", view.dialog());
    view.press(KeyCode::Esc);
    view.press(KeyCode::Esc);
    assert!(view.app.ui.dialog.is_none());
}

#[test]
fn nothing_is_planned_before_what_must_be_is_filled_in() {
    let mut view = View::new((80, 24));
    view.press(KeyCode::Char('i'));
    view.reply(Reply::Catalogue(catalogue()));
    view.press(KeyCode::Enter);
    view.typed("deployment/somewhere-else");
    assert!(view.press(KeyCode::Enter).is_empty(), "goes to the replicas");
    view.typed("x");
    view.press(KeyCode::BackTab);
    view.typed("2");
    let requests = asked(&view.press(KeyCode::Enter));
    let [Request::PlanFault(form)] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(form.values["workload"], "deployment/somewhere-else2");
    assert_eq!(form.values["replicas"], "x", "the host checks it");
}

#[test]
fn loads_are_started_and_stopped_after_a_question() {
    let mut view = View::new((80, 24));
    assert_eq!(asked(&view.press(KeyCode::Char('o'))), [Request::ReadCatalogue]);
    view.reply(Reply::Catalogue(catalogue()));
    view.press(KeyCode::Enter);
    assert_eq!(asked(&view.press(KeyCode::Char('y'))), [Request::StartLoad { load: "visitors".into() }]);
    let spec = testkit::load_spec("visitors-2", LoadStart::After(Millis(0)));
    view.event(EventKind::LoadRequested { spec });
    view.event(EventKind::LoadStarted { load: "visitors-2".into(), started_at: testkit::at(0) });
    view.press(KeyCode::Char('o'));
    assert!(view.dialog().contains("running as visitors-2"), "{}", view.dialog());
    view.press(KeyCode::Enter);
    assert_eq!(asked(&view.press(KeyCode::Char('y'))), [Request::StopLoad { load: "visitors-2".into() }]);
}

#[test]
fn nothing_begins_when_the_game_day_ends() {
    let mut view = View::new((80, 24));
    view.press(KeyCode::Char('q'));
    view.press(KeyCode::Char('y'));
    assert!(asked(&view.press(KeyCode::Char('i'))).is_empty());
    assert!(view.app.ui.dialog.is_none());
}

#[test]
fn dialogs_fit_the_screen_whatever_its_size() {
    for size in [(80, 24), (120, 40)] {
        let mut view = View::new(size);
        view.press(KeyCode::Char('i'));
        view.reply(Reply::Catalogue(catalogue()));
        let kinds = view.dialog();
        view.press(KeyCode::Enter);
        let choices = view.dialog();
        view.typed("deployment/postgres");
        view.press(KeyCode::Enter);
        view.typed("0");
        let form = view.dialog();
        view.press(KeyCode::Enter);
        view.reply(Reply::FaultPlanned { form: filled(), preview: Ok(preview()) });
        let plan = view.dialog();
        view.press(KeyCode::Esc);
        view.press(KeyCode::Esc);
        view.press(KeyCode::Esc);
        view.press(KeyCode::Char('o'));
        let loads = view.dialog();
        let all = [kinds, choices, form, plan, loads].join("\n\n");
        insta::assert_snapshot!(format!("dialogs_{}x{}", size.0, size.1), all);
    }
    for width in (1..90).step_by(4) {
        for height in 1..24 {
            let mut view = View::new((width, height));
            fill(&mut view);
            view.screen();
            view.press(KeyCode::Enter);
            view.reply(Reply::FaultPlanned { form: filled(), preview: Ok(preview()) });
            view.screen();
        }
    }
}
