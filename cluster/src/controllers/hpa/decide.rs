//! The decision of one look at an autoscaler: pure, from what was read to the new size, status and events.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        autoscaling::v2::{
            HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition,
            HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus, MetricStatus,
        },
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{Timestamp, Unit},
};

use super::{
    AutoscalerOptions,
    behavior::{self, Memory},
    metric::{self, Reading},
    replicas::{Tolerances, Workload},
};
use crate::{controllers::events::Severity, kubelet::quantity};

/// An event to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Normal or Warning.
    pub severity: Severity,
    /// Reason.
    pub reason: &'static str,
    /// Message.
    pub message: String,
}

impl Note {
    fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, reason, message: message.into() }
    }
}

/// What a look has to find out, given the size of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The target has been stopped by somebody: nothing.
    Disabled,
    /// The size is outside of the bounds: it is corrected without metrics.
    Outside(i32, &'static str),
    /// Metrics decide.
    Metrics,
}

/// What a look has to find out.
pub fn scope(spec: &HorizontalPodAutoscalerSpec, replicas: i32) -> Scope {
    let minimum = spec.min_replicas.unwrap_or(1);
    if replicas == 0 && minimum != 0 {
        Scope::Disabled
    } else if replicas > spec.max_replicas {
        Scope::Outside(spec.max_replicas, "Current number of replicas above Spec.MaxReplicas")
    } else if replicas < minimum {
        Scope::Outside(minimum, "Current number of replicas below Spec.MinReplicas")
    } else {
        Scope::Metrics
    }
}

/// Why the target's pods cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectorProblem {
    /// The target's scale has no selector.
    Missing,
    /// It cannot be read.
    Unreadable(String),
    /// Other autoscalers select the same pods: the selector and all of them.
    Ambiguous(String, Vec<String>),
}

impl SelectorProblem {
    /// Event (reason and message), and the condition's reason and message.
    fn words(&self) -> (&'static str, String, &'static str, String) {
        match self {
            Self::Missing => (
                "SelectorRequired",
                "selector is required".to_owned(),
                "InvalidSelector",
                "the HPA target's scale is missing a selector".to_owned(),
            ),
            Self::Unreadable(why) => {
                let text =
                    format!("couldn't convert selector into a corresponding internal selector object: {why}");
                ("InvalidSelector", text.clone(), "InvalidSelector", text)
            }
            Self::Ambiguous(selector, autoscalers) => {
                let autoscalers = autoscalers.join(" ");
                let text =
                    format!("pods by selector {selector} are controlled by multiple HPAs: [{autoscalers}]");
                ("AmbiguousSelector", text.clone(), "AmbiguousSelector", text)
            }
        }
    }
}

/// What was read for one look.
#[derive(Debug)]
pub struct Observed {
    /// `spec.replicas` of the target's scale.
    pub replicas: i32,
    /// `status.replicas` of the target's scale.
    pub current: i32,
    /// Pods that the target's selector matches. Not asked for outside of [`Scope::Metrics`].
    pub pods: Result<Vec<Arc<Pod>>, SelectorProblem>,
    /// One reading for each metric of the spec, or the words of the metrics client.
    pub readings: Vec<Result<Reading, String>>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The size to write to the target's scale, if it is to change.
    pub rescale: Option<i32>,
    /// The new status, as it is if the change of the size succeeds.
    pub status: HorizontalPodAutoscalerStatus,
    /// Events, in their order.
    pub notes: Vec<Note>,
    reason: String,
    replicas: i32,
    before: HorizontalPodAutoscalerStatus,
    now: Timestamp,
}

