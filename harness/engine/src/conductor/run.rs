//! One run from beginning to end.

use std::{panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use harness_event::{
    AlertState, AutoscalerGoal, CancelReason, CheckOutcome, EventKind, ExpectationKind, FORMAT_VERSION,
    LoadPhase, Millis, Outcome, Phase, Plan, PromqlMode, RunMode, Verdict, Window,
};
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    baseline, control, control::Control, evidence, inject, inject::NotInjected, prepare, prepare::Stopped,
    recovery, session::Session, stimulus,
};
use crate::{
    Target,
    fault::{Ledger, LedgerError, PlannedFault},
    load::{Loads, WorkerCommand},
    log::Log,
    monitor::{Position, ReceiverEvent, chain, watch_alerts},
    observe::{Checks, Excerpts, Scope, SteadyState, run_probe, set_up_probe, slo::watch_slos, watch_system},
    publish::Publisher,
};

/// Pause between two looks at the alerts, for the live view.
const ALERT_POLL: Duration = Duration::from_millis(250);

/// What a run needs to know.
pub struct RunOptions {
    /// Name of the run.
    pub run: String,
    /// Its directory, which exists.
    pub run_dir: PathBuf,
    /// Path of the scenario file, as given.
    pub scenario: String,
    /// SHA-256 of its text.
    pub scenario_sha256: String,
    /// The checked scenario.
    pub plan: Plan,
    /// Version of the harness.
    pub version: String,
    /// Time that bringing up an own stack took.
    pub bring_up: Millis,
    /// Cancelled with the name of the signal set.
    pub cancel: CancellationToken,
    /// Name of the signal that cancelled, once there is one.
    pub signal: Arc<std::sync::OnceLock<String>>,
    /// The scenario file's directory: files that it names are relative to it.
    pub scenario_dir: PathBuf,
    /// How the workers of loads are started.
    pub load_worker: WorkerCommand,
    /// Time compression of the alert rules, where the stack was brought up so: the factor, and rules whose thresholds do not
    /// scale, for people.
    pub compression: Option<(u32, Vec<String>)>,
    /// What people ask of the run while it goes on, if there are any.
    pub control: Option<mpsc::Receiver<Control>>,
}

/// Runs a scenario. Whatever happens, what was changed is changed back before this returns, or the verdict says what is left.
pub async fn run(mut options: RunOptions, target: &Target, log: &Log) -> Verdict {
    log.record(EventKind::RunStarted {
        format: FORMAT_VERSION,
        run: options.run.clone(),
        harness: options.version.clone(),
        scenario: options.scenario.clone(),
        scenario_sha256: options.scenario_sha256.clone(),
        mode: RunMode::Scenario,
        plan: options.plan.clone(),
    });
    if let Some((factor, unscaled)) = &options.compression {
        log.record(EventKind::TimeCompressed { factor: *factor, unscaled: unscaled.clone() });
    }
    let published = Publisher::start(log, &target.client, &options.plan.monitoring.receiver);
    let ledger = Arc::new(Mutex::new(None));
    let wishes = options.control.take();
    // A panic of ours must not leave a fault behind.
    if AssertUnwindSafe(phases(&options, wishes, target, log, &ledger)).catch_unwind().await.is_err() {
        let reason = CancelReason::Internal("it panicked; the message is on standard error".to_owned());
        log.record(EventKind::RunCancelled { reason });
    }
    roll_back_rest(target, log, &ledger).await;
    if let Some(error) = log.failure() {
        let reason = CancelReason::Internal(format!("events.ndjson could not be written: {error}"));
        log.record(EventKind::RunCancelled { reason });
    }
    let demanded = demanded(&options.plan, log);
    log.record(EventKind::RunFinished { demanded, bring_up: options.bring_up });
    let verdict = Verdict::of(&log.events());
    published.finish(&verdict).await;
    verdict
}

