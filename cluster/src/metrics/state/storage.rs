//! The series of PersistentVolumeClaims and PersistentVolumes.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::family::{Family, Lines, amount, gauge, identity, referent, text};

/// What is told about claims.
pub static CLAIMS: [Family; 7] = [
    gauge("kube_persistentvolumeclaim_info", "Information about persistent volume claim."),
    gauge(
        "kube_persistentvolumeclaim_status_phase",
        "The phase the persistent volume claim is currently in.",
    ),
    gauge(
        "kube_persistentvolumeclaim_resource_requests_storage_bytes",
        "The capacity of storage requested by the persistent volume claim.",
    ),
    gauge(
        "kube_persistentvolumeclaim_access_mode",
        "The access mode(s) specified by the persistent volume claim.",
    ),
    gauge(
        "kube_persistentvolumeclaim_status_condition",
        "Information about status of different conditions of persistent volume claim.",
    ),
    gauge("kube_persistentvolumeclaim_created", "Unix creation timestamp"),
    gauge("kube_persistentvolumeclaim_deletion_timestamp", "Unix deletion timestamp"),
];

/// What is told about volumes. `kube_persistentvolume_info` names sources that do not exist here and is left out.
pub static VOLUMES: [Family; 5] = [
    gauge("kube_persistentvolume_claim_ref", "Information about the Persistent Volume Claim Reference."),
    gauge(
        "kube_persistentvolume_status_phase",
        "The phase indicates if a volume is available, bound to a claim, or released by a claim.",
    ),
    gauge("kube_persistentvolume_capacity_bytes", "Persistentvolume capacity in bytes."),
    gauge("kube_persistentvolume_created", "Unix creation timestamp"),
    gauge("kube_persistentvolume_deletion_timestamp", "Unix deletion timestamp"),
];

/// The lines of a claim.
pub fn claim(object: &PersistentVolumeClaim) -> Lines {
    let metadata = &object.metadata;
    let prefix = "kube_persistentvolumeclaim";
    let mut lines = Lines::new(&CLAIMS, identity("persistentvolumeclaim", metadata));
    lines.add_time(&format!("{prefix}_created"), &[], metadata.creation_timestamp.as_ref());
    lines.add_time(&format!("{prefix}_deletion_timestamp"), &[], metadata.deletion_timestamp.as_ref());
    let spec = object.spec.clone().unwrap_or_default();
    let annotated = metadata.annotations.iter().flatten();
    let annotated = annotated.clone().find(|(name, _)| *name == "volume.beta.kubernetes.io/storage-class");
    let labels = [
        ("storageclass", annotated.map_or(text(&spec.storage_class_name), |(_, class)| class)),
        ("volumename", text(&spec.volume_name)),
        ("volumemode", text(&spec.volume_mode)),
    ];
    lines.add(&format!("{prefix}_info"), &labels, 1);
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let storage = requests.and_then(|requests| requests.get("storage")).and_then(amount);
    lines.add_some(&format!("{prefix}_resource_requests_storage_bytes"), storage);
    for mode in spec.access_modes.iter().flatten() {
        lines.add(&format!("{prefix}_access_mode"), &[("access_mode", mode)], 1);
    }
    let Some(status) = &object.status else { return lines };
    if let Some(phase) = &status.phase {
        lines.add_states(&format!("{prefix}_status_phase"), "phase", &["Lost", "Bound", "Pending"], phase);
    }
    for condition in status.conditions.iter().flatten() {
        let labels = [("condition", condition.type_.as_str())];
        lines.add_condition(&format!("{prefix}_status_condition"), &labels, "status", &condition.status);
    }
    lines
}

/// The lines of a volume.
pub fn volume(object: &PersistentVolume) -> Lines {
    let metadata = &object.metadata;
    let prefix = "kube_persistentvolume";
    let mut lines = Lines::new(&VOLUMES, vec![("persistentvolume", text(&metadata.name).to_owned())]);
    lines.add_time(&format!("{prefix}_created"), &[], metadata.creation_timestamp.as_ref());
    lines.add_time(&format!("{prefix}_deletion_timestamp"), &[], metadata.deletion_timestamp.as_ref());
    let spec = object.spec.clone().unwrap_or_default();
    if let Some(claim) = &spec.claim_ref {
        let (name, namespace) = referent(claim);
        let labels = [("name", name), ("claim_namespace", namespace)];
        lines.add(&format!("{prefix}_claim_ref"), &labels, 1);
    }
    let capacity = spec.capacity.as_ref().and_then(|capacity| capacity.get("storage")).and_then(amount);
    lines.add_some(&format!("{prefix}_capacity_bytes"), capacity);
    if let Some(phase) = object.status.as_ref().and_then(|status| status.phase.as_deref()) {
        let phases = ["Pending", "Available", "Bound", "Released", "Failed"];
        lines.add_states(&format!("{prefix}_status_phase"), "phase", &phases, phase);
    }
    lines
}
