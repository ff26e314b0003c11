//! Answers of a probe.

use super::{
    super::model::{Progress, RunState},
    Clock, seen, waiting,
};
use crate::{EventKind, HttpExpectation, Millis, Window};

/// A probe's step in its window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HttpFollowed {
    expected: HttpExpectation,
    /// When the first expected answer was there.
    first: Option<Millis>,
    /// An answer that must not have come: when it was there, and what it was.
    breach: Option<(Millis, String)>,
}

impl HttpFollowed {
    pub(super) fn new(expected: &HttpExpectation) -> Self {
        Self { expected: expected.clone(), first: None, breach: None }
    }

    /// Every answer counts, also what the fault's call breaks before its effect is seen.
    fn always(&self) -> bool {
        self.expected.within == Millis(0)
    }

    fn start(&self, clock: Clock) -> Option<Millis> {
        match self.expected.window {
            Window::During => clock.effect,
            Window::After => clock.effect.and(clock.healed),
        }
    }

    pub(super) fn see(&mut self, state: &RunState, kind: &EventKind, clock: Clock) {
        match kind {
            EventKind::ProbeAnswered { probe, step, sent_at, latency_us, status, body, error, .. }
                if *probe == self.expected.probe && *step == self.expected.step =>
            {
                let sent = state.since_start(*sent_at);
                let latency = Millis(i64::try_from(latency_us.div_ceil(1000)).unwrap_or(i64::MAX));
                let done = sent + latency;
                let inside = match self.expected.window {
                    Window::During if self.always() => clock.applied.is_some_and(|from| done >= from),
                    Window::During | Window::After => self.start(clock).is_some_and(|from| sent >= from),
                };
                let over = self.expected.window == Window::During && clock.sent.is_some_and(|to| done > to);
                if inside && !over {
                    let wrong = self.wrong(*status, body, error.as_deref(), latency);
                    self.answered(done, wrong);
                }
            }
            // An answer that was on its way when the window ended belongs to neither side.
            EventKind::FaultRevertStarted { .. } | EventKind::LoadFinished { .. }
                if self.expected.window == Window::During =>
            {
                self.breach.take_if(|(done, _)| clock.sent.is_some_and(|to| *done > to));
            }
            _ => {}
        }
    }

    fn answered(&mut self, done: Millis, wrong: Option<String>) {
        match wrong {
            None => {
                self.first.get_or_insert(done);
            }
            Some(what) if self.always() || self.first.is_some() => {
                self.breach.get_or_insert((done, what));
            }
            Some(_) => {}
        }
    }

    /// What is wrong with an answer.
    fn wrong(&self, status: Option<u16>, body: &str, error: Option<&str>, latency: Millis) -> Option<String> {
        let has_text = self.expected.body_contains.as_deref().is_none_or(|text| body.contains(text));
        match status {
            None => Some(error.unwrap_or("no answer").to_owned()),
            Some(status) if status != self.expected.status => Some(format!("answered {status}")),
            Some(status) if !has_text => Some(format!("answered {status} with another text")),
            Some(_) => {
                let limit = self.expected.max_latency.filter(|limit| latency > *limit)?;
                Some(format!("took {latency}, at most {limit} allowed"))
            }
        }
    }

    pub(super) fn progress(&self, clock: Clock) -> Progress {
        let start = self.start(clock);
        match (start, &self.breach, self.first) {
            (Some(from), Some((done, what)), _) => {
                let into = (*done - from).max(Millis(0));
                Progress::Missed { reason: format!("{what}, {into} into the window") }
            }
            (Some(from), None, Some(first)) if !self.always() => seen(first, from, self.expected.within),
            _ => waiting(start),
        }
    }
}
