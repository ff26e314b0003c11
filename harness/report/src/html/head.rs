//! The verdict, the one sentence that says why, and what the run was.

use harness_event::{Check, CheckOutcome, Millis, Outcome, RunMode};
use serde::Serialize;

use super::{
    log::Log,
    text::{count, short},
};
use crate::{duration::long, result::Timing};

/// Checks that are named beside the sentence at most.
const MOST_UNMET: usize = 8;
/// Characters of the sentence at most.
const SENTENCE: usize = 420;

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    pub(super) symbol: &'static str,
    pub(super) word: String,
    /// `good`, `warn`, `bad` or `calm`.
    pub(super) tone: &'static str,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) sentence: String,
    /// Where the sentence comes from: anchor of a check, if it is one.
    pub(super) check: String,
    /// What else was not met: anchor, symbol, title, reason.
    pub(super) unmet: Vec<Unmet>,
    /// How many more there are.
    pub(super) more: usize,
    /// Other reasons.
    pub(super) reasons: Vec<String>,
    /// Checks by outcome: symbol, number, word, tone.
    pub(super) counts: Vec<Count>,
    pub(super) caveats: Vec<String>,
    /// Faults that could not be undone.
    pub(super) left_behind: Vec<String>,
    pub(super) recover: String,
    pub(super) facts: Vec<(String, String)>,
}

/// A check that was not met.
#[derive(Debug, Serialize)]
pub(super) struct Unmet {
    pub(super) anchor: String,
    pub(super) symbol: &'static str,
    pub(super) word: &'static str,
    pub(super) tone: &'static str,
    pub(super) title: String,
    pub(super) reason: String,
}

/// Checks of one outcome.
#[derive(Debug, Serialize)]
pub(super) struct Count {
    pub(super) symbol: &'static str,
    pub(super) text: String,
    pub(super) tone: &'static str,
}

/// Symbol, word and tone of a check's outcome.
pub(super) const fn outcome(outcome: CheckOutcome) -> (&'static str, &'static str, &'static str) {
    match outcome {
        CheckOutcome::Passed => ("✔", "passed", "good"),
        CheckOutcome::Inconclusive => ("?", "inconclusive", "warn"),
        CheckOutcome::Failed => ("✘", "failed", "bad"),
    }
}

impl Head {
    /// `anchor` finds the anchor of a check.
    pub(super) fn of(log: &Log<'_>, recover: String, anchor: impl Fn(&str) -> String) -> Self {
        let (symbol, word, tone) = verdict(log);
        let (sentence, check) = sentence(log);
        let mut reasons = log.verdict.reasons.clone();
        reasons.retain(|reason| !sentence.contains(reason.as_str()));
        if !log.has_verdict() {
            reasons.clear();
        }
        let unmet = unmet(log, check, &anchor);
        Self {
            more: unmet.len().saturating_sub(MOST_UNMET),
            unmet: unmet.into_iter().take(MOST_UNMET).collect(),
            symbol,
            word,
            tone,
            title: log.plan.title.clone(),
            description: log.plan.description.trim().to_owned(),
            sentence,
            check: check.map(|check| anchor(&check.id)).unwrap_or_default(),
            reasons,
            counts: counts(log),
            caveats: log.verdict.caveats.clone(),
            left_behind: log.verdict.left_behind.clone(),
            recover,
            facts: facts(log),
        }
    }
}

fn verdict(log: &Log<'_>) -> (&'static str, String, &'static str) {
    let outcome = log.verdict.outcome;
    let at_peace = matches!(outcome, Outcome::Ended | Outcome::Inconclusive | Outcome::Passed);
    match log.mode {
        RunMode::GameDay if at_peace => return ("◆", "Game day".to_owned(), "calm"),
        RunMode::Watch if at_peace => return ("◆", "Watched".to_owned(), "calm"),
        RunMode::GameDay | RunMode::Watch | RunMode::Scenario => {}
    }
    let (symbol, tone) = match outcome {
        Outcome::Passed => ("✔", "good"),
        Outcome::Failed => ("✘", "bad"),
        Outcome::Inconclusive => ("?", "warn"),
        Outcome::Aborted => ("■", "warn"),
        Outcome::Ended => ("◆", "calm"),
        Outcome::Refused | Outcome::NotReady => ("⊘", "bad"),
        Outcome::RollbackIncomplete | Outcome::InternalError => ("!", "bad"),
    };
    let word = outcome.to_string();
    let mut characters = word.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    (symbol, first + characters.as_str(), tone)
}

