//! `recover`: undoes what an interrupted run left.

use std::{fs, io, path::Path};

use harness_event::{
    CancelReason, Event, EventKind, Millis, ReadError, ReadLog, Timestamp, Verdict, read_log,
};
use kube::Client;

use super::inject::revert_and_verify;
use crate::{
    fault::{Entry, Ledger, LedgerError, LedgerFile, read_ledger},
    log::Log,
    monitor::chain,
};

/// Name of the log of a recovery that is not in the run's own.
const RECOVERY: &str = "recovery.ndjson";
/// How long ago a revert may have failed at most to be taken for the last word.
const LATELY: Millis = Millis(60_000);

/// Why a run could not be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log could not be written.
    #[error("the run's event log could not be continued")]
    Write(#[source] io::Error),
    /// Its process is alive.
    #[error(
        "run {run} is still going on in process {pid}; stop that process (SIGINT) and it rolls back by itself"
    )]
    Running {
        /// The run.
        run: String,
        /// Its process.
        pid: u32,
    },
}

/// What a recovery did.
pub struct Recovered {
    /// The run.
    pub run: String,
    /// Faults that were undone now.
    pub reverted: Vec<String>,
    /// What could not be undone, and why.
    pub left: Vec<String>,
    /// The run's verdict now, if its log is here and sound.
    pub verdict: Option<Verdict>,
    /// Why the run's log could not be continued, and where is recorded instead what was done. The faults are undone all the same:
    /// what that takes is in the ledger.
    pub log_problem: Option<String>,
}

/// Recovers the run of a directory. `None` if there is nothing to do.
///
/// # Errors
/// See [`RecoverError`].
pub async fn recover(client: &Client, run_dir: &Path) -> Result<Option<Recovered>, RecoverError> {
    let Some(file) = read_ledger(run_dir)? else { return Ok(None) };
    if file.unreverted().next().is_none()
        && Ledger::in_cluster(client, &file.namespace).await?.is_none_or(|held| held.run != file.run)
    {
        return Ok(None);
    }
    still_running(&file)?;
    let (log, log_problem) = match continued(&run_dir.join("events.ndjson")) {
        Ok(log) => {
            log.record(EventKind::RunCancelled { reason: CancelReason::Recovered });
            (log, None)
        }
        Err(error) => {
            let (log, place) = beside(run_dir);
            (log, Some(format!("{}; what was done is recorded {place}", chain(&error))))
        }
    };
    let mut ledger = Ledger::resume(client, run_dir, file.clone());
    let (reverted, left) = revert_entries(client, &log, &mut ledger).await;
    ledger.close().await?;
    if let Some(error) = log.failure() {
        return Err(RecoverError::Write(io::Error::other(error)));
    }
    let verdict = log_problem.is_none().then(|| Verdict::of(&log.events()));
    Ok(Some(Recovered { run: file.run, reverted, left, verdict, log_problem }))
}

/// The log of a run, to be gone on with. One that is damaged is left as it is.
fn continued(path: &Path) -> Result<Log, ReadError> {
    let text = fs::read(path)?;
    let ReadLog { events, torn } = read_log(text.as_slice())?;
    Ok(Log::reopen(path, events, torn, None)?)
}

/// A log of the recovery alone, and where it is. Where none can be written, that is no reason to leave a fault on.
fn beside(run_dir: &Path) -> (Log, String) {
    let mut number = 1;
    loop {
        let name = if number == 1 { RECOVERY.to_owned() } else { format!("recovery-{number}.ndjson") };
        match Log::create(&run_dir.join(&name), None) {
            Ok(log) => return (log, format!("in {name} beside it")),
            // Of an earlier recovery that was not complete.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return (Log::unrecorded(), format!("nowhere ({error})")),
        }
    }
}

