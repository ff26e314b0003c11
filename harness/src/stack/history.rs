//! A healthy past for the stack's Prometheus, made before it starts.
//!
//! The samples become blocks by `promtool tsdb create-blocks-from openmetrics`, in a directory that Prometheus gets as its data volume in place
//! of an empty one.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use cluster::kubelet::catalog::{Catalog, ImageError};
use harness_slo::{
    compress::{CompressError, Length, rule_files, runs},
    history::{HistoryError, Past, healthy, write_openmetrics},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{error::StackError, paths::StateDir, time::Paced};

/// Samples beyond which it would take minutes and gigabytes.
const MOST_SAMPLES: u64 = 10_000_000;

/// What the past is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// How far it goes back, in real time.
    pub length: Length,
    /// Requests per second for each SLO, all of them good.
    pub per_second: f64,
}

/// The past that a stack has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// As it was asked for.
    pub history: History,
    /// Names of its series.
    pub series: Vec<String>,
    /// Its end.
    pub until: Timestamp,
    /// Directory of the blocks, Prometheus' data volume.
    pub path: PathBuf,
}

/// Why there is no past.
#[derive(Debug, thiserror::Error)]
pub enum NoHistory {
    /// Blocks are given to a Prometheus before it starts.
    #[error("the stack is up already, without that history")]
    Up,
    /// It cannot be said what a healthy past of the SLOs would be.
    #[error("the rules do not say what a healthy past would be")]
    Rules(#[source] HistoryError),
    /// The rules are not understood.
    #[error("the rules are not understood")]
    Files(#[source] CompressError),
    /// No Prometheus among the manifests that could be given blocks.
    #[error("{0}")]
    Manifests(&'static str),
    /// Longer than Prometheus keeps data, or too much of it.
    #[error("{0}")]
    TooLong(String),
    /// No promtool.
    #[error("promtool is not there")]
    Image(#[source] ImageError),
    /// promtool did not make the blocks.
    #[error("promtool could not make blocks: {output}")]
    Promtool {
        /// What it printed.
        output: String,
    },
    /// A file could not be written.
    #[error("can't use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// Directories of blocks in the data directory of the stack; what follows is the end of the past, in milliseconds since 1970.
const DIRECTORY: &str = "history-";

/// Makes the blocks for a Prometheus that is about to start, in a directory of their own: another one may still use an older past.
pub async fn make(history: History, paced: &Paced, state: &StateDir) -> Result<Kept, NoHistory> {
    let files = rule_files(&paced.objects).map_err(NoHistory::Files)?;
    let counters = healthy(&files).map_err(NoHistory::Rules)?;
    let prometheus = paced.objects.iter().find(|object| runs(object, "prometheus"));
    let prometheus = prometheus.ok_or(NoHistory::Manifests("there is no Prometheus among the manifests"))?;
    let scrape =
        paced.loaded.global.iter().find(|(key, _)| key == "scrape_interval").map(|(_, length)| *length);
    let step =
        scrape.ok_or(NoHistory::Manifests("there is no configuration of Prometheus among the manifests"))?;
    check_size(history.length, step, counters.len(), prometheus)?;

    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| NoHistory::Io { path, source }
    };
    let until = Timestamp::now();
    let path = state.data().join(format!("{DIRECTORY}{}", until.as_millisecond()));
    fs::create_dir_all(&path).map_err(io(&path))?;
    let text = state.stack().join("history.om");
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
    let end = until.as_millisecond() as f64 / 1000.0;
    let past = Past { end, length: history.length, step, per_second: history.per_second };
    File::create(&text)
        .map(BufWriter::new)
        .and_then(|mut file| write_openmetrics(&counters, &past, &mut file).and_then(|()| file.flush()))
        .map_err(io(&text))?;
    let made = promtool(prometheus, &text, &path).await;
    fs::remove_file(&text).map_err(io(&text))?;
    made?;
    give(&path, prometheus).map_err(io(&path))?;
    let mut series: Vec<String> = counters.into_iter().map(|counter| counter.name).collect();
    series.dedup();
    Ok(Kept { history, series, until, path })
}

fn check_size(length: Length, step: Length, series: usize, prometheus: &Value) -> Result<(), NoHistory> {
    let samples = length.millis() / step.millis().max(1) * u64::try_from(series).unwrap_or(u64::MAX);
    if samples > MOST_SAMPLES {
        return Err(NoHistory::TooLong(format!(
            "{length} of {series} series, one sample every {step}, are {samples} samples; {MOST_SAMPLES} is the limit"
        )));
    }
    let keeps = argument(prometheus, "--storage.tsdb.retention.time=").and_then(|text| Length::parse(&text));
    match keeps.filter(|keeps| *keeps < length) {
        Some(keeps) => Err(NoHistory::TooLong(format!(
            "Prometheus keeps data for {keeps}, a history of {length} would be deleted"
        ))),
        None => Ok(()),
    }
}

fn argument(prometheus: &Value, flag: &str) -> Option<String> {
    let args = prometheus.pointer("/spec/template/spec/containers/0/args")?.as_array()?;
    args.iter().find_map(|arg| arg.as_str()?.strip_prefix(flag)).map(str::to_owned)
}

/// promtool is found beside the Prometheus that the image stands for.
async fn promtool(prometheus: &Value, text: &Path, into: &Path) -> Result<(), NoHistory> {
    let image = prometheus.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
    let resolved = Catalog::builtin().resolve(image.unwrap_or_default()).map_err(NoHistory::Image)?;
    let program =
        resolved.entrypoint.first().map(PathBuf::from).unwrap_or_default().with_file_name("promtool");
    let output = tokio::process::Command::new(&program)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([text, into])
        .envs(resolved.env)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| NoHistory::Io { path: program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(NoHistory::Promtool { output: String::from_utf8_lossy(&text).trim().to_owned() })
}

/// Gives the directory to the user that Prometheus runs as. Pods of root run as other users; else all is one user's.
fn give(path: &Path, prometheus: &Value) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let id = |field: &str| {
        let value = prometheus.pointer("/spec/template/spec/securityContext")?.get(field)?.as_u64()?;
        u32::try_from(value).ok()
    };
    let (user, group) = (id("runAsUser"), id("runAsGroup"));
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        chown(&path, user, group)?;
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(())
}

/// Removes the directories of all pasts but the one that is in use.
pub fn remove_others(state: &StateDir, used: &Path) -> Result<(), StackError> {
    let data = state.data();
    let failed = |source| StackError::State { path: data.clone(), source };
    for entry in fs::read_dir(&data).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let past = entry.file_name().to_string_lossy().starts_with(DIRECTORY);
        if past && entry.path() != used {
            fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Puts the directory in place of the volume that Prometheus keeps its data in.
pub fn mount(objects: &mut [Value], path: &Path) -> Result<(), NoHistory> {
    let none = NoHistory::Manifests("Prometheus has no volume at its --storage.tsdb.path");
    let Some(object) = objects.iter_mut().find(|object| runs(object, "prometheus")) else { return Err(none) };
    let Some(data) = argument(object, "--storage.tsdb.path=") else { return Err(none) };
    let mounts = object.pointer("/spec/template/spec/containers/0/volumeMounts").and_then(Value::as_array);
    let mount = mounts.into_iter().flatten().find(|mount| mount["mountPath"] == *data);
    let Some(name) = mount.map(|mount| mount["name"].clone()) else { return Err(none) };
    let volumes = object.pointer_mut("/spec/template/spec/volumes").and_then(Value::as_array_mut);
    match volumes.into_iter().flatten().find(|volume| volume["name"] == name) {
        Some(volume) => {
            *volume = json!({ "name": name, "hostPath": { "path": path, "type": "Directory" } });
            Ok(())
        }
        None => Err(none),
    }
}

/// The past that the stack was started with; `None` if it has none.
pub fn read(state: &StateDir) -> Result<Option<Kept>, StackError> {
    let path = state.history();
    let failed = |source| StackError::State { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| failed(error.into())).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Keeps what was made.
pub fn write(state: &StateDir, kept: &Kept) -> Result<(), StackError> {
    let path = state.history();
    let written =
        serde_json::to_string(kept).map_err(io::Error::from).and_then(|text| fs::write(&path, text));
    written.map_err(|source| StackError::State { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prometheus() -> Value {
        json!({ "kind": "Deployment", "spec": { "template": { "spec": {
            "containers": [{ "image": "prom/prometheus:v2.42.0",
                "args": ["--storage.tsdb.path=/prometheus", "--storage.tsdb.retention.time=2d"],
                "volumeMounts": [{ "name": "config", "mountPath": "/etc" }, { "name": "data", "mountPath": "/prometheus" }] }],
            "volumes": [{ "name": "config", "configMap": {} }, { "name": "data", "emptyDir": {} }],
        } } } })
    }

    #[test]
    fn the_data_volume_is_replaced_and_no_other() {
        let mut objects = [json!({ "kind": "ConfigMap" }), prometheus()];
        mount(&mut objects, Path::new("/blocks")).unwrap();
        let expected = json!([
            { "name": "config", "configMap": {} },
            { "name": "data", "hostPath": { "path": "/blocks", "type": "Directory" } },
        ]);
        assert_eq!(objects[1]["spec"]["template"]["spec"]["volumes"], expected);
        assert!(mount(&mut objects[..1], Path::new("/blocks")).is_err());
        objects[1]["spec"]["template"]["spec"]["containers"][0]["args"] = json!([]);
        assert!(mount(&mut objects, Path::new("/blocks")).is_err());
    }

    #[test]
    fn a_past_that_would_not_be_kept_or_is_too_large_is_refused() {
        let length = |text: &str| Length::parse(text).unwrap();
        let check = |long: &str, step: &str| check_size(length(long), length(step), 6, &prometheus());
        assert!(check("2d", "1s").is_ok());
        let error = check("3d", "1s").unwrap_err().to_string();
        assert_eq!(error, "Prometheus keeps data for 2d, a history of 3d would be deleted");
        assert!(check("2d", "100ms").unwrap_err().to_string().contains("is the limit"));
    }
}
