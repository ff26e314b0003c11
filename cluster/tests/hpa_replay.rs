//! The decisions of a real autoscaler (Kubernetes 1.36), taken again from what it saw: same sizes, conditions and events.
//!
//! `golden/hpa` holds one file per recording of `hpa/`: a header, then one line for each look of the controller (every 5 s and what a look takes).
//! What the recordings do not show, the start and readiness times of pods, follows from the Deployment's counts there.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::{sync::Arc, time::Duration};

use cluster::controllers::{
    events::Severity,
    hpa::{
        AutoscalerOptions,
        behavior::Memory,
        client::resource_reading,
        decide::{Note, Observed, SelectorProblem, decide, without_scale},
    },
};
use k8s_openapi::{
    api::{
        autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus},
        core::v1::Pod,
    },
    jiff::Timestamp,
};
use serde_json::{Value, json};

/// The options that the recorded controller ran with.
fn options() -> AutoscalerOptions {
    AutoscalerOptions {
        sync_period: Duration::from_secs(5),
        downscale_stabilization: Duration::from_secs(10),
        cpu_initialization_period: Duration::from_secs(5),
        initial_readiness_delay: Duration::from_secs(5),
        ..AutoscalerOptions::default()
    }
}

fn pod(step: &Value, containers: &Value) -> Arc<Pod> {
    let ready = !step["ready"].is_null();
    let changed = if ready { &step["ready"] } else { &step["started"] };
    let mut object = json!({
        "metadata": {"name": step["name"]},
        "spec": {"containers": containers},
        "status": {"phase": if ready { "Running" } else { "Pending" }, "startTime": step["started"],
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": changed}]},
    });
    if step["deleting"] == true {
        object["metadata"]["deletionTimestamp"] = changed.clone();
    }
    Arc::new(serde_json::from_value(object).unwrap())
}

fn observed(header: &Value, step: &Value, autoscaler: &HorizontalPodAutoscaler) -> Observed {
    let pods =
        step["pods"].as_array().unwrap().iter().map(|entry| pod(entry, &header["containers"])).collect();
    let rivals: Option<Vec<String>> = serde_json::from_value(step["rivals"].clone()).unwrap();
    let pods = match rivals {
        Some(rivals) => {
            Err(SelectorProblem::Ambiguous(header["selector"].as_str().unwrap().to_owned(), rivals))
        }
        None => Ok(pods),
    };
    let body = json!({"items": step["metrics"]}).to_string();
    let readings = autoscaler.spec.metrics.iter().flatten().map(|metric| {
        if let Some(error) = header["readingError"].as_str() {
            return Err(error.to_owned());
        }
        resource_reading(&body, &metric.resource.as_ref().unwrap().name, None)
    });
    Observed {
        replicas: i32::try_from(step["replicas"].as_i64().unwrap()).unwrap(),
        current: i32::try_from(step["current"].as_i64().unwrap()).unwrap(),
        pods,
        readings: readings.collect(),
    }
}

/// A status without its times, and without the difference between null and absent.
fn comparable(status: &Value) -> Value {
    let mut status = status.clone();
    let fields = status.as_object_mut().unwrap();
    let scaled = fields.remove("lastScaleTime").is_some_and(|time| !time.is_null());
    fields.insert("scaled before".to_owned(), scaled.into());
    for condition in fields.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        condition.as_object_mut().unwrap().remove("lastTransitionTime");
    }
    fields.retain(|_, value| !value.is_null());
    status
}

/// Every time in a status, by what it belongs to.
fn times(status: &Value) -> Vec<(String, Timestamp)> {
    let time = |value: &Value| value.as_str().unwrap().parse().unwrap();
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut times: Vec<(String, Timestamp)> = conditions
        .map(|c| (c["type"].as_str().unwrap().to_owned(), time(&c["lastTransitionTime"])))
        .collect();
    if !status["lastScaleTime"].is_null() {
        times.push(("lastScaleTime".to_owned(), time(&status["lastScaleTime"])));
    }
    times
}

fn words(notes: &[Note]) -> Vec<Value> {
    let severity = |note: &Note| if note.severity == Severity::Normal { "Normal" } else { "Warning" };
    notes.iter().map(|note| json!([severity(note), note.reason, note.message])).collect()
}

/// Replays a recording; returns how many looks it has.
fn replay(recording: &str) -> usize {
    let mut lines = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let header = lines.next().unwrap();
    let name = header["recording"].as_str().unwrap().to_owned();
    let metadata = json!({"name": "web", "namespace": header["namespace"]});
    let mut autoscaler: HorizontalPodAutoscaler =
        serde_json::from_value(json!({"metadata": metadata, "spec": header["spec"]})).unwrap();
    autoscaler.status = Some(HorizontalPodAutoscalerStatus::default());
    let (mut memory, mut recorded, mut looks) = (Memory::default(), json!({}), 0);
    for step in lines {
        let now: Timestamp = step["now"].as_str().unwrap().parse().unwrap();
        let (status, notes) = match step["scaleError"].as_str() {
            Some(error) => {
                let (status, note) = without_scale(&autoscaler, error, now);
                (status, vec![note])
            }
            None => {
                let observed = observed(&header, &step, &autoscaler);
                let decision = decide(&autoscaler, &observed, &options(), &mut memory, now);
                decision.remember(&mut memory);
                (decision.status.clone(), decision.notes)
            }
        };
        if step["status"] != "unchanged" {
            recorded = step["status"].clone();
        }
        let found = serde_json::to_value(&status).unwrap();
        assert_eq!(comparable(&found), comparable(&recorded), "{name} at {now}");
        for ((what, mine), (_, theirs)) in times(&found).into_iter().zip(times(&recorded)) {
            let apart = mine.duration_since(theirs).unsigned_abs();
            assert!(apart <= Duration::from_secs(1), "{name} at {now}: {what} {mine}, recorded {theirs}");
        }
        assert_eq!(json!(words(&notes)), step["events"], "{name} at {now}");
        autoscaler.status = Some(status);
        looks += 1;
    }
    looks
}

macro_rules! replays {
    ($($test:ident: $file:literal, $looks:literal;)*) => {
        $(#[test]
        fn $test() {
            assert_eq!(replay(include_str!(concat!("golden/hpa/", $file, ".jsonl"))), $looks);
        })*
    };
}

replays! {
    up_to_the_maximum_and_down_after_the_window: "01-up-max-tolerance-down", 22;
    inside_the_tolerance: "02-inside-tolerance", 12;
    no_request: "03-no-cpu-request", 8;
    no_target: "04-target-missing", 7;
    stopped_and_outside_of_the_bounds: "05-replicas-zero-disabled", 11;
    behavior_with_policies: "06-behavior-policies", 21;
    a_new_pod_without_metrics: "07-missing-metrics-new-pods", 8;
    scale_down_disabled_and_average_value: "08-scaledown-disabled-and-average-value", 4;
    an_unsupported_metric: "09-unsupported-metric", 3;
    two_autoscalers_of_one_target: "10-two-hpas-one-target", 3;
}
