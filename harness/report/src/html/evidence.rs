//! What an outcome rests on.

use harness_event::{
    AlertExpectation, Check, Expectation, ExpectationKind, HttpExpectation, IntervalEnd, LabelMatcher,
    Millis, PromqlExpectation, Window, WorkloadExpectation,
};
use serde::Serialize;

use super::{
    evidence_of_load, lanes_of_alerts,
    log::Log,
    runs_of::runs,
    table::Table,
    text::{alert, elapsed, short},
    way::Way,
};
use crate::duration::latency;

/// Two times of resolution that are no farther apart, in milliseconds, are the same one: clocks differ.
const SAME_RESOLUTION: i64 = 1500;

/// Evidence of one check.
#[derive(Debug, Default, Serialize)]
pub(super) struct Evidence {
    /// Anchor and id of the check that has the evidence, where several rest on the same.
    pub(super) same: Option<(String, String)>,
    /// What it is about, to find those.
    #[serde(skip)]
    pub(super) about: String,
    pub(super) way: Option<Way>,
    /// Queries, expressions, requests.
    pub(super) code: Vec<Code>,
    /// Sentences.
    pub(super) notes: Vec<String>,
    pub(super) tables: Vec<Table>,
}

/// Something that was asked, word for word.
#[derive(Debug, Serialize)]
pub(super) struct Code {
    pub(super) title: String,
    pub(super) text: String,
}

impl Evidence {
    pub(super) fn code(&mut self, title: impl Into<String>, text: impl Into<String>) {
        self.code.push(Code { title: title.into(), text: text.into() });
    }

    /// Only the picture stays: the rest is where that other check is.
    pub(super) fn refer_to(&mut self, anchor: &str, id: &str) {
        self.same = Some((anchor.to_owned(), id.to_owned()));
        self.code.clear();
        self.notes.clear();
        self.tables.clear();
        if let Some(way) = &mut self.way {
            way.table = None;
        }
    }

    pub(super) fn table(&mut self, table: Table) {
        self.tables.extend(table.if_any());
    }
}

/// Collects it.
pub(super) fn of(log: &Log<'_>, check: &Check, expectation: &Expectation) -> Evidence {
    let mut evidence = Evidence::default();
    match &expectation.kind {
        ExpectationKind::Alert(wanted) => of_alert(log, expectation, wanted, &mut evidence),
        ExpectationKind::NoUnexpectedAlert => {
            let table = super::alerts::active(
                log,
                "Alerts that were neither expected nor allowed",
                true,
                &|labels| {
                    !lanes_of_alerts::is_expected(log, labels) && !lanes_of_alerts::is_allowed(log, labels)
                },
            );
            evidence.table(table);
        }
        ExpectationKind::Http(wanted) => of_http(log, expectation, wanted, &mut evidence),
        ExpectationKind::Promql(wanted) => of_promql(log, check, wanted, &mut evidence),
        ExpectationKind::Workload(wanted) => of_workload(log, wanted, &mut evidence),
        ExpectationKind::Recovery { .. } => of_recovery(log, &mut evidence),
        ExpectationKind::Load(wanted) => evidence_of_load::of_load(log, wanted, &mut evidence),
        ExpectationKind::Autoscaler(wanted) => evidence_of_load::of_autoscaler(log, wanted, &mut evidence),
        ExpectationKind::Slo(wanted) => evidence_of_load::of_slo(log, wanted, &mut evidence),
    }
    evidence
}

fn of_alert(log: &Log<'_>, expectation: &Expectation, wanted: &AlertExpectation, evidence: &mut Evidence) {
    let matchers = wanted.matchers();
    let detection = log.verdict.detections.iter().find(|one| {
        let same = one.alert == wanted.alert && one.fault == expectation.fault;
        same && (one.labels.is_empty() || LabelMatcher::all(&matchers, &one.labels))
    });
    evidence.about = format!("{} {}", lanes_of_alerts::name(wanted), expectation.fault);
    evidence.way = detection.map(|detection| Way::of(log, expectation, detection));
    for rule in log.rules.iter().filter(|rule| rule.alert == wanted.alert) {
        let mut labels = rule.labels.clone();
        labels.insert("alertname".to_owned(), rule.alert.clone());
        if !wanted.labels.is_empty() && !rule_may_match(wanted, &labels) {
            continue;
        }
        let title = format!(
            "Rule in group {}, for {}{}",
            rule.group,
            rule.pending_for,
            match rule.keep_firing_for {
                Millis(0) => String::new(),
                length => format!(", keep_firing_for {length}"),
            }
        );
        evidence.code(title, rule.expression.clone());
    }
    evidence.table(super::alerts::active(log, "What Prometheus recorded", false, &|labels| {
        LabelMatcher::all(&matchers, labels)
    }));
    evidence.table(notifications(log, &matchers));
    // An alert of several label sets is checked once for each: its own is the one of its own time.
    let own = detection.and_then(|one| one.resolved_at).map(|at| log.ms(at));
    let near = |at: i64| own.is_some_and(|own| (own - at).abs() <= SAME_RESOLUTION);
    let inputs = || log.inputs.iter().filter(|(name, ..)| *name == wanted.alert);
    let known = inputs().any(|(_, at, ..)| near(*at));
    for (_, at, present, detail) in inputs().filter(|(_, at, ..)| !known || near(*at)) {
        let word = if *present { "were there" } else { "were NOT there" };
        let title = format!("Inputs of the expression {word} when it resolved at {}", elapsed(*at));
        evidence.code(title, detail.replace("; ", "\n"));
    }
    for (at, labels, by) in
        log.suppressed.iter().filter(|(_, labels, _)| LabelMatcher::all(&matchers, labels))
    {
        evidence.notes.push(format!("Alertmanager held {} back at {}: {by}.", alert(labels), elapsed(*at)));
    }
}

