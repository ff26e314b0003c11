//! Request bodies that are passed on or read piece by piece, with a limit.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use crate::error::ApiError;

/// Longest time for reading, and throwing away, the rest of a body that is not wanted. Without that, a client
/// that is still sending would often see a connection reset and not our answer.
pub const DISCARD_LIMIT: Duration = Duration::from_millis(1500);

/// Headers that belong to one connection and are never passed on (RFC 9110, section 7.6.1).
static HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The length of a body as its sender announced it.
pub fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The error for a body above `limit` bytes.
pub fn too_large(limit: u64) -> ApiError {
    let size = if limit >= 1 << 20 && limit % (1 << 20) == 0 {
        format!("{} MiB", limit >> 20)
    } else {
        format!("{limit} bytes")
    };
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("The upload is larger than {size}")).closing()
}

/// Reads and throws away a body, for at most [`DISCARD_LIMIT`].
pub async fn discard(body: Body) {
    discard_stream(body.into_data_stream()).await;
}

/// Reads and throws away the rest of a body, for at most [`DISCARD_LIMIT`].
async fn discard_stream(mut body: BodyDataStream) {
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    // The limit is only how long we are polite.
    let _ = tokio::time::timeout(DISCARD_LIMIT, rest).await;
}

/// A body that fails once it is longer than its limit, after having read on for a while so that the sender
/// gets to see the answer.
pub struct LimitedBody {
    inner: BodyDataStream,
    left: u64,
    exceeded: Arc<AtomicBool>,
    discarding: Option<Pin<Box<Sleep>>>,
}

/// The error of a [`LimitedBody`] that was too long, or broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the body is longer than allowed")]
    TooLong,
    /// The sender went away.
    #[error("the body broke off")]
    Broken(#[source] axum::Error),
}

impl LimitedBody {
    /// Lets `limit` bytes of `body` through. The flag says afterwards whether there were more.
    pub fn new(body: Body, limit: u64) -> (Self, Arc<AtomicBool>) {
        let exceeded = Arc::new(AtomicBool::new(false));
        let this = Self {
            inner: body.into_data_stream(),
            left: limit,
            exceeded: exceeded.clone(),
            discarding: None,
        };
        (this, exceeded)
    }

    /// Reads and throws away the rest, for at most [`DISCARD_LIMIT`].
    pub async fn discard(self) {
        // A body that was too long has had its time.
        if self.discarding.is_none() {
            discard_stream(self.inner).await;
        }
    }
}

impl Stream for LimitedBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(deadline) = &mut self.discarding
                && deadline.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Some(Err(BodyError::TooLong)));
            }
            let item = match self.inner.poll_next_unpin(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(item) => item,
            };
            if self.discarding.is_some() {
                match item {
                    Some(Ok(_)) => continue,
                    _ => return Poll::Ready(Some(Err(BodyError::TooLong))),
                }
            }
            match item {
                Some(Ok(bytes)) if bytes.len() as u64 <= self.left => {
                    self.left -= bytes.len() as u64;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Ok(_)) => {
                    self.exceeded.store(true, Ordering::Relaxed);
                    let deadline = Instant::now() + DISCARD_LIMIT;
                    self.discarding = Some(Box::pin(tokio::time::sleep_until(deadline)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Broken(error)))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Copies the named headers.
pub fn copy_headers(from: &HeaderMap, to: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        for value in from.get_all(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

/// The answer of another service as ours: its status, its end-to-end headers, its body as a stream.
pub fn relay(upstream: reqwest::Response) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = upstream.status();
    for (name, value) in upstream.headers() {
        if !HOP_BY_HOP.contains(name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    *response.body_mut() = Body::from_stream(upstream.bytes_stream());
    response
}

/// Headers that keep a browser from guessing content types.
pub fn no_sniff(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(limit: u64, chunks: &'static [&'static str]) -> (String, bool, bool) {
        let stream = futures::stream::iter(
            chunks.iter().map(|c| Ok::<_, std::io::Error>(Bytes::from_static(c.as_bytes()))),
        );
        let (mut body, exceeded) = LimitedBody::new(Body::from_stream(stream), limit);
        let (mut text, mut failed) = (String::new(), false);
        while let Some(item) = body.next().await {
            match item {
                Ok(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Err(_) => {
                    failed = true;
                    break;
                }
            }
        }
        (text, failed, exceeded.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn limited_bodies() {
        assert_eq!(read(6, &["abc", "def"]).await, ("abcdef".to_owned(), false, false));
        assert_eq!(read(5, &["abc", "def", "ghi"]).await, ("abc".to_owned(), true, true));
        assert_eq!(read(0, &[]).await, (String::new(), false, false));
    }

    #[tokio::test]
    async fn an_endless_body_is_given_up() {
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"x")))
            .then(|item| async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                item
            });
        let (mut body, exceeded) = LimitedBody::new(Body::from_stream(endless), 2);
        let start = Instant::now();
        while let Some(Ok(_)) = body.next().await {}
        assert!(exceeded.load(Ordering::Relaxed));
        assert!(start.elapsed() < 2 * DISCARD_LIMIT);
    }
}
