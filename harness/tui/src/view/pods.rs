//! The pods view.
//!
//! ```text
//! ▸pods 10/11 ready, 2 restarts──────────────────────────────────────────────────────────
//!    NAME                    READY STATUS       RST    CPU    MEM   AGE  NODE    OWNER
//! ▸◆ postgres-58fd9-45bjb      0/1 Pending        0      -      -    3s  node-1  deployment/postgres
//! ─gallery/postgres-58fd9-45bjb   status · describe · events · log · log before──────────
//!  what it is, why it is not ready, usage · history · Events · log excerpts kept with the run
//! ```
//!
//! `d`, `e`, `l` and `p` open a page of the details. What the run's log does not hold is asked of the host.

use std::collections::VecDeque;

use harness_event::{ClusterEvent, LogLine, Millis, PodLog, state::PodView};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Cx, chart,
    detail::{self, Text, time},
    rows, text,
};
use crate::{
    Reply, Request,
    app::{Hook, List, PodKey, Ui},
    keys::{Action, Mode},
    paint::{self, Pen},
    theme::Role,
};

/// A page of a pod's details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// What the log says of it.
    #[default]
    Status,
    /// As `kubectl describe pod`.
    Describe,
    /// Its Events.
    Events,
    /// Its log.
    Log,
    /// The log before its last restart.
    PreviousLog,
}

impl Page {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Status, "status"),
        (Self::Describe, "describe"),
        (Self::Events, "events"),
        (Self::Log, "log"),
        (Self::PreviousLog, "log before"),
    ];
}

/// What the person has chosen in this view, and what the host answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodsUi {
    /// Page of the details.
    pub page: Page,
    /// Answers, newest last, at most [`PodsUi::ANSWERS`].
    answers: VecDeque<Answer>,
}

/// What was asked about a pod.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    key: PodKey,
    page: Page,
    told: Told,
}

#[derive(Clone, Debug, PartialEq)]
enum Told {
    /// The host was asked.
    Asked,
    Text(String),
    Log(PodLog),
    Failed(String),
}

impl PodsUi {
    /// Answers that are kept.
    pub const ANSWERS: usize = 8;

    fn answer(&self, key: &PodKey, page: Page) -> Option<&Told> {
        let found = self.answers.iter().rfind(|answer| answer.key == *key && answer.page == page);
        found.map(|answer| &answer.told)
    }

    fn put(&mut self, key: PodKey, page: Page, told: Told) {
        self.answers.retain(|answer| answer.key != key || answer.page != page);
        if self.answers.len() == Self::ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back(Answer { key, page, told });
    }
}

/// An action in this view. True if it was taken; else the view's frame does what it always does.
pub fn act(hook: &mut Hook<'_>, action: Action) -> bool {
    let page = match action {
        // Enter opens what the log says; a page that is open already is asked for anew by its key.
        Action::Details if !hook.ui.details => {
            hook.ui.pods.page = Page::Status;
            return false;
        }
        Action::Describe => Page::Describe,
        Action::ClusterEvents => Page::Events,
        Action::Logs => Page::Log,
        Action::PreviousLogs => Page::PreviousLog,
        _ => return false,
    };
    let Some(key) = hook.index.pods.get(hook.ui.lists[List::Pods].cursor).cloned() else { return true };
    hook.ui.lists[List::Pods].held = true;
    (hook.ui.details, hook.ui.scroll, hook.ui.pods.page) = (true, 0, page);
    if hook.ui.mode == Mode::Replay {
        return true;
    }
    let (namespace, pod) = key.clone();
    let request = match page {
        Page::Status | Page::Events => return true,
        Page::Describe => Request::DescribePod { namespace, pod },
        Page::Log => Request::PodLog { namespace, pod, container: None, previous: false },
        Page::PreviousLog => Request::PodLog { namespace, pod, container: None, previous: true },
    };
    hook.ui.pods.put(key, page, Told::Asked);
    hook.request(request);
    true
}

/// An answer of the host: descriptions and logs.
pub fn reply(ui: &mut Ui, reply: &Reply) {
    let log = |previous: bool| if previous { Page::PreviousLog } else { Page::Log };
    match reply {
        Reply::PodDescribed { namespace, pod, text } => {
            ui.pods.put((namespace.clone(), pod.clone()), Page::Describe, Told::Text(text.clone()));
        }
        Reply::PodLog(read) => {
            let key = (read.namespace.clone(), read.pod.clone());
            ui.pods.put(key, log(read.previous), Told::Log(read.clone()));
        }
        Reply::Failed { request: Request::DescribePod { namespace, pod }, error } => {
            ui.pods.put((namespace.clone(), pod.clone()), Page::Describe, Told::Failed(error.clone()));
        }
        Reply::Failed { request: Request::PodLog { namespace, pod, previous, .. }, error } => {
            ui.pods.put((namespace.clone(), pod.clone()), log(*previous), Told::Failed(error.clone()));
        }
        _ => {}
    }
}

