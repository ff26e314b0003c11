//! A game day from beginning to end.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::FutureExt;
use harness_event::{
    AlertExpectation, AlertState, CancelReason, Event, EventKind, Expectation, ExpectationKind,
    FORMAT_VERSION, FaultSpec, LoadSpec, Millis, Phase, Plan, RunMode, Verdict,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    connect,
    controls::Command,
    faults::Faults,
    loads::{OfferedLoad, StartedLoads},
    names::Names,
};
use crate::{
    Target,
    conductor::{
        evidence,
        prepare::Stopped,
        run::{observe, refuse_ledger, roll_back_rest, set_up_probes},
        session::Session,
    },
    fault::Ledger,
    load::WorkerCommand,
    log::Log,
    observe::Excerpts,
    publish::Publisher,
};

/// Time for reading what monitoring recorded, at the end.
const EVIDENCE_LIMIT: Duration = Duration::from_secs(20);
/// Longest remark, in characters.
const LONGEST_NOTE: usize = 2000;

/// What a game day needs to know.
pub struct GameDayOptions {
    /// Name of the run.
    pub run: String,
    /// Its directory, which exists.
    pub run_dir: PathBuf,
    /// Path of the scenario file that it takes its surroundings from; empty if none was given.
    pub scenario: String,
    /// SHA-256 of that file's text; empty if none was given.
    pub scenario_sha256: String,
    /// Title, namespace, monitoring, steady state, probes, SLOs. Faults, loads and expectations are left out.
    pub plan: Plan,
    /// Loads that may be started.
    pub loads: Vec<OfferedLoad>,
    /// Version of the harness.
    pub version: String,
    /// Time that bringing up an own stack took.
    pub bring_up: Millis,
    /// Cancelled with the name of the signal set.
    pub cancel: CancellationToken,
    /// Name of the signal that cancelled, once there is one.
    pub signal: Arc<OnceLock<String>>,
    /// How the workers of loads are started.
    pub load_worker: WorkerCommand,
    /// Time compression of the alert rules, as in [`crate::conductor::RunOptions`].
    pub compression: Option<(u32, Vec<String>)>,
    /// Without monitoring, there is no game day.
    pub require_monitoring: bool,
}

/// Lets people break things until they have had enough. Whatever happens, what was changed is changed back before this returns,
/// or the verdict says what is left.
pub async fn gameday(
    options: GameDayOptions,
    target: &Target,
    log: &Log,
    commands: mpsc::Receiver<Command>,
) -> Verdict {
    let plan = surroundings(&options.plan);
    log.record(EventKind::RunStarted {
        format: FORMAT_VERSION,
        run: options.run.clone(),
        harness: options.version.clone(),
        scenario: options.scenario.clone(),
        scenario_sha256: options.scenario_sha256.clone(),
        mode: RunMode::GameDay,
        plan: plan.clone(),
    });
    if let Some((factor, unscaled)) = &options.compression {
        log.record(EventKind::TimeCompressed { factor: *factor, unscaled: unscaled.clone() });
    }
    let published = Publisher::start(log, &target.client, &plan.monitoring.receiver);
    let ledger = Arc::new(Mutex::new(None));
    let phases = phases(&options, plan, target, log, &ledger, commands);
    // A panic of ours must not leave a fault behind.
    let stopped = match AssertUnwindSafe(phases).catch_unwind().await {
        Ok(result) => result.err().map(|reason| fact(&options, reason)),
        Err(_) => Some(internal("it panicked; the message is on standard error".to_owned())),
    };
    if let Some(fact) = stopped {
        log.record(fact);
    }
    roll_back_rest(target, log, &ledger).await;
    if let Some(error) = log.failure() {
        log.record(internal(format!("events.ndjson could not be written: {error}")));
    }
    log.record(EventKind::RunFinished { demanded: Millis(0), bring_up: options.bring_up });
    let verdict = Verdict::of(&log.events());
    published.finish(&verdict).await;
    verdict
}

/// What of a scenario is there before anything is done.
fn surroundings(plan: &Plan) -> Plan {
    Plan { loads: Vec::new(), faults: Vec::new(), expectations: Vec::new(), ..plan.clone() }
}

/// Why a game day did not go on, or did not end by itself.
enum Ended {
    Stopped(Stopped),
    Internal(String),
}

impl From<Stopped> for Ended {
    fn from(reason: Stopped) -> Self {
        Self::Stopped(reason)
    }
}

fn internal(reason: String) -> EventKind {
    EventKind::RunCancelled { reason: CancelReason::Internal(reason) }
}

fn fact(options: &GameDayOptions, ended: Ended) -> EventKind {
    match ended {
        Ended::Internal(reason) => internal(reason),
        Ended::Stopped(Stopped::NotReady { component, reason }) => EventKind::NotReady { component, reason },
        Ended::Stopped(Stopped::Refused(problems)) => EventKind::RunRefused { problems },
        Ended::Stopped(Stopped::Cancelled) => {
            let signal = options.signal.get().cloned().unwrap_or_else(|| "a signal".to_owned());
            EventKind::RunCancelled { reason: CancelReason::Signal(signal) }
        }
    }
}

