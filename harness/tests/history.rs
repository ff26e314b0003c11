//! `harness history` and `harness compare` over scripted runs. No stack is needed.
#![allow(missing_docs)]

mod common;

use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
    process::Stdio,
};

use common::{Place, Ran};

/// The log of a scripted run that passed: it began on 2025-11-21 at 04:40:00, its alert fired at 04:40:11.
const PASSING: &str = include_str!("../history/tests/fixtures/passing.ndjson");

/// What a run leaves that may not have taken back its fault.
const LEDGER: &str = r#"{
  "version": 1, "run": "x", "namespace": "gallery", "server": "https://127.0.0.1:1", "own_stack": true, "host": "elsewhere",
  "pid": 1, "started": 1, "entries": [{
    "fault": "database-down", "reverted": false,
    "snapshot": {"kind": "scale", "workload": {"kind": "Deployment", "name": "postgres"}, "replicas": 1, "ready": 1}
  }]
}"#;

/// With the symbols of a UTF-8 locale, and no index but the place's own.
fn run(place: &Place, args: &[&str]) -> Ran {
    let command = &mut place.command(args);
    Ran::from(command.env("LC_ALL", "C.UTF-8").env_remove("HARNESS_HISTORY_URL").output().unwrap())
}

fn id(day: u32) -> String {
    format!("202511{day:02}-044000-abcd")
}

/// That run on a day of November 2025, with its alert so much later.
fn log(day: u32, later_ms: u32) -> String {
    let late = |second: u32| {
        let ms = second * 1000 + later_ms;
        format!("04:40:{:02}.{:03}Z", ms / 1000, ms % 1000)
    };
    let log = PASSING.replace("20261121-100000-abcd", &id(day));
    let log = log.replace("04:40:12.000Z", &late(12)).replace("04:40:11.000Z", &late(11));
    log.replace("2025-11-21T", &format!("2025-11-{day:02}T"))
}

fn write(place: &Place, id: &str, log: &str) -> PathBuf {
    let folder = place.path().join("state/runs").join(id);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("events.ndjson"), log).unwrap();
    folder
}

/// Runs on days 1 to 8; the alert of the last one fires two and a half seconds late.
fn eight_days() -> Place {
    let place = Place::new();
    for day in 1..=8 {
        let later = if day == 8 { 2500 } else { day * 37 % 200 };
        write(&place, &id(day), &log(day, later));
    }
    place
}

