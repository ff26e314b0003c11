//! The node's own objects.

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Node};
use kube::{Api, runtime::wait::await_condition};
use tokio::time::timeout;

use super::support::{PATIENCE, TestNode};

#[tokio::test(flavor = "multi_thread")]
async fn the_node_is_ready_and_renews_its_lease() {
    let node = TestNode::start().await;
    let nodes: Api<Node> = Api::all(node.client.clone());
    let ready = |object: Option<&Node>| {
        let conditions = object.and_then(|node| node.status.as_ref()?.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
    };
    timeout(PATIENCE, await_condition(nodes.clone(), "node-1", ready)).await.unwrap().unwrap();
    let status = nodes.get("node-1").await.unwrap().status.unwrap();
    assert!(status.allocatable.unwrap().contains_key("cpu"));
    assert_eq!(status.node_info.unwrap().kubelet_version, "v1.36.2");
    let leases: Api<Lease> = Api::namespaced(node.client.clone(), "kube-node-lease");
    let held = |lease: Option<&Lease>| {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        spec.is_some_and(|spec| {
            spec.holder_identity.as_deref() == Some("node-1") && spec.renew_time.is_some()
        })
    };
    timeout(PATIENCE, await_condition(leases, "node-1", held)).await.unwrap().unwrap();
    node.stop().await;
}
