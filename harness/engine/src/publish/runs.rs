//! The receiver's side: the last few runs.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use harness_event::Timestamp;

use super::report::{MOST, PHASES, RunReport, STATES};

/// Runs that are kept: each makes some hundred series at most.
pub const KEPT: usize = 5;
/// An unfinished run of which nothing was heard for so long may be over: what it was doing is no longer told.
pub const SILENCE: Duration = Duration::from_secs(15);
/// Longest text that becomes a label.
const LONGEST: usize = 300;

/// A report that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a report of a run: {0}")]
pub struct Refused(String);

/// The last few runs.
#[derive(Debug, Default)]
pub struct Runs {
    kept: VecDeque<Kept>,
    /// Reports so far.
    pub(super) reports: u64,
}

/// A run with when it was last heard of.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) report: RunReport,
    pub(super) heard: Instant,
    pub(super) heard_at: Timestamp,
}

impl Kept {
    /// Nobody knows what it does now.
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        self.report.outcome.is_none() && now.saturating_duration_since(self.heard) > SILENCE
    }
}

impl Runs {
    /// Takes a report, the place of the run's previous one. A new run takes the place of the oldest.
    ///
    /// # Errors
    /// If it would make too many series, or labels that are too long or mean nothing.
    pub fn take(&mut self, report: RunReport) -> Result<(), Refused> {
        check(&report)?;
        self.reports += 1;
        let kept = Kept { report, heard: Instant::now(), heard_at: Timestamp::now() };
        match self.kept.iter_mut().find(|one| one.report.run == kept.report.run) {
            Some(known) => *known = kept,
            None => self.kept.push_back(kept),
        }
        while self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        Ok(())
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = &Kept> + Clone {
        self.kept.iter()
    }
}

fn check(report: &RunReport) -> Result<(), Refused> {
    let refuse = |why: String| Err(Refused(why));
    if report.run.is_empty() {
        return refuse("it has no name".to_owned());
    }
    let lists = [
        ("faults", report.faults.len()),
        ("loads", report.loads.len()),
        ("expectations", report.expectations.len()),
        ("detections", report.detections.len()),
    ];
    if let Some((list, length)) = lists.into_iter().find(|(_, length)| *length > MOST) {
        return refuse(format!("{length} {list} are more than {MOST}"));
    }
    let phases = PHASES.map(|phase| phase.to_string());
    if let Some(phase) = report.phase.as_ref().filter(|phase| !phases.contains(phase)) {
        return refuse(format!("{phase:?} is no phase"));
    }
    if let Some(one) = report.expectations.iter().find(|one| !STATES.contains(&one.state.as_str())) {
        return refuse(format!("{:?} is no state of an expectation", one.state));
    }
    let long = |text: &&String| text.len() > LONGEST;
    if let Some(text) = texts(report).find(long) {
        return refuse(format!("a text of {} bytes is longer than {LONGEST}", text.len()));
    }
    Ok(())
}

fn texts(report: &RunReport) -> impl Iterator<Item = &String> {
    let own = [&report.run, &report.scenario, &report.mode].into_iter().chain(&report.outcome);
    own.chain(report.faults.iter().flat_map(|one| [&one.fault, &one.kind]))
        .chain(report.loads.iter().flat_map(|one| std::iter::once(&one.load).chain(one.latency.keys())))
        .chain(report.expectations.iter().map(|one| &one.expectation))
        .chain(report.detections.iter().flat_map(|one| [&one.alert, &one.stage]))
}