/// Recovers what the ledger in a namespace says, for a run whose directory is on another machine. Whether that machine still
/// runs it cannot be known from here: who calls this has decided that it does not. What is done is recorded in `run_dir`.
///
/// # Errors
/// See [`RecoverError`].
pub async fn recover_from_cluster(
    client: &Client,
    namespace: &str,
    run_dir: &Path,
) -> Result<Option<Recovered>, RecoverError> {
    let Some(file) = Ledger::in_cluster(client, namespace).await? else { return Ok(None) };
    if file.is_here() {
        still_running(&file)?;
    }
    fs::create_dir_all(run_dir).map_err(RecoverError::Write)?;
    let log = Log::create(&run_dir.join(RECOVERY), None).map_err(RecoverError::Write)?;
    let mut ledger = Ledger::resume(client, run_dir, file.clone());
    let (reverted, left) = revert_entries(client, &log, &mut ledger).await;
    ledger.close().await?;
    Ok(Some(Recovered { run: file.run, reverted, left, verdict: None, log_problem: None }))
}

fn still_running(file: &LedgerFile) -> Result<(), RecoverError> {
    match file.is_orphan() {
        true => Ok(()),
        false => Err(RecoverError::Running { run: file.run.clone(), pid: file.pid }),
    }
}

/// Faults of which this process has just said that they could not be undone, with all the patience it has: trying once more
/// would only keep people waiting for the same answer. What it said longer ago does not count, for the cluster may have come back
/// since; nor does the log of an earlier process.
fn given_up(events: &[Event], now: Millis) -> Vec<&str> {
    let mut faults = Vec::new();
    for event in events.iter().rev().take_while(|event| now - event.elapsed <= LATELY) {
        match &event.kind {
            EventKind::FaultRevertFailed { fault, .. } => faults.push(fault.as_str()),
            EventKind::RunCancelled { reason: CancelReason::Recovered } => break,
            _ => {}
        }
    }
    faults
}

/// Undoes every entry that is not undone, last first. Returns what was and what could not be undone.
pub(super) async fn revert_entries(
    client: &Client,
    log: &Log,
    ledger: &mut Ledger,
) -> (Vec<String>, Vec<String>) {
    let events = log.events();
    let given_up = given_up(&events, log.elapsed());
    let open = |entry: &&Entry| !entry.reverted && !given_up.contains(&entry.fault.as_str());
    let entries: Vec<_> = ledger.entries().iter().rev().filter(open).cloned().collect();
    let namespace = ledger.namespace().to_owned();
    let (mut reverted, mut left) = (Vec::new(), Vec::new());
    for entry in entries {
        let fault = entry.fault;
        log.record(EventKind::FaultRevertStarted { fault: fault.clone(), sent_at: Timestamp::now() });
        match revert_and_verify(client, ledger.own_stack(), &namespace, &entry.snapshot, log).await {
            Ok(seen) => {
                log.record(EventKind::FaultRevertVerified {
                    fault: fault.clone(),
                    effect_at: seen.at,
                    detail: seen.detail,
                });
                if let Err(error) = ledger.reverted(&fault).await {
                    log.note(format!("the ledger could not be brought up to date: {}", chain(&error)));
                }
                reverted.push(format!("{fault}: {}", entry.snapshot.inverse()));
            }
            Err(error) => {
                let error = chain(&error);
                log.record(EventKind::FaultRevertFailed { fault: fault.clone(), error: error.clone() });
                left.push(format!("{fault}: {error}"));
            }
        }
    }
    (reverted, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(elapsed: i64, kind: EventKind) -> Event {
        Event { seq: 0, at: Timestamp(elapsed), elapsed: Millis(elapsed), kind }
    }

    fn failed(elapsed: i64, fault: &str) -> Event {
        event(elapsed, EventKind::FaultRevertFailed { fault: fault.into(), error: "no answer".into() })
    }

    #[test]
    fn only_what_failed_a_moment_ago_is_given_up() {
        let events = [failed(1000, "an-hour-ago"), failed(3_600_000, "late"), failed(3_640_000, "last")];
        assert_eq!(given_up(&events, Millis(3_650_000)), ["last", "late"]);
        assert_eq!(given_up(&events, Millis(3_660_001)), ["last"]);
        assert_eq!(given_up(&events, Millis(3_700_001)), [""; 0]);
    }

    #[test]
    fn what_an_earlier_process_said_does_not_count() {
        let recovered = event(2000, EventKind::RunCancelled { reason: CancelReason::Recovered });
        let events = [failed(1000, "before"), recovered, failed(3000, "since")];
        assert_eq!(given_up(&events, Millis(3000)), ["since"]);
    }
}
