//! Against a server that keeps things as Grafana's API documents it, and against servers that do not behave. No real Grafana.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method as Verb, StatusCode as Status, header},
    response::{IntoResponse, Response},
};

use super::*;

const TOKEN: &str = "glsa_secret";

#[derive(Default)]
struct Kept {
    requests: Vec<String>,
    /// By path.
    objects: BTreeMap<String, Value>,
}

type Shared = Arc<Mutex<Kept>>;

async fn api(State(kept): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let refuse =
        |status: Status, message: &str| (status, Json(json!({ "message": message }))).into_response();
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if authorization != Some(&format!("Bearer {TOKEN}")) {
        return refuse(Status::UNAUTHORIZED, "Invalid API key");
    }
    let path = parts.uri.path().to_owned();
    let mut kept = kept.lock().unwrap();
    kept.requests.push(format!("{} {path}", parts.method));
    match (&parts.method, path.as_str()) {
        (&Verb::GET, _) => match kept.objects.get(&path) {
            Some(object) => Json(object.clone()).into_response(),
            None => refuse(Status::NOT_FOUND, "not found"),
        },
        (&Verb::POST, "/api/datasources") => {
            let path = format!("/api/datasources/uid/{}", body["uid"].as_str().unwrap());
            kept.objects.insert(path, body);
            Json(json!({ "message": "Datasource added" })).into_response()
        }
        (&Verb::PUT, _) if kept.objects.contains_key(&path) => {
            kept.objects.insert(path, body);
            Json(json!({ "message": "Datasource updated" })).into_response()
        }
        (&Verb::POST, "/api/folders") => {
            let path = format!("/api/folders/{}", body["uid"].as_str().unwrap());
            kept.objects.insert(path, body);
            Json(json!({ "uid": "sre-harness" })).into_response()
        }
        (&Verb::POST, "/api/dashboards/db") => {
            let uid = body["dashboard"]["uid"].as_str().unwrap().to_owned();
            let path = format!("/api/dashboards/uid/{uid}");
            if !kept.objects.contains_key(&format!("/api/folders/{}", body["folderUid"].as_str().unwrap())) {
                return refuse(Status::BAD_REQUEST, "folder not found");
            }
            if kept.objects.contains_key(&path) && body["overwrite"] != true {
                let message = "A dashboard with the same uid already exists";
                return refuse(Status::PRECONDITION_FAILED, message);
            }
            kept.objects.insert(path, body);
            Json(json!({ "status": "success", "uid": uid, "url": format!("/d/{uid}/x"), "version": 1 }))
                .into_response()
        }
        _ => refuse(Status::NOT_FOUND, "not found"),
    }
}

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn grafana() -> (String, Shared) {
    let kept = Shared::default();
    (serve(Router::new().fallback(api).with_state(kept.clone())).await, kept)
}

fn source() -> DataSource {
    DataSource { url: "http://127.0.0.1:9090".into(), scrape_interval: "1s".into() }
}

fn dashboards() -> Vec<Value> {
    let variable = json!({ "type": "datasource", "name": "datasource", "current": { "value": "default" } });
    ["a", "b"].map(|uid| json!({ "uid": uid, "title": uid, "templating": { "list": [variable] } })).to_vec()
}

#[tokio::test]
async fn everything_is_made_and_doing_it_again_brings_it_up_to_date() {
    let (url, kept) = grafana().await;
    let grafana = Grafana::new(&url, Some(TOKEN.into())).unwrap();
    let done = grafana.install(&dashboards(), &source()).await.unwrap();
    assert!(done.made_data_source);
    assert_eq!(
        done.dashboards,
        [("a".to_owned(), "/d/a/x".to_owned()), ("b".to_owned(), "/d/b/x".to_owned())]
    );
    {
        let kept = kept.lock().unwrap();
        let made = &kept.objects["/api/datasources/uid/sre-harness-prometheus"];
        assert_eq!((&made["type"], &made["jsonData"]["timeInterval"]), (&json!("prometheus"), &json!("1s")));
        let saved = &kept.objects["/api/dashboards/uid/a"];
        assert_eq!(saved["folderUid"], "sre-harness");
        let variable = &saved["dashboard"]["templating"]["list"][0];
        assert_eq!(variable["current"]["value"], "sre-harness-prometheus");
    }
    let moved = DataSource { url: "http://127.0.0.1:9091".into(), ..source() };
    let again = grafana.install(&dashboards(), &moved).await.unwrap();
    assert!(!again.made_data_source);
    let kept = kept.lock().unwrap();
    assert_eq!(kept.objects["/api/datasources/uid/sre-harness-prometheus"]["url"], "http://127.0.0.1:9091");
    assert_eq!(kept.objects.len(), 4, "nothing is there twice");
    assert_eq!(kept.requests.iter().filter(|one| *one == "POST /api/folders").count(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_in_grafanas_words_and_without_the_token() {
    let (url, kept) = grafana().await;
    for token in [None, Some("wrong".to_owned())] {
        let error = Grafana::new(&url, token).unwrap().install(&dashboards(), &source()).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("401") && text.contains("Invalid API key") && !text.contains("wrong"),
            "{text}"
        );
        assert!(error.hint().is_some());
    }
    assert!(kept.lock().unwrap().objects.is_empty());
}

#[tokio::test]
async fn what_is_provisioned_from_files_is_not_overwritten_and_that_is_said() {
    async fn provisioned(request: Request) -> Response {
        match (request.method().clone(), request.uri().path()) {
            (Verb::POST, "/api/dashboards/db") => {
                let message = json!({ "message": "Cannot save provisioned dashboard" });
                (Status::BAD_REQUEST, Json(message)).into_response()
            }
            _ => Json(json!({})).into_response(),
        }
    }
    let url = serve(Router::new().fallback(provisioned)).await;
    let error = Grafana::new(&url, None).unwrap().install(&dashboards(), &source()).await.unwrap_err();
    assert!(error.to_string().contains("Cannot save provisioned dashboard"), "{error}");
    for status in [Status::PRECONDITION_FAILED, Status::FORBIDDEN, Status::INTERNAL_SERVER_ERROR] {
        let url = serve(Router::new().fallback(move || async move { status })).await;
        let error = Grafana::new(&url, None).unwrap().install(&dashboards(), &source()).await.unwrap_err();
        assert!(error.to_string().contains(status.as_str()), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_grafana_is_noticed() {
    let url = serve(Router::new().fallback(|| async { "<html>" })).await;
    let error = Grafana::new(&url, None).unwrap().install(&dashboards(), &source()).await.unwrap_err();
    assert!(matches!(error, GrafanaError::Strange { .. }), "{error}");
}

#[tokio::test]
async fn a_grafana_that_hangs_is_given_up() {
    let url = serve(Router::new().fallback(|| async {
        std::future::pending::<()>().await;
        Status::OK
    }));
    let grafana = Grafana::new(&url.await, None).unwrap().with_limit(Duration::from_millis(200));
    let began = Instant::now();
    let error = grafana.install(&dashboards(), &source()).await.unwrap_err();
    assert!(matches!(error, GrafanaError::Slow(_)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
