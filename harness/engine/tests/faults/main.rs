//! Faults and their ledger on an API server in this process.

mod ledger;
mod pods;
mod recover;
mod scale;

use cluster::{
    api::{ApiServer, ApiServerConfig},
    net::Addresses,
};
use harness_engine::Target;
use k8s_openapi::{
    api::apps::v1::Deployment,
    serde_json::{from_value, json},
};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

/// An API server without controllers: nothing happens in it that a test does not do.
struct Fixture {
    server: ApiServer,
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::new(ApiServerConfig {
            addresses: Addresses::claim(u64::from(std::process::id())).unwrap(),
            logs: dir.path().join("logs"),
            shutdown: CancellationToken::new(),
        });
        Self { server, dir }
    }

    fn client(&self) -> Client {
        Client::new(self.server.router(), "default")
    }

    async fn deploy(&self, name: &str, replicas: i32) {
        let labels = json!({ "app": name });
        let pod = json!({ "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "c", "image": "pause" }] } });
        let object = json!({
            "metadata": { "name": name },
            "spec": { "replicas": replicas, "selector": { "matchLabels": labels }, "template": pod },
        });
        let api: Api<Deployment> = Api::namespaced(self.client(), "default");
        api.create(&Default::default(), &from_value(object).unwrap()).await.unwrap();
    }

    fn target(&self) -> Target {
        Target {
            client: self.client(),
            context: "test".into(),
            server: "https://127.0.0.1".into(),
            own_stack: false,
        }
    }
}
