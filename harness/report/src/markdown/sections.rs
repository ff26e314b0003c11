//! The parts of a summary.

use harness_event::{
    Check, CheckOutcome, Detection, Event, EventKind, ExpectationKind, Millis, Outcome, Plan, Resolution,
    RunMode, RunTarget, Scaling, Timestamp, Verdict,
};

use super::{
    MarkdownOptions,
    document::Document,
    escape::{code, is_invisible, text},
};
use crate::{
    duration::{between, latency, long, percent, trimmed, window},
    loads::LoadReport,
    objectives::{SloReport, burn},
    result::RunResult,
    timeline::{FaultSpan, Timeline},
};

/// Failed checks whose reasons stand at the top.
const FIRST_REASONS: usize = 8;

pub(super) fn all(events: &[Event], verdict: &Verdict, options: &MarkdownOptions) -> String {
    let Some(run) = Run::of(events, verdict) else {
        return "# ⚠️ No run\n\nThe log does not begin with a run.\n".to_owned();
    };
    let end = run.again(options);
    let mut document = Document::new(end.len());
    document.paragraph(&run.title());
    for paragraph in run.verdict() {
        document.paragraph(&paragraph);
    }
    document.list("Left behind", &run.left_behind());
    // Of a run that was stopped half-way nothing was looked at: a table of it would only hide the reason.
    if !run.stopped() {
        document.table(
            "Expectations",
            ["", "expectation", "measured", "deadline", "what was seen"],
            &run.checks(),
        );
        let detections: Vec<_> = verdict.detections.iter().map(detection).collect();
        document.table(
            "Detection: from the effect, resolved from the end of the fault",
            ["alert", "effect (UTC)", "pending", "firing", "delivered", "resolved", "told"],
            &detections,
        );
        document.list("Unexpected alerts", &run.unexpected());
    }
    let faults: Vec<_> = run.timeline.faults.iter().map(|fault| run.fault(fault)).collect();
    document.table(
        "Faults",
        ["fault", "what it did", "sent", "effect", "undoing", "as before", "remark"],
        &faults,
    );
    run.loads(&mut document);
    let budgets: Vec<_> = run.result.slos.iter().map(budget).collect();
    document.table(
        "Error budgets",
        ["SLO", "objective", "errors", "budget spent", "as time", "exhausted in", "highest burn rate"],
        &budgets,
    );
    let scalings: Vec<_> = run.result.autoscalers.iter().map(scaling).collect();
    document.table(
        "Autoscalers",
        ["autoscaler", "limits", "replicas", "most after", "back after", "turns", "ready within"],
        &scalings,
    );
    document.list("Notes", &run.notes());
    document
        .list("What limits these figures", &verdict.caveats.iter().map(|one| text(one)).collect::<Vec<_>>());
    document.finish(&end)
}

/// What all parts need.
struct Run<'a> {
    events: &'a [Event],
    verdict: &'a Verdict,
    plan: &'a Plan,
    mode: RunMode,
    result: RunResult,
    timeline: Timeline,
}

impl<'a> Run<'a> {
    fn of(events: &'a [Event], verdict: &'a Verdict) -> Option<Self> {
        let EventKind::RunStarted { plan, mode, .. } = &events.first()?.kind else { return None };
        let (result, timeline) = (RunResult::of(events, verdict)?, Timeline::of(events));
        Some(Self { events, verdict, plan, mode: *mode, result, timeline })
    }

    fn title(&self) -> String {
        let outcome = self.verdict.outcome;
        let symbol = match outcome {
            Outcome::Passed => "✅",
            Outcome::Ended => "📋",
            Outcome::Inconclusive | Outcome::Aborted => "⚠️",
            Outcome::Failed
            | Outcome::Refused
            | Outcome::NotReady
            | Outcome::RollbackIncomplete
            | Outcome::InternalError => "❌",
        };
        let title = text(&self.result.title);
        format!("# {symbol} {}: {title}", outcome.to_string().to_uppercase())
    }

