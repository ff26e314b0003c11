//! The most important lines, for screens that are too small for panels: as many as there are rows.

use harness_event::state::{AlertPhase, FaultStage, LoadStage};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, alerts, expectations, log};
use crate::{paint::Pen, theme::Role, view::text};

pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let mut lines: Vec<(String, Role)> = Vec::new();
    for fault in &cx.state.faults {
        let name = &fault.spec.name;
        let line = match &fault.stage {
            FaultStage::Waiting | FaultStage::Reverted => continue,
            FaultStage::Applying | FaultStage::Applied => {
                (format!("fault {name}: no effect yet"), Role::Fault)
            }
            FaultStage::Active => {
                let left = fault.ends_at().map(|end| format!(", {} left", text::length(end - cx.now)));
                (format!("fault {name}: active{}", left.unwrap_or_default()), Role::Fault)
            }
            FaultStage::Reverting => (format!("fault {name}: being undone"), Role::Warn),
            FaultStage::Failed(why) => (format!("fault {name} FAILED: {why}"), Role::Bad),
            FaultStage::LeftBehind(why) => (format!("fault {name} LEFT BEHIND: {why}"), Role::Bad),
        };
        lines.push(line);
    }
    let (firing, unexpected) = cx.index.firing;
    let role = if unexpected > 0 { Role::Bad } else { Role::Plain };
    lines.push((alerts::summary(cx), role));
    if !cx.state.expectations.is_empty() {
        lines.push((expectations::summary(cx), Role::Plain));
    }
    let (all, ready) = cx.index.ready;
    if all > 0 {
        lines.push((format!("pods {ready}/{all} ready"), if ready < all { Role::Warn } else { Role::Plain }));
    }
    for load in cx.state.loads.iter().filter(|load| load.stage == LoadStage::Running) {
        let rate = load.rate.last().map_or("-".into(), text::short);
        let errors = load.error_ratio.last().map_or("-".into(), text::percent);
        let p99 = load.p99.last().map_or("-".into(), text::latency);
        lines.push((format!("load {} {rate}/s, {errors} errors, p99 {p99}", load.spec.name), Role::Load));
    }
    if firing > 0 {
        let names = cx.index.alerts.iter().filter_map(|labels| cx.state.alerts.get(labels));
        for alert in names.filter(|alert| alert.state == AlertPhase::Firing).take(5) {
            let (mark, role) = alerts::mark(cx, alert);
            lines.push((format!("{mark} {} {}", alert.name(), text::length(cx.now - alert.since)), role));
        }
    }
    let mut row = 0;
    for (line, role) in lines.iter().take(usize::from(area.height)) {
        Pen::new(buf, cx.theme, area, row).put(line, *role);
        row += 1;
    }
    // What is left is the log's.
    let rest = usize::from(area.height - row);
    let first = cx.state.log.len().saturating_sub(rest);
    for line in cx.state.log.iter().skip(first) {
        log::write(cx, &mut Pen::new(buf, cx.theme, area, row), line);
        row += 1;
    }
}
