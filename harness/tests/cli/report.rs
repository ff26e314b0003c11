//! `harness report`: every format again, out of logs as runs and crashes leave them.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    thread,
};

use harness_event::{Event, EventKind, Millis, RunMode, Timestamp, to_line};

use super::common::{Place, Ran};

pub const SCENARIO: &str = r#"
title = "Nobody is told"
namespace = "gallery"
[[steady_state.http]]
name = "portal"
url = "service://gallery/portal:18080/healthz"
[[fault]]
name = "gone"
duration = "10s"
scale = { workload = "deployment/postgres", replicas = 0 }
[[expect.workload]]
workload = "deployment/postgres"
ready = 1
within = "10s"
"#;

/// Logs of a run that was refused, in a place of their own.
pub fn place(ids: &[&str]) -> Place {
    let place = Place::new();
    for id in ids {
        let plan =
            harness_scenario::parse("x.toml", SCENARIO).map_err(|error| error.to_string()).unwrap().plan;
        let kinds = [
            EventKind::RunStarted {
                format: harness_event::FORMAT_VERSION,
                run: (*id).to_owned(),
                harness: "0.1.0".to_owned(),
                scenario: "scenarios/x.toml".to_owned(),
                scenario_sha256: "00".to_owned(),
                mode: RunMode::Scenario,
                plan,
            },
            EventKind::RunRefused { problems: vec!["no alert rule \"X\"".to_owned()] },
            EventKind::RunFinished { demanded: Millis(0), bring_up: Millis(0) },
        ];
        let dir = dir(&place, id);
        fs::create_dir_all(&dir).unwrap();
        let lines = kinds.into_iter().enumerate().map(|(seq, kind)| {
            let (at, elapsed) = (Timestamp(1_763_700_000_000 + seq as i64 * 1000), Millis(seq as i64 * 1000));
            to_line(&Event { seq: seq as u64, at, elapsed, kind }).unwrap()
        });
        fs::write(dir.join("events.ndjson"), lines.collect::<String>()).unwrap();
    }
    place
}

fn dir(place: &Place, id: &str) -> PathBuf {
    place.path().join("state/runs").join(id)
}

pub const ID: &str = "20261121-100000-abcd";

#[test]
fn every_format_is_made_again_and_named() {
    let place = place(&[ID]);
    let files = ["result.json", "junit.xml", "summary.md", "report.html", "trace.json"];
    let ran = place.run(&["report", "last"]).expect(0);
    let paths: Vec<_> = files.iter().map(|file| dir(&place, ID).join(file)).collect();
    let shown: Vec<_> = ran.out.lines().map(PathBuf::from).collect();
    assert_eq!(shown, paths);
    for path in &paths {
        assert!(fs::metadata(path).unwrap().len() > 100, "{path:?}");
    }
    // Again and again the same, by any name of the run.
    let before: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let log = dir(&place, ID).join("events.ndjson");
    for name in [ID, "20261121", log.to_str().unwrap(), dir(&place, ID).to_str().unwrap()] {
        place.run(&["report", name]).expect(0);
        let now: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        assert_eq!(now, before, "{name}");
    }
    let json = place.run(&["report", "last", "--json"]).expect(0).out;
    let json = json.replace(place.path().to_str().unwrap(), "[place]");
    insta::assert_snapshot!(json);
}

#[test]
fn reports_go_where_they_are_wanted() {
    let place = place(&[ID]);
    let markdown = place.run(&["report", "last", "--format", "markdown", "-o", "-"]).expect(0).out;
    assert!(markdown.starts_with("# ❌ REFUSED: Nobody is told\n"), "{markdown}");
    let line = place.run(&["report", "last", "--format", "line"]).expect(0).out;
    assert!(line.contains("REFUSED") && line.contains("no alert rule"), "{line}");
    let (file, directory) = (place.path().join("x/y.md"), place.path().join("z"));
    let ran = place.run(&["report", "last", "--format", "markdown", "-o", file.to_str().unwrap()]).expect(0);
    assert_eq!(ran.out.trim_end(), file.to_str().unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), markdown);
    place.run(&["report", "last", "--format", "junit,line", "-o", directory.to_str().unwrap()]).expect(0);
    assert!(directory.join("junit.xml").is_file() && directory.join("run.txt").is_file());
    assert!(!dir(&place, ID).join("junit.xml").exists(), "only where it was wanted");
    for (args, reason) in [
        (&["--format", "junit,json", "-o", "-"][..], "only one report can go to standard output"),
        (&["--format", "junit", "-o", "-", "--json"], "can't both go to standard output"),
        (&["--format", "junit,json", "-o", file.to_str().unwrap()], "can't go to one file"),
        (&["--format", "pdf"], "possible values"),
    ] {
        let ran = place.run(&[&["report", "last"], args].concat()).expect(2);
        assert!(ran.err.contains(reason), "{}", ran.err);
    }
}

