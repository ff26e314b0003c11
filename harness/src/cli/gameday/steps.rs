//! The commands of scripts, and how they are read.

use std::{collections::BTreeMap, time::Duration};

use harness_event::FaultSpec;
use harness_scenario::catalogue;

/// What there is, for `--help` and for people who ask.
pub(super) const HELP: &str = "  \
  inject KIND KEY=VALUE ...     inject scale deployment=postgres replicas=0 duration=10s
  plan KIND KEY=VALUE ...       what that would do, without doing it
  stop FAULT                    undo a fault before its time
  load start NAME, load stop NAME
  note TEXT
  wait 10s                      wait so long
  wait steady [FOR]             until the steady state of the scenario holds; at most so long (5m)
  wait faults|loads|alerts [FOR]  until none is on any more: faults undone, loads ended, alerts resolved that began since
                                the first fault and that the scenario does not allow
  targets                       what can be broken
  finish                        the end; the same as the end of the input
  # ...                         a comment";

/// How long is waited for something at most, unless a line says otherwise.
const PATIENCE: Duration = Duration::from_secs(300);

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Inject a fault.
    Inject(FaultSpec),
    /// Say what it would do.
    Plan(FaultSpec),
    /// Undo a fault.
    Stop(String),
    /// Start a load.
    StartLoad(String),
    /// Stop a load.
    StopLoad(String),
    /// Write a note.
    Note(String),
    /// Wait.
    Wait(Wait),
    /// Say what can be broken.
    Targets,
    /// Say which commands there are.
    Help,
    /// End the game day.
    Finish,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Time.
    For(Duration),
    /// No fault is on.
    Faults(Duration),
    /// No load runs.
    Loads(Duration),
    /// No alert is active that was not before, but for those that the scenario allows.
    Alerts(Duration),
    /// The steady state holds.
    Steady(Duration),
}

/// Reads a line; none if there is nothing in it.
pub(super) fn read(line: &str) -> Result<Option<Step>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (command, rest) =
        line.split_once(char::is_whitespace).map_or((line, ""), |(one, rest)| (one, rest.trim()));
    if command == "note" {
        // As it stands: a note is no list of words.
        return match rest {
            "" => Err("note: the text is missing".to_owned()),
            text => Ok(Some(Step::Note(text.to_owned()))),
        };
    }
    let words = words(rest)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let step = match (command, words.as_slice()) {
        ("inject", [kind, values @ ..]) => Step::Inject(fault(kind, values)?),
        ("plan", [kind, values @ ..]) => Step::Plan(fault(kind, values)?),
        ("inject" | "plan", []) => return Err(format!("{command}: the kind is missing, one of {}", kinds())),
        ("stop", [fault]) => Step::Stop((*fault).to_owned()),
        ("load", ["start", load]) => Step::StartLoad((*load).to_owned()),
        ("load", ["stop", load]) => Step::StopLoad((*load).to_owned()),
        ("wait", rest) => Step::Wait(wait(rest)?),
        ("targets", []) => Step::Targets,
        ("help" | "?", []) => Step::Help,
        ("finish" | "quit" | "exit", []) => Step::Finish,
        ("stop", _) => return Err("stop: write `stop FAULT`".to_owned()),
        ("load", _) => return Err("load: write `load start NAME` or `load stop NAME`".to_owned()),
        ("targets" | "help" | "?" | "finish" | "quit" | "exit", _) => {
            return Err(format!("{command}: nothing comes after it"));
        }
        (other, _) => {
            return Err(format!(
                "there is no command {other:?}: inject, plan, stop, load, note, wait, targets or finish"
            ));
        }
    };
    Ok(Some(step))
}

fn kinds() -> String {
    catalogue::kinds().iter().map(|kind| kind.kind).collect::<Vec<_>>().join(", ")
}