/// Why, in plain words, and the check that says so.
fn sentence<'a>(log: &Log<'a>) -> (String, Option<&'a Check>) {
    let verdict = log.verdict;
    let first = |outcome: CheckOutcome| verdict.checks.iter().find(|check| check.outcome == outcome);
    let reason = verdict.reasons.first().map_or("the log does not say why", String::as_str);
    let game_day = if log.has_verdict() { String::new() } else { game_day(log) };
    let (text, check) = match verdict.outcome {
        Outcome::Passed | Outcome::Ended | Outcome::Inconclusive if !log.has_verdict() => {
            (String::new(), None)
        }
        Outcome::Passed => {
            let number = verdict.checks.len();
            let all = if number == 1 { "The one check".to_owned() } else { format!("All {number} checks") };
            (format!("{all} passed: everything that the scenario expects was seen."), None)
        }
        Outcome::Failed => match first(CheckOutcome::Failed) {
            Some(check) => (
                format!(
                    "Expected: {}. Measured: {}.",
                    bare(&check.title),
                    bare(&short(&check.reason, SENTENCE))
                ),
                Some(check),
            ),
            None => (stop(reason), None),
        },
        Outcome::Inconclusive => match (verdict.reasons.first(), first(CheckOutcome::Inconclusive)) {
            (Some(reason), _) => (format!("Nobody can tell: {}.", bare(reason)), None),
            (None, Some(check)) => (
                format!(
                    "Nobody can tell whether {}: {}.",
                    bare(&check.title),
                    bare(&short(&check.reason, SENTENCE))
                ),
                Some(check),
            ),
            (None, None) => (stop(reason), None),
        },
        Outcome::Refused => (format!("Nothing was touched: {}.", bare(reason)), None),
        Outcome::NotReady => {
            (format!("Nothing was touched, since not everything was ready: {}.", bare(reason)), None)
        }
        Outcome::RollbackIncomplete => (format!("A fault could not be undone: {}.", bare(reason)), None),
        Outcome::Aborted | Outcome::InternalError | Outcome::Ended => (stop(reason), None),
    };
    let text = format!("{} {game_day}", short(&text, SENTENCE * 2));
    (text.trim().to_owned(), check)
}

/// Without what the sentence adds itself.
fn bare(text: &str) -> &str {
    text.trim().trim_end_matches('.')
}