/// Draws the view.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let (top, below) = detail::split(cx, List::Pods, area);
    if let Some(area) = top {
        list(cx, area, buf);
    }
    let key = cx.index.pods.get(cx.ui.lists[List::Pods].cursor);
    if let (Some(area), Some((key, pod))) = (below, key.and_then(|key| Some((key, cx.state.pods.get(key)?))))
    {
        let page = if cx.ui.details { cx.ui.pods.page } else { Page::Status };
        let text = details(cx, key, pod, page, area.width);
        text.render(cx, area, buf, &format!("{}/{}", key.0, key.1), &pages(cx, page));
    }
}

/// `[status] describe events log`.
fn pages(cx: &Cx<'_>, page: Page) -> String {
    if !cx.ui.details {
        return String::new();
    }
    let names = Page::ALL.map(|(one, name)| if one == page { format!("[{name}]") } else { name.to_owned() });
    names.join(" ")
}

fn list(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let (all, ready) = cx.index.ready;
    let restarts = usize::try_from(cx.index.restarts).unwrap_or(0);
    let title = format!("pods {ready}/{all} ready, {}", text::count(restarts, "restart"));
    let order = rows::order(cx, List::Pods, cx.state.pods.len());
    let inner = paint::panel(buf, cx.theme, area, &title, &order, true);
    if cx.state.pods.is_empty() {
        Pen::new(buf, cx.theme, inner, 0).put("  none seen yet", Role::Dim);
        return;
    }
    let columns = Columns::new(cx, usize::from(inner.width));
    columns.head(&mut Pen::new(buf, cx.theme, inner, 0));
    let below = Rect { y: inner.y.saturating_add(1), height: inner.height.saturating_sub(1), ..inner };
    rows::rows(cx, List::Pods, true, below, buf, |pen, row| {
        if let Some((key, pod)) = cx.index.pods.get(row).and_then(|key| Some((key, cx.state.pods.get(key)?)))
        {
            columns.row(cx, pen, key, pod);
        }
    });
}

/// Columns that fit.
struct Columns {
    name: usize,
    status: usize,
    usage: bool,
    node: usize,
    owner: usize,
    chart: usize,
    /// Namespaces are shown: there are several.
    namespace: bool,
}

impl Columns {
    fn new(cx: &Cx<'_>, width: usize) -> Self {
        let first = cx.state.pods.keys().next().map(|(first, _)| first);
        let last = cx.state.pods.keys().next_back().map(|(last, _)| last);
        let status = if width < 60 { 12 } else { 20 };
        let usage = width >= 60;
        let owner = if width >= 110 { 26 } else { 0 };
        let node = if width >= 130 { 16 } else { 0 };
        let chart = if width >= 160 { 24 } else { 0 };
        let taken = 3 + 6 + status + 5 + 7 + if usage { 15 } else { 0 } + owner + node + chart;
        Self {
            name: width.saturating_sub(taken + 1).clamp(8, 60),
            status,
            usage,
            node,
            owner,
            chart,
            namespace: first != last,
        }
    }

    fn head(&self, pen: &mut Pen<'_>) {
        pen.skip(3).cell("NAME", self.name, false, Role::Dim).cell("READY", 6, true, Role::Dim).skip(1);
        pen.cell("STATUS", self.status, false, Role::Dim).cell("RST", 4, true, Role::Dim);
        if self.usage {
            pen.cell("CPU", 7, true, Role::Dim).cell("MEM", 7, true, Role::Dim);
        }
        pen.cell("AGE", 7, true, Role::Dim).skip(1);
        pen.cell("OWNER", self.owner, false, Role::Dim).cell("NODE", self.node, false, Role::Dim);
        pen.cell("CPU", self.chart, false, Role::Dim);
    }

