//! Why a reconcile has to be repeated.

use std::fmt::Display;

/// Error of one reconcile. All of them are retried; the variants decide how loudly that is said.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server refused or could not be reached.
    #[error("could not {action}")]
    Api {
        /// What was attempted, for example `create pod demo/web-`.
        action: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The cache has not yet seen this controller's own last write.
    #[error("the cache is behind: {0}")]
    Stale(&'static str),
    /// An object that cannot be worked with until somebody changes it.
    #[error("{0}")]
    Invalid(String),
    /// The reconcile panicked.
    #[error("the controller panicked")]
    Panicked(#[source] tokio::task::JoinError),
}

impl ReconcileError {
    /// The API server's Status, if that is what went wrong.
    pub fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Api { source, .. } => api_status(source),
            _ => None,
        }
    }

    /// Logs it: expected ones (a conflict, a stale cache, an object that has just gone) only for those who debug.
    pub(super) fn log(&self, controller: &str, key: &dyn Display) {
        let expected = match self {
            Self::Stale(_) => true,
            other => other.status().is_some_and(|status| {
                status.is_conflict()
                    || status.is_not_found()
                    || status.is_already_exists()
                    || is_terminating(status)
            }),
        };
        let error = self as &dyn std::error::Error;
        if expected {
            tracing::debug!(controller, %key, error, "retrying");
        } else {
            tracing::warn!(controller, %key, error, "reconcile failed, retrying");
        }
    }
}

/// The Status in a client error, if the server answered with one.
pub(super) fn api_status(error: &kube::Error) -> Option<&kube::core::Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

/// True if a create was refused because its namespace is being deleted.
pub(super) fn is_terminating(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.is_forbidden() && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Adds what was attempted to a client error.
pub(super) trait During<T> {
    /// `action` follows "could not".
    fn during(self, action: impl FnOnce() -> String) -> Result<T, ReconcileError>;
}

impl<T> During<T> for Result<T, kube::Error> {
    fn during(self, action: impl FnOnce() -> String) -> Result<T, ReconcileError> {
        self.map_err(|source| ReconcileError::Api { action: action(), source: Box::new(source) })
    }
}

/// Turns "it is gone" into `None`.
pub(super) fn if_found<T>(result: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if api_status(&error).is_some_and(|status| status.is_not_found()) => Ok(None),
        Err(error) => Err(error),
    }
}
