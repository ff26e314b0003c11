//! Every way in which a worker fails makes the load fail, with the reason, and leaves no process behind.

use harness_engine::{
    Log,
    load::{LoadState, Loads, WorkerCommand},
};
use harness_event::{EventKind, LoadPhase, LoadStart, Millis};
use harness_load::{Entry, Message, Reason};
use tokio_util::sync::CancellationToken;

use super::script::{Case, Script, done, entry, frame, load, over, prepared, timed};

const DURING: LoadPhase = LoadPhase::During;

/// Runs a load of ten requests to its end, which must be a failure with this text.
async fn fails(script: Script, wanted: &str) {
    let mut case = Case::launch(timed(10), script.run("sleep 1000 & echo $! >/dev/null; wait"));
    let state = case.run().await;
    let error = case.error().unwrap_or_else(|| panic!("{wanted}: no failure, but {state:?}"));
    assert!(error.contains(wanted), "{error:?} does not say {wanted:?}");
    assert_eq!(state, LoadState::Failed(error));
    let finished =
        |kind: &EventKind| matches!(kind, EventKind::LoadFinished { .. } | EventKind::LoadMeasured { .. });
    assert!(!case.kinds().iter().any(finished), "a load that failed has measured nothing");
}

fn ten() -> Message {
    frame(0, 10, vec![entry(DURING, 10)])
}

#[tokio::test]
async fn a_worker_that_dies() {
    let died =
        Script::started().say(&frame(0, 5, vec![entry(DURING, 5)])).run("echo out of memory >&2; exit 3");
    fails(died, "its worker ended: exit status: 3; it wrote: out of memory").await;
    let killed = Script::started().say(&frame(0, 5, vec![entry(DURING, 5)])).run("kill -9 $$");
    fails(killed, "signal: 9").await;
    fails(Script::new().run("exit 0"), "its worker ended: exit status: 0").await;
    fails(Script::new().say(&Message::Hello { protocol: 1 }).run("exit 0"), "its worker ended").await;
}

#[tokio::test]
async fn a_worker_that_hangs() {
    fails(Script::started().say(&ten()), "sent nothing for 5s").await;
}

#[tokio::test]
async fn a_worker_that_nobody_understands() {
    fails(Script::new().run("echo Segmentation fault"), "\"Segmentation fault\"").await;
    fails(Script::started().run("echo '{\"message\":\"frame\"}'"), "cannot be understood").await;
    fails(Script::started().say(&ten()).run("printf '{\"message\":'; exit 0"), "cannot be understood").await;
    fails(Script::started().run("head -c 9000000 /dev/zero | tr '\\0' x"), "a line of more than").await;
    fails(Script::started().say(&Message::Ready), "ready where a frame was due").await;
    fails(Script::new().say(&Message::Ready), "ready where hello was due").await;
}

#[tokio::test]
async fn a_worker_of_another_version() {
    fails(Script::new().say(&Message::Hello { protocol: 2 }), "version 2 of the protocol, not 1").await;
}

#[tokio::test]
async fn a_worker_that_says_it_cannot() {
    let error = "setup step \"login\" was answered 503".to_owned();
    let script =
        Script::new().say(&Message::Hello { protocol: 1 }).say(&Message::Failed { error: error.clone() });
    fails(script, &error).await;
}

#[tokio::test]
async fn frames_that_do_not_add_up() {
    let gap = Script::started().say(&ten()).say(&frame(2, 10, vec![]));
    fails(gap, "frame 2 came where frame 1 was due").await;
    let more = Script::started().say(&ten()).say(&done(Reason::Requests, 11)).run("exit 0");
    fails(more, "counts 11 requests, but its frames have 10").await;
    let lost = Script::started().say(&frame(0, 12, vec![entry(DURING, 10)])).say(&done(Reason::Requests, 10));
    fails(lost.run("exit 0"), "of 12 requests begun only 10").await;
    let lying = Entry { statuses: [(200, 11)].into(), ..entry(DURING, 10) };
    fails(Script::started().say(&frame(0, 11, vec![lying])), "11 requests with 10 latencies").await;
}

#[tokio::test]
async fn ends_that_nothing_has_brought_about() {
    let end = |reason, requests| {
        let frame = frame(0, requests, vec![entry(DURING, requests)]);
        Script::started().say(&frame).say(&done(reason, requests)).run("exit 0")
    };
    fails(end(Reason::Stopped, 10), "it ended (stopped)").await;
    fails(end(Reason::Duration, 10), "it ended (duration)").await;
    fails(end(Reason::Requests, 9), "it ended (requests)").await;
    let done = Script::started().say(&ten()).say(&done(Reason::Requests, 10));
    fails(done.run("exit 1"), "its worker ended: exit status: 1").await;
}

#[tokio::test]
async fn a_worker_that_does_not_exist() {
    let command = WorkerCommand { program: "/nonexistent/worker".into(), arguments: vec![] };
    let log = Log::unrecorded();
    let loads = Loads::launch(&[prepared(timed(1))], &command, &log, &CancellationToken::new());
    let state = over(loads.timed().next().unwrap()).await;
    let LoadState::Failed(error) = state else { panic!("{state:?}") };
    assert!(error.contains("/nonexistent/worker"), "{error}");
    let reason = loads.establish().await.unwrap_err();
    assert!(reason.contains("load \"surge\" could not be set up"), "{reason}");
}

/// It sends frames for ever, whatever it is told.
#[tokio::test]
async fn a_worker_that_does_not_stop() {
    let frames = (1..200).map(|number| frame(number, 10, vec![]));
    let mut script = Script::started().say(&frame(0, 10, vec![entry(LoadPhase::Before, 10)]));
    for message in frames {
        script = script.say(&message).run("sleep 0.2");
    }
    let mut case = Case::launch(load("background", LoadStart::Background), script);
    case.loads.establish().await.unwrap();
    case.loads.stop().await;
    let error = case.error().expect("a failure");
    assert!(
        error.contains("did not end within 5s100ms of being told to stop")
            || error.contains("did not end within"),
        "{error}"
    );
}

#[tokio::test]
async fn a_load_in_the_background_that_is_not_answered() {
    let failing = Entry { statuses: [(503, 10)].into(), failed: 10, ..entry(LoadPhase::Before, 10) };
    let script = Script::started().say(&frame(0, 10, vec![failing])).run("exit 1");
    let case = Case::launch(load("background", LoadStart::Background), script);
    let reason = case.loads.establish().await.unwrap_err();
    assert!(reason.contains("load \"background\" failed"), "{reason}");
}

/// The guard of a load that should end by itself and does not.
#[tokio::test]
async fn a_load_that_goes_on_after_its_duration() {
    let mut script = Script::started().say(&frame(0, 10, vec![entry(DURING, 10)]));
    for number in 1..100 {
        script = script.say(&frame(number, 10, vec![])).run("sleep 0.2");
    }
    let mut spec = timed(1000);
    spec.duration = Some(Millis(500));
    let mut case = Case::launch(spec, script);
    case.run().await;
    let error = case.error().expect("a failure");
    assert!(error.contains("after its duration was over"), "{error}");
}
