//! The loads of a game day: those that are offered, started and stopped by hand.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use harness_event::{EventKind, LoadSpec, LoadStart, Millis, Plan};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{names::Names, tasks::Tasks};
use crate::{
    conductor::session::Session,
    load::{Load, LoadState, Loads, WorkerCommand, length, prepare_loads},
};

/// A load in the background goes on until it is stopped; the worker is told an end all the same.
const LONGEST: Millis = Millis::from_secs(24 * 3600);

/// A load that may be started.
#[derive(Clone, Debug)]
pub struct OfferedLoad {
    /// As its scenario says it.
    pub spec: LoadSpec,
    /// Directory of its scenario file: files that it names are relative to it.
    pub directory: PathBuf,
}

/// All loads that were started.
pub(super) struct StartedLoads {
    shared: Arc<Shared>,
    tasks: Tasks,
}

struct Shared {
    session: Arc<Session>,
    offered: Vec<OfferedLoad>,
    worker: WorkerCommand,
    names: Names,
    /// By name: the load that it is one of, and what stops it.
    running: Mutex<BTreeMap<String, (String, CancellationToken)>>,
    stop: CancellationToken,
}

impl StartedLoads {
    pub(super) fn new(
        session: &Arc<Session>,
        offered: Vec<OfferedLoad>,
        worker: WorkerCommand,
        names: &Names,
    ) -> Self {
        let shared = Shared {
            session: session.clone(),
            offered,
            worker,
            names: names.clone(),
            running: Mutex::default(),
            stop: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared), tasks: Tasks::of("load") }
    }

    /// Starts a load.
    pub(super) fn start(&mut self, load: &str, answer: oneshot::Sender<Result<String, String>>) {
        match self.shared.take(load) {
            Ok((offered, name, stop)) => {
                let shared = self.shared.clone();
                self.tasks.spawn(async move {
                    shared.life(&offered, &name, &stop, answer).await;
                    shared.running().remove(&name);
                });
            }
            Err(reason) => drop(answer.send(Err(reason))),
        }
    }

    /// Stops a load: the one of that name, or the one that was started last of it.
    pub(super) fn stop(&self, load: &str) -> Result<(), String> {
        let running = self.shared.running();
        let of_it = running.iter().find(|(name, (offered, _))| *name == load || offered == load);
        let Some((name, (_, stop))) = of_it else {
            let names: Vec<&str> = running.keys().map(String::as_str).collect();
            return Err(match names.as_slice() {
                [] => format!("load {load:?} does not run; no load does"),
                names => format!("load {load:?} does not run; running are {}", names.join(", ")),
            });
        };
        if stop.is_cancelled() {
            return Err(format!("load {name:?} is being stopped already"));
        }
        self.shared.session.log.record(EventKind::LoadStopped { load: name.clone() });
        stop.cancel();
        Ok(())
    }

    /// Waits until a task is over; pending if there is none. `Err` if it panicked.
    pub(super) async fn next_over(&mut self) -> Result<(), String> {
        self.tasks.next_over().await
    }

    /// Stops all and waits until what they did is recorded.
    pub(super) async fn finish(&mut self) -> Result<(), String> {
        self.shared.stop.cancel();
        self.tasks.all_over().await
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, BTreeMap<String, (String, CancellationToken)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, load: &str) -> Result<(OfferedLoad, String, CancellationToken), String> {
        let offered = self.offered.iter().find(|offered| offered.spec.name == load).ok_or_else(|| {
            let names: Vec<&str> = self.offered.iter().map(|offered| offered.spec.name.as_str()).collect();
            match names.as_slice() {
                [] => "no load is offered: give a scenario with loads, or --loads".to_owned(),
                names => format!("there is no load {load:?}; there are {}", names.join(", ")),
            }
        })?;
        let mut running = self.running();
        if let Some(name) = running.iter().find(|(_, (of, _))| of == load).map(|(name, _)| name) {
            return Err(format!("load {name:?} runs already"));
        }
        let (name, stop) = (self.names.give(load), self.stop.child_token());
        running.insert(name.clone(), (load.to_owned(), stop.clone()));
        Ok((offered.clone(), name, stop))
    }

    /// A load from the wish to its end.
    async fn life(
        &self,
        offered: &OfferedLoad,
        name: &str,
        stop: &CancellationToken,
        answer: oneshot::Sender<Result<String, String>>,
    ) {
        let log = &self.session.log;
        let spec = by_hand(&offered.spec, name, log.elapsed());
        let plan = Plan { loads: vec![spec.clone()], ..self.session.plan.clone() };
        let client = &self.session.target.client;
        let prepared = tokio::select! {
            prepared = prepare_loads(&plan, client, &self.session.run, &offered.directory) => prepared,
            () = stop.cancelled() => return self.names.give_back(name),
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.names.give_back(name);
                log.note(format!("load {name} was not started: {error}"));
                return drop(answer.send(Err(error.to_string())));
            }
        };
        log.record(EventKind::LoadRequested { spec });
        let mut loads = Loads::launch(&prepared, &self.worker, log, &self.session.cancel);
        if let Some(load) = loads.timed().next() {
            let ready = get_ready(load, stop).await;
            let begins = ready.is_ok();
            let _ = answer.send(ready.map(|()| name.to_owned()));
            if begins {
                load.start();
                tokio::select! {
                    _ = load.wait(LoadState::is_over) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        loads.stop().await;
    }
}

/// Waits until a load can begin. `Err` if it must not: why, for people.
async fn get_ready(load: &Load, stop: &CancellationToken) -> Result<(), String> {
    let state = tokio::select! {
        biased;
        () = stop.cancelled() => LoadState::Withdrawn,
        state = load.wait(|state| *state != LoadState::Starting) => state,
    };
    match state {
        LoadState::Failed(error) => Err(error),
        LoadState::Withdrawn => Err("it was stopped before it began".to_owned()),
        _ => Ok(()),
    }
}

/// The load as it is when somebody starts it now: no part of the background, since it was not there from the beginning.
fn by_hand(spec: &LoadSpec, name: &str, now: Millis) -> LoadSpec {
    let ends = length(spec).is_some() || spec.requests.is_some();
    LoadSpec {
        name: name.to_owned(),
        start: LoadStart::After(now),
        duration: if ends { spec.duration } else { Some(LONGEST) },
        ..spec.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use harness_event::verdict::testkit;
    use kube::Client;

    use super::*;
    use crate::Log;

    /// Ready at once, and then it waits.
    const READY: &str =
        r#"echo '{"message":"hello","protocol":1}'; echo '{"message":"ready"}'; cat >/dev/null"#;

    #[tokio::test]
    async fn a_load_that_is_stopped_before_it_begins_never_begins() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut spec = testkit::load_spec("users", LoadStart::After(Millis(0)));
        spec.steps
            .iter_mut()
            .for_each(|step| step.url = format!("http://{}/", listener.local_addr().unwrap()));
        let plan = Plan { loads: vec![by_hand(&spec, "users", Millis(0))], ..testkit::plan() };
        let nowhere = Client::new(axum::Router::<()>::new(), "default");
        let prepared = prepare_loads(&plan, &nowhere, "test", Path::new("")).await.unwrap();
        let worker = WorkerCommand { program: "/bin/sh".into(), arguments: vec!["-c".into(), READY.into()] };
        let cancel = CancellationToken::new();
        let mut loads = Loads::launch(&prepared, &worker, &Log::unrecorded(), &cancel);
        let load = loads.timed().next().unwrap();
        let stop = CancellationToken::new();
        assert_eq!(get_ready(load, &stop).await, Ok(()));
        // Whatever came first: who has stopped it is told so, and nobody starts it then.
        stop.cancel();
        for _ in 0..50 {
            assert!(get_ready(load, &stop).await.unwrap_err().contains("stopped before it began"));
        }
        loads.stop().await;
    }

    #[test]
    fn a_load_of_the_background_becomes_one_that_is_stopped_by_hand() {
        let users = testkit::load_spec("users", LoadStart::Background);
        let load = by_hand(&users, "users-2", Millis(5000));
        assert_eq!(load.start, LoadStart::After(Millis(5000)));
        assert_eq!((load.name.as_str(), load.duration), ("users-2", Some(LONGEST)));
        let surge =
            LoadSpec { requests: Some(10), ..testkit::load_spec("surge", LoadStart::After(Millis(0))) };
        assert_eq!(by_hand(&surge, "surge", Millis(1)).duration, None);
    }
}
