//! Runs are told to the alert receiver, and never in anybody's way.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode};
use harness_engine::{
    Log,
    monitor::{ReceiverClient, Upstreams, receiver::serve_on},
    publish::Publisher,
};
use harness_event::{Event, EventKind, Phase, Verdict, verdict::testkit};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::eventually;

const LIMIT: Duration = Duration::from_secs(10);

/// Never asked: the receiver is given by URL.
fn nowhere() -> kube::Client {
    kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn serve(listener: TcpListener) -> DropGuard {
    let stop = CancellationToken::new();
    tokio::spawn(serve_on(listener, stop.clone()));
    stop.drop_guard()
}

async fn metrics(address: SocketAddr) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap()
}

async fn shown(address: SocketAddr, line: &str) -> String {
    eventually(line, LIMIT, || async {
        let text = metrics(address).await;
        text.lines().any(|one| one == line).then_some(text)
    })
    .await
}

/// A log that a run has begun in, and its name.
fn begun() -> (Log, String) {
    let log = Log::unrecorded();
    let kind = testkit::run_started(testkit::plan()).kind;
    let EventKind::RunStarted { run, .. } = &kind else { unreachable!() };
    let run = run.clone();
    log.record(kind);
    (log, run)
}

fn verdict() -> Verdict {
    let events: Vec<Event> = testkit::log(testkit::passing_run());
    Verdict::of(&events)
}

#[tokio::test]
async fn a_run_is_seen_in_the_receivers_metrics_from_its_beginning_to_its_outcome() {
    let (listener, address) = listen().await;
    let _server = serve(listener);
    let url = format!("http://{address}");
    let client = ReceiverClient::new(Upstreams::new(nowhere()).unwrap().connect(&url).await.unwrap());
    let before = client.position().await.unwrap();
    let (log, run) = begun();
    log.record(EventKind::PhaseStarted { phase: Phase::Prepare });
    let publisher = Publisher::start(&log, &nowhere(), &url);
    shown(address, &format!("harness_run_phase{{run=\"{run}\",phase=\"prepare\"}} 1")).await;
    log.record(EventKind::PhaseStarted { phase: Phase::Fault });
    let text = shown(address, &format!("harness_run_phase{{run=\"{run}\",phase=\"fault\"}} 1")).await;
    assert!(text.contains(&format!("harness_run_phase{{run=\"{run}\",phase=\"prepare\"}} 0")), "{text}");
    assert!(text.contains(&format!("harness_run_active{{run=\"{run}\"}} 1")), "{text}");
    assert!(text.contains("alert_receiver_notifications_total 0"), "{text}");
    publisher.finish(&verdict()).await;
    let text = metrics(address).await;
    assert!(text.contains(&format!("harness_run_outcome{{run=\"{run}\",outcome=\"passed\"}} 1")), "{text}");
    assert!(text.contains(&format!("harness_run_active{{run=\"{run}\"}} 0")), "{text}");
    // Followers of notifications have not noticed.
    let after = client.position().await.unwrap();
    assert_eq!((after.instance, after.after), (before.instance, before.after));
}

#[tokio::test]
async fn a_receiver_that_comes_later_is_told() {
    let (listener, address) = listen().await;
    drop(listener);
    let (log, run) = begun();
    let _publisher = Publisher::start(&log, &nowhere(), &format!("http://{address}"));
    let listener =
        eventually("the address is free", LIMIT, || async { TcpListener::bind(address).await.ok() });
    let _server = serve(listener.await);
    shown(address, &format!("harness_run_active{{run=\"{run}\"}} 1")).await;
}

#[tokio::test]
async fn a_receiver_that_does_not_know_reports_is_left_alone() {
    let (listener, address) = listen().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let app = Router::new().fallback(move || {
        count.fetch_add(1, Ordering::Relaxed);
        async { StatusCode::NOT_FOUND }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (log, _) = begun();
    let publisher = Publisher::start(&log, &nowhere(), &format!("http://{address}"));
    let first = || async { (asked.load(Ordering::Relaxed) == 1).then_some(()) };
    eventually("it was asked", LIMIT, first).await;
    // More than two further reports would have been due.
    let until = Instant::now() + Duration::from_millis(1_200);
    while Instant::now() < until {
        log.note("something happens");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    publisher.finish(&verdict()).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_the_end_of_a_run_up_for_a_moment_only() {
    // Accepts connections, and never answers.
    let (_listener, address) = listen().await;
    let (log, _) = begun();
    let publisher = Publisher::start(&log, &nowhere(), &format!("http://{address}"));
    let began = Instant::now();
    for _ in 0..10_000 {
        log.note("recording does not wait");
    }
    publisher.finish(&verdict()).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_no_report_is_refused_and_changes_nothing() {
    let (listener, address) = listen().await;
    let _server = serve(listener);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post =
        |run: &str, body: String| http.post(format!("http://{address}/v1/runs/{run}")).body(body).send();
    let good = serde_json::json!({ "run": "r", "scenario": "s", "mode": "scenario", "started_at": "2026-11-21T10:00:00Z",
        "elapsed": 0, "phase": null, "outcome": null, "faults": [], "loads": [], "expectations": [], "detections": [] });
    let long = " ".repeat(600 << 10);
    let cases = [
        ("r", "{}".to_owned(), 400),
        ("r", long, 413),
        ("other", good.to_string(), 400),
        ("r", good.to_string(), 204),
    ];
    for (run, body, status) in cases {
        assert!(!metrics(address).await.contains("harness_run_info"));
        let answer = post(run, body).await.unwrap();
        assert_eq!(answer.status(), status, "{}", answer.text().await.unwrap());
    }
    assert!(
        metrics(address).await.contains("harness_run_info{run=\"r\",scenario=\"s\",mode=\"scenario\"} 1")
    );
}
