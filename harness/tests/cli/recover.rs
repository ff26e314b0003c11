//! `harness recover` where no cluster is: what it does about each of several runs.

use std::fs;

use serde_json::{Value, json};

use super::{common::Place, report};

const ELSEWHERE: &str = "20261121-100000-aaaa";
const UNREADABLE: &str = "20261121-100001-bbbb";
const GONE: &str = "20261121-100002-cccc";

/// The ledger of a dead run with one fault.
fn ledger(run: &str, server: &str, own_stack: bool) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let snapshot = json!({
        "kind": "scale", "workload": { "kind": "Deployment", "name": "postgres" }, "replicas": 1, "ready": 1,
    });
    let file = json!({
        "version": 1, "run": run, "namespace": "gallery", "server": server, "own_stack": own_stack,
        // No process has such a number.
        "host": host.trim(), "pid": u32::MAX, "started": 1,
        "entries": [{ "fault": "gone", "snapshot": snapshot, "reverted": false }],
    });
    file.to_string()
}

fn place() -> Place {
    let place = report::place(&[ELSEWHERE, UNREADABLE, GONE]);
    for (run, text) in [
        (ELSEWHERE, ledger(ELSEWHERE, "https://192.0.2.1:6443", false)),
        (UNREADABLE, "{".to_owned()),
        (GONE, ledger(GONE, "https://127.0.0.1:1", true)),
    ] {
        fs::write(place.path().join("state/runs").join(run).join("ledger.json"), text).unwrap();
    }
    place
}

#[test]
fn a_run_that_cannot_be_recovered_keeps_no_other_from_it() {
    let ran = place().run(&["recover"]).expect(2);
    assert!(ran.out.contains(&format!("run {GONE}: its embedded cluster is gone")), "{ran:?}");
    assert!(ran.err.contains(&format!("run {ELSEWHERE} left 1 faults in another cluster")), "{ran:?}");
    assert!(ran.err.contains(&format!("{UNREADABLE}/ledger.json is not a ledger")), "{ran:?}");

    let place = place();
    let ran = place.run(&["recover", "--json"]).expect(2);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["recovered"][0]["run"], GONE, "{told}");
    let failed = told["failed"].as_array().unwrap();
    let of: Vec<_> = failed.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(of, [format!("run {ELSEWHERE}"), format!("run {UNREADABLE}")], "{told}");
    // What could be done was done; what could not is told again.
    let ran = place.run(&["recover", "--json"]).expect(2);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (told["recovered"].as_array().unwrap().len(), told["failed"].as_array().unwrap().len()),
        (0, 2)
    );
}
