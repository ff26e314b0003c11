//! Answers that are not what they should be: an error with its reason, never a panic and never an empty history.

use axum::{Router, body::Bytes, routing::any};
use harness_engine::monitor::{Alertmanager, Prometheus, Upstreams, alert_history, chain, check_inputs};
use harness_event::{Millis, Timestamp};

/// A server that answers everything with this body.
async fn upstreams(body: Vec<u8>) -> (Upstreams, String) {
    let listener = tokio::net::TcpListener::bind(crate::support::free_address()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(any(move || std::future::ready(Bytes::from(body.clone()))));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (Upstreams::new(kube::Client::new(Router::<()>::new(), "default")).unwrap(), url)
}

async fn history(body: Vec<u8>) -> String {
    let (upstreams, url) = upstreams(body).await;
    let prometheus = Prometheus::new(upstreams.connect(&url).await.unwrap());
    let read = alert_history(&prometheus, Timestamp(0), Timestamp(1), |_| Millis(1)).await;
    let error = chain(&read.unwrap_err());
    error.split_once(" could not be read: ").unwrap_or_else(|| panic!("{error}")).1.to_owned()
}

#[tokio::test]
async fn evidence_that_is_damaged_is_no_evidence() {
    let snappy = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    assert_eq!(history(snappy(&[0x0a, 5, 1])).await, "the message ends in the middle of a field");
    assert_eq!(history(snappy(&[0x0a, 4, 0x0a, 2, 0x08, 1])).await, "a field has the wrong wire type");
    assert_eq!(
        history(vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0]).await,
        "it has 4294967295 bytes, more than 268435456"
    );
    assert!(history(b"<html>".to_vec()).await.contains("snappy"));
    assert!(history(vec![]).await.contains("snappy"), "an empty body is not an empty history");
}

#[tokio::test]
async fn answers_of_something_else_are_errors() {
    for body in [
        "",
        "<html>",
        "{}",
        "[]",
        "null",
        r#"{"status":"success","data":null}"#,
        r#"{"status":"success","data":{}}"#,
    ] {
        let (upstreams, url) = upstreams(body.into()).await;
        let upstream = upstreams.connect(&url).await.unwrap();
        let (prometheus, alertmanager) = (Prometheus::new(upstream.clone()), Alertmanager::new(upstream));
        assert!(prometheus.rules().await.is_err(), "{body}");
        assert!(prometheus.alerts().await.is_err(), "{body}");
        assert!(prometheus.targets().await.is_err(), "{body}");
        assert!(prometheus.query("up", None).await.is_err(), "{body}");
        assert!(prometheus.query_range("up", Timestamp(0), Timestamp(9), Millis(1)).await.is_err(), "{body}");
        assert!(check_inputs(&prometheus, "up", Timestamp(0), Timestamp(9)).await.is_err(), "{body}");
        assert!(alertmanager.status().await.is_err(), "{body}");
        assert!(harness_engine::monitor::prometheus_health(&prometheus).await.is_err(), "{body}");
        assert!(harness_engine::monitor::alertmanager_health(&alertmanager).await.is_err(), "{body}");
        if body != "[]" {
            assert!(alertmanager.alerts().await.is_err(), "{body}");
        }
    }
}
