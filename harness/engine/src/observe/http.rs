//! HTTP requests to the system under test, timed to the complete answer.

use std::time::{Duration, Instant};

use futures::StreamExt;
use harness_event::{HttpStep, Millis, Timestamp};

use crate::monitor::Upstreams;

/// So much of a body is kept.
const KEPT_BODY: usize = 512;
/// So much of a body is read at most, so that an endless answer is an error and not a full memory.
const BODY_LIMIT: usize = 16 << 20;

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When the request was sent.
    pub sent_at: Timestamp,
    /// Time to the complete answer, or to giving up.
    pub latency: Duration,
    /// Status code and the first bytes of the body.
    pub result: Result<(u16, String), String>,
}

/// Sends steps of probes and steady-state checks.
#[derive(Clone)]
pub struct HttpClient {
    upstreams: Upstreams,
    run: String,
}

impl HttpClient {
    /// `run` replaces `${run.id}`.
    pub fn new(upstreams: Upstreams, run: &str) -> Self {
        Self { upstreams, run: run.to_owned() }
    }

    /// A plain GET.
    pub async fn get(&self, url: &str, timeout: Millis) -> Answer {
        let request = |url: String| Ok(self.upstreams.http().get(url));
        self.send(url, timeout, request).await
    }

    /// One step of a probe's round.
    pub async fn step(&self, step: &HttpStep, round: u64) -> Answer {
        let vars = Variables { run: &self.run, round };
        let request = |url: String| {
            let method =
                reqwest::Method::from_bytes(step.method.as_bytes()).map_err(|error| error.to_string())?;
            let mut request = self.upstreams.http().request(method, url);
            for (name, value) in &step.headers {
                request = request.header(name, vars.fill(value));
            }
            if let Some(json) = &step.json {
                request = request.json(&vars.fill_json(json));
            } else if let Some(body) = &step.body {
                request = request.body(vars.fill(body));
            }
            Ok(request)
        };
        self.send(&vars.fill(&step.url), step.timeout, request).await
    }

    async fn send(
        &self,
        url: &str,
        timeout: Millis,
        build: impl FnOnce(String) -> Result<reqwest::RequestBuilder, String>,
    ) -> Answer {
        let (sent_at, start) = (Timestamp::now(), Instant::now());
        let exchange = async {
            let url = self.upstreams.url(url).await.map_err(|error| error.to_string())?;
            let answer = build(url)?.send().await.map_err(|error| explain(&error))?;
            let status = answer.status().as_u16();
            let body = read_body(answer).await?;
            Ok((status, body))
        };
        let limit = timeout.to_duration();
        let result = match tokio::time::timeout(limit, exchange).await {
            Ok(result) => result,
            Err(_) => Err(format!("no complete answer within {timeout}")),
        };
        Answer { sent_at, latency: start.elapsed(), result }
    }
}

/// Reads the whole body, keeps its beginning.
async fn read_body(answer: reqwest::Response) -> Result<String, String> {
    let (mut kept, mut length) = (Vec::new(), 0);
    let mut stream = answer.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| explain(&error))?;
        length += part.len();
        if length > BODY_LIMIT {
            return Err(format!("the body is longer than {BODY_LIMIT} bytes"));
        }
        let room = KEPT_BODY.saturating_sub(kept.len());
        kept.extend_from_slice(&part[..part.len().min(room)]);
    }
    Ok(String::from_utf8_lossy(&kept).into_owned())
}

/// The innermost cause says what happened ("connection refused"); the URL is left out: it may hold the relay's secret.
fn explain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, error) { "request failed".to_owned() } else { cause.to_string() }
}

struct Variables<'a> {
    run: &'a str,
    round: u64,
}

impl Variables<'_> {
    fn fill(&self, text: &str) -> String {
        if !text.contains("${") {
            return text.to_owned();
        }
        let random = format!("{:016x}", rand::random::<u64>());
        text.replace("${run.id}", self.run)
            .replace("${probe.round}", &self.round.to_string())
            .replace("${random}", &random)
    }

    fn fill_json(&self, value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_json(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, field)| (name.clone(), self.fill_json(field))).collect()
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders_are_filled_in_every_string() {
        let vars = Variables { run: "r1", round: 7 };
        let filled = vars.fill_json(&json!({"user": "u-${run.id}-${probe.round}", "deep": ["${run.id}", 1]}));
        assert_eq!(filled, json!({"user": "u-r1-7", "deep": ["r1", 1]}));
        assert_ne!(vars.fill("${random}"), vars.fill("${random}"));
    }
}
