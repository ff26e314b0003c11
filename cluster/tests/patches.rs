//! Patches through the real kube client: strategic merge, JSON patch, server-side apply.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod common;

use common::Fixture;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service},
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams, ValidationDirective},
};
use serde_json::{Value, from_value, json};

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                {"name": "main", "image": "busybox", "env": [{"name": "A", "value": "1"}]},
            ]}},
        },
    })
}

fn config(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

#[tokio::test]
async fn a_strategic_merge_patch_merges_containers_by_name() {
    let fixture = Fixture::new();
    let deployments: Api<Deployment> = Api::default_namespaced(fixture.client());
    let created =
        deployments.create(&PostParams::default(), &from_value(deployment()).unwrap()).await.unwrap();
    assert_eq!(created.spec.replicas, Some(1), "defaults are set");
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "B", "value": "2"}]}]}}}});
    let patched = deployments.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    let spec = patched.spec.template.spec.unwrap();
    let main = &spec.containers[0];
    assert_eq!((main.image.as_deref(), main.env.as_ref().unwrap().len()), (Some("busybox"), 2));
    assert_eq!(patched.metadata.generation, Some(2));
}

#[tokio::test]
async fn a_patch_that_changes_nothing_keeps_the_version() {
    let fixture = Fixture::new();
    let maps: Api<ConfigMap> = Api::default_namespaced(fixture.client());
    let created =
        maps.create(&PostParams::default(), &from_value(config(json!({"a": "1"}))).unwrap()).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"a": "1"}}));
    let patched = maps.patch("c", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(created.resource_version(), patched.resource_version());
}

#[tokio::test]
async fn apply_creates_conflicts_forces_and_removes() {
    let fixture = Fixture::new();
    let maps: Api<ConfigMap> = Api::default_namespaced(fixture.client());
    let one = PatchParams::apply("one");
    let two = PatchParams::apply("two");
    let created = maps.patch("c", &one, &Patch::Apply(config(json!({"a": "1", "b": "1"})))).await.unwrap();
    assert_eq!(created.metadata.managed_fields.as_ref().unwrap()[0].operation.as_deref(), Some("Apply"));

    let again = maps.patch("c", &one, &Patch::Apply(config(json!({"a": "1", "b": "1"})))).await.unwrap();
    assert_eq!(
        created.resource_version(),
        again.resource_version(),
        "applying the same again changes nothing"
    );

    let conflict = maps.patch("c", &two, &Patch::Apply(config(json!({"a": "2"})))).await.unwrap_err();
    assert!(conflict.to_string().contains("conflict with \"one\": .data.a"), "{conflict}");

    let forced =
        maps.patch("c", &two.clone().force(), &Patch::Apply(config(json!({"a": "2"})))).await.unwrap();
    assert_eq!(forced.data.unwrap()["a"], "2");

    let shrunk = maps.patch("c", &one, &Patch::Apply(config(json!({})))).await.unwrap();
    let data = shrunk.data.unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["a"], "b was applied by nobody else");
}

#[tokio::test]
async fn applying_a_deployment_twice_is_stable_and_a_scale_takes_the_replicas() {
    let fixture = Fixture::new();
    let deployments: Api<Deployment> = Api::default_namespaced(fixture.client());
    let mut applied = deployment();
    applied["spec"]["replicas"] = json!(2);
    let params = PatchParams::apply("deployer");
    let first = deployments.patch("web", &params, &Patch::Apply(&applied)).await.unwrap();
    let second = deployments.patch("web", &params, &Patch::Apply(&applied)).await.unwrap();
    assert_eq!(first.resource_version(), second.resource_version());

    let scale = Patch::Merge(json!({"spec": {"replicas": 0}}));
    let scaled = deployments.patch_scale("web", &PatchParams::default(), &scale).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(0));
    let conflict = deployments.patch("web", &params, &Patch::Apply(&applied)).await.unwrap_err();
    assert!(conflict.to_string().contains(".spec.replicas"), "{conflict}");
    let forced = deployments.patch("web", &params.force(), &Patch::Apply(&applied)).await.unwrap();
    assert_eq!(forced.spec.replicas, Some(2));
}

#[tokio::test]
async fn a_scale_without_a_number_does_not_stop_the_workload() {
    let fixture = Fixture::new();
    let deployments: Api<Deployment> = Api::default_namespaced(fixture.client());
    deployments.create(&PostParams::default(), &from_value(deployment()).unwrap()).await.unwrap();
    for patch in [Patch::Merge(Value::Null), Patch::Merge(json!({"spec": null})), Patch::Merge(json!(5))] {
        deployments.patch_scale("web", &PatchParams::default(), &patch).await.unwrap_err();
    }
    assert_eq!(deployments.get("web").await.unwrap().spec.replicas, Some(1));
}

#[tokio::test]
async fn a_service_gets_the_address_of_its_name_and_no_other() {
    let fixture = Fixture::new();
    let services: Api<Service> = Api::default_namespaced(fixture.client());
    let object = |ip: &str| {
        from_value(json!({"metadata": {"name": "web"}, "spec": {"clusterIP": ip, "ports": [{"port": 80}]}}))
            .unwrap()
    };
    let refused = services.create(&PostParams::default(), &object("10.96.0.10")).await.unwrap_err();
    assert!(refused.to_string().contains("failed to allocate IP 10.96.0.10"), "{refused}");
    let own = fixture.server.addresses().service_ip("default", "web").unwrap().to_string();
    let created = services.create(&PostParams::default(), &object("")).await.unwrap();
    assert_eq!(created.spec.unwrap().cluster_ip, Some(own));
}

#[tokio::test]
async fn unknown_fields_are_refused_by_name_when_strict() {
    let fixture = Fixture::new();
    let deployments: Api<Deployment> = Api::default_namespaced(fixture.client());
    deployments.create(&PostParams::default(), &from_value(deployment()).unwrap()).await.unwrap();
    let strict =
        PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
    let error =
        deployments.patch("web", &strict, &Patch::Merge(json!({"spec": {"replicaz": 1}}))).await.unwrap_err();
    assert!(error.to_string().contains("unknown field \"spec.replicaz\""), "{error}");
}

#[tokio::test]
async fn immutable_fields_are_refused() {
    let fixture = Fixture::new();
    let deployments: Api<Deployment> = Api::default_namespaced(fixture.client());
    deployments.create(&PostParams::default(), &from_value(deployment()).unwrap()).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"selector": {"matchLabels": {"app": "zzz"}}}}));
    let error = deployments.patch("web", &PatchParams::default(), &patch).await.unwrap_err();
    assert!(error.to_string().contains("spec.selector: Invalid value"), "{error}");
    assert!(error.to_string().contains("field is immutable"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn patches_at_the_same_time_are_all_kept() {
    let fixture = Fixture::new();
    let maps: Api<ConfigMap> = Api::default_namespaced(fixture.client());
    maps.create(&PostParams::default(), &from_value(config(json!({}))).unwrap()).await.unwrap();
    let patches = (0..64).map(|index| {
        let maps = maps.clone();
        tokio::spawn(async move {
            let patch = Patch::Merge(json!({"data": {format!("k{index}"): "v"}}));
            maps.patch("c", &PatchParams::default(), &patch).await
        })
    });
    for patch in futures::future::join_all(patches).await {
        patch.unwrap().unwrap();
    }
    assert_eq!(maps.get("c").await.unwrap().data.unwrap().len(), 64);
}
