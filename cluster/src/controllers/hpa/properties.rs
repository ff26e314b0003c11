//! What holds for every load, every behavior and every order of events.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::{autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod},
    jiff::{SignedDuration, Timestamp},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    AutoscalerOptions,
    behavior::{self, Memory},
    decide::{Observed, decide},
    metric::Reading,
    replicas::{Sample, Samples, Tolerances, Workload},
};

fn start() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn pods(count: usize, ready: usize) -> Vec<Arc<Pod>> {
    let pod = |index: usize| {
        let status = if index < ready { "True" } else { "False" };
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": format!("p{index}")},
                "spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "100m"}}}]},
                "status": {"phase": "Running", "startTime": at(-600),
                    "conditions": [{"type": "Ready", "status": status, "lastTransitionTime": at(-599)}]},
            }))
            .unwrap(),
        )
    };
    (0..count).map(pod).collect()
}

fn samples(values: &[i64]) -> Samples {
    let sample = |value: i64| Sample { value, timestamp: start(), window: SignedDuration::from_secs(5) };
    values.iter().enumerate().map(|(index, value)| (format!("p{index}"), sample(*value))).collect()
}

fn direction() -> impl Strategy<Value = Value> {
    let policy = (prop::bool::ANY, 1..200_i32, 1..120_i32).prop_map(|(pods, value, period)| {
        json!({"type": if pods { "Pods" } else { "Percent" }, "value": value, "periodSeconds": period})
    });
    let select = prop::sample::select(vec!["Max", "Min", "Disabled"]);
    (select, 0..90_i32, prop::collection::vec(policy, 1..3)).prop_map(|(select, window, policies)| {
        json!({"selectPolicy": select, "stabilizationWindowSeconds": window, "policies": policies})
    })
}

fn behaviors() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        3 => (direction(), direction()).prop_map(|(up, down)| json!({"scaleUp": up, "scaleDown": down})),
    ]
}

fn autoscaler(minimum: i32, maximum: i32, behavior: Value) -> HorizontalPodAutoscaler {
    let metric = json!({"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 50}}});
    serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "demo"}, "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
        "minReplicas": minimum, "maxReplicas": maximum, "metrics": [metric], "behavior": behavior}}))
    .unwrap()
}

fn options() -> AutoscalerOptions {
    AutoscalerOptions { downscale_stabilization: Duration::from_secs(60), ..AutoscalerOptions::default() }
}

/// What is wanted, and seconds since the last time.
fn wishes() -> impl Strategy<Value = Vec<(i32, i64)>> {
    prop::collection::vec((0..60_i32, 1..40_i64), 1..40)
}

/// Sizes over time under one behavior; `check` sees each step: time, size, wanted, new size, earlier recommendations.
fn run(
    behavior: Value,
    wishes: &[(i32, i64)],
    mut check: impl FnMut(i64, i32, i32, i32, &[(i64, i32)]) -> Result<(), TestCaseError>,
) -> Result<Vec<(i64, i32)>, TestCaseError> {
    let autoscaler = autoscaler(1, 50, behavior);
    let (mut memory, mut time, mut size) = (Memory::default(), 0, 10);
    memory.begin(size, at(0));
    let mut recommendations = vec![(0, size)];
    let mut sizes = vec![(0, size)];
    for (wanted, passed) in wishes {
        time += passed;
        let held = behavior::hold(&autoscaler.spec, &options(), &mut memory, size, *wanted, at(time));
        check(time, size, *wanted, held.replicas, &recommendations)?;
        if held.replicas != size {
            memory.scaled(size, held.replicas, at(time));
        }
        size = held.replicas;
        recommendations.push((time, *wanted));
        sizes.push((time, size));
    }
    Ok(sizes)
}

/// Size at a time.
fn size_at(sizes: &[(i64, i32)], time: i64) -> i32 {
    sizes.iter().rev().find(|(at, _)| *at <= time).map_or(10, |(_, size)| *size)
}

