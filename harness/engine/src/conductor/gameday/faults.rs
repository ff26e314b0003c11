//! The faults of a game day: each a task of its own, from the wish to the proof that it is undone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError},
};

use harness_event::{EventKind, FaultAction, FaultSpec, Plan};
use tokio::sync::{Mutex, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    controls::FaultPlan,
    names::Names,
    targets::{self, Targets},
    tasks::Tasks,
};
use crate::{
    conductor::{autoscaling, inject, session::Session},
    fault::{Ledger, PlannedFault},
    monitor::chain,
};

/// All faults that were injected.
pub(super) struct Faults {
    shared: Arc<Shared>,
    tasks: Tasks,
}

struct Shared {
    session: Arc<Session>,
    ledger: Arc<Mutex<Ledger>>,
    names: Names,
    on: StdMutex<On>,
    /// Cancelled when all are to be undone.
    stop: CancellationToken,
}

/// Faults that are on.
#[derive(Default)]
struct On {
    faults: BTreeMap<String, Active>,
    /// Counts those that ended: what was planned before the last one ended may rest on what that one did.
    ended: u64,
}

struct Active {
    touched: BTreeSet<String>,
    stop: CancellationToken,
    /// It is on record: `FaultPlanned` is there.
    planned: bool,
    /// Somebody has had enough of it.
    stopped: bool,
    reverting: bool,
    /// The last try to undo it failed: stopping it begins another.
    left: bool,
}

/// Why a place could not be taken.
enum Taken {
    /// By another fault, which is on.
    By(String),
    /// Something ended since the fault was planned: it is to be planned anew.
    Stale,
}

impl On {
    fn conflict(&self, touched: &BTreeSet<String>) -> Option<String> {
        let (name, same) = self
            .faults
            .iter()
            .find_map(|(name, fault)| Some((name, fault.touched.intersection(touched).next()?)))?;
        Some(format!(
            "fault {name:?} is on {same} already: each would take the other's change for the state to go back to. Wait \
             until it is undone, or stop it"
        ))
    }
}

impl Faults {
    pub(super) fn new(session: &Arc<Session>, ledger: &Arc<Mutex<Ledger>>, names: &Names) -> Self {
        let shared = Shared {
            session: session.clone(),
            ledger: ledger.clone(),
            names: names.clone(),
            on: StdMutex::default(),
            stop: session.cancel.child_token(),
        };
        Self { shared: Arc::new(shared), tasks: Tasks::of("fault") }
    }

    /// What can be broken, found out without holding anything up.
    pub(super) fn targets(&mut self, answer: oneshot::Sender<Result<Targets, String>>) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            let session = &shared.session;
            let found = tokio::select! {
                found = targets::read(&session.target.client, &session.plan.namespace) => found,
                () = shared.stop.cancelled() => return,
            };
            // Who asked may have gone.
            let _ = answer.send(found);
        });
    }

    /// What a fault would do, found out without holding anything up.
    pub(super) fn plan(&mut self, spec: FaultSpec, answer: oneshot::Sender<Result<FaultPlan, String>>) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            let planned = tokio::select! {
                planned = shared.preview(&spec) => planned,
                () = shared.stop.cancelled() => return,
            };
            // Who asked may have gone.
            let _ = answer.send(planned);
        });
    }

    /// Injects a fault.
    pub(super) fn inject(&mut self, spec: FaultSpec, answer: oneshot::Sender<Result<String, String>>) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move { shared.life(spec, answer).await });
    }

    /// Undoes a fault before its time, or tries again to undo one that could not be undone.
    pub(super) fn stop(&self, name: &str) -> Result<(), String> {
        let mut on = self.shared.on();
        let Some(fault) = on.faults.get_mut(name) else {
            let names: Vec<&str> = on.faults.keys().map(String::as_str).collect();
            return Err(match names.as_slice() {
                [] => format!("fault {name:?} is not on; no fault is"),
                names => format!("fault {name:?} is not on; on are {}", names.join(", ")),
            });
        };
        if fault.reverting || fault.stop.is_cancelled() {
            return Err(format!("fault {name:?} is being undone already"));
        }
        fault.stopped = true;
        // Before that there is no fault on record that could be stopped; it is written down right after it.
        // One that is left is beyond its time.
        if fault.planned && !fault.left {
            self.shared.session.log.record(EventKind::FaultStopped { fault: name.to_owned() });
        }
        fault.stop.cancel();
        Ok(())
    }

    /// Waits until a task is over; pending if there is none. `Err` if it panicked.
    pub(super) async fn next_over(&mut self) -> Result<(), String> {
        self.tasks.next_over().await
    }

    /// Undoes everything that is on, and waits for it. `Err` if a task panicked: what it left is in the ledger.
    pub(super) async fn finish(&mut self) -> Result<(), String> {
        self.shared.stop.cancel();
        self.tasks.all_over().await
    }
}