#[test]
fn a_run_that_is_still_running_is_no_regression() {
    let place = eight_days();
    let whole = log(9, 40);
    let begun: String = whole.split_inclusive('\n').take(9).collect();
    let folder = write(&place, &id(9), &begun);
    let writer = OpenOptions::new().append(true).open(folder.join("events.ndjson")).unwrap();
    writer.lock().unwrap();
    let ran = run(&place, &["compare", "--last", "5", "--json"]).expect(0);
    assert_eq!(json(&ran)["comparison"]["b"]["id"], id(8), "{}", ran.out);
    drop(writer);
    // Its process is gone: now it has an end of its own, and not a good one.
    run(&place, &["compare", "--last", "5", "--fail-on-regression"]).expect(7);
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn nothing_is_there_yet() {
    let place = Place::new();
    assert_eq!(run(&place, &["history"]).expect(0).out, "there is no run yet; `harness run` makes one\n");
    assert_eq!(run(&place, &["history", "--json"]).expect(0).out.matches("[]").count(), 2);
    let ran = run(&place, &["history", "show", "last"]).expect(2);
    assert!(ran.err.contains("there is no run yet"), "{}", ran.err);
    assert!(run(&place, &["compare", "--last", "3"]).expect(2).err.contains("there is no such run yet"));
    assert!(!place.path().join("state").exists());
}

#[test]
fn a_log_does_not_command_the_terminal() {
    let place = Place::new();
    // As JSON, in which a log holds it.
    let evil = r"\u001b[2J\u001b]8;;http://e.example\u001b\\x\u0007\r\u009b31m\u202e\u007f";
    let log = PASSING
        .replace(
            r#""title":"Database failure","description":"""#,
            &format!(r#""title":"{evil}","description":"{evil}""#),
        )
        .replace("scenarios/db-failure.toml", &format!("{evil}.toml"))
        .replace("database-down", &format!("database-down{evil}"))
        .replace("APIServiceDown", &format!("APIServiceDown{evil}"));
    write(&place, "20261121-100000-abcd", &log);
    for args in [
        &["history"][..],
        &["history", "show", "last"],
        &["compare", "--last", "1"],
        &["judge", "last"],
        &["replay", "last", "--view", "line"],
        &["report", "last", "--format", "line", "-o", "-"],
        &["report", "last", "--format", "markdown", "-o", "-"],
    ] {
        let ran = run(&place, args);
        let shown = ran.out + &ran.err;
        assert!(shown.contains("e.example") || args[0] == "compare", "{args:?}: {shown:?}");
        let commands = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(commands), "{args:?}: {shown:?}");
    }
}

#[test]
fn runs_are_listed_filtered_and_sorted() {
    let place = eight_days();
    insta::assert_snapshot!("history", run(&place, &["history", "--limit", "3"]).expect(0).out);
    let ids = |args: &[&str]| -> Vec<String> {
        let ran = run(&place, &[&["history", "--json"], args].concat()).expect(0);
        let runs = json(&ran)["runs"].as_array().unwrap().clone();
        runs.iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["--since", "2025-11-03", "--until", "2025-11-04"]), [id(4), id(3)]);
    assert_eq!(ids(&["--outcome", "failed,aborted"]), Vec::<String>::new());
    assert_eq!(ids(&["--scenario", "db-*", "--title", "*failure", "--reverse", "--limit", "1"]), [id(1)]);
    assert_eq!(ids(&["--sort", "alert_firing/APIServiceDown", "--limit", "1"]), [id(8)]);
    assert_eq!(run(&place, &["history", "--scenario", "none"]).expect(0).out, "no run matches\n");
    insta::assert_snapshot!(
        "history_sorted",
        run(&place, &["history", "--sort", "alert_firing", "--limit", "2"]).expect(0).out
    );
    insta::assert_snapshot!(
        "history_show",
        place
            .run(&["history", "show", "last"])
            .expect(0)
            .out
            .replace(place.path().to_str().unwrap(), "PLACE")
    );
    let shown = json(&run(&place, &["history", "show", "--json", &id(8)]).expect(0));
    assert_eq!(shown["id"], id(8));
    assert!(shown["measures"].as_array().unwrap().len() > 8);
    for (args, reason) in [
        (&["history", "--sort", "speed"][..], "no run has a measure \"speed\""),
        (&["history", "--outcome", "great"], "it must be one of passed"),
        (&["history", "--since", "yesterday"], "it must be so long ago"),
        (&["history", "show", "2025"], "could be any of 8 runs"),
        (&["history", "show", "1999"], "there is no run \"1999\""),
        (&["history", "prune"], "--keep-last <N>"),
        (&["history", "--history-url", "mysql://me:hunter2@db/x"], "must be postgres://"),
        (&["compare", "last"], "<B>"),
        (&["compare", "--last", "3", "--tolerance", "10"], "such as 10%"),
    ] {
        let ran = run(&place, args).expect(2);
        assert!(ran.err.contains(reason) && !ran.err.contains("hunter2"), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_list_is_read_into_a_pipe_that_closes() {
    let place = eight_days();
    let mut child =
        place.command(&["history"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(Ran::from(child.wait_with_output().unwrap()).expect(0).err, "");
}

#[test]
fn damaged_folders_are_named_and_the_others_listed() {
    let place = Place::new();
    write(&place, &id(1), &log(1, 0));
    write(&place, "empty", "");
    write(&place, "half", &PASSING[..50]);
    write(&place, "newer", &PASSING.replacen("\"format\":1", "\"format\":99", 1));
    fs::create_dir_all(place.path().join("state/runs/nothing")).unwrap();
    let until_the_fault: Vec<&str> = PASSING.lines().take(8).collect();
    write(&place, "killed", &(until_the_fault.join("\n") + "\n"));
    let ran = run(&place, &["history"]).expect(0);
    insta::assert_snapshot!(
        "history_damaged",
        format!("{}{}", ran.out, ran.err).replace(place.path().to_str().unwrap(), "PLACE")
    );
    let listed = json(&run(&place, &["history", "--json"]).expect(0));
    assert_eq!(listed["damaged"].as_array().unwrap().len(), 4);
    assert_eq!(listed["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn the_newest_run_is_compared_with_those_before_it() {
    let place = eight_days();
    insta::assert_snapshot!("compare_last", run(&place, &["compare", "--last", "10"]).expect(0).out);
    let fail = &["compare", "--last", "10", "--fail-on-regression"][..];
    run(&place, fail).expect(7);
    run(&place, &[fail, &["--measure", "recovery"]].concat()).expect(0);
    run(&place, &[fail, &["--tolerance", "100%"]].concat()).expect(0);
    run(&place, &[fail, &["--scenario", "db-failure"]].concat()).expect(7);
    let ran = run(&place, &[fail, &["--json", "--measure", "alert_firing/*"]].concat()).expect(7);
    let compared = json(&ran);
    assert_eq!(compared["comparison"]["rows"].as_array().unwrap().len(), 1);
    assert_eq!(compared["comparison"]["rows"][0]["word"], "worse");
    assert_eq!(compared["regressions"].as_array().unwrap().len(), 1);
    assert_eq!(compared["note"], serde_json::Value::Null);
}

#[test]
fn two_runs_are_compared() {
    let place = eight_days();
    insta::assert_snapshot!("compare_pair", run(&place, &["compare", &id(7), "last"]).expect(0).out);
    // The other way round it is better.
    run(&place, &["compare", "last", &id(7), "--fail-on-regression"]).expect(0);
    run(&place, &["compare", &id(7), &id(8), "--fail-on-regression"]).expect(7);
    let same = run(&place, &["compare", &id(8), &id(8)]).expect(0);
    assert!(!same.out.contains("worse") && same.out.contains("within noise"), "{}", same.out);
}

#[test]
fn other_versions_of_a_scenario_count_if_they_are_asked_for() {
    let place = eight_days();
    write(&place, &id(9), &log(9, 0).replace("\"scenario_sha256\":\"00\"", "\"scenario_sha256\":\"ff\""));
    let ran = run(&place, &["compare", "--last", "10"]).expect(0);
    assert!(ran.out.contains("there is no run before B") && ran.out.contains("there is none"), "{}", ran.out);
    let ran = run(&place, &["compare", "--last", "10", "--any-version"]).expect(0);
    assert!(
        ran.out.contains("the median of 8 runs") && ran.out.contains("has changed between the runs"),
        "{}",
        ran.out
    );
    let ran = run(&place, &["compare", &id(7), &id(9)]).expect(0);
    assert!(
        ran.out.contains("has changed between the runs") && ran.out.contains("too few runs"),
        "{}",
        ran.out
    );
    let ran = run(&place, &["compare", &id(7), &id(9), "--any-version"]).expect(0);
    assert!(ran.out.contains("within noise; noise of 7 passed runs"), "{}", ran.out);
}

#[test]
fn with_few_runs_nothing_is_a_regression_but_a_failed_run() {
    let place = Place::new();
    write(&place, &id(1), &log(1, 0));
    write(&place, &id(2), &log(2, 2500));
    let ran = run(&place, &["compare", &id(1), &id(2), "--fail-on-regression"]).expect(0);
    assert!(ran.out.contains("no measure can be called a regression"), "{}", ran.out);
    // Fires after its deadline.
    write(&place, &id(3), &log(3, 6000));
    for args in [&["compare", "--last", "2"][..], &["compare", &id(1), &id(3)]] {
        let ran = run(&place, &[args, &["--fail-on-regression"]].concat()).expect(7);
        assert!(ran.out.contains("ended as failed"), "{}", ran.out);
    }
}

#[test]
fn compressed_runs_are_compared_with_their_like_only() {
    let place = eight_days();
    let compressed = "{\"seq\":1,\"at\":\"2025-11-09T04:40:34.000Z\",\"elapsed\":34000,\"event\":\"time_compressed\",\"factor\":30,\"unscaled\":[]}";
    let with = log(9, 0);
    let mut lines: Vec<String> = with.lines().map(str::to_owned).collect();
    lines[1] = compressed.to_owned();
    write(&place, &id(9), &(lines.join("\n") + "\n"));
    let ran = run(&place, &["compare", &id(8), &id(9)]).expect(2);
    assert!(ran.err.contains("real time") && ran.err.contains("×30"), "{}", ran.err);
    let ran = run(&place, &["compare", "--last", "5"]).expect(0);
    assert!(ran.out.contains("there is no run before B"), "{}", ran.out);
}

#[test]
fn old_runs_are_deleted_and_those_that_matter_are_kept() {
    let place = eight_days();
    let runs = place.path().join("state/runs");
    let left = || -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&runs)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    // Its faults may still be on; its log has no end; it is written just now; it is damaged.
    fs::write(runs.join(id(1)).join("ledger.json"), LEDGER).unwrap();
    // Taken back: it may go.
    fs::write(
        runs.join(id(3)).join("ledger.json"),
        LEDGER.replace("\"reverted\": false", "\"reverted\": true"),
    )
    .unwrap();
    let whole = log(2, 0);
    let start: Vec<&str> = whole.lines().take(3).collect();
    write(&place, "20251002-044000-cut", &(start.join("\n") + "\n"));
    write(&place, "20251003-044000-bad", "");
    let writer = OpenOptions::new().append(true).open(runs.join(id(2)).join("events.ndjson")).unwrap();
    writer.lock().unwrap();
    let before = left();
    let dry = run(&place, &["history", "prune", "--keep-last", "3", "--dry-run"]).expect(0);
    insta::assert_snapshot!("history_prune", dry.out);
    assert_eq!(left(), before);
    let ran = run(&place, &["history", "prune", "--keep-last", "3"]).expect(0);
    assert!(ran.out.contains("deleted 3 runs"), "{}", ran.out);
    let stay =
        [id(1), id(2), id(6), id(7), id(8), "20251002-044000-cut".into(), "20251003-044000-bad".into()];
    let mut stay = stay.to_vec();
    stay.sort();
    assert_eq!(left(), stay);
    let listed = json(&run(&place, &["history", "--json", "--limit", "0"]).expect(0));
    assert_eq!(listed["runs"].as_array().unwrap().len(), 6);
    drop(writer);
    run(&place, &["history", "prune", "--max-age", "1d"]).expect(0);
    assert_eq!(left(), ["20251002-044000-cut".to_owned(), "20251003-044000-bad".to_owned(), id(1)]);
}

#[test]
fn the_index_is_made_again_and_nothing_is_lost_to_many_at_once() {
    let place = eight_days();
    let index = place.path().join("state/history.db");
    let many: Vec<_> = (0..10)
        .map(|number| {
            let args: &[&str] =
                if number % 3 == 0 { &["history", "reindex"] } else { &["history", "--json"] };
            let command = &mut place.command(args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in many {
        let ran = Ran::from(child.wait_with_output().unwrap()).expect(0);
        assert_eq!(ran.err, "");
        assert!(ran.out.starts_with("8 runs in ") || json(&ran)["runs"].as_array().unwrap().len() == 8);
    }
    fs::write(&index, "what is left after a bad day").unwrap();
    let ran = run(&place, &["history", "--json"]).expect(0);
    assert!(ran.err.contains("was damaged") && ran.err.contains("made again"), "{}", ran.err);
    assert_eq!(json(&ran)["runs"].as_array().unwrap().len(), 8);
    assert_eq!(run(&place, &["history", "--json"]).expect(0).err, "");
    // Not a file that can be used, whatever is done: a word, and the usage code.
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    let ran = run(&place, &["history"]).expect(2);
    assert!(ran.err.contains("history.db"), "{}", ran.err);
}

#[test]
fn help_texts() {
    let place = Place::new();
    for (name, args) in [
        ("help_history", &["history", "--help"][..]),
        ("help_history_show", &["history", "show", "--help"]),
        ("help_history_reindex", &["history", "reindex", "--help"]),
        ("help_history_prune", &["history", "prune", "--help"]),
        ("help_compare", &["compare", "--help"]),
    ] {
        insta::assert_snapshot!(name, run(&place, args).expect(0).out);
    }
}

/// The index is beside the point of a run: what it answers stands with and without it.
#[test]
fn a_run_is_indexed_when_it_ends_and_goes_on_without_an_index() {
    let place = Place::new();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/db-failure.toml");
    // There is no such cluster: the run ends before it begins, and is recorded all the same.
    let args = ["--kubeconfig", "/nowhere", "run", "--view", "line", scenario];
    let ran = run(&place, &args).expect(2);
    assert!(!ran.err.contains("history"), "{}", ran.err);
    assert!(place.path().join("state/history.db").exists());
    let listed = json(&run(&place, &["history", "--json"]).expect(0));
    assert_eq!(listed["runs"][0]["outcome"], "refused", "{listed}");
    assert_eq!(listed["runs"][0]["exit_code"], 2);
    let command = &mut place.command(&args);
    command.env("HARNESS_HISTORY_URL", "postgres://me:hunter2@127.0.0.1:1/x");
    let ran = Ran::from(command.output().unwrap()).expect(2);
    assert!(
        ran.err.contains(
            "warning: the run is recorded, but not in the history: PostgreSQL 127.0.0.1:1/x failed"
        ),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("hunter2") && !ran.out.contains("hunter2"));
    // Found later, in its folder.
    let listed = json(&run(&place, &["history", "--json"]).expect(0));
    assert_eq!(listed["runs"].as_array().unwrap().len(), 2);
}