    fn row(&self, cx: &Cx<'_>, pen: &mut Pen<'_>, (namespace, name): &PodKey, pod: &PodView) {
        let seen = &pod.seen;
        let changed = (Millis(0)..HIGHLIGHT).contains(&(cx.now - pod.changed));
        let role = role(pod);
        pen.put(if changed { cx.theme.symbols().changed } else { " " }, Role::Changed).skip(1);
        let named = if changed { Role::Changed } else { Role::Plain };
        match self.namespace {
            true => pen.cell(&format!("{namespace}/{name}"), self.name, false, named),
            false => pen.cell(name, self.name, false, named),
        };
        pen.cell(&ready(pod), 6, true, role).skip(1);
        let status = if seen.gone { "gone" } else { &seen.status };
        pen.cell(status, self.status, false, role);
        let restarts = if seen.restarts > 0 { Role::Warn } else { Role::Dim };
        pen.cell(&seen.restarts.to_string(), 4, true, restarts);
        if self.usage {
            let (cpu, memory) = usage(pod);
            pen.cell(&cpu, 7, true, Role::Plain).cell(&memory, 7, true, Role::Plain);
        }
        pen.cell(&age(cx, pod), 7, true, Role::Dim).skip(1);
        pen.cell(seen.owner.as_deref().unwrap_or("-"), self.owner, false, Role::Dim);
        pen.cell(seen.node.as_deref().unwrap_or("-"), self.node, false, Role::Dim);
        if self.chart > 1 {
            let columns = pen.left().min(self.chart);
            let span = chart::span(cx.ui.timescale, cx.now, columns * 5);
            let drawn = chart::columns(&pod.cpu, span, columns, None);
            chart::sparkline(pen, cx.theme, &drawn, 0.0, Role::Dim);
        }
    }
}

/// For so long a change is shown.
const HIGHLIGHT: Millis = Millis::from_secs(5);

/// What a pod's status means.
fn role(pod: &PodView) -> Role {
    const BROKEN: [&str; 7] = ["Error", "BackOff", "OOM", "Failed", "Invalid", "Evicted", "Unknown"];
    match pod.seen.status.as_str() {
        _ if pod.seen.gone => Role::Dim,
        "Completed" | "Succeeded" => Role::Dim,
        status if BROKEN.iter().any(|word| status.contains(word)) => Role::Bad,
        _ if pod.seen.ready => Role::Good,
        _ => Role::Warn,
    }
}

fn ready(pod: &PodView) -> String {
    match pod.seen.containers {
        // Logs of versions that did not count containers.
        0 => if pod.seen.ready { "yes" } else { "no" }.to_owned(),
        all => format!("{}/{all}", pod.seen.ready_containers),
    }
}

fn usage(pod: &PodView) -> (String, String) {
    let of = pod
        .usage
        .as_ref()
        .map(|usage| (format!("{}m", usage.cpu_millicores), text::bytes(usage.memory_bytes)));
    of.unwrap_or_else(|| ("-".into(), "-".into()))
}

fn age(cx: &Cx<'_>, pod: &PodView) -> String {
    let created = pod.seen.created_at;
    created.map_or_else(|| "-".into(), |at| text::age(at, cx.state.started_at + cx.now))
}

fn details(cx: &Cx<'_>, key: &PodKey, pod: &PodView, page: Page, width: u16) -> Text {
    let mut text = Text::new(width);
    match page {
        Page::Status => status(cx, key, pod, &mut text),
        Page::Describe => match cx.ui.pods.answer(key, page) {
            Some(Told::Text(told)) => told.lines().for_each(|line| {
                text.raw(cx, 1, line, Role::Plain);
            }),
            other => waiting(cx, other, "the description", &mut text),
        },
        Page::Events => events(cx, key, &mut text),
        Page::Log | Page::PreviousLog => log(cx, key, page, &mut text),
    }
    text
}

/// What there is in place of an answer.
fn waiting(cx: &Cx<'_>, told: Option<&Told>, what: &str, text: &mut Text) {
    match told {
        Some(Told::Asked) => text.wrapped(1, "asked for, no answer yet", Role::Dim),
        Some(Told::Failed(error)) => text.wrapped(1, error, Role::Bad),
        _ if cx.ui.mode == Mode::Replay => text.wrapped(1, &format!("{what} was not recorded"), Role::Dim),
        _ => text.wrapped(1, &format!("{what} was not asked for"), Role::Dim),
    };
}

