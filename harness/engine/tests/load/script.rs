//! Workers made of shell scripts.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use harness_engine::{
    Log,
    load::{Load, LoadState, Loads, PreparedLoad, WorkerCommand},
};
use harness_event::{EventKind, LoadPhase, LoadSpec, LoadStart, LoadStep, Millis, Timestamp};
use harness_load::{
    Assignment, Entry, Frame, HISTOGRAM_DIGITS, HISTOGRAM_MAX_US, Message, PROTOCOL_VERSION, Reason,
};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2Serializer},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Far longer than anything takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

pub fn step(name: &str, url: &str) -> LoadStep {
    LoadStep {
        name: name.into(),
        method: "GET".into(),
        url: url.into(),
        headers: BTreeMap::new(),
        body: None,
        extract: vec![],
        status: 200,
        weight: 1,
        think: None,
        timeout: Millis(100),
    }
}

pub fn load(name: &str, start: LoadStart) -> LoadSpec {
    LoadSpec {
        name: name.into(),
        start,
        duration: None,
        users: 2,
        ramp: Millis(0),
        warm_up: Millis(0),
        requests: None,
        stages: vec![],
        requests_per_connection: None,
        ca_file: None,
        setup: vec![],
        in_order: true,
        steps: vec![step("list", "http://127.0.0.1:1/")],
    }
}

/// A load that begins after the baseline and ends after so many requests.
pub fn timed(requests: u64) -> LoadSpec {
    LoadSpec { requests: Some(requests), ..load("surge", LoadStart::After(Millis(0))) }
}

pub fn prepared(spec: LoadSpec) -> PreparedLoad {
    let phase = if spec.is_background() { LoadPhase::Before } else { LoadPhase::During };
    let assignment = Assignment {
        protocol: PROTOCOL_VERSION,
        run: "test".into(),
        load: spec.clone(),
        ca_pem: None,
        files: BTreeMap::new(),
        phase,
    };
    PreparedLoad { spec, assignment, addresses: vec![] }
}

/// Requests of the first step, all answered 200.
pub fn entry(phase: LoadPhase, requests: u64) -> Entry {
    let mut latencies = Histogram::<u64>::new_with_bounds(1, HISTOGRAM_MAX_US, HISTOGRAM_DIGITS).unwrap();
    latencies.record_n(5000, requests).unwrap();
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(&latencies, &mut bytes).unwrap();
    Entry {
        phase,
        step: 0,
        statuses: [(200, requests)].into(),
        errors: BTreeMap::new(),
        failed: 0,
        bytes: 0,
        first_start: Timestamp::now(),
        latencies: BASE64_STANDARD.encode(bytes),
    }
}

pub fn frame(number: u64, begun: u64, entries: Vec<Entry>) -> Message {
    let from = Timestamp::now();
    Message::Frame(Frame { number, from, length: Millis(1000), users: 2, begun, entries, ..Frame::default() })
}

pub fn done(reason: Reason, requests: u64) -> Message {
    Message::Done { reason, ended_at: Timestamp::now(), requests }
}

/// A script, line by line. What it reads is kept in the file `orders`.
pub struct Script {
    directory: TempDir,
    lines: Vec<String>,
}

impl Script {
    /// A worker that was told its load, and said nothing yet.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let orders = directory.path().join("orders");
        let lines = vec![
            format!("hear() {{ read -r line || exit 9; echo \"$line\" >>{}; }}", orders.display()),
            "read -r assignment".into(),
        ];
        Self { directory, lines }
    }

    /// A worker that is ready and was started.
    pub fn started() -> Self {
        Self::new()
            .say(&Message::Hello { protocol: PROTOCOL_VERSION })
            .say(&Message::Ready)
            .run("hear")
            .say(&Message::Started { started_at: Timestamp::now() })
    }

    pub fn say(self, message: &Message) -> Self {
        let text = serde_json::to_string(message).unwrap();
        assert!(!text.contains('\''));
        self.run(&format!("echo '{text}'"))
    }

    pub fn run(mut self, line: &str) -> Self {
        self.lines.push(line.into());
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn command(&self) -> WorkerCommand {
        let path = self.path("worker.sh");
        fs::write(&path, self.lines.join("\n")).unwrap();
        WorkerCommand { program: "/bin/sh".into(), arguments: vec![path.display().to_string()] }
    }
}

/// One load with a scripted worker.
pub struct Case {
    pub log: Log,
    pub loads: Loads,
    pub cancel: CancellationToken,
    pub script: Script,
}

impl Case {
    pub fn launch(spec: LoadSpec, script: Script) -> Self {
        let (log, cancel) = (Log::unrecorded(), CancellationToken::new());
        let loads = Loads::launch(&[prepared(spec)], &script.command(), &log, &cancel);
        Self { log, loads, cancel, script }
    }

    /// Starts a load that begins after the baseline, and waits until it is over.
    pub async fn run(&mut self) -> LoadState {
        let load = self.loads.timed().next().unwrap();
        load.start();
        over(load).await
    }

    pub fn kinds(&self) -> Vec<EventKind> {
        self.log.events().into_iter().map(|event| event.kind).collect()
    }

    /// Why it failed.
    pub fn error(&self) -> Option<String> {
        self.kinds().into_iter().find_map(|kind| match kind {
            EventKind::LoadFailed { error, .. } => Some(error),
            _ => None,
        })
    }
}

pub async fn over(load: &Load) -> LoadState {
    tokio::time::timeout(LIMIT, load.wait(LoadState::is_over)).await.expect("it is over in time")
}
