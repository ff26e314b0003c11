//! Claims: every PersistentVolumeClaim is bound to a directory below the data directory, which outlives pods.
//!
//! A claim is bound to a PersistentVolume made for it (as a dynamic provisioner does), or to an available one of the same
//! class that is large enough. A volume of the provisioner is removed with its claim.

use std::{collections::HashMap, path::PathBuf};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

use super::{Node, quantity, volume_files};

/// Annotation that marks volumes made here.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// The provisioner's name in that annotation.
const PROVISIONER: &str = "sre-harness/directory";

/// Host directories of the claims that a pod mounts, bound on the spot if they are not yet. The error is the text of an event.
pub async fn claim_paths(node: &Node, pod: &Pod) -> Result<HashMap<String, PathBuf>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut paths = HashMap::new();
    for name in volume_files::referenced_claims(pod) {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(node.client.clone(), namespace);
        let failed = |error: kube::Error| format!("persistentvolumeclaim \"{name}\": {error}");
        let claim = api
            .get_opt(&name)
            .await
            .map_err(failed)?
            .ok_or_else(|| format!("persistentvolumeclaim \"{name}\" not found"))?;
        let volume = bind(node, &claim).await?;
        let spec = volume.spec.unwrap_or_default();
        let path = spec.host_path.map(|source| source.path).or(spec.local.map(|source| source.path));
        let path = path.ok_or_else(|| {
            format!("persistentvolumeclaim \"{name}\": only hostPath and local volumes are supported by the embedded cluster")
        })?;
        paths.insert(name, PathBuf::from(path));
    }
    Ok(paths)
}

/// Binds new claims and removes the volumes of deleted ones, for ever.
pub async fn run(node: &Node) {
    let claims: Api<PersistentVolumeClaim> = Api::all(node.client.clone());
    let mut events = watcher(claims, watcher::Config::default()).default_backoff().boxed();
    loop {
        match events.try_next().await {
            Ok(Some(watcher::Event::Apply(claim) | watcher::Event::InitApply(claim))) => {
                if claim.metadata.deletion_timestamp.is_none()
                    && let Err(error) = bind(node, &claim).await
                {
                    tracing::warn!(claim = claim.metadata.name, error, "a claim could not be bound");
                }
            }
            Ok(Some(watcher::Event::Delete(claim))) => release(node, &claim).await,
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => tracing::debug!(%error, "watching claims"),
        }
    }
}

async fn bind(node: &Node, claim: &PersistentVolumeClaim) -> Result<PersistentVolume, String> {
    let failed = |error: kube::Error| error.to_string();
    let volumes: Api<PersistentVolume> = Api::all(node.client.clone());
    let spec = claim.spec.clone().unwrap_or_default();
    let volume = match spec.volume_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => volumes.get(name).await.map_err(failed)?,
        None => match available(&volumes, claim).await? {
            Some(volume) => volume,
            None => provision(node, &volumes, claim).await?,
        },
    };
    let bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    if !bound {
        write_binding(node, &volumes, claim, &volume).await.map_err(failed)?;
    }
    Ok(volume)
}

/// An existing volume that nobody claims and that fits.
async fn available(
    volumes: &Api<PersistentVolume>,
    claim: &PersistentVolumeClaim,
) -> Result<Option<PersistentVolume>, String> {
    let spec = claim.spec.clone().unwrap_or_default();
    let wanted = requested(claim);
    let class = spec.storage_class_name.unwrap_or_default();
    let list = volumes.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
    Ok(list.items.into_iter().find(|volume| {
        let Some(have) = &volume.spec else { return false };
        let size =
            have.capacity.as_ref().and_then(|capacity| capacity.get("storage")).and_then(quantity::milli);
        let reserved = match &have.claim_ref {
            None => true,
            Some(reference) => {
                reference.name == claim.metadata.name
                    && reference.namespace == claim.metadata.namespace
                    && reference.uid.as_ref().is_none_or(|uid| Some(uid) == claim.metadata.uid.as_ref())
            }
        };
        reserved
            && volume.metadata.deletion_timestamp.is_none()
            && have.storage_class_name.clone().unwrap_or_default() == class
            && size >= wanted
    }))
}