/// A fault from its kind and `KEY=VALUE`s. `deployment=NAME` stands for `workload=deployment/NAME`.
fn fault(kind: &str, values: &[&str]) -> Result<FaultSpec, String> {
    let fields = catalogue::kinds().into_iter().find(|one| one.kind == kind).map(|one| one.fields);
    let workload = fields.iter().flatten().find(|field| field.choice == catalogue::Choice::Workloads);
    let mut given = BTreeMap::new();
    for value in values {
        let (key, value) =
            value.split_once('=').ok_or_else(|| format!("{value:?} is not written as KEY=VALUE"))?;
        let (key, value) = match (key, workload) {
            ("deployment", Some(workload)) => (workload.key.as_str(), format!("deployment/{value}")),
            _ => (key, value.to_owned()),
        };
        if given.insert(key.to_owned(), value).is_some() {
            return Err(format!("{key} stands there twice"));
        }
    }
    catalogue::fault(kind, &given).map_err(|problems| problems.join("; "))
}

fn wait(words: &[&str]) -> Result<Wait, String> {
    const FORMS: &str = "wait: write `wait 10s`, or `wait` with faults, loads, alerts or steady";
    let length =
        |text: &str| super::super::values::duration(text).map_err(|why| format!("wait {text}: {why}"));
    let (what, limit) = match words {
        [what] => (*what, PATIENCE),
        [what @ ("faults" | "loads" | "alerts" | "steady"), limit] => (*what, length(limit)?),
        _ => return Err(FORMS.to_owned()),
    };
    Ok(match what {
        "faults" => Wait::Faults(limit),
        "loads" => Wait::Loads(limit),
        "alerts" => Wait::Alerts(limit),
        "steady" => Wait::Steady(limit),
        time if time.starts_with(|c: char| c.is_ascii_digit()) => Wait::For(length(time)?),
        _ => return Err(FORMS.to_owned()),
    })
}

/// Words with blanks between them; one in quotes may have blanks, and quotes after a backslash.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next_if(|c| c.is_whitespace()).or_else(|| chars.peek().copied()) {
        if first.is_whitespace() {
            continue;
        }
        let (mut word, mut quoted) = (String::new(), false);
        while let Some(c) = chars.peek().copied() {
            if c.is_whitespace() && !quoted {
                break;
            }
            chars.next();
            match c {
                '"' => quoted = !quoted,
                '\\' if quoted => word.extend(chars.next()),
                c => word.push(c),
            }
        }
        if quoted {
            return Err("a quote is not closed".to_owned());
        }
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use harness_event::{FaultAction, Millis, WorkloadRef};

    use super::*;

    #[test]
    fn a_line_is_a_command() {
        let step = |line: &str| read(line).unwrap().unwrap();
        let Step::Inject(fault) = step("inject scale deployment=postgres replicas=0 duration=10s") else {
            panic!()
        };
        let workload = WorkloadRef { kind: "Deployment".into(), name: "postgres".into() };
        assert_eq!(fault.action, FaultAction::Scale { workload, replicas: 0 });
        assert_eq!((fault.name.as_str(), fault.duration), ("scale-postgres", Millis(10_000)));
        let Step::Plan(fault) =
            step("plan delete_pods selector=\"env in (a, b),app=api\" duration=5s name=kill")
        else {
            panic!()
        };
        assert!(
            matches!(fault.action, FaultAction::DeletePods { selector, .. } if selector == "env in (a, b),app=api")
        );
        assert_eq!(step("  note  the \"pager\" rang "), Step::Note("the \"pager\" rang".into()));
        assert_eq!(step("load start surge"), Step::StartLoad("surge".into()));
        assert_eq!(step("stop db"), Step::Stop("db".into()));
        assert_eq!(step("wait 1.5s"), Step::Wait(Wait::For(Duration::from_millis(1500))));
        assert_eq!(step("wait alerts 2m"), Step::Wait(Wait::Alerts(Duration::from_secs(120))));
        assert_eq!(read(" # nothing "), Ok(None));
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (line, part) in [
            ("explode", "no command \"explode\""),
            ("inject", "one of scale, delete_pods, restart"),
            ("inject scale postgres", "KEY=VALUE"),
            ("inject scale deployment=a deployment=b replicas=0 duration=1s", "twice"),
            ("inject scale deployment=a replicas=some duration=1s", "expected an integer"),
            ("inject scael deployment=a", "did you mean \"scale\"?"),
            ("note", "text is missing"),
            ("load surge", "load start NAME"),
            ("wait", "wait 10s"),
            ("wait pods", "wait 10s"),
            ("wait 10", "unit"),
            ("finish now", "nothing comes after"),
            ("inject delete_pods selector=\"a", "not closed"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