/// A rule's own labels may decide; what the expression adds cannot be known.
fn rule_may_match(wanted: &AlertExpectation, labels: &harness_event::Labels) -> bool {
    wanted.labels.iter().all(|matcher| !labels.contains_key(&matcher.name) || matcher.matches(labels))
}

fn notifications(log: &Log<'_>, matchers: &[LabelMatcher]) -> Table {
    let mut table = Table::new(
        "Notifications at the receiver",
        &[("since start", true), ("receiver", false), ("status", false), ("alerts", false)],
    );
    for notification in &log.notifications {
        for status in ["firing", "resolved"] {
            let about = notification.alerts.iter();
            let about = about.filter(|one| one.status == status && LabelMatcher::all(matchers, &one.labels));
            let names: Vec<_> = about.map(|one| alert(&one.labels)).collect();
            if !names.is_empty() {
                let at = elapsed(log.ms(notification.received_at));
                table.row([
                    at,
                    notification.receiver.clone(),
                    status.to_owned(),
                    short(&names.join(", "), 300),
                ]);
            }
        }
    }
    table
}

/// How a record of an alert's state ended.
pub(super) fn ended(log: &Log<'_>, end: IntervalEnd) -> String {
    match end {
        IntervalEnd::Stale(at) => elapsed(log.theirs(at)),
        IntervalEnd::Open => "goes on".to_owned(),
        IntervalEnd::Unknown => "unknown: its samples stop".to_owned(),
    }
}

/// The window that an expectation looks at, with a name.
fn window(log: &Log<'_>, fault: &str, window: Window) -> (Option<i64>, Option<i64>, &'static str) {
    let (from, to) = log.cause(fault);
    match window {
        Window::During => {
            let sent = log.fault(fault).and_then(|fault| fault.sent);
            (sent.or(from), to, "during")
        }
        Window::After => {
            let healed = log.fault(fault).and_then(|fault| fault.healed);
            (healed.or(to), None, "after")
        }
    }
}

fn of_http(log: &Log<'_>, expectation: &Expectation, wanted: &HttpExpectation, evidence: &mut Evidence) {
    let probe = log.plan.probes.iter().find(|probe| probe.name == wanted.probe);
    if let Some(step) = probe.and_then(|probe| probe.steps.iter().find(|step| step.name == wanted.step)) {
        evidence.code(
            format!("Request of {}, step {}", wanted.probe, wanted.step),
            format!("{} {}", step.method, step.url),
        );
    }
    let (from, to, name) = window(log, &expectation.fault, wanted.window);
    let Some(from) = from else { return };
    let inside = |at: i64| at >= from && to.is_none_or(|to| at <= to);
    let answers = log
        .answers
        .iter()
        .filter(|answer| answer.probe == wanted.probe && answer.step == wanted.step && inside(answer.at));
    let said = answers.map(|answer| {
        let slow = wanted.max_latency.is_some_and(|most| answer.latency_us > most.0.max(0) as u64 * 1000);
        let body_fits = wanted.body_contains.as_ref().is_none_or(|text| answer.body.contains(text.as_str()));
        let word = match (answer.status == Some(wanted.status), body_fits, slow) {
            (false, ..) => "no: its status",
            (true, false, _) => "no: its text",
            (true, true, true) => "no: too slow",
            (true, true, false) => "yes",
        };
        let status = answer.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let body = answer.error.unwrap_or_else(|| answer.body.lines().next().unwrap_or(""));
        // A healthy answer's body is of no interest, and may hold what is nobody's business.
        let body = if answer.healthy { "" } else { body };
        let told = format!("{word}\n{status}\n{}\n{}", latency(answer.latency_us), short(body, 160));
        (answer.at, word == "yes", told)
    });
    let mut table = Table::new(
        format!("Answers {name} {}", expectation.fault),
        &[
            ("first sent", true),
            ("last sent", true),
            ("answers", true),
            ("as expected", false),
            ("status", false),
            ("time of the first", true),
            ("body or error of the first", false),
        ],
    );
    for run in runs_by_status(said.collect()) {
        let mut parts = run.text.splitn(4, '\n').map(str::to_owned);
        let [word, status, time, body] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        let cells = [elapsed(run.from), elapsed(run.last), run.count.to_string(), word, status, time, body];
        table.row(cells).tone = if run.ok { "" } else { "bad" };
    }
    evidence.table(table);
}

