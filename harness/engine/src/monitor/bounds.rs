//! How fast an alert can be seen, and how late it may be, from the loaded configuration (rules C7 to C9).

use std::collections::BTreeSet;

use harness_event::{AlertExpectation, AlertState, DetectionBound, ExpectationKind, Millis, Plan};

use super::{
    MatchedRoute, Target,
    expression::{Selector, longest_range, parse, selectors},
    loaded::Loaded,
    rules::{AlertingRule, Rule, RuleGroup},
};

/// Bound with the figures that the terms are made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) earliest: Millis,
    pub(super) worst: Millis,
    pub(super) terms: String,
}

/// Bounds of all expected alerts whose rule is loaded.
pub fn bounds(plan: &Plan, loaded: &Loaded) -> Vec<DetectionBound> {
    let alerts = plan.expectations.iter().filter_map(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) => Some((expectation, alert)),
        _ => None,
    });
    alerts
        .filter_map(|(expectation, alert)| {
            let Figures { earliest, worst, terms } = figures(alert, loaded)?;
            Some(DetectionBound { expectation: expectation.id.clone(), earliest, worst, terms })
        })
        .collect()
}

/// Earliest and worst time for the expected state; of several rules that may be meant, the earliest and the worst of all.
pub(super) fn figures(expected: &AlertExpectation, loaded: &Loaded) -> Option<Figures> {
    let all = loaded
        .candidates(expected)
        .into_iter()
        .map(|(group, rule)| rule_figures(expected, group, rule, loaded));
    all.reduce(|a, b| {
        let earliest = a.earliest.min(b.earliest);
        let slower = if b.worst > a.worst { b } else { a };
        Figures { earliest, ..slower }
    })
}

fn rule_figures(
    expected: &AlertExpectation,
    group: &RuleGroup,
    rule: &AlertingRule,
    loaded: &Loaded,
) -> Figures {
    let interval = group.interval;
    let mut sum = Sum::default();
    let inputs = Inputs::of(group, rule, loaded);
    if let Some((scrape, timeout)) = inputs.scrape {
        sum.at_most("scrape interval", scrape);
        // A target that hangs costs its time limit, and faults make targets hang.
        sum.at_most("scrape", timeout);
    }
    if inputs.recording > Millis(0) {
        sum.at_most("recording rules", inputs.recording);
    }
    sum.at_most("evaluation interval", interval);
    match expected.state {
        AlertState::Pending => {}
        AlertState::Firing => sum.whole("for", rule.duration, interval),
        AlertState::Delivered => {
            sum.whole("for", rule.duration, interval);
            let routes = routes(expected, rule, loaded);
            if let Some(wait) = routes.iter().map(|route| route.group_wait).max() {
                sum.at_most("group wait", wait);
            }
            let longer = routes.iter().map(|route| route.group_interval.max(route.group_wait)).max();
            if let Some(longer) =
                longer.filter(|longer| routes.iter().all(|route| route.group_wait < *longer))
            {
                sum.notes
                    .push(format!("in a group that is already active up to {longer} instead of group wait"));
            }
        }
        AlertState::Resolved => sum.whole("keep_firing_for", rule.keep_firing_for, interval),
    }
    if let Some(range) = inputs.range {
        let what = if expected.state == AlertState::Resolved { "drain" } else { "fill" };
        sum.notes.push(format!("window {what} up to {range}, not counted"));
    }
    sum.figures()
}

/// The longest range that the rule or a recording rule below it looks back.
pub(super) fn longest_input_range(group: &RuleGroup, rule: &AlertingRule, loaded: &Loaded) -> Option<Millis> {
    Inputs::of(group, rule, loaded).range
}

/// Routes to the expected receiver, or all that the alert may take.
pub(super) fn routes(expected: &AlertExpectation, rule: &AlertingRule, loaded: &Loaded) -> Vec<MatchedRoute> {
    let known = loaded.known_labels(rule);
    let mut labels = known.fixed.clone();
    // What the scenario says about the alert that it waits for holds for the alert that counts.
    for matcher in expected.labels.iter().filter(|matcher| matcher.op == harness_event::MatchOp::Equal) {
        labels.entry(matcher.name.clone()).or_insert_with(|| matcher.value.clone());
    }
    let mut routes = loaded.routing.possible_routes(&labels, |name| known.is_open(name));
    if let Some(receiver) = &expected.receiver {
        routes.retain(|route| route.receiver == *receiver);
    }
    routes
}

/// `ceil(length / interval) * interval`: only evaluations count.
pub(super) fn whole(length: Millis, interval: Millis) -> Millis {
    let interval = interval.0.max(1);
    Millis((length.0.max(0) as u64).div_ceil(interval as u64) as i64 * interval)
}

