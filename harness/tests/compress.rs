//! Compressed time through the real binary and the real Prometheus and Alertmanager.
//!
//! These tests need the programs that `make tools` provides; where one is missing they fail and say so.
#![allow(missing_docs)]

mod common;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use common::{Place, Ran};
use serde_json::Value;

/// The project's monitoring with nothing to watch.
fn deploy(place: &Place) -> String {
    let root = place.path().join("deploy");
    let monitoring = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/monitoring");
    for (part, resources) in [("monitoring", format!("[{:?}]", monitoring)), ("gallery", "[]".to_owned())] {
        fs::create_dir_all(root.join(part)).unwrap();
        fs::write(root.join(part).join("kustomization.yaml"), format!("resources: {resources}\n")).unwrap();
    }
    root.to_str().unwrap().to_owned()
}

/// A scenario that is over in seconds.
fn scenario(place: &Place, more: &str) -> String {
    let path = place.path().join("scenario.toml");
    let text = format!(
        "title = \"The exporter's pod is replaced\"\nnamespace = \"monitoring\"\n{more}\n\
         [steady_state]\nfor = \"1s\"\n[[steady_state.promql]]\nname = \"prometheus\"\nquery = 'up{{job=\"prometheus\"}}'\nis = \"== 1\"\n\
         [[fault]]\nname = \"pod\"\nduration = \"1s\"\n\
         delete_pods = {{ selector = \"app.kubernetes.io/name=postgres-exporter\", count = 1 }}\n\
         [expect]\nrecovery_within = \"20s\"\nallow_alerts = [{{ alert = \"=~.+\" }}]\n"
    );
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// GET of a JSON answer.
fn get(base: &str, path: &str) -> Value {
    let address = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    serde_json::from_str(body).unwrap()
}

fn url(place: &Place, title: &str) -> String {
    let status = place.run(&["status"]).expect(0).out;
    let line = status.lines().find(|line| line.trim_start().starts_with(title));
    line.and_then(|line| line.split_whitespace().last()).unwrap_or_else(|| panic!("{status}")).to_owned()
}

/// What Prometheus and Alertmanager have loaded.
#[derive(Debug, PartialEq)]
struct Seen {
    lookback: String,
    evaluation: String,
    /// Seconds of `for`.
    api_down: f64,
    error_ratio_1h: String,
    repeat: String,
}

fn seen(place: &Place) -> Seen {
    let prometheus = url(place, "Prometheus");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let flags = get(&prometheus, "/api/v1/status/flags");
    let config = get(&prometheus, "/api/v1/status/config");
    let rules = get(&prometheus, "/api/v1/rules");
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rule = |name: &str| {
        let all = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        all.into_iter().find(|rule| rule["name"] == name).unwrap().clone()
    };
    let line = |yaml: &str, key: &str| {
        let found = yaml.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
        found.trim_start_matches(':').trim().to_owned()
    };
    let status = get(&url(place, "Alertmanager"), "/api/v2/status");
    let ratio = text(&rule("slo:sli_error:ratio_rate1h")["query"]);
    Seen {
        lookback: text(&flags["data"]["query.lookback-delta"]),
        evaluation: line(config["data"]["yaml"].as_str().unwrap(), "evaluation_interval"),
        api_down: rule("APIServiceDown")["duration"].as_f64().unwrap(),
        error_ratio_1h: ratio
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .unwrap()
            .0
            .to_owned(),
        repeat: line(status["config"]["original"].as_str().unwrap(), "repeat_interval: 4h"),
    }
}

#[test]
#[ignore = "long: part of make test-long"]
fn the_stack_s_time_is_compressed_and_taken_back() {
    let place = Place::new();
    let deploy = deploy(&place);
    let up = place.run(&["up", "--deploy-dir", &deploy, "--compress", "60"]).expect(0);
    assert!(up.out.contains("Time is compressed ×60"), "{}", up.out);
    assert!(
        up.out.contains("does not scale: alert PodCrashLooping (group pods): changes() >= 2"),
        "{}",
        up.out
    );
    assert!(place.run(&["status"]).expect(0).out.contains("compressed ×60"));
    let prometheus = url(&place, "Prometheus");
    let flags = get(&prometheus, "/api/v1/status/flags");
    assert_eq!(flags["data"]["query.lookback-delta"], "5s");
    assert_eq!(flags["data"]["rules.alert.resend-delay"], "1s");
    let status = get(&url(&place, "Alertmanager"), "/api/v2/status");
    let alertmanager = status["config"]["original"].as_str().unwrap().to_owned();
    assert!(
        alertmanager.contains("group_wait: 500ms") && alertmanager.contains("repeat_interval: 2h"),
        "{alertmanager}"
    );

    // A run has the pace that it asks for, whatever the stack's was.
    let file = scenario(&place, "");
    let run =
        |args: &[&str]| -> Ran { place.run(&[&["run", "--deploy-dir", &deploy, &file], args].concat()) };
    let dry = run(&["--dry-run", "--compress", "30"]).expect(0);
    assert!(dry.out.contains("note: the stack's time runs ×60, a run would set it to ×30"), "{}", dry.out);
    assert!(place.run(&["status"]).expect(0).out.contains("compressed ×60"));
    let compressed = run(&["--compress", "30"]).expect(0);
    assert!(compressed.out.contains("compressed x30, not a latency claim"), "{}", compressed.out);
    assert!(place.run(&["status"]).expect(0).out.contains("compressed ×30"));
    let expected = Seen {
        lookback: "10s".to_owned(),
        evaluation: "1s".to_owned(),
        api_down: 5.0,
        error_ratio_1h: "2m".to_owned(),
        repeat: String::new(),
    };
    assert_eq!(seen(&place), expected);

    let authored = run(&[]).expect(0);
    assert!(!authored.out.contains("compressed x"), "{}", authored.out);
    assert!(!place.run(&["status"]).expect(0).out.contains("compressed"));
    let expected = Seen { lookback: "5m".to_owned(), error_ratio_1h: "1h".to_owned(), ..expected };
    assert_eq!(seen(&place), expected);
}

#[test]
#[ignore = "long: part of make test-long"]
fn a_new_stack_gets_a_healthy_past() {
    let place = Place::new();
    let deploy = deploy(&place);
    let too_long = place.run(&["up", "--deploy-dir", &deploy, "--history", "5d"]).expect(2);
    assert!(too_long.err.contains("Prometheus keeps data for 2d"), "{}", too_long.err);
    let up = ["up", "--deploy-dir", &deploy, "--compress", "30", "--history", "10m", "--history-rate", "20"];
    let first = place.run(&up).expect(0);
    assert!(first.out.contains("Prometheus has a healthy past of 10m"), "{}", first.out);
    let prometheus = url(&place, "Prometheus");
    // Rules are evaluated group by group: what is asked for may not be there yet.
    let value = |query: &str| {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            let answer = get(&prometheus, &format!("/api/v1/query?query={encoded}"));
            if let Some(text) = answer["data"]["result"][0]["value"][1].as_str() {
                return text.parse::<f64>().unwrap();
            }
            assert!(std::time::Instant::now() < deadline, "{query}: {answer}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    // Two hours of the SLO's time ago there was traffic, and none of it was bad.
    let total = "sum(rate(http_request_duration_seconds_count{service=\"portal\"}[2m] offset 4m))";
    assert!((value(total) - 20.0).abs() < 0.1, "{}", value(total));
    let ratio = "slo:sli_error:ratio_rate6h{sloth_id=\"gallery-portal-latency\"}";
    assert_eq!(value(ratio), 0.0);

    // The past stays with the stack: as it is asked for again, and through a change of pace.
    place.run(&up).expect(0);
    place.run(&["up", "--deploy-dir", &deploy]).expect(0);
    assert!((value(total) - 20.0).abs() < 0.1, "{}", value(total));
    let other = place.run(&["up", "--deploy-dir", &deploy, "--history", "20m"]).expect(2);
    assert!(other.err.contains("the stack is up already, without that history"), "{}", other.err);

    // A run begins with the past of its scenario, up to now: Prometheus starts anew, and there is no other one beside it.
    let file = scenario(&place, "history = { length = \"20m\", rate = 40 }");
    let dry = place.run(&["run", "--dry-run", "--deploy-dir", &deploy, &file]).expect(0);
    assert!(dry.out.contains("Prometheus starts anew with 20m00s at 40 requests/s"), "{}", dry.out);
    assert!((value(total) - 20.0).abs() < 0.1, "{}", value(total));
    for _ in 0..2 {
        let ran = place.run(&["run", "--deploy-dir", &deploy, &file]).expect(0);
        assert!(ran.err.contains("healthy past of 20m at 40 requests/s"), "{}", ran.err);
        assert!(ran.out.contains("Prometheus was given a past of 20m00s at 40 requests/s"), "{}", ran.out);
        assert!(place.run(&["status"]).expect(0).out.contains("20m of 40 requests/s"));
        assert!((value(total) - 40.0).abs() < 0.1, "{}", value(total));
        assert!((value(&total.replace("4m", "15m")) - 40.0).abs() < 0.1);
    }

    // A run that asks for none leaves it.
    let file = scenario(&place, "");
    place.run(&["run", "--deploy-dir", &deploy, &file]).expect(0);
    assert!((value(total) - 40.0).abs() < 0.1, "{}", value(total));
}

#[test]
fn a_compression_that_cannot_be_is_refused_before_anything_is_started() {
    let place = Place::new();
    let deploy = deploy(&place);
    let much = place.run(&["up", "--deploy-dir", &deploy, "--compress", "2000"]).expect(2);
    for reason in
        ["the stack's time can't be compressed ×2000", "scraping every 15ms is too often, 100ms is the limit"]
    {
        assert!(much.err.contains(reason), "{}", much.err);
    }
    place.run(&["up", "--deploy-dir", &deploy, "--compress", "0"]).expect(2);
    let file = scenario(&place, "compress = 30");
    let both = place.run(&["run", "--deploy-dir", &deploy, "--compress", "60", &file]).expect(2);
    assert!(
        both.err.contains("--compress 60 contradicts the scenario, which says compress = 30"),
        "{}",
        both.err
    );
    // No cluster is asked: the answer is the same for all.
    for args in [["--kubeconfig", "/nowhere"], ["--context", "production"]] {
        let real = place.run(&[&args[..], &["run", &file]].concat()).expect(2);
        assert!(real.err.contains("can't be compressed ×30 on a cluster of your own"), "{}", real.err);
    }
    let file = scenario(&place, "history = { length = \"20m\", rate = 40 }");
    let real = place.run(&["--context", "production", "run", &file]).expect(2);
    assert!(real.err.contains("can't be given a past of 20m00s on a cluster of your own"), "{}", real.err);
    assert!(!place.path().join("state/stack/control-plane.json").exists());
}

#[test]
fn rule_files_are_compressed_at_the_desk() {
    let place = Place::new();
    let file = place.path().join("rules.yml");
    let text = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'increase(x[1h]) > 5', for: 5m}\n";
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let ran = place.run(&["slo", "compress", "30", file]).expect(0);
    assert!(ran.out.contains("increase(x[2m]) > 5") && ran.out.contains("for: 10s"), "{}", ran.out);
    assert!(ran.err.starts_with("does not scale: alert A (group g): increase() > 5"), "{}", ran.err);
    let never = place.run(&["slo", "compress", "--scrape-interval", "1h", "30", file]).expect(2);
    assert!(never.err.contains("increase() over 2m needs 2 samples"), "{}", never.err);
    assert_eq!(never.out, "");
}
