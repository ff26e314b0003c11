//! What scripts and shells use: completions, manual pages, `--json`, `--quiet`.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{common::Place, report};

/// Feeds a text to a program; `None` if it is not installed.
fn checked(program: &str, args: &[&str], text: &str) -> Option<(bool, String)> {
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Some((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn completion_scripts_are_accepted_by_their_shells() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.run(&["completions", shell]).expect(0).out;
        assert!(script.contains("report") && script.contains("junit"), "{shell}: {script}");
        assert!(!script.contains("pod-shim") && !script.contains("control-plane"), "{shell}");
        let check: &[&str] = match shell {
            "bash" | "zsh" => &["-n"],
            "fish" => &["--no-execute"],
            _ => continue,
        };
        if let Some((ok, error)) = checked(shell, check, &script) {
            assert!(ok && error.is_empty(), "{shell}: {error}");
        }
    }
    assert!(place.run(&["completions", "tcsh"]).expect(2).err.contains("possible values: bash"));
}

#[test]
fn bash_completes_commands_and_options() {
    let place = report::place(&[report::ID]);
    let script = place.run(&["completions", "bash"]).expect(0).out;
    let complete = |words: &str, count: usize| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}) COMP_CWORD={count}\n_harness harness \"${{COMP_WORDS[{count}]}}\" ''\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &ask])
            .env("SRE_HARNESS_STATE", place.path().join("state"))
            .output()
            .ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(commands) = complete("harness re", 1) else {
        eprintln!("skipped: bash is not installed");
        return;
    };
    assert!(commands.lines().any(|line| line == "report"), "{commands}");
    let options = complete("harness report --f", 2).unwrap();
    assert!(options.lines().any(|line| line == "--format"), "{options}");
    for command in ["report", "judge", "recover", "replay", "export-scenario"] {
        let runs = complete(&format!("harness {command} 2026"), 2).unwrap();
        assert_eq!(runs.trim(), report::ID, "{command}");
    }
    assert_eq!(complete("harness report la", 2).unwrap().trim(), "last");
}

#[test]
fn manual_pages_have_no_warnings() {
    let place = Place::new();
    let dir = place.path().join("man");
    place.run(&["man", "--dir", dir.to_str().unwrap()]).expect(0);
    let main = place.run(&["man"]).expect(0).out;
    assert!(main.starts_with(".ie") && main.contains("harness\\-report"), "{main}");
    let pages: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    let names: Vec<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    for name in ["harness.1", "harness-run.1", "harness-slo-rules.1", "harness-report.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("pod-shim")), "{names:?}");
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        let Some((ok, warnings)) = checked("groff", &["-man", "-Tutf8", "-ww", "-Kutf8"], &text) else {
            return;
        };
        assert!(ok && warnings.is_empty(), "{page:?}: {warnings}");
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let place = report::place(&[report::ID]);
    let scenario = place.path().join("x.toml");
    fs::write(&scenario, report::SCENARIO).unwrap();
    let bad = place.path().join("bad.toml");
    fs::write(&bad, "titel = 3\n").unwrap();
    let (good, bad) = (scenario.to_str().unwrap(), bad.to_str().unwrap());
    let shown = |args: &[&str], code: i32| {
        let out = place.run(args).expect(code).out;
        json(&out);
        out.replace(place.path().to_str().unwrap(), "[place]")
    };
    insta::assert_snapshot!("json_status", shown(&["status", "--json"], 0));
    insta::assert_snapshot!("json_validate", shown(&["validate", "--json", good, bad], 2));
    insta::assert_snapshot!("json_recover", shown(&["recover", "--json"], 0));
    // What is installed differs; the fields do not.
    let ran = place.run(&["doctor", "--json"]);
    let doctor = json(&ran.out);
    assert_eq!(ran.code, Some(if doctor["ok"] == true { 0 } else { 4 }), "{doctor}");
    let fields: Vec<_> = doctor["programs"][0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["install", "optional", "path", "program", "purpose", "version"]);
    assert!(doctor["services"].as_object().unwrap().contains_key("api"), "{doctor}");
    // The verdict's exit code, and the result instead of the text.
    let judged = place.run(&["judge", "last", "--json", "-"]).expect(2);
    assert_eq!(json(&judged.out)["verdict"]["outcome"], "refused");
    let both = place.run(&["judge", "last", "--json", "-", "--junit", "-"]).expect(2);
    assert!(both.err.contains("only one report can go to standard output"), "{}", both.err);
    let run = place.run(&["run", "--junit", "-", good]).expect(2);
    assert!(run.err.contains("can't go to standard output"), "{}", run.err);
}

#[test]
fn quiet_leaves_the_result() {
    let place = report::place(&[report::ID]);
    let loud = place.run(&["judge", "last"]).expect(2);
    let quiet = place.run(&["judge", "--quiet", "last"]).expect(2);
    assert!(quiet.out.len() < loud.out.len() && quiet.out.contains("REFUSED"), "{}", quiet.out);
    assert!(place.run(&["-q", "-v", "status"]).expect(2).err.contains("cannot be used with"));
}
