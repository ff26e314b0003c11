//! A worker that is talked to, servers that note what they get, and specifications of loads.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::ConnectInfo,
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use harness_event::{LoadPhase, LoadSpec, LoadStart, LoadStep, Millis, RateStage};
use harness_load::{Assignment, Command, Entry, Frame, Message, PROTOCOL_VERSION, Reason};
use hdrhistogram::{Histogram, serialization::Deserializer};
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout},
    task::JoinHandle,
    time::timeout,
};

/// Longest time that anything in these tests may take, on however busy a machine.
pub const LIMIT: Duration = Duration::from_secs(30);

pub fn step(name: &str, url: String) -> LoadStep {
    LoadStep {
        name: name.to_owned(),
        method: "GET".to_owned(),
        url,
        headers: BTreeMap::new(),
        body: None,
        extract: Vec::new(),
        status: 200,
        weight: 1,
        think: None,
        timeout: Millis::from_secs(20),
    }
}

pub fn load(users: u32, steps: Vec<LoadStep>) -> LoadSpec {
    LoadSpec {
        name: "load".to_owned(),
        start: LoadStart::After(Millis(0)),
        duration: None,
        users,
        ramp: Millis(0),
        warm_up: Millis(0),
        requests: None,
        stages: Vec::new(),
        requests_per_connection: None,
        ca_file: None,
        setup: Vec::new(),
        in_order: true,
        steps,
    }
}

pub fn rate(rate: f64) -> RateStage {
    RateStage { rate, to: None, length: None }
}

pub fn assignment(load: LoadSpec) -> Assignment {
    Assignment {
        protocol: PROTOCOL_VERSION,
        run: "run-1".to_owned(),
        load,
        ca_pem: None,
        files: BTreeMap::new(),
        phase: LoadPhase::Before,
    }
}

/// A worker process. It is killed when it is dropped.
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts one.
    pub fn spawn() -> Self {
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_load-worker"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, output }
    }

    /// Starts one and has it get ready.
    pub async fn ready(assignment: &Assignment) -> Self {
        let mut worker = Self::spawn();
        worker.send(assignment).await;
        assert_eq!(worker.next().await, Some(Message::Hello { protocol: PROTOCOL_VERSION }));
        assert_eq!(worker.next().await, Some(Message::Ready));
        worker
    }

    /// Starts one and the load.
    pub async fn started(assignment: &Assignment) -> Self {
        let mut worker = Self::ready(assignment).await;
        worker.send(&Command::Start).await;
        let message = worker.next().await;
        assert!(matches!(message, Some(Message::Started { .. })), "{message:?}");
        worker
    }

    pub async fn send(&mut self, line: &impl Serialize) {
        self.send_line(&serde_json::to_string(line).unwrap()).await;
    }

    pub async fn send_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        input.flush().await.unwrap();
    }

    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// The next message; none at the end of output. Anything that is no message fails the test.
    pub async fn next(&mut self) -> Option<Message> {
        let line = timeout(LIMIT, self.output.next_line()).await.expect("a message in time").unwrap()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Frame {
        match self.next().await {
            Some(Message::Frame(frame)) => frame,
            other => panic!("a frame, not {other:?}"),
        }
    }

    pub async fn exited(&mut self) -> ExitStatus {
        timeout(LIMIT, self.child.wait()).await.expect("it ends in time").unwrap()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Memory that it has, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Everything until the worker's end.
    pub async fn finish(mut self, mut frames: Vec<Frame>) -> Report {
        loop {
            match self.next().await {
                Some(Message::Frame(frame)) => frames.push(frame),
                Some(Message::Done { reason, requests, .. }) => {
                    assert_eq!(self.next().await, None, "Done is the last message");
                    assert!(self.exited().await.success());
                    let report = Report { frames, reason };
                    report.check(requests);
                    return report;
                }
                other => panic!("a frame or the end, not {other:?}"),
            }
        }
    }

    /// The text of its failure, and the end of the process.
    pub async fn failure(&mut self) -> String {
        let error = match self.next().await {
            Some(Message::Failed { error }) => error,
            other => panic!("a failure, not {other:?}"),
        };
        assert_eq!(self.next().await, None, "Failed is the last message");
        assert_eq!(self.exited().await.code(), Some(1));
        error
    }
}

/// Carries out a load to its end.
pub async fn run(assignment: &Assignment) -> Report {
    Worker::started(assignment).await.finish(Vec::new()).await
}

/// Frames of a load that came to its end.
pub struct Report {
    pub frames: Vec<Frame>,
    pub reason: Reason,
}

impl Report {
    /// What holds for every load.
    fn check(&self, requests: u64) {
        for (number, frame) in self.frames.iter().enumerate() {
            assert_eq!(frame.number, number as u64);
        }
        for pair in self.frames.windows(2) {
            assert_eq!(pair[0].from + pair[0].length, pair[1].from, "no gap between frames");
            assert!(pair[0].begun <= pair[1].begun && pair[0].due <= pair[1].due);
        }
        assert_eq!(self.requests(), requests, "frames have all requests");
        assert_eq!(
            self.frames.last().map_or(0, |frame| frame.begun),
            requests,
            "all that began are in frames"
        );
        for entry in self.entries() {
            assert_eq!(decode(entry).len(), entry.requests(), "each request has a latency");
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.frames.iter().flat_map(|frame| &frame.entries)
    }

    pub fn requests(&self) -> u64 {
        self.entries().map(Entry::requests).sum()
    }

    pub fn failed(&self) -> u64 {
        self.entries().map(|entry| entry.failed).sum()
    }

    pub fn of_phase(&self, phase: LoadPhase) -> u64 {
        self.entries().filter(|entry| entry.phase == phase).map(Entry::requests).sum()
    }

    pub fn of_step(&self, step: usize) -> u64 {
        self.entries().filter(|entry| entry.step == step).map(Entry::requests).sum()
    }

    pub fn statuses(&self) -> BTreeMap<u16, u64> {
        let mut sum = BTreeMap::new();
        for (status, count) in self.entries().flat_map(|entry| &entry.statuses) {
            *sum.entry(*status).or_default() += count;
        }
        sum
    }

    pub fn errors(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (kind, count) in self.entries().flat_map(|entry| &entry.errors) {
            *sum.entry(kind.clone()).or_default() += count;
        }
        sum
    }

    pub fn latencies(&self) -> Histogram<u64> {
        let mut sum = Histogram::new(harness_load::HISTOGRAM_DIGITS).unwrap();
        for entry in self.entries() {
            sum.add(decode(entry)).unwrap();
        }
        sum
    }
}

fn decode(entry: &Entry) -> Histogram<u64> {
    Deserializer::new()
        .deserialize(&mut BASE64_STANDARD.decode(&entry.latencies).unwrap().as_slice())
        .unwrap()
}

/// A request as a server got it.
#[derive(Clone, Debug)]
pub struct Got {
    pub at: Instant,
    pub peer: SocketAddr,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A server that notes all requests.
pub struct Server {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// One that answers as this says.
    pub async fn start<F>(answer: impl Fn(Got) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let got = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&got);
        let handler = move |ConnectInfo(peer): ConnectInfo<SocketAddr>,
                            method: Method,
                            uri: Uri,
                            headers: HeaderMap,
                            body: Bytes| {
            let got = Got { at: Instant::now(), peer, method, uri, headers, body };
            notes.lock().unwrap().push(got.clone());
            answer(got)
        };
        let router = Router::new().fallback(handler);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { address, got, task }
    }

    /// One that answers everything with 200 and a short text.
    pub async fn hello() -> Self {
        Self::start(|_| async { Response::new("hello".into()) }).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
