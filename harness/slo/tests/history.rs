//! A burn rate alert on a young Prometheus comes too early; with a healthy history it comes when theory says.
//!
//! Needs Prometheus and promtool on the PATH or in the tools cache (`make tools`); without them this test fails and says so.
#![allow(missing_docs)]

mod tools;

use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use harness_slo::{
    compress::{Length, Ratio, Report, RuleFile, Sampling, scale_rules},
    history::{Past, healthy, write_openmetrics},
};
use serde_json::Value;

const FACTOR: u32 = 30;
/// Requests a second, and the share of errors once there are some.
const RATE: f64 = 50.0;
const ERRORS: f64 = 0.1;
/// Burn rate times error budget, and the long window at this compression, in seconds.
const THRESHOLD: f64 = 14.4 * 0.001;
const WINDOW: f64 = 120.0;
/// Between two scrapes and between two evaluations, in seconds.
const STEP: f64 = 0.5;

const RULES: &str = r#"groups:
- name: slo
  rules:
  - record: slo:sli_error:ratio_rate5m
    expr: sum(rate(errors_total{job="demo"}[5m])) / (sum(rate(requests_total{job="demo"}[5m])) > 0)
  - record: slo:sli_error:ratio_rate1h
    expr: sum(rate(errors_total{job="demo"}[1h])) / (sum(rate(requests_total{job="demo"}[1h])) > 0)
  - alert: Burn
    expr: slo:sli_error:ratio_rate5m > (14.4 * 0.001) and slo:sli_error:ratio_rate1h > (14.4 * 0.001)
"#;

/// Ends the process with the test.
struct Prometheus {
    child: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A service with constant traffic, and errors from a moment on.
fn service(onset: Arc<Mutex<Option<f64>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let start = now();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let time = now();
            let bad = onset.lock().unwrap().map_or(0.0, |onset| (time - onset).max(0.0) * RATE * ERRORS);
            let body = format!(
                "requests_total{{route=\"/\"}} {}\nerrors_total{{route=\"/\"}} {bad}\n",
                (time - start) * RATE
            );
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    address
}

fn start(dir: &Path, service: &str, rules: &str) -> Prometheus {
    fs::write(dir.join("rules.yml"), rules).unwrap();
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}\nrule_files: [rules.yml]\n\
         scrape_configs:\n- job_name: demo\n  static_configs: [{{targets: ['{service}']}}]\n"
    );
    fs::write(dir.join("prometheus.yml"), config).unwrap();
    // Free a moment ago; somebody else may take it, then Prometheus does not get ready and the test says so.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let log = File::create(dir.join("log")).unwrap();
    let child = tools::command("prometheus")
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Prometheus { child, address }
}

fn query(prometheus: &Prometheus, expression: &str) -> Option<Value> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut stream = TcpStream::connect(&prometheus.address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET /api/v1/query?query={encoded} HTTP/1.0\r\nHost: x\r\n\r\n").ok()?;
    let mut answer = String::new();
    BufReader::new(stream).read_to_string(&mut answer).ok()?;
    let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    let result = answer["data"]["result"].as_array()?.clone();
    result.into_iter().next()
}

/// Times of the samples of the first series that a range selector gives.
fn times(prometheus: &Prometheus, selector: &str) -> Vec<f64> {
    let series = query(prometheus, selector).unwrap_or_default();
    let values = series["values"].as_array().cloned().unwrap_or_default();
    values.iter().filter_map(|value| value[0].as_f64()).collect()
}

#[track_caller]
fn wait<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {seconds} s");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn with_a_healthy_history_a_burn_rate_alert_comes_when_theory_says() {
    let mut rules = RuleFile::parse("rules.yml", RULES).unwrap();
    let counters = healthy([&rules]).unwrap();
    let interval = Length::from_millis(500);
    let mut report = Report::default();
    let sampling = Sampling { scrape: Some(interval), evaluation: Some(interval) };
    scale_rules(&mut [&mut rules], Ratio::divide_by(FACTOR), sampling, &mut report);
    assert_eq!(report, Report::default());
    let rules = rules.to_yaml("rules.yml").unwrap();

    let onset = Arc::new(Mutex::new(None));
    let (old, young) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let past = Past { end: now(), length: Length::from_millis(200_000), step: interval, per_second: RATE };
    let service = service(onset.clone());
    let text = old.path().join("history.om");
    let mut file = BufWriter::new(File::create(&text).unwrap());
    write_openmetrics(&counters, &past, &mut file).unwrap();
    drop(file);
    let made = tools::command("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&text, &old.path().join("data")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (old, young) = (start(old.path(), &service, &rules), start(young.path(), &service, &rules));

    // A few scrapes in both, so that the young one could tell an error ratio at all.
    let selector = "requests_total{route=\"/\"}[5m]";
    let first = wait("scrapes of both", 60, || {
        let (one, two) = (times(&old, selector), times(&young, selector));
        (one.len() > 10 && two.len() > 10).then(|| (one[0], two[0]))
    });
    let began = now();
    *onset.lock().unwrap() = Some(began);
    let fired = |prometheus: &Prometheus| {
        wait("the alert", 60, || times(prometheus, "ALERTS{alertname=\"Burn\"}[5m]").first().copied()) - began
    };
    let early = fired(&young);
    let right = fired(&old);

    // Between the end of the history and the first scrape nothing was counted, so the window holds that much less.
    let gap = first.0 - past.end;
    assert!((0.0..30.0).contains(&gap), "{gap}");
    let theory = THRESHOLD * (WINDOW - gap) / ERRORS;
    // One scrape until the errors are seen, and two evaluations.
    let late = right - theory;
    assert!(
        (-STEP..3.0 * STEP).contains(&late),
        "fired after {right:.2} s, theory says {theory:.2} s (gap {gap:.2} s)"
    );
    // What the young one sees is an hour of little more than the seconds of its life.
    let age = began - first.1;
    assert!(
        early < theory / 2.0,
        "a Prometheus of {age:.1} s fired after {early:.2} s, theory says {theory:.2} s"
    );
}
