//! From samples to a number of replicas: the arithmetic of the documented algorithm, with its rules for pods that are not
//! ready and pods without a sample.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Container, Pod},
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt;

use super::AutoscalerOptions;
use crate::{controllers::pods, kubelet::quantity};

/// One pod's sample of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The value, in thousandths.
    pub value: i64,
    /// End of the time that the sample covers.
    pub timestamp: Timestamp,
    /// Length of that time.
    pub window: SignedDuration,
}

/// Samples by pod name.
pub type Samples = BTreeMap<String, Sample>;

/// How far the ratio of usage to target may be from 1 without a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerances {
    /// Below 1.
    pub down: f64,
    /// Above 1.
    pub up: f64,
}

impl Tolerances {
    /// True if a change would be too small.
    pub fn within(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// What one metric asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// Replicas.
    pub replicas: i32,
    /// Percentage of the requests that is in use, for utilization targets.
    pub utilization: Option<i32>,
    /// Current value in thousandths: the average over the pods, or the total where the target is one.
    pub value: i64,
}

/// What the arithmetic looks at beside the metric.
#[derive(Debug, Clone, Copy)]
pub struct Workload<'a> {
    /// Pods that the target's selector matches.
    pub pods: &'a [Arc<Pod>],
    /// Replicas that the target's spec asks for.
    pub replicas: i32,
    /// Replicas that there are, by the target's status.
    pub current: i32,
    /// Tolerances.
    pub tolerances: Tolerances,
    /// Periods for pods that have just started.
    pub options: &'a AutoscalerOptions,
    /// Now.
    pub now: Timestamp,
}

/// Pods by what their samples are worth.
#[derive(Debug, Default)]
struct Groups {
    ready: usize,
    unready: BTreeSet<String>,
    missing: BTreeSet<String>,
    ignored: BTreeSet<String>,
}

fn after(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(time)
}

fn ceil(value: f64) -> i32 {
    // Saturates; NaN, from a target of 0 that validation refuses, becomes 0.
    value.ceil() as i32
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

impl Workload<'_> {
    fn group(&self, samples: &Samples, cpu: bool) -> Groups {
        let mut groups = Groups::default();
        for pod in self.pods {
            let name = pod.name_any();
            let phase = pods::phase(pod);
            if pods::is_terminating(pod) || phase == "Failed" {
                groups.ignored.insert(name);
            } else if phase == "Pending" {
                groups.unready.insert(name);
            } else if let Some(sample) = samples.get(&name) {
                if cpu && self.is_unready(pod, sample) {
                    groups.unready.insert(name);
                } else {
                    groups.ready += 1;
                }
            } else {
                groups.missing.insert(name);
            }
        }
        groups
    }

    /// CPU of a pod that starts says nothing about its load.
    fn is_unready(&self, pod: &Pod, sample: &Sample) -> bool {
        let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
        let (Some(ready), Some(started)) = (pods::condition(pod, "Ready"), started) else { return true };
        let changed = ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let is_false = ready.status == "False";
        if after(started.0, self.options.cpu_initialization_period) > self.now {
            let whole = changed.checked_add(sample.window).unwrap_or(changed);
            is_false || sample.timestamp < whole
        } else {
            is_false && after(started.0, self.options.initial_readiness_delay) > changed
        }
    }

    fn check_pods(&self) -> Result<(), String> {
        if self.pods.is_empty() {
            return Err("no pods returned by selector while calculating replica count".to_owned());
        }
        Ok(())
    }

    /// Replicas for a target utilization of a resource, in percent of the requests.
    pub fn utilization(
        &self,
        mut samples: Samples,
        resource: &str,
        container: Option<&str>,
        target: i32,
    ) -> Result<Proposal, String> {
        self.check_pods()?;
        let groups = self.group(&samples, resource == "cpu");
        samples.retain(|pod, _| !groups.ignored.contains(pod) && !groups.unready.contains(pod));
        if samples.is_empty() {
            return Err("did not receive metrics for targeted pods (pods might be unready)".to_owned());
        }
        let requests = requests(self.pods, resource, container)?;
        let mut values: BTreeMap<String, i64> =
            samples.into_iter().map(|(pod, sample)| (pod, sample.value)).collect();
        let (ratio, utilization, value) = utilization_ratio(&values, &requests, target)?;
        let found = |replicas| Proposal { replicas, utilization: Some(utilization), value };
        let up_with_unready = !groups.unready.is_empty() && ratio > 1.0;
        if !up_with_unready && groups.missing.is_empty() {
            return Ok(found(self.direct(ratio, groups.ready)));
        }
        // Whoever is not known is assumed to weaken the change: idle before pods are added, busy before some are removed.
        let busy = i128::from(target.max(100));
        for pod in &groups.missing {
            if ratio < 1.0 {
                let request = i128::from(requests.get(pod).copied().unwrap_or(0));
                values.insert(pod.clone(), clamp(request * busy / 100));
            } else if ratio > 1.0 {
                values.insert(pod.clone(), 0);
            }
        }
        if up_with_unready {
            values.extend(groups.unready.iter().map(|pod| (pod.clone(), 0)));
        }
        let (again, _, _) = utilization_ratio(&values, &requests, target)?;
        Ok(found(self.cautious(ratio, again, values.len())))
    }

    /// Replicas for a target average per pod, in thousandths.
    pub fn average(&self, mut samples: Samples, cpu: bool, target: i64) -> Result<Proposal, String> {
        self.check_pods()?;
        let groups = self.group(&samples, cpu);
        samples.retain(|pod, _| !groups.ignored.contains(pod) && !groups.unready.contains(pod));
        if samples.is_empty() {
            return Err("did not receive metrics for targeted pods (pods might be unready)".to_owned());
        }
        let mut values: BTreeMap<String, i64> =
            samples.into_iter().map(|(pod, sample)| (pod, sample.value)).collect();
        let (ratio, value) = usage_ratio(&values, target);
        let found = |replicas| Proposal { replicas, utilization: None, value };
        let up_with_unready = !groups.unready.is_empty() && ratio > 1.0;
        if !up_with_unready && groups.missing.is_empty() {
            return Ok(found(self.direct(ratio, groups.ready)));
        }
        for pod in &groups.missing {
            if ratio < 1.0 {
                values.insert(pod.clone(), target);
            } else if ratio > 1.0 {
                values.insert(pod.clone(), 0);
            }
        }
        if up_with_unready {
            values.extend(groups.unready.iter().map(|pod| (pod.clone(), 0)));
        }
        let (again, _) = usage_ratio(&values, target);
        Ok(found(self.cautious(ratio, again, values.len())))
    }

    /// Replicas when every pod's sample counts.
    fn direct(&self, ratio: f64, ready: usize) -> i32 {
        if self.tolerances.within(ratio) { self.replicas } else { ceil(ratio * ready as f64) }
    }

    /// Replicas when some values are assumed: never a change in the other direction.
    fn cautious(&self, ratio: f64, again: f64, counted: usize) -> i32 {
        let turned = (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0);
        if self.tolerances.within(again) || turned {
            return self.replicas;
        }
        let wanted = ceil(again * counted as f64);
        if (again < 1.0 && wanted > self.replicas) || (again > 1.0 && wanted < self.replicas) {
            return self.replicas;
        }
        wanted
    }

    /// Replicas for a target of the metric's whole value (Object and External metrics).
    pub fn total(&self, value: i64, target: i64) -> Result<Proposal, String> {
        let ratio = value as f64 / target as f64;
        let replicas = if self.replicas == 0 {
            // From zero there are no pods to count.
            ceil(ratio)
        } else if self.tolerances.within(ratio) {
            self.replicas
        } else {
            self.check_pods().map_err(|error| format!("unable to calculate ready pods: {error}"))?;
            let ready =
                self.pods.iter().filter(|pod| pods::phase(pod) == "Running" && pods::is_ready(pod)).count();
            ceil(ratio * ready as f64)
        };
        Ok(Proposal { replicas, utilization: None, value })
    }

    /// Replicas for a target of the metric's value divided by the pods (Object and External metrics).
    pub fn total_per_pod(&self, value: i64, target: i64) -> Proposal {
        let ratio = value as f64 / (target as f64 * f64::from(self.current));
        let replicas =
            if self.tolerances.within(ratio) { self.current } else { ceil(value as f64 / target as f64) };
        // Without pods the division gives infinity, which saturates as on a real cluster.
        let average = (value as f64 / f64::from(self.current)).ceil();
        let average = if average.is_nan() { 0 } else { average as i64 };
        Proposal { replicas, utilization: None, value: average }
    }
}

