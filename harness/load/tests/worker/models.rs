//! Closed and open models: how many requests, when, and what their latencies count from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::response::Response;
use harness_event::{LoadPhase, Millis, RateStage};
use harness_load::{Command, Reason};

use crate::support::{Got, Server, Worker, assignment, load, rate, run, step};

#[tokio::test]
async fn a_total_of_requests_is_exact() {
    let server = Server::hello().await;
    let mut load = load(25, vec![step("hello", server.url("/"))]);
    load.requests = Some(500);
    let report = run(&assignment(load)).await;
    assert_eq!((report.reason, report.requests(), report.failed()), (Reason::Requests, 500, 0));
    assert_eq!(server.got().len(), 500);
    assert_eq!(report.entries().map(|entry| entry.bytes).sum::<u64>(), 500 * 5);
    let connections: BTreeSet<_> = server.got().iter().map(|got| got.peer).collect();
    assert!(connections.len() <= 25, "each user keeps one connection, not {}", connections.len());
}

#[tokio::test]
async fn fewer_requests_than_users() {
    let server = Server::hello().await;
    let mut load = load(50, vec![step("hello", server.url("/"))]);
    load.requests = Some(3);
    assert_eq!(run(&assignment(load)).await.requests(), 3);
    assert_eq!(server.got().len(), 3);
}

#[tokio::test]
async fn steps_by_weight() {
    let server = Server::hello().await;
    let mut often = step("often", server.url("/often"));
    often.weight = 9;
    let mut load = load(4, vec![often, step("seldom", server.url("/seldom"))]);
    load.in_order = false;
    load.requests = Some(2000);
    let report = run(&assignment(load)).await;
    let seldom = server.got().iter().filter(|got| got.uri.path() == "/seldom").count() as u64;
    assert_eq!((report.of_step(1), report.of_step(0)), (seldom, 2000 - seldom));
    // Six standard deviations around a tenth.
    assert!((120..280).contains(&seldom), "{seldom}");
}

#[tokio::test]
async fn think_time_bounds_the_rate_of_a_user() {
    let server = Server::hello().await;
    let mut thoughtful = step("hello", server.url("/"));
    thoughtful.think = Some((Millis(200), Millis(300)));
    let mut load = load(2, vec![thoughtful]);
    load.duration = Some(Millis(1500));
    let begin = Instant::now();
    let report = run(&assignment(load)).await;
    assert_eq!(report.reason, Reason::Duration);
    assert!((2..=16).contains(&report.requests()), "{}", report.requests());
    assert!(begin.elapsed() < Duration::from_secs(15), "a user that thinks does not hold up the end");
}

#[tokio::test]
async fn users_start_one_after_another() {
    let server = Server::hello().await;
    let mut hello = step("hello", server.url("/"));
    hello.headers.insert("x-user".to_owned(), "${user.id}".to_owned());
    hello.think = Some((Millis(50), Millis(50)));
    let mut load = load(4, vec![hello]);
    load.ramp = Millis(1600);
    load.duration = Some(Millis(2500));
    let mut worker = Worker::ready(&assignment(load)).await;
    let begin = Instant::now();
    worker.send(&Command::Start).await;
    worker.next().await;
    let report = worker.finish(Vec::new()).await;
    let mut first: BTreeMap<String, Duration> = BTreeMap::new();
    for got in server.got() {
        first.entry(got.header("x-user").to_owned()).or_insert(got.at - begin);
    }
    assert_eq!(first.keys().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    for (place, after) in first.values().enumerate() {
        let due = Duration::from_millis(400 * place as u64);
        assert!(*after >= due, "user {place} started after {after:?}, before {due:?}");
    }
    let users: Vec<u32> = report.frames.iter().map(|frame| frame.users).collect();
    assert!(users[0] < 4 && users.contains(&4), "{users:?}");
}

#[tokio::test]
async fn an_open_model_starts_what_its_schedule_asks_for() {
    let server = Server::hello().await;
    let mut load = load(20, vec![step("hello", server.url("/"))]);
    load.stages = vec![
        RateStage { rate: 50.0, to: None, length: Some(Millis(1000)) },
        RateStage { rate: 50.0, to: Some(150.0), length: Some(Millis(1000)) },
    ];
    load.duration = Some(Millis(2200));
    let report = run(&assignment(load)).await;
    assert_eq!((report.reason, report.requests()), (Reason::Duration, 150));
    let last = report.frames.last().unwrap();
    assert_eq!((last.due, last.begun), (150, 150));
    assert_eq!(server.got().len(), 150);
}

#[tokio::test]
async fn the_last_stage_goes_on() {
    let server = Server::hello().await;
    let mut load = load(20, vec![step("hello", server.url("/"))]);
    load.stages = vec![rate(200.0)];
    load.requests = Some(300);
    let begin = Instant::now();
    let report = run(&assignment(load)).await;
    assert_eq!((report.reason, report.requests()), (Reason::Requests, 300));
    assert!(begin.elapsed() >= Duration::from_millis(1450), "at the rate, not faster: {:?}", begin.elapsed());
}

/// Answers at once, but for one second in which it answers nothing.
async fn stalling() -> Server {
    let first: Arc<std::sync::OnceLock<Instant>> = Arc::default();
    Server::start(move |got: Got| {
        let first = Arc::clone(&first);
        async move {
            let first = *first.get_or_init(|| got.at);
            let (from, to) = (first + Duration::from_millis(700), first + Duration::from_millis(1700));
            if (from..to).contains(&got.at) {
                tokio::time::sleep_until(to.into()).await;
            }
            Response::new("hello".into())
        }
    })
    .await
}

#[tokio::test]
async fn a_stall_is_seen_by_all_requests_that_should_have_started_in_it() {
    let server = stalling().await;
    let mut load = load(5, vec![step("hello", server.url("/"))]);
    load.stages = vec![RateStage { length: Some(Millis(3000)), ..rate(100.0) }];
    load.duration = Some(Millis(4000));
    let report = run(&assignment(load)).await;
    assert_eq!(report.requests(), 300);
    // A third of the starts lay in the stall: 1 s for the first of them, nothing for the last.
    let latencies = report.latencies();
    let (p75, p99) = (latencies.value_at_quantile(0.75), latencies.value_at_quantile(0.99));
    assert!(p75 >= 150_000, "p75 {p75} us");
    assert!(p99 >= 850_000, "p99 {p99} us");
    let behind = report.frames.iter().map(|frame| frame.behind).max().unwrap();
    assert!(behind >= Millis(200), "the load says that it fell behind: {behind:?}");
    assert_eq!(report.frames.last().unwrap().behind, Millis(0));
}

#[tokio::test]
async fn a_closed_model_hides_the_same_stall_as_its_nature_is() {
    let server = stalling().await;
    let mut load = load(5, vec![step("hello", server.url("/"))]);
    load.steps[0].think = Some((Millis(1), Millis(2)));
    load.duration = Some(Millis(3000));
    let report = run(&assignment(load)).await;
    let slow = report.latencies().count_between(500_000, 10_000_000);
    assert!((1..=10).contains(&slow), "one request of each user waited, {slow} did");
    assert!(report.frames.iter().all(|frame| frame.due == 0 && frame.behind == Millis(0)));
}

#[tokio::test]
async fn what_does_not_fit_into_the_duration_is_reported_as_due() {
    let server = Server::start(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Response::new("slow".into())
    })
    .await;
    let mut load = load(2, vec![step("slow", server.url("/"))]);
    load.stages = vec![rate(50.0)];
    load.duration = Some(Millis(1500));
    let report = run(&assignment(load)).await;
    let last = report.frames.last().unwrap();
    assert!(last.begun <= 12 && last.due > 60, "due {}, begun {}", last.due, last.begun);
}

