//! The postgres image's entry point with the real server.

use cluster::kubelet::Catalog;
use serde_json::{Value, json};

use super::support::TestNode;

/// A server on port 15432 whose readiness is an answer to `query` with the right password and a refusal with a wrong one.
fn server(query: &str) -> Value {
    let ask = |password: &str| {
        format!("PGPASSWORD={password} psql -w -h $POD_IP -p 15432 -U owner -d shop -tAc \"{query}\"")
    };
    let check = format!("{} && ! {} 2>/dev/null", ask("secret"), ask("wrong"));
    json!({
        // A user without an account on the machine, as in the real image.
        "securityContext": {"runAsUser": 54321, "runAsGroup": 54321, "fsGroup": 54321},
        "containers": [{
            "name": "postgres", "image": "docker.io/library/postgres:15",
            "args": ["-c", "listen_addresses=$(POD_IP)", "-p", "15432"],
            "env": [
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "POSTGRES_USER", "value": "owner"},
                {"name": "POSTGRES_DB", "value": "shop"},
                {"name": "POSTGRES_PASSWORD", "value": "secret"},
                {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
            ],
            "readinessProbe": {"exec": {"command": ["sh", "-c", check]}, "periodSeconds": 1, "timeoutSeconds": 5,
                "failureThreshold": 100},
            "volumeMounts": [
                {"name": "data", "mountPath": "/var/lib/postgresql/data"},
                {"name": "init", "mountPath": "/docker-entrypoint-initdb.d"},
            ],
        }],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "init", "configMap": {"name": "init"}},
        ],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_initialised_stopped_cleanly_and_found_again() {
    if let Err(error) = Catalog::builtin().resolve("postgres:15") {
        eprintln!("skipped: {error}");
        return;
    }
    let node = TestNode::start().await;
    node.config_map("init", json!({"1.sql": "CREATE TABLE t (answer int); INSERT INTO t VALUES (42);"}))
        .await;
    let claim = json!({"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
    }});
    let claims: kube::Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        kube::Api::default_namespaced(node.client.clone());
    claims.create(&Default::default(), &serde_json::from_value(claim).unwrap()).await.unwrap();

    let first = node.create("db", server("SELECT answer FROM t WHERE answer = 42")).await;
    node.until("db", "postgres[running ready=True").await;
    node.log(&first, "postgres", 0, "PostgreSQL init process complete").await;
    node.delete("db").await;
    // SIGINT, the image's stop signal, is a fast shutdown.
    node.until("db", "phase=Succeeded").await;
    node.until("db", "DELETED").await;

    let second = node.create("db", server("SELECT answer FROM t WHERE answer = 42")).await;
    node.until_count("db", "postgres[running ready=True", 2).await;
    let log = node.log(&second, "postgres", 0, "ready to accept connections").await;
    assert!(!log.contains("init process complete") && !log.contains("not properly shut down"), "{log}");
    node.stop().await;
}
