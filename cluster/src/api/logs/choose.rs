//! Which container, and which of its runs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::options::LogOptions;
use crate::{
    api::status::ApiError,
    store::{Stored, text_at},
};

/// One run of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    container: String,
    restart: i64,
}

impl Chosen {
    /// File of the run's log.
    pub fn path(&self, logs: &Path, pod: &Stored) -> PathBuf {
        let directory = format!("{}_{}_{}", pod.key.namespace, pod.key.name, pod.uid);
        logs.join(directory).join(&self.container).join(format!("{}.log", self.restart))
    }

    /// True when this run is over.
    pub fn has_ended(&self, pod: &Value) -> bool {
        match status(pod, &self.container) {
            None => matches!(text_at(pod, "/status/phase"), "Succeeded" | "Failed"),
            Some(status) => {
                let current = status["restartCount"].as_i64().unwrap_or(0);
                let waiting_after =
                    !status["state"]["waiting"].is_null() && !status["lastState"]["terminated"].is_null();
                current > self.restart || !status["state"]["terminated"].is_null() || waiting_after
            }
        }
    }
}

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    let containers = pod["spec"][list].as_array().into_iter().flatten();
    containers.filter_map(|container| container["name"].as_str()).collect()
}

fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    ["containerStatuses", "initContainerStatuses"]
        .into_iter()
        .flat_map(|list| pod["status"][list].as_array().into_iter().flatten())
        .find(|status| status["name"] == container)
}

/// Chooses as the real server and kubelet do; none if the pod is on no node.
pub fn choose(pod: &Stored, options: &LogOptions) -> Result<Option<Chosen>, ApiError> {
    let object = pod.value();
    let name = &pod.key.name;
    let containers = names(&object, "containers");
    let init = names(&object, "initContainers");
    let container = match (&options.container, containers.as_slice()) {
        (Some(wanted), _) => {
            if !containers.contains(&wanted.as_str()) && !init.contains(&wanted.as_str()) {
                return Err(ApiError::bad_request(format!("container {wanted} is not valid for pod {name}")));
            }
            wanted.clone()
        }
        (None, [only]) => (*only).to_owned(),
        (None, many) => {
            let others = if init.is_empty() {
                String::new()
            } else {
                format!(" or one of the init containers: [{}]", init.join(" "))
            };
            return Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]{others}",
                many.join(" ")
            )));
        }
    };
    if text_at(&object, "/spec/nodeName").is_empty() {
        return Ok(None);
    }
    let waiting = |reason: &str| {
        ApiError::bad_request(format!(
            "container {container:?} in pod {name:?} is waiting to start: {reason}"
        ))
    };
    let Some(status) = status(&object, &container) else {
        return Err(waiting("ContainerCreating"));
    };
    let restarts = status["restartCount"].as_i64().unwrap_or(0);
    let has_previous = !status["lastState"]["terminated"].is_null();
    let state = &status["state"];
    if options.previous && !has_previous {
        let message = format!("previous terminated container {container:?} in pod {name:?} not found");
        return Err(ApiError::bad_request(message));
    }
    let restart = if state["waiting"].is_null() {
        if options.previous { restarts - 1 } else { restarts }
    } else if has_previous {
        // Waiting for its next run: the last one is both the current and the previous.
        restarts
    } else {
        return Err(match state["waiting"]["reason"].as_str() {
            Some("ErrImagePull") => waiting("image can't be pulled"),
            Some("ImagePullBackOff") => waiting("trying and failing to pull image"),
            Some(reason) => waiting(reason),
            None => waiting("ContainerCreating"),
        });
    };
    Ok(Some(Chosen { container, restart: restart.max(0) }))
}
