//! What the system under test gets.

use std::collections::{BTreeMap, BTreeSet};

use axum::{body::Bytes, http::StatusCode, response::Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use harness_event::{ExtractFrom, Extraction, LoadBody, LoadPart, Millis};
use serde_json::json;

use crate::support::{Got, Server, Worker, assignment, load, run, step};

fn extraction(name: &str, from: ExtractFrom) -> Extraction {
    Extraction { name: name.to_owned(), from }
}

fn answer(status: StatusCode, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into().into()).unwrap()
}

/// A shop with sessions, which believes nothing.
async fn shop() -> Server {
    Server::start(|got: Got| async move {
        let user = got.header("x-user").to_owned();
        match (got.method.as_str(), got.uri.path()) {
            ("POST", "/login") => {
                let body: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
                if got.header("content-type") != "application/json"
                    || body["name"] != format!("u{user}-run-1")
                {
                    return answer(StatusCode::BAD_REQUEST, &[], "");
                }
                let cookie = format!("session=s-{user}; Path=/");
                let location = format!("/cart/{user}?x=1");
                answer(
                    StatusCode::CREATED,
                    &[("set-cookie", &cookie), ("location", &location)],
                    json!({ "auth": { "token": format!("t {user}&") } }).to_string(),
                )
            }
            ("GET", path) if path == format!("/cart/{user}") => {
                let right = got.header("authorization") == format!("Bearer t {user}&")
                    && got.header("cookie") == format!("session=s-{user}")
                    && got.uri.query() == Some("x=1");
                answer(if right { StatusCode::OK } else { StatusCode::UNAUTHORIZED }, &[], "")
            }
            ("DELETE", "/token") if got.uri.query() == Some(&format!("t=t%20{user}%26")) => {
                answer(StatusCode::NO_CONTENT, &[], "")
            }
            _ => answer(StatusCode::NOT_FOUND, &[], ""),
        }
    })
    .await
}

#[tokio::test]
async fn values_of_an_answer_go_into_later_requests_of_the_same_user() {
    let server = shop().await;
    let user = BTreeMap::from([("x-user".to_owned(), "${user.id}".to_owned())]);
    let mut login = step("log in", server.url("/login"));
    login.method = "POST".to_owned();
    login.status = 201;
    login.headers = user.clone();
    login.body = Some(LoadBody::Json(json!({ "name": "u${user.id}-${run.id}" })));
    login.extract = vec![
        extraction("token", ExtractFrom::Json("/auth/token".to_owned())),
        extraction("session", ExtractFrom::Cookie("session".to_owned())),
        extraction("cart", ExtractFrom::Header("Location".to_owned())),
    ];
    let mut cart = step("cart", server.url("${value.cart}"));
    cart.headers = user.clone();
    cart.headers.insert("Authorization".to_owned(), "Bearer ${value.token}".to_owned());
    cart.headers.insert("Cookie".to_owned(), "session=${value.session}".to_owned());
    let mut revoke = step("revoke", server.url("/token?t=${value.token}"));
    revoke.method = "DELETE".to_owned();
    revoke.status = 204;
    revoke.headers = user;
    let mut load = load(3, vec![login, cart, revoke]);
    load.requests = Some(90);
    let report = run(&assignment(load)).await;
    assert_eq!(
        (report.requests(), report.failed()),
        (90, 0),
        "{:?} {:?}",
        report.statuses(),
        report.errors()
    );
    for peer in server.got().iter().map(|got| got.peer).collect::<BTreeSet<_>>() {
        let paths: Vec<String> =
            server.got().iter().filter(|got| got.peer == peer).map(|got| got.method.to_string()).collect();
        let order = ["POST", "GET", "DELETE"].into_iter().cycle().take(paths.len()).collect::<Vec<_>>();
        assert_eq!(paths, order, "each user goes through the steps in their order");
    }
}

#[tokio::test]
async fn a_request_whose_value_is_missing_is_not_sent() {
    let server = Server::hello().await;
    let mut first = step("first", server.url("/first"));
    first.extract = vec![extraction("id", ExtractFrom::Json("/id".to_owned()))];
    let mut load = load(1, vec![first, step("second", server.url("/second/${value.id}"))]);
    load.requests = Some(10);
    let report = run(&assignment(load)).await;
    assert_eq!(report.errors(), BTreeMap::from([("value".to_owned(), 5)]));
    assert_eq!((report.requests(), report.failed(), server.got().len()), (10, 5, 5));
}

#[tokio::test]
async fn setup_comes_first_and_its_values_are_known_to_all() {
    let server = Server::start(|got: Got| async move {
        answer(StatusCode::OK, &[("x-id", "42")], got.uri.path().to_owned())
    })
    .await;
    let mut setup = step("make", server.url("/make"));
    setup.extract = vec![extraction("id", ExtractFrom::Header("x-id".to_owned()))];
    let mut load = load(5, vec![step("use", server.url("/use/${value.id}"))]);
    load.setup = vec![setup];
    load.requests = Some(20);
    let worker = Worker::ready(&assignment(load)).await;
    assert_eq!(server.got().len(), 1, "before the start there is the setup, and only that");
    let mut worker = worker;
    worker.send(&harness_load::Command::Start).await;
    worker.next().await;
    let report = worker.finish(Vec::new()).await;
    assert_eq!((report.requests(), report.failed()), (20, 0));
    let paths: Vec<String> = server.got().iter().map(|got| got.uri.path().to_owned()).collect();
    assert_eq!(paths[0], "/make");
    assert!(paths[1..].iter().all(|path| path == "/use/42"), "{paths:?}");
}