/// Decides. `memory` is that of this autoscaler.
pub fn decide(
    autoscaler: &HorizontalPodAutoscaler,
    observed: &Observed,
    options: &AutoscalerOptions,
    memory: &mut Memory,
    now: Timestamp,
) -> Decision {
    let spec = &autoscaler.spec;
    let replicas = observed.replicas;
    let mut status = autoscaler.status.clone().unwrap_or_default();
    let before = status.clone();
    set_condition(
        &mut status,
        "AbleToScale",
        true,
        "SucceededGetScale",
        "the HPA controller was able to get the target's current scale",
        now,
    );
    memory.begin(replicas, now);
    let mut decision =
        Decision { rescale: None, status, notes: Vec::new(), reason: String::new(), replicas, before, now };
    match scope(spec, replicas) {
        Scope::Disabled => {
            let why = "scaling is disabled since the replica count of the target is zero";
            set_condition(&mut decision.status, "ScalingActive", false, "ScalingDisabled", why, now);
            decision.settle(replicas, None, None);
        }
        Scope::Outside(wanted, reason) => {
            reason.clone_into(&mut decision.reason);
            decision.settle(wanted, None, Some(wanted));
        }
        Scope::Metrics => by_metrics(autoscaler, observed, options, memory, &mut decision),
    }
    decision
}

fn by_metrics(
    autoscaler: &HorizontalPodAutoscaler,
    observed: &Observed,
    options: &AutoscalerOptions,
    memory: &mut Memory,
    decision: &mut Decision,
) {
    let (spec, now, replicas) = (&autoscaler.spec, decision.now, decision.replicas);
    let pods = match &observed.pods {
        Ok(pods) => pods,
        Err(problem) => {
            let (event, message, reason, text) = problem.words();
            decision.notes.push(Note::warning(event, &*message));
            set_condition(&mut decision.status, "ScalingActive", false, reason, &text, now);
            return decision.fail(None, message);
        }
    };
    let workload = Workload {
        pods,
        replicas,
        current: observed.current,
        tolerances: tolerances(spec, options),
        options,
        now,
    };
    let metrics = spec.metrics.as_deref().unwrap_or_default();
    let namespace = autoscaler.metadata.namespace.as_deref().unwrap_or_default();
    let (mut wanted, mut name, mut statuses, mut failures) = (0, String::new(), Vec::new(), Vec::new());
    for (index, metric) in metrics.iter().enumerate() {
        let missing = Err("no value was read".to_owned());
        let reading = observed.readings.get(index).unwrap_or(&missing);
        match metric::evaluate(metric, reading, &workload, namespace) {
            Ok(found) => {
                statuses.push(found.status);
                if wanted == 0 || found.replicas > wanted {
                    (wanted, name) = (found.replicas, found.name);
                }
            }
            Err(failure) => {
                decision.notes.push(Note::warning(failure.reason, &*failure.message));
                statuses.push(MetricStatus::default());
                failures.push(failure);
            }
        }
    }
    // One metric that is known may add pods; to remove some, all must agree.
    if let Some(first) = failures.first()
        && (failures.len() >= metrics.len() || wanted < replicas)
    {
        let text = format!("the HPA was unable to compute the replica count: {}", first.message);
        set_condition(&mut decision.status, "ScalingActive", false, first.reason, &text, now);
        let summary = format!(
            "invalid metrics ({} invalid out of {}), first error is: {}",
            failures.len(),
            metrics.len(),
            first.summary
        );
        return decision.fail(Some(statuses), summary);
    }
    let text = format!("the HPA was able to successfully calculate a replica count from {name}");
    set_condition(&mut decision.status, "ScalingActive", true, "ValidMetricFound", &text, now);
    if wanted > replicas {
        decision.reason = format!("{name} above target");
    } else if wanted < replicas {
        "All metrics below target".clone_into(&mut decision.reason);
    }
    let held = behavior::hold(spec, options, memory, replicas, wanted, now);
    set_condition(&mut decision.status, "AbleToScale", true, held.able.0, held.able.1, now);
    set_condition(&mut decision.status, "ScalingLimited", held.limited, held.limit.0, held.limit.1, now);
    let rescale = (held.replicas != replicas).then_some(held.replicas);
    decision.settle(held.replicas, Some(statuses), rescale);
}

