//! What a pod worker leaves outside itself: the status in the API, files, processes.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;

use super::machine::{PodWorker, Stage};
use crate::kubelet::{
    logs,
    status::{self, ContainerKind, PodView},
    volumes::PodDirectory,
};

/// Pause before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Attempts at removing a pod that has ended; only a broken API server needs more than one.
const DELETE_ATTEMPTS: u32 = 30;

impl PodWorker {
    pub(super) fn api(&self) -> Api<Pod> {
        Api::namespaced(self.node.client.clone(), self.pod.metadata.namespace.as_deref().unwrap_or_default())
    }

    /// Writes the status if it changed.
    pub(super) async fn publish(&mut self) {
        if matches!(self.stage, Stage::Gone) {
            return;
        }
        let finished = matches!(self.stage, Stage::Finished);
        if finished
            && self.written.is_some()
            && self.containers.iter().all(|container| container.attempt == 0)
        {
            let terminal =
                |status: &PodStatus| matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
            if self.written.as_ref().is_some_and(terminal) {
                return;
            }
        }
        let (inits, mains) = self
            .containers
            .iter()
            .map(|container| &container.view)
            .partition(|v| v.kind != ContainerKind::Main);
        let view = PodView {
            pod: &self.pod,
            inits,
            mains,
            sandbox_ready: self.sandbox_ready,
            pod_ip: self.ip_shown.then_some(self.pod_ip),
            host_ip: self.node.addresses.node_ip(),
            start_time: self.start_time,
            finished,
            verdict: self.verdict.clone(),
        };
        let previous = self.written.as_ref().or(self.pod.status.as_ref());
        let new = status::compute(&view, previous, Timestamp::now());
        if self.written.as_ref() == Some(&new) {
            return;
        }
        let patch = json!({"metadata": {"uid": self.pod.metadata.uid}, "status": new});
        let name = self.pod.metadata.name.clone().unwrap_or_default();
        match self.api().patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => {
                self.written = Some(new);
                self.publish_again = None;
            }
            // Gone, or another pod of the same name: the watch will say so.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
            Err(error) => {
                tracing::warn!(pod = name, %error, "a pod's status could not be written");
                self.publish_again = Some(Timestamp::now() + RETRY);
            }
        }
    }

    pub(super) async fn delete_object(&self) {
        let api = self.api();
        let name = self.pod.metadata.name.as_deref().unwrap_or_default();
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: self.pod.metadata.uid.clone(), resource_version: None }),
            ..DeleteParams::default()
        };
        for _ in 0..DELETE_ATTEMPTS {
            match api.delete(name, &parameters).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => return,
                Err(error) => {
                    tracing::warn!(pod = name, %error, "a terminated pod could not be removed from the API")
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    pub(super) fn log_directory(&self) -> std::path::PathBuf {
        let metadata = &self.pod.metadata;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        logs::pod_directory(
            &self.node.data_dir,
            &text(&metadata.namespace),
            &text(&metadata.name),
            &text(&metadata.uid),
        )
    }

    /// Nothing may be left that carries this pod's marker.
    pub(super) async fn kill_strays(&self) {
        let (launcher, uid) = (self.node.launcher.clone(), self.pod.metadata.uid.clone().unwrap_or_default());
        let work = tokio::task::spawn_blocking(move || {
            for _ in 0..200 {
                if launcher.kill_marked(&uid).is_empty() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let _ = work.await;
    }

    /// Ends what may be left and gives the address back.
    pub(super) async fn tear_down(&mut self) {
        self.kill_strays().await;
        self.remove_files().await;
        if self.own_ip {
            self.node.addresses.release_pod_ip(self.pod_ip);
        }
    }

    /// Removes the pod's volumes (not its claims), logs and sockets.
    pub(super) async fn remove_files(&self) {
        let (node, pod) = (self.node.clone(), self.pod.clone());
        let logs = self.log_directory();
        let work = tokio::task::spawn_blocking(move || {
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            if let Err(error) = PodDirectory::new(&node.data_dir, uid).remove() {
                tracing::warn!(%error, "a pod's directory could not be removed");
            }
            let spec = pod.spec.as_ref();
            for container in spec.iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers))
            {
                let _ = std::fs::remove_dir_all(node.run_directory(uid, &container.name));
            }
            let _ = std::fs::remove_dir_all(logs);
        });
        let _ = work.await;
    }
}
