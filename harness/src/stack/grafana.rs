//! Grafana in the embedded stack, where it is installed: the kustomization `deploy/grafana` beside the others.

use cluster::kubelet::catalog::{Catalog, ImageError};
use serde_json::Value;

use super::{
    apply,
    error::StackError,
    lifecycle::{self, StackOptions},
    manifests,
    progress::Progress,
    ready,
};
use crate::target::Target;

/// The kustomization's name.
pub(super) const PART: &str = "grafana";
/// Its image.
const IMAGE: &str = "grafana/grafana";

/// Can a Grafana be run here? Asked before anything is started.
///
/// # Errors
/// [`StackError::NoGrafana`] if it is not installed.
pub fn grafana_is_installed() -> Result<(), StackError> {
    match Catalog::builtin().resolve(IMAGE) {
        Ok(_) => Ok(()),
        Err(ImageError::Missing { .. }) => Err(StackError::NoGrafana),
        Err(error) => Err(StackError::Image(error)),
    }
}

/// Adds Grafana to a stack that is up, with its data source and the dashboards, and waits until it is ready.
///
/// # Errors
/// If its manifests cannot be read or applied, or it does not get ready in time.
pub async fn add_grafana(options: &StackOptions, progress: &dyn Progress) -> Result<(), StackError> {
    let directory = lifecycle::deploy_dir(options)?.join(PART);
    let objects = manifests::read(&directory).map_err(StackError::Manifests)?;
    let target = Target::embedded(&options.state_dir.kubeconfig())
        .await
        .map_err(|error| StackError::Target(Box::new(error)))?;
    let objects: Vec<&Value> = objects.iter().collect();
    progress.now("applying Grafana's manifests");
    apply::apply(&target.client, &objects).await.map_err(StackError::Apply)?;
    ready::wait(&target.client, &ready::deployments(&objects), options.ready_timeout, progress)
        .await
        .map_err(|error| StackError::NotReady(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::{
        super::{paths::Checkout, ports},
        *,
    };

    /// The project's own manifests: what the pod mounts is there, and Grafana is told of nothing else.
    #[test]
    fn grafana_gets_its_data_source_and_every_dashboard() {
        let checkout = Checkout::around(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let objects = manifests::read(&checkout.deploy().join(PART)).unwrap();
        let named =
            |kind: &str| -> Vec<&Value> { objects.iter().filter(|one| one["kind"] == kind).collect() };
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let maps: BTreeSet<String> = named("ConfigMap").into_iter().map(name).collect();
        let deployment = named("Deployment")[0];
        let volumes = deployment.pointer("/spec/template/spec/volumes").and_then(Value::as_array).unwrap();
        let mounted: BTreeSet<String> =
            volumes.iter().filter_map(|one| Some(one["configMap"]["name"].as_str()?.to_owned())).collect();
        assert_eq!(mounted, maps);

        let dashboards =
            named("ConfigMap").into_iter().find(|one| name(one) == "sre-harness-dashboards").unwrap();
        assert_eq!(dashboards["metadata"]["labels"]["grafana_dashboard"], "1");
        let files = dashboards["data"].as_object().unwrap();
        let there = std::fs::read_dir(checkout.root.join("dashboards")).unwrap();
        let there = there.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        assert_eq!(
            files.keys().cloned().collect::<BTreeSet<_>>(),
            there.filter(|name| name.ends_with(".json")).collect()
        );
        // What the API server takes for one object.
        assert!(files.values().map(|text| text.as_str().unwrap().len()).sum::<usize>() < 900_000);

        // The data source asks the Service that the stack has, and the provider reads where the dashboards are mounted.
        let text = |map: &str, key: &str| {
            let map = named("ConfigMap").into_iter().find(|one| name(one) == map).unwrap();
            map["data"][key].as_str().unwrap().to_owned()
        };
        let source = text("grafana-provisioning", "datasources.yaml");
        assert!(source.contains("url: http://prometheus.monitoring.svc:19090"), "{source}");
        let monitoring = manifests::read(&checkout.deploy().join("monitoring")).unwrap();
        let service =
            monitoring.iter().find(|one| one["kind"] == "Service" && name(one) == "prometheus").unwrap();
        assert_eq!(service["spec"]["ports"][0]["port"], 19090);
        let provider = text("grafana-provisioning", "dashboards.yaml");
        let mounts = deployment.pointer("/spec/template/spec/containers/0/volumeMounts").unwrap();
        let at = mounts.as_array().unwrap().iter().find(|one| one["name"] == "dashboards").unwrap();
        assert!(provider.contains(&format!("path: {}", at["mountPath"].as_str().unwrap())), "{provider}");
        // The directory that Grafana looks into is mounted itself: without mounts of its own, a process sees no parent of one.
        let env =
            deployment.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array).unwrap();
        let looked_into = env.iter().find(|one| one["name"] == "GF_PATHS_PROVISIONING").unwrap();
        let is_mounted = |one: &Value| one["mountPath"] == looked_into["value"];
        assert!(mounts.as_array().unwrap().iter().any(is_mounted), "{looked_into}");
        assert!(ports::held(&objects).is_empty());
    }
}
