//! Was the monitoring system itself undisturbed? If not, neither "the alert came" nor "it did not" means anything.

use super::facts::{Facts, Observed};
use crate::{AlertmanagerHealth, Millis, PrometheusHealth, Timestamp};

/// Process start times are whole seconds on some systems.
const SAME_START: Millis = Millis(1500);
/// Two clocks that are kept by NTP may move against each other by so much in a run.
const CLOCKS_AGREE: Millis = Millis(50);

/// What disturbed Prometheus, or the times that it is compared by, between the end of the baseline and the end of the run.
pub(super) fn prometheus_disturbances(facts: &Facts<'_>) -> Vec<String> {
    let mut found = clock_disturbances(facts);
    found.extend(server_disturbances(facts));
    found
}

/// Times of two clocks mean nothing together if nobody knows how the clocks stand to each other.
fn clock_disturbances(facts: &Facts<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if facts.clock.is_none() {
        found.push("Prometheus' clock was not compared with ours".to_owned());
    }
    if facts.clock_drift > CLOCKS_AGREE {
        found.push(format!("Prometheus' clock moved by {} against ours during the run", facts.clock_drift));
    }
    if facts.clock_jump > Millis(0) {
        found.push(format!("this machine's clock was changed by {} during the run", facts.clock_jump));
    }
    found
}

fn server_disturbances(facts: &Facts<'_>) -> Vec<String> {
    let (first, last) = match ends(facts, |observed| observed.prometheus.is_some()) {
        Ok(ends) => ends,
        Err(reason) => return vec![format!("Prometheus could not be observed: {reason}")],
    };
    let Some((first_health, _)) = first.prometheus.zip(last.prometheus) else { return Vec::new() };
    let mut found = Vec::new();
    for health in facts.observed.iter().filter_map(|observed| observed.prometheus) {
        add_prometheus(first_health, health, &mut found);
    }
    found
}

fn add_prometheus(before: &PrometheusHealth, after: &PrometheusHealth, found: &mut Vec<String>) {
    let mut say = |text: String| {
        if !found.contains(&text) {
            found.push(text);
        }
    };
    if restarted(before.started_at, after.started_at) {
        say("Prometheus restarted during the run".to_owned());
    } else {
        if after.config_loaded_at != before.config_loaded_at {
            say("Prometheus loaded its configuration anew during the run".to_owned());
        }
        if after.iterations_missed > before.iterations_missed {
            say("Prometheus missed rule evaluations (prometheus_rule_group_iterations_missed_total rose)"
                .to_owned());
        }
        if after.evaluation_failures > before.evaluation_failures {
            say("rule evaluations failed (prometheus_rule_evaluation_failures_total rose)".to_owned());
        }
    }
    for rule in &after.sick_rules {
        say(format!("rule not healthy: {rule}"));
    }
}

/// What disturbed the way from Prometheus to the receiver, beside [`prometheus_disturbances`].
pub(super) fn delivery_disturbances(facts: &Facts<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let gap = facts.receiver_loss.or(facts.receiver_gap);
    if let Some(error) = gap {
        found.push(format!("the alert receiver could not be followed: {error}"));
    }
    let (first, last) = match ends(facts, |observed| observed.alertmanager.is_some()) {
        Ok(ends) => ends,
        Err(reason) => {
            found.push(format!("Alertmanager could not be observed: {reason}"));
            return found;
        }
    };
    if let Some((before, after)) = first.alertmanager.zip(last.alertmanager) {
        add_alertmanager(before, after, &mut found);
    }
    if let Some((before, after)) = first.prometheus.zip(last.prometheus)
        && !restarted(before.started_at, after.started_at)
    {
        if after.notifications_dropped > before.notifications_dropped {
            found.push(
                "Prometheus dropped notifications (prometheus_notifications_dropped_total rose)".to_owned(),
            );
        }
        if after.notification_errors > before.notification_errors {
            found.push(
                "Prometheus could not send notifications (prometheus_notifications_errors_total rose)"
                    .to_owned(),
            );
        }
    }
    found
}

fn add_alertmanager(before: &AlertmanagerHealth, after: &AlertmanagerHealth, found: &mut Vec<String>) {
    if restarted(before.started_at, after.started_at) {
        found.push("Alertmanager restarted during the run".to_owned());
        return;
    }
    if after.config_loaded_at != before.config_loaded_at {
        found.push("Alertmanager loaded its configuration anew during the run".to_owned());
    }
    if after.notifications_failed > before.notifications_failed {
        found.push(
            "Alertmanager could not deliver to a webhook (alertmanager_notifications_failed_total rose)"
                .to_owned(),
        );
    }
}

fn restarted(before: Timestamp, after: Timestamp) -> bool {
    (after - before).0.abs() > SAME_START.0
}

/// First and last observation. Both must have an answer of the component, and they must be two.
fn ends<'f, 'a>(
    facts: &'f Facts<'a>,
    answered: impl Fn(&Observed<'a>) -> bool,
) -> Result<(&'f Observed<'a>, &'f Observed<'a>), String> {
    let errors = |observed: &Observed<'_>| match observed.errors {
        [] => "no answer".to_owned(),
        errors => errors.join("; "),
    };
    match facts.observed.as_slice() {
        [first, .., last] => match (answered(first), answered(last)) {
            (true, true) => Ok((first, last)),
            (false, _) => Err(format!("before the fault: {}", errors(first))),
            (true, false) => Err(format!("at the end: {}", errors(last))),
        },
        _ => Err("it was not looked at before and after the fault".to_owned()),
    }
}
