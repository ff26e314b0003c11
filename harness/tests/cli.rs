//! The command line without a stack: help, usage errors, validation, the doctor.
#![allow(missing_docs)]

mod common;
#[path = "cli/docs.rs"]
mod docs;
#[path = "cli/grafana.rs"]
mod grafana;
#[path = "cli/interface.rs"]
mod interface;
#[path = "cli/recover.rs"]
mod recover;
#[path = "cli/report.rs"]
mod report;

use std::{fs, process::Stdio};

use common::Place;

const COMMANDS: [&str; 12] = [
    "run",
    "validate",
    "up",
    "down",
    "status",
    "recover",
    "judge",
    "report",
    "slo",
    "doctor",
    "completions",
    "man",
];

#[test]
fn help_texts() {
    let place = Place::new();
    insta::assert_snapshot!("help", place.run(&["--help"]).expect(0).out);
    insta::assert_snapshot!("help_short", place.run(&["-h"]).expect(0).out);
    for command in COMMANDS {
        insta::assert_snapshot!(format!("help_{command}"), place.run(&[command, "--help"]).expect(0).out);
    }
    for command in ["rules", "compress"] {
        insta::assert_snapshot!(
            format!("help_slo_{command}"),
            place.run(&["slo", command, "--help"]).expect(0).out
        );
    }
}

#[test]
fn a_command_line_that_is_wrong_ends_with_2_and_touches_nothing() {
    let place = Place::new();
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage:"),
        (&["runn"], "a similar subcommand exists: 'run'"),
        (&["run"], "<SCENARIO>"),
        (&["run", "--dry-rum", "x.toml"], "--dry-run"),
        (
            &["run", "--prometheus", "localhost:9090", "x.toml"],
            "it must begin with http://, https://, service://",
        ),
        (&["up", "--ready-timeout", "90"], "the unit is missing"),
        (&["up", "--compress", "0"], "--compress <N>"),
        (&["up", "--history", "soon"], "it must be a duration"),
        (&["up", "--history", "2h", "--history-rate=-1"], "it must be a number above 0"),
        (&["--context", "x", "run", "--compress", "30", "y.toml"], "y.toml"),
        (&["slo", "compress", "30"], "<FILE>"),
        (&["slo", "compress", "--scrape-interval", "1", "30", "x.yml"], "is no duration"),
        (&["slo"], "Usage:"),
        (&["slo", "rules"], "<SPEC>"),
        (&["slo", "rules", "--check", "x.yml"], "--out <FILE|DIR>"),
        (&["slo", "rules", "--period", "29d", "x.yml"], "no windows are known for a period of 29d"),
        (&["--color", "sometimes", "status"], "possible values: auto, always, never"),
        (&["--kubeconfig", "/nowhere", "up"], "starts the embedded cluster"),
        (&["--kubeconfig", "/nowhere", "down"], "stops the embedded cluster"),
        (&["--kubeconfig", "/nowhere", "status"], "/nowhere"),
    ];
    for (args, reason) in cases {
        let ran = place.run(args).expect(2);
        assert!(ran.err.contains(reason), "{args:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{args:?}");
    }
    assert!(!place.path().join("state").exists());
}

#[test]
fn status_and_down_without_a_stack() {
    let place = Place::new();
    let status = place.run(&["status"]).expect(0);
    assert!(status.out.starts_with("No embedded stack in "), "{}", status.out);
    let down = place.run(&["down"]).expect(0);
    assert!(down.out.contains("nothing to do"), "{}", down.out);
    assert!(!place.path().join("state").exists());
}

#[test]
fn validate_shows_the_problems_of_all_files() {
    let place = Place::new();
    let (one, two) = (place.path().join("one.toml"), place.path().join("two.toml"));
    fs::write(&one, "title = \"x\"\ntitel = \"y\"\n").unwrap();
    fs::write(&two, "title = \n").unwrap();
    let absent = place.path().join("absent.toml");
    let files = [&one, &two, &absent].map(|path| path.to_str().unwrap());
    let ran = place.run(&[&["validate"], &files[..]].concat()).expect(2);
    assert!(ran.err.contains("one.toml:2:1: error: "), "{}", ran.err);
    assert!(ran.err.contains("\"titel\"") && ran.err.contains("two.toml:1:"), "{}", ran.err);
    assert!(ran.err.contains("absent.toml: can't be read: No such file"), "{}", ran.err);
    assert!(ran.err.contains(" problems in 3 files"), "{}", ran.err);
    assert_eq!(ran.out, "");
}

#[test]
fn every_scenario_of_the_project_is_valid() {
    let scenarios = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let files: Vec<String> = fs::read_dir(scenarios)
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".toml"))
        .collect();
    assert!(!files.is_empty());
    let args: Vec<&str> = ["validate"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let ran = Place::new().run(&args).expect(0);
    assert_eq!(ran.out.lines().filter(|line| line.starts_with("ok ")).count(), files.len(), "{}", ran.out);
}

