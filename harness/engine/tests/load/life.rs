//! Loads from their start to their end.

use std::time::{Duration, Instant};

use harness_engine::load::LoadState;
use harness_event::{EventKind, LoadPhase, LoadStart, Millis};
use harness_load::{Command, Reason};

use super::script::{Case, LIMIT, Script, done, entry, frame, load, over, timed};

/// Waits for a condition.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

/// A load in the background is told each phase before it begins, and stops when it is told to.
#[tokio::test]
async fn a_load_in_the_background() {
    let script = Script::started()
        .say(&frame(0, 10, vec![entry(LoadPhase::Before, 10)]))
        .run("hear")
        .say(&frame(1, 30, vec![entry(LoadPhase::Before, 5), entry(LoadPhase::During, 15)]))
        .run("hear")
        .say(&frame(2, 40, vec![entry(LoadPhase::After, 10)]))
        .run("hear")
        .say(&frame(3, 42, vec![entry(LoadPhase::After, 2)]))
        .say(&done(Reason::Stopped, 42))
        // Its input stays open until it has ended: the end of that would mean that the harness is gone.
        .run("exec 3<&0; (cat <&3; : >\"$0.closed\") >/dev/null 2>&1 &")
        .run("sleep 0.3; kill $!; test ! -e \"$0.closed\" || exit 5");
    let mut case = Case::launch(load("background", LoadStart::Background), script);
    case.loads.establish().await.unwrap();
    assert!(case.loads.any_running());
    let orders = |case: &Case| -> Vec<Command> {
        case.script.read("orders").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    case.loads.begin_during().await;
    case.loads.begin_during().await;
    eventually("the frame of the fault", || case.kinds().len() >= 3).await;
    case.loads.begin_after().await;
    eventually("the frame of the recovery", || case.kinds().len() >= 4).await;
    let provisional = case.loads.provisional();
    assert!(matches!(provisional.last(), Some(EventKind::LoadFinished { begun: 40, .. })), "{provisional:?}");
    case.loads.stop().await;
    let phase = |phase| Command::Phase { phase };
    assert_eq!(
        orders(&case),
        [Command::Start, phase(LoadPhase::During), phase(LoadPhase::After), Command::Stop]
    );
    let measured: Vec<_> = case
        .kinds()
        .into_iter()
        .filter_map(|kind| match kind {
            EventKind::LoadMeasured { phase, step: None, stats, .. } => Some((phase, stats.requests)),
            _ => None,
        })
        .collect();
    assert_eq!(measured, [(LoadPhase::Before, 15), (LoadPhase::During, 15), (LoadPhase::After, 12)]);
    let kinds = case.kinds();
    let Some(EventKind::LoadFinished { reason, begun, .. }) = kinds.last() else { panic!("{kinds:?}") };
    assert_eq!((reason.as_str(), *begun), ("stopped", 42));
    assert!(!case.loads.any_running());
}

/// It is set up before the baseline ends, and does nothing until it is started.
#[tokio::test]
async fn a_load_on_the_timeline() {
    let script = Script::started()
        .say(&frame(0, 10, vec![entry(LoadPhase::During, 10)]))
        .say(&done(Reason::Requests, 10))
        .run("exit 0");
    let mut case = Case::launch(timed(10), script);
    assert_eq!(case.loads.establish().await, Ok(None), "no load in the background");
    case.loads.standing().unwrap();
    assert!(case.kinds().is_empty(), "it was not started yet");
    let LoadState::Ended(at) = case.run().await else { panic!("{:?}", case.error()) };
    let kinds = case.kinds();
    assert!(matches!(kinds.first(), Some(EventKind::LoadStarted { .. })));
    let ends = |kind: &EventKind| matches!(kind, EventKind::LoadFinished { ended_at, .. } if *ended_at == at);
    assert!(kinds.iter().any(ends), "{kinds:?}");
    assert!(case.loads.standing().is_err(), "a baseline would not be one under a load that has ended");
    case.loads.stop().await;
}

/// The baseline's clock does not start before the warm-up is over.
#[tokio::test]
async fn a_load_is_established_after_its_warm_up() {
    let script = Script::started()
        .say(&frame(0, 10, vec![entry(LoadPhase::WarmUp, 10)]))
        .run("until test -e \"$0.go\"; do sleep 0.02; done; exit 1");
    let mut spec = load("background", LoadStart::Background);
    spec.warm_up = Millis::from_secs(3600);
    let case = Case::launch(spec, script);
    let establish = case.loads.establish();
    tokio::pin!(establish);
    tokio::select! {
        done = &mut establish => panic!("{done:?}"),
        () = eventually("the first frame", || case.kinds().len() >= 2) => {}
    }
    std::fs::write(case.script.path("worker.sh.go"), "").unwrap();
    assert!(establish.await.unwrap_err().contains("exit status: 1"));
}

/// A load that was never started leaves no facts and no process.
#[tokio::test]
async fn a_load_that_is_not_needed() {
    let script = Script::new().run("echo $$ >\"$0.pid\"; exec sleep 1000");
    let pid = script.path("worker.sh.pid");
    let mut case = Case::launch(timed(10), script);
    eventually("the worker", || std::fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n'))).await;
    case.loads.stop().await;
    assert!(case.kinds().is_empty());
    assert!(!is_alive(&std::fs::read_to_string(&pid).unwrap()));
}

/// Nobody waits for the answers of a run that is cancelled, nor for a worker that does not listen.
#[tokio::test]
async fn a_run_that_is_cancelled() {
    let script = Script::started()
        .run("echo $$ >\"$0.pid\"")
        .say(&frame(0, 10, vec![entry(LoadPhase::Before, 10)]))
        .run("exec sleep 1000");
    let pid = script.path("worker.sh.pid");
    let mut case = Case::launch(load("background", LoadStart::Background), script);
    case.loads.establish().await.unwrap();
    case.cancel.cancel();
    tokio::time::timeout(LIMIT, case.loads.stop()).await.unwrap();
    assert!(case.error().is_some());
    assert!(!is_alive(&std::fs::read_to_string(&pid).unwrap()));
}

/// Ctrl-C in a terminal goes to the process group in the foreground, and that must not be the worker's.
#[tokio::test]
async fn a_worker_has_a_process_group_of_its_own() {
    let script =
        Script::new().run("cut -d' ' -f5 /proc/$$/stat >\"$0.group\"; echo $$ >\"$0.pid\"; exec sleep 1000");
    let (group, pid) = (script.path("worker.sh.group"), script.path("worker.sh.pid"));
    let case = Case::launch(timed(1), script);
    eventually("the worker", || std::fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n'))).await;
    let read = |path| std::fs::read_to_string(path).unwrap().trim().to_owned();
    assert_eq!(read(&group), read(&pid));
    // Whoever drops the loads, in a panic above all, ends the workers.
    let Case { loads, .. } = case;
    drop(loads);
    eventually("the end of the worker", || !is_alive(&read(&pid))).await;
}

/// A worker that writes much to standard error is not held up by that.
#[tokio::test]
async fn a_worker_that_talks() {
    let script =
        Script::started().run("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 7");
    let mut case = Case::launch(timed(1), script);
    case.run().await;
    let error = case.error().unwrap();
    assert!(error.ends_with("xthe end") && error.len() < 4000, "{error}");
    assert!(matches!(over(case.loads.timed().next().unwrap()).await, LoadState::Failed(_)));
}
