//! The fault phase: each fault and each load that begins after the baseline on its own timeline, faults always reverted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use harness_event::{EventKind, FaultSpec, LoadStart, Millis, Phase, Timestamp};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::session::Session;
use crate::{
    fault::{FaultError, Ledger, PlannedFault},
    load::{Load, LoadState, Loads, length},
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

/// Runs all faults and timed loads to their end. When this returns, each fault that was applied was reverted, or
/// `FaultRevertFailed` says that it could not be, and each load has ended.
pub(super) async fn inject(
    session: &Session,
    ledger: &Arc<Mutex<Ledger>>,
    faults: Vec<PlannedFault>,
    loads: &Loads,
) {
    let zero = Instant::now();
    let ends = Ends::of(faults.len() + loads.timed().count(), &session.log);
    let of_faults = faults.into_iter().map(|fault| timeline(session, ledger, fault, loads, zero, &ends));
    let of_loads = loads.timed().map(|load| load_timeline(session, load, loads, zero, &ends));
    let (healed, _) = tokio::join!(join_all(of_faults), join_all(of_loads));
    if healed.into_iter().all(|healed| healed) {
        loads.begin_after().await;
    }
}

/// Counts what has begun to end; with the last, the heal phase begins.
struct Ends<'a> {
    left: AtomicUsize,
    log: &'a Log,
}

impl<'a> Ends<'a> {
    fn of(stimuli: usize, log: &'a Log) -> Self {
        let ends = Self { left: AtomicUsize::new(stimuli.max(1)), log };
        if stimuli == 0 {
            ends.one();
        }
        ends
    }

    fn one(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.log.record(EventKind::PhaseFinished { phase: Phase::Fault });
            self.log.record(EventKind::PhaseStarted { phase: Phase::Heal });
        }
    }
}

/// One load from its start to its end.
async fn load_timeline(session: &Session, load: &Load, loads: &Loads, zero: Instant, ends: &Ends<'_>) {
    let LoadStart::After(start) = load.spec().start else { return ends.one() };
    if !wait_until(session, zero + start.to_duration()).await || is_blind(session) {
        return ends.one();
    }
    loads.begin_during().await;
    load.start();
    // It begins to end when its time is over, however long the requests in flight take, or when it is over.
    let begun = load.wait(|state| !matches!(state, LoadState::Starting | LoadState::Ready)).await;
    match (begun, length(load.spec())) {
        (LoadState::Running { .. }, Some(length)) => {
            let _ = tokio::time::timeout(length.to_duration(), load.wait(LoadState::is_over)).await;
        }
        _ => {
            load.wait(LoadState::is_over).await;
        }
    }
    ends.one();
    load.wait(LoadState::is_over).await;
}

/// True if what happens could not be recorded, which is a fact itself, for memory.
fn is_blind(session: &Session) -> bool {
    let Some(error) = session.log.failure() else { return false };
    let reason = format!("what happens could not be recorded: {error}");
    session.log.record(EventKind::InjectionSkipped { reason });
    true
}

/// One fault from its start to the proof that it is undone. False if it may still be on.
async fn timeline(
    session: &Session,
    ledger: &Arc<Mutex<Ledger>>,
    fault: PlannedFault,
    loads: &Loads,
    zero: Instant,
    ends: &Ends<'_>,
) -> bool {
    let name = fault.spec.name.clone();
    if !wait_until(session, zero + fault.spec.start.to_duration()).await || is_blind(session) {
        ends.one();
        return true;
    }
    let (targets, inverse) = (fault.targets(), fault.inverse());
    let durable = ledger.lock().await.plan(&name, fault.snapshot.clone()).await;
    if let Err(error) = durable {
        // Not applied, so there is nothing to undo.
        session.log.record(EventKind::InjectionSkipped { reason: chain(&error) });
        ends.one();
        return true;
    }
    loads.begin_during().await;
    if session.cancel.is_cancelled() {
        // Cancelled while the inverse was being written down: nothing is applied any more, and nothing is there to undo.
        if let Err(error) = ledger.lock().await.reverted(&name).await {
            session.log.note(format!("the ledger could not be brought up to date: {}", chain(&error)));
        }
        ends.one();
        return true;
    }
    session.log.record(EventKind::FaultPlanned {
        fault: name.clone(),
        action: fault.spec.action.clone(),
        targets,
        inverse,
    });
    // Cancelled with the run, or by hand.
    let stop = session.faults.begins(&name, &session.cancel);
    if !stop.is_cancelled() && apply(session, &fault, &stop).await {
        stop.run_until_cancelled(sleep_until(Instant::now() + fault.spec.duration.to_duration())).await;
    }
    session.faults.ends(&name);
    ends.one();
    let undone = revert(session, ledger, &name, &fault).await;
    session.faults.over(&name);
    undone
}

/// Sleeps until then; false if the run was cancelled meanwhile.
async fn wait_until(session: &Session, until: Instant) -> bool {
    tokio::select! {
        biased;
        () = session.cancel.cancelled() => false,
        () = sleep_until(until) => true,
    }
}

/// Applies a fault and looks for its effect. True if it was seen; the look ends early when `cancel` says so.
pub(super) async fn apply(session: &Session, fault: &PlannedFault, cancel: &CancellationToken) -> bool {
    let FaultSpec { name, effect_within, .. } = &fault.spec;
    let client = &session.target.client;
    let sent_at = Timestamp::now();
    if let Err(error) = fault.apply(client).await {
        session.log.record(EventKind::FaultApplyFailed { fault: name.clone(), error: chain(&error) });
        return false;
    }
    session.log.record(EventKind::FaultApplied { fault: name.clone(), sent_at });
    let seen = tokio::select! {
        () = cancel.cancelled() => return false,
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

/// True if the fault is undone.
pub(super) async fn revert(
    session: &Session,
    ledger: &Arc<Mutex<Ledger>>,
    name: &str,
    fault: &PlannedFault,
) -> bool {
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
    undone
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
