//! The real kube-state-metrics' own test cases (`internal/store/*_test.go`, Apache-2.0): same series, labels and values.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{autoscaling, family::Lines, node, pod, workload};

/// A line with its labels in order and its value as a number: `name{a="b",c="d"} 1.5`.
fn normal(line: &str) -> String {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value: f64 = value.parse().unwrap();
    let Some((name, labels)) = series.split_once('{') else { return format!("{series} {value}") };
    // No value in the cases has a quotation mark or a comma in it.
    let mut labels: Vec<&str> =
        labels.trim_end_matches('}').split("\",").map(|l| l.trim_matches('"')).collect();
    labels.sort_unstable();
    format!("{name}{labels:?} {value}")
}

fn name(line: &str) -> &str {
    line.split(['{', ' ']).next().unwrap_or_default()
}

fn object<K: DeserializeOwned>(value: &Value) -> K {
    serde_json::from_value(value.clone()).unwrap()
}

fn describe(kind: &str, value: &Value) -> Lines {
    match kind {
        "HorizontalPodAutoscaler" => autoscaling::autoscaler(&object(value)),
        "PodDisruptionBudget" => autoscaling::budget(&object(value)),
        "Deployment" => workload::deployment(&object(value)),
        "ReplicaSet" => workload::replica_set(&object(value)),
        "Pod" => pod::describe(&object(value)),
        "Node" => node::node(&object(value)),
        other => panic!("no case for {other}"),
    }
}

#[test]
fn series_are_those_of_the_real_one() {
    let cases = include_str!("../../../tests/golden/kube-state-metrics/cases.jsonl");
    for case in cases.lines() {
        let case: Value = serde_json::from_str(case).unwrap();
        let want: Vec<&str> =
            case["want"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        let families: BTreeSet<&str> = want.iter().map(|line| name(line)).collect();
        let kind = case["kind"].as_str().unwrap();
        let lines = describe(kind, &case["object"]).finish();
        let ours: BTreeSet<String> = lines
            .iter()
            .flat_map(|lines| lines.lines())
            .filter(|line| families.contains(name(line)))
            .map(normal)
            .collect();
        let theirs: BTreeSet<String> = want.iter().map(|line| normal(line)).collect();
        assert_eq!(ours, theirs, "{kind} {}", case["object"]["metadata"]["name"]);
    }
}
