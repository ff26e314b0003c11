//! Against a server that keeps annotations as Grafana does, and against servers that do not behave.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode as Status, header},
    response::{IntoResponse, Response},
    routing::{any, get, put},
};
use harness_event::Phase;
use harness_report::{FaultSpan, LoadSpan, PhaseSpan};
use serde_json::{Value, json};

use super::*;

const TOKEN: &str = "glsa_secret";

/// What the server was asked, and what it keeps.
#[derive(Default)]
struct Kept {
    requests: Vec<String>,
    annotations: Vec<Value>,
}

type Shared = Arc<Mutex<Kept>>;

/// What to answer whoever does not show the token.
fn refusal(headers: &HeaderMap) -> Option<Response> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given == Some(format!("Bearer {TOKEN}").as_str()) {
        return None;
    }
    let body = json!({ "message": "Invalid API key", "traceID": "" });
    Some((Status::UNAUTHORIZED, Json(body)).into_response())
}

async fn list(
    State(kept): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refusal(&headers) {
        return refusal;
    }
    let mut kept = kept.lock().unwrap();
    kept.requests.push(format!("list {query:?}"));
    let tags: Vec<_> = query.iter().filter(|(name, _)| name == "tags").map(|(_, tag)| json!(tag)).collect();
    let has_all = |one: &&Value| tags.iter().all(|tag| one["tags"].as_array().unwrap().contains(tag));
    Json(kept.annotations.iter().filter(has_all).cloned().collect::<Vec<_>>()).into_response()
}

async fn make(State(kept): State<Shared>, headers: HeaderMap, Json(mut one): Json<Value>) -> Response {
    if let Some(refusal) = refusal(&headers) {
        return refusal;
    }
    let mut kept = kept.lock().unwrap();
    kept.requests.push("make".to_owned());
    one["id"] = json!(kept.annotations.len() + 1);
    kept.annotations.push(one.clone());
    Json(json!({ "id": one["id"], "message": "Annotation added" })).into_response()
}

async fn change(State(kept): State<Shared>, Path(id): Path<usize>, Json(mut one): Json<Value>) -> Response {
    let mut kept = kept.lock().unwrap();
    kept.requests.push(format!("change {id}"));
    one["id"] = json!(id);
    kept.annotations[id - 1] = one;
    Json(json!({ "message": "Annotation updated" })).into_response()
}

