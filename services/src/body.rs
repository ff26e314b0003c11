//! Request bodies that are read or passed on piece by piece, with limits on size and patience.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep};

use crate::error::ApiError;

/// Longest time for reading, and throwing away, the rest of a body that is not wanted. Without that, a client
/// that is still sending would often see a connection reset and not our answer.
pub const DISCARD_LIMIT: Duration = Duration::from_millis(1500);
/// Longest pause of a sender in the middle of a body.
pub const IDLE_LIMIT: Duration = Duration::from_secs(5);

/// The length of a body as its sender announced it.
pub fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The error for a body above `limit` bytes.
pub fn too_large(limit: u64) -> ApiError {
    let size = if limit >= 1 << 20 && limit.is_multiple_of(1 << 20) {
        format!("{} MiB", limit >> 20)
    } else {
        format!("{limit} bytes")
    };
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("The upload is larger than {size}")).closing()
}

/// The error for a body that stopped arriving.
pub fn stalled() -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "The request's body did not arrive in time").closing()
}

/// Reads and throws away a body, for at most [`DISCARD_LIMIT`].
pub async fn discard(body: Body) {
    discard_stream(body.into_data_stream()).await;
}

async fn discard_stream(mut body: BodyDataStream) {
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    // The limit is only how long we are polite.
    let _ = tokio::time::timeout(DISCARD_LIMIT, rest).await;
}

/// Why a [`LimitedBody`] failed.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the body is longer than allowed")]
    TooLong,
    /// No bytes for [`IDLE_LIMIT`].
    #[error("the body stopped arriving")]
    Stalled,
    /// The sender went away.
    #[error("the body broke off")]
    Broken(#[source] axum::Error),
}

/// What a [`LimitedBody`] that was handed to somebody else came to.
#[derive(Clone, Debug)]
pub struct Fate {
    limit: u64,
    refusal: Arc<OnceLock<StatusCode>>,
}

impl Fate {
    /// The answer for the sender, if the body itself was at fault.
    pub fn refusal(&self) -> Option<ApiError> {
        match *self.refusal.get()? {
            StatusCode::PAYLOAD_TOO_LARGE => Some(too_large(self.limit)),
            _ => Some(stalled()),
        }
    }
}

/// A body that fails when it is longer than its limit, after having read on for a while so that the sender gets
/// to see the answer, or when it stops arriving.
pub struct LimitedBody {
    inner: BodyDataStream,
    left: u64,
    fate: Fate,
    state: State,
}

enum State {
    Reading,
    /// Nothing has arrived since the timer was set. Time in which nobody asks for bytes does not count.
    Waiting(Pin<Box<Sleep>>),
    /// The limit is exceeded; the timer says until when the rest is thrown away.
    Discarding(Pin<Box<Sleep>>),
    Ended,
}

impl LimitedBody {
    /// Lets `limit` bytes of `body` through.
    pub fn new(body: Body, limit: u64) -> Self {
        let fate = Fate { limit, refusal: Arc::default() };
        Self { inner: body.into_data_stream(), left: limit, fate, state: State::Reading }
    }

    /// Tells afterwards what became of the body.
    pub fn fate(&self) -> Fate {
        self.fate.clone()
    }

    /// Reads and throws away the rest, for at most [`DISCARD_LIMIT`].
    pub async fn discard(self) {
        // A body that failed by itself has had its time.
        if self.fate.refusal.get().is_none() {
            discard_stream(self.inner).await;
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.state = State::Ended;
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for LimitedBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let State::Ended = self.state {
                return Poll::Ready(None);
            }
            if let State::Discarding(until) = &mut self.state
                && until.as_mut().poll(cx).is_ready()
            {
                return self.fail(BodyError::TooLong);
            }
            let item = match self.inner.poll_next_unpin(cx) {
                Poll::Ready(item) => item,
                Poll::Pending => {
                    if let State::Reading = self.state {
                        self.state = State::Waiting(Box::pin(sleep(IDLE_LIMIT)));
                    }
                    if let State::Waiting(until) = &mut self.state
                        && until.as_mut().poll(cx).is_ready()
                    {
                        let _ = self.fate.refusal.set(StatusCode::REQUEST_TIMEOUT);
                        return self.fail(BodyError::Stalled);
                    }
                    return Poll::Pending;
                }
            };
            if let State::Discarding(_) = self.state {
                match item {
                    Some(Ok(_)) => continue,
                    _ => return self.fail(BodyError::TooLong),
                }
            }
            self.state = State::Reading;
            match item {
                Some(Ok(bytes)) if bytes.len() as u64 <= self.left => {
                    self.left -= bytes.len() as u64;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Ok(_)) => {
                    let _ = self.fate.refusal.set(StatusCode::PAYLOAD_TOO_LARGE);
                    let until = tokio::time::sleep_until(Instant::now() + DISCARD_LIMIT);
                    self.state = State::Discarding(Box::pin(until));
                }
                Some(Err(error)) => return self.fail(BodyError::Broken(error)),
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(chunks: &'static [&'static str]) -> Body {
        let chunks = chunks.iter().map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk.as_bytes())));
        Body::from_stream(futures::stream::iter(chunks))
    }

    /// The text that came through, and the status of the refusal.
    async fn read(body: Body, limit: u64) -> (String, Option<u16>) {
        let mut body = LimitedBody::new(body, limit);
        let (fate, mut text) = (body.fate(), String::new());
        while let Some(Ok(bytes)) = body.next().await {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        (text, fate.refusal().map(|error| error.status.as_u16()))
    }

    #[tokio::test]
    async fn sizes() {
        assert_eq!(read(body(&["abc", "def"]), 6).await, ("abcdef".to_owned(), None));
        assert_eq!(read(body(&["abc", "def", "ghi"]), 5).await, ("abc".to_owned(), Some(413)));
        assert_eq!(read(body(&[]), 0).await, (String::new(), None));
    }

    #[tokio::test]
    async fn an_endless_body_is_given_up() {
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"x")));
        let endless = endless.then(async |item| {
            sleep(Duration::from_millis(10)).await;
            item
        });
        let start = Instant::now();
        assert_eq!(read(Body::from_stream(endless), 2).await, ("xx".to_owned(), Some(413)));
        assert!(start.elapsed() < 2 * DISCARD_LIMIT);
    }

    #[tokio::test]
    async fn a_body_that_stops_is_given_up() {
        let start = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"x")) });
        let begun = Instant::now();
        let body = Body::from_stream(start.chain(futures::stream::pending()));
        assert_eq!(read(body, 9).await, ("x".to_owned(), Some(408)));
        assert!(begun.elapsed() >= IDLE_LIMIT && begun.elapsed() < 2 * IDLE_LIMIT);
    }

    #[test]
    fn messages() {
        assert_eq!(too_large(5 << 20).message, "The upload is larger than 5 MiB");
        assert_eq!(too_large(1500).message, "The upload is larger than 1500 bytes");
    }
}