/// Joins answers with the same status: their times differ, as always.
fn runs_by_status(said: Vec<(i64, bool, String)>) -> Vec<super::runs_of::Run> {
    let mut joined: Vec<super::runs_of::Run> = Vec::new();
    for run in runs(said) {
        let status = |text: &str| text.split('\n').take(2).map(str::to_owned).collect::<Vec<_>>();
        match joined.last_mut() {
            Some(last) if last.ok == run.ok && status(&last.text) == status(&run.text) => {
                (last.last, last.until, last.count) = (run.last, run.until, last.count + run.count);
            }
            _ => joined.push(run),
        }
    }
    joined
}

fn of_promql(log: &Log<'_>, check: &Check, wanted: &PromqlExpectation, evidence: &mut Evidence) {
    evidence.code(format!("Query; every value must be {}", wanted.is), wanted.query.clone());
    let Some((samples, error)) = log.promql.get(check.id.as_str()) else {
        evidence.notes.push("Its values were never read.".to_owned());
        return;
    };
    if let Some(error) = error {
        evidence.notes.push(format!("Its values could not be read: {error}."));
    }
    let mut table = Table::new(
        "Values at each evaluation; the same ones in one row",
        &[("since start", true), ("until", true), ("evaluations", true), ("holds", false), ("values", false)],
    );
    let mut rows: Vec<(i64, i64, usize, &'static str, String)> = Vec::new();
    for sample in samples.iter() {
        let at = log.theirs(sample.at);
        let values: Vec<_> = sample.values.iter().take(8).map(ToString::to_string).collect();
        let more = sample.values.len().saturating_sub(8);
        let text = match (values.is_empty(), more) {
            (true, _) => "no series".to_owned(),
            (false, 0) => values.join(", "),
            (false, more) => format!("{} and {more} more", values.join(", ")),
        };
        let holds = match sample.values.iter().all(|value| wanted.is.holds(*value)) {
            _ if sample.values.is_empty() => "nothing returned",
            true => "yes",
            false => "no",
        };
        match rows.last_mut() {
            Some(last) if last.3 == holds && last.4 == text => (last.1, last.2) = (at, last.2 + 1),
            _ => rows.push((at, at, 1, holds, text)),
        }
    }
    for (from, to, number, holds, text) in rows {
        let tone = if holds == "yes" { "" } else { "warn" };
        table.row([elapsed(from), elapsed(to), number.to_string(), holds.to_owned(), text]).tone = tone;
    }
    evidence.table(table);
}

fn of_workload(log: &Log<'_>, wanted: &WorkloadExpectation, evidence: &mut Evidence) {
    let mut table = Table::new(
        format!("Replicas of {}, as its watch delivered them", wanted.workload),
        &[("since start", true), ("desired", true), ("ready", true), ("available", true)],
    );
    for seen in log.workloads.iter().filter(|seen| seen.workload == wanted.workload) {
        let cells = [seen.desired, seen.ready, seen.available].map(|number| number.to_string());
        table.row(std::iter::once(elapsed(log.ms(seen.seen_at))).chain(cells)).tone =
            if seen.ready < wanted.ready { "warn" } else { "" };
    }
    evidence.table(table);
}

fn of_recovery(log: &Log<'_>, evidence: &mut Evidence) {
    let mut table = Table::new(
        "Checks of the steady state; the same answers in one row",
        &[
            ("check", false),
            ("since start", true),
            ("until", true),
            ("answers", true),
            ("holds", false),
            ("first answer", false),
        ],
    );
    for check in &log.plan.steady_state {
        let answers = log.steady.iter().filter(|steady| steady.check == check.name);
        let said: Vec<_> = answers.map(|steady| (steady.at, steady.ok, steady.detail.to_owned())).collect();
        for run in runs(said) {
            let word = if run.ok { "yes" } else { "no" };
            let cells = [
                check.name.clone(),
                elapsed(run.from),
                elapsed(run.last),
                run.count.to_string(),
                word.to_owned(),
                short(&run.text, 200),
            ];
            table.row(cells).tone = if run.ok { "" } else { "warn" };
        }
    }
    evidence.table(table);
}
