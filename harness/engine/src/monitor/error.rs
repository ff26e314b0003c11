//! Why a part of the monitoring system could not be asked or understood.

/// A failed exchange with Prometheus, Alertmanager or the alert receiver.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is neither an `http(s)://` URL nor `service://NAMESPACE/NAME:PORT`.
    #[error("{spec:?} is not an address of a monitoring component: {reason}")]
    Address {
        /// As given.
        spec: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An HTTP client or the loopback relay could not be set up.
    #[error("could not set up the way to the monitoring system")]
    SetUp(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer: connection refused, reset, or the time limit passed.
    #[error("{upstream} did not answer {path}")]
    Unreachable {
        /// Address as given.
        upstream: String,
        /// Path of the request.
        path: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer with a status code that is not a success.
    #[error("{upstream} answered {status} to {path}: {message}")]
    Status {
        /// Address as given.
        upstream: String,
        /// Path of the request.
        path: String,
        /// Status code.
        status: u16,
        /// What the body says, shortened.
        message: String,
    },
    /// An answer that is not what the API documents.
    #[error("the answer of {upstream} to {path} could not be read")]
    Decode {
        /// Address as given.
        upstream: String,
        /// Path of the request.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A PromQL expression that cannot be parsed.
    #[error("{expr:?} is not a PromQL expression that is understood here: {reason}")]
    Expression {
        /// The expression.
        expr: String,
        /// The parser's text.
        reason: String,
    },
}

impl Error {
    /// True if the other side is not there (yet): worth asking again.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }
}

/// An error with all its causes on one line, for facts and reports.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
