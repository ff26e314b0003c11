//! What users do, and what can be seen of it from outside.

use std::time::Duration;

use serde_json::Value;

use crate::fixture::{System, eventually, metric, png, system::read};

#[tokio::test(flavor = "multi_thread")]
async fn register_login_upload_profile_logout() {
    let system = System::start().await;
    let (status, body) = system.post("/register", "Ann", "correct horse").await;
    assert_eq!((status, body["user"]["username"].as_str()), (201, Some("ann")), "{body}");
    assert!(body["user"].get("password_hash").is_none());

    let (status, body) = system.post("/register", "ann", "another password").await;
    assert_eq!((status, body["error"].as_str()), (409, Some("This username is already taken")));

    let (status, body, cookie) = system.login("ANN", "correct horse").await;
    assert_eq!((status, body["user"]["username"].as_str()), (200, Some("ann")));
    assert!(body.get("token").is_none(), "the token is in the cookie only: {body}");
    let cookie = cookie.unwrap();

    let (status, image) = system.upload(&cookie, png()).await;
    assert_eq!(status, 201, "{image}");
    assert_eq!((image["width"].as_u64(), image["height"].as_u64()), (Some(4), Some(3)));
    assert_eq!(image["format"], "png");

    let (status, profile) = system.profile(&cookie).await;
    assert_eq!(status, 200, "{profile}");
    assert_eq!(profile["user"]["username"], "ann");
    assert_eq!(profile["images"][0]["id"], image["id"]);
    assert_eq!(profile["warning"], Value::Null);

    let picture = system.http.get(system.at(image["url"].as_str().unwrap())).send().await.unwrap();
    assert_eq!(picture.status(), 200);
    assert_eq!(picture.headers()["content-type"], "image/png");
    assert_eq!(picture.headers()["x-content-type-options"], "nosniff");
    let tag = picture.headers()["etag"].clone();
    assert_eq!(picture.bytes().await.unwrap(), png());
    let again = system.http.get(system.at(image["url"].as_str().unwrap())).header("if-none-match", tag);
    assert_eq!(again.send().await.unwrap().status(), 304);

    let logout = system.http.post(system.at("/logout")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(logout.status(), 204);
    assert!(logout.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let (status, body) = system.profile(&cookie).await;
    assert_eq!((status, body["error"].as_str()), (401, Some("Not logged in, or the session has ended")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_cookie_is_kept_from_scripts_and_other_sites() {
    let system = System::start().await;
    system.register("ben", "correct horse").await;
    let body = serde_json::json!({ "username": "ben", "password": "correct horse" });
    let response = system.http.post(system.at("/login")).json(&body).send().await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=86400"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_by_themselves() {
    let options =
        crate::fixture::Options { env: vec![("SESSION_TTL", "1s".to_owned())], ..Default::default() };
    let system = System::with(options).await;
    system.register("eve", "correct horse").await;
    let (_, _, cookie) = system.login("eve", "correct horse").await;
    let cookie = cookie.unwrap();
    assert_eq!(system.profile(&cookie).await.0, 200);
    eventually(Duration::from_secs(5), "the session ends", async || {
        (system.profile(&cookie).await.0 == 401).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_ids_travel() {
    let system = System::start().await;
    let send = async |id: &str| {
        let url = format!("http://{}/api/profile", system.portal.address);
        let response = system.http.get(url).header("x-request-id", id).send().await.unwrap();
        let header = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let (status, body) = read(response).await;
        assert_eq!(status, 401);
        (header, body["request_id"].as_str().unwrap().to_owned())
    };
    let (header, body) = send("from-the-outside.1").await;
    assert_eq!((header.as_str(), body.as_str()), ("from-the-outside.1", "from-the-outside.1"));
    let (header, body) = send("bad id with \"quotes\"").await;
    assert_eq!(header.len(), 32, "a new one: {header}");
    assert_eq!(header, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_what_happened() {
    let system = System::start().await;
    let start = system.metrics(&system.api).await;
    let login = |status: &'static str| ["route=\"/login\"", "method=\"POST\"", status];
    for status in ["status=\"200\"", "status=\"401\"", "status=\"503\""] {
        assert_eq!(metric(&start, "http_requests_total", &login(status)), Some(0.0), "exists from the start");
    }
    system.register("cat", "correct horse").await;
    let (_, _, cookie) = system.login("cat", "correct horse").await;
    let (status, wrong, _) = system.login("cat", "wrong password").await;
    assert_eq!(status, 401);
    let (status, unknown, _) = system.login("nobody", "wrong password").await;
    assert_eq!((status, &unknown["error"]), (401, &wrong["error"]), "nobody learns which names exist");
    assert_eq!(system.upload(&cookie.unwrap(), png()).await.0, 201);
    for path in ["/nowhere/1", "/nowhere/2", "/images/no-such-picture.png"] {
        assert_eq!(system.http.get(system.at(path)).send().await.unwrap().status(), 404);
    }

    let api = system.metrics(&system.api).await;
    assert_eq!(metric(&api, "http_requests_total", &login("status=\"200\"")), Some(1.0), "{api}");
    assert_eq!(metric(&api, "http_requests_total", &login("status=\"401\"")), Some(2.0));
    let unmatched = ["method=\"GET\"", "route=\"unmatched\"", "status=\"404\""];
    assert_eq!(metric(&api, "http_requests_total", &unmatched), Some(2.0));
    assert_eq!(metric(&api, "http_requests_total", &["route=\"/images/{id}\"", "status=\"404\""]), Some(1.0));
    assert!(!api.contains("nowhere") && !api.contains("no-such-picture"), "raw paths are no labels");
    assert_eq!(metric(&api, "http_request_duration_seconds_count", &["route=\"/login\""]), Some(3.0));
    let infinite = ["route=\"/login\"", "le=\"+Inf\""];
    assert_eq!(metric(&api, "http_request_duration_seconds_bucket", &infinite), Some(3.0));
    assert_eq!(metric(&api, "http_requests_in_flight", &[]), Some(0.0));
    assert_eq!(metric(&api, "build_info", &["service=\"api\""]), Some(1.0));
    for name in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds"] {
        assert!(metric(&api, name, &[]).is_some_and(|value| value > 0.0), "{name}");
    }
    for (running, dependency) in [
        (&system.auth, "postgres"),
        (&system.auth, "redis"),
        (&system.images, "storage"),
        (&system.api, "auth"),
        (&system.api, "images"),
        (&system.portal, "api"),
    ] {
        let label = format!("dependency=\"{dependency}\"");
        eventually(Duration::from_secs(3), &label, async || {
            let page = system.metrics(running).await;
            (metric(&page, "dependency_up", &[&label]) == Some(1.0)).then_some(())
        })
        .await;
    }
    let auth = system.metrics(&system.auth).await;
    assert_eq!(metric(&auth, "auth_failures_total", &["reason=\"wrong_password\""]), Some(1.0));
    assert_eq!(metric(&auth, "auth_failures_total", &["reason=\"unknown_user\""]), Some(1.0));
    assert_eq!(metric(&auth, "db_query_duration_seconds_count", &["query=\"insert_user\""]), Some(1.0));
    let images = system.metrics(&system.images).await;
    assert_eq!(metric(&images, "images_uploaded_total", &[]), Some(1.0));
    assert_eq!(metric(&images, "images_uploaded_bytes_total", &[]), Some(png().len() as f64));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_pages_are_well_formed() {
    let system = System::start().await;
    for running in [&system.portal, &system.api, &system.auth, &system.images] {
        let page = system.metrics(running).await;
        for line in page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap();
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line}");
            let base = name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
            assert!(
                page.contains(&format!("# TYPE {name} ")) || page.contains(&format!("# TYPE {base} ")),
                "{line}"
            );
        }
        let other = system.http.get(format!("http://{}/", running.metrics_address)).send().await.unwrap();
        assert_eq!(other.status(), 404);
        let on_main = system.http.get(format!("http://{}/metrics", running.address)).send().await.unwrap();
        assert_eq!(on_main.status(), 404, "metrics are on their own listener only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_with_metrics_exists() {
    let system = System::start().await;
    for running in [&system.portal, &system.api, &system.auth, &system.images] {
        let page = system.metrics(running).await;
        let series = page.lines().filter(|line| line.starts_with("http_request_duration_seconds_count{"));
        let mut routes = 0;
        for line in series.filter(|line| !line.contains("unmatched")) {
            let label =
                |name: &str| line.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
            let rest = if label("method") == "POST" { "login" } else { "profile" };
            let path = label("route").replace("{*path}", rest).replace("{owner}", "1").replace("{id}", "x");
            let method = label("method").parse().unwrap();
            let url = format!("http://{}{path}", running.address);
            let response = system.http.request(method, &url).send().await.unwrap();
            let (status, body) = read(response).await;
            assert_ne!(status, 405, "{line}");
            assert_ne!(body["error"], "No such page or resource", "{line}");
            routes += 1;
        }
        assert!(routes > 2);
    }
}
