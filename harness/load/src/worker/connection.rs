//! One connection of one user, HTTP/1.1.
//!
//! The connection is driven by the task of its user, not by one of its own: a request costs no switch between tasks.

use std::{
    error::Error as _,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::Full;
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::Sleep};
use tokio_rustls::TlsConnector;

use super::{extract::JSON_LIMIT, request::Place};

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection: refused, unreachable, no such host.
    Connect,
    /// It took longer than its time limit.
    Timeout,
    /// The connection was closed before the head of the answer was complete.
    Reset,
    /// What came is no HTTP/1.1.
    Protocol,
    /// No TLS session: the certificate is not trusted, the server speaks no TLS.
    Tls,
    /// The connection was closed in the midst of the answer's body.
    Body,
    /// The request was not sent: a value for it was not in an earlier answer, or cannot be sent.
    Value,
}

impl Failure {
    /// All, in the order of their numbers.
    pub(super) const ALL: [Self; 7] =
        [Self::Connect, Self::Timeout, Self::Reset, Self::Protocol, Self::Tls, Self::Body, Self::Value];

    /// As frames call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::Tls => "tls",
            Self::Body => "body",
            Self::Value => "value",
        }
    }
}

/// A complete answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Status code.
    pub(super) status: u16,
    /// Headers.
    pub(super) headers: HeaderMap,
    /// Length of the body.
    pub(super) length: u64,
    /// The body, if it was to be kept; empty if it is longer than [`JSON_LIMIT`].
    pub(super) body: Vec<u8>,
}

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection.
pub(super) struct Connection {
    /// Where to.
    pub(super) place: Arc<Place>,
    /// Requests that were sent on it.
    pub(super) served: u32,
    sender: SendRequest<Full<Bytes>>,
    /// None when the connection is at its end.
    driver: Option<Driver>,
}

/// What became of a request.
pub(super) enum Exchange {
    /// It was answered, or not.
    Done(Result<Answer, Failure>),
    /// The connection turned out to be closed before anything of the request was written: it may go on another one.
    NotSent(Request<Full<Bytes>>),
}

impl Connection {
    /// Connects, within the time limit.
    pub(super) async fn open(
        place: &Arc<Place>,
        tls: Option<&TlsConnector>,
        limit: &mut Pin<Box<Sleep>>,
    ) -> Result<Self, Failure> {
        tokio::select! {
            biased;
            opened = Self::connect(place, tls) => opened,
            () = limit => Err(Failure::Timeout),
        }
    }

    async fn connect(place: &Arc<Place>, tls: Option<&TlsConnector>) -> Result<Self, Failure> {
        let stream =
            TcpStream::connect((place.host.as_str(), place.port)).await.map_err(|_| Failure::Connect)?;
        // Without it a request in two writes waits for the server's delayed acknowledgement.
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let (sender, driver): (_, Driver) = if place.tls {
            let name = ServerName::try_from(place.host.clone()).map_err(|_| Failure::Tls)?;
            let stream = tls.ok_or(Failure::Tls)?.connect(name, stream).await.map_err(|_| Failure::Tls)?;
            let (sender, driver) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Protocol)?;
            (sender, Box::pin(driver))
        } else {
            let (sender, driver) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Protocol)?;
            (sender, Box::pin(driver))
        };
        Ok(Self { place: Arc::clone(place), served: 0, sender, driver: Some(driver) })
    }

    /// True if another request can be sent. The server may have closed the connection while nobody looked.
    pub(super) async fn is_usable(&mut self, limit: &mut Pin<Box<Sleep>>) -> Result<bool, Failure> {
        // Nearly always this is all. It needs no waker: the task that it would wake is running.
        if let Poll::Ready(usable) = self.poll_usable(&mut Context::from_waker(Waker::noop())) {
            return Ok(usable);
        }
        tokio::select! {
            biased;
            usable = poll_fn(|context| self.poll_usable(context)) => Ok(usable),
            () = limit => Err(Failure::Timeout),
        }
    }

    fn poll_usable(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Some(driver) = &mut self.driver else { return Poll::Ready(false) };
        if driver.as_mut().poll(context).is_ready() {
            self.driver = None;
            return Poll::Ready(false);
        }
        self.sender.poll_ready(context).map(|ready| ready.is_ok())
    }

    /// Sends a request and reads the answer to its end, within the time limit.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        keep_body: bool,
        limit: &mut Pin<Box<Sleep>>,
    ) -> Exchange {
        self.served += 1;
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let head = match drive(driver, limit, |quiet| answer.as_mut().poll(quiet)).await {
            None => return Exchange::Done(Err(Failure::Timeout)),
            Some(Err(mut error)) => {
                return match error.take_message() {
                    Some(request) => Exchange::NotSent(request),
                    None => Exchange::Done(Err(failure(&error.into_error()))),
                };
            }
            Some(Ok(answer)) => answer,
        };
        let (head, body) = head.into_parts();
        let (length, body) = match read(driver, limit, body, keep_body).await {
            Ok(body) => body,
            Err(failure) => return Exchange::Done(Err(failure)),
        };
        Exchange::Done(Ok(Answer { status: head.status.as_u16(), headers: head.headers, length, body }))
    }
}

async fn read(
    driver: &mut Option<Driver>,
    limit: &mut Pin<Box<Sleep>>,
    mut body: Incoming,
    keep: bool,
) -> Result<(u64, Vec<u8>), Failure> {
    let mut length = 0;
    let mut kept = Vec::new();
    while !body.is_end_stream() {
        let frame = drive(driver, limit, |quiet| Pin::new(&mut body).poll_frame(quiet)).await;
        let data = match frame.ok_or(Failure::Timeout)? {
            None => break,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(_)) => return Err(Failure::Body),
        };
        length += data.len() as u64;
        if keep && length <= JSON_LIMIT as u64 {
            kept.extend_from_slice(&data);
        }
    }
    if length > JSON_LIMIT as u64 {
        kept = Vec::new();
    }
    Ok((length, kept))
}

/// Waits for something that only the connection's progress can bring about. None at the time limit.
async fn drive<T>(
    driver: &mut Option<Driver>,
    limit: &mut Pin<Box<Sleep>>,
    mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    poll_fn(|context| {
        // It is looked for after each step of the driver, so it needs no waker of its own.
        let mut quiet = Context::from_waker(Waker::noop());
        if let Poll::Ready(found) = wanted(&mut quiet) {
            return Poll::Ready(Some(found));
        }
        if let Some(running) = driver {
            if running.as_mut().poll(context).is_ready() {
                *driver = None;
            }
            if let Poll::Ready(found) = wanted(&mut quiet) {
                return Poll::Ready(Some(found));
            }
        }
        limit.as_mut().poll(context).map(|()| None)
    })
    .await
}

fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() {
        return Failure::Protocol;
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Failure::Reset;
    }
    let of_io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match of_io.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Failure::Protocol,
        Some(_) => Failure::Reset,
        None => Failure::Protocol,
    }
}
