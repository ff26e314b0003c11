//! Problems that make a scenario unable to succeed on this monitoring system, found before anything is touched.

use harness_event::{AlertExpectation, AlertState, Expectation, ExpectationKind, Millis, Plan};

use super::{
    bounds::{figures, longest_input_range, routes, whole},
    loaded::Loaded,
    rules::{self, AlertingRule, RuleGroup},
    text::{listed, nearest},
};

/// What a look at the loaded configuration says about a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// Each makes the run pointless: what is wrong, and what to do about it.
    pub problems: Vec<String>,
    /// Things to know that do not forbid the run: possible inhibitions, muted routes.
    pub notes: Vec<String>,
}

/// Checks every expected alert against the loaded rules, targets and routes.
pub fn preflight(plan: &Plan, loaded: &Loaded) -> Preflight {
    let mut found = Preflight::default();
    for expectation in &plan.expectations {
        if let ExpectationKind::Alert(alert) = &expectation.kind {
            check(expectation, alert, loaded, &mut found);
        }
    }
    // Several expectations about one alert share most of their problems.
    for list in [&mut found.problems, &mut found.notes] {
        let mut seen = std::collections::BTreeSet::new();
        list.retain(|text| seen.insert(text.clone()));
    }
    found
}

fn check(expectation: &Expectation, alert: &AlertExpectation, loaded: &Loaded, found: &mut Preflight) {
    let named: Vec<_> =
        rules::alerting(&loaded.groups).filter(|(_, rule)| rule.name == alert.alert).collect();
    if named.is_empty() {
        found.problems.push(not_loaded(alert, loaded));
        return;
    }
    let candidates = loaded.candidates(alert);
    let (group, rule) = match candidates.as_slice() {
        [] => {
            let why = named.iter().flat_map(|(_, rule)| loaded.known_labels(rule).contradictions(alert));
            found.problems.push(format!(
                "alert {}: {}. Correct the labels in the scenario or in the rule",
                alert.alert,
                why.collect::<Vec<_>>().join("; "),
            ));
            return;
        }
        [one] => *one,
        several => {
            found.problems.push(ambiguous(alert, several));
            return;
        }
    };
    if rule.health == "err" {
        found.problems.push(format!(
            "alert {}: its rule in group {:?} fails: {}. Prometheus keeps it in its last state; correct the rule",
            alert.alert, group.name, rule.last_error,
        ));
    }
    check_history(alert, group, rule, loaded, found);
    check_route(alert, rule, loaded, found);
    check_deadline(expectation, alert, group, rule, loaded, found);
}

fn not_loaded(alert: &AlertExpectation, loaded: &Loaded) -> String {
    let names: Vec<&str> = rules::alerting(&loaded.groups).map(|(_, rule)| rule.name.as_str()).collect();
    let hint = match nearest(&alert.alert, &names) {
        Some(near) => format!("Did you mean {near}?"),
        None if names.is_empty() => "It has no alerting rule at all: are the rule files mounted?".to_owned(),
        None => format!("It has: {}", all_names(&names)),
    };
    format!("alert {}: Prometheus has no rule of that name. {hint}", alert.alert)
}

fn ambiguous(alert: &AlertExpectation, rules: &[(&RuleGroup, &AlertingRule)]) -> String {
    let each = rules.iter().map(|(group, rule)| {
        let labels = rule
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        format!("group {:?} with {{{labels}}}", group.name)
    });
    format!(
        "alert {}: {} rules have that name and may all be meant ({}). Name a label in the scenario that tells them apart, or \
         remove the duplicate",
        alert.alert,
        rules.len(),
        each.collect::<Vec<_>>().join("; "),
    )
}

/// A range that is longer than the data makes ratios and burn rates far too quick (rule C19).
fn check_history(
    alert: &AlertExpectation,
    group: &RuleGroup,
    rule: &AlertingRule,
    loaded: &Loaded,
    found: &mut Preflight,
) {
    if let (Some(range), Some(age)) = (longest_input_range(group, rule, loaded), loaded.data_age)
        && range > age
    {
        found.notes.push(format!(
            "alert {}: its rule looks back {range}, but Prometheus has data of {age} only: it may fire sooner than on a server \
             with full history",
            alert.alert,
        ));
    }
}

fn check_route(alert: &AlertExpectation, rule: &AlertingRule, loaded: &Loaded, found: &mut Preflight) {
    if alert.state != AlertState::Delivered {
        return;
    }
    let reached = routes(alert, rule, loaded);
    if let (Some(receiver), true) = (&alert.receiver, reached.is_empty()) {
        let receivers: Vec<&str> = loaded.routing.receivers().collect();
        found.problems.push(if receivers.contains(&receiver.as_str()) {
            let anywhere = AlertExpectation { receiver: None, ..alert.clone() };
            let mut actual: Vec<String> =
                routes(&anywhere, rule, loaded).into_iter().map(|route| format!("{:?}", route.receiver)).collect();
            actual.dedup();
            format!(
                "alert {}: Alertmanager routes it to {}, never to {receiver:?}. Correct the receiver in the scenario or the route",
                alert.alert,
                actual.join(" or "),
            )
        } else {
            let hint = match nearest(receiver, &receivers) {
                Some(near) => format!("Did you mean {near:?}?"),
                None => format!("It has: {}", all_names(&receivers)),
            };
            format!("alert {}: Alertmanager has no receiver {receiver:?}. {hint}", alert.alert)
        });
        return;
    }
    let muted = reached
        .iter()
        .filter(|route| !route.mute_time_intervals.is_empty() || !route.active_time_intervals.is_empty());
    for route in muted {
        found.notes.push(format!(
            "alert {}: its route to {:?} is muted by time intervals ({}); in such a time it is not delivered",
            alert.alert,
            route.receiver,
            [&route.mute_time_intervals[..], &route.active_time_intervals[..]].concat().join(", "),
        ));
    }
    let known = loaded.known_labels(rule);
    for rule in loaded.routing.possible_inhibitions(&known.fixed, |name| known.is_open(name)) {
        let source = rule.source.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        found.notes.push(format!(
            "alert {}: it may be inhibited while an alert with {{{source}}} fires",
            alert.alert
        ));
    }
}

fn check_deadline(
    expectation: &Expectation,
    alert: &AlertExpectation,
    group: &RuleGroup,
    rule: &AlertingRule,
    loaded: &Loaded,
    found: &mut Preflight,
) {
    let subject = || format!("{} within {}", expectation.id, alert.within);
    let needed = match alert.state {
        AlertState::Firing | AlertState::Delivered => whole(rule.duration, group.interval),
        AlertState::Pending | AlertState::Resolved => Millis(0),
    };
    let Some(bound) = figures(alert, loaded) else { return };
    if needed > Millis(0) && needed >= alert.within {
        found.problems.push(format!(
            "{}: can never be met, because the rule waits {} (its `for`) before it fires. Shorten `for`, or set the deadline \
             to {} or more",
            subject(),
            rule.duration,
            bound.worst,
        ));
    } else if bound.worst > alert.within {
        found.problems.push(format!(
            "{}: below what this configuration can keep: up to {} ({}). Raise the deadline to {} or more, or shorten the \
             intervals",
            subject(),
            bound.worst,
            bound.terms,
            bound.worst,
        ));
    }
}

fn all_names(names: &[&str]) -> String {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    listed(&sorted)
}
