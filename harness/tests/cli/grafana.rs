//! `harness grafana` and `harness up --grafana`, as far as they need neither Prometheus nor Grafana.

use std::{fs, path::Path};

use serde_json::Value;

use super::common::Place;

const DASHBOARDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards");
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn dashboards_are_checked_and_all_problems_shown_at_once() {
    let place = Place::new();
    let good = place.run(&["grafana", "check", DASHBOARDS]).expect(0);
    assert!(good.out.contains("no problem"), "{}", good.out);

    let bad = place.path().join("bad.json");
    fs::write(&bad, r#"{ "title": "Bad", "panels": [{ "id": 1, "type": "stat", "title": "P" }] }"#).unwrap();
    let torn = place.path().join("torn.json");
    fs::write(&torn, "{").unwrap();
    let files = [bad.to_str().unwrap(), torn.to_str().unwrap()];
    let shown = place.run(&["grafana", "check", files[0], files[1]]).expect(1).out;
    for part in ["it has no uid", "panel \"P\" (id 1): it has no unit", "it is no JSON", "torn.json"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let json = place.run(&["grafana", "check", "--json", files[0], files[1]]).expect(1).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["dashboards"], 1);
    assert!(json["problems"].as_array().unwrap().len() > 5, "{json}");
    assert_eq!(json["problems"][0]["file"], files[0]);
}

#[test]
fn exit_codes_tell_files_and_servers_from_problems() {
    let place = Place::new();
    place.run(&["grafana", "check", "/nowhere/x.json"]).expect(2);
    place.run(&["grafana", "check", place.path().to_str().unwrap()]).expect(2);
    place.run(&["grafana", "check", "--since", "5m", DASHBOARDS]).expect(2);
    let silent = place.run(&["grafana", "check", "--prometheus", NOWHERE, DASHBOARDS]).expect(4);
    assert!(silent.err.contains("Prometheus can't be asked"), "{}", silent.err);
}

#[test]
fn dashboards_go_into_a_grafana_that_is_there_and_only_if_they_keep_the_rules() {
    let place = Place::new();
    let install = |grafana: &str, what: &str| {
        let args =
            ["grafana", "install", "--grafana-url", grafana, "--prometheus-url", "http://p:9090", what];
        place.run(&args)
    };
    let error = install(NOWHERE, DASHBOARDS).expect(4).err;
    assert!(error.contains("Grafana does not answer"), "{error}");
    let error = install("http://user:secret@x", DASHBOARDS).expect(2).err;
    assert!(error.contains("credentials") && !error.contains("secret"), "{error}");
    let bad = place.path().join("bad.json");
    fs::write(&bad, r#"{ "title": "Bad" }"#).unwrap();
    // Nobody was asked.
    install(NOWHERE, bad.to_str().unwrap()).expect(1);
}

#[test]
fn up_with_a_grafana_that_is_not_installed_says_what_to_do_before_anything_is_started() {
    if Path::new("/usr/share/grafana").exists() {
        eprintln!("skipped: Grafana is installed here");
        return;
    }
    let place = Place::new();
    let error = place.run(&["up", "--grafana"]).expect(2).err;
    for part in ["Grafana is not installed", "Grafana Labs", "--grafana-url", "dashboards/"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(!place.path().join("state/stack/kubeconfig").exists());
}
