//! Baseline: the system is well and the expected alerts are quiet. Without that, a fault would prove nothing.

use std::time::Duration;

use harness_event::{EventKind, ExpectationKind, LabelMatcher, Labels, Millis, Timestamp};
use tokio::{sync::watch, time::sleep};

use super::session::Session;
use crate::{monitor::chain, observe::SteadyState};

/// Time that the steady state gets to come about, beside the time for which it must hold.
const PATIENCE: Duration = Duration::from_secs(40);
/// Pause between two looks at the alerts.
const POLL: Duration = Duration::from_millis(250);

/// Waits until the steady state has held for the time asked for, with every expected alert quiet. On `Err` the faults must not
/// be injected; the reason is for people.
pub(super) async fn establish(
    session: &Session,
    steady: &mut watch::Receiver<SteadyState>,
) -> Result<(), String> {
    let needed = session.plan.baseline;
    let limit = PATIENCE + needed.to_duration();
    let mut why = "nothing was checked yet".to_owned();
    let wait = async {
        loop {
            // Taken before the alerts are asked for, so that both hold at one time.
            let state = steady.borrow_and_update().clone();
            match (state, active_expected(session).await) {
                (_, Err(reason)) | (SteadyState::Broken(reason), Ok(())) => why = reason,
                (SteadyState::Unknown, Ok(())) => {}
                (SteadyState::HoldsSince(since), Ok(())) => {
                    let held = Timestamp::now() - since;
                    if held >= needed {
                        return;
                    }
                    why = format!("the steady state has held for {held} of {needed}");
                    sleep((needed - held).to_duration()).await;
                    continue;
                }
            }
            let _ = tokio::time::timeout(POLL, steady.changed()).await;
        }
    };
    if tokio::time::timeout(limit, wait).await.is_err() {
        return Err(format!("{why} (waited {})", Millis::from(limit)));
    }
    let alerts = session.prometheus.baseline().await.map_err(|error| chain(&error))?;
    session.log.record(EventKind::BaselineTaken { alerts });
    Ok(())
}

/// Ok if no expected alert is active, neither in Prometheus nor in Alertmanager: one that Alertmanager still holds would join
/// an existing group, and its notification would tell nothing about this fault.
async fn active_expected(session: &Session) -> Result<(), String> {
    let active =
        session.prometheus.alerts().await.map_err(|error| format!("Prometheus: {}", chain(&error)))?;
    if let Some(alert) = active.iter().find(|alert| is_expected(session, &alert.labels)) {
        let name = alert.labels.get("alertname").map_or("?", String::as_str);
        return Err(format!("expected alert {name} is already {}", alert.state));
    }
    let held =
        session.alertmanager.alerts().await.map_err(|error| format!("Alertmanager: {}", chain(&error)))?;
    match held.iter().find(|alert| is_expected(session, &alert.labels)) {
        Some(alert) => {
            let name = alert.labels.get("alertname").map_or("?", String::as_str);
            Err(format!("Alertmanager still holds expected alert {name} as active"))
        }
        None => Ok(()),
    }
}

fn is_expected(session: &Session, labels: &Labels) -> bool {
    session.plan.expectations.iter().any(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) => LabelMatcher::all(&alert.matchers(), labels),
        _ => false,
    })
}