fn requested(claim: &PersistentVolumeClaim) -> Option<i128> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    resources.requests.as_ref()?.get("storage").and_then(quantity::milli)
}

fn claim_reference(claim: &PersistentVolumeClaim) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": claim.metadata.namespace,
        "name": claim.metadata.name,
        "uid": claim.metadata.uid,
    })
}

async fn provision(
    node: &Node,
    volumes: &Api<PersistentVolume>,
    claim: &PersistentVolumeClaim,
) -> Result<PersistentVolume, String> {
    let name = volume_name(claim);
    let spec = claim.spec.clone().unwrap_or_default();
    let storage = spec
        .resources
        .and_then(|resources| resources.requests)
        .and_then(|requests| requests.get("storage").cloned())
        .unwrap_or_else(|| k8s_openapi::apimachinery::pkg::api::resource::Quantity("1Gi".to_owned()));
    let path = node.data_dir.join("volumes").join(&name);
    let volume: PersistentVolume = serde_json::from_value(json!({
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": storage},
            "accessModes": spec.access_modes,
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec.storage_class_name,
            "volumeMode": spec.volume_mode,
            "claimRef": claim_reference(claim),
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
        },
    }))
    .map_err(|error| error.to_string())?;
    match volumes.create(&PostParams::default(), &volume).await {
        Ok(volume) => Ok(volume),
        // A pod's start and the watch may both find the claim unbound.
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            volumes.get(&name).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn volume_name(claim: &PersistentVolumeClaim) -> String {
    format!("pvc-{}", claim.metadata.uid.as_deref().unwrap_or_default())
}

async fn write_binding(
    node: &Node,
    volumes: &Api<PersistentVolume>,
    claim: &PersistentVolumeClaim,
    volume: &PersistentVolume,
) -> kube::Result<()> {
    let claim_name = claim.metadata.name.as_deref().unwrap_or_default();
    let volume_name = volume.metadata.name.as_deref().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(node.client.clone(), claim.metadata.namespace.as_deref().unwrap_or_default());
    let parameters = PatchParams::default();
    let reference = json!({"spec": {"claimRef": claim_reference(claim)}});
    volumes.patch(volume_name, &parameters, &Patch::Merge(reference)).await?;
    volumes
        .patch_status(volume_name, &parameters, &Patch::Merge(json!({"status": {"phase": "Bound"}})))
        .await?;
    let binding = json!({
        "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": volume_name},
    });
    claims.patch(claim_name, &parameters, &Patch::Merge(binding)).await?;
    let spec = volume.spec.as_ref();
    let status = json!({"status": {
        "phase": "Bound",
        "accessModes": spec.and_then(|spec| spec.access_modes.as_ref()),
        "capacity": spec.and_then(|spec| spec.capacity.as_ref()),
    }});
    claims.patch_status(claim_name, &parameters, &Patch::Merge(status)).await?;
    Ok(())
}

/// A claim is gone: its volume is removed if it was made for it, else it is left as released.
async fn release(node: &Node, claim: &PersistentVolumeClaim) {
    let volumes: Api<PersistentVolume> = Api::all(node.client.clone());
    let Some(name) = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()) else { return };
    let Ok(Some(volume)) = volumes.get_opt(name).await else { return };
    let made_here =
        volume.metadata.annotations.iter().flatten().any(|(k, v)| k == PROVISIONED_BY && v == PROVISIONER);
    let spec = volume.spec.unwrap_or_default();
    let delete = spec.persistent_volume_reclaim_policy.as_deref() == Some("Delete");
    let result = if made_here && delete {
        if let Some(source) = spec.host_path
            && let Err(error) = tokio::fs::remove_dir_all(&source.path).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = source.path, %error, "a released volume could not be removed");
        }
        volumes.delete(name, &DeleteParams::default()).await.map(drop)
    } else {
        let status = json!({"status": {"phase": "Released"}});
        volumes.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.map(drop)
    };
    if let Err(error) = result {
        tracing::warn!(volume = name, %error, "a volume could not be released");
    }
}
