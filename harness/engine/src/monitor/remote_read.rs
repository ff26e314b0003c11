//! The source of truth for alert times: stored `ALERTS` samples with their stale markers, by remote read
//! (`POST /api/v1/read`). On by default in every Prometheus; the query API cannot tell when a series really ended.

use harness_event::{AlertSeries, LabelMatcher, Millis, Timestamp};
use sha2::{Digest, Sha256};

use super::{
    Error, Prometheus,
    intervals::alert_series,
    protobuf::{RawSeries, read_request, read_response},
};

/// Largest decoded answer: about ten million samples.
const DECODED_LIMIT: usize = 256 << 20;

const PATH: &str = "/api/v1/read";

/// What Prometheus stored about alerts in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertHistory {
    /// Every `ALERTS` series, with external labels.
    pub series: Vec<AlertSeries>,
    /// SHA-256 over the decoded samples, hexadecimal; see [`digest`].
    pub sha256: String,
}

/// Reads all `ALERTS` series between two times (both included, Prometheus' clock). `interval_of` gives the evaluation
/// interval by alert name.
///
/// # Errors
/// If there is no usable answer.
pub async fn alert_history(
    prometheus: &Prometheus,
    from: Timestamp,
    to: Timestamp,
    interval_of: impl Fn(&str) -> Millis,
) -> Result<AlertHistory, Error> {
    let raw = raw_series(prometheus, from, to, &[LabelMatcher::equal("__name__", "ALERTS")]).await?;
    let sha256 = digest(&raw);
    Ok(AlertHistory { series: alert_series(raw, from, to, interval_of), sha256 })
}

/// Reads the stored samples of every series that the matchers select.
///
/// # Errors
/// If there is no usable answer.
pub async fn raw_series(
    prometheus: &Prometheus,
    from: Timestamp,
    to: Timestamp,
    matchers: &[LabelMatcher],
) -> Result<Vec<RawSeries>, Error> {
    let upstream = prometheus.upstream();
    let unreadable = |why: Box<dyn std::error::Error + Send + Sync>| upstream.unreadable(PATH, why);
    let request = snap::raw::Encoder::new()
        .compress_vec(&read_request(from, to, matchers))
        .map_err(|error| Error::SetUp(error.into()))?;
    let request = upstream
        .http()
        .post(format!("{}{PATH}", upstream.base_url()))
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-read-version", "0.1.0")
        .body(request);
    let body = upstream.exchange(PATH, request).await?;
    let length = snap::raw::decompress_len(&body).map_err(|error| unreadable(error.into()))?;
    if length > DECODED_LIMIT {
        return Err(unreadable(format!("it has {length} bytes, more than {DECODED_LIMIT}").into()));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(&body).map_err(|error| unreadable(error.into()))?;
    read_response(&bytes).map_err(|error| unreadable(error.into()))
}

/// SHA-256 over a canonical form of the samples: for each series, in order of its labels, the labels as JSON, then per sample
/// the time in milliseconds and the bits of the value in hexadecimal, each on its own line.
pub fn digest(raw: &[RawSeries]) -> String {
    use std::fmt::Write;
    let mut sorted: Vec<&RawSeries> = raw.iter().collect();
    sorted.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut hash = Sha256::new();
    let mut line = String::new();
    for series in sorted {
        line.clear();
        let labels = series
            .labels
            .iter()
            .map(|(name, value)| format!("{name:?}:{value:?}"))
            .collect::<Vec<_>>()
            .join(",");
        // Writing into a String cannot fail.
        let _ = writeln!(line, "{{{labels}}}");
        for sample in &series.samples {
            let _ = writeln!(line, "{} {:016x}", sample.at.0, sample.value.to_bits());
        }
        hash.update(line.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::protobuf::RawSample, *};

    #[test]
    fn the_digest_does_not_depend_on_the_order_of_series() {
        let series = |name: &str, at| RawSeries {
            labels: [("alertname".to_owned(), name.to_owned())].into(),
            samples: vec![RawSample { at: Timestamp(at), value: 1.0 }],
        };
        let (a, b) = (series("A", 1), series("B", 2));
        assert_eq!(digest(&[a.clone(), b.clone()]), digest(&[b.clone(), a.clone()]));
        assert_ne!(digest(&[a]), digest(&[b]));
        assert_eq!(digest(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
