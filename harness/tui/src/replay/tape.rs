//! What was recorded.

use std::time::Duration;

use harness_event::{Event, EventKind, Millis, RunState, Verdict};

/// A recorded run, with what makes it quick to move in.
#[derive(Clone, Debug)]
pub struct Tape {
    events: Vec<Event>,
    verdict: Option<Verdict>,
    /// States after [`Self::every`], twice as many ... events; the first is that before any.
    states: Vec<RunState>,
    every: usize,
    /// Numbers of events after which something is different: phases, faults, loads, alerts. In order.
    marks: Vec<usize>,
}

impl Tape {
    /// Longest time that a seek may take.
    pub const SEEK: Duration = Duration::from_millis(50);
    /// A state is kept every so many events at the most often.
    const FEWEST: usize = 500;
    /// States that are kept, at most: each may hold thousands of pods and log lines.
    const STATES: usize = 48;

    /// From a log. The verdict is absent where the log cannot be judged.
    #[must_use]
    pub fn new(mut events: Vec<Event>, verdict: Option<Verdict>) -> Self {
        let mut latest = Millis(0);
        for event in &mut events {
            // A clock that went back is a damage of the log; the tape goes on.
            latest = latest.max(event.elapsed);
            event.elapsed = latest;
        }
        let every = events.len().div_ceil(Self::STATES).max(Self::FEWEST);
        let mut state = RunState::default();
        let mut states = vec![state.clone()];
        for (index, event) in events.iter().enumerate() {
            state.apply(event);
            if (index + 1) % every == 0 {
                states.push(state.clone());
            }
        }
        let marks = events.iter().enumerate().filter(|(_, event)| is_mark(&event.kind));
        let marks = marks.map(|(index, _)| index + 1).collect();
        Self { events, verdict, states, every, marks }
    }

    /// Its events.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// What the run proved.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// The time of the first event: what came before is not in the log.
    #[must_use]
    pub fn start(&self) -> Millis {
        self.events.first().map_or(Millis(0), |event| event.elapsed)
    }

    /// The time of the last event.
    #[must_use]
    pub fn end(&self) -> Millis {
        self.events.last().map_or(Millis(0), |event| event.elapsed)
    }

    /// How many events there are until that time, that of the time itself included.
    #[must_use]
    pub fn count_until(&self, at: Millis) -> usize {
        self.events.partition_point(|event| event.elapsed <= at)
    }

    /// The state after so many events. At the end it includes the verdict.
    #[must_use]
    pub fn state_after(&self, count: usize) -> RunState {
        let count = count.min(self.events.len());
        let kept = (count / self.every).min(self.states.len() - 1);
        let mut state = self.states[kept].clone();
        self.events[kept * self.every..count].iter().for_each(|event| state.apply(event));
        if let Some(verdict) = self.verdict.as_ref().filter(|_| count == self.events.len()) {
            state.conclude(verdict.clone());
        }
        state
    }

    /// Number of events at the next mark after so many events (or the one before), if there is one.
    #[must_use]
    pub fn mark(&self, count: usize, forward: bool) -> Option<usize> {
        match forward {
            true => self.marks.get(self.marks.partition_point(|mark| *mark <= count)).copied(),
            false => self.marks[..self.marks.partition_point(|mark| *mark < count)].last().copied(),
        }
    }
}

/// Something begins, ends or changes that people look for.
fn is_mark(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::PhaseStarted { .. }
            | EventKind::FaultRequested { .. }
            | EventKind::FaultStopped { .. }
            | EventKind::FaultApplied { .. }
            | EventKind::FaultApplyFailed { .. }
            | EventKind::FaultEffectObserved { .. }
            | EventKind::FaultEffectMissing { .. }
            | EventKind::FaultRevertStarted { .. }
            | EventKind::FaultRevertVerified { .. }
            | EventKind::FaultRevertFailed { .. }
            | EventKind::LoadStarted { .. }
            | EventKind::LoadFinished { .. }
            | EventKind::LoadFailed { .. }
            | EventKind::AlertSeen { .. }
            | EventKind::NoteWritten { .. }
            | EventKind::RunCancelled { .. }
            | EventKind::RunFinished { .. }
    )
}