impl Shared {
    fn on(&self) -> MutexGuard<'_, On> {
        self.on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault with its targets found, its place not yet taken.
    async fn planned(&self, spec: &FaultSpec) -> Result<(PlannedFault, BTreeSet<String>), String> {
        // Before it is looked at: a workload that another fault has changed would only seem broken.
        if let Some(conflict) = self.on().conflict(&named(&spec.action)) {
            return Err(conflict);
        }
        let (client, namespace) = (&self.session.target.client, &self.session.plan.namespace);
        let planned = PlannedFault::plan(client, namespace, spec).await.map_err(|error| chain(&error))?;
        let touched = targets::touched(client, namespace, &planned.snapshot).await?;
        Ok((planned, touched))
    }

    async fn preview(&self, spec: &FaultSpec) -> Result<FaultPlan, String> {
        let (planned, touched) = self.planned(spec).await?;
        if let Some(conflict) = self.on().conflict(&touched) {
            return Err(conflict);
        }
        let plan = Plan { faults: vec![spec.clone()], ..self.session.plan.clone() };
        let mut warnings = autoscaling::fought_over(&plan, &self.session.target.client).await;
        let holders: Vec<_> = touched.iter().filter(|one| one.starts_with("deployment/")).cloned().collect();
        if let FaultAction::DeletePods { .. } = spec.action
            && holders.len() > 1
        {
            warnings.push(format!("the selector takes pods of several workloads: {}", holders.join(", ")));
        }
        Ok(FaultPlan {
            targets: planned.targets(),
            effect: effect(spec, planned.targets().len()),
            inverse: planned.inverse(),
            warnings,
        })
    }

