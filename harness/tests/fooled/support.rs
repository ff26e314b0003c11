//! A stack, runs on it, and what they leave.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use harness_event::{Event, EventKind, Phase, read_log};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::ConfigMap};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, GetParams, ListParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::{Place, Ran};

/// One stack at a time: two would measure each other's load.
static TURN: Mutex<()> = Mutex::new(());
/// Nothing that is waited for takes longer than this.
const PATIENCE: Duration = Duration::from_secs(90);
/// Pause between two looks at a condition.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for a condition; fails the test if it does not come.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen");
        thread::sleep(LOOK);
    }
}

/// An edit of a file of the configuration: its path in the checkout, what is replaced, and by what.
pub type Edit<'a> = (&'a str, &'a str, &'a str);

/// The embedded stack in a place of its own. Stopped when it is dropped, also by a panic.
pub struct Stack {
    pub place: Place,
    runtime: tokio::runtime::Runtime,
    client: Option<Client>,
    _turn: MutexGuard<'static, ()>,
}

impl Stack {
    /// The stack as it is shipped.
    pub fn up() -> Self {
        Self::up_with(&[])
    }

    /// The stack with an edited configuration.
    pub fn up_with(edits: &[Edit<'_>]) -> Self {
        let mut stack = Self::down();
        let deploy = stack.edited(edits);
        stack.place.run(&["up", "--deploy-dir", deploy.to_str().unwrap()]).expect(0);
        stack.connect();
        stack
    }

    /// A place for a stack, which is not up.
    pub fn down() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { place: Place::new(), runtime, client: None, _turn: turn }
    }