async fn phases(
    options: &RunOptions,
    wishes: Option<mpsc::Receiver<Control>>,
    target: &Target,
    log: &Log,
    ledger: &Arc<Mutex<Option<Arc<Mutex<Ledger>>>>>,
) {
    log.record(EventKind::PhaseStarted { phase: Phase::Prepare });
    if let Err(problem) = check_compression(options) {
        return stopped(log, options, Stopped::Refused(vec![problem]));
    }
    let mut session = match Session::connect(&options.run, &options.plan, target, log, &options.cancel).await
    {
        Ok(session) => session,
        Err(error) => return stopped(log, options, Stopped::not_ready("monitoring", &error)),
    };
    let prepared = async {
        let position = prepare::prepare(&session).await?;
        let checked = prepare::check_configuration(&session, &options.scenario_dir).await?;
        for bound in checked.bounds {
            log.record(EventKind::BoundComputed(bound));
        }
        let own = Ledger::open(target, &options.run_dir, &options.run, &options.plan.namespace).await;
        let own = Arc::new(Mutex::new(own.map_err(refuse_ledger)?));
        *ledger.lock().await = Some(own.clone());
        Ok((position, own, checked.loads, checked.slos))
    };
    let (position, own, loads, slos) = match prepared.await {
        Ok(prepared) => prepared,
        Err(reason) => return stopped(log, options, reason),
    };
    session.slos = slos;
    log.record(EventKind::PhaseFinished { phase: Phase::Prepare });
    let mut observers = JoinSet::new();
    if let Some(wishes) = wishes {
        let (faults, log, stop) = (session.faults.clone(), log.clone(), session.stop.clone());
        observers.spawn(async move {
            stop.run_until_cancelled(control::heed(wishes, faults, log)).await;
        });
    }
    let excerpts = Excerpts::new(target.client.clone(), options.plan.namespace.clone(), log.clone());
    observers.spawn(excerpts.clone().watch(session.stop.clone()));
    let launch = || Loads::launch(&loads, &options.load_worker, log, &options.cancel);
    let result = observed(&session, &own, position, &mut observers, launch).await;
    session.stop.cancel();
    observers.join_all().await;
    if !options.cancel.is_cancelled() && result.is_ok() && !passes(log) {
        // Who stops the run now does not want to wait for it.
        options.cancel.run_until_cancelled(excerpts.read_rest()).await;
    }
    if let Err(reason) = result {
        stopped(log, options, reason);
    } else if options.cancel.is_cancelled() {
        stopped(log, options, Stopped::Cancelled);
    }
}

/// Will the run pass, as its log stands?
fn passes(log: &Log) -> bool {
    let mut events = log.events();
    let Some(last) = events.last().cloned() else { return false };
    let kind = EventKind::RunFinished { demanded: Millis(0), bring_up: Millis(0) };
    events.push(harness_event::Event { kind, ..last });
    Verdict::of(&events).outcome == Outcome::Passed
}

pub(super) fn refuse_ledger(error: LedgerError) -> Stopped {
    match &error {
        LedgerError::Held { alive, .. } => {
            let hint = match alive {
                Some(true) => "wait for it to end, or stop it",
                Some(false) => "it is dead and has left faults behind: run `harness recover` first",
                None => "wait for it to end; if it was interrupted, run `harness recover` first",
            };
            Stopped::Refused(vec![format!("{error}: {hint}")])
        }
        _ => Stopped::not_ready("Kubernetes API", &error),
    }
}

fn stopped(log: &Log, options: &RunOptions, reason: Stopped) {
    log.record(match reason {
        Stopped::NotReady { component, reason } => EventKind::NotReady { component, reason },
        Stopped::Refused(problems) => EventKind::RunRefused { problems },
        Stopped::Cancelled => {
            let signal = options.signal.get().cloned().unwrap_or_else(|| "a signal".to_owned());
            EventKind::RunCancelled { reason: CancelReason::Signal(signal) }
        }
    });
}

/// A scenario that needs compressed time proves nothing, or takes hours, without.
fn check_compression(options: &RunOptions) -> Result<(), String> {
    let here = options.compression.as_ref().map(|(factor, _)| *factor);
    match options.plan.compress {
        Some(wanted) if here != Some(wanted) => Err(format!(
            "the scenario needs time compressed by {wanted}, and {}: only the embedded stack can compress time",
            here.map_or_else(|| "here it is not".to_owned(), |here| format!("here it is by {here}"))
        )),
        _ => Ok(()),
    }
}