    /// The sentence that says why, then what the run was.
    fn verdict(&self) -> Vec<String> {
        let mut paragraphs = Vec::new();
        paragraphs.push(format!("**{}**", self.counts()));
        let count = self.verdict.checks.len();
        if self.stopped() && count > 0 {
            let what = if count == 1 { "1 expectation was" } else { &format!("{count} expectations were") };
            paragraphs.push(format!("{what} not judged."));
        }
        let reasons: Vec<_> = self.reasons().collect();
        let shown = reasons.iter().take(FIRST_REASONS).map(|reason| format!("- {reason}"));
        let more = reasons.len().saturating_sub(FIRST_REASONS);
        let more = (more > 0).then(|| format!("- and {more} more, in the table below"));
        let lines: Vec<_> = shown.chain(more).collect();
        if !lines.is_empty() {
            paragraphs.push(lines.join("\n"));
        }
        let timing = &self.result.timing;
        let mut facts = Vec::new();
        if !self.result.scenario.is_empty() {
            facts.push(code(&self.result.scenario, false));
        }
        facts.push(format!("run {}", code(&self.result.run, false)));
        facts.push(date(self.result.started_at));
        facts.push(format!("took {}", timing.duration));
        facts.extend(self.result.target.as_ref().map(target));
        facts.extend(
            self.result.compressed.map(|factor| format!("time compressed ×{factor}, not a latency claim")),
        );
        facts.push(format!("harness {}", text(&self.result.harness)));
        paragraphs.push(facts.join(" · "));
        paragraphs
    }

    fn counts(&self) -> String {
        let checks = &self.verdict.checks;
        let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
        let (passed, failed) = (count(CheckOutcome::Passed), count(CheckOutcome::Failed));
        let unclear = count(CheckOutcome::Inconclusive);
        match self.verdict.outcome {
            Outcome::Refused => {
                "The scenario cannot be met by this system as it is configured; nothing was touched."
                    .to_owned()
            }
            Outcome::NotReady => {
                "The system or its monitoring never got ready; nothing was touched.".to_owned()
            }
            Outcome::Ended => "A game day: nothing was to be proved, and everything is undone.".to_owned(),
            Outcome::Aborted => "Stopped before its end; everything is rolled back.".to_owned(),
            Outcome::RollbackIncomplete => {
                "A fault could not be undone: something is left in the cluster.".to_owned()
            }
            Outcome::InternalError => "The harness itself failed; everything is rolled back.".to_owned(),
            Outcome::Passed | Outcome::Failed | Outcome::Inconclusive => {
                let others = [(failed, "failed"), (unclear, "inconclusive")];
                let others = others.into_iter().filter(|(count, _)| *count > 0);
                let others: Vec<_> = others.map(|(count, word)| format!(", {count} {word}")).collect();
                format!("{passed} of {} checks passed{}.", checks.len(), others.concat())
            }
        }
    }

    /// It did not come to its end, so that its expectations say nothing.
    fn stopped(&self) -> bool {
        matches!(
            self.verdict.outcome,
            Outcome::Refused | Outcome::NotReady | Outcome::Aborted | Outcome::InternalError
        )
    }

    fn reasons(&self) -> impl Iterator<Item = String> {
        let of_run = self.verdict.reasons.iter().map(|reason| text(reason));
        let stopped = self.stopped();
        let of_checks =
            self.sorted().into_iter().filter(move |check| !stopped && check.outcome != CheckOutcome::Passed);
        let of_checks = of_checks
            // What the run's own reasons say already is not said again for every check.
            .filter(|check| !self.verdict.reasons.contains(&check.reason))
            .map(|check| format!("{}: {}", code(&check.id, false), text(&check.reason)));
        of_run.chain(of_checks)
    }