    fn connect(&mut self) {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let kubeconfig = Kubeconfig::read_from(self.state().join("stack/kubeconfig")).unwrap();
        let client = self.runtime.block_on(async {
            let options = KubeConfigOptions::default();
            Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap()).unwrap()
        });
        self.client = Some(client);
    }

    /// A copy of the shipped configuration with the edits made; each must apply.
    fn edited(&self, edits: &[Edit<'_>]) -> PathBuf {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        if edits.is_empty() {
            return checkout.join("deploy");
        }
        let copy = self.place.path().join("configuration");
        for part in ["alerts", "deploy"] {
            copy_tree(&checkout.join(part), &copy.join(part));
        }
        for (path, from, to) in edits {
            let path = copy.join(path);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{} does not contain {from:?}", path.display());
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
        }
        copy.join("deploy")
    }

    pub fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    fn client(&self) -> Client {
        self.client.clone().unwrap()
    }

    fn deployments(&self, namespace: &str) -> Api<Deployment> {
        Api::namespaced(self.client(), namespace)
    }

    /// What a run must leave as it was: the specs of the system's Deployments, and how many of their pods are ready.
    pub fn world(&self) -> BTreeMap<String, Value> {
        let list = self.deployments("gallery");
        let found = self.runtime.block_on(list.list(&ListParams::default())).unwrap();
        let facts = |one: Deployment| {
            let ready = one.status.as_ref().and_then(|status| status.ready_replicas);
            (one.name_any(), json!({ "spec": one.spec, "ready": ready }))
        };
        found.items.into_iter().map(facts).collect()
    }

    /// Replicas that a workload of the system should have.
    pub fn replicas(&self, name: &str) -> i32 {
        let found = self.runtime.block_on(self.deployments("gallery").get(name)).unwrap();
        found.spec.replicas.unwrap()
    }

    /// Scales a workload and waits until as many of its pods are ready.
    pub fn scale(&self, namespace: &str, name: &str, replicas: i32) {
        self.runtime.block_on(async {
            let api = self.deployments(namespace);
            let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
            api.patch_scale(name, &PatchParams::default(), &patch).await.unwrap();
        });
        until(&format!("{replicas} ready pods of {name}"), || {
            let found = self.runtime.block_on(self.deployments(namespace).get(name)).unwrap();
            let ready = found.status.and_then(|status| status.ready_replicas).unwrap_or(0);
            (ready == replicas).then_some(())
        });
    }

    /// Puts a workload back to `back` replicas as soon as it has `seen`, as a controller would; returns when it has done so.
    pub fn undo_scaling(&self, name: &str, seen: i32, back: i32) {
        until(&format!("scaling of {name} to {seen}"), || (self.replicas(name) == seen).then_some(()));
        let patch = Patch::Merge(json!({ "spec": { "replicas": back } }));
        let api = self.deployments("gallery");
        self.runtime.block_on(api.patch_scale(name, &PatchParams::default(), &patch)).unwrap();
    }

    /// Changes an autoscaler of the system.
    pub fn patch_autoscaler(&self, name: &str, patch: Value) {
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client(), "gallery");
        let patch = Patch::Merge(patch);
        self.runtime.block_on(api.patch(name, &PatchParams::default(), &patch)).unwrap();
    }

    /// Waits until an autoscaler gives this reason in one of its conditions.
    pub fn wait_for_autoscaler(&self, name: &str, reason: &str) {
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client(), "gallery");
        until(&format!("condition {reason} of autoscaler {name}"), || {
            let status = self.runtime.block_on(api.get(name)).ok()?.status?;
            let mut conditions = status.conditions.unwrap_or_default().into_iter();
            conditions.any(|condition| condition.reason.as_deref() == Some(reason)).then_some(())
        });
    }

    /// Deletes an autoscaler of the system.
    pub fn delete_autoscaler(&self, name: &str) {
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client(), "gallery");
        self.runtime.block_on(api.delete(name, &DeleteParams::default())).unwrap();
    }

    /// The ledger's ConfigMap, if there is one.
    pub fn ledger(&self) -> Option<ConfigMap> {
        let api: Api<ConfigMap> = Api::namespaced(self.client(), "gallery");
        self.runtime.block_on(api.get_opt("sre-harness-ledger")).unwrap()
    }

    /// Process of the control plane.
    pub fn control_plane(&self) -> Pid {
        let record = fs::read_to_string(self.state().join("stack/control-plane.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        pid(record["pid"].as_u64().unwrap())
    }

    /// The one process of this stack with that program name.
    pub fn process(&self, program: &str) -> Pid {
        let record = fs::read_to_string(self.state().join("stack/control-plane.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        let data_dir = record["data_dir"].as_str().unwrap();
        let found: Vec<u64> = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| {
                let command = fs::read(entry.path().join("cmdline")).ok()?;
                let text = String::from_utf8_lossy(&command);
                let name = text.split('\0').next()?.rsplit('/').next()?;
                (name == program && text.contains(data_dir)).then_some(())?;
                entry.file_name().to_str()?.parse().ok()
            })
            .collect();
        assert_eq!(found.len(), 1, "processes of {program}: {found:?}");
        pid(found[0])
    }

    /// Waits until Prometheus lists the alert in that state, or not at all.
    pub fn wait_for_alert(&self, alert: &str, state: Option<&str>) {
        let proxied = "/api/v1/namespaces/monitoring/services/prometheus:19090/proxy/api/v1";
        until(&format!("{alert} {state:?}"), || {
            let request = kube::core::Request::new(proxied).get("alerts", &GetParams::default()).unwrap();
            let answer: Value = self.runtime.block_on(self.client().request(request)).ok()?;
            let alerts = answer["data"]["alerts"].as_array()?;
            let found = alerts.iter().find(|one| one["labels"]["alertname"] == alert);
            (found.and_then(|one| one["state"].as_str()) == state).then_some(())
        });
    }

    /// Runs a scenario to its end.
    #[track_caller]
    pub fn run(&self, scenario: &str) -> Run {
        self.start(scenario).finish()
    }

    /// Starts a run.
    pub fn start(&self, scenario: &str) -> Running<'_> {
        let path = self.scenario(scenario);
        let before = self.runs();
        let mut command = self.place.command(&["run", path.to_str().unwrap()]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running { stack: self, child: Some(child), before }
    }

    /// Runs a scenario in a process whose files cannot grow beyond so many blocks of 512 bytes.
    pub fn run_with_file_limit(&self, scenario: &str, blocks: u32) -> Run {
        let path = self.scenario(scenario);
        let before = self.runs();
        // A write beyond the limit is an error only where its signal is ignored.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" run \"$1\"");
        let command = self.place.command(&[]);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script]).arg(command.get_program()).arg(path);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let child = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running { stack: self, child: Some(child), before }.finish()
    }

    fn scenario(&self, text: &str) -> PathBuf {
        let path = self.place.path().join("scenario.toml");
        fs::write(&path, text).unwrap();
        path
    }

    /// Directories of the recorded runs.
    pub fn runs(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(self.state().join("runs")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.join("events.ndjson").is_file()).collect()
    }

    /// The verdict of a recorded run, given again.
    pub fn judge(&self, dir: &Path) -> Ran {
        self.place.run(&["judge", dir.to_str().unwrap()])
    }
}

