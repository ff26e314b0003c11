//! The worker's end, by whatever comes first, and what it refuses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::response::Response;
use harness_event::Millis;
use harness_load::{Assignment, Command, Message, PROTOCOL_VERSION, Reason};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Server, Worker, assignment, load, rate, step};

async fn slow(length: Duration) -> Server {
    Server::start(move |_| async move {
        tokio::time::sleep(length).await;
        Response::new("slow".into())
    })
    .await
}

#[tokio::test]
async fn it_ends_when_the_harness_is_gone() {
    let server = slow(Duration::from_secs(60)).await;
    let assignment = assignment(load(3, vec![step("slow", server.url("/"))]));
    let mut worker = Worker::started(&assignment).await;
    worker.frame().await;
    let begin = Instant::now();
    worker.close_input();
    assert_eq!(worker.exited().await.code(), Some(1));
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "requests in flight do not hold it up: {:?}",
        begin.elapsed()
    );

    let mut worker = Worker::spawn();
    worker.close_input();
    assert_eq!(worker.exited().await.code(), Some(1), "also before it got an assignment");
}

#[tokio::test]
async fn requests_in_flight_may_end_after_a_stop() {
    let server = slow(Duration::from_millis(1500)).await;
    let mut worker = Worker::started(&assignment(load(3, vec![step("slow", server.url("/"))]))).await;
    let frame = worker.frame().await;
    assert_eq!((frame.begun, frame.users, frame.entries.len()), (3, 3, 0));
    worker.send(&Command::Stop).await;
    let report = worker.finish(vec![frame]).await;
    assert_eq!((report.reason, report.requests(), report.failed()), (Reason::Stopped, 3, 0));
    assert_eq!(server.got().len(), 3);
}

#[tokio::test]
async fn ctrl_c_is_not_its_business_but_sigterm_is() {
    let server = Server::hello().await;
    let mut load = load(2, vec![step("hello", server.url("/"))]);
    load.stages = vec![rate(50.0)];
    let mut worker = Worker::started(&assignment(load)).await;
    let mut frames = vec![worker.frame().await];
    worker.signal(Signal::INT);
    frames.push(worker.frame().await);
    worker.signal(Signal::INT);
    frames.push(worker.frame().await);
    assert!(frames[2].begun > frames[1].begun, "it goes on");
    worker.signal(Signal::TERM);
    let report = worker.finish(frames).await;
    assert_eq!(report.reason, Reason::Stopped);
}

#[tokio::test]
async fn a_stop_before_the_start_is_an_end_without_requests() {
    let server = Server::hello().await;
    let mut worker = Worker::ready(&assignment(load(2, vec![step("hello", server.url("/"))]))).await;
    worker.send(&Command::Stop).await;
    let report = worker.finish(Vec::new()).await;
    assert_eq!((report.reason, report.requests()), (Reason::Stopped, 0));
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn frames_come_when_nothing_happens() {
    let server = slow(Duration::from_secs(60)).await;
    let mut worker = Worker::started(&assignment(load(1, vec![step("slow", server.url("/"))]))).await;
    for number in 0..3 {
        let frame = worker.frame().await;
        assert_eq!((frame.number, frame.begun), (number, 1));
        assert!(frame.entries.is_empty());
        assert!((Millis(900)..Millis(5000)).contains(&frame.length), "{:?}", frame.length);
    }
}

async fn refused(assignment: &Assignment) -> String {
    let mut worker = Worker::spawn();
    worker.send(assignment).await;
    assert_eq!(worker.next().await, Some(Message::Hello { protocol: PROTOCOL_VERSION }));
    worker.failure().await
}

#[tokio::test]
async fn assignments_that_cannot_be_carried_out() {
    let good = || assignment(load(1, vec![step("s", "http://127.0.0.1:1/".to_owned())]));
    let url = |url: &str| {
        let mut assignment = good();
        assignment.load.steps[0].url = url.to_owned();
        assignment
    };
    let mut no_users = good();
    no_users.load.users = 0;
    let mut no_steps = good();
    no_steps.load.steps.clear();
    let mut header = good();
    header.load.steps[0].headers.insert("a b".to_owned(), String::new());
    let mut method = good();
    method.load.steps[0].method = "G T".to_owned();
    let mut file = good();
    file.load.steps[0].body = Some(harness_event::LoadBody::File("x.bin".to_owned()));
    let mut pem = good();
    pem.ca_pem = Some("no certificate".to_owned());
    let mut version = good();
    version.protocol = 99;
    let mut schedule = good();
    schedule.load.stages = vec![harness_event::RateStage { length: Some(Millis(1000)), ..rate(10.0) }];
    schedule.load.requests = Some(11);
    let mut many = good();
    many.load.users = u32::MAX;
    let error = refused(&many).await;
    assert!(
        error.starts_with("4294967295 users need a connection each, and this process may have "),
        "{error}"
    );
    for (assignment, error) in [
        (
            url("service://a/b:80/"),
            "step \"s\": \"service://a/b:80/\" is no http:// or https:// URL with a host and without a password",
        ),
        (url("http://h/${value.x}"), "step \"s\": no step extracts `${value.x}`"),
        (url("http://h/${nope}"), "step \"s\": `${nope}` is no placeholder"),
        (no_users, "a load needs at least one user"),
        (no_steps, "a load needs at least one step"),
        (header, "step \"s\": \"a b\" is no name of a header"),
        (method, "step \"s\": \"G T\" is no method"),
        (file, "step \"s\": body: the contents of x.bin are missing"),
        (pem, "the certificates of private authorities can't be read"),
        (version, "the harness speaks version 99 of the load protocol and the worker version 1"),
        (schedule, "its rate's stages end before there were 11 requests"),
    ] {
        assert_eq!(refused(&assignment).await, error);
    }
}

#[tokio::test]
async fn garbage_is_not_obeyed() {
    for garbage in ["", "garbage", "{}", "[1,2]"] {
        let mut worker = Worker::spawn();
        worker.send_line(garbage).await;
        worker.next().await;
        let error = worker.failure().await;
        assert!(error.starts_with("the assignment is not understood: "), "{error}");
    }
    let server = Server::hello().await;
    let mut worker = Worker::ready(&assignment(load(1, vec![step("hello", server.url("/"))]))).await;
    worker.send(&json!({ "command": "dance" })).await;
    let error = worker.failure().await;
    assert!(
        error.starts_with("not a command: \"{\\\"command\\\":\\\"dance\\\"}\": unknown variant"),
        "{error}"
    );
}

#[tokio::test]
async fn memory_does_not_grow_with_the_number_of_requests() {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let server = Server::start(move |_| {
        let status = if stopped.load(Ordering::Relaxed) { 503 } else { 200 };
        async move { Response::builder().status(status).body("hello".into()).unwrap() }
    })
    .await;
    let mut worker = Worker::started(&assignment(load(8, vec![step("hello", server.url("/"))]))).await;
    let mut frames = vec![worker.frame().await, worker.frame().await];
    let before = worker.resident();
    for _ in 0..4 {
        frames.push(worker.frame().await);
    }
    let after = worker.resident();
    stop.store(true, Ordering::Relaxed);
    worker.send(&Command::Stop).await;
    let report = worker.finish(frames).await;
    assert!(report.requests() > 1000, "{}", report.requests());
    assert!(after < before + (8 << 20), "{before} bytes became {after}");
}