/// The phases in which observers run.
async fn observed(
    session: &Session,
    ledger: &Arc<Mutex<Ledger>>,
    position: Position,
    observers: &mut JoinSet<()>,
    launch: impl FnOnce() -> Loads,
) -> Result<(), Stopped> {
    let log = &session.log;
    log.record(EventKind::PhaseStarted { phase: Phase::Baseline });
    let faults = inject::plan_faults(session).await;
    let faults = faults.map_err(|NotInjected::Refused(reason)| Stopped::Refused(vec![reason]))?;
    let mut steady = observe(session, observers).await?;
    let following = follow_receiver(session.receiver.clone(), position, log.clone(), session.stop.clone());
    observers.spawn(following);
    let mut loads = launch();
    let quiet = tokio::select! {
        () = session.cancel.cancelled() => Err(Stopped::Cancelled),
        quiet = async {
            set_up_probes(session, observers).await?;
            baseline::establish(session, &mut steady, &loads).await
        } => Ok(quiet),
    };
    match quiet {
        Ok(Ok(())) => {
            experiment(session, ledger, faults, &mut loads).await;
            Ok(())
        }
        Ok(Err(reason)) => {
            log.record(EventKind::InjectionSkipped { reason });
            loads.stop().await;
            Ok(())
        }
        Err(stopped) => {
            loads.stop().await;
            Err(stopped)
        }
    }
}

/// From the end of the baseline to the evidence.
async fn experiment(
    session: &Session,
    ledger: &Arc<Mutex<Ledger>>,
    faults: Vec<PlannedFault>,
    loads: &mut Loads,
) {
    let log = &session.log;
    log.record(evidence::observe_monitoring(session).await);
    log.record(EventKind::PhaseFinished { phase: Phase::Baseline });
    log.record(EventKind::PhaseStarted { phase: Phase::Fault });
    inject::inject(session, ledger, faults, loads).await;
    log.record(EventKind::PhaseFinished { phase: Phase::Heal });
    log.record(EventKind::PhaseStarted { phase: Phase::Recovery });
    let mut facts = recovery::wait(session, loads).await;
    if loads.any_running() {
        loads.stop().await;
        // That took a while: the evidence covers it too.
        facts = evidence::read(session, &log.events()).await;
    }
    log.record(EventKind::PhaseFinished { phase: Phase::Recovery });
    log.record(EventKind::PhaseStarted { phase: Phase::Verdict });
    for fact in facts {
        log.record(fact);
    }
    log.record(EventKind::PhaseFinished { phase: Phase::Verdict });
}

/// Starts everything that only looks, but for the receiver.
pub(super) async fn observe(
    session: &Session,
    observers: &mut JoinSet<()>,
) -> Result<watch::Receiver<SteadyState>, Stopped> {
    let checks = Checks::new(&session.plan.steady_state, session.http.clone(), session.prometheus.upstream());
    let checks = checks.map_err(|error| Stopped::not_ready("Prometheus", &error))?;
    let (sender, receiver) = watch::channel(SteadyState::Unknown);
    let (log, stop) = (&session.log, &session.stop);
    observers.spawn(checks.watch(log.clone(), sender, stop.clone()));
    let scope = Scope::Namespace(session.plan.namespace.clone());
    watch_system(&session.target.client, &scope, log, stop, observers).await;
    observers.spawn(watch_slos(
        session.prometheus.clone(),
        session.slos.clone(),
        evidence::clock_offset(&log.events()),
        log.clone(),
        stop.clone(),
    ));
    let (watcher, log, stop) =
        (watch_alerts(session.prometheus.clone(), ALERT_POLL), log.clone(), stop.clone());
    observers.spawn(async move {
        let mut watcher = Box::pin(watcher);
        while let Some(Some(kind)) = stop.run_until_cancelled(watcher.next()).await {
            log.record(kind);
        }
    });
    Ok(receiver)
}

pub(super) async fn follow_receiver(
    receiver: crate::monitor::ReceiverClient,
    from: Position,
    log: Log,
    stop: CancellationToken,
) {
    let observer = || EventKind::RECEIVER_OBSERVER.to_owned();
    let mut events = Box::pin(receiver.follow(from));
    while let Some(Some(event)) = stop.run_until_cancelled(events.next()).await {
        log.record(match event {
            ReceiverEvent::Received(notification) => EventKind::NotificationReceived(notification),
            ReceiverEvent::Failed(error) => EventKind::ObserverFailed { observer: observer(), error },
            ReceiverEvent::Recovered => EventKind::ObserverRecovered { observer: observer() },
            ReceiverEvent::Gap(error) => {
                EventKind::ObserverFailed { observer: EventKind::RECEIVER_RESTARTED.to_owned(), error }
            }
        });
    }
}