fn stop(text: &str) -> String {
    let mut characters = text.trim().trim_end_matches('.').chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

fn game_day(log: &Log<'_>) -> String {
    let faults = log.faults.iter().filter(|fault| fault.sent.is_some()).count();
    let loads = log.loads.iter().filter(|load| load.from.is_some()).count();
    let names = log.seen.iter().filter(|(.., state)| *state == "firing");
    let mut names: Vec<_> = names.filter_map(|(_, labels, _)| labels.get("alertname")).collect();
    names.sort_unstable();
    names.dedup();
    format!(
        "People injected {} by hand, started {}, saw {} fire and wrote {}. Nothing was to be proved.",
        count(faults, "fault"),
        count(loads, "load"),
        count(names.len(), "alert"),
        count(log.notes.len(), "note"),
    )
}

/// Checks that were not met, beside the one of the sentence: failed ones before those of which nobody can tell.
fn unmet(log: &Log<'_>, told: Option<&Check>, anchor: &dyn Fn(&str) -> String) -> Vec<Unmet> {
    let whole = matches!(log.verdict.outcome, Outcome::Failed | Outcome::Inconclusive);
    if !log.has_verdict() || !whole {
        return Vec::new();
    }
    // A reason that is the sentence's own need not be said again for each check.
    let reasons = log.verdict.reasons.join("; ");
    let of = |wanted: CheckOutcome| {
        let all = log.verdict.checks.iter().filter(move |check| check.outcome == wanted);
        all.filter(|check| told.is_none_or(|told| told.id != check.id))
    };
    let failed = of(CheckOutcome::Failed).chain(of(CheckOutcome::Inconclusive));
    let view = |check: &Check| {
        let (symbol, word, tone) = outcome(check.outcome);
        let reason = if reasons.contains(&check.reason) { String::new() } else { short(&check.reason, 160) };
        Unmet { anchor: anchor(&check.id), symbol, word, tone, title: check.title.clone(), reason }
    };
    failed.map(view).collect()
}

fn counts(log: &Log<'_>) -> Vec<Count> {
    if !log.has_verdict() || !log.was_judged() {
        return Vec::new();
    }
    let all = [CheckOutcome::Failed, CheckOutcome::Inconclusive, CheckOutcome::Passed];
    let counted =
        all.map(|one| (one, log.verdict.checks.iter().filter(|check| check.outcome == one).count()));
    let shown = counted.into_iter().filter(|(_, number)| *number > 0);
    shown
        .map(|(one, number)| {
            let (symbol, word, tone) = outcome(one);
            Count { symbol, text: format!("{number} {word}"), tone }
        })
        .collect()
}

fn facts(log: &Log<'_>) -> Vec<(String, String)> {
    let timing = Timing::of(log.events);
    let mut facts: Vec<(&str, String)> = vec![
        ("Run", log.run.to_owned()),
        ("Scenario", log.scenario.to_owned()),
        ("Began", date(log)),
        ("Took", took(&timing)),
    ];
    let (code, outcome) = (log.verdict.outcome.exit_code(), log.verdict.outcome);
    facts.push(("Exit code", format!("{code} ({outcome})")));
    if !log.finished {
        facts.push((
            "Log",
            "it has no end: the run did not finish, or was not when this was written".to_owned(),
        ));
    }
    match log.target {
        Some(target) => {
            facts.push(("Target", format!("{} ({})", target.context, target.server)));
            facts.push(("Namespace", log.plan.namespace.clone()));
            facts.push((
                "Versions",
                format!(
                    "Kubernetes {}, Prometheus {}, Alertmanager {}, harness {}",
                    target.kubernetes, target.prometheus, target.alertmanager, log.harness
                ),
            ));
        }
        None => {
            facts.push(("Namespace", log.plan.namespace.clone()));
            facts.push(("Versions", format!("harness {}; the target was not reached", log.harness)));
        }
    }
    if let Some((factor, _)) = log.compressed {
        facts.push(("Time", format!("compressed ×{factor}: no time here says how fast production would be")));
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `2026-11-21 18:15:17 UTC`.
fn date(log: &Log<'_>) -> String {
    let text = log.zero.to_string();
    match text.split_once('T') {
        Some((day, time)) => format!("{day} {} UTC", time.split('.').next().unwrap_or(time)),
        None => text,
    }
}

fn took(timing: &Timing) -> String {
    let mut parts = Vec::new();
    if let Some(demanded) =
        timing.demanded.filter(|demanded| *demanded > Millis(0) && *demanded <= timing.duration)
    {
        parts.push(format!("{} demanded by the scenario itself", long(demanded)));
    }
    if timing.bring_up > Millis(0) {
        parts.push(format!("{} to bring up the stack", timing.bring_up));
    }
    if timing.readiness > Millis(0) {
        parts.push(format!("{} to prove readiness", timing.readiness));
    }
    match parts.is_empty() {
        true => long(timing.duration),
        false => format!("{}, of it {}", long(timing.duration), parts.join(", ")),
    }
}
