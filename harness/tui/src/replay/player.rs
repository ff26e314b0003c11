//! A position on a tape, and how it moves.

use std::{sync::Arc, time::Duration};

use harness_event::{Event, Millis, RunState, Verdict};

use super::Tape;
use crate::{Playback, ReplayCommand};

/// What the view is to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A fact.
    Event(Box<Event>),
    /// What the run proved: the tape's end is reached.
    Concluded(Box<Verdict>),
    /// The state as a whole.
    Replaced(Box<RunState>),
}

/// Plays a tape. Takes no time but what it is told.
#[derive(Clone, Debug)]
pub struct Player {
    tape: Arc<Tape>,
    /// Events that were shown.
    shown: usize,
    position: Millis,
    /// What passed beyond the position, in milliseconds of the run: less than one.
    rest: f64,
    playing: bool,
    speed: f64,
}

impl Player {
    /// Slowest and fastest speed.
    pub const SPEEDS: (f64, f64) = (1.0 / 16.0, 1024.0);
    /// A move of at most so many events is shown event by event, as live.
    const FEW: usize = 500;

    /// At the beginning of the tape, playing. The speed is brought into [`Self::SPEEDS`].
    #[must_use]
    pub fn new(tape: Arc<Tape>, speed: f64) -> Self {
        let position = tape.start();
        let mut player = Self { tape, shown: 0, position, rest: 0.0, playing: true, speed: 1.0 };
        player.set_speed(speed);
        player
    }

    fn set_speed(&mut self, speed: f64) {
        let speed = if speed.is_finite() { speed } else { 1.0 };
        self.speed = speed.clamp(Self::SPEEDS.0, Self::SPEEDS.1);
    }

    /// Where it is.
    #[must_use]
    pub fn playback(&self) -> Playback {
        Playback {
            playing: self.playing,
            speed: self.speed,
            position: self.position,
            length: self.tape.end(),
        }
    }

    /// Events that were shown.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.shown
    }

    /// Time until the next event at this speed; none while it stands, or at the end.
    #[must_use]
    pub fn next_in(&self) -> Option<Duration> {
        let next = self.tape.events().get(self.shown).filter(|_| self.playing)?;
        let left = ((next.elapsed - self.position).0 as f64 - self.rest).max(0.0);
        Some(Duration::from_secs_f64(left / 1000.0 / self.speed))
    }

    /// So much time passed.
    pub fn pass(&mut self, time: Duration) -> Vec<Step> {
        if !self.playing {
            return Vec::new();
        }
        let passed = self.rest + time.as_secs_f64() * 1000.0 * self.speed;
        let steps = self.go_to_time(self.position + Millis(passed as i64));
        self.rest = passed.fract();
        if self.shown == self.tape.events().len() {
            self.playing = false;
        }
        steps
    }

    /// Moves to a time since the start of the run.
    pub fn go_to_time(&mut self, to: Millis) -> Vec<Step> {
        let to = to.max(self.tape.start()).min(self.tape.end());
        let steps = self.go_to(self.tape.count_until(to));
        (self.position, self.rest) = (to, 0.0);
        steps
    }

    /// Carries out a command.
    pub fn command(&mut self, command: ReplayCommand) -> Vec<Step> {
        match command {
            ReplayCommand::PlayOrPause => {
                let at_end = self.shown == self.tape.events().len();
                // Play at the end begins anew: there is nothing else that it could mean.
                let steps = if at_end && !self.playing { self.go_to_time(self.tape.start()) } else { vec![] };
                self.playing = !self.playing;
                steps
            }
            ReplayCommand::Step(by) => {
                self.playing = false;
                let by = isize::try_from(by).unwrap_or(0);
                // The first event is always shown: without it there is no run.
                self.go_to_count(self.shown.saturating_add_signed(by).max(1))
            }
            ReplayCommand::Skip(by) => self.go_to_time(self.position + by),
            ReplayCommand::Mark(by) => self.go_to_mark(by),
            ReplayCommand::Start => self.go_to_time(self.tape.start()),
            ReplayCommand::End => {
                self.playing = false;
                self.go_to_time(self.tape.end())
            }
            ReplayCommand::Faster => {
                self.set_speed(self.speed * 2.0);
                Vec::new()
            }
            ReplayCommand::Slower => {
                self.set_speed(self.speed / 2.0);
                Vec::new()
            }
        }
    }

    fn go_to_mark(&mut self, by: i64) -> Vec<Step> {
        let mut to = self.shown;
        for _ in 0..by.unsigned_abs() {
            match self.tape.mark(to, by > 0) {
                Some(mark) => to = mark,
                None => break,
            }
        }
        match to == self.shown {
            true => Vec::new(),
            false => self.go_to_count(to),
        }
    }

    /// Moves to the place after so many events, and to the time of the last of them.
    fn go_to_count(&mut self, count: usize) -> Vec<Step> {
        let count = count.min(self.tape.events().len());
        let steps = self.go_to(count);
        let last = count.checked_sub(1).and_then(|last| self.tape.events().get(last));
        self.position = last.map_or_else(|| self.tape.start(), |event| event.elapsed);
        self.rest = 0.0;
        steps
    }

    fn go_to(&mut self, count: usize) -> Vec<Step> {
        let from = std::mem::replace(&mut self.shown, count);
        let all = self.tape.events();
        match count.checked_sub(from) {
            Some(0) => Vec::new(),
            Some(few) if few <= Self::FEW => {
                let events = all[from..count].iter().map(|event| Step::Event(Box::new(event.clone())));
                let verdict = self.tape.verdict().filter(|_| count == all.len());
                events.chain(verdict.map(|verdict| Step::Concluded(Box::new(verdict.clone())))).collect()
            }
            _ => vec![Step::Replaced(Box::new(self.tape.state_after(count)))],
        }
    }
}
