//! A load that does nothing, or too little, or that nobody answers; an autoscaler that did not do what was seen.

use harness_event::EventKind;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::{Run, Stack};

/// Answers as long as there is a pod.
const HEALTH: &str = "service://gallery/images:18083/healthz";
/// More than two pods of `images` can do.
const MUCH: &str = "users = 20";
/// A request now and then.
const LITTLE: &str = "users = 2\nrate = 2";
const UP_TO_FOUR: &str = r#"
[[expect.autoscaler]]
autoscaler = "images"
scales_up = { to = 4, within = "5s" }
"#;

/// `images` under a load of six seconds, and what is expected.
fn surge(load: &str, url: &str, expect: &str) -> String {
    format!(
        r#"
title = "Many look at pictures"
namespace = "gallery"
[steady_state]
for = "500ms"
[[steady_state.http]]
name = "portal-page"
url = "service://gallery/portal:18080/"
[[load]]
name = "surge"
duration = "6s"
requests_per_connection = 20
{load}
[[load.step]]
name = "get"
url = "{url}"
timeout = "2s"
[expect]
allow_alerts = [{{ alert = "Watchdog" }}, {{ alert = "=~Gallery.*" }}, {{ alert = "TargetDown" }}]
{expect}
"#
    )
}

/// The load did not begin.
#[track_caller]
fn began_nothing(run: &Run) {
    let began = run.events.iter().any(|event| matches!(event.kind, EventKind::LoadStarted { .. }));
    assert!(!began, "{run}");
}

fn sampled(kind: &EventKind) -> bool {
    matches!(kind, EventKind::LoadSampled { sample, .. } if sample.requests > 0)
}

#[test]
#[ignore = "long: part of make test-long"]
fn an_autoscaler_that_cannot_do_it_is_found_before_the_load() {
    let stack = Stack::up();
    stack.patch_autoscaler("images", json!({ "spec": { "maxReplicas": 2 } }));
    let run = stack.run(&surge(MUCH, HEALTH, UP_TO_FOUR));
    run.ended(&stack, 2).because("maxReplicas");
    began_nothing(&run);
    // Metrics that nobody has: the autoscaler says so itself.
    let nowhere = json!([{ "type": "External", "external": {
        "metric": { "name": "queue_of_nobody" }, "target": { "type": "AverageValue", "averageValue": "1" },
    } }]);
    stack.patch_autoscaler("images", json!({ "spec": { "maxReplicas": 10, "metrics": nowhere } }));
    stack.wait_for_autoscaler("images", "FailedGetExternalMetric");
    let run = stack.run(&surge(MUCH, HEALTH, UP_TO_FOUR));
    run.ended(&stack, 3).because("FailedGetExternalMetric");
    began_nothing(&run);
    stack.delete_autoscaler("images");
    let run = stack.run(&surge(MUCH, HEALTH, UP_TO_FOUR));
    run.ended(&stack, 2).because("images");
    began_nothing(&run);
}

#[test]
#[ignore = "long: part of make test-long"]
fn an_autoscaler_that_goes_away_under_load_proves_nothing() {
    let stack = Stack::up();
    let mut running = stack.start(&surge(MUCH, HEALTH, UP_TO_FOUR));
    running.until("load", sampled);
    stack.delete_autoscaler("images");
    let run = running.finish();
    run.ended(&stack, 3).because("deleted");
}

#[test]
fn a_worker_that_is_killed_makes_the_run_inconclusive() {
    let stack = Stack::up();
    let before = stack.world();
    let mut running =
        stack.start(&surge(LITTLE, HEALTH, "[[expect.load]]\nload = \"surge\"\nrequests = \"> 0\""));
    running.until("load", sampled);
    let worker = running.child_with("load-worker");
    kill_process(worker, Signal::KILL).unwrap();
    let run = running.finish();
    run.ended(&stack, 3).because("\"surge\"").because("worker");
    assert_eq!(stack.world(), before);
}

#[test]
fn a_load_that_nobody_answers_proves_nothing() {
    let stack = Stack::up();
    let expect = "[[expect.load]]\nload = \"surge\"\nrequests = \"> 0\"";
    // Wrong address: no such port, no such Service.
    for url in ["service://gallery/images:1/healthz", "service://gallery/pictures:18083/healthz"] {
        let run = stack.run(&surge(LITTLE, url, expect));
        run.ended(&stack, 2).because("surge");
        began_nothing(&run);
    }
    // Wrong path: every answer is 404, and nothing is expected of that.
    let run = stack.run(&surge(LITTLE, "service://gallery/images:18083/nothing-here", expect));
    run.ended(&stack, 3).because("404");
}

#[test]
#[ignore = "long: part of make test-long"]
fn replicas_that_the_autoscaler_did_not_ask_for_do_not_count() {
    let stack = Stack::up();
    // Too small a load.
    let run = stack.run(&surge(LITTLE, HEALTH, UP_TO_FOUR));
    run.ended(&stack, 1).because("2");
    assert_eq!(stack.replicas("images"), 2);
    // Raised by hand while the load is too small.
    let mut running = stack.start(&surge(LITTLE, HEALTH, UP_TO_FOUR));
    running.until("load", sampled);
    stack.scale("gallery", "images", 6);
    let run = running.finish();
    run.ended(&stack, 3).because("not by autoscaler");
}
