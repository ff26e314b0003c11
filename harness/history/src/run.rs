//! What is known of a run beside its measures.

use harness_event::{CancelReason, Event, EventKind, Millis, Outcome, RunMode, Timestamp, Verdict};
use harness_report::{RunResult, Timing};
use serde::{Deserialize, Serialize};

use crate::measure::{self, Measure};

/// How a run ended, or that it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Ending {
    /// With a verdict.
    Verdict(Outcome),
    /// It is being written.
    Running,
    /// Its log has no end, and nobody is writing it.
    Interrupted,
    /// A word that a newer version wrote.
    Unknown,
}

impl Ending {
    /// Every ending that is known, in the order in which they are sorted: best first.
    pub const ALL: [Self; 11] = [
        Self::Verdict(Outcome::Passed),
        Self::Verdict(Outcome::Ended),
        Self::Verdict(Outcome::Failed),
        Self::Verdict(Outcome::Inconclusive),
        Self::Verdict(Outcome::Refused),
        Self::Verdict(Outcome::NotReady),
        Self::Verdict(Outcome::Aborted),
        Self::Verdict(Outcome::RollbackIncomplete),
        Self::Verdict(Outcome::InternalError),
        Self::Interrupted,
        Self::Running,
    ];

    /// As it is stored, and given on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Verdict(Outcome::Passed) => "passed",
            Self::Verdict(Outcome::Failed) => "failed",
            Self::Verdict(Outcome::Refused) => "refused",
            Self::Verdict(Outcome::Inconclusive) => "inconclusive",
            Self::Verdict(Outcome::NotReady) => "not_ready",
            Self::Verdict(Outcome::Aborted) => "aborted",
            Self::Verdict(Outcome::RollbackIncomplete) => "rollback_incomplete",
            Self::Verdict(Outcome::InternalError) => "internal_error",
            Self::Verdict(Outcome::Ended) => "ended",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Unknown => "unknown",
        }
    }

    /// The ending of a word; `None` if there is none.
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.to_lowercase().replace(['-', ' '], "_");
        Self::ALL.into_iter().find(|ending| ending.word() == word)
    }

    /// A verdict was reached: the log will not grow any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Verdict(_) | Self::Unknown)
    }

    /// Passed.
    pub fn passed(self) -> bool {
        self == Self::Verdict(Outcome::Passed)
    }
}

impl From<String> for Ending {
    fn from(word: String) -> Self {
        Self::parse(&word).unwrap_or(Self::Unknown)
    }
}

impl From<Ending> for String {
    fn from(ending: Ending) -> Self {
        ending.word().to_owned()
    }
}

/// A run as the index has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id: the name of its folder.
    pub id: String,
    /// Where its folder is: the machine and the directory of runs. Runs of several machines may share one index.
    pub origin: String,
    /// Path of the scenario file as given.
    pub scenario: String,
    /// SHA-256 of its text.
    pub sha256: String,
    /// Title of the scenario.
    pub title: String,
    /// Scenario or game day.
    pub mode: String,
    /// How it ended.
    pub outcome: Ending,
    /// Exit code of its process; none without an end.
    pub exit_code: Option<i64>,
    /// First event.
    pub started_at: Timestamp,
    /// To the last event.
    #[serde(rename = "duration_ms")]
    pub duration: Millis,
    /// To bring up the stack; zero if it was there.
    #[serde(rename = "bring_up_ms")]
    pub bring_up: Millis,
    /// To prove that alerts can be seen.
    #[serde(rename = "readiness_ms")]
    pub readiness: Millis,
    /// What the scenario itself demands, if it got to its end.
    #[serde(rename = "demanded_ms")]
    pub demanded: Option<Millis>,
    /// Kubeconfig context.
    pub context: Option<String>,
    /// API server.
    pub server: Option<String>,
    /// Version of the harness.
    pub harness: String,
    /// Version of Kubernetes.
    pub kubernetes: Option<String>,
    /// Version of Prometheus.
    pub prometheus: Option<String>,
    /// Version of Alertmanager.
    pub alertmanager: Option<String>,
    /// Time compression of the alert rules.
    pub compress: Option<i64>,
    /// Faults that may still be on.
    pub left_behind: i64,
    /// Length of the log in bytes when it was read.
    pub log_bytes: i64,
}

/// A run with its measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// What was measured in it.
    pub measures: Vec<Measure>,
}

/// What the log itself does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// Name of the run's folder.
    pub id: String,
    /// Machine and directory of runs.
    pub origin: String,
    /// Length of the log.
    pub log_bytes: u64,
    /// Somebody is writing it.
    pub written: bool,
}

impl Entry {
    /// Folds a log. `None` if it does not begin with `run_started`.
    pub fn of(events: &[Event], place: Whereabouts) -> Option<Self> {
        let EventKind::RunStarted { mode, .. } = &events.first()?.kind else { return None };
        let mode = match mode {
            RunMode::Scenario => "scenario",
            RunMode::GameDay => "game_day",
            RunMode::Watch => "watch",
        };
        let verdict = Verdict::of(events);
        let measures = measure::of_verdict(events, &verdict);
        let outcome = match (has_end(events), place.written) {
            (true, _) => Ending::Verdict(verdict.outcome),
            (false, true) => Ending::Running,
            (false, false) => Ending::Interrupted,
        };
        let result = RunResult::of(events, &verdict)?;
        let target = result.target;
        let part = |pick: fn(&harness_event::RunTarget) -> &String| target.as_ref().map(pick).cloned();
        let Timing { duration, bring_up, readiness, demanded } = result.timing;
        let run = Run {
            id: place.id,
            origin: place.origin,
            mode: mode.to_owned(),
            outcome,
            exit_code: outcome.is_final().then_some(i64::from(result.exit_code)),
            started_at: result.started_at,
            duration,
            bring_up,
            readiness,
            demanded,
            context: part(|target| &target.context),
            server: part(|target| &target.server),
            kubernetes: part(|target| &target.kubernetes),
            prometheus: part(|target| &target.prometheus),
            alertmanager: part(|target| &target.alertmanager),
            scenario: result.scenario,
            sha256: result.scenario_sha256,
            title: result.title,
            harness: result.harness,
            compress: result.compressed.map(i64::from),
            left_behind: i64::try_from(result.verdict.left_behind.len()).unwrap_or(i64::MAX),
            log_bytes: i64::try_from(place.log_bytes).unwrap_or(i64::MAX),
        };
        Some(Self { run, measures })
    }
}

/// The run said its last word, or another command said it for it.
fn has_end(events: &[Event]) -> bool {
    events.iter().any(|event| {
        matches!(
            event.kind,
            EventKind::RunFinished { .. }
                | EventKind::RunRefused { .. }
                | EventKind::NotReady { .. }
                | EventKind::RunCancelled { reason: CancelReason::Recovered }
        )
    }) || matches!(
        // A run that was stopped while its stack came up: nothing had been touched.
        events.last().map(|event| &event.kind),
        Some(EventKind::RunCancelled { .. }) if !events.iter().any(|event| touched(&event.kind))
    )
}

fn touched(kind: &EventKind) -> bool {
    matches!(kind, EventKind::FaultPlanned { .. } | EventKind::FaultApplied { .. })
}

impl Run {
    /// The scenario's file name without its directory and ending.
    pub fn scenario_name(&self) -> &str {
        let file = self.scenario.rsplit(['/', '\\']).next().unwrap_or(&self.scenario);
        file.strip_suffix(".toml").unwrap_or(file)
    }
}