async fn phases(
    options: &GameDayOptions,
    plan: Plan,
    target: &Target,
    log: &Log,
    ledger: &Arc<Mutex<Option<Arc<Mutex<Ledger>>>>>,
    mut commands: mpsc::Receiver<Command>,
) -> Result<(), Ended> {
    let phase = |phase| log.record(EventKind::PhaseStarted { phase });
    let over = |phase| log.record(EventKind::PhaseFinished { phase });
    phase(Phase::Prepare);
    let session = Session::connect(&options.run, &plan, target, log, &options.cancel).await;
    let mut session = session.map_err(|error| Stopped::not_ready("monitoring", &error))?;
    let own = tokio::select! {
        () = options.cancel.cancelled() => return Err(Stopped::Cancelled.into()),
        own = async {
            connect::connect(&mut session, options.require_monitoring).await?;
            Ledger::open(target, &options.run_dir, &options.run, &plan.namespace).await.map_err(refuse_ledger)
        } => own?,
    };
    let own = Arc::new(Mutex::new(own));
    *ledger.lock().await = Some(own.clone());
    over(Phase::Prepare);
    phase(Phase::Fault);
    let mut observers = JoinSet::new();
    let session = Arc::new(session);
    drop(observe(&session, &mut observers).await?);
    connect::follow_monitoring(&session, &mut observers);
    let excerpts = Excerpts::new(target.client.clone(), plan.namespace.clone(), log.clone());
    observers.spawn(excerpts.watch(session.stop.clone()));
    // Somebody whose registration fails is no reason to send everybody home.
    let probes = session.cancel.run_until_cancelled(set_up_probes(&session, &mut observers)).await;
    if let Some(Err(reason)) = probes {
        log.note(format!("{reason}; what it would do is not watched"));
    }
    let names = Names::default();
    let mut faults = Faults::new(&session, &own, &names);
    let mut loads = StartedLoads::new(&session, options.loads.clone(), options.load_worker.clone(), &names);
    let served = serve(&session, &mut commands, &mut faults, &mut loads).await;
    // Who asks from now on is told that it is over.
    drop(commands);
    over(Phase::Fault);
    phase(Phase::Heal);
    let (healed, stopped) = tokio::join!(faults.finish(), loads.finish());
    over(Phase::Heal);
    drop((faults, loads, own));
    phase(Phase::Verdict);
    if !options.cancel.is_cancelled() {
        read_evidence(session.clone()).await;
    }
    session.stop.cancel();
    observers.join_all().await;
    over(Phase::Verdict);
    served.and(healed).and(stopped).map_err(Ended::Internal)?;
    if options.cancel.is_cancelled() { Err(Stopped::Cancelled.into()) } else { Ok(()) }
}

/// Does what people want until they want no more. `Err` if the harness itself failed.
async fn serve(
    session: &Arc<Session>,
    commands: &mut mpsc::Receiver<Command>,
    faults: &mut Faults,
    loads: &mut StartedLoads,
) -> Result<(), String> {
    loop {
        let command = tokio::select! {
            biased;
            () = session.cancel.cancelled() => return Ok(()),
            over = faults.next_over() => { over?; continue },
            over = loads.next_over() => { over?; continue },
            command = commands.recv() => command,
        };
        // Who has gone away gets no answer.
        match command {
            None => {
                session.log.note("nobody can command the game day any more: it ends");
                return Ok(());
            }
            Some(Command::Finish) => return Ok(()),
            Some(Command::Targets(answer)) => faults.targets(answer),
            Some(Command::Plan(spec, answer)) => faults.plan(spec, answer),
            Some(Command::Inject(spec, answer)) => faults.inject(spec, answer),
            Some(Command::StopFault(name, answer)) => drop(answer.send(faults.stop(&name))),
            Some(Command::StartLoad(load, answer)) => loads.start(&load, answer),
            Some(Command::StopLoad(load, answer)) => drop(answer.send(loads.stop(&load))),
            Some(Command::Note(text, answer)) => drop(answer.send(note(&session.log, &text))),
        }
    }
}

fn note(log: &Log, text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("an empty note says nothing".to_owned());
    }
    if text.chars().count() > LONGEST_NOTE {
        return Err(format!("a note has at most {LONGEST_NOTE} characters"));
    }
    log.record(EventKind::NoteWritten { text: text.to_owned() });
    Ok(())
}

/// What monitoring recorded of the game day, as far as it can be asked.
async fn read_evidence(session: Arc<Session>) {
    let log = session.log.clone();
    let events = log.events();
    let (faults, loads) = requested(&events);
    // The faults and loads that there were, so that what they did to error budgets is measured; and the alerts that fired, so that
    // it is known whether their data was still there when they resolved. Nothing of it is judged.
    let plan = Plan { faults, loads, expectations: fired(&events), ..session.plan.clone() };
    let session = Session { plan, ..Session::clone(&session) };
    match tokio::time::timeout(EVIDENCE_LIMIT, evidence::read(&session, &events)).await {
        Ok(facts) => facts.into_iter().for_each(|fact| log.record(fact)),
        Err(_) => log.record(EventKind::AlertHistoryMissing { error: "no answer in time".to_owned() }),
    }
}

/// Alerts that fired, as if each were expected to resolve.
fn fired(events: &[Event]) -> Vec<Expectation> {
    let names: BTreeSet<&String> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::AlertSeen { labels, state, .. } if state == "firing" => labels.get("alertname"),
            _ => None,
        })
        .collect();
    let resolving = |alert: &String| Expectation {
        id: alert.clone(),
        title: String::new(),
        line: 0,
        fault: String::new(),
        kind: ExpectationKind::Alert(AlertExpectation {
            alert: alert.clone(),
            labels: Vec::new(),
            state: AlertState::Resolved,
            within: Millis(0),
            receiver: None,
        }),
    };
    names.into_iter().map(resolving).collect()
}

fn requested(events: &[Event]) -> (Vec<FaultSpec>, Vec<LoadSpec>) {
    let faults = events.iter().filter_map(|event| match &event.kind {
        EventKind::FaultRequested { spec } => Some(spec.clone()),
        _ => None,
    });
    let loads = events.iter().filter_map(|event| match &event.kind {
        EventKind::LoadRequested { spec } => Some(spec.clone()),
        _ => None,
    });
    (faults.collect(), loads.collect())
}
