//! The line view: what happens, as it happens, one line each.

use harness_event::{
    Event, EventKind, Plan, RunMode,
    narrate::{Detail, Narrator},
};

use crate::{
    duration::offset,
    style::{Style, Tone},
};

/// Turns events into lines: what the [`Narrator`] tells, with its time and its phase.
#[derive(Debug)]
pub struct LineView {
    style: Style,
    phase: String,
    started: bool,
    narrator: Narrator,
}

/// Width of the columns on the left: time and phase.
const TIME: usize = 9;
const PHASE: usize = 9;

impl LineView {
    /// A view that has not seen anything yet.
    pub fn new(style: Style) -> Self {
        let narrator = Narrator::new(style.unicode, Detail::Brief);
        Self { style, phase: String::new(), started: false, narrator }
    }

    /// The lines for one event; most have none or one.
    pub fn lines(&mut self, event: &Event) -> Vec<String> {
        let told = self.narrator.tell(event);
        match &event.kind {
            EventKind::RunStarted { mode: RunMode::Watch, plan, .. } => {
                // Without phases, faults and checks, the system is all there is to tell of.
                self.narrator = Narrator::new(self.style.unicode, Detail::Full);
                return vec![self.style.paint(Tone::Strong, &plan.title), String::new()];
            }
            EventKind::RunStarted { run, scenario, plan, .. } => return self.header(run, scenario, plan),
            EventKind::PhaseStarted { phase } => {
                self.phase = phase.to_string();
                self.started = true;
            }
            _ => {}
        }
        let Some(told) = told else { return Vec::new() };
        let phase = if std::mem::take(&mut self.started) { self.phase.as_str() } else { "" };
        let (time, phase) = (format!("{:>TIME$}", offset(event.elapsed)), format!("{phase:<PHASE$}"));
        vec![format!(
            "{}  {}{}",
            self.style.paint(Tone::Dim, &time),
            self.style.paint(Tone::Strong, &phase),
            self.style.paint(told.tone, &told.text)
        )]
    }

    fn header(&self, run: &str, scenario: &str, plan: &Plan) -> Vec<String> {
        let run = match scenario.is_empty() {
            true => format!("run {run}"),
            false => format!("{scenario}, run {run}"),
        };
        let mut lines = vec![self.style.paint(Tone::Strong, &plan.title), self.style.paint(Tone::Dim, &run)];
        let description = plan.description.trim().lines();
        lines.extend(description.map(|line| self.style.paint(Tone::Plain, &format!("  {line}"))));
        lines.push(String::new());
        lines
    }
}