    /// A fault from the wish to its end.
    async fn life(&self, spec: FaultSpec, answer: oneshot::Sender<Result<String, String>>) {
        let name = self.names.give(&spec.name);
        let spec = FaultSpec { name: name.clone(), ..spec };
        let begun = tokio::select! {
            biased;
            () = self.stop.cancelled() => Err("the game day is over".to_owned()),
            begun = self.begin(&spec) => begun,
        };
        let (planned, stop) = match begun {
            Ok(begun) => begun,
            Err(reason) => {
                self.names.give_back(&name);
                self.session.log.note(format!("fault {name} was not injected: {reason}"));
                let _ = answer.send(Err(reason));
                return;
            }
        };
        if let Err(reason) = self.make_durable(&planned).await {
            self.release(&name);
            self.session.log.note(format!("fault {name} was not injected: {reason}"));
            let _ = answer.send(Err(reason));
            return;
        }
        let _ = answer.send(Ok(name.clone()));
        // Nothing is applied any more when the game day ends just now; that the inverse is applied all the same changes nothing.
        if !stop.is_cancelled() && inject::apply(&self.session, &planned, &stop).await {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(planned.spec.duration.to_duration()) => {}
            }
        }
        self.undo(&name, &planned).await;
    }

    /// Undoes a fault, again whenever somebody asks for it. Where it could not be undone, nothing else is done to its target. What is
    /// left at the end of the game day is for the one that rolls back the rest.
    async fn undo(&self, name: &str, planned: &PlannedFault) {
        loop {
            if let Some(fault) = self.on().faults.get_mut(name) {
                fault.reverting = true;
            }
            if inject::revert(&self.session, &self.ledger, name, planned).await {
                return self.release(name);
            }
            let again = self.stop.child_token();
            if let Some(fault) = self.on().faults.get_mut(name) {
                (fault.stop, fault.reverting, fault.left) = (again.clone(), false, true);
            }
            again.cancelled().await;
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    /// Finds the targets and takes their place, so that no other fault gets them.
    async fn begin(&self, spec: &FaultSpec) -> Result<(PlannedFault, CancellationToken), String> {
        if let Some(error) = self.session.log.failure() {
            return Err(format!("what happens could not be recorded: {error}"));
        }
        loop {
            let ended = self.on().ended;
            let (planned, touched) = self.planned(spec).await?;
            match self.take(&spec.name, touched, ended) {
                Ok(stop) => return Ok((planned, stop)),
                Err(Taken::By(conflict)) => return Err(conflict),
                Err(Taken::Stale) => {}
            }
        }
    }

    fn take(&self, name: &str, touched: BTreeSet<String>, ended: u64) -> Result<CancellationToken, Taken> {
        let mut on = self.on();
        if let Some(conflict) = on.conflict(&touched) {
            return Err(Taken::By(conflict));
        }
        if on.ended != ended {
            return Err(Taken::Stale);
        }
        let stop = self.stop.child_token();
        on.faults.insert(
            name.to_owned(),
            Active {
                touched,
                stop: stop.clone(),
                planned: false,
                stopped: false,
                reverting: false,
                left: false,
            },
        );
        Ok(stop)
    }

    fn release(&self, name: &str) {
        let mut on = self.on();
        on.faults.remove(name);
        on.ended += 1;
    }

    /// The inverse is durable, and then the wish is a fact.
    async fn make_durable(&self, planned: &PlannedFault) -> Result<(), String> {
        let name = &planned.spec.name;
        let durable = self.ledger.lock().await.plan(name, planned.snapshot.clone()).await;
        durable.map_err(|error| chain(&error))?;
        let log = &self.session.log;
        let spec = FaultSpec { start: log.elapsed(), ..planned.spec.clone() };
        log.record(EventKind::FaultRequested { spec });
        log.record(EventKind::FaultPlanned {
            fault: name.clone(),
            action: planned.spec.action.clone(),
            targets: planned.targets(),
            inverse: planned.inverse(),
        });
        if let Some(fault) = self.on().faults.get_mut(name) {
            fault.planned = true;
            if fault.stopped {
                log.record(EventKind::FaultStopped { fault: name.clone() });
            }
        }
        Ok(())
    }
}

/// What a fault says itself that it changes.
fn named(action: &FaultAction) -> BTreeSet<String> {
    match action {
        FaultAction::Scale { workload, .. } | FaultAction::Restart { workload } => {
            BTreeSet::from([workload.to_string()])
        }
        FaultAction::DeletePods { .. } => BTreeSet::new(),
    }
}

/// What a fault does, in a sentence.
fn effect(spec: &FaultSpec, targets: usize) -> String {
    let duration = spec.duration;
    match &spec.action {
        FaultAction::Scale { workload, replicas } => {
            format!("scales {workload} to {replicas} for {duration}")
        }
        FaultAction::DeletePods { selector, grace_period_seconds, .. } => {
            let pods = if targets == 1 { "pod" } else { "pods" };
            let grace = match grace_period_seconds {
                Some(0) => " at once, without a grace period".to_owned(),
                Some(seconds) => format!(" with a grace period of {seconds}s"),
                None => String::new(),
            };
            format!("deletes {targets} {pods} of {selector}{grace}; watched for {duration}")
        }
        FaultAction::Restart { workload } => {
            format!("restarts the rollout of {workload}; watched for {duration}")
        }
    }
}