fn status(cx: &Cx<'_>, key: &PodKey, pod: &PodView, text: &mut Text) {
    let seen = &pod.seen;
    let word = if seen.gone { "gone" } else { &seen.status };
    let restarts = match seen.restarts {
        0 => String::new(),
        restarts => format!(", {}", text::count(usize::try_from(restarts).unwrap_or(0), "restart")),
    };
    text.field("status", &format!("{word}, ready: {}{restarts}", ready(pod)), role(pod));
    if let Some(message) = &seen.message {
        text.field("because", message, Role::Warn);
    }
    text.field("owner", seen.owner.as_deref().unwrap_or("not known"), Role::Plain);
    text.field("node", seen.node.as_deref().unwrap_or("not known"), Role::Plain);
    let created =
        seen.created_at.map_or_else(|| "not known".to_owned(), |at| format!("{at}, {} ago", age(cx, pod)));
    text.field("created", &created, Role::Plain);
    let (cpu, memory) = usage(pod);
    text.field("uses", &format!("CPU {cpu}, memory {memory}"), Role::Plain);
    text.heading("history");
    let mut before = None;
    for (at, status) in &pod.history {
        text.line(vec![
            (format!("  {:>1$}  ", time(cx, *at), detail::TIME), Role::Dim),
            (status.clone(), Role::Plain),
            (detail::later(before, *at), Role::Dim),
        ]);
        before = Some(*at);
    }
    events(cx, key, text);
    let kept: Vec<_> = excerpts(cx, key).collect();
    if !kept.is_empty() {
        text.heading("log excerpts kept with the run (l: log, p: before the last restart)");
        for log in kept {
            text.wrapped(2, &described(cx, log), Role::Plain);
        }
    }
}

fn events(cx: &Cx<'_>, (namespace, name): &PodKey, text: &mut Text) {
    text.heading("Events");
    let known = cx.state.cluster_events.get(&format!("{namespace}/pod/{name}"));
    let Some(known) = known.filter(|known| !known.is_empty()) else {
        text.wrapped(2, "none seen", Role::Dim);
        return;
    };
    for event in known {
        text.line(event_line(cx, event));
        text.wrapped(2 + detail::TIME + 2, &event.message, Role::Plain);
    }
}

fn event_line(cx: &Cx<'_>, event: &ClusterEvent) -> Vec<(String, Role)> {
    let at = (event.seen_at - cx.state.started_at).max(Millis(0));
    let role = if event.severity == "Warning" { Role::Warn } else { Role::Plain };
    let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
    vec![
        (format!("  {:>1$}  ", time(cx, at), detail::TIME), Role::Dim),
        (format!("{} {}", event.severity, event.reason), role),
        (times, Role::Dim),
    ]
}

/// Excerpts of the pod's log that were recorded.
fn excerpts<'a>(cx: &Cx<'a>, (namespace, name): &PodKey) -> impl Iterator<Item = &'a PodLog> {
    let state = cx.state;
    let (namespace, name) = (namespace.clone(), name.clone());
    // Without a namespace it is the plan's.
    let here = move |log: &&PodLog| {
        let of = if log.namespace.is_empty() { state.namespace() } else { &log.namespace };
        log.pod == name && of == namespace
    };
    state.pod_logs.iter().filter(here)
}

fn described(cx: &Cx<'_>, log: &PodLog) -> String {
    let at = time(cx, (log.read_at - cx.state.started_at).max(Millis(0)));
    let before = if log.previous { ", before its last restart" } else { "" };
    let lines = match &log.error {
        Some(error) => format!("could not be read: {error}"),
        None => text::count(log.lines.len(), "line"),
    };
    let cut = if log.cut { ", the end of more" } else { "" };
    let why = if log.why.is_empty() { String::new() } else { format!(" ({})", log.why) };
    format!("{}{before}, read at {at}{why}: {lines}{cut}", log.container)
}

fn log(cx: &Cx<'_>, key: &PodKey, page: Page, text: &mut Text) {
    let answer = cx.ui.pods.answer(key, page);
    let wanted = page == Page::PreviousLog;
    let kept: Vec<_> = excerpts(cx, key).filter(|log| log.previous == wanted).collect();
    match answer {
        Some(Told::Log(log)) => written(cx, log, text),
        other if kept.is_empty() || other.is_some() => waiting(cx, other, "the log", text),
        _ => {}
    }
    for log in kept {
        text.heading("kept with the run");
        written(cx, log, text);
    }
}

fn written(cx: &Cx<'_>, log: &PodLog, text: &mut Text) {
    text.wrapped(1, &described(cx, log), Role::Dim);
    for LogLine { written_at, text: line } in &log.lines {
        let at =
            written_at.filter(|_| cx.ui.wall_clock).map_or_else(String::new, |at| format!("{} ", at.clock()));
        text.raw(cx, 1, &format!("{at}{line}"), Role::Plain);
    }
    if log.lines.is_empty() && log.error.is_none() {
        text.wrapped(1, "it is empty", Role::Dim);
    }
}