proptest! {
    #[test]
    fn never_outside_of_the_bounds(
        minimum in 0..8_i32, span in 0..30_i32, replicas in 0..60_i32, behavior in behaviors(),
        usage in prop::collection::vec(prop::option::of(0..2000_i64), 1..20), unready in 0..5_usize,
    ) {
        let maximum = (minimum + span).max(1);
        let autoscaler = autoscaler(minimum, maximum, behavior);
        let pods = pods(usage.len() + unready, usage.len());
        let known: Vec<(usize, i64)> =
            usage.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?))).collect();
        let readings: Samples = known
            .into_iter()
            .map(|(index, value)| {
                let sample = Sample { value, timestamp: start(), window: SignedDuration::from_secs(5) };
                (format!("p{index}"), sample)
            })
            .collect();
        let observed =
            Observed { replicas, current: replicas, pods: Ok(pods), readings: vec![Ok(Reading::Pods(readings))] };
        let decision = decide(&autoscaler, &observed, &options(), &mut Memory::default(), start());
        if let Some(to) = decision.rescale {
            prop_assert!((minimum..=maximum).contains(&to), "{} is outside of {}..={}", to, minimum, maximum);
            prop_assert_ne!(to, replicas);
            prop_assert_eq!(decision.status.desired_replicas, to);
        } else {
            // Whoever is outside of the bounds is brought back, unless stopped by hand.
            prop_assert!((minimum..=maximum).contains(&replicas) || (replicas == 0 && minimum > 0));
        }
    }

    #[test]
    fn nothing_changes_inside_of_the_tolerance(count in 1..30_usize, percent in 45..=55_i64, behavior in behaviors()) {
        let autoscaler = autoscaler(1, 100, behavior);
        let readings = vec![Ok(Reading::Pods(samples(&vec![percent; count])))];
        let size = i32::try_from(count).unwrap();
        let observed = Observed { replicas: size, current: size, pods: Ok(pods(count, count)), readings };
        let decision = decide(&autoscaler, &observed, &options(), &mut Memory::default(), start());
        prop_assert_eq!(decision.rescale, None);
        prop_assert!(decision.notes.is_empty());
    }

    #[test]
    fn more_load_never_means_fewer_pods(
        usage in prop::collection::vec(0..500_i64, 1..20), more in prop::collection::vec(0..500_i64, 20), target in 1..200_i32,
    ) {
        let pods = pods(usage.len(), usage.len());
        let size = i32::try_from(usage.len()).unwrap();
        let options = options();
        let tolerances = Tolerances { down: 0.1, up: 0.1 };
        let workload =
            Workload { pods: &pods, replicas: size, current: size, tolerances, options: &options, now: start() };
        let heavier: Vec<i64> = usage.iter().zip(&more).map(|(one, other)| one + other).collect();
        let before = workload.utilization(samples(&usage), "cpu", None, target).unwrap();
        let after = workload.utilization(samples(&heavier), "cpu", None, target).unwrap();
        prop_assert!(after.replicas >= before.replicas, "{:?} then {:?}", before, after);
        let average = i64::from(target);
        let before = workload.average(samples(&usage), true, average).unwrap();
        let after = workload.average(samples(&heavier), true, average).unwrap();
        prop_assert!(after.replicas >= before.replicas, "{:?} then {:?}", before, after);
    }

    #[test]
    fn unknown_pods_never_turn_the_direction(
        usage in prop::collection::vec(0..500_i64, 1..15), missing in 1..6_usize, target in 1..200_i32,
    ) {
        let count = usage.len() + missing;
        let pods = pods(count, count);
        let size = i32::try_from(count).unwrap();
        let options = options();
        let tolerances = Tolerances { down: 0.1, up: 0.1 };
        let workload =
            Workload { pods: &pods, replicas: size, current: size, tolerances, options: &options, now: start() };
        let found = workload.utilization(samples(&usage), "cpu", None, target).unwrap();
        let ratio = f64::from(found.utilization.unwrap()) / f64::from(target);
        if ratio <= 1.0 {
            prop_assert!(found.replicas <= size);
        }
        if ratio >= 1.0 {
            prop_assert!(found.replicas >= size);
        }
    }

    #[test]
    fn windows_only_let_through_what_all_recent_looks_agree_on(behavior in behaviors(), wishes in wishes()) {
        let window = |direction: &str, default: i64| {
            behavior[direction]["stabilizationWindowSeconds"].as_i64().unwrap_or(default)
        };
        let (up, down) = (window("scaleUp", 0), window("scaleDown", 60));
        run(behavior.clone(), &wishes, |time, size, wanted, held, recommendations| {
            let recent = |window: i64| recommendations.iter().filter(move |(at, _)| *at > time - window).map(|(_, wish)| *wish);
            let highest = recent(down).chain([wanted]).max().unwrap();
            let lowest = recent(up).chain([wanted]).min().unwrap();
            // The bounds are 1 and 50.
            if held < size {
                prop_assert!(held >= highest.min(50), "{} below the recent {}", held, highest);
            }
            // Without a behavior a recommendation that was cut may still be carried out by a later look, as on a real cluster.
            if held > size && !behavior.is_null() {
                prop_assert!(held <= lowest.max(1), "{} above the recent {}", held, lowest);
            }
            Ok(())
        })?;
    }

    #[test]
    fn never_faster_than_the_policies(up in direction(), down in direction(), wishes in wishes()) {
        let sizes = run(json!({"scaleUp": up, "scaleDown": down}), &wishes, |_, _, _, _, _| Ok(()))?;
        for pair in sizes.windows(2) {
            let ((_, before), (time, after)) = (pair[0], pair[1]);
            if before == after {
                continue;
            }
            let rises = after > before;
            let rules = if rises { &up } else { &down };
            prop_assert_ne!(&rules["selectPolicy"], "Disabled");
            // What each policy allows, seen from the size at the start of its period.
            let allowed: Vec<bool> = rules["policies"]
                .as_array()
                .unwrap()
                .iter()
                .map(|policy| {
                    let earlier: Vec<(i64, i32)> = sizes.iter().copied().filter(|(at, _)| *at < time).collect();
                    let first = f64::from(size_at(&earlier, time - policy["periodSeconds"].as_i64().unwrap()));
                    let value = policy["value"].as_f64().unwrap();
                    let step = if policy["type"] == "Pods" { value } else { first * value / 100.0 };
                    let edge = 1.0 - 1e-9;
                    if rises { f64::from(after) < first + step + edge } else { f64::from(after) > first - step - edge }
                })
                .collect();
            let fits = if rules["selectPolicy"] == "Min" {
                allowed.iter().all(|fits| *fits)
            } else {
                allowed.iter().any(|fits| *fits)
            };
            prop_assert!(fits, "{} to {} at {} under {}", before, after, time, rules);
        }
    }

    #[test]
    fn without_a_behavior_pods_at_most_double_or_become_four(wishes in wishes()) {
        run(Value::Null, &wishes, |_, size, _, held, _| {
            prop_assert!(held <= (2 * size).max(4));
            Ok(())
        })?;
    }
}
