//! The real programs: start-up errors, logs, memory, and the end by SIGTERM.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use reqwest::Client;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{
    Postgres, Redis, eventually, png,
    process::{Running, resident_bytes},
    system::read,
};

fn program(name: &str) -> Command {
    let path = match name {
        "auth" => env!("CARGO_BIN_EXE_auth"),
        "api" => env!("CARGO_BIN_EXE_api"),
        "images" => env!("CARGO_BIN_EXE_images"),
        _ => env!("CARGO_BIN_EXE_portal"),
    };
    let mut command = Command::new(path);
    command.env_clear().stdin(Stdio::null());
    command
}

/// A running program with its log.
struct Service {
    process: Running,
    log: Arc<Mutex<Vec<String>>>,
    address: SocketAddr,
    reader: std::thread::JoinHandle<()>,
}

impl Service {
    async fn start(name: &str, env: Vec<(String, String)>) -> Self {
        let mut command = program(name);
        command.env("LISTEN_ADDR", "127.0.0.1:0").env("METRICS_ADDR", "127.0.0.1:0").envs(env);
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = Running::spawn(command, Signal::KILL);
        let log = Arc::new(Mutex::new(Vec::new()));
        let output = BufReader::new(process.child().stdout.take().unwrap());
        let lines = log.clone();
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let address = eventually(Duration::from_secs(10), &format!("{name} listens"), async || {
            let lines = log.lock().unwrap();
            let line = lines.iter().find(|line| line.contains("\"listening\""))?;
            let line: Value = serde_json::from_str(line).unwrap();
            line["address"].as_str()?.parse().ok()
        })
        .await;
        Self { process, log, address, reader }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}

struct Stack {
    auth: Service,
    images: Service,
    api: Service,
    portal: Service,
    _postgres: Postgres,
    _redis: Redis,
    _storage: TempDir,
    http: Client,
}

impl Stack {
    async fn start() -> Self {
        let (postgres, redis) = (Postgres::start(), Redis::start());
        let storage = TempDir::with_prefix("gallery-pictures-").unwrap();
        let mut env = postgres.env();
        env.push(pair("REDIS_URL", redis.url()));
        let auth = Service::start("auth", env).await;
        let url = format!("file://{}", storage.path().display());
        let images = Service::start("images", vec![pair("STORAGE_URL", url)]).await;
        let env = vec![pair("AUTH_URL", auth.url()), pair("IMAGES_URL", images.url())];
        let api = Service::start("api", env).await;
        let portal = Service::start("portal", vec![pair("API_URL", api.url())]).await;
        let http = client();
        let ready = format!("{}/readyz", auth.url());
        eventually(Duration::from_secs(20), "auth is ready", async || {
            http.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
        Self { auth, images, api, portal, _postgres: postgres, _redis: redis, _storage: storage, http }
    }

    async fn post(&self, path: &str, name: &str, password: &str) -> (u16, Value, Option<String>) {
        let body = json!({ "username": name, "password": password });
        let url = format!("{}/api{path}", self.portal.url());
        let request = self.http.post(url).header("x-request-id", "the-id-of-this-test").json(&body);
        let response = request.send().await.unwrap();
        let cookie = response.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
        let (status, body) = read(response).await;
        (status, body, cookie.map(|cookie| cookie.split(';').next().unwrap().to_owned()))
    }
}

#[test]
fn a_bad_setting_is_one_clear_line() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 9] = [
        ("auth", &[], "auth: DB_HOST: is not set; it must be the host of PostgreSQL (or set DATABASE_URL)"),
        (
            "auth",
            &[("DATABASE_URL", "postgres//user:hunter2@host")],
            "auth: DATABASE_URL: is not of the form postgres://USER:PASSWORD@HOST:PORT/NAME",
        ),
        (
            "auth",
            &[("DATABASE_URL", "postgres://a:hunter2@127.0.0.1/x"), ("REDIS_URL", "http://:hunter2@x")],
            "auth: REDIS_URL: is not of the form redis://[:PASSWORD@]HOST:PORT[/DB]",
        ),
        (
            "api",
            &[("LISTEN_ADDR", "localhost")],
            "api: LISTEN_ADDR: \"localhost\" is not an address of the form IP:PORT, e.g. 127.0.0.1:18081",
        ),
        (
            "api",
            &[("AUTH_URL", "auth:18082")],
            "api: AUTH_URL: \"auth:18082\" must be of the form http://HOST:PORT",
        ),
        (
            "portal",
            &[("LOG_LEVEL", "loud")],
            "portal: LOG_LEVEL: \"loud\" is not a log level (error, warn, info, debug, trace) or filter",
        ),
        (
            "images",
            &[],
            "images: STORAGE_URL: is not set; it must be a directory as file:///PATH, s3://BUCKET or gs://BUCKET",
        ),
        (
            "images",
            &[("STORAGE_URL", "ftp://x/y")],
            "images: STORAGE_URL: \"ftp\" is not one of file, s3 and gs",
        ),
        (
            "images",
            &[("MAX_UPLOAD_BYTES", "much")],
            "images: MAX_UPLOAD_BYTES: \"much\" is not a size from 1024 to 1073741824 bytes, e.g. 5MiB or 5242880",
        ),
    ];
    for (name, env, expected) in cases {
        let output = program(name).envs(env.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{expected}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), expected);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        program("portal").env("LISTEN_ADDR", &address).env("METRICS_ADDR", "127.0.0.1:0").output().unwrap();
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(line.starts_with(&format!("portal: LISTEN_ADDR: cannot listen on {address}: ")), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_json_with_request_ids_and_without_secrets() {
    let stack = Stack::start().await;
    const PASSWORD: &str = "Tr0ub4dor-and-3";
    assert_eq!(stack.post("/register", "ann", PASSWORD).await.0, 201);
    assert_eq!(stack.post("/login", "ann", "wrong-Passw0rd").await.0, 401);
    let (status, body, cookie) = stack.post("/login", "ann", PASSWORD).await;
    assert_eq!(status, 200, "{body}");
    let cookie = cookie.unwrap();
    let token = cookie.strip_prefix("session=").unwrap();
    // A password in the place of the name, and one that is no text.
    stack.post("/login", "Secr3t in the wrong field", PASSWORD).await;
    let odd = json!({ "username": "ann", "password": [PASSWORD] });
    stack.http.post(format!("{}/login", stack.api.url())).json(&odd).send().await.unwrap();
    let profile = stack.http.get(format!("{}/api/profile", stack.portal.url())).header("cookie", &cookie);
    assert_eq!(profile.send().await.unwrap().status(), 200);

    for (name, service) in [("portal", &stack.portal), ("api", &stack.api), ("auth", &stack.auth)] {
        let line = eventually(Duration::from_secs(5), &format!("{name} logs the login"), async || {
            let lines = service.lines();
            let line = lines.iter().find(|line| {
                line.contains("the-id-of-this-test") && line.contains("\"request\"") && line.contains("200")
            });
            line.cloned()
        })
        .await;
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["span"]["request_id"], "the-id-of-this-test", "{line}");
        assert!(line["duration_ms"].is_number() && line["route"].is_string(), "{line}");
    }
    for service in [&stack.portal, &stack.api, &stack.auth, &stack.images] {
        for line in service.lines() {
            let parsed: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(parsed["timestamp"].is_string() && parsed["level"].is_string(), "{line}");
            for secret in [
                PASSWORD,
                token,
                "wrong-Passw0rd",
                "Secr3t",
                "secret-of-postgres",
                "secret-of-redis",
                "$argon2",
            ] {
                assert!(!line.contains(secret), "a secret is in the log: {line}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_wrong_passwords() {
    const WARM_UP: usize = 100;
    let stack = Stack::start().await;
    assert_eq!(stack.post("/register", "ann", "correct horse").await.0, 201);
    let attack = async |attempts: usize| {
        use futures::StreamExt;
        let tries = futures::stream::iter(0..attempts).map(|n| {
            let stack = &stack;
            async move { stack.post("/login", "ann", &format!("wrong password {n}")).await.0 }
        });
        tries.buffer_unordered(16).collect::<Vec<_>>().await
    };
    let all_refused = |statuses: &[u16]| {
        let warnings = [&stack.auth, &stack.api, &stack.portal].map(|service| {
            let lines =
                service.lines().into_iter().filter(|line| line.contains("WARN") || line.contains("ERROR"));
            lines.take(10).collect::<Vec<_>>()
        });
        assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}\n{warnings:#?}");
    };
    // Opens all connections; how soon that is done depends on the machine.
    attack(WARM_UP).await;
    let processes = [&stack.auth, &stack.api, &stack.portal].map(|service| service.process.id());
    let before = processes.map(resident_bytes);
    let during = async {
        // The user is not locked out while it goes on; at worst told to try again.
        eventually(Duration::from_secs(5), "a login during the attack", async || {
            let (status, body, _) = stack.post("/login", "ann", "correct horse").await;
            assert!(matches!(status, 200 | 429), "{status} {body}");
            (status == 200).then_some(())
        })
        .await;
    };
    let (statuses, ()) = tokio::join!(attack(1000), during);
    all_refused(&statuses);
    assert_eq!(stack.post("/login", "ann", "correct horse").await.0, 200, "nor afterwards");
    for (before, process) in before.into_iter().zip(processes) {
        let grown = resident_bytes(process).saturating_sub(before);
        assert!(grown < 16 << 20, "memory grew by {grown} bytes from {before}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_uploads_do_not_take_memory() {
    let stack = Stack::start().await;
    stack.post("/register", "ann", "correct horse").await;
    let (_, _, cookie) = stack.post("/login", "ann", "correct horse").await;
    let cookie = cookie.unwrap();
    let upload = async |megabytes: usize, announced: bool| {
        use futures::StreamExt;
        let rest =
            futures::stream::iter(std::iter::repeat_n(bytes::Bytes::from(vec![0u8; 1 << 20]), megabytes));
        let body = futures::stream::once(async { bytes::Bytes::from(png()) }).chain(rest);
        let body = reqwest::Body::wrap_stream(body.map(Ok::<_, std::io::Error>));
        let url = format!("{}/api/images/upload", stack.portal.url());
        let mut request = stack.http.post(url).header("cookie", &cookie).body(body);
        if announced {
            request = request.header("content-length", (megabytes << 20) + png().len());
        }
        request.send().await.unwrap().status().as_u16()
    };
    for _ in 0..4 {
        assert_eq!(upload(4, true).await, 201);
    }
    let processes = [&stack.images, &stack.api, &stack.portal].map(|service| service.process.id());
    let before = processes.map(resident_bytes);
    let huge = [upload(100, true), upload(100, false), upload(100, false), upload(100, true)];
    assert_eq!(futures::future::join_all(huge).await, [413; 4]);
    for (before, process) in before.into_iter().zip(processes) {
        let grown = resident_bytes(process).saturating_sub(before);
        assert!(grown < 16 << 20, "memory grew by {grown} bytes from {before}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_requests_finish() {
    let storage = TempDir::with_prefix("gallery-pictures-").unwrap();
    let env = vec![
        pair("STORAGE_URL", format!("file://{}", storage.path().display())),
        pair("SHUTDOWN_DELAY", "300ms"),
        pair("SHUTDOWN_TIMEOUT", "5s"),
    ];
    let mut images = Service::start("images", env).await;
    let http = client();
    let ready = format!("{}/readyz", images.url());
    assert_eq!(http.get(&ready).send().await.unwrap().status(), 200);

    // An upload whose second half is sent only after the signal.
    let (mut sender, receiver) = futures::channel::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(4);
    sender.try_send(Ok(png())).unwrap();
    let url = format!("{}/owners/1/images", images.url());
    let request = http.post(url).body(reqwest::Body::wrap_stream(receiver));
    let upload = tokio::spawn(async move { read(request.send().await.unwrap()).await });
    eventually(Duration::from_secs(5), "the upload has begun", async || {
        std::fs::read_dir(storage.path().join("pictures"))
            .is_ok_and(|mut files| files.next().is_some())
            .then_some(())
    })
    .await;

    images.process.signal(Signal::TERM);
    eventually(Duration::from_secs(2), "not ready before the listener closes", async || {
        let answer = http.get(&ready).send().await.ok()?;
        let (status, body) = read(answer).await;
        (status == 503 && body["draining"] == true).then_some(())
    })
    .await;
    eventually(Duration::from_secs(5), "the listener closes", async || {
        std::net::TcpStream::connect(images.address).is_err().then_some(())
    })
    .await;
    assert!(images.process.child().try_wait().unwrap().is_none(), "it waits for the upload");
    sender.try_send(Ok(vec![0; 1000])).unwrap();
    drop(sender);
    let (status, body) = upload.await.unwrap();
    assert_eq!((status, body["bytes"].as_u64()), (201, Some(png().len() as u64 + 1000)), "{body}");
    let status =
        eventually(Duration::from_secs(5), "it ends", async || images.process.child().try_wait().unwrap())
            .await;
    assert_eq!(status.code(), Some(0));
    images.reader.join().unwrap();
    let log = images.log.lock().unwrap();
    assert!(log.last().unwrap().contains("\"stopped\""), "{log:#?}");
    let probes = std::fs::read_dir(storage.path().join("health")).map_or(0, Iterator::count);
    assert_eq!(probes, 0, "the object of the readiness check is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_has_an_end() {
    // A request that never ends, because what it needs never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let env = vec![
        pair("API_URL", format!("http://{}", silent.local_addr().unwrap())),
        pair("SHUTDOWN_DELAY", "0ms"),
        pair("SHUTDOWN_TIMEOUT", "500ms"),
    ];
    let mut portal = Service::start("portal", env).await;
    let request = client().get(format!("{}/api/profile", portal.url())).header("x-request-id", "endless");
    let endless = tokio::spawn(request.send());
    let passed_on = async {
        // Health checks arrive here, too.
        loop {
            let (mut stream, _) = silent.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await.unwrap();
            if String::from_utf8_lossy(&head[..length]).contains("endless") {
                return stream;
            }
        }
    };
    let _open =
        tokio::time::timeout(Duration::from_secs(5), passed_on).await.expect("the request is passed on");
    let start = Instant::now();
    portal.process.signal(Signal::TERM);
    let status =
        eventually(Duration::from_secs(5), "it ends", async || portal.process.child().try_wait().unwrap())
            .await;
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(endless.await.unwrap().is_err(), "cut off");
}
