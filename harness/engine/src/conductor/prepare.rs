//! Prepare: connect, prove that an alert can be seen at all, and refuse scenarios that cannot be met.

use std::{path::Path, time::Duration};

use harness_event::{DetectionBound, EventKind, RunTarget};

use super::{autoscaling, session::Session};
use crate::{
    load::{PrepareError, PreparedLoad, prepare_loads},
    monitor::{
        Loaded, Position, ReadinessOptions, bounds, chain, clock_offset, preflight, prove_ready, rules,
    },
    observe::slo::{Slo, check_slos},
};

/// Time for the monitoring system to get ready.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// Measurements of the clock's offset; the best counts.
const CLOCK_ROUNDS: u32 = 5;

/// Why a run does not go on. Nothing was touched.
pub(super) enum Stopped {
    /// Something could not be reached or did not get ready.
    NotReady { component: String, reason: String },
    /// The scenario cannot be met.
    Refused(Vec<String>),
    /// By a signal.
    Cancelled,
}

impl Stopped {
    pub(super) fn not_ready(component: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::NotReady { component: component.to_owned(), reason: chain(error) }
    }
}

/// Connects and proves readiness. Returns where to follow the receiver from.
pub(super) async fn prepare(session: &Session) -> Result<Position, Stopped> {
    tokio::select! {
        () = session.cancel.cancelled() => Err(Stopped::Cancelled),
        done = async {
            connect(session).await?;
            let position = prove(session).await?;
            let clock = clock_offset(&session.prometheus, CLOCK_ROUNDS).await.map_err(|error| Stopped::not_ready("Prometheus", &error))?;
            session.log.record(EventKind::ClockMeasured { offset: clock.offset, bound: clock.bound });
            Ok(position)
        } => done,
    }
}

/// Asks each part once who it is, waiting for those that are still starting.
async fn connect(session: &Session) -> Result<(), Stopped> {
    let version = session.target.client.apiserver_version();
    let kubernetes = match tokio::time::timeout(READY_LIMIT, version).await {
        Ok(Ok(version)) => version.git_version,
        Ok(Err(error)) => return Err(Stopped::not_ready("Kubernetes API", &error)),
        Err(_) => {
            let reason = "no answer in time".to_owned();
            return Err(Stopped::NotReady { component: "Kubernetes API".to_owned(), reason });
        }
    };
    let prometheus = retried(|| session.prometheus.version())
        .await
        .map_err(|error| Stopped::not_ready("Prometheus", &error))?;
    let status = retried(|| session.alertmanager.status())
        .await
        .map_err(|error| Stopped::not_ready("Alertmanager", &error))?;
    session.log.record(EventKind::TargetConnected(RunTarget {
        context: session.target.context.clone(),
        server: session.target.server.clone(),
        kubernetes,
        prometheus,
        alertmanager: status.version,
    }));
    Ok(())
}

/// Asks again while the other side is starting.
pub(super) async fn retried<T, F: Future<Output = Result<T, crate::monitor::Error>>>(
    ask: impl Fn() -> F,
) -> Result<T, crate::monitor::Error> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match ask().await {
            Err(error) if error.is_outage() && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            result => return result,
        }
    }
}

async fn prove(session: &Session) -> Result<Position, Stopped> {
    let options = ReadinessOptions { deadline: READY_LIMIT, strict: session.target.own_stack };
    let log = session.log.clone();
    let mut proven = |what: String| log.record(EventKind::ReadinessProven { what });
    let ready = prove_ready(
        &session.prometheus,
        &session.alertmanager,
        &session.receiver,
        &session.run,
        options,
        &mut proven,
    )
    .await;
    ready.map_err(|error| Stopped::NotReady { component: error.component, reason: error.reason })?;
    session.receiver.position().await.map_err(|error| Stopped::not_ready("alert receiver", &error))
}

/// What was found out about a scenario on this system.
pub(super) struct Checked {
    pub(super) bounds: Vec<DetectionBound>,
    pub(super) loads: Vec<PreparedLoad>,
    pub(super) slos: Vec<Slo>,
}

/// Compares the scenario with the loaded configuration, the autoscalers, the SLOs, and the addresses and files of its loads, which are
/// relative to `directory`. All problems at once.
pub(super) async fn check_configuration(session: &Session, directory: &Path) -> Result<Checked, Stopped> {
    let loaded = Loaded::read(&session.prometheus, &session.alertmanager).await;
    let loaded = loaded.map_err(|error| Stopped::not_ready("monitoring configuration", &error))?;
    session.log.record(rules::rules_read(&loaded.groups));
    let preflight = preflight(&session.plan, &loaded);
    let autoscalers = autoscaling::check(&session.plan, &session.target.client).await?;
    let mut problems = preflight.problems;
    problems.extend(autoscalers.problems);
    let slos = check_slos(&session.plan, &session.prometheus).await;
    let slos = slos.map_err(|error| Stopped::not_ready("Prometheus", &error))?;
    problems.extend(slos.problems);
    let client = &session.target.client;
    let loads = match prepare_loads(&session.plan, client, &session.run, directory).await {
        Ok(loads) => loads,
        Err(PrepareError::Problems(found)) => {
            problems.extend(found);
            Vec::new()
        }
        // Only if nothing else is wrong, which would be so in any case.
        Err(PrepareError::Unreachable(found)) if problems.is_empty() => {
            return Err(Stopped::NotReady { component: "system".to_owned(), reason: found.join("; ") });
        }
        Err(PrepareError::Unreachable(found)) => {
            problems.extend(found);
            Vec::new()
        }
        Err(PrepareError::Api(reason)) => {
            return Err(Stopped::NotReady { component: "Kubernetes API".to_owned(), reason });
        }
    };
    if !problems.is_empty() {
        return Err(Stopped::Refused(problems));
    }
    for note in preflight.notes.into_iter().chain(autoscalers.notes) {
        session.log.note(note);
    }
    slos.facts.into_iter().for_each(|fact| session.log.record(fact));
    Ok(Checked { bounds: bounds(&session.plan, &loaded), loads, slos: slos.slos })
}
