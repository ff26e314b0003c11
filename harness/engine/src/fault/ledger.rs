//! The ledger: what undoes each fault, durable before the fault is applied.
//!
//! It is kept twice: as `ledger.json` in the run's directory, and as a ConfigMap in the target namespace, so that any machine
//! with access to the cluster can undo what an interrupted run left. The ConfigMap is also the lock: one run at a time in a
//! namespace.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    planned::{FaultError, Snapshot},
    wait::call,
};
use crate::Target;

/// Name of the ConfigMap.
const NAME: &str = "sre-harness-ledger";
/// Its key, and the name of the file in the run's directory.
const KEY: &str = "ledger.json";

/// Why the ledger could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another run holds the namespace, or one was interrupted there.
    #[error("namespace {namespace} is held by run {run} of process {pid} on {host}")]
    Held {
        /// Namespace.
        namespace: String,
        /// That run.
        run: String,
        /// Its process.
        pid: u32,
        /// Its machine.
        host: String,
        /// Whether it is going on; not known if it is on another machine.
        alive: Option<bool>,
    },
    /// The file could not be written.
    #[error("the ledger {path} could not be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The ConfigMap could not be written.
    #[error("the ledger could not be kept in namespace {namespace}")]
    Cluster {
        /// Namespace.
        namespace: String,
        /// Why.
        #[source]
        source: FaultError,
    },
    /// What is there is not a ledger.
    #[error("{at} is not a ledger this version can read")]
    Unreadable {
        /// File or ConfigMap.
        at: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// One fault and what undoes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name of the fault.
    pub fault: String,
    /// The world before it.
    pub snapshot: Snapshot,
    /// The world is as it was.
    pub reverted: bool,
}

/// The ledger's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerFile {
    /// Format; a reader refuses others.
    pub version: u32,
    /// The run.
    pub run: String,
    /// Namespace of the faults.
    pub namespace: String,
    /// API server of the cluster that the faults are in.
    pub server: String,
    /// That cluster is the harness's own embedded one: when it is gone, so are the faults in it.
    pub own_stack: bool,
    /// Machine of the run's process.
    pub host: String,
    /// The run's process.
    pub pid: u32,
    /// Start time of that process in clock ticks since boot, so that a reused pid is not taken for it.
    pub started: u64,
    /// Its faults, in the order of planning.
    pub entries: Vec<Entry>,
}

impl LedgerFile {
    fn new(run: &str, namespace: &str, target: &Target) -> Self {
        let pid = std::process::id();
        let (run, namespace, server) = (run.to_owned(), namespace.to_owned(), target.server.clone());
        let (own_stack, started) = (target.own_stack, started(pid).unwrap_or(0));
        Self {
            version: 1,
            run,
            namespace,
            server,
            own_stack,
            host: host(),
            pid,
            started,
            entries: Vec::new(),
        }
    }

    /// Faults that may still be on.
    pub fn unreverted(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.reverted)
    }

    /// Why no other run may have the namespace.
    fn holds(self) -> LedgerError {
        let alive = self.is_here().then(|| !self.is_orphan());
        let Self { namespace, run, pid, host, .. } = self;
        LedgerError::Held { namespace, run, pid, host, alive }
    }

    /// True if the run's process is, or was, on this machine.
    pub fn is_here(&self) -> bool {
        self.host == host()
    }

    /// True if the run's process is known to be dead: same machine, and no such process any more.
    pub fn is_orphan(&self) -> bool {
        self.is_here() && started(self.pid) != Some(self.started)
    }
}

/// Name of this machine.
fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// Start time of a process (field 22 of `/proc/PID/stat`), if there is one.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may contain blanks and parentheses: count from the last one.
    let after = stat.rsplit_once(')')?.1;
    let zombie = after.split_whitespace().next() == Some("Z");
    if zombie { None } else { after.split_whitespace().nth(19)?.parse().ok() }
}

/// Reads the ledger of a run's directory; `None` if the run got no further than that.
///
/// # Errors
/// If it is there and cannot be read.
pub fn read_ledger(run_dir: &Path) -> Result<Option<LedgerFile>, LedgerError> {
    let path = run_dir.join(KEY);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LedgerError::Write { path, source }),
    };
    let parsed = serde_json::from_str(&text);
    parsed.map(Some).map_err(|source| LedgerError::Unreadable { at: path.display().to_string(), source })
}

fn text(file: &LedgerFile) -> String {
    // A struct of strings and numbers always serialises.
    serde_json::to_string_pretty(file).unwrap_or_default()
}

