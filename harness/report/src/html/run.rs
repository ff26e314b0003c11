//! What ran where, and how to do it again.

use harness_event::RunMode;
use serde::Serialize;

use super::{
    log::Log,
    page::HtmlOptions,
    table::Table,
    text::{elapsed, shell_word},
};

/// Context of the embedded cluster: it is used where no other is named.
const EMBEDDED: &str = "embedded";

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct RunView {
    pub(super) commands: Vec<Command>,
    /// Text and address.
    pub(super) links: Vec<(String, String)>,
    pub(super) environment: Table,
    pub(super) faults: Option<Table>,
    pub(super) outages: Option<Table>,
    pub(super) notes: Option<Table>,
}

/// A command line.
#[derive(Debug, Serialize)]
pub(super) struct Command {
    pub(super) what: &'static str,
    pub(super) line: String,
}

/// `harness COMMAND …` for the target and the state directory of the run.
pub(super) fn command(log: &Log<'_>, options: &HtmlOptions, rest: &str) -> String {
    let directory =
        options.state_dir.as_ref().map(|directory| format!("--state-dir {}", shell_word(directory)));
    let context = log.target.map(|target| target.context.as_str());
    let context = context.filter(|context| *context != EMBEDDED && !context.is_empty());
    let context = context.map(|context| format!("--context {}", shell_word(context)));
    let words = ["harness".to_owned()].into_iter().chain(directory).chain(context).chain([rest.to_owned()]);
    words.collect::<Vec<_>>().join(" ")
}

impl RunView {
    pub(super) fn of(log: &Log<'_>, options: &HtmlOptions) -> Self {
        let run = shell_word(log.run);
        let mut commands = Vec::new();
        if !log.verdict.left_behind.is_empty() {
            commands.push(("undo what is left", "recover".to_owned()));
        }
        match log.mode {
            RunMode::Scenario => {
                commands.push(("run it again", format!("run {}", shell_word(log.scenario))));
                commands.push(("judge it again from its log", format!("judge {run}")));
            }
            RunMode::GameDay => {
                commands.push(("make a scenario of it", format!("export-scenario {run}")));
            }
            RunMode::Watch => {}
        }
        commands.push(("watch it again", format!("replay {run}")));
        commands.push(("make this report again", format!("report {run} --format html")));
        let commands =
            commands.into_iter().map(|(what, rest)| Command { what, line: command(log, options, &rest) });
        // Whoever writes an address must not write a script.
        let harmless = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        let links = options.links.iter().filter(|link| harmless(&link.url));
        Self {
            links: links.map(|link| (link.title.clone(), link.url.clone())).collect(),
            commands: commands.collect(),
            environment: environment(log),
            faults: faults(log),
            outages: outages(log),
            notes: notes(log),
        }
    }
}

fn environment(log: &Log<'_>) -> Table {
    let mut table = Table::new("Where it ran", &[("what", false), ("value", false)]);
    let mut row = |what: &str, value: &str| {
        table.row([what.to_owned(), value.to_owned()]);
    };
    row("harness", log.harness);
    row("SHA-256 of the scenario", log.sha256);
    if let Some(target) = log.target {
        row("context", &target.context);
        row("API server", &target.server);
        row("Kubernetes", &target.kubernetes);
        row("Prometheus", &target.prometheus);
        row("Alertmanager", &target.alertmanager);
    }
    row("address of Prometheus", &log.plan.monitoring.prometheus);
    row("address of Alertmanager", &log.plan.monitoring.alertmanager);
    row("address of the receiver", &log.plan.monitoring.receiver);
    if let Some((offset, bound)) = log.clock {
        row("Prometheus' clock is ahead by", &format!("{offset}, give or take {bound}"));
    }
    if let Some((factor, unscaled)) = log.compressed {
        row("time is compressed", &format!("×{factor}"));
        for rule in unscaled {
            row("does not scale", rule);
        }
    }
    if let Some(history) = &log.plan.history {
        row(
            "a past that Prometheus was given",
            &format!("{} at {} requests/s", history.length, history.rate),
        );
    }
    row("events in the log", &log.events.len().to_string());
    table
}

fn faults(log: &Log<'_>) -> Option<Table> {
    let head = [
        ("fault", false),
        ("does", false),
        ("targets", false),
        ("undone by", false),
        ("applied", true),
        ("in effect", true),
        ("undoing", true),
        ("healed", true),
        ("went wrong", false),
    ];
    let mut table = Table::new("Faults", &head);
    let time = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), elapsed);
    for fault in &log.faults {
        let mut wrong: Vec<_> = fault.errors.iter().map(|(_, what, why)| format!("{what}: {why}")).collect();
        if fault.stopped.is_some() {
            wrong.push("stopped by hand before its time".to_owned());
        }
        let row = table.row([
            fault.name.to_owned(),
            fault.action(),
            fault.targets.join(", "),
            fault.inverse.to_owned(),
            time(fault.sent),
            time(fault.effect),
            time(fault.revert_sent),
            time(fault.healed),
            wrong.join("; "),
        ]);
        row.tone = if fault.errors.is_empty() { "" } else { "bad" };
    }
    table.if_any()
}

fn outages(log: &Log<'_>) -> Option<Table> {
    let head = [("observer", false), ("from", true), ("to", true), ("why", false)];
    let mut table = Table::new("Times in which an observer was blind", &head);
    for (observer, stretch, error) in &log.outages {
        let to = stretch.to.map_or_else(|| "never came back".to_owned(), elapsed);
        table.row([(*observer).to_owned(), elapsed(stretch.from), to, (*error).to_owned()]).tone = "warn";
    }
    table.if_any()
}

fn notes(log: &Log<'_>) -> Option<Table> {
    let mut table = Table::new("Notes that people wrote", &[("since start", true), ("note", false)]);
    for (at, text) in &log.notes {
        table.row([elapsed(*at), (*text).to_owned()]);
    }
    table.if_any()
}
