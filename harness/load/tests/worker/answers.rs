//! Answers that are not as they should be, and none at all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{http::StatusCode, response::Response};
use harness_event::Millis;
use http_body_util::Full;
use hyper::{body::Bytes, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Report, Server, assignment, load, run, step};

fn errors(kind: &str, count: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(kind.to_owned(), count)])
}

/// Reads one request after another and answers each as this does, which may also close the connection. Gives the address and
/// the number of connections that were made.
async fn raw<F>(answer: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> (String, Arc<AtomicU64>)
where
    F: Future<Output = Option<TcpStream>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&connections);
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                loop {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => request.push(byte),
                            Err(_) => return,
                        }
                    }
                    match answer(stream).await {
                        Some(open) => stream = open,
                        None => return,
                    }
                }
            });
        }
    });
    (url, connections)
}

async fn ten_of(url: String) -> Report {
    let mut load = load(2, vec![step("raw", url)]);
    load.requests = Some(10);
    run(&assignment(load)).await
}

#[tokio::test]
async fn another_status_is_a_failure_and_counted_as_what_it_is() {
    let server = Server::start(|_| async {
        Response::builder().status(StatusCode::NOT_FOUND).body("no".into()).unwrap()
    })
    .await;
    let report = ten_of(server.url("/nowhere")).await;
    assert_eq!(report.statuses(), BTreeMap::from([(404, 10)]));
    assert_eq!((report.requests(), report.failed()), (10, 10));
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let report = ten_of(url).await;
    assert_eq!((report.errors(), report.failed()), (errors("connect", 10), 10));
    let report = ten_of("http://no-such-host.invalid/".to_owned()).await;
    assert_eq!(report.errors(), errors("connect", 10));
}

#[tokio::test]
async fn the_time_limit_is_the_whole_requests() {
    for late in ["head", "body"] {
        let (url, _) = raw(move |mut stream| async move {
            if late == "body" {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123").await.ok()?;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
            Some(stream)
        })
        .await;
        let mut hello = step("late", url);
        hello.timeout = Millis(300);
        let mut load = load(2, vec![hello]);
        load.requests = Some(4);
        let report = run(&assignment(load)).await;
        assert_eq!((report.errors(), report.failed()), (errors("timeout", 4), 4), "{late}");
        let latencies = report.latencies();
        assert!(latencies.min() >= 299_000, "{late}: {}", latencies.min());
        assert!(latencies.max() < 20_000_000, "{late}: {}", latencies.max());
    }
}

#[tokio::test]
async fn connections_that_break() {
    let (url, connections) = raw(|_| async { None }).await;
    assert_eq!(ten_of(url).await.errors(), errors("reset", 10));
    assert_eq!(connections.load(Ordering::SeqCst), 10, "what was written is not sent again");

    let (url, _) = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123").await.ok()?;
        None
    })
    .await;
    assert_eq!(ten_of(url).await.errors(), errors("body", 10));

    let (url, _) = raw(|mut stream| async move {
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await.ok()?;
        Some(stream)
    })
    .await;
    assert_eq!(ten_of(url).await.errors(), errors("protocol", 10));
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_is_replaced_unnoticed() {
    let (url, connections) = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.ok()?;
        // It promises to stay and goes.
        None
    })
    .await;
    let mut hello = step("hello", url);
    hello.think = Some((Millis(300), Millis(300)));
    let mut load = load(1, vec![hello]);
    load.requests = Some(4);
    let report = run(&assignment(load)).await;
    assert_eq!((report.requests(), report.failed()), (4, 0), "{:?}", report.errors());
    assert_eq!(connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn every_kind_of_body_leaves_the_connection_usable() {
    let answers = [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n",
    ];
    for (text, bytes) in answers.into_iter().zip([50, 0, 0, 0]) {
        let (url, connections) = raw(move |mut stream| async move {
            stream.write_all(text.as_bytes()).await.ok()?;
            Some(stream)
        })
        .await;
        let report = ten_of(url).await;
        assert_eq!((report.requests(), report.errors()), (10, BTreeMap::new()), "{text}");
        assert_eq!(report.entries().map(|entry| entry.bytes).sum::<u64>(), bytes, "{text}");
        assert!(connections.load(Ordering::SeqCst) <= 2, "{text}");
    }
}

#[tokio::test]
async fn a_large_answer_is_read_to_its_end() {
    const LENGTH: usize = 3_000_000;
    let server = Server::start(|_| async { Response::new(vec![b'x'; LENGTH].into()) }).await;
    let report = ten_of(server.url("/")).await;
    assert_eq!((report.failed(), report.entries().map(|entry| entry.bytes).sum()), (0, 10 * LENGTH as u64));
}

/// Serves HTTPS and gives its URL and the certificate of the authority that vouches for it.
async fn https() -> (String, String) {
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(|_| async {
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from("secret"))))
                });
                // How a connection ends is the client's affair.
                drop(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await,
                );
            });
        }
    });
    (url, authority_certificate.pem())
}

#[tokio::test]
async fn private_authorities_are_trusted_when_named_and_only_then() {
    let (url, pem) = https().await;
    let mut load = load(2, vec![step("secret", url.clone())]);
    load.requests = Some(10);
    let mut assignment = assignment(load);
    let report = run(&assignment).await;
    assert_eq!((report.errors(), report.failed()), (errors("tls", 10), 10));

    assignment.ca_pem = Some(pem);
    let report = run(&assignment).await;
    assert_eq!(
        (report.statuses(), report.failed()),
        (BTreeMap::from([(200, 10)]), 0),
        "{:?}",
        report.errors()
    );

    // By another name than the certificate's.
    assignment.load.steps[0].url = url.replace("127.0.0.1", "127.0.0.2");
    let report = run(&assignment).await;
    assert_eq!(report.errors().into_keys().next().as_deref(), Some("connect"), "nobody listens there");
}

#[tokio::test]
async fn a_server_without_tls_is_no_https_server() {
    let server = Server::hello().await;
    let report = ten_of(server.url("/").replace("http:", "https:")).await;
    assert_eq!(report.errors(), errors("tls", 10));
}
