//! Pods: `name  ready  status  restarts  CPU  memory  age`. What changed within the last seconds has a mark and a colour.

use harness_event::{Millis, state::PodView};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, focused, layout::Want};
use crate::{
    app::{List, PodKey},
    paint::{self, Pen},
    theme::Role,
    view::{rows, text},
};

/// For so long a change is shown.
pub const HIGHLIGHT: Millis = Millis::from_secs(5);

pub(super) fn want(cx: &Cx<'_>) -> Want {
    Want { least: 4, most: 2 + u16::try_from(cx.index.pods.len()).unwrap_or(u16::MAX - 2).max(1) }
}

pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let (all, ready) = cx.index.ready;
    let mut title = if all > 0 { format!("pods {ready}/{all} ready") } else { "pods".to_owned() };
    if cx.index.restarts > 0 {
        let restarts = text::count(usize::try_from(cx.index.restarts).unwrap_or(0), "restart");
        title = format!("{title}, {restarts}");
    }
    let order = rows::order(cx, List::Pods, cx.state.pods.len());
    let focused = focused(cx, List::Pods);
    let inner = paint::panel(buf, cx.theme, area, &title, &order, focused);
    if inner.height == 0 {
        return;
    }
    if cx.state.pods.is_empty() {
        Pen::new(buf, cx.theme, inner, 0).put("  none seen yet", Role::Dim);
        return;
    }
    let columns = Columns::new(cx, usize::from(inner.width));
    let mut pen = Pen::new(buf, cx.theme, inner, 0);
    columns.head(&mut pen);
    let list = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
    rows::rows(cx, List::Pods, focused, list, buf, |pen, row| {
        if let Some(key) = cx.index.pods.get(row)
            && let Some(pod) = cx.state.pods.get(key)
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
    age: bool,
    /// Namespaces are shown: there are several.
    namespace: bool,
}

impl Columns {
    /// Rows that are looked at for the widths.
    const LOOKED_AT: usize = 50;
    /// A name of a pod of a Deployment.
    const NAME: usize = 14;

    fn new(cx: &Cx<'_>, width: usize) -> Self {
        let namespace = cx.state.pods.keys().next().map(|(first, _)| first);
        let last = cx.state.pods.keys().next_back().map(|(last, _)| last);
        let shown = || cx.index.pods.iter().take(Self::LOOKED_AT).filter_map(|key| cx.state.pods.get(key));
        let status = shown().map(|pod| paint::width(&pod.seen.status)).max().unwrap_or(0).clamp(7, 17);
        let measured = shown().any(|pod| pod.usage.is_some());
        // Marks, READY, STATUS, RST, and a blank after each.
        let status = if width < 50 { status.min(11) } else { status };
        let mut left = width.saturating_sub(2 + 1 + 6 + status + 1 + 3);
        let mut takes = |columns: usize| {
            let fits = left >= Self::NAME + columns;
            left -= if fits { columns } else { 0 };
            fits
        };
        let usage = measured && takes(12);
        let age = takes(6);
        Self { name: left.max(8), status, usage, age, namespace: namespace != last }
    }

    fn head(&self, pen: &mut Pen<'_>) {
        pen.skip(2).cell("NAME", self.name, false, Role::Dim).skip(1);
        pen.cell("READY", 5, true, Role::Dim).skip(1).cell("STATUS", self.status, false, Role::Dim);
        pen.cell("RST", 3, true, Role::Dim);
        if self.usage {
            pen.skip(1).cell("CPU", 5, true, Role::Dim).skip(1).cell("MEM", 5, true, Role::Dim);
        }
        if self.age {
            pen.skip(1).cell("AGE", 5, true, Role::Dim);
        }
    }

    fn row(&self, cx: &Cx<'_>, pen: &mut Pen<'_>, (namespace, name): &PodKey, pod: &PodView) {
        let seen = &pod.seen;
        let changed = cx.now - pod.changed < HIGHLIGHT && cx.now >= pod.changed;
        let role = state_of(pod);
        pen.put(if changed { cx.theme.symbols().changed } else { " " }, Role::Changed);
        let named = if changed { Role::Changed } else { Role::Plain };
        let shown = if self.namespace { format!("{namespace}/{name}") } else { name.clone() };
        pen.cell(&paint::middle(&shown, self.name, cx.theme), self.name, false, named);
        let ready = match seen.containers {
            // Logs of versions that did not count containers.
            0 => if seen.ready { "yes" } else { "no" }.to_owned(),
            all => format!("{}/{all}", seen.ready_containers),
        };
        let status = if seen.gone { "gone" } else { &seen.status };
        pen.skip(1).cell(&ready, 5, true, role).skip(1).cell(status, self.status, false, role);
        let restarts = if seen.restarts > 0 { Role::Warn } else { Role::Dim };
        pen.cell(&seen.restarts.to_string(), 3, true, restarts);
        if self.usage {
            let (cpu, memory) = match &pod.usage {
                Some(usage) => (text::cpu(usage.cpu_millicores), text::bytes(usage.memory_bytes)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            pen.skip(1).cell(&cpu, 5, true, Role::Plain).skip(1).cell(&memory, 5, true, Role::Plain);
        }
        if self.age {
            let age = seen.created_at.map(|at| text::age(at, cx.state.started_at + cx.now));
            pen.skip(1).cell(age.as_deref().unwrap_or("-"), 5, true, Role::Dim);
        }
    }
}

/// What a pod's status means.
pub(crate) fn state_of(pod: &PodView) -> Role {
    let status = pod.seen.status.as_str();
    let broken = ["Error", "BackOff", "OOM", "Failed", "Invalid", "Evicted", "Unknown"];
    match status {
        _ if pod.seen.gone => Role::Dim,
        "Completed" | "Succeeded" => Role::Dim,
        status if broken.iter().any(|word| status.contains(word)) => Role::Bad,
        _ if pod.seen.ready => Role::Good,
        _ => Role::Warn,
    }
}