impl Decision {
    /// The status of a look that decided something.
    fn settle(&mut self, desired: i32, metrics: Option<Vec<MetricStatus>>, rescale: Option<i32>) {
        self.rescale = rescale;
        self.status.current_replicas = (self.replicas != 0).then_some(self.replicas);
        self.status.desired_replicas = desired;
        self.status.current_metrics = metrics;
        if let Some(to) = rescale {
            self.status.last_scale_time = Some(whole_seconds(self.now));
            let text = format!("the HPA controller was able to update the target scale to {to}");
            set_condition(&mut self.status, "AbleToScale", true, "SucceededRescale", &text, self.now);
            let message = format!("New size: {to}; reason: {}", self.reason);
            self.notes.push(Note { severity: Severity::Normal, reason: "SuccessfulRescale", message });
        }
    }

    /// The status of a look that could not decide: the desired size stays what it was.
    fn fail(&mut self, metrics: Option<Vec<MetricStatus>>, summary: String) {
        let desired = self.before.desired_replicas;
        self.settle(desired, metrics, None);
        self.notes.push(Note::warning("FailedComputeMetricsReplicas", summary));
    }

    /// The decision after the size could not be written.
    #[must_use]
    pub fn not_rescaled(mut self, error: &str) -> Self {
        let Some(to) = self.rescale.take() else { return self };
        self.notes.retain(|note| note.reason != "SuccessfulRescale");
        let message = format!("New size: {to}; reason: {}; error: {error}", self.reason);
        self.notes.push(Note::warning("FailedRescale", message));
        let text = format!("the HPA controller was unable to update the target scale: {error}");
        set_condition(&mut self.status, "AbleToScale", false, "FailedUpdateScale", &text, self.now);
        self.status.desired_replicas = self.before.desired_replicas;
        self.status.last_scale_time = self.before.last_scale_time.clone();
        self
    }

    /// Remembers the change, once it is written.
    pub fn remember(&self, memory: &mut Memory) {
        if let Some(to) = self.rescale {
            memory.scaled(self.replicas, to, self.now);
        }
    }
}

/// The status and the event when the target's scale cannot be read.
pub fn without_scale(
    autoscaler: &HorizontalPodAutoscaler,
    error: &str,
    now: Timestamp,
) -> (HorizontalPodAutoscalerStatus, Note) {
    let mut status = autoscaler.status.clone().unwrap_or_default();
    let text = format!("the HPA controller was unable to get the target's current scale: {error}");
    set_condition(&mut status, "AbleToScale", false, "FailedGetScale", &text, now);
    (status, Note::warning("FailedGetScale", error))
}

/// The cluster's tolerance, where the rules of a direction have none of their own.
fn tolerances(spec: &HorizontalPodAutoscalerSpec, options: &AutoscalerOptions) -> Tolerances {
    let own = |rules: Option<&HPAScalingRules>| {
        rules
            .and_then(|rules| rules.tolerance.as_ref())
            .and_then(quantity::approximate)
            .unwrap_or(options.tolerance)
    };
    let behavior = spec.behavior.as_ref();
    Tolerances {
        down: own(behavior.and_then(|behavior| behavior.scale_down.as_ref())),
        up: own(behavior.and_then(|behavior| behavior.scale_up.as_ref())),
    }
}

fn whole_seconds(now: Timestamp) -> Time {
    Time(now.round(Unit::Second).unwrap_or(now))
}

fn set_condition(
    status: &mut HorizontalPodAutoscalerStatus,
    type_: &str,
    value: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let value = if value { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let at = conditions.iter().position(|condition| condition.type_ == type_).unwrap_or_else(|| {
        conditions.push(HorizontalPodAutoscalerCondition {
            type_: type_.to_owned(),
            ..HorizontalPodAutoscalerCondition::default()
        });
        conditions.len() - 1
    });
    let condition = &mut conditions[at];
    if condition.status != value {
        condition.last_transition_time = Some(whole_seconds(now));
    }
    value.clone_into(&mut condition.status);
    condition.reason = Some(reason.to_owned());
    condition.message = Some(message.to_owned());
}