#[tokio::test]
async fn requests_count_in_the_phase_in_which_they_start() {
    let served = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&served);
    let server = Server::start(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Response::new("hello".into()) }
    })
    .await;
    let mut load = load(5, vec![step("hello", server.url("/"))]);
    load.stages = vec![RateStage { length: Some(Millis(3500)), ..rate(100.0) }];
    load.warm_up = Millis(500);
    load.duration = Some(Millis(4500));
    let mut worker = Worker::started(&assignment(load)).await;
    let mut frames = vec![worker.frame().await];
    worker.send(&Command::Phase { phase: LoadPhase::During }).await;
    frames.push(worker.frame().await);
    worker.send(&Command::Phase { phase: LoadPhase::After }).await;
    let report = worker.finish(frames).await;
    assert_eq!(report.of_phase(LoadPhase::WarmUp), 50, "the first half second, exactly");
    for phase in [LoadPhase::Before, LoadPhase::During, LoadPhase::After] {
        assert!(report.of_phase(phase) > 10, "{phase}: {}", report.of_phase(phase));
    }
    assert_eq!(report.requests(), 350);
    assert_eq!(served.load(Ordering::SeqCst), 350);
    let order: Vec<LoadPhase> = report.entries().map(|entry| entry.phase).collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn the_rate_is_multiplied_and_paused() {
    let server = Server::hello().await;
    let mut load = load(20, vec![step("hello", server.url("/"))]);
    load.stages = vec![rate(20.0)];
    let mut worker = Worker::started(&assignment(load)).await;
    let mut frames = vec![worker.frame().await];
    worker.send(&Command::Rate { factor: 10.0 }).await;
    frames.push(worker.frame().await);
    frames.push(worker.frame().await);
    worker.send(&Command::Pause).await;
    frames.push(worker.frame().await);
    frames.push(worker.frame().await);
    worker.send(&Command::Resume).await;
    frames.push(worker.frame().await);
    frames.push(worker.frame().await);
    worker.send(&Command::Stop).await;
    let report = worker.finish(frames).await;
    assert_eq!(report.reason, Reason::Stopped);
    let of =
        |number: usize| report.frames[number].entries.iter().map(harness_load::Entry::requests).sum::<u64>();
    assert!((15..=25).contains(&of(0)), "at first 20 per second: {}", of(0));
    assert!(of(2) > 100, "ten times as many: {}", of(2));
    assert_eq!(of(4), 0, "none in the pause");
    assert!((100..300).contains(&of(6)), "again, and not what the pause has left out: {}", of(6));
    assert!(
        report.latencies().max() < 1_000_000,
        "the pause is nobody's latency: {}",
        report.latencies().max()
    );
}

#[tokio::test]
async fn a_closed_model_is_paused_and_has_no_rate_to_change() {
    let server = Server::hello().await;
    let mut load = load(2, vec![step("hello", server.url("/"))]);
    load.steps[0].think = Some((Millis(5), Millis(5)));
    let mut worker = Worker::started(&assignment(load)).await;
    worker.frame().await;
    worker.send(&Command::Pause).await;
    worker.frame().await;
    assert!(worker.frame().await.entries.is_empty());
    worker.send(&Command::Rate { factor: 2.0 }).await;
    loop {
        match worker.next().await {
            Some(harness_load::Message::Frame(_)) => {}
            other => {
                let error = "this load has no rate that could be changed".to_owned();
                assert_eq!(other, Some(harness_load::Message::Failed { error }));
                break;
            }
        }
    }
    worker.send(&Command::Resume).await;
    worker.frame().await;
    assert!(!worker.frame().await.entries.is_empty());
}
