//! Against a server that answers as Prometheus does.

use axum::{
    Json, Router,
    extract::Query,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use harness_engine::monitor::Upstreams;
use serde_json::json;

use super::*;

type Parameters = BTreeMap<String, String>;

/// One metric, `up`, of two services; what is asked of it says what is answered.
async fn query_range(Query(parameters): Query<Parameters>) -> Response {
    let answer = |result: Value| {
        Json(json!({ "status": "success", "data": { "resultType": "matrix", "result": result } }))
            .into_response()
    };
    let series =
        |value: &str| json!([{ "metric": { "service": "api" }, "values": [[1.0, "0.5"], [2.0, value]] }]);
    match parameters["query"].as_str() {
        "up{service=~\".+\"}" => answer(series("1")),
        "up{a=\"nan\"}" => answer(json!([{ "metric": {}, "values": [[1.0, "NaN"]] }])),
        "up{a=\"refused\"}" => {
            let error =
                json!({ "status": "error", "errorType": "bad_data", "error": "many-to-many matching" });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(error)).into_response()
        }
        "up{service=~\"(api|a\\\\.b)\"}" => answer(series("2")),
        _ => answer(json!([])),
    }
}

async fn prometheus() -> Prometheus {
    async fn query() -> Json<Value> {
        Json(json!({ "status": "success", "data": { "resultType": "scalar", "result": [1000.0, "1000"] } }))
    }
    async fn targets() -> Json<Value> {
        let target = |interval: &str| {
            json!({ "labels": {}, "scrapePool": "a", "scrapeUrl": "", "health": "up", "lastError": "",
                "lastScrape": "2026-11-21T10:00:00Z", "lastScrapeDuration": 0.1, "scrapeInterval": interval,
                "scrapeTimeout": "1s" })
        };
        let all = json!([target("1s"), target("1s"), target("15s")]);
        Json(json!({ "status": "success", "data": { "activeTargets": all } }))
    }
    async fn names() -> Json<Value> {
        Json(json!({ "status": "success", "data": ["up"] }))
    }
    async fn services(Query(parameters): Query<Parameters>) -> Json<Value> {
        assert_eq!(parameters["match[]"], "up");
        Json(json!({ "status": "success", "data": ["a.b", "api"] }))
    }
    let app = Router::new()
        .route("/api/v1/query", get(query))
        .route("/api/v1/query_range", get(query_range))
        .route("/api/v1/targets", get(targets))
        .route("/api/v1/label/__name__/values", get(names))
        .route("/api/v1/label/service/values", get(services));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    connect(&url).await
}

async fn connect(url: &str) -> Prometheus {
    let nowhere = kube::Config::new(axum::http::Uri::from_static("http://127.0.0.1:1"));
    let upstreams = Upstreams::new(kube::Client::try_from(nowhere).unwrap()).unwrap();
    Prometheus::new(upstreams.connect(url).await.unwrap())
}

/// A dashboard with one panel for each query; the current values of `$service` are given.
fn dashboards(current: Value, panels: &[(&str, &str)]) -> Dashboards {
    let panels: Vec<Value> = (1..)
        .zip(panels)
        .map(|(id, (expr, description))| {
            json!({ "id": id, "title": "P", "type": "stat", "description": description,
                "targets": [{ "refId": "A", "expr": expr }] })
        })
        .collect();
    let variable = json!({ "name": "service", "type": "query", "multi": true, "includeAll": true, "allValue": ".+",
        "query": "label_values(up, service)", "current": { "value": current } });
    let dashboard = json!({ "templating": { "list": [variable] }, "panels": panels });
    let read = vec![("a.json".to_owned(), serde_json::from_value(dashboard).unwrap())];
    Dashboards { read, ..Dashboards::default() }
}

async fn answers(current: Value, panels: &[(&str, &str)]) -> Answers {
    check(&dashboards(current, panels), &prometheus().await, Millis(300_000)).await.unwrap()
}

fn said(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn queries_are_asked_with_the_variables_filled_in() {
    let expr = "up{service=~\"$service\"}";
    let all = answers(json!("$__all"), &[(expr, "")]).await;
    assert_eq!(said(&all.problems), Vec::<String>::new());
    assert_eq!(all.rate_interval, "4000ms", "four scrapes of what most targets are scraped at");
    assert_eq!(all.all[0].series, [(Labels::from([("service".into(), "api".into())]), 1.0)]);
    let two = answers(json!(["api", "a.b"]), &[(expr, "")]).await;
    assert_eq!((said(&two.problems), two.all[0].series[0].1), (vec![], 2.0));
    let gone = answers(json!(["gone"]), &[]).await;
    assert_eq!(
        said(&gone.problems),
        ["variable service: its current value \"gone\" is not there (there is: a.b, api)"]
    );
}

#[tokio::test]
async fn no_answer_is_a_problem_unless_the_panel_says_why() {
    let none = [
        ("up{a=\"none\"}", ""),
        ("up{a=\"nan\"}", ""),
        ("up{a=\"refused\"}", "No data: not this."),
        ("down", ""),
        ("up{a=\"none\"}", "Something. No data: nothing is wrong."),
    ];
    let found = answers(json!("$__all"), &none).await;
    assert_eq!(
        said(&found.problems),
        [
            "panel \"P\" (id 1), query A: it returns no data",
            "panel \"P\" (id 2), query A: it returns only NaN",
            "panel \"P\" (id 3), query A: Prometheus refuses it: many-to-many matching",
            "panel \"P\" (id 4), query A: the metric down does not exist",
            "panel \"P\" (id 4), query A: it returns no data",
        ]
    );
    assert_eq!(
        said(&found.empty),
        ["panel \"P\" (id 5), query A: it returns no data (allowed: nothing is wrong.)"]
    );
}

#[tokio::test]
async fn a_prometheus_that_is_not_there_is_an_error_and_no_problem_of_dashboards() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let found = check(&dashboards(json!("$__all"), &[]), &connect(&url).await, Millis(1_000)).await;
    assert!(matches!(found, Err(Error::Unreachable { .. })), "{found:?}");
}
