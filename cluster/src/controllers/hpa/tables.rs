//! The documented algorithm as tables; the numbers of the replica calculator are those of Kubernetes' own tests.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec},
        core::v1::Pod,
    },
    jiff::{SignedDuration, Timestamp},
};
use serde_json::{Value, json};

use super::{
    AutoscalerOptions,
    behavior::{self, Memory},
    decide::{Observed, decide},
    metric::Reading,
    replicas::{Proposal, Sample, Samples, Tolerances, Workload},
};

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

/// State of a pod: its readiness, and how long ago it started.
#[derive(Clone, Copy)]
enum Is {
    /// Ready for long.
    Ready,
    /// Started long ago and never ready.
    Unready,
    /// Ready for 30 s: within the CPU initialization period, but longer than a sample.
    Warm,
    /// Ready for 3 s: the last sample covers time before that.
    Hot,
    Pending,
    Failed,
    Deleting,
}

fn pod(name: &str, is: Is, containers: Value) -> Arc<Pod> {
    let (phase, ready, started, changed) = match is {
        Is::Ready | Is::Deleting => ("Running", "True", 600, 599),
        Is::Unready => ("Running", "False", 600, 595),
        Is::Warm => ("Running", "True", 40, 30),
        Is::Hot => ("Running", "True", 40, 3),
        Is::Pending => ("Pending", "False", 600, 600),
        Is::Failed => ("Failed", "False", 600, 600),
    };
    let mut object = json!({
        "metadata": {"name": name}, "spec": {"containers": containers},
        "status": {"phase": phase, "startTime": ago(started),
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": ago(changed)}]},
    });
    if matches!(is, Is::Deleting) {
        object["metadata"]["deletionTimestamp"] = json!(now());
    }
    Arc::new(serde_json::from_value(object).unwrap())
}

/// Pods that request one CPU each.
fn pods(states: &[Is]) -> Vec<Arc<Pod>> {
    let containers = json!([{"name": "main", "resources": {"requests": {"cpu": "1"}}}]);
    states.iter().enumerate().map(|(index, is)| pod(&format!("p{index}"), *is, containers.clone())).collect()
}

/// Samples of 5 s for the first pods.
fn samples(values: &[i64]) -> Samples {
    let sample = |value: i64| Sample { value, timestamp: now(), window: SignedDuration::from_secs(5) };
    values.iter().enumerate().map(|(index, value)| (format!("p{index}"), sample(*value))).collect()
}

fn workload<'a>(pods: &'a [Arc<Pod>], options: &'a AutoscalerOptions) -> Workload<'a> {
    let replicas = i32::try_from(pods.len()).unwrap();
    let tolerances = Tolerances { down: 0.1, up: 0.1 };
    Workload { pods, replicas, current: replicas, tolerances, options, now: now() }
}

#[test]
fn utilization_with_pods_in_all_states() {
    use Is::{Deleting, Failed, Hot, Pending, Ready, Unready, Warm};
    // States, samples, target, replicas, utilization, average.
    type Case<'a> = (&'a [Is], &'a [i64], i32, i32, i32, i64);
    let cases: [Case<'_>; 20] = [
        (&[Ready, Ready, Ready], &[300, 500, 700], 30, 5, 50, 500),
        // Not ready pods are left out of the ratio and count as idle against a scale-up.
        (&[Unready, Ready, Ready], &[300, 500, 700], 30, 4, 60, 600),
        (&[Hot, Ready, Ready], &[300, 500, 700], 30, 4, 60, 600),
        (&[Warm, Ready, Ready], &[300, 500, 700], 30, 5, 50, 500),
        (&[Ready, Unready, Unready], &[400, 500, 700], 30, 3, 40, 400),
        (&[Ready, Pending, Pending], &[400, 500, 700], 30, 3, 40, 400),
        // Ended pods are left out altogether.
        (&[Ready, Ready, Failed], &[500, 700], 50, 3, 60, 600),
        (&[Ready, Ready, Deleting], &[500, 700, 900], 50, 3, 60, 600),
        (&[Ready, Ready, Ready, Ready, Ready], &[100, 300, 500, 250, 250], 50, 3, 28, 280),
        // Pods without a sample: busy before pods are removed, idle before some are added.
        (&[Ready, Ready, Ready, Ready], &[400, 95], 100, 3, 24, 247),
        (&[Ready, Ready], &[1000], 100, 2, 100, 1000),
        (&[Ready, Ready], &[1900], 100, 2, 190, 1900),
        (&[Ready, Ready], &[600], 100, 2, 60, 600),
        // With a target above 100 % "busy" means the target.
        (&[Ready, Ready, Ready], &[900, 900], 300, 2, 90, 900),
        (&[Unready, Ready, Ready], &[100, 450], 50, 3, 45, 450),
        (&[Unready, Ready, Ready], &[100, 2000], 50, 4, 200, 2000),
        // Inside of the tolerance, at its edges, and whole percents.
        (&[Ready, Ready], &[880, 880], 80, 2, 88, 880),
        (&[Ready, Ready], &[890, 890], 80, 3, 89, 890),
        (&[Ready, Ready], &[720, 720], 80, 2, 72, 720),
        (&[Ready, Ready, Ready, Ready], &[709, 709, 709, 709], 80, 4, 70, 709),
    ];
    let options = AutoscalerOptions::default();
    for (index, (states, values, target, replicas, utilization, value)) in cases.into_iter().enumerate() {
        let pods = pods(states);
        let found = workload(&pods, &options).utilization(samples(values), "cpu", None, target);
        let expected = Proposal { replicas, utilization: Some(utilization), value };
        assert_eq!(found, Ok(expected), "case {index}");
    }
}

#[test]
fn averages_totals_and_totals_per_pod() {
    use Is::{Ready, Unready};
    let options = AutoscalerOptions::default();
    let average = |states: &[Is], values: &[i64], target| {
        let pods = pods(states);
        let found = workload(&pods, &options).average(samples(values), false, target).unwrap();
        (found.replicas, found.value)
    };
    assert_eq!(average(&[Ready; 3], &[20_000, 10_000, 30_000], 15_000), (4, 20_000));
    // For custom metrics a running pod counts whether it is ready or not.
    assert_eq!(average(&[Ready, Ready, Unready], &[50_000, 10_000, 30_000], 15_000), (6, 30_000));
    assert_eq!(average(&[Ready; 5], &[12_000; 5], 20_000), (3, 12_000));
    let total = |states: &[Is], value, target| {
        let pods = pods(states);
        let found = workload(&pods, &options).total(value, target).unwrap();
        (found.replicas, found.value)
    };
    assert_eq!(total(&[Ready; 3], 20_000, 15_000), (4, 20_000));
    assert_eq!(total(&[Ready, Ready, Unready], 50_000, 15_000), (7, 50_000));
    assert_eq!(total(&[Ready; 3], 8600, 4400), (6, 8600));
    assert_eq!(total(&[Ready; 3], 15_100, 15_000), (3, 15_100));
    let pods = pods(&[Ready; 3]);
    let per_pod = |current, value, target| {
        let workload = Workload { replicas: current, current, ..workload(&pods, &options) };
        let found = workload.total_per_pod(value, target);
        (found.replicas, found.value)
    };
    assert_eq!(per_pod(3, 8600, 2150), (4, 2867));
    assert_eq!(per_pod(3, 8600, 3000), (3, 2867));
    assert_eq!(per_pod(0, 25_000, 10_000).0, 3);
    assert_eq!(per_pod(2, 0, 10_000), (0, 0));
    // From zero, whatever pods there are.
    let from_zero = Workload { replicas: 0, current: 0, ..workload(&pods, &options) };
    assert_eq!(from_zero.total(25_000, 10_000).unwrap().replicas, 3);
    assert_eq!(from_zero.total(0, 10_000).unwrap().replicas, 0);
}

#[test]
fn requests_come_from_the_container_the_pod_or_all_containers() {
    let options = AutoscalerOptions::default();
    let containers = json!([
        {"name": "main", "resources": {"requests": {"cpu": "500m"}}},
        {"name": "side", "resources": {"requests": {"cpu": "300m"}}},
    ]);
    let percent = |pod: Arc<Pod>, container| {
        let pods = [pod];
        let found = workload(&pods, &options).utilization(samples(&[400]), "cpu", container, 50);
        found.map(|found| found.utilization.unwrap())
    };
    let plain = || pod("p0", Is::Ready, containers.clone());
    assert_eq!(percent(plain(), None), Ok(50));
    assert_eq!(percent(plain(), Some("main")), Ok(80));
    assert_eq!(percent(plain(), Some("none")), Err("container none not found in Pod p0".to_owned()));
    let mut whole = (*plain()).clone();
    whole.spec.as_mut().unwrap().resources =
        serde_json::from_value(json!({"requests": {"cpu": "1600m"}})).unwrap();
    assert_eq!(percent(Arc::new(whole.clone()), None), Ok(25));
    assert_eq!(percent(Arc::new(whole), Some("side")), Ok(133));
    let sidecar =
        json!([{"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "200m"}}}]);
    let mut with_sidecar = (*plain()).clone();
    with_sidecar.spec.as_mut().unwrap().init_containers = serde_json::from_value(sidecar).unwrap();
    assert_eq!(percent(Arc::new(with_sidecar), None), Ok(40));
    let without = pod("p0", Is::Ready, json!([{"name": "main"}]));
    assert_eq!(percent(without, None), Err("missing request for cpu in container main of Pod p0".to_owned()));
}

#[test]
fn what_leaves_nothing_to_count_is_an_error() {
    let options = AutoscalerOptions::default();
    let none = workload(&[], &options).utilization(samples(&[1]), "cpu", None, 50);
    assert_eq!(none.unwrap_err(), "no pods returned by selector while calculating replica count");
    let pods = pods(&[Is::Unready, Is::Pending]);
    let unready = workload(&pods, &options).utilization(samples(&[1, 1]), "cpu", None, 50);
    assert_eq!(unready.unwrap_err(), "did not receive metrics for targeted pods (pods might be unready)");
    // Memory counts for pods that are not ready.
    assert!(workload(&pods, &options).average(samples(&[1000]), false, 500).is_ok());
}

fn autoscaler(spec: Value) -> HorizontalPodAutoscaler {
    let mut object = json!({"metadata": {"name": "web", "namespace": "demo"}, "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}, "minReplicas": 1, "maxReplicas": 10}});
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn external(name: &str) -> Value {
    json!({"type": "External", "external": {"metric": {"name": name}, "target": {"type": "AverageValue", "averageValue": "1"}}})
}

/// A look at three replicas with an external metric for each reading: the new size, the reason of `ScalingActive`, and events.
fn look(readings: Vec<Result<i64, &str>>) -> (Option<i32>, String, Vec<&'static str>) {
    let metrics: Vec<Value> = (0..readings.len()).map(|index| external(&format!("m{index}"))).collect();
    let autoscaler = autoscaler(json!({ "metrics": metrics }));
    let readings = readings
        .into_iter()
        .map(|reading| reading.map(|value| Reading::Values(vec![value * 1000])).map_err(str::to_owned));
    let observed =
        Observed { replicas: 3, current: 3, pods: Ok(pods(&[Is::Ready; 3])), readings: readings.collect() };
    let options = AutoscalerOptions {
        downscale_stabilization: std::time::Duration::ZERO,
        ..AutoscalerOptions::default()
    };
    let mut memory = Memory::default();
    memory.begin(3, ago(60));
    let decision = decide(&autoscaler, &observed, &options, &mut memory, now());
    let conditions = decision.status.conditions.unwrap();
    let active = conditions.into_iter().find(|condition| condition.type_ == "ScalingActive").unwrap();
    (decision.rescale, active.reason.unwrap(), decision.notes.into_iter().map(|note| note.reason).collect())
}

#[test]
fn of_several_metrics_the_greatest_counts_and_unknown_ones_keep_pods() {
    let valid = "ValidMetricFound".to_owned();
    let failed = "FailedGetExternalMetric".to_owned();
    assert_eq!(look(vec![Ok(4), Ok(6)]), (Some(6), valid.clone(), vec!["SuccessfulRescale"]));
    assert_eq!(look(vec![Ok(1), Ok(2)]), (Some(2), valid.clone(), vec!["SuccessfulRescale"]));
    // One is unknown: more pods are fine, fewer are not.
    let more = look(vec![Err("gone"), Ok(6)]);
    assert_eq!(more, (Some(6), valid.clone(), vec!["FailedGetExternalMetric", "SuccessfulRescale"]));
    let fewer = look(vec![Ok(1), Err("gone")]);
    let events = vec!["FailedGetExternalMetric", "FailedComputeMetricsReplicas"];
    assert_eq!(fewer, (None, failed.clone(), events));
    let same = look(vec![Ok(3), Err("gone")]);
    assert_eq!(same, (None, valid, vec!["FailedGetExternalMetric"]));
    let none = look(vec![Err("gone"), Err("gone too")]);
    assert_eq!((none.0, none.1, none.2.len()), (None, failed, 3));
}

#[test]
fn each_direction_may_have_its_own_tolerance() {
    // Three pods at 100 m each, target 95 m: ratio 1.05.
    let within = |tolerance: Value| {
        let metric = json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "AverageValue", "averageValue": "95m"}}});
        let rules = json!({"selectPolicy": "Max", "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Pods", "value": 9, "periodSeconds": 15}]});
        let mut behavior = json!({"scaleUp": rules, "scaleDown": rules});
        behavior["scaleUp"]["tolerance"] = tolerance;
        let autoscaler = autoscaler(json!({"metrics": [metric], "behavior": behavior}));
        let readings = vec![Ok(Reading::Pods(samples(&[100, 100, 100])))];
        let observed = Observed { replicas: 3, current: 3, pods: Ok(pods(&[Is::Ready; 3])), readings };
        decide(&autoscaler, &observed, &AutoscalerOptions::default(), &mut Memory::default(), now()).rescale
    };
    assert_eq!(within(Value::Null), None);
    assert_eq!(within(json!("0.06")), None);
    assert_eq!(within(json!("0.05")), Some(4));
    assert_eq!(within(json!("0")), Some(4));
}

fn spec(behavior: Value) -> HorizontalPodAutoscalerSpec {
    autoscaler(json!({"maxReplicas": 100, "behavior": behavior})).spec
}

fn rules(select: &str, window: i64, policies: Value) -> Value {
    json!({"selectPolicy": select, "stabilizationWindowSeconds": window, "policies": policies})
}

#[test]
fn policies_are_chosen_by_the_select_policy() {
    let policies = json!([{"type": "Pods", "value": 4, "periodSeconds": 60}, {"type": "Percent", "value": 10, "periodSeconds": 60}]);
    // Size, wanted, select policy, result: the greatest or the least change; percentages round towards more pods.
    let cases = [
        (80, 100, "Max", 88),
        (80, 100, "Min", 84),
        (10, 100, "Max", 14),
        (10, 100, "Min", 11),
        (10, 100, "Disabled", 10),
        (80, 10, "Max", 72),
        (80, 10, "Min", 76),
        (10, 1, "Max", 6),
        (10, 1, "Min", 9),
        (10, 1, "Disabled", 10),
        (10, 12, "Max", 12),
    ];
    for (size, wanted, select, expected) in cases {
        let both = rules(select, 0, policies.clone());
        let spec = spec(json!({"scaleUp": both, "scaleDown": both}));
        let mut memory = Memory::default();
        let options = AutoscalerOptions::default();
        let held = behavior::hold(&spec, &options, &mut memory, size, wanted, now());
        assert_eq!(held.replicas, expected, "{size} to {wanted} by {select}");
        assert_eq!(held.limited, expected != wanted, "{size} to {wanted} by {select}");
    }
}

#[test]
fn windows_hold_back_in_their_direction() {
    let free = json!([{"type": "Percent", "value": 1000, "periodSeconds": 15}]);
    let spec = spec(json!({"scaleUp": rules("Max", 30, free.clone()), "scaleDown": rules("Max", 60, free)}));
    let options = AutoscalerOptions::default();
    let mut memory = Memory::default();
    memory.begin(10, ago(0));
    // Seconds from now, wanted, size after it, reason.
    let steps = [
        (10, 20, 10, "ScaleUpStabilized"),
        (29, 20, 10, "ScaleUpStabilized"),
        (30, 15, 15, "ReadyForNewScale"),
        (40, 5, 15, "ScaleDownStabilized"),
        (89, 5, 15, "ScaleDownStabilized"),
        (90, 5, 5, "ReadyForNewScale"),
    ];
    let mut size = 10;
    for (at, wanted, expected, reason) in steps {
        let now = now() + SignedDuration::from_secs(at);
        let held = behavior::hold(&spec, &options, &mut memory, size, wanted, now);
        assert_eq!((held.replicas, held.able.0), (expected, reason), "after {at} s");
        size = held.replicas;
    }
}

#[test]
fn without_a_behavior_pods_at_most_double_and_the_clusters_window_holds() {
    let spec = autoscaler(json!({"maxReplicas": 50})).spec;
    let options = AutoscalerOptions::default();
    let hold = |memory: &mut Memory, size, wanted, at| {
        let held =
            behavior::hold(&spec, &options, memory, size, wanted, now() + SignedDuration::from_secs(at));
        (held.replicas, held.able.0, held.limit.0)
    };
    let mut memory = Memory::default();
    assert_eq!(hold(&mut memory, 1, 40, 0), (4, "ReadyForNewScale", "ScaleUpLimit"));
    assert_eq!(hold(&mut memory, 4, 40, 15), (8, "ReadyForNewScale", "ScaleUpLimit"));
    assert_eq!(hold(&mut memory, 30, 90, 30), (50, "ReadyForNewScale", "TooManyReplicas"));
    assert_eq!(hold(&mut memory, 50, 0, 45).1, "ScaleDownStabilized");
    assert_eq!(hold(&mut memory, 50, 0, 331), (1, "ReadyForNewScale", "TooFewReplicas"));
}
