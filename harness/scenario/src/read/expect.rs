//! `[expect]`

use harness_event::{AlertState, LabelMatcher, MatchOp, PromqlMode, Window};
use toml::de::DeValue;

use super::{objectives, unique};
use crate::{
    draft::{AlertDraft, ExpectDraft, HttpDraft, PromqlDraft, WorkloadDraft},
    problems::{Found, Issue, Problems},
    reader::Reader,
    syntax::type_name,
    values,
};

const WINDOWS: [(&str, Window); 2] = [("during", Window::During), ("after", Window::After)];
const DEADLINES: [(&str, AlertState); 4] = [
    ("pending_within", AlertState::Pending),
    ("firing_within", AlertState::Firing),
    ("delivered_within", AlertState::Delivered),
    ("resolved_within", AlertState::Resolved),
];

pub(super) fn read(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> ExpectDraft {
    let recovery_within = table.duration("recovery_within", problems);
    let allowed = allowed(table, problems);
    let (alerts, http) = (table.tables("alert", problems), table.tables("http", problems));
    let (promql, workloads) = (table.tables("promql", problems), table.tables("workload", problems));
    let (loads, autoscalers) = (table.tables("load", problems), table.tables("autoscaler", problems));
    let slos = table.tables("slo", problems);
    let written = [&alerts, &http, &promql, &workloads, &loads, &autoscalers, &slos].map(Vec::len);
    let draft = ExpectDraft {
        span: table.span.clone(),
        allowed,
        alerts: alerts.iter().map(|table| alert(table, problems)).collect(),
        http: http.iter().map(|table| self::http(table, problems)).collect(),
        promql: promql.iter().map(|table| self::promql(table, problems)).collect(),
        workloads: workloads.iter().map(|table| workload(table, problems)).collect(),
        loads: loads.iter().map(|table| objectives::load(table, problems)).collect(),
        autoscalers: autoscalers.iter().map(|table| objectives::autoscaler(table, problems)).collect(),
        slos: slos.iter().map(|table| objectives::slo(table, problems)).collect(),
        written: written.iter().sum::<usize>() + usize::from(table.has("recovery_within")),
        recovery_within,
    };
    unique(draft.http.iter().filter_map(|draft| draft.name.as_ref()), "HTTP expectations", problems);
    unique(draft.promql.iter().filter_map(|draft| draft.name.as_ref()), "PromQL expectations", problems);
    draft
}

fn alert(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> AlertDraft {
    let alert = table.get("alert", problems, values::alert_name);
    let labels = table.get("labels", problems, |value, _| values::matchers(value, &[]));
    let labels = labels.map_or_else(Vec::new, |found| warned(found, problems));
    let fault = table.get("fault", problems, values::name);
    let receiver = table.get("receiver", problems, values::line);
    let deadlines: Vec<_> = DEADLINES
        .into_iter()
        .filter_map(|(key, state)| Some((state, table.duration(key, problems)?)))
        .collect();
    if !DEADLINES.iter().any(|(key, _)| table.has_or_meant(key)) {
        let hint = format!("add one of {}", DEADLINES.map(|(key, _)| key).join(", "));
        problems
            .incomplete(&table.span, Issue::new("the alert has no deadline: nothing is expected").hint(hint));
    }
    match (table.has_or_meant("delivered_within"), table.has_or_meant("receiver")) {
        (true, false) => {
            let issue =
                Issue::new("missing key \"receiver\" in [[expect.alert]]: to whom is the alert delivered?");
            let hint =
                "the receiver's name in Alertmanager's configuration; the embedded stack's is \"harness\"";
            problems.incomplete(&table.place("delivered_within"), issue.hint(hint));
        }
        (false, true) => {
            let issue = Issue::new("`receiver` says nothing without `delivered_within`");
            problems
                .error(&table.place("receiver"), issue.hint("add delivered_within = \"15s\", or remove it"));
        }
        _ => {}
    }
    AlertDraft { span: table.span.clone(), alert, labels, fault, receiver, deadlines }
}

fn http(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> HttpDraft {
    let name = table.get("name", problems, values::name);
    let probe = table.get("probe", problems, values::name);
    let step = table.get("step", problems, values::name);
    let fault = table.get("fault", problems, values::name);
    let window = table.get("window", problems, |value, _| values::one_of(value, &WINDOWS));
    let status = table.integer("status", problems);
    let body_contains = table.get("body_contains", problems, values::body_part);
    let within = table.duration("within", problems);
    let max_latency = table.duration("max_latency", problems);
    HttpDraft {
        span: table.span.clone(),
        name,
        fault,
        probe,
        step,
        window,
        status: status.and_then(|found| u16::try_from(found.value).ok()),
        body_contains: body_contains.map(|found| found.value),
        within,
        max_latency,
    }
}

fn promql(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> PromqlDraft {
    const MODES: [&str; 3] = ["within", "stays", "until"];
    let name = table.get("name", problems, values::name);
    let query = table.get("query", problems, values::query);
    let is = table.get("is", problems, values::comparison);
    let fault = table.get("fault", problems, values::name);
    let window = table.get("window", problems, |value, _| values::one_of(value, &WINDOWS));
    let modes = [PromqlMode::Within, PromqlMode::Stays, PromqlMode::Until];
    let modes: Vec<Found<PromqlMode>> = MODES
        .iter()
        .zip(modes)
        .filter_map(|(key, mode)| {
            let Found { value, span, given } = table.duration(key, problems)?;
            Some(Found { value: mode(value), span, given })
        })
        .collect();
    let given: Vec<&str> = MODES.into_iter().filter(|key| table.has_or_meant(key)).collect();
    match given.as_slice() {
        [] => {
            let issue = Issue::new("the expectation does not say when it must hold");
            problems.incomplete(
                &table.span,
                issue.hint("add one of within, stays, until, such as within = \"10s\""),
            );
        }
        [_] => {}
        [first, rest @ ..] => {
            for other in rest {
                let issue = Issue::new(format!("`{first}` and `{other}` exclude each other"));
                problems.error(&table.place(other), issue.hint("write two [[expect.promql]] tables"));
            }
        }
    }
    PromqlDraft {
        span: table.span.clone(),
        name,
        fault,
        query: query.map(|found| found.value),
        is: is.map(|found| found.value),
        window,
        mode: modes.into_iter().next(),
    }
}

fn workload(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> WorkloadDraft {
    let workload = table.get("workload", problems, values::workload);
    let ready = table.integer("ready", problems);
    let within = table.duration("within", problems);
    let fault = table.get("fault", problems, values::name);
    WorkloadDraft {
        span: table.span.clone(),
        fault,
        workload,
        ready: ready.and_then(|found| i32::try_from(found.value).ok()),
        within,
    }
}

/// `allow_alerts`: tables of an alert name (a matcher too) and further labels.
fn allowed(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Vec<Vec<LabelMatcher>> {
    let Some(found) = table.get("allow_alerts", problems, |value, _| {
        let Some(items) = value.as_array() else {
            return Err(Issue::new(format!("expected a list of tables, this is {}", type_name(value))).hint(
                "write [ { alert = \"Watchdog\" }, { alert = \"=~Gallery.*\", severity = \"ticket\" } ]",
            ));
        };
        Ok(items.iter().map(|item| (item.span(), allowed_alert(item.get_ref()))).collect::<Vec<_>>())
    }) else {
        return Vec::new();
    };
    let mut allowed = Vec::new();
    for (span, entry) in found.value {
        match entry {
            Ok((matchers, suspicious)) => {
                for issue in suspicious {
                    let span = issue.span.clone().unwrap_or_else(|| span.clone());
                    problems.warning(&span, issue);
                }
                allowed.push(matchers);
            }
            Err(issue) => problems
                .error(&span, Issue { message: format!("`allow_alerts`: {}", issue.message), ..issue }),
        }
    }
    allowed
}

fn allowed_alert(value: &DeValue<'_>) -> Result<(Vec<LabelMatcher>, Vec<Issue>), Issue> {
    const HINT: &str = "write { alert = \"Watchdog\" }, and labels beside it if needed";
    let Some(entries) = value.as_table() else {
        return Err(Issue::new(format!("expected a table, this is {}", type_name(value))).hint(HINT));
    };
    let Some((key, name)) = entries.get_key_value("alert") else {
        return Err(Issue::new("the name of the alert is missing").hint(HINT));
    };
    let span = name.span();
    let name = values::matcher("alertname", name.get_ref()).map_err(|issue| issue.at(&span))?;
    if name.op == MatchOp::Equal && name.value.is_empty() {
        return Err(Issue::new("the name of the alert is empty").hint(HINT).at(&span));
    }
    let (labels, mut suspicious) = values::matchers(value, &[key.get_ref().as_ref()])?;
    suspicious.extend(values::suspicion(&name).map(|issue| issue.at(&span)));
    // No alert has this name: what matches it nevertheless matches about everything.
    let any = [("alertname".to_owned(), "~ no such alert ~".to_owned())].into_iter().collect();
    if labels.is_empty() && name.matches(&any) {
        let issue = Issue::new("allows nearly every alert: then an unexpected one does not fail the run");
        suspicious.push(issue.hint("name the alerts that may become active").at(&span));
    }
    Ok((std::iter::once(name).chain(labels).collect(), suspicious))
}

/// The matchers; what is suspicious about them becomes warnings.
fn warned(found: Found<(Vec<LabelMatcher>, Vec<Issue>)>, problems: &mut Problems<'_>) -> Vec<LabelMatcher> {
    let (matchers, suspicious) = found.value;
    for issue in suspicious {
        let span = issue.span.clone().unwrap_or_else(|| found.span.clone());
        problems.warning(&span, issue);
    }
    matchers
}
