//! The fault phase: each fault on its own timeline, always reverted.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use harness_event::{EventKind, FaultSpec, Millis, Phase, Timestamp};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::session::Session;
use crate::{
    fault::{FaultError, Ledger, PlannedFault},
    log::Log,
    monitor::chain,
};

/// How long the world may take to be as it was.
pub(super) const VERIFY_LIMIT: Duration = Duration::from_secs(120);
/// How long a revert is tried while the API server is away: as long as it takes to restart one. Nobody restarts the embedded one.
const REVERT_LIMIT: Duration = Duration::from_secs(60);
const REVERT_LIMIT_EMBEDDED: Duration = Duration::from_secs(5);
/// Pause before the next try, growing up to ten times that.
const REVERT_PAUSE: Duration = Duration::from_millis(500);

/// Why no fault was injected.
pub(super) enum NotInjected {
    /// A scenario error: found before anything was touched.
    Refused(String),
}

/// Finds the targets of every fault, before the first is applied: a run whose third fault has no target must not begin.
pub(super) async fn plan_faults(session: &Session) -> Result<Vec<PlannedFault>, NotInjected> {
    let mut planned = Vec::new();
    for spec in &session.plan.faults {
        let fault = PlannedFault::plan(&session.target.client, &session.plan.namespace, spec).await;
        let refused =
            |error: FaultError| NotInjected::Refused(format!("fault {:?}: {}", spec.name, chain(&error)));
        planned.push(fault.map_err(refused)?);
    }
    Ok(planned)
}

/// Runs all faults to their end. When this returns, each one that was applied was reverted, or `FaultRevertFailed` says that it
/// could not be.
pub(super) async fn inject(session: &Session, ledger: &Arc<Mutex<Ledger>>, faults: Vec<PlannedFault>) {
    let zero = Instant::now();
    let last_end = session.plan.faults.iter().map(|fault| fault.start + fault.duration).max();
    let timelines = faults.into_iter().map(|fault| {
        let heals_last = Some(fault.spec.start + fault.spec.duration) == last_end;
        timeline(session, ledger, fault, zero, heals_last)
    });
    join_all(timelines).await;
}

async fn timeline(
    session: &Session,
    ledger: &Arc<Mutex<Ledger>>,
    fault: PlannedFault,
    zero: Instant,
    heals_last: bool,
) {
    let name = fault.spec.name.clone();
    if !wait_until(session, zero + fault.spec.start.to_duration()).await {
        return;
    }
    if let Some(error) = session.log.failure() {
        let reason = format!("what happens could not be recorded: {error}");
        session.log.record(EventKind::InjectionSkipped { reason });
        return;
    }
    let (targets, inverse) = (fault.targets(), fault.inverse());
    let durable = ledger.lock().await.plan(&name, fault.snapshot.clone()).await;
    if let Err(error) = durable {
        // Not applied, so there is nothing to undo.
        session.log.record(EventKind::InjectionSkipped { reason: chain(&error) });
        return;
    }
    session.log.record(EventKind::FaultPlanned {
        fault: name.clone(),
        action: fault.spec.action.clone(),
        targets,
        inverse,
    });
    if apply(session, &fault).await {
        wait_until(session, Instant::now() + fault.spec.duration.to_duration()).await;
    }
    if heals_last {
        session.log.record(EventKind::PhaseFinished { phase: Phase::Fault });
        session.log.record(EventKind::PhaseStarted { phase: Phase::Heal });
    }
    revert(session, ledger, &name, &fault).await;
}

/// Sleeps until then; false if the run was cancelled meanwhile.
async fn wait_until(session: &Session, until: Instant) -> bool {
    tokio::select! {
        biased;
        () = session.cancel.cancelled() => false,
        () = sleep_until(until) => true,
    }
}

/// Applies a fault and looks for its effect. True if it was seen.
async fn apply(session: &Session, fault: &PlannedFault) -> bool {
    let FaultSpec { name, effect_within, .. } = &fault.spec;
    let client = &session.target.client;
    let sent_at = Timestamp::now();
    if let Err(error) = fault.apply(client).await {
        session.log.record(EventKind::FaultApplyFailed { fault: name.clone(), error: chain(&error) });
        return false;
    }
    session.log.record(EventKind::FaultApplied { fault: name.clone(), sent_at });
    let seen = tokio::select! {
        () = session.cancel.cancelled() => return false,
        seen = fault.observe(client, effect_within.to_duration()) => seen,
    };
    match seen {
        Ok(seen) => {
            session.log.record(EventKind::FaultEffectObserved {
                fault: name.clone(),
                effect_at: seen.at,
                detail: seen.detail,
            });
            true
        }
        Err(error) => {
            session.log.record(EventKind::FaultEffectMissing { fault: name.clone(), detail: chain(&error) });
            false
        }
    }
}

async fn revert(session: &Session, ledger: &Arc<Mutex<Ledger>>, name: &str, fault: &PlannedFault) {
    let sent_at = Timestamp::now();
    session.log.record(EventKind::FaultRevertStarted { fault: name.to_owned(), sent_at });
    let kind = match revert_and_verify(
        &session.target.client,
        session.target.own_stack,
        &fault.namespace,
        &fault.snapshot,
        &session.log,
    )
    .await
    {
        Ok(seen) => {
            EventKind::FaultRevertVerified { fault: name.to_owned(), effect_at: seen.at, detail: seen.detail }
        }
        Err(error) => EventKind::FaultRevertFailed { fault: name.to_owned(), error: chain(&error) },
    };
    let undone = matches!(kind, EventKind::FaultRevertVerified { .. });
    session.log.record(kind);
    if undone && let Err(error) = ledger.lock().await.reverted(name).await {
        // The fault is undone all the same; a recovery would undo it once more, which changes nothing.
        session.log.note(format!("the ledger could not be brought up to date: {}", chain(&error)));
    }
}

/// Undoes a fault, trying again while the API server does not answer, and waits until the world is as it was.
pub(super) async fn revert_and_verify(
    client: &kube::Client,
    own_stack: bool,
    namespace: &str,
    snapshot: &crate::fault::Snapshot,
    log: &Log,
) -> Result<crate::fault::Observed, FaultError> {
    let limit = if own_stack { REVERT_LIMIT_EMBEDDED } else { REVERT_LIMIT };
    let (deadline, mut pause) = (Instant::now() + limit, REVERT_PAUSE);
    while let Err(error) = snapshot.revert(client, namespace).await {
        if error.is_refusal() || Instant::now() + pause > deadline {
            return Err(error);
        }
        if pause == REVERT_PAUSE {
            log.note(format!("{}; trying again for {}", chain(&error), Millis::from(limit)));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(REVERT_PAUSE * 10);
    }
    snapshot.verify(client, namespace, VERIFY_LIMIT).await
}
