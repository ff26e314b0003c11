//! Messages for some seconds, and the keys that matter here.

use ratatui::{buffer::Buffer, layout::Rect};

use super::Cx;
use crate::{
    app::View,
    keys::{Action, BINDINGS, Binding, Mode},
    paint::{self, Pen},
    theme::Role,
};

/// Messages, the newest at the bottom.
pub(super) fn toasts(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let shown = usize::from(area.height).min(cx.ui.toasts.len());
    let first = cx.ui.toasts.len() - shown;
    for (row, toast) in cx.ui.toasts.iter().skip(first).enumerate() {
        let symbols = cx.theme.symbols();
        let mark = match toast.role {
            Role::Bad => symbols.bad,
            Role::Good => symbols.good,
            Role::Warn => "!",
            _ => symbols.separator,
        };
        Pen::new(buf, cx.theme, area, row as u16)
            .put(mark, toast.role)
            .put(" ", Role::Plain)
            .put(&toast.text, toast.role);
    }
}

/// Keys, most important first, as many as fit.
pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let mut shown: Vec<&Binding> = BINDINGS
        .iter()
        .filter(|binding| {
            binding.footer > 0 && binding.scope.is_in(cx.ui.mode) && matters(cx, binding.action)
        })
        .collect();
    shown.sort_by_key(|binding| binding.footer);
    let mut pen = Pen::new(buf, cx.theme, area, 0);
    for binding in shown {
        let Some(key) = binding.keys.first() else { continue };
        let key = key.to_string();
        let short = short(cx, binding);
        if pen.left() < paint::width(&key) + paint::width(short) + 3 {
            continue;
        }
        pen.put(&key, Role::Accent).put(" ", Role::Plain).put(short, Role::Plain).put("  ", Role::Plain);
    }
    let views = "1-6 views";
    if pen.left() > paint::width(views) {
        pen.put("1-6", Role::Accent).put(" views", Role::Plain);
    }
}

fn short(cx: &Cx<'_>, binding: &Binding) -> &'static str {
    match binding.action {
        Action::Quit if cx.ui.details || cx.ui.view != View::Overview => "back",
        Action::Pause if cx.ui.paused.is_some() => "go on",
        Action::Abort if matches!(cx.ui.mode, Mode::Watch | Mode::Replay) => "leave",
        _ => binding.short,
    }
}

fn matters(cx: &Cx<'_>, action: Action) -> bool {
    match action {
        Action::Abort => !cx.ui.over && cx.ui.aborting.is_none(),
        Action::Stop => {
            cx.state.faults.iter().any(|fault| crate::app::can_be_undone(&fault.stage, cx.ui.mode))
        }
        Action::Note | Action::Pause => !cx.ui.over,
        Action::NextPanel => cx.ui.view == View::Overview,
        Action::Filter | Action::Sort => {
            cx.index.rows(cx.ui.list()) > 0 || !cx.ui.lists[cx.ui.list()].filter.is_empty()
        }
        Action::Details => cx.index.rows(cx.ui.list()) > 0 && !cx.ui.details,
        _ => true,
    }
}
