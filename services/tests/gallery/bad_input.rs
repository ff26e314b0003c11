//! Input that no well-behaved client sends: clear 4xx answers, nothing stored, nothing leaked.

use std::{net::SocketAddr, time::Duration};

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::fixture::{System, eventually, metric, png, system::read};

/// Sends raw bytes and returns the answer's status and JSON body.
pub async fn raw(address: SocketAddr, request: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let all = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("an answer").unwrap();
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).unwrap_or_else(|| panic!("{text:?}")).parse().unwrap();
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
}

/// An error for a person with an id for the logs, and nothing from the inside.
fn assert_clear(status: u16, body: &Value, expected: u16, what: &str) {
    assert_eq!(status, expected, "{what}: {body}");
    let message = body["error"].as_str().unwrap_or_else(|| panic!("{what}: no error in {body}"));
    assert!(body["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{what}: {body}");
    for inside in ["panic", ".rs", "sqlx", "serde", "line ", "column", "/tmp", "argon2", "stack"] {
        assert!(!message.contains(inside), "{what}: {message:?} tells about the inside");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials() {
    let system = System::start().await;
    let good = "correct horse";
    let long = "x".repeat(10_000);
    let bodies = [
        (json!({ "username": 5, "password": good }), 422),
        (json!({ "username": ["ann"], "password": good }), 422),
        (json!({ "username": { "$ne": "" }, "password": good }), 422),
        (json!({ "username": null, "password": good }), 422),
        (json!({ "username": "ann", "password": 12_345_678 }), 422),
        (json!({ "username": "ann" }), 422),
        (json!({ "password": good }), 422),
        (json!({}), 422),
        (json!([]), 422),
        (json!("ann"), 422),
        (json!(null), 422),
        (json!({ "username": "", "password": good }), 422),
        (json!({ "username": "ann", "password": "" }), 422),
        (json!({ "username": "ann", "password": "short" }), 422),
        (json!({ "username": long, "password": good }), 422),
        (json!({ "username": "ann", "password": long }), 422),
        (json!({ "username": "ann'; DROP TABLE users; --", "password": good }), 422),
        (json!({ "username": "\" OR 1=1 --", "password": good }), 422),
        (json!({ "username": "ann\u{0}", "password": good }), 422),
        (json!({ "username": "ann", "password": "correct\u{0}horse" }), 422),
        (json!({ "username": "../../ann", "password": good }), 422),
        (json!({ "username": "<script>alert(1)</script>", "password": good }), 422),
        (json!({ "username": "ann", "password": "x".repeat(20_000) }), 413),
    ];
    for path in ["/register", "/login"] {
        for (body, expected) in &bodies {
            let (status, answer) =
                read(system.http.post(system.at(path)).json(body).send().await.unwrap()).await;
            let what = format!("{path} {:.80}", body.to_string());
            assert_clear(status, &answer, *expected, &what);
            assert!(!answer["error"].as_str().unwrap().contains("12345678"), "echoes a password: {answer}");
        }
        let texts: [(&[u8], u16); 6] = [
            (b"", 400),
            (b"{", 400),
            (b"username=ann&password=x", 400),
            (b"{\"username\":\"ann\",\"password\":\"\xff\xfe\xfd\"}", 400),
            (b"{\"username\":\"ann\",\"password\":\"correct horse\"", 400),
            (b"\x00\x01\x02", 400),
        ];
        for (text, expected) in texts {
            let request = system.http.post(system.at(path)).header("content-type", "application/json");
            let (status, answer) = read(request.body(text).send().await.unwrap()).await;
            assert_clear(status, &answer, expected, &format!("{path} {text:?}"));
        }
        let deep = format!("{{\"username\":{}", "[".repeat(8_000));
        let request = system.http.post(system.at(path)).header("content-type", "application/json");
        let (status, answer) = read(request.body(deep).send().await.unwrap()).await;
        assert_eq!((status / 100, answer["error"].is_string()), (4, true), "{answer}");
        let (status, answer) = read(system.http.post(system.at(path)).body("{}").send().await.unwrap()).await;
        assert_clear(status, &answer, 415, "no content type");
        let (status, answer) = read(system.http.get(system.at(path)).send().await.unwrap()).await;
        assert_clear(status, &answer, 405, "wrong method");
    }
    let mut database = system.postgres.connect().await;
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut database).await.unwrap();
    assert_eq!(users, 0, "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads() {
    let system = System::start().await;
    let api = system.api.address;
    let long = "x".repeat(20_000);
    let request = format!("GET /profile HTTP/1.1\r\nhost: a\r\nx-long: {long}\r\n\r\n");
    let (status, body) = raw(api, request.as_bytes()).await;
    assert_clear(status, &body, 431, "one long header");
    let many: String = (0..90).map(|n| format!("x-{n}: {}\r\n", "y".repeat(200))).collect();
    let (status, body) = raw(api, format!("GET /profile HTTP/1.1\r\nhost: a\r\n{many}\r\n").as_bytes()).await;
    assert_clear(status, &body, 431, "many headers");
    // Beyond what is even read: the protocol's own answer.
    let huge = "x".repeat(200_000);
    let (status, _) = raw(api, format!("GET / HTTP/1.1\r\nhost: a\r\nx: {huge}\r\n\r\n").as_bytes()).await;
    assert_eq!(status, 431);
    let (status, _) = raw(api, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http\r\n\r\n").await;
    assert_eq!(status, 400);
    let cookie = format!(
        "GET /profile HTTP/1.1\r\nhost: a\r\ncookie: session={}\r\nconnection: close\r\n\r\n",
        "\u{e9}".repeat(50)
    );
    let (status, body) = raw(api, cookie.as_bytes()).await;
    assert_clear(status, &body, 401, "a cookie that is not ASCII");
    let (status, body) = system.profile(&format!("session={}", "x".repeat(4000))).await;
    assert_clear(status, &body, 401, "a long token");
    let (status, body) = system.profile("session=*; session=x").await;
    assert_clear(status, &body, 401, "a token of Redis pattern characters");
    assert_eq!(system.http.get(system.at("/healthz")).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_arrive() {
    let system = System::start().await;
    system.register("ann", "correct horse").await;
    let (_, _, cookie) = system.login("ann", "correct horse").await;
    let cookie = cookie.unwrap();
    let login = "POST /login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{\"us";
    let upload = format!(
        "POST /images/upload HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\ncontent-length: 90000\r\n\r\n"
    );
    let mut upload = upload.into_bytes();
    upload.extend(png());
    let (login, upload) =
        tokio::join!(raw(system.api.address, login.as_bytes()), raw(system.api.address, &upload),);
    assert_clear(login.0, &login.1, 408, "a login that stops");
    assert_clear(upload.0, &upload.1, 408, "an upload that stops");
    eventually(Duration::from_secs(5), "nothing is left of it", async || {
        system.stored_files().is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_are_no_pictures() {
    let system = System::start().await;
    system.register("ann", "correct horse").await;
    let (_, _, cookie) = system.login("ann", "correct horse").await;
    let cookie = cookie.unwrap();
    let mut cut = png();
    cut.truncate(20);
    let bodies: [(&str, Vec<u8>, u16); 6] = [
        ("empty", Vec::new(), 400),
        ("text called .png", b"this is a text, whatever its name says\n".repeat(100), 415),
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec(), 415),
        ("html", b"<!doctype html><script>alert(1)</script>".to_vec(), 415),
        ("program", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec(), 415),
        ("cut png", cut, 415),
    ];
    for (what, body, expected) in bodies {
        let request = system.http.post(system.at("/images/upload")).header("cookie", &cookie);
        let request = request.header("content-type", "image/png").body(body);
        let (status, answer) = read(request.send().await.unwrap()).await;
        assert_clear(status, &answer, expected, what);
    }
    let form = system.http.post(system.at("/images/upload")).header("cookie", &cookie);
    let form =
        form.header("content-type", "multipart/form-data; boundary=x").body("--x\r\n\r\nhello\r\n--x--\r\n");
    let (status, answer) = read(form.send().await.unwrap()).await;
    assert_clear(status, &answer, 415, "form");
    let (status, answer) = system.upload("session=none", png()).await;
    assert_clear(status, &answer, 401, "not logged in");
    let (status, answer) = system.upload("", png()).await;
    assert_clear(status, &answer, 401, "no cookie");

    // A picture that breaks off in the middle.
    let mut head = format!(
        "POST /images/upload HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\ncontent-length: 400000\r\n\r\n"
    )
    .into_bytes();
    head.extend(png());
    head.extend(vec![0; 300_000]);
    let mut stream = TcpStream::connect(system.api.address).await.unwrap();
    stream.write_all(&head).await.unwrap();
    drop(stream);
    eventually(Duration::from_secs(5), "the broken upload is counted", async || {
        let page = system.metrics(&system.images).await;
        let in_flight = metric(&page, "http_requests_in_flight", &[]);
        let broken = metric(&page, "images_rejected_total", &["reason=\"broken_off\""]);
        let gone = metric(&page, "http_requests_total", &["/owners/{owner}/images", "status=\"499\""]);
        (in_flight == Some(0.0) && broken.unwrap() + gone.unwrap() >= 1.0).then_some(())
    })
    .await;
    eventually(Duration::from_secs(5), "nothing is left of it", async || {
        system.stored_files().is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_are_too_large() {
    const SIZE: usize = 100 << 20;
    let system = System::start().await;
    system.register("ann", "correct horse").await;
    let (_, _, cookie) = system.login("ann", "correct horse").await;
    let cookie = cookie.unwrap();
    let portal = format!("http://{}/api/images/upload", system.portal.address);
    for url in [system.at("/images/upload"), portal] {
        for announced in [true, false] {
            // A valid picture at the start: only the size is wrong.
            let rest = futures::stream::iter(std::iter::repeat_n(
                bytes::Bytes::from(vec![0u8; 1 << 20]),
                SIZE >> 20,
            ));
            let body = futures::stream::once(async { bytes::Bytes::from(png()) }).chain(rest);
            let body = reqwest::Body::wrap_stream(body.map(Ok::<_, std::io::Error>));
            let mut request = system.http.post(&url).header("cookie", &cookie).body(body);
            if announced {
                request = request.header("content-length", SIZE + png().len());
            }
            let (status, answer) = read(request.send().await.unwrap()).await;
            assert_clear(status, &answer, 413, &format!("{url}, announced: {announced}"));
            assert_eq!(answer["error"], "The upload is larger than 5 MiB");
        }
    }
    eventually(Duration::from_secs(5), "nothing is stored", async || {
        system.stored_files().is_empty().then_some(())
    })
    .await;
    // The limit itself is allowed, one byte more is not.
    let padded = |length: usize| {
        let mut body = png();
        body.resize(length, 0);
        body
    };
    assert_eq!(system.upload(&cookie, padded(5 << 20)).await.0, 201);
    assert_eq!(system.upload(&cookie, padded((5 << 20) + 1)).await.0, 413);
    assert_eq!(system.stored_files().len(), 2, "the picture and its description");
}

#[tokio::test(flavor = "multi_thread")]
async fn picture_names_stay_in_their_place() {
    let system = System::start().await;
    let secret = system.storage.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let names = [
        "../secret",
        "..%2fsecret",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fsecret",
        "%2e%2e/%2e%2e/etc/passwd",
        "%252e%252e%252fsecret",
        "....//secret",
        "..\\secret",
        "/etc/passwd",
        "%00",
        "secret%00.png",
        "%ff%fe.png",
        "01234567-89ab-cdef-0123-456789abcdef.png",
        "01234567-89ab-cdef-0123-456789abcdef.png%2f..%2f..%2fsecret",
    ];
    for (address, prefix) in [
        (system.api.address, "/images"),
        (system.images.address, "/images"),
        (system.portal.address, "/api/images"),
    ] {
        for name in names {
            let request = format!("GET {prefix}/{name} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            let (status, body) = raw(address, request.as_bytes()).await;
            assert!(matches!(status, 400 | 404), "{prefix}/{name}: {status} {body}");
            assert_clear(status, &body, status, name);
        }
    }
    for owner in ["0", "-1", "x", "..", "9999999999999999999999"] {
        let request = format!("GET /owners/{owner}/images HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let (status, body) = raw(system.images.address, request.as_bytes()).await;
        assert_clear(status, &body, 404, owner);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods() {
    let system = System::start().await;
    for running in [&system.portal, &system.api, &system.auth, &system.images] {
        for (request, expected) in
            [("GET /nowhere", 404), ("DELETE /healthz", 405), ("BREW /healthz", 405), ("GET /%", 404)]
        {
            let request = format!("{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            let (status, body) = raw(running.address, request.as_bytes()).await;
            assert_clear(status, &body, expected, &request);
        }
    }
}
