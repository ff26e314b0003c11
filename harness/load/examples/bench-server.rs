//! The server that `make bench-load` measures load generators against: one thread, answers made beforehand.
//!
//! `/small` answers with a little JSON, `/large` with 50 KiB; both have an `x-id` header. Prints its address when it listens.

use std::{convert::Infallible, io::Write};

use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

const SMALL: &[u8] = br#"{"id":"4711","ok":true}"#;
const LARGE: &[u8] = &[b'x'; 50 << 10];

fn main() -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(serve())
}

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(
                TokioIo::new(stream),
                service_fn(|request| async move { answer(&request) }),
            );
            // How a connection ends is the generator's affair.
            drop(connection.await);
        });
    }
}

fn answer(request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (media_type, body) = match request.uri().path() {
        "/small" => ("application/json", Bytes::from_static(SMALL)),
        "/large" => ("text/plain", Bytes::from_static(LARGE)),
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert("x-id", HeaderValue::from_static("4711"));
    Ok(response)
}