/// Replaces the file atomically; on stable storage when it returns.
fn write_file(path: &Path, file: &LedgerFile) -> Result<(), LedgerError> {
    let new = path.with_extension("json.new");
    let write = || {
        let mut out = File::create(&new)?;
        out.write_all(text(file).as_bytes())?;
        out.sync_all()?;
        fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(|source| LedgerError::Write { path: path.to_owned(), source })
}

/// Reads the ConfigMap: its UID and what it holds.
async fn read(api: &Api<ConfigMap>, namespace: &str) -> Result<Option<(String, LedgerFile)>, LedgerError> {
    let found = call("reading the ledger", api.get_opt(NAME)).await;
    let found = found.map_err(|source| LedgerError::Cluster { namespace: namespace.to_owned(), source })?;
    let Some((uid, text)) = found.and_then(|map| Some((map.metadata.uid?, map.data?.remove(KEY)?))) else {
        return Ok(None);
    };
    let at = format!("ConfigMap {namespace}/{NAME}");
    let file = serde_json::from_str(&text).map_err(|source| LedgerError::Unreadable { at, source })?;
    Ok(Some((uid, file)))
}

/// Deletes this object only, not a later one of its name.
fn only(uid: String) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions { uid: Some(uid), resource_version: None })
}

/// Fine if the object to delete is gone, or is another one by now.
fn not_ours(error: FaultError) -> Result<(), FaultError> {
    match &error {
        FaultError::Api { source, .. } => match &**source {
            kube::Error::Api(status) if status.is_not_found() || status.is_conflict() => Ok(()),
            _ => Err(error),
        },
        _ => Err(error),
    }
}

/// The ledger of one run.
pub struct Ledger {
    api: Api<ConfigMap>,
    path: PathBuf,
    file: LedgerFile,
    /// The ConfigMap that is ours. One of the same name that somebody made since is another run's, and never touched.
    uid: Option<String>,
}

impl Ledger {
    /// Takes the namespace for this run. The ConfigMap of a dead run that left nothing behind is replaced.
    ///
    /// # Errors
    /// [`LedgerError::Held`] if another run has the namespace or left faults in it.
    pub async fn open(
        target: &Target,
        run_dir: &Path,
        run: &str,
        namespace: &str,
    ) -> Result<Self, LedgerError> {
        let client = &target.client;
        let api = Api::namespaced(client.clone(), namespace);
        if let Some((uid, other)) = read(&api, namespace).await? {
            if other.unreverted().next().is_some() || !other.is_orphan() {
                return Err(other.holds());
            }
            // Whether or not this very one is still there: creating ours tells who was first.
            let old = call("deleting the old ledger", api.delete(NAME, &only(uid))).await;
            if let Err(source) = old.map(drop).or_else(not_ours) {
                return Err(LedgerError::Cluster { namespace: namespace.to_owned(), source });
            }
        }
        let file = LedgerFile::new(run, namespace, target);
        let mut ledger = Self { api, path: run_dir.join(KEY), file, uid: None };
        ledger.write_file()?;
        match ledger.create().await {
            Ok(()) => Ok(ledger),
            // Another run was quicker.
            Err(error) => Err(Self::in_cluster(client, namespace).await?.map_or(error, LedgerFile::holds)),
        }
    }

