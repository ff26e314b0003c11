//! The cluster that a run is pointed at.

use kube::Client;

/// The cluster that a run is pointed at.
#[derive(Clone)]
pub struct Target {
    /// Its client.
    pub client: Client,
    /// Kubeconfig context, for people.
    pub context: String,
    /// API server's URL.
    pub server: String,
    /// The stack is our own: everything in it must be well before a run.
    pub own_stack: bool,
}
