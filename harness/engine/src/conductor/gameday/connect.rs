//! Connecting. A cluster must be there; monitoring should be, and is followed as soon as it is.

use std::time::Duration;

use harness_event::{EventKind, RunTarget};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    conductor::{
        evidence,
        prepare::{Stopped, retried},
        run::follow_receiver,
        session::Session,
    },
    log::Log,
    monitor::{Alertmanager, Error, Position, ReceiverClient, chain, clock_offset, rules},
    observe::slo::check_slos,
};

/// Time limit of the first answer of each part.
const FIRST_ANSWER: Duration = Duration::from_secs(15);
/// Pause between two tries at what was not there.
const PAUSE: Duration = Duration::from_secs(1);
/// Measurements of the clock's offset; the best counts.
const CLOCK_ROUNDS: u32 = 3;
/// What stands for a version that is not known.
const AWAY: &str = "not reachable";
/// Name of the observer that waits for Alertmanager.
const ALERTMANAGER: &str = "Alertmanager";

/// Asks each part who it is.
pub(super) async fn connect(session: &mut Session, require_monitoring: bool) -> Result<(), Stopped> {
    let kubernetes = match timeout(FIRST_ANSWER, session.target.client.apiserver_version()).await {
        Ok(Ok(version)) => version.git_version,
        Ok(Err(error)) => return Err(Stopped::not_ready("Kubernetes API", &error)),
        Err(_) => return Err(silent("Kubernetes API")),
    };
    // One that is just being started is waited for; one of somebody else's is there or not.
    let patient = session.target.own_stack;
    let (prometheus, alertmanager) = tokio::join!(
        version(|| session.prometheus.version(), patient),
        version(|| async { session.alertmanager.status().await.map(|status| status.version) }, patient),
    );
    let log = &session.log;
    let found = |component: &str, answer: Result<String, String>| match answer {
        Ok(version) => Ok((version, true)),
        Err(reason) if require_monitoring => {
            Err(Stopped::NotReady { component: component.to_owned(), reason })
        }
        Err(reason) => {
            log.note(format!("{component} is not there: {reason}. The game day goes on without it"));
            Ok((AWAY.to_owned(), false))
        }
    };
    let (prometheus, there) = found("Prometheus", prometheus)?;
    let (alertmanager, _) = found("Alertmanager", alertmanager)?;
    if require_monitoring {
        let position = session.receiver.position().await;
        position.map_err(|error| Stopped::not_ready("alert receiver", &error))?;
    }
    log.record(EventKind::TargetConnected(RunTarget {
        context: session.target.context.clone(),
        server: session.target.server.clone(),
        kubernetes,
        prometheus,
        alertmanager,
    }));
    if there {
        look_at_prometheus(session).await;
    }
    Ok(())
}

fn silent(component: &str) -> Stopped {
    Stopped::NotReady { component: component.to_owned(), reason: "no answer in time".to_owned() }
}

async fn version<F: Future<Output = Result<String, Error>>>(
    ask: impl Fn() -> F,
    patient: bool,
) -> Result<String, String> {
    let asked = async { if patient { retried(ask).await } else { ask().await } };
    match timeout(FIRST_ANSWER, asked).await {
        Ok(answer) => answer.map_err(|error| chain(&error)),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// The clocks, the rules, the SLOs, and what is active already. What cannot be told is left out.
async fn look_at_prometheus(session: &mut Session) {
    let log = session.log.clone();
    if let Ok(clock) = clock_offset(&session.prometheus, CLOCK_ROUNDS).await {
        log.record(EventKind::ClockMeasured { offset: clock.offset, bound: clock.bound });
    }
    if let Ok(groups) = session.prometheus.rules().await {
        log.record(rules::rules_read(&groups));
    }
    if let Ok(found) = check_slos(&session.plan, &session.prometheus).await {
        found.facts.into_iter().for_each(|fact| log.record(fact));
        session.slos = found.slos;
    }
    log.record(evidence::observe_monitoring(session).await);
    if let Ok(alerts) = session.prometheus.baseline().await {
        log.record(EventKind::BaselineTaken { alerts });
    }
}

/// Follows the alert receiver, and says when Alertmanager is back, as soon as they are there.
pub(super) fn follow_monitoring(session: &Session, observers: &mut JoinSet<()>) {
    let (receiver, log, stop) = (session.receiver.clone(), session.log.clone(), session.stop.clone());
    observers.spawn(async move {
        let first = stop.run_until_cancelled(receiver_position(&receiver, &log)).await;
        if let Some(position) = first {
            follow_receiver(receiver, position, log, stop).await;
        }
    });
    let (alertmanager, log, stop) = (session.alertmanager.clone(), session.log.clone(), session.stop.clone());
    observers.spawn(async move {
        stop.run_until_cancelled(wait_for_alertmanager(&alertmanager, &log)).await;
    });
}

async fn receiver_position(receiver: &ReceiverClient, log: &Log) -> Position {
    let observer = || EventKind::RECEIVER_OBSERVER.to_owned();
    let mut failing = false;
    loop {
        match receiver.position().await {
            Ok(position) => {
                if failing {
                    log.record(EventKind::ObserverRecovered { observer: observer() });
                }
                return position;
            }
            Err(error) if !std::mem::replace(&mut failing, true) => {
                log.record(EventKind::ObserverFailed { observer: observer(), error: chain(&error) });
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn wait_for_alertmanager(alertmanager: &Alertmanager, log: &Log) {
    let observer = || ALERTMANAGER.to_owned();
    let mut failing = false;
    while let Err(error) = alertmanager.status().await {
        if !std::mem::replace(&mut failing, true) {
            log.record(EventKind::ObserverFailed { observer: observer(), error: chain(&error) });
        }
        tokio::time::sleep(PAUSE).await;
    }
    if failing {
        log.record(EventKind::ObserverRecovered { observer: observer() });
    }
}