/// Ratio of the utilization to its target, the utilization in whole percent, and the average value.
fn utilization_ratio(
    values: &BTreeMap<String, i64>,
    requests: &BTreeMap<String, i64>,
    target: i32,
) -> Result<(f64, i32, i64), String> {
    let (mut used, mut requested, mut counted) = (0_i128, 0_i128, 0_i128);
    for (pod, value) in values {
        let Some(request) = requests.get(pod) else { continue };
        used += i128::from(*value);
        requested += i128::from(*request);
        counted += 1;
    }
    if requested == 0 {
        return Err("no metrics returned matched known pods".to_owned());
    }
    // Whole percent before the ratio, as the real controller: 99.9 % of a target of 90 % is 99 %, ratio 1.1.
    let percent = i32::try_from(used * 100 / requested).unwrap_or(i32::MAX);
    Ok((f64::from(percent) / f64::from(target), percent, clamp(used / counted)))
}

/// Ratio of the average to its target, and the average.
fn usage_ratio(values: &BTreeMap<String, i64>, target: i64) -> (f64, i64) {
    let total: i128 = values.values().map(|value| i128::from(*value)).sum();
    let average = clamp(total / values.len().max(1) as i128);
    (average as f64 / target as f64, average)
}

/// What each pod requests of a resource, in thousandths: of one container, of the pod, or of all its containers.
fn requests(
    pods: &[Arc<Pod>],
    resource: &str,
    container: Option<&str>,
) -> Result<BTreeMap<String, i64>, String> {
    pods.iter().map(|pod| Ok((pod.name_any(), request(pod, resource, container)?))).collect()
}

fn request(pod: &Pod, resource: &str, wanted: Option<&str>) -> Result<i64, String> {
    let name = pod.name_any();
    let Some(spec) = &pod.spec else { return Ok(0) };
    let whole = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    if let (Some(whole), None) = (whole.filter(|requests| !requests.is_empty()), wanted)
        && let Some(request) = whole.get(resource).and_then(quantity::milli)
    {
        return Ok(clamp(request));
    }
    let sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(sidecar);
    let mut sum = 0;
    for container in spec.containers.iter().chain(sidecars) {
        if wanted.is_some_and(|wanted| wanted != container.name) {
            continue;
        }
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let request = requests.and_then(|requests| requests.get(resource)).and_then(quantity::milli);
        let Some(request) = request else {
            let container = &container.name;
            return Err(format!("missing request for {resource} in container {container} of Pod {name}"));
        };
        sum += request;
        if wanted.is_some() {
            return Ok(clamp(sum));
        }
    }
    match wanted {
        Some(wanted) => Err(format!("container {wanted} not found in Pod {name}")),
        None => Ok(clamp(sum)),
    }
}
