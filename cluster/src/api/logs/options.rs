//! Options of a log request.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::api::{
    request::Call,
    status::{ApiError, FieldError},
};

/// What of a log is wanted.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Container; the only one if none.
    pub container: Option<String>,
    /// Keep sending what is written.
    pub follow: bool,
    /// The container before the last restart.
    pub previous: bool,
    /// Lines from this time on.
    pub since: Option<Timestamp>,
    /// The last so many lines.
    pub tail: Option<u64>,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Bytes after which the answer ends.
    pub limit: Option<u64>,
    /// One of the two output streams only.
    pub stream: Option<&'static str>,
}

impl LogOptions {
    /// Reads the query.
    pub fn parse(call: &Call) -> Result<Self, ApiError> {
        let invalid = |error| {
            ApiError::invalid("", "PodLogOptions", call.target.name.as_deref().unwrap_or_default(), &[error])
        };
        let number = |name: &str| -> Result<Option<i64>, ApiError> {
            let parse = |text: &str| {
                let message = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
                text.parse::<i64>().map_err(|_| ApiError::bad_request(message))
            };
            call.query.get(name).map(parse).transpose()
        };
        let tail = number("tailLines")?;
        if let Some(lines) = tail.filter(|lines| *lines < 0) {
            return Err(invalid(FieldError::invalid(
                "tailLines",
                &json!(lines),
                "must be greater than or equal to 0",
            )));
        }
        let limit = number("limitBytes")?;
        if let Some(bytes) = limit.filter(|bytes| *bytes < 1) {
            return Err(invalid(FieldError::invalid("limitBytes", &json!(bytes), "must be greater than 0")));
        }
        let seconds = number("sinceSeconds")?;
        if let Some(seconds) = seconds.filter(|seconds| *seconds < 1) {
            return Err(invalid(FieldError::invalid(
                "sinceSeconds",
                &json!(seconds),
                "must be greater than 0",
            )));
        }
        let time = call.query.get("sinceTime");
        if time.is_some() && seconds.is_some() {
            let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            return Err(invalid(FieldError::forbidden("", why)));
        }
        let since = match (time, seconds) {
            (Some(text), _) => Some(text.parse::<Timestamp>().map_err(|error| {
                ApiError::bad_request(format!("unable to parse sinceTime {text:?}: {error}"))
            })?),
            (None, Some(seconds)) => Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).ok(),
            (None, None) => None,
        };
        let stream = match call.query.get("stream") {
            None | Some("All") => None,
            Some("Stdout") => Some("stdout"),
            Some("Stderr") => Some("stderr"),
            Some(other) => {
                let error = FieldError::unsupported("stream", &json!(other), &["All", "Stderr", "Stdout"]);
                return Err(invalid(error));
            }
        };
        Ok(Self {
            container: call.query.get("container").map(str::to_owned),
            follow: call.query.flag("follow"),
            previous: call.query.flag("previous"),
            since,
            tail: tail.map(|lines| lines.unsigned_abs()),
            timestamps: call.query.flag("timestamps"),
            limit: limit.map(|bytes| bytes.unsigned_abs()),
            stream,
        })
    }
}
