//! Stores and services that are away, hang, come back, or come back empty.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::fixture::{Options, System, eventually, metric, png};

const FAILED: &str = "Failed to communicate with Auth service";
/// Users never wait longer than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time in which everything works again after a store is back.
const RECOVERY: Duration = Duration::from_secs(3);

/// Logs in and asserts the outage's answer within the time that users wait.
async fn login_fails(system: &System) {
    let start = Instant::now();
    let (status, body, cookie) = system.login("ann", "correct horse").await;
    let elapsed = start.elapsed();
    assert_eq!((status, body["error"].as_str()), (503, Some(FAILED)), "{body}");
    assert!(elapsed < PATIENCE, "{elapsed:?}");
    assert_eq!(cookie, None);
}

async fn login_works(system: &System) -> String {
    eventually(RECOVERY, "a login works again", async || {
        let (status, _, cookie) = system.login("ann", "correct horse").await;
        (status == 200).then_some(cookie?)
    })
    .await
}

async fn ready(system: &System, address: std::net::SocketAddr) -> bool {
    let start = Instant::now();
    let answer = system.http.get(format!("http://{address}/readyz")).send().await.unwrap();
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_millis(1500), "/readyz took {elapsed:?}");
    answer.status() == StatusCode::OK
}

async fn dependency(system: &System, of: &services::service::Running, name: &str, up: f64) {
    let label = format!("dependency=\"{name}\"");
    eventually(Duration::from_secs(4), &format!("dependency_up of {name} is {up}"), async || {
        let page = system.metrics(of).await;
        (metric(&page, "dependency_up", &[&label]) == Some(up)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_stopped_and_started() {
    let mut system = System::start().await;
    system.register("ann", "correct horse").await;
    let cookie = login_works(&system).await;
    let (_, image) = system.upload(&cookie, png()).await;

    system.postgres.stop();
    login_fails(&system).await;
    let (status, body) = system.post("/register", "new", "correct horse").await;
    assert_eq!((status, body["error"].as_str()), (503, Some(FAILED)));
    assert!(!ready(&system, system.auth.address).await, "auth is not ready without its database");
    assert!(ready(&system, system.api.address).await, "the gateway stays, to say what is wrong");
    assert!(ready(&system, system.portal.address).await);
    dependency(&system, &system.auth, "postgres", 0.0).await;
    dependency(&system, &system.api, "auth", 0.0).await;
    dependency(&system, &system.api, "images", 1.0).await;
    // What does not need the database goes on.
    assert_eq!(system.profile(&cookie).await.0, 200);
    let picture = system.http.get(system.at(image["url"].as_str().unwrap())).send().await.unwrap();
    assert_eq!(picture.status(), 200);

    system.postgres.resume();
    login_works(&system).await;
    assert_eq!(system.post("/register", "ann", "correct horse").await.0, 409, "no data was lost");
    dependency(&system, &system.auth, "postgres", 1.0).await;
    dependency(&system, &system.api, "auth", 1.0).await;
    assert!(ready(&system, system.auth.address).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn database_hangs() {
    let system = System::start().await;
    system.register("ann", "correct horse").await;
    login_works(&system).await;

    system.postgres.hang();
    // More at once than the pool has connections: nobody may wait for those before.
    let logins = (0..40).map(|_| login_fails(&system));
    futures::future::join_all(logins).await;
    assert!(!ready(&system, system.auth.address).await);
    let health = system.http.get(format!("http://{}/healthz", system.auth.address)).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK, "a restart would not help");
    dependency(&system, &system.auth, "postgres", 0.0).await;

    system.postgres.unhang();
    login_works(&system).await;
    dependency(&system, &system.auth, "postgres", 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_comes_after_the_services() {
    let mut system = System::with(Options { without_postgres: true, ..Options::default() }).await;
    login_fails(&system).await;
    assert!(!ready(&system, system.auth.address).await);
    system.postgres.resume();
    system.ready().await;
    system.register("ann", "correct horse").await;
    login_works(&system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_comes_back_empty() {
    let mut system = System::start().await;
    system.register("ann", "correct horse").await;
    system.postgres.lose_data();
    system.postgres.resume();
    eventually(RECOVERY, "the tables are made again", async || {
        (system.post("/register", "ann", "correct horse").await.0 == 201).then_some(())
    })
    .await;
    login_works(&system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_store_stopped_hung_and_back() {
    let mut system = System::start().await;
    system.register("ann", "correct horse").await;
    let cookie = login_works(&system).await;

    system.redis.hang();
    futures::future::join_all((0..8).map(|_| login_fails(&system))).await;
    let (status, body) = system.profile(&cookie).await;
    assert_eq!((status, body["error"].as_str()), (503, Some(FAILED)));
    assert!(!ready(&system, system.auth.address).await);
    dependency(&system, &system.auth, "redis", 0.0).await;
    system.redis.unhang();
    login_works(&system).await;
    assert_eq!(system.profile(&cookie).await.0, 200, "the session is still there");

    system.redis.stop();
    login_fails(&system).await;
    let logout = system.http.post(system.at("/logout")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(logout.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        logout.headers()["set-cookie"].to_str().unwrap().starts_with("session=;"),
        "forgotten all the same"
    );
    system.redis.resume();
    login_works(&system).await;
    dependency(&system, &system.auth, "redis", 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_away() {
    let system = System::start().await;
    system.register("ann", "correct horse").await;
    let cookie = login_works(&system).await;
    let System { images, auth, .. } = &system;
    let (images_address, auth_address) = (images.address, auth.address);

    let system = stop_images(system).await;
    assert!(system.http.get(format!("http://{images_address}/healthz")).send().await.is_err());
    let (status, profile) = system.profile(&cookie).await;
    assert_eq!(status, 200, "a profile without pictures is better than none");
    assert_eq!(profile["warning"], "Failed to communicate with Images service");
    let (status, body) = system.upload(&cookie, png()).await;
    assert_eq!((status, body["error"].as_str()), (503, Some("Failed to communicate with Images service")));

    let system = stop_auth(system).await;
    assert!(system.http.get(format!("http://{auth_address}/healthz")).send().await.is_err());
    login_fails(&system).await;
    assert!(ready(&system, system.api.address).await, "there is still an answer to give");
    dependency(&system, &system.api, "auth", 0.0).await;
    dependency(&system, &system.api, "images", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_away() {
    let system = System::start().await;
    system.register("ann", "correct horse").await;
    let cookie = login_works(&system).await;
    let (directory, aside) =
        (system.storage.path().to_owned(), system.storage.path().with_extension("aside"));
    std::fs::rename(&directory, &aside).unwrap();
    // A file in its place: nothing can be written below it, not even by root.
    std::fs::write(&directory, "").unwrap();
    assert!(!ready(&system, system.images.address).await);
    let (status, body) = system.upload(&cookie, png()).await;
    assert_eq!((status, body["error"].as_str()), (503, Some("Failed to communicate with Images service")));
    std::fs::remove_file(&directory).unwrap();
    std::fs::rename(&aside, &directory).unwrap();
    assert_eq!(system.upload(&cookie, png()).await.0, 201);
    assert!(ready(&system, system.images.address).await);
}

async fn stop_images(mut system: System) -> System {
    let replacement = silent().await;
    std::mem::replace(&mut system.images, replacement).shut_down().await;
    system
}

async fn stop_auth(mut system: System) -> System {
    let replacement = silent().await;
    std::mem::replace(&mut system.auth, replacement).shut_down().await;
    system
}

/// Some other running service to put in the place of one that is shut down.
async fn silent() -> services::service::Running {
    let env =
        [("LISTEN_ADDR", "127.0.0.1:0"), ("METRICS_ADDR", "127.0.0.1:0"), ("API_URL", "http://127.0.0.1:9")];
    services::portal::service(&services::config::Env::from_pairs(env)).unwrap().start().await.unwrap()
}