#[test]
fn every_report_can_have_a_copy() {
    let place = place(&[ID]);
    let file = |name: &str| place.path().join("copies").join(name).to_str().unwrap().to_owned();
    let formats = [("--json", "json"), ("--junit", "junit"), ("--html", "html"), ("--markdown", "markdown")];
    let copies = formats.map(|(option, format)| [option.to_owned(), file(format)]);
    let args: Vec<&str> =
        ["judge", "last"].into_iter().chain(copies.iter().flatten().map(String::as_str)).collect();
    place.run(&args).expect(2);
    for (_, format) in formats {
        let again = place.run(&["report", "last", "--format", format, "-o", "-"]).expect(0).out;
        assert!(fs::read_to_string(file(format)).unwrap().trim_end() == again.trim_end(), "{format}");
    }
}

#[test]
fn a_torn_log_is_reported_and_said_and_a_damaged_one_names_the_line() {
    let place = place(&[ID]);
    let log = dir(&place, ID).join("events.ndjson");
    let whole = fs::read_to_string(&log).unwrap();
    let end = whole.trim_end().rfind('\n').unwrap() + 10;
    fs::write(&log, &whole[..end]).unwrap();
    let ran = place.run(&["report", "last", "--format", "markdown", "-o", "-"]).expect(0);
    assert!(ran.err.contains("the last line of the log is incomplete"), "{}", ran.err);
    assert!(ran.out.contains("REFUSED"), "{}", ran.out);

    let damaged = whole.replacen("\"run_refused\"", "\"run_refus", 1);
    fs::write(&log, &damaged).unwrap();
    let ran = place.run(&["report", "last"]).expect(2);
    assert!(ran.err.contains("line 2 of the event log is damaged"), "{}", ran.err);
    assert!(ran.err.contains("hint:"), "{}", ran.err);
    assert!(!dir(&place, ID).join("result.json").exists());
}

#[test]
fn a_run_that_is_not_there_or_not_clear_is_an_error_with_a_hint() {
    let place = place(&[ID, "20261121-110000-efgh"]);
    for (name, reason) in
        [("nothing", "there is no run \"nothing\""), ("2026", "could be any of 20261121-100000-abcd, ")]
    {
        let ran = place.run(&["report", name]).expect(2);
        assert!(ran.err.contains(reason) && ran.err.contains("hint:"), "{}", ran.err);
    }
    let stranger = place.path().join("notes.txt");
    fs::write(&stranger, "x").unwrap();
    let ran = place.run(&["report", stranger.to_str().unwrap()]).expect(2);
    assert!(ran.err.contains("is no run"), "{}", ran.err);
}

/// Answers one request after the other with this status, and gives what was asked.
fn server(status: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        let body = "{\"message\":\"no\"}";
        let length_line = format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        write!(stream, "HTTP/1.1 {status}\r\n{length_line}").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (url, answer)
}

#[test]
fn what_grafana_does_changes_no_report() {
    let place = place(&[ID]);
    let token = place.path().join("token");
    fs::write(&token, "glsa_secret\n").unwrap();
    let (url, answer) = server("401 Unauthorized");
    let args = ["report", "last", "--grafana", &url, "--grafana-token-file", token.to_str().unwrap()];
    let ran = place.run(&args).expect(0);
    assert!(
        ran.err.contains("warning: Grafana refuses to list annotations: 401 Unauthorized (no)"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("verdict and reports are not affected"), "{}", ran.err);
    assert!(!ran.err.contains("glsa_secret") && !ran.out.contains("glsa_secret"));
    let asked = answer.join().unwrap();
    assert!(
        asked.contains("authorization: Bearer glsa_secret")
            && asked.contains("tags=run%3A20261121-100000-abcd"),
        "{asked}"
    );
    assert!(dir(&place, ID).join("summary.md").is_file());

    // The environment names it as well; a secret in the URL is refused and not repeated.
    let secret = "http://admin:hunter2@localhost:3000";
    let ran =
        Ran::from(place.command(&["report", "last"]).env("GRAFANA_URL", secret).output().unwrap()).expect(2);
    assert!(
        ran.err.contains("credentials do not belong into the URL") && !ran.err.contains("hunter2"),
        "{}",
        ran.err
    );
}
