//! The alert receiver over HTTP: order, restarts, bad input, shutdown.

use std::{net::SocketAddr, time::Duration};

use futures::{Stream, StreamExt};
use harness_engine::monitor::{ReceiverClient, ReceiverEvent, Upstreams, receiver::serve_on};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::support::{eventually, free_address};

struct Server {
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start(address: SocketAddr) -> Self {
        let listener = eventually("the address is free", Duration::from_secs(10), || async {
            TcpListener::bind(address).await.ok()
        })
        .await;
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(serve_on(listener, stop.clone())), stop }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task)
            .await
            .expect("waiting polls do not hold it")
            .unwrap()
            .unwrap();
    }
}

async fn post(address: SocketAddr, body: impl Into<reqwest::Body>) -> u16 {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.post(format!("http://{address}/webhook")).body(body).send().await.unwrap().status().as_u16()
}

fn webhook(name: &str) -> String {
    let alert = json!({ "status": "firing", "labels": { "alertname": name }, "startsAt": "2026-11-21T10:00:00Z", "fingerprint": "f" });
    json!({ "receiver": "r", "status": "firing", "alerts": [alert] }).to_string()
}

async fn next(events: &mut (impl Stream<Item = ReceiverEvent> + Unpin)) -> String {
    match tokio::time::timeout(Duration::from_secs(10), events.next()).await.expect("an event").unwrap() {
        ReceiverEvent::Received(notification) => notification.alerts[0].labels["alertname"].clone(),
        ReceiverEvent::Failed(_) => "failed".into(),
        ReceiverEvent::Recovered => "recovered".into(),
        ReceiverEvent::Gap(why) => format!("gap: {why}"),
    }
}

#[tokio::test]
async fn a_follower_hears_everything_in_order_and_of_what_it_missed() {
    let address = free_address();
    let server = Server::start(address).await;
    let upstreams = Upstreams::new(kube::Client::new(axum::Router::<()>::new(), "default")).unwrap();
    let client = ReceiverClient::new(upstreams.connect(&format!("http://{address}")).await.unwrap());
    client.ready().await.unwrap();
    assert_eq!(post(address, webhook("before")).await, 200);
    let mut events = std::pin::pin!(client.follow(client.position().await.unwrap()));
    for name in ["one", "two", "three"] {
        assert_eq!(post(address, webhook(name)).await, 200);
    }
    for name in ["one", "two", "three"] {
        assert_eq!(next(&mut events).await, name, "nothing of before, all of after");
    }

    assert_eq!(post(address, "{}").await, 400);
    assert_eq!(post(address, vec![b' '; (16 << 20) + 1]).await, 413);
    let metrics = client.upstream().get_text("/metrics").await.unwrap();
    assert!(
        metrics.contains("alert_receiver_notifications_total 4\n")
            && metrics.contains("alert_receiver_rejected_total 2\n"),
        "{metrics}"
    );

    // Gone while the follower waits.
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.fetch(4, Duration::from_secs(20)).await }
    });
    server.stop().await;
    let _ = waiting.await.unwrap();
    assert_eq!(next(&mut events).await, "failed", "told once");
    let server = Server::start(address).await;
    assert_eq!(post(address, webhook("after")).await, 200);
    assert_eq!(next(&mut events).await, "recovered");
    assert!(next(&mut events).await.starts_with("gap: the alert receiver was restarted"));
    assert_eq!(next(&mut events).await, "after", "the new process is followed from its first notification");
    server.stop().await;
}
