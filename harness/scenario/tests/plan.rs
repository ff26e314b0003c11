//! What a scenario becomes.

use harness_event::{ExpectationKind, LoadStart, Millis, Plan, RateStage};

fn plan(text: &str) -> Plan {
    harness_scenario::parse("x.toml", text).unwrap_or_else(|problems| panic!("{problems}")).plan
}

/// The complete example of the documentation: every key, every kind.
fn example() -> String {
    let document = include_str!("../../../docs/scenario-format.md");
    let blocks = document.split("```toml\n").skip(1).filter_map(|part| part.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).max_by_key(String::len).unwrap()
}

#[test]
fn every_key_arrives_in_the_plan() {
    insta::assert_json_snapshot!(plan(&example()));
}

#[test]
fn expectations_have_titles_that_read_as_sentences_and_lines_that_lead_to_them() {
    let text = example();
    let lines: Vec<&str> = text.lines().collect();
    let shown: String = plan(&text)
        .expectations
        .iter()
        .map(|expectation| {
            let line = lines[expectation.line as usize - 1];
            format!("{:42} {}\n{:42} {line}\n", expectation.id, expectation.title, "")
        })
        .collect();
    insta::assert_snapshot!(shown);
}

const START: &str = r#"
title = "x"
namespace = "x"
[steady_state]
promql = [{ name = "up", query = "up", is = "1" }]
[[fault]]
name = "second"
start = "60s"
duration = "60s"
restart = { workload = "deployment/x" }
[[fault]]
name = "first"
duration = "30s"
scale = { workload = "deployment/x", replicas = 0 }
"#;

#[test]
fn repeated_ids_are_numbered() {
    let alert = |fault: &str| {
        format!("[[expect.alert]]\nalert = \"A\"\nfiring_within = \"9s\"\nfault = \"{fault}\"\n")
    };
    let plan = plan(&format!("{START}{}{}{}", alert("first"), alert("second"), alert("second")));
    let ids: Vec<_> = plan.expectations.iter().map(|expectation| expectation.id.as_str()).collect();
    assert_eq!(ids, ["alert/A/firing", "alert/A/firing#2", "alert/A/firing#3", "alerts/none-unexpected"]);
}

#[test]
fn faults_are_in_order_of_their_start_and_recovery_belongs_to_the_last_end() {
    let plan = plan(&format!("{START}[expect]\nrecovery_within = \"5s\"\n"));
    let faults: Vec<_> = plan.faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(faults, ["first", "second"]);
    let of: Vec<_> =
        plan.expectations.iter().map(|expectation| (&expectation.kind, expectation.fault.as_str())).collect();
    assert!(matches!(of[0], (ExpectationKind::Recovery { .. }, "second")), "{of:?}");
    assert!(matches!(of[1], (ExpectationKind::NoUnexpectedAlert, "first")), "{of:?}");
}

#[test]
fn the_hash_is_that_of_the_text() {
    let scenario =
        harness_scenario::parse("x.toml", &format!("{START}[expect]\nrecovery_within = \"5s\"\n")).unwrap();
    let other =
        harness_scenario::parse("y.toml", &format!("{START}[expect]\nrecovery_within = \"5s\" \n")).unwrap();
    assert_eq!(scenario.plan, other.plan);
    assert_ne!(scenario.sha256, other.sha256);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_ne!(scenario.sha256, empty);
}

const SURGE: &str = r#"
title = "x"
namespace = "x"
steady_state = { promql = [{ name = "up", query = "up", is = "1" }] }
[[load]]
name = "late"
start = "60s"
users = 1
requests = 10
step = [{ name = "a", url = "http://a" }]
[[load]]
name = "stages"
start = "5s"
users = 1
stages = [{ rate = 0, to = 10, for = "10s" }, { rate = 10, for = "5s" }]
step = [{ name = "a", url = "http://a" }]
[[load]]
name = "always"
background = true
users = 1
rate = 2
step = [{ name = "a", url = "http://a" }]
"#;

#[test]
fn loads_are_in_order_of_their_start_and_end_with_their_stages() {
    let plan = plan(&format!("{SURGE}[expect]\nrecovery_within = \"5s\"\n"));
    let loads: Vec<_> =
        plan.loads.iter().map(|load| (load.name.as_str(), load.start, load.duration.map(|d| d.0))).collect();
    assert_eq!(
        loads,
        [
            ("always", LoadStart::Background, None),
            ("stages", LoadStart::After(Millis(5_000)), Some(15_000)),
            ("late", LoadStart::After(Millis(60_000)), None),
        ]
    );
    assert_eq!(plan.loads[0].stages, [RateStage { rate: 2.0, to: None, length: None }]);
    assert!(plan.loads[2].stages.is_empty(), "without a rate the model is closed");
    assert!(plan.faults.is_empty());
}

#[test]
fn what_a_timed_load_starts_belongs_to_it() {
    let plan = plan(&format!(
        r#"slos = ["b-c"]
{SURGE}
[expect]
recovery_within = "5s"
[[expect.promql]]
name = "q"
query = "up"
is = "1"
window = "after"
within = "5s"
fault = "stages"
[[expect.load]]
load = "stages"
rate = "> 1"
[[expect.load]]
load = "always"
phase = "after"
rate = "> 1"
[[expect.autoscaler]]
autoscaler = "a"
load = "stages"
scales_up = {{ within = "15s" }}
[[expect.autoscaler]]
autoscaler = "a"
direction_changes = 2
[[expect.slo]]
slo = "a-b"
budget_spent_below = 0.5
[[expect.slo]]
slo = "b-c"
burn = {{ window = "90m", below = 2 }}
"#
    ));
    let of: Vec<_> = plan.expectations.iter().map(|one| (one.id.as_str(), one.fault.as_str())).collect();
    assert_eq!(
        of,
        [
            ("promql/q", "stages"),
            ("load/stages/during/rate", "stages"),
            // Phases are those of the whole run: a load in the background belongs to what ends last.
            ("load/always/after/rate", "late"),
            ("autoscaler/a/scales_up", "stages"),
            ("autoscaler/a/direction_changes", "stages"),
            ("slo/a-b/budget_spent", "stages"),
            ("slo/b-c/burn/1h30m", "stages"),
            ("recovery", "late"),
            ("alerts/none-unexpected", "stages"),
        ]
    );
    assert_eq!(plan.slos, ["b-c", "a-b"], "those named first, those expected something of, each once");
    assert!(plan.expectations[0].title.ends_with("after stages"), "{}", plan.expectations[0].title);
}