#[tokio::test]
async fn a_setup_that_fails_is_a_load_that_fails() {
    let server = Server::start(|_| async { answer(StatusCode::FORBIDDEN, &[], "") }).await;
    let mut load = load(1, vec![step("hello", server.url("/"))]);
    load.setup = vec![step("log in", server.url("/login"))];
    let mut worker = Worker::spawn();
    worker.send(&assignment(load)).await;
    worker.next().await;
    assert_eq!(worker.failure().await, "setup step \"log in\": status 403 instead of status 200");
}

#[tokio::test]
async fn rounds_and_random_numbers() {
    let server = Server::hello().await;
    let mut hello = step("hello", server.url("/${user.id}/${user.round}/${random}"));
    hello.method = "POST".to_owned();
    hello.body = Some(LoadBody::Text("${random}".to_owned()));
    let mut load = load(1, vec![hello]);
    load.requests = Some(5);
    run(&assignment(load)).await;
    let mut random = BTreeSet::new();
    for (round, got) in server.got().iter().enumerate() {
        let path = got.uri.path().to_owned();
        let prefix = format!("/0/{round}/");
        random.insert(path.strip_prefix(&prefix).unwrap_or_else(|| panic!("{path}")).to_owned());
        random.insert(String::from_utf8(got.body.to_vec()).unwrap());
        assert_eq!(got.header("content-type"), "text/plain");
    }
    assert_eq!(random.len(), 10);
}

#[tokio::test]
async fn an_uploaded_file_arrives_byte_for_byte() {
    let file: Vec<u8> = (0..200_000u32).map(|number| (number * 31 % 251) as u8).collect();
    let server = Server::hello().await;
    let mut upload = step("upload", server.url("/upload"));
    upload.method = "POST".to_owned();
    let part = |name: &str| LoadPart {
        name: name.to_owned(),
        text: None,
        file: None,
        filename: None,
        content_type: None,
    };
    upload.body = Some(LoadBody::Multipart(vec![
        LoadPart { text: Some("cat of ${user.id}".to_owned()), ..part("title") },
        LoadPart {
            file: Some("img/cat.png".to_owned()),
            content_type: Some("image/png".to_owned()),
            ..part("image")
        },
    ]));
    let mut raw = step("raw", server.url("/raw"));
    raw.method = "PUT".to_owned();
    raw.body = Some(LoadBody::File("img/cat.png".to_owned()));
    raw.headers.insert("content-type".to_owned(), "image/png".to_owned());
    let mut load = load(1, vec![upload, raw]);
    load.requests = Some(2);
    let mut assignment = assignment(load);
    assignment.files.insert("img/cat.png".to_owned(), BASE64_STANDARD.encode(&file));
    assert_eq!(run(&assignment).await.failed(), 0);

    let got = server.got();
    assert_eq!((&got[1].method, got[1].header("content-type")), (&"PUT".parse().unwrap(), "image/png"));
    assert_eq!(got[1].body, file);
    let boundary = got[0].header("content-type").strip_prefix("multipart/form-data; boundary=").unwrap();
    let mut expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\ncat of 0\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"cat.png\"\r\n\
         Content-Type: image/png\r\n\r\n"
    )
    .into_bytes();
    expected.extend_from_slice(&file);
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(got[0].body == expected, "{}", String::from_utf8_lossy(&got[0].body[..400]));
    assert_eq!(got[0].header("content-length"), expected.len().to_string());
}

#[tokio::test]
async fn connections_end_after_so_many_requests() {
    let server = Server::hello().await;
    let mut load = load(2, vec![step("hello", server.url("/"))]);
    load.requests = Some(100);
    load.requests_per_connection = Some(10);
    let report = run(&assignment(load)).await;
    assert_eq!((report.requests(), report.failed()), (100, 0), "{:?}", report.errors());
    let mut connections: BTreeMap<_, Vec<Got>> = BTreeMap::new();
    for got in server.got() {
        connections.entry(got.peer).or_default().push(got);
    }
    assert!((10..=11).contains(&connections.len()), "{}", connections.len());
    for requests in connections.values() {
        assert!(requests.len() <= 10);
        for (place, request) in requests.iter().enumerate() {
            let close = request.header("connection") == "close";
            assert_eq!(close, place == 9, "the tenth says that it is the last one");
        }
    }
}

#[tokio::test]
async fn a_user_keeps_a_connection_to_each_server() {
    let (one, two) = (Server::hello().await, Server::hello().await);
    let mut load = load(1, vec![step("one", one.url("/")), step("two", two.url("/"))]);
    load.requests = Some(20);
    load.duration = Some(Millis::from_secs(20));
    assert_eq!(run(&assignment(load)).await.failed(), 0);
    for server in [one, two] {
        let connections: BTreeSet<_> = server.got().iter().map(|got| got.peer).collect();
        assert_eq!((server.got().len(), connections.len()), (10, 1));
        assert_eq!(server.got()[0].header("host"), server.address.to_string());
    }
}