#[test]
fn the_doctor_says_what_is_missing_and_how_to_get_it() {
    let place = Place::new();
    // Neither on the PATH nor in the tools cache. What is found in the system's own directories stays found.
    let nothing = place.path().join("empty");
    fs::create_dir(&nothing).unwrap();
    let ran = common::Ran::from(
        place.command(&["doctor"]).env("PATH", &nothing).env("SRE_HARNESS_TOOLS", &nothing).output().unwrap(),
    );
    let missing = ran.out.lines().filter(|line| line.starts_with("missing")).count();
    match ran.code {
        Some(0) => assert_eq!(missing, 0, "{}", ran.out),
        Some(4) => {
            assert!(missing > 0 && ran.out.contains("Debian package"), "{}", ran.out);
            assert!(ran.out.contains(&format!("{missing} missing: `make tools`")), "{}", ran.out);
        }
        other => panic!("{other:?}: {}{}", ran.out, ran.err),
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    for args in [&["--help"][..], &["status"], &["doctor"]] {
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = common::Ran::from(child.wait_with_output().unwrap());
        assert!(matches!(ran.code, Some(0 | 4)), "{args:?}: {ran:?}");
        assert_eq!(ran.err, "", "{args:?}");
    }
}

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for() {
    let place = Place::new();
    let bad = place.path().join("bad.toml");
    fs::write(&bad, "x").unwrap();
    let bad = bad.to_str().unwrap();
    assert!(!place.run(&["validate", bad]).expect(2).err.contains('\x1b'));
    assert!(place.run(&["--color", "always", "validate", bad]).expect(2).err.contains("\x1b[31merror:"));
    // Usage errors are printed before the options are understood.
    assert!(place.run(&["--color=always", "nonsense"]).expect(2).err.contains('\x1b'));
    assert!(!place.run(&["--color=never", "nonsense"]).expect(2).err.contains('\x1b'));
}

const SLOS: &str = "version: prometheus/v1\nservice: web\nslos:\n- name: up\n  objective: 99\n  sli: { raw: { \
                    error_ratio_query: 'x[{{.window}}]' } }\n  alerting: { name: WebUp }\n";

#[test]
fn slo_rules_are_written_and_checked() {
    let place = Place::new();
    let file = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (one, two, out, dir) = (file("one.yml"), file("two.yml"), file("made/slo.yml"), file("each/"));
    fs::write(&one, SLOS).unwrap();
    fs::write(&two, SLOS.replace("web", "mail")).unwrap();

    let shown = place.run(&["slo", "rules", &one]).expect(0).out;
    assert!(shown.starts_with("# Made by `harness slo rules` from one.yml. Do not edit"), "{shown}");
    assert!(shown.contains("- record: slo:sli_error:ratio_rate5m\n        expr: \"(x[5m])\""), "{shown}");

    // Missing, written, as it should be, stale.
    let check = || place.run(&["slo", "rules", "--check", "--out", &out, &one, &two]);
    let missing = check().expect(1);
    assert!(missing.err.contains("slo.yml is missing"), "{}", missing.err);
    let run = format!("run: harness slo rules --out {out} {one} {two}");
    assert!(missing.err.contains(&run), "{}", missing.err);
    let wrote = place.run(&["slo", "rules", "--out", &out, &one, &two]).expect(0);
    assert!(wrote.out.contains("slo.yml: web-up, mail-up"), "{}", wrote.out);
    assert!(check().expect(0).out.starts_with("ok "));
    fs::write(&two, SLOS.replace("web", "mail").replace("99", "99.5")).unwrap();
    assert!(check().expect(1).err.contains("slo.yml is stale"));
    assert!(fs::read_to_string(&out).unwrap().contains("vector(0.99)"), "--check writes nothing");

    // A file for each.
    place.run(&["slo", "rules", "--out", &dir, &one, &two]).expect(0);
    let names: Vec<_> =
        ["one.yml", "two.yml"].map(|name| place.path().join("each").join(name).exists()).into();
    assert_eq!(names, [true, true]);

    // What is wrong is said of all files; nothing is written.
    fs::write(&one, SLOS.replace("99", "101")).unwrap();
    fs::write(&two, SLOS.replace("prometheus/v1", "prometheus/v9")).unwrap();
    let wrong = place.run(&["slo", "rules", "--out", &out, &one, &two]).expect(2);
    assert!(wrong.err.contains("one.yml:5:14: error: the objective is 101"), "{}", wrong.err);
    assert!(wrong.err.contains("two.yml:1:10: error: version"), "{}", wrong.err);
    assert!(wrong.err.contains("2 problems in 2 files"), "{}", wrong.err);

    // Windows of one's own.
    fs::write(&one, SLOS).unwrap();
    let windows = file("windows.yml");
    let pair = "{ errorBudgetPercent: 10, shortWindow: 1h, longWindow: 10h }";
    fs::write(
        &windows,
        format!(
            "apiVersion: sloth.slok.dev/v1\nkind: AlertWindows\nspec:\n  sloPeriod: 10d\n  page: {{ quick: {pair}, slow: {pair} \
             }}\n  ticket: {{ quick: {pair}, slow: {pair} }}\n"
        ),
    )
    .unwrap();
    let shown = place.run(&["slo", "rules", "--windows", &windows, &one]).expect(0).out;
    assert!(shown.contains("ratio_rate10h") && shown.contains("(2.4 * 0.01)"), "{shown}");
    fs::write(&windows, "kind: Windows\n").unwrap();
    let wrong = place.run(&["slo", "rules", "--windows", &windows, &one]).expect(2);
    assert!(wrong.err.contains("windows.yml:1:7: error: kind is \"Windows\""), "{}", wrong.err);
}
