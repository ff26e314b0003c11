//! Views: what is drawn of the state. Pure functions into a buffer: no I/O, no clock, no sorting.
//!
//! ```text
//! ┌──────────────────────────────────────────┐
//! │ header: run, phase, time, connections    │ 1 or 2 rows, see `header`
//! │                                          │
//! │ the view                                 │
//! │                                          │
//! │ messages for some seconds                │ only when there are any
//! │ keys                                     │ 1 row
//! └──────────────────────────────────────────┘
//! ```

pub mod alerts;
pub mod chart;
mod detail;
pub mod dialog;
pub mod faults;
mod footer;
mod header;
pub mod load;
pub mod log;
pub mod overview;
pub mod pods;
pub mod rows;
pub mod schedule;
pub mod text;

use harness_event::{Millis, RunState};
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    app::{Index, Ui, View},
    paint::Pen,
    theme::{Role, Theme},
};

/// All that a frame is made of.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'a> {
    /// What is known of the run: as it is, or frozen.
    pub state: &'a RunState,
    /// What the person has chosen.
    pub ui: &'a Ui,
    /// Colours and symbols.
    pub theme: &'a Theme,
    /// Lists, sorted and filtered.
    pub index: &'a Index,
    /// The run's time.
    pub now: Millis,
}

/// Below this nothing can be shown.
const SMALLEST: (u16, u16) = (20, 5);

/// Draws a frame.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        Pen::new(buf, cx.theme, area, 0).put("terminal too small", Role::Warn);
        return;
    }
    let head = header::rows(cx, area);
    let top = Rect { height: head, ..area };
    let bottom = Rect { y: area.bottom() - 1, height: 1, ..area };
    let messages = (cx.ui.toasts.len() as u16).min(area.height - head - 2);
    let toasts = Rect { y: bottom.y - messages, height: messages, ..area };
    let body = Rect { y: area.y + head, height: area.height - head - 1 - messages, ..area };
    header::render(cx, top, buf);
    match cx.ui.view {
        View::Overview => overview::render(cx, body, buf),
        View::Pods => pods::render(cx, body, buf),
        View::Alerts => alerts::render(cx, body, buf),
        View::Load => load::render(cx, body, buf),
        View::Faults => faults::render(cx, body, buf),
        View::Log => log::render(cx, body, buf),
    }
    footer::toasts(cx, toasts, buf);
    footer::render(cx, bottom, buf);
    dialog::render(cx, area, buf);
}