fn pid(number: u64) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A run that is going on. Killed if the test ends before it does.
pub struct Running<'s> {
    stack: &'s Stack,
    child: Option<Child>,
    before: BTreeSet<PathBuf>,
}

impl Running<'_> {
    fn child(&self) -> &Child {
        self.child.as_ref().unwrap()
    }

    pub fn pid(&self) -> Pid {
        pid(u64::from(self.child().id()))
    }

    /// The child process of the run that is called with this argument.
    pub fn child_with(&self, argument: &str) -> Pid {
        let parent = self.child().id().to_string();
        let found = fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // After the name, which may hold anything: state and parent.
            let mut rest = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
            (rest.next()? == parent).then_some(())?;
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            command.split(|byte| *byte == 0).any(|one| one == argument.as_bytes()).then_some(())?;
            entry.file_name().to_str()?.parse().ok()
        });
        pid(found.expect("a child process of the run"))
    }

    fn dir(&self) -> Option<PathBuf> {
        self.stack.runs().difference(&self.before).next().cloned()
    }

    /// Waits for a fact of the run.
    #[track_caller]
    pub fn until(&mut self, what: &str, wanted: impl Fn(&EventKind) -> bool) -> &mut Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = self.dir().map(|dir| read_events(&dir)).unwrap_or_default();
            if events.iter().any(|event| wanted(&event.kind)) {
                return self;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let output = self.child.take().unwrap().wait_with_output().unwrap();
                panic!("{what} did not happen: {:?}", Ran::from(output));
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits for a phase.
    #[track_caller]
    pub fn until_phase(&mut self, wanted: Phase) -> &mut Self {
        self.until(
            &format!("phase {wanted}"),
            |kind| matches!(kind, EventKind::PhaseStarted { phase } if *phase == wanted),
        )
    }

    /// Waits until the fault is seen.
    #[track_caller]
    pub fn until_effect(&mut self) -> &mut Self {
        self.until("the fault's effect", |kind| matches!(kind, EventKind::FaultEffectObserved { .. }))
    }

    pub fn signal(&mut self, signal: Signal) -> &mut Self {
        kill_process(self.pid(), signal).unwrap();
        self
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Run {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let dir = self.dir();
        let ran = Ran { code: output.status.code(), out: lossy(&output.stdout), err: lossy(&output.stderr) };
        let events = dir.as_deref().map(read_events).unwrap_or_default();
        let result = dir.as_ref().and_then(|dir| fs::read_to_string(dir.join("result.json")).ok());
        let result = result.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        Run { ran, dir, events, result }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The facts so far; a line that is being written is left out.
fn read_events(dir: &Path) -> Vec<Event> {
    let Ok(bytes) = fs::read(dir.join("events.ndjson")) else { return Vec::new() };
    read_log(bytes.as_slice()).map(|log| log.events).unwrap_or_default()
}

/// A run that has ended.
#[derive(Debug)]
pub struct Run {
    pub ran: Ran,
    pub dir: Option<PathBuf>,
    pub events: Vec<Event>,
    pub result: Value,
}

impl Run {
    /// It ended with this code, its report agrees, and `judge` comes to the same verdict.
    #[track_caller]
    pub fn ended(&self, stack: &Stack, code: i32) -> &Self {
        assert_eq!(self.ran.code, Some(code), "{self}");
        let dir = self.dir.as_deref().unwrap();
        assert_eq!(self.result["exit_code"], code, "{self}");
        let again = stack.judge(dir);
        assert_eq!(again.code, Some(code), "judge: {again:?}\n{self}");
        assert!(!again.err.contains("the run itself said"), "judge: {again:?}");
        self
    }

    /// A person who reads the output and a program that reads the report are both told this.
    #[track_caller]
    pub fn because(&self, reason: &str) -> &Self {
        let report = self.result.to_string().replace("\\\"", "\"");
        assert!(report.contains(reason), "the report does not say {reason:?}\n{self}");
        assert!(
            self.ran.out.contains(reason) || self.ran.err.contains(reason),
            "the output does not say {reason:?}\n{self}"
        );
        self
    }

    /// No fault was planned, let alone applied.
    #[track_caller]
    pub fn touched_nothing(&self) -> &Self {
        let planned = self.events.iter().find(|event| matches!(event.kind, EventKind::FaultPlanned { .. }));
        assert!(planned.is_none(), "{planned:?}");
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "exit code {:?}", self.ran.code)?;
        writeln!(out, "stdout:\n{}\nstderr:\n{}", self.ran.out, self.ran.err)?;
        write!(out, "result.json:\n{:#}", self.result)
    }
}