async fn search(Query(query): Query<Vec<(String, String)>>) -> Response {
    assert!(query.contains(&("tag".to_owned(), TAG.to_owned())), "{query:?}");
    let found = json!([
        { "id": 2, "uid": "sre-run", "title": "Run", "url": "/d/sre-run/run", "type": "dash-db", "tags": [TAG] },
        { "id": 1, "uid": "sre-api", "title": "API", "url": "/d/sre-api/api", "type": "dash-db", "tags": [TAG] },
    ]);
    Json(found).into_response()
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn grafana() -> (Shared, Grafana) {
    let kept = Shared::default();
    let router = Router::new()
        .route("/g/api/annotations", get(list).post(make))
        .route("/g/api/annotations/{id}", put(change))
        .route("/g/api/search", get(search))
        .with_state(kept.clone());
    let base = serve(router).await;
    (kept, Grafana::new(&format!("{base}/g/"), Some(TOKEN.to_owned())).unwrap())
}

fn timeline() -> Timeline {
    let at = |seconds: i64| Timestamp(1_763_700_000_000 + seconds * 1000);
    let phase = |phase, from, to| PhaseSpan { phase, from: at(from), to };
    Timeline {
        run: "20261121-100000-abcd".to_owned(),
        title: "A <b>database</b> dies".to_owned(),
        from: at(0),
        to: at(60),
        phases: vec![phase(Phase::Baseline, 1, Some(at(4))), phase(Phase::Fault, 4, None)],
        faults: vec![FaultSpan {
            fault: "database-down".to_owned(),
            what: "scales to 0: deployment/postgres".to_owned(),
            inverse: "scale to 1".to_owned(),
            sent_at: Some(at(4)),
            effect_at: Some(at(5)),
            revert_at: Some(at(25)),
            healed_at: Some(at(27)),
            error: None,
            revert_error: None,
            stopped: false,
        }],
        loads: vec![
            LoadSpan { load: "visitors".to_owned(), from: at(0), to: None, background: true, error: None },
            LoadSpan {
                load: "surge".to_owned(),
                from: at(4),
                to: Some(at(9)),
                background: false,
                error: None,
            },
        ],
        ..Timeline::default()
    }
}

#[tokio::test]
async fn a_run_is_marked_once_however_often_it_is_marked() {
    let (kept, grafana) = grafana().await;
    let mut timeline = timeline();
    let done = grafana.annotate(&timeline).await.unwrap();
    assert_eq!(done, Annotated { made: 4, updated: 0, kept: 0 });
    {
        let kept = kept.lock().unwrap();
        let tags: Vec<_> = kept.annotations.iter().map(|one| one["tags"][2].as_str().unwrap()).collect();
        assert_eq!(tags, ["phase:baseline", "phase:fault", "fault:database-down", "load:surge"]);
        let fault = &kept.annotations[2];
        assert_eq!(fault["tags"][0], "sre-harness");
        assert_eq!(fault["tags"][1], "run:20261121-100000-abcd");
        assert_eq!(
            (&fault["time"], &fault["timeEnd"]),
            (&json!(1_763_700_004_000_i64), &json!(1_763_700_027_000_i64))
        );
        // What the log does not end ends with it.
        assert_eq!(kept.annotations[1]["timeEnd"], json!(1_763_700_060_000_i64));
        assert!(!kept.annotations[0]["text"].as_str().unwrap().contains('<'), "{:?}", kept.annotations[0]);
    }
    let done = grafana.annotate(&timeline).await.unwrap();
    assert_eq!(done, Annotated { made: 0, updated: 0, kept: 4 });
    // A log that was torn is complete now.
    timeline.phases[1].to = Some(Timestamp(1_763_700_027_000));
    let done = grafana.annotate(&timeline).await.unwrap();
    assert_eq!(done, Annotated { made: 0, updated: 1, kept: 3 });
    // Another run is another run.
    timeline.run = "20261121-110000-efgh".to_owned();
    assert_eq!(grafana.annotate(&timeline).await.unwrap().made, 4);
    let kept = kept.lock().unwrap();
    assert_eq!(kept.annotations.len(), 8);
    assert_eq!(kept.requests.iter().filter(|request| request.starts_with("change")).count(), 1);
}

#[tokio::test]
async fn dashboards_are_those_that_are_there() {
    let (_, grafana) = grafana().await;
    let uids: Vec<_> = grafana.dashboards().await.unwrap().into_iter().map(|one| one.uid).collect();
    assert_eq!(uids, ["sre-api", "sre-run"]);
}

async fn error_of(router: Router) -> GrafanaError {
    let base = serve(router).await;
    let grafana = Grafana::new(&base, Some(TOKEN.to_owned())).unwrap().with_limit(Duration::from_millis(300));
    grafana.annotate(&timeline()).await.unwrap_err()
}

#[tokio::test]
async fn what_goes_wrong_is_said_with_what_to_do() {
    let (_, grafana) = grafana().await;
    let wrong = Grafana::new(grafana.base(), Some("wrong".to_owned())).unwrap();
    let error = wrong.annotate(&timeline()).await.unwrap_err();
    assert_eq!(error.to_string(), "Grafana refuses to list annotations: 401 Unauthorized (Invalid API key)");
    assert!(error.hint().unwrap().contains("$GRAFANA_TOKEN"));

    let error = error_of(Router::new()).await;
    assert_eq!(error.to_string(), "Grafana refuses to list annotations: 404 Not Found");
    assert!(error.hint().unwrap().contains("base URL"));

    let login = || async { (Status::FOUND, [(header::LOCATION, "http://127.0.0.1:1/login")]) };
    let error = error_of(Router::new().fallback(any(login))).await;
    assert_eq!(error.to_string(), "Grafana refuses to list annotations: 302 Found");

    let error = error_of(Router::new().fallback(any(|| async { "<html>hello</html>" }))).await;
    assert!(matches!(error, GrafanaError::Strange { .. }), "{error:?}");

    let hang = || async { std::future::pending::<String>().await };
    let error = error_of(Router::new().fallback(any(hang))).await;
    assert_eq!(error.to_string(), "Grafana did not answer within 0.3 s");

    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let grafana = Grafana::new(&format!("http://{nobody}"), None).unwrap();
    let error = grafana.annotate(&timeline()).await.unwrap_err();
    assert!(matches!(error, GrafanaError::Unreachable(_)), "{error:?}");
    for error in [error, wrong.annotate(&timeline()).await.unwrap_err()] {
        assert!(!format!("{error:?} {error}").contains(TOKEN));
    }
    assert!(!format!("{wrong:?}").contains("wrong"));
}

#[test]
fn an_address_is_checked_before_a_run() {
    for good in ["http://grafana:3000", "https://example.org/grafana/", "http://[::1]:3000"] {
        assert!(Grafana::new(good, None).is_ok(), "{good}");
    }
    for bad in [
        "grafana:3000",
        "grafana",
        "",
        "ftp://x",
        "http://user:secret@grafana",
        "http://x/?orgId=1",
        "http://x/#a",
    ] {
        let error = Grafana::new(bad, None).unwrap_err();
        assert!(matches!(error, GrafanaError::Address(_)), "{bad}: {error:?}");
        assert!(!error.to_string().contains("secret"));
    }
}
