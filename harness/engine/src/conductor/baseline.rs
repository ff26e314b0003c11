//! Baseline: the system is well and the expected alerts are quiet. Without that, a fault would prove nothing.

use std::{collections::BTreeMap, time::Duration};

use harness_event::{Event, EventKind, ExpectationKind, LabelMatcher, Labels, Millis, Timestamp};
use tokio::{sync::watch, time::sleep};

use super::{autoscaling, session::Session};
use crate::{
    load::Loads,
    monitor::{chain, promql_duration},
    observe::SteadyState,
};

/// Time that the steady state gets to come about, beside the time for which it must hold.
const PATIENCE: Duration = Duration::from_secs(40);
/// Pause between two looks at the alerts.
const POLL: Duration = Duration::from_millis(250);

/// Waits until the steady state has held for the time asked for under the loads of the background, with every expected alert
/// quiet and every autoscaler at rest. On `Err` the faults must not be injected; the reason is for people.
pub(super) async fn establish(
    session: &Session,
    steady: &mut watch::Receiver<SteadyState>,
    loads: &Loads,
) -> Result<(), String> {
    // What held before the loads were there is no baseline of a system in use.
    let under_load = loads.establish().await?.unwrap_or_default();
    let needed = session.plan.baseline;
    let limit = PATIENCE + needed.to_duration();
    let quiet = quiet_times(session, &session.log.events());
    let mut why = "nothing was checked yet".to_owned();
    let wait = async {
        loop {
            // Taken before the alerts are asked for, so that both hold at one time.
            let state = steady.borrow_and_update().clone();
            // A load that is over does not come back.
            loads.standing()?;
            match (state, unfit(session, &quiet).await) {
                (_, Err(reason)) | (SteadyState::Broken(reason), Ok(())) => why = reason,
                (SteadyState::Unknown, Ok(())) => {}
                (SteadyState::HoldsSince(since), Ok(())) => {
                    let held = Timestamp::now() - since.max(under_load);
                    if held >= needed {
                        return Ok::<(), String>(());
                    }
                    why = format!("the steady state has held for {held} of {needed}");
                    sleep((needed - held).to_duration()).await;
                    continue;
                }
            }
            let _ = tokio::time::timeout(POLL, steady.changed()).await;
        }
    };
    match tokio::time::timeout(limit, wait).await {
        Ok(established) => established?,
        Err(_) => return Err(format!("{why} (waited {})", Millis::from(limit))),
    }
    let alerts = session.prometheus.baseline().await.map_err(|error| chain(&error))?;
    session.log.record(EventKind::BaselineTaken { alerts });
    Ok(())
}

/// Ok unless a fault would prove nothing now.
async fn unfit(session: &Session, quiet: &BTreeMap<String, Millis>) -> Result<(), String> {
    autoscaling::at_rest(&session.plan, &session.log.events())?;
    active_expected(session, quiet).await
}

/// How long each expected alert must have been quiet, by its selector. At least the baseline; and no shorter than a sound
/// pipeline may need to show it, since an alert that paused for less is flapping and comes back without any fault.
fn quiet_times(session: &Session, events: &[Event]) -> BTreeMap<String, Millis> {
    let mut times = BTreeMap::new();
    for expectation in &session.plan.expectations {
        let ExpectationKind::Alert(alert) = &expectation.kind else { continue };
        let worst = events.iter().find_map(|event| match &event.kind {
            EventKind::BoundComputed(bound) if bound.expectation == expectation.id => Some(bound.worst),
            _ => None,
        });
        let matchers: Vec<_> = alert.matchers().iter().map(ToString::to_string).collect();
        let shortest = times.entry(format!("ALERTS{{{}}}", matchers.join(","))).or_insert(Millis(i64::MAX));
        *shortest = (*shortest).min(worst.unwrap_or(Millis(0)).max(session.plan.baseline));
    }
    times
}

/// Ok if no expected alert is active or was so a moment ago, neither in Prometheus nor in Alertmanager: one that Alertmanager
/// still holds would join an existing group, and its notification would tell nothing about this fault.
async fn active_expected(session: &Session, quiet: &BTreeMap<String, Millis>) -> Result<(), String> {
    let unknown = |error| format!("Prometheus: {}", chain(&error));
    let active = session.prometheus.alerts().await.map_err(unknown)?;
    if let Some(alert) = active.iter().find(|alert| is_expected(session, &alert.labels)) {
        return Err(format!("expected alert {} is already {}", name(&alert.labels), alert.state));
    }
    for (selector, time) in quiet {
        let query = format!("count_over_time({selector}[{}])", promql_duration(*time));
        if let Some(alert) = session.prometheus.query(&query, None).await.map_err(unknown)?.first() {
            return Err(format!("expected alert {} was active within the last {time}", name(&alert.labels)));
        }
    }
    let held =
        session.alertmanager.alerts().await.map_err(|error| format!("Alertmanager: {}", chain(&error)))?;
    match held.iter().find(|alert| is_expected(session, &alert.labels)) {
        Some(alert) => {
            Err(format!("Alertmanager still holds expected alert {} as active", name(&alert.labels)))
        }
        None => Ok(()),
    }
}

fn name(labels: &Labels) -> &str {
    labels.get("alertname").map_or("?", String::as_str)
}

fn is_expected(session: &Session, labels: &Labels) -> bool {
    session.plan.expectations.iter().any(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) => LabelMatcher::all(&alert.matchers(), labels),
        _ => false,
    })
}