    /// The worst first, else in the scenario's order.
    fn sorted(&self) -> Vec<&'a Check> {
        let mut checks: Vec<_> = self.verdict.checks.iter().collect();
        checks.sort_by_key(|check| std::cmp::Reverse(check.outcome));
        checks
    }

    fn checks(&self) -> Vec<[String; 5]> {
        let time =
            |length: Option<Millis>| length.map_or_else(|| "–".to_owned(), |length| length.to_string());
        let row = |check: &Check| {
            let outcome = match check.outcome {
                CheckOutcome::Passed => "✅ passed",
                CheckOutcome::Failed => "❌ failed",
                CheckOutcome::Inconclusive => "⚠️ inconclusive",
            };
            [
                outcome.to_owned(),
                code(&check.id, true),
                time(check.measured),
                time(check.deadline),
                text(&check.reason),
            ]
        };
        self.sorted().into_iter().map(row).collect()
    }

    fn left_behind(&self) -> Vec<String> {
        let mut items: Vec<_> = self.verdict.left_behind.iter().map(|left| text(left)).collect();
        if !items.is_empty() {
            items.push(format!("undo it: {}", code(&format!("harness recover {}", self.result.run), false)));
        }
        items
    }

    fn unexpected(&self) -> Vec<String> {
        let kinds = self.plan.expectations.iter();
        let ids = kinds.filter(|one| one.kind == ExpectationKind::NoUnexpectedAlert).map(|one| &one.id);
        let check = |id: &String| self.verdict.checks.iter().find(|check| check.id == *id);
        ids.filter_map(check).map(|check| text(&check.reason)).collect()
    }

    fn fault(&self, fault: &FaultSpan) -> [String; 7] {
        let time = |at: Option<Timestamp>| {
            at.map_or_else(|| "–".to_owned(), |at| format!("+{}", self.timeline.since_start(at)))
        };
        let remark = match (&fault.error, fault.stopped) {
            (Some(error), _) => text(error),
            (None, true) => "undone before its time, by hand".to_owned(),
            (None, false) => String::new(),
        };
        [
            code(&fault.fault, true),
            text(&fault.what),
            time(fault.sent_at),
            time(fault.effect_at),
            time(fault.revert_at),
            time(fault.healed_at),
            remark,
        ]
    }

    fn loads(&self, document: &mut Document) {
        let rows: Vec<_> = self.result.loads.iter().flat_map(load).collect();
        document.table(
            "Loads",
            ["load", "phase", "requests", "rate", "errors", "p50", "p95", "p99", "max"],
            &rows,
        );
        let remarks: Vec<_> = self.result.loads.iter().filter_map(load_remark).collect();
        document.list("", &remarks);
    }

    fn notes(&self) -> Vec<String> {
        let note = |event: &Event| match &event.kind {
            EventKind::NoteWritten { text: note } => Some(format!("+{} {}", event.elapsed, text(note))),
            _ => None,
        };
        self.events.iter().filter_map(note).collect()
    }

    /// How to do it again, and how to look closer.
    fn again(&self, options: &MarkdownOptions) -> String {
        let run = &self.result.run;
        let mut lines = vec!["### Again".to_owned(), String::new(), "```sh".to_owned()];
        let again = match self.mode {
            RunMode::Scenario => format!("{}  # the same experiment", self.command()),
            _ => format!("harness export-scenario {}  # the same as a scenario", quoted(run)),
        };
        lines.push(again);
        for (command, what) in [
            ("replay", "look at it again, second by second"),
            ("report", "the reports once more: HTML, JUnit, JSON, trace"),
        ] {
            lines.push(format!("harness {command} {}  # {what}", quoted(run)));
        }
        lines.push("```".to_owned());
        lines.push(String::new());
        if !options.links.is_empty() {
            let links = options.links.iter().take(20);
            let links: Vec<_> =
                links.map(|link| format!("[{}]({})", text(&link.title), address(&link.url))).collect();
            lines.push(format!("In Grafana, at the time of the run: {}", links.join(" · ")));
            lines.push(String::new());
        }
        lines.join("\n")
    }

    fn command(&self) -> String {
        let mut words = vec!["harness".to_owned()];
        match self.result.target.as_ref().map(|target| target.context.as_str()) {
            None | Some("embedded") => {}
            Some("kubeconfig") => words.push("--kubeconfig FILE".to_owned()),
            Some(context) => words.push(format!("--context {}", quoted(context))),
        }
        words.push("run".to_owned());
        words.extend(self.result.compressed.map(|factor| format!("--compress {factor}")));
        words.push(quoted(&self.result.scenario));
        words.join(" ")
    }
}

fn target(target: &RunTarget) -> String {
    format!(
        "{}, Kubernetes {}, Prometheus {}, Alertmanager {}",
        text(&target.context),
        text(&target.kubernetes),
        text(&target.prometheus),
        text(&target.alertmanager)
    )
}

/// `2026-11-21 18:14:23 UTC`.
fn date(at: Timestamp) -> String {
    let text = at.to_string();
    let whole = text.split('.').next().unwrap_or(&text).replace('T', " ");
    format!("{} UTC", whole.trim_end_matches('Z'))
}