/// Terms of a sum, from nothing or from all of each.
#[derive(Default)]
struct Sum {
    terms: Vec<(String, Millis, bool)>,
    notes: Vec<String>,
}

impl Sum {
    fn at_most(&mut self, name: &str, length: Millis) {
        self.terms.push((name.to_owned(), length, false));
    }

    /// A wait that ends at an evaluation.
    fn whole(&mut self, name: &str, length: Millis, interval: Millis) {
        let whole = whole(length, interval);
        if whole > Millis(0) {
            let name = if whole == length {
                name.to_owned()
            } else {
                format!("{name} {length}, in whole evaluations")
            };
            self.terms.push((name, whole, true));
        }
    }

    fn figures(self) -> Figures {
        let earliest = self.terms.iter().filter(|(_, _, exact)| *exact).map(|(_, length, _)| *length).sum();
        let worst = self.terms.iter().map(|(_, length, _)| *length).sum();
        let terms = self.terms.iter().map(|(name, length, exact)| match exact {
            true => format!("{name} {length}"),
            false => format!("{name} 0..{length}"),
        });
        let mut terms = terms.collect::<Vec<_>>().join(" + ");
        if !self.notes.is_empty() {
            terms = format!("{terms} ({})", self.notes.join("; "));
        }
        Figures { earliest, worst, terms }
    }
}

/// What an expression is made of, recording rules followed to their own inputs.
#[derive(Default)]
struct Inputs {
    /// Longest scrape interval and time limit of the targets; none if no series is selected.
    scrape: Option<(Millis, Millis)>,
    /// Delay by recording rules in other groups, or later in the same one.
    recording: Millis,
    /// Longest range.
    range: Option<Millis>,
}

impl Inputs {
    fn of(group: &RuleGroup, rule: &AlertingRule, loaded: &Loaded) -> Self {
        let position =
            group.rules.iter().position(|one| one.as_alerting() == Some(rule)).unwrap_or(group.rules.len());
        let mut inputs = Self::default();
        inputs.recording = inputs.add(&rule.query, group, position, loaded, &mut BTreeSet::new());
        inputs
    }

    /// Adds the inputs of an expression; returns the delay that recording rules bring.
    fn add(
        &mut self,
        expr: &str,
        group: &RuleGroup,
        position: usize,
        loaded: &Loaded,
        followed: &mut BTreeSet<String>,
    ) -> Millis {
        let Ok(parsed) = parse(expr) else {
            // Not understood: any target may be meant.
            self.scraped(loaded.targets.iter());
            return Millis(0);
        };
        self.range = self.range.max(longest_range(&parsed).map(Millis::from));
        let mut delay = Millis(0);
        for selector in selectors(&parsed) {
            let recorded: Vec<_> = loaded
                .groups
                .iter()
                .flat_map(|other| other.rules.iter().enumerate().map(move |(at, rule)| (other, at, rule)))
                .filter_map(|(other, at, rule)| match rule {
                    Rule::Recording(recording) if Some(recording.name.as_str()) == selector.metric() => {
                        Some((other, at, recording))
                    }
                    _ => None,
                })
                .collect();
            if recorded.is_empty() {
                self.scraped(selected(&selector, &loaded.targets));
                continue;
            }
            if !followed.insert(selector.metric().unwrap_or_default().to_owned()) {
                continue;
            }
            for (other, at, recording) in recorded {
                // A rule later in a group sees what an earlier one wrote in the same evaluation.
                let same_evaluation = other.file == group.file && other.name == group.name && at < position;
                let own = if same_evaluation { Millis(0) } else { other.interval };
                let below = self.add(&recording.query, other, at, loaded, followed);
                delay = delay.max(own + below);
            }
        }
        delay
    }

    fn scraped<'a>(&mut self, targets: impl Iterator<Item = &'a Target>) {
        for target in targets {
            let (interval, timeout) = self.scrape.unwrap_or_default();
            self.scrape = Some((interval.max(target.scrape_interval), timeout.max(target.scrape_timeout)));
        }
    }
}

/// Targets that the selector's series can come from, judged by the matchers on target labels; all if that leaves none (its
/// pods may not be there now).
fn selected<'a>(selector: &Selector, targets: &'a [Target]) -> impl Iterator<Item = &'a Target> + use<'a> {
    let alerts = matches!(selector.metric(), Some("ALERTS" | "ALERTS_FOR_STATE"));
    let fits = |target: &&Target| {
        let on_target = selector.matchers().filter(|matcher| target.labels.contains_key(&matcher.name));
        on_target.into_iter().all(|matcher| matcher.is_match(&target.labels[&matcher.name]))
    };
    let fitting: Vec<&Target> = targets.iter().filter(fits).collect();
    let chosen = match (alerts, fitting.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => targets.iter().collect(),
        (false, false) => fitting,
    };
    chosen.into_iter()
}
