//! An API server in this process, for tests.
#![allow(dead_code, reason = "each test binary uses its part")]

use cluster::{
    api::{ApiServer, ApiServerConfig},
    net::Addresses,
};
use kube::Client;
use tokio_util::sync::CancellationToken;

/// An API server without controllers and node, and its log directory.
pub struct Fixture {
    pub server: ApiServer,
    pub logs: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let logs = tempfile::tempdir().unwrap();
        let server = ApiServer::new(ApiServerConfig {
            addresses: Addresses::claim(u64::from(std::process::id())).unwrap(),
            logs: logs.path().to_owned(),
            shutdown: CancellationToken::new(),
        });
        Self { server, logs }
    }

    /// A client without a socket.
    pub fn client(&self) -> Client {
        Client::new(self.server.router(), "default")
    }
}