fn detection(one: &Detection) -> [String; 7] {
    let since_effect = |at| between(one.effect_at, at);
    let since_heal = |at| one.healed_at.map_or_else(|| "-".to_owned(), |healed| between(healed, at));
    let how = match one.resolution {
        Some(Resolution::Absence) => " by absence",
        Some(Resolution::Unknown) => " (unknown how)",
        Some(Resolution::Explicit) | None => "",
    };
    [
        code(&one.alert, true),
        one.effect_at.clock(),
        since_effect(one.pending_at),
        since_effect(one.firing_at),
        since_effect(one.delivered_at),
        format!("{}{how}", since_heal(one.resolved_at)),
        since_heal(one.resolved_delivered_at),
    ]
}

fn load(report: &LoadReport) -> Vec<[String; 9]> {
    let dash = || "–".to_owned();
    let row = |one: &crate::loads::LoadFigures| {
        let times = &one.stats.latency;
        let phase = match &one.step {
            Some(step) => format!("{} {}", one.phase, code(step, true)),
            None => one.phase.to_string(),
        };
        let [p50, p95, p99, max] = [times.p50, times.p95, times.p99, times.max].map(latency);
        [
            code(&report.load, true),
            phase,
            one.stats.requests.to_string(),
            one.rate.map_or_else(dash, |rate| format!("{}/s", trimmed(rate, 1))),
            one.error_ratio.map_or_else(dash, percent),
            p50,
            p95,
            p99,
            max,
        ]
    };
    report.figures.iter().map(row).collect()
}

fn load_remark(report: &LoadReport) -> Option<String> {
    let name = code(&report.load, false);
    match (&report.error, report.model.as_str()) {
        (Some(error), _) => Some(format!("{name} could not be carried out: {}", text(error))),
        (None, "open") => Some(format!(
            "{name}: latencies from the intended start; {} of {} begun, at most {} behind",
            report.begun, report.due, report.most_behind
        )),
        (None, _) => None,
    }
}

fn budget(one: &SloReport) -> [String; 7] {
    let dash = || "–".to_owned();
    let name = code(&one.slo, true);
    if let Some(error) = &one.missing {
        return [name, dash(), format!("not known: {}", text(error)), dash(), dash(), dash(), dash()];
    }
    let objective = one.objective.zip(one.period);
    let count = |events: f64| trimmed(events, if events.abs() < 100.0 { 1 } else { 0 });
    let errors = one.errors.zip(one.total);
    let peak = |one: &crate::objectives::WindowReport| {
        format!("{} {}", window(one.window), one.peak.map_or_else(dash, burn))
    };
    [
        name,
        objective.map_or_else(dash, |(ratio, period)| format!("{} over {}", percent(ratio), window(period))),
        errors.map_or_else(dash, |(errors, total)| format!("{} of {}", count(errors), count(total))),
        one.budget_spent.map_or_else(dash, percent),
        one.spent_time.map_or_else(dash, long),
        match (one.exhausted_in, one.budget_spent) {
            (Some(length), _) => long(length),
            (None, Some(_)) => "never".to_owned(),
            (None, None) => dash(),
        },
        one.windows.iter().map(peak).collect::<Vec<_>>().join(", "),
    ]
}

fn scaling(one: &Scaling) -> [String; 7] {
    let time = |length: Option<Millis>| length.map_or_else(|| "–".to_owned(), |length| length.to_string());
    [
        code(&one.autoscaler, true),
        format!("{} to {}", one.min, one.max),
        format!("{} → {} → {}", one.from, one.most, one.to),
        time(one.reached_after),
        time(one.back_after),
        one.direction_changes.to_string(),
        time(one.worst_lag),
    ]
}

/// A word of a shell command.
fn quoted(word: &str) -> String {
    let word: String = word.chars().filter(|c| !is_invisible(*c)).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    // A fence within the block would end it.
    let word = word.replace("```", "'''");
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// An address that cannot end its link.
fn address(url: &str) -> String {
    let escape = |c: char| match c {
        '(' => "%28".to_owned(),
        ')' => "%29".to_owned(),
        '<' => "%3C".to_owned(),
        '>' => "%3E".to_owned(),
        '\\' => "%5C".to_owned(),
        c if c.is_whitespace() || is_invisible(c) => "%20".to_owned(),
        c => c.to_string(),
    };
    url.chars().map(escape).collect()
}