pub(super) async fn set_up_probes(session: &Session, observers: &mut JoinSet<()>) -> Result<(), String> {
    for probe in &session.plan.probes {
        if !set_up_probe(probe, &session.http, &session.log).await {
            return Err(format!("the setup of probe {:?} was not answered as expected", probe.name));
        }
        observers.spawn(run_probe(
            probe.clone(),
            session.http.clone(),
            session.log.clone(),
            session.stop.clone(),
        ));
    }
    Ok(())
}

/// Reverts what a panic or a cancelled phase left, and gives the namespace back.
pub(super) async fn roll_back_rest(
    target: &Target,
    log: &Log,
    ledger: &Arc<Mutex<Option<Arc<Mutex<Ledger>>>>>,
) {
    let Some(shared) = ledger.lock().await.take() else { return };
    {
        let mut own = shared.lock().await;
        // What could not be undone a moment ago, with all patience, is left to `recover`.
        super::recover::revert_entries(&target.client, log, &mut own).await;
    }
    let Ok(own) = Arc::try_unwrap(shared) else { return };
    if let Err(error) = own.into_inner().close().await {
        log.note(format!("the ledger could not be removed: {}", chain(&error)));
    }
}

/// Time that the scenario itself demanded: the baseline, the faults and loads, and what was waited for after them.
fn demanded(plan: &Plan, log: &Log) -> Millis {
    let events = log.events();
    let at = |wanted: Phase, end: bool| {
        events.iter().find_map(|event| match &event.kind {
            EventKind::PhaseStarted { phase } if !end && *phase == wanted => Some(event.elapsed),
            EventKind::PhaseFinished { phase } if end && *phase == wanted => Some(event.elapsed),
            _ => None,
        })
    };
    let Some((healing, end)) = at(Phase::Heal, false).zip(at(Phase::Recovery, true)) else {
        return Millis(0);
    };
    let stimuli = stimulus::length_of_all(plan, &events);
    // Until the last thing that an expectation waits for after the faults was there.
    let verdict = Verdict::of(&events);
    let healed = at(Phase::Heal, true).map_or(Millis(0), |healed| healed - healing);
    let waited = verdict.checks.iter().zip(&plan.expectations);
    let waited =
        waited.filter_map(|(check, expectation)| waited_for(&expectation.kind, check.measured, healed));
    // The outcome is that of a run that is not finished yet; the checks are what counts.
    let all_passed = verdict.checks.iter().all(|check| check.outcome == CheckOutcome::Passed);
    let waited = if all_passed { waited.max().unwrap_or_default() } else { end - healing };
    plan.baseline + stimuli + waited
}

/// Time from the beginning of the revert until the expectation was met, if it looks at the time after the fault. `healed` is
/// how long the revert took to have its effect.
fn waited_for(kind: &ExpectationKind, measured: Option<Millis>, healed: Millis) -> Option<Millis> {
    match kind {
        ExpectationKind::Alert(alert) if alert.state == AlertState::Resolved => Some(healed + measured?),
        ExpectationKind::Http(http) if http.window == Window::After => Some(healed + measured?),
        ExpectationKind::Promql(promql) if promql.window == Window::After => match promql.mode {
            PromqlMode::Within(_) => Some(healed + measured?),
            PromqlMode::Stays(length) | PromqlMode::Until(length) => Some(healed + length),
        },
        ExpectationKind::Recovery { .. } | ExpectationKind::Workload(_) => measured,
        ExpectationKind::Autoscaler(expected) => match expected.goal {
            AutoscalerGoal::ScalesDownTo { .. } => Some(healed + measured?),
            _ => None,
        },
        ExpectationKind::Load(expected) if expected.phase == LoadPhase::After => {
            Some(healed + evidence::LOAD_AFTER)
        }
        _ => None,
    }
}