    /// The ledger that a namespace holds.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn in_cluster(client: &Client, namespace: &str) -> Result<Option<LedgerFile>, LedgerError> {
        let found = read(&Api::namespaced(client.clone(), namespace), namespace).await?;
        Ok(found.map(|(_, file)| file))
    }

    /// Namespaces that hold a ledger.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn namespaces(client: &Client) -> Result<Vec<String>, LedgerError> {
        let api: Api<ConfigMap> = Api::all(client.clone());
        let params = ListParams::default().fields(&format!("metadata.name={NAME}"));
        let found = call("looking for ledgers", api.list(&params)).await;
        let found = found.map_err(|source| LedgerError::Cluster { namespace: "*".to_owned(), source })?;
        Ok(found.items.into_iter().filter_map(|map| map.metadata.namespace).collect())
    }

    /// Goes on with the ledger of an interrupted run.
    pub fn resume(client: &Client, run_dir: &Path, file: LedgerFile) -> Self {
        let api = Api::namespaced(client.clone(), &file.namespace);
        Self { api, path: run_dir.join(KEY), file, uid: None }
    }

    /// Notes that nothing is left of the faults, because the cluster that they were in is gone.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn forget(run_dir: &Path, mut file: LedgerFile) -> Result<(), LedgerError> {
        for entry in &mut file.entries {
            entry.reverted = true;
        }
        write_file(&run_dir.join(KEY), &file)
    }

    /// The faults are in the harness's own embedded cluster.
    pub fn own_stack(&self) -> bool {
        self.file.own_stack
    }

    /// Namespace of the faults.
    pub fn namespace(&self) -> &str {
        &self.file.namespace
    }

    /// The faults.
    pub fn entries(&self) -> &[Entry] {
        &self.file.entries
    }

    /// Makes a fault's inverse durable, on disk and in the cluster. Only then may the fault be applied.
    ///
    /// # Errors
    /// If it is not durable. The fault must not be applied then.
    pub async fn plan(&mut self, fault: &str, snapshot: Snapshot) -> Result<(), LedgerError> {
        self.file.entries.push(Entry { fault: fault.to_owned(), snapshot, reverted: false });
        let durable = match self.write_file() {
            Ok(()) => self.patch().await,
            Err(error) => Err(error),
        };
        if durable.is_err() {
            // It will not be applied. An entry that stayed would be undone all the same, to what is an old state by then.
            self.file.entries.pop();
            // Where this fails as well, the file is brought up to date with the next entry.
            let _ = self.write_file();
        }
        durable
    }

    /// Notes that a fault is undone.
    ///
    /// # Errors
    /// If that could not be written; a later recovery undoes the fault once more, which is harmless.
    pub async fn reverted(&mut self, fault: &str) -> Result<(), LedgerError> {
        for entry in self.file.entries.iter_mut().filter(|entry| entry.fault == fault) {
            entry.reverted = true;
        }
        self.write_file()?;
        self.patch().await
    }

    /// Gives the namespace back, if nothing is left behind.
    ///
    /// # Errors
    /// If the ConfigMap could not be deleted.
    pub async fn close(mut self) -> Result<(), LedgerError> {
        if self.file.unreverted().next().is_some() {
            return Ok(());
        }
        let Some(uid) = self.own_uid().await? else { return Ok(()) };
        let gone = call("deleting the ledger", self.api.delete(NAME, &only(uid))).await;
        gone.map(drop).or_else(not_ours).map_err(|source| self.cluster(source))
    }

    /// UID of our ConfigMap; of a ledger that was resumed, the one that holds it. `None` if there is none any more.
    async fn own_uid(&mut self) -> Result<Option<String>, LedgerError> {
        if self.uid.is_none() {
            let found = read(&self.api, &self.file.namespace).await?;
            self.uid = found.filter(|(_, file)| file.run == self.file.run).map(|(uid, _)| uid);
        }
        Ok(self.uid.clone())
    }

    fn cluster(&self, source: FaultError) -> LedgerError {
        LedgerError::Cluster { namespace: self.file.namespace.clone(), source }
    }

    fn text(&self) -> String {
        text(&self.file)
    }

    fn write_file(&self) -> Result<(), LedgerError> {
        write_file(&self.path, &self.file)
    }

    async fn create(&mut self) -> Result<(), LedgerError> {
        let map: ConfigMap = serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": NAME, "labels": { "app.kubernetes.io/managed-by": "sre-harness" } },
            "data": { KEY: self.text() },
        }))
        .map_err(|source| LedgerError::Unreadable { at: NAME.to_owned(), source })?;
        let created = call("creating the ledger", self.api.create(&PostParams::default(), &map)).await;
        self.uid = created.map_err(|source| self.cluster(source))?.metadata.uid;
        Ok(())
    }

    async fn patch(&mut self) -> Result<(), LedgerError> {
        let Some(uid) = self.own_uid().await? else {
            let lost = FaultError::NothingToDo("the ledger's ConfigMap is gone, or another run's".to_owned());
            return Err(self.cluster(lost));
        };
        let patch = Patch::Merge(json!({ "metadata": { "uid": uid }, "data": { KEY: self.text() } }));
        let patched = call("writing the ledger", self.api.patch(NAME, &PatchParams::default(), &patch)).await;
        patched.map(drop).map_err(|source| self.cluster(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_no_orphan_and_a_reused_pid_is() {
        let mut file = LedgerFile {
            version: 1,
            run: "run".into(),
            namespace: "gallery".into(),
            server: "https://127.0.0.1".into(),
            own_stack: true,
            host: host(),
            pid: std::process::id(),
            started: started(std::process::id()).unwrap(),
            entries: vec![],
        };
        assert!(!file.is_orphan());
        file.started += 1;
        assert!(file.is_orphan());
        file.host = "elsewhere".into();
        assert!(!file.is_orphan(), "nobody can tell for another machine");
    }
}
