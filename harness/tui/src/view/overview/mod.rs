//! Everything on one screen. Which panels there are, and how large, depends on the size of the screen and on what there is.
//!
//! ```text
//! ┌─timeline──────────────────────────────────────────────┐
//! │ phases, faults, loads, alerts, now, on one time axis  │
//! ├─pods──────────────────────┬─expectations──────────────┤
//! │                           │                           │
//! ├─autoscaling───────────────┼─alerts────────────────────┤
//! │                           │                           │
//! ├─error budgets─────────────┼─load──────────────────────┤
//! │                           │                           │
//! ├─log───────────────────────┴───────────────────────────┤
//! │ the newest lines                                      │
//! └───────────────────────────────────────────────────────┘
//! ```
//!
//! On screens smaller than 76 columns and 20 rows there are lines instead, the most important first (`brief`).

mod alerts;
mod autoscaling;
mod brief;
mod expectations;
mod layout;
mod load;
mod log;
mod pods;
mod slo;
mod timeline;

#[cfg(test)]
mod tests;

use ratatui::{buffer::Buffer, layout::Rect};

use super::Cx;
use crate::app::List;
pub(crate) use expectations::progress;
use layout::{Want, allot};

/// The whole screen has to be so large for panels.
const PANELS: (u16, u16) = (76, 20);
/// Rows of the log in the overview, title included.
const LOG: Want = Want { least: 3, most: 12 };

/// Panels that can have the focus on a screen of this size, in their order.
#[must_use]
pub fn panels(size: (u16, u16)) -> Vec<List> {
    if size.0 < PANELS.0 || size.1 < PANELS.1 {
        return vec![List::Log];
    }
    vec![List::Faults, List::Pods, List::Expectations, List::Alerts, List::Loads, List::Log]
}

/// Draws the overview.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    // Header and footer are not in the area.
    if area.width < PANELS.0 || area.height + 3 < PANELS.1 {
        return brief::render(cx, area, buf);
    }
    let rows = allot(area.height, &[timeline::want(cx), middle(cx), LOG]);
    let (top, middle, bottom) = (rows[0], rows[1], rows[2]);
    timeline::render(cx, Rect { height: top, ..area }, buf);

    // Pods have many columns.
    let half = (area.width - 2) * 13 / 25;
    let left = Rect { y: area.y + top, height: middle, width: half, ..area };
    let right = Rect { x: area.x + half + 2, width: area.width - half - 2, ..left };
    column(cx, &LEFT, left, buf);
    column(cx, &RIGHT, right, buf);

    log::render(cx, Rect { y: area.y + top + middle, height: bottom, ..area }, buf);
}

#[derive(Clone, Copy)]
enum Panel {
    Pods,
    Autoscaling,
    Slo,
    Expectations,
    Alerts,
    Load,
}

/// Each column's panels, most important first.
const LEFT: [Panel; 3] = [Panel::Pods, Panel::Autoscaling, Panel::Slo];
const RIGHT: [Panel; 3] = [Panel::Expectations, Panel::Alerts, Panel::Load];

/// Rows that the columns can use.
fn middle(cx: &Cx<'_>) -> Want {
    let all =
        |panels: &[Panel]| panels.iter().fold(0_u16, |rows, panel| rows.saturating_add(panel.want(cx).most));
    let most = all(&LEFT).max(all(&RIGHT)).max(9);
    Want { least: 9, most }
}

impl Panel {
    fn want(self, cx: &Cx<'_>) -> Want {
        match self {
            Self::Pods => pods::want(cx),
            Self::Autoscaling => autoscaling::want(cx),
            Self::Slo => slo::want(cx),
            Self::Expectations => expectations::want(cx),
            Self::Alerts => alerts::want(cx),
            Self::Load => load::want(cx),
        }
    }

    fn render(self, cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
        match self {
            Self::Pods => pods::render(cx, area, buf),
            Self::Autoscaling => autoscaling::render(cx, area, buf),
            Self::Slo => slo::render(cx, area, buf),
            Self::Expectations => expectations::render(cx, area, buf),
            Self::Alerts => alerts::render(cx, area, buf),
            Self::Load => load::render(cx, area, buf),
        }
    }
}

fn column(cx: &Cx<'_>, panels: &[Panel], area: Rect, buf: &mut Buffer) {
    let wants: Vec<Want> = panels.iter().map(|panel| panel.want(cx)).collect();
    let mut y = area.y;
    for (panel, height) in panels.iter().zip(allot(area.height, &wants)) {
        if height > 0 {
            panel.render(cx, Rect { y, height, ..area }, buf);
        }
        y += height;
    }
}

/// Draws one list as it stands in the overview, with its title, in the whole area.
pub fn panel(cx: &Cx<'_>, list: List, area: Rect, buf: &mut Buffer) {
    match list {
        List::Pods => pods::render(cx, area, buf),
        List::Alerts => alerts::render(cx, area, buf),
        List::Expectations => expectations::render(cx, area, buf),
        List::Loads => load::render(cx, area, buf),
        List::Faults => timeline::render(cx, area, buf),
        List::Log => log::render(cx, area, buf),
    }
}

/// Has this list the focus?
fn focused(cx: &Cx<'_>, list: List) -> bool {
    cx.ui.list() == list
}
