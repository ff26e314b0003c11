//! Watches the HorizontalPodAutoscalers and PodDisruptionBudgets of a namespace.

use std::collections::BTreeMap;

use harness_event::{EventKind, ObservedAutoscaler, ObservedBudget, Timestamp, WorkloadRef};
use k8s_openapi::{
    api::{
        autoscaling::v2::{
            HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
        },
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Api, Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::changes::{Change, Key, Scope, watch};
use crate::log::Log;

/// Does the cluster serve this kind? Also true if it did not say: the watch then reports the outage.
pub async fn is_served<K: Resource<DynamicType = ()>>(client: &Client) -> bool {
    match client.list_api_group_resources(&K::api_version(&())).await {
        Ok(list) => list.resources.iter().any(|resource| resource.kind == K::kind(&())),
        Err(kube::Error::Api(status)) => status.code != 404,
        Err(_) => true,
    }
}

/// Reports every change of an autoscaler, until told to stop.
pub async fn watch_autoscalers(client: Client, scope: Scope, log: Log, stop: CancellationToken) {
    let api: Api<HorizontalPodAutoscaler> = scope.api(&client);
    let mut known: BTreeMap<Key, ObservedAutoscaler> = BTreeMap::new();
    let observe = |change: Change<HorizontalPodAutoscaler>| {
        let (key, seen) = match change {
            Change::Was(autoscaler) | Change::Is(autoscaler) => {
                let key = Key::of(&autoscaler);
                let mut seen = observed_autoscaler(&autoscaler, Timestamp::now());
                seen.autoscaler = scope.name(&key);
                if scope == Scope::All {
                    seen.target.name = format!("{}/{}", key.namespace, seen.target.name);
                }
                (key, seen)
            }
            Change::Gone(key) => {
                let last = known.remove(&key)?;
                let gone = ObservedAutoscaler { seen_at: Timestamp::now(), exists: false, ..last };
                return Some(EventKind::AutoscalerObserved(gone));
            }
        };
        let old = known.insert(key, seen.clone());
        let same = old.is_some_and(|old| ObservedAutoscaler { seen_at: seen.seen_at, ..old } == seen);
        (!same).then_some(EventKind::AutoscalerObserved(seen))
    };
    watch(api, EventKind::AUTOSCALER_OBSERVER, log, stop, observe).await;
}

/// Reports every change of a disruption budget, until told to stop.
pub async fn watch_budgets(client: Client, scope: Scope, log: Log, stop: CancellationToken) {
    let api: Api<PodDisruptionBudget> = scope.api(&client);
    let mut known: BTreeMap<Key, ObservedBudget> = BTreeMap::new();
    let observe = |change: Change<PodDisruptionBudget>| {
        let (key, seen) = match change {
            Change::Was(budget) | Change::Is(budget) => {
                let key = Key::of(&budget);
                let mut seen = observed_budget(&budget, Timestamp::now());
                seen.budget = scope.name(&key);
                (key, seen)
            }
            Change::Gone(key) => {
                let last = known.remove(&key)?;
                let gone = ObservedBudget { seen_at: Timestamp::now(), exists: false, ..last };
                return Some(EventKind::BudgetObserved(gone));
            }
        };
        let old = known.insert(key, seen.clone());
        let same = old.is_some_and(|old| ObservedBudget { seen_at: seen.seen_at, ..old } == seen);
        (!same).then_some(EventKind::BudgetObserved(seen))
    };
    watch(api, EventKind::BUDGET_OBSERVER, log, stop, observe).await;
}

/// An autoscaler as facts have it.
fn observed_autoscaler(autoscaler: &HorizontalPodAutoscaler, seen_at: Timestamp) -> ObservedAutoscaler {
    let (spec, status) = (&autoscaler.spec, autoscaler.status.clone().unwrap_or_default());
    let target =
        WorkloadRef { kind: spec.scale_target_ref.kind.clone(), name: spec.scale_target_ref.name.clone() };
    let current = status.current_metrics.unwrap_or_default();
    let wanted = spec.metrics.as_deref().unwrap_or_default();
    let metrics = wanted.iter().enumerate().map(|(place, metric)| shown(metric, current.get(place)));
    let conditions = status.conditions.unwrap_or_default();
    let conditions = conditions.iter().map(|condition| {
        format!("{}={}({})", condition.type_, condition.status, condition.reason.as_deref().unwrap_or(""))
    });
    ObservedAutoscaler {
        autoscaler: autoscaler.name_any(),
        seen_at,
        exists: true,
        target,
        min: spec.min_replicas.unwrap_or(1),
        max: spec.max_replicas,
        current: status.current_replicas.unwrap_or(0),
        desired: status.desired_replicas,
        last_scale_at: status.last_scale_time.map(|time| Timestamp(time.0.as_millisecond())),
        metrics: metrics.collect(),
        conditions: conditions.collect(),
    }
}

/// A metric against its target, as `kubectl get hpa` shows it, with its name in front for every kind.
fn shown(metric: &MetricSpec, current: Option<&MetricStatus>) -> String {
    let resource = |name: &str, target: &MetricTarget, value: Option<&MetricValueStatus>| {
        if let Some(wanted) = &target.average_value {
            return against(name, value.and_then(|value| value.average_value.as_ref()), wanted, "");
        }
        let percent = |number: Option<i32>, otherwise: &str| {
            number.map_or_else(|| otherwise.to_owned(), |number| format!("{number}%"))
        };
        let value = percent(value.and_then(|value| value.average_utilization), "<unknown>");
        format!("{name}: {value}/{}", percent(target.average_utilization, "<auto>"))
    };
    let whole_or_average = |name: &str, target: &MetricTarget, value: Option<&MetricValueStatus>| match (
        &target.average_value,
        &target.value,
    ) {
        (Some(wanted), _) => {
            against(name, value.and_then(|value| value.average_value.as_ref()), wanted, " (avg)")
        }
        (None, Some(wanted)) => against(name, value.and_then(|value| value.value.as_ref()), wanted, ""),
        (None, None) => format!("{name}: <unknown>/<unknown>"),
    };
    if let Some(source) = &metric.resource {
        let value = current.and_then(|status| status.resource.as_ref()).map(|status| &status.current);
        return resource(&source.name, &source.target, value);
    }
    if let Some(source) = &metric.container_resource {
        let value =
            current.and_then(|status| status.container_resource.as_ref()).map(|status| &status.current);
        return resource(&source.name, &source.target, value);
    }
    if let Some(source) = &metric.pods {
        let value = current.and_then(|status| status.pods.as_ref()).map(|status| &status.current);
        let value = value.and_then(|value| value.average_value.as_ref());
        return match &source.target.average_value {
            Some(wanted) => against(&source.metric.name, value, wanted, ""),
            None => format!("{}: <unknown>/<unknown>", source.metric.name),
        };
    }
    if let Some(source) = &metric.object {
        let value = current.and_then(|status| status.object.as_ref()).map(|status| &status.current);
        return whole_or_average(&source.metric.name, &source.target, value);
    }
    if let Some(source) = &metric.external {
        let value = current.and_then(|status| status.external.as_ref()).map(|status| &status.current);
        return whole_or_average(&source.metric.name, &source.target, value);
    }
    format!("<unknown type {:?}>", metric.type_)
}

fn against(name: &str, value: Option<&Quantity>, wanted: &Quantity, suffix: &str) -> String {
    let value = value.map_or("<unknown>", |value| value.0.as_str());
    format!("{name}: {value}/{}{suffix}", wanted.0)
}

/// A disruption budget as facts have it.
fn observed_budget(budget: &PodDisruptionBudget, seen_at: Timestamp) -> ObservedBudget {
    let status = budget.status.as_ref();
    let generation = budget.metadata.generation.unwrap_or(0);
    let observed = status.and_then(|status| status.observed_generation);
    ObservedBudget {
        budget: budget.name_any(),
        seen_at,
        exists: true,
        healthy: status.and_then(|status| status.current_healthy).unwrap_or(0),
        demanded: status.and_then(|status| status.desired_healthy).unwrap_or(0),
        up_to_date: observed.is_some_and(|observed| observed >= generation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::serde_json::{Value, from_value, json};

    fn seen(metrics: Value, status: Value) -> ObservedAutoscaler {
        let object = json!({
            "metadata": { "name": "web" },
            "spec": {
                "minReplicas": 2, "maxReplicas": 5, "metrics": metrics,
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            },
            "status": status,
        });
        observed_autoscaler(&from_value(object).unwrap(), Timestamp(1))
    }

    /// From a recording of a real controller.
    #[test]
    fn an_autoscaler_reads_as_kubectl_shows_it() {
        let cpu = json!([{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }]);
        let fresh = seen(
            cpu.clone(),
            json!({ "currentReplicas": 3, "desiredReplicas": 0, "currentMetrics": [{ "type": "" }],
                    "conditions": [{ "type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric" }] }),
        );
        assert_eq!(fresh.metrics, ["cpu: <unknown>/80%"]);
        assert_eq!(fresh.conditions, ["ScalingActive=False(FailedGetResourceMetric)"]);
        assert_eq!((fresh.min, fresh.max, fresh.current, fresh.desired), (2, 5, 3, 0));
        let busy = seen(
            cpu,
            json!({ "currentReplicas": 3, "desiredReplicas": 5, "lastScaleTime": "2026-11-21T10:57:13Z",
                    "currentMetrics": [{ "type": "Resource", "resource": { "name": "cpu",
                        "current": { "averageUtilization": 152, "averageValue": "304m" } } }] }),
        );
        assert_eq!(busy.metrics, ["cpu: 152%/80%"]);
        assert_eq!(busy.last_scale_at, Timestamp::parse("2026-11-21T10:57:13Z"));
    }

    #[test]
    fn every_kind_of_metric_is_shown() {
        let target = |kind: &str, field: &str| json!({ "type": kind, field: "10" });
        let metrics = json!([
            { "type": "Resource", "resource": { "name": "memory", "target": target("AverageValue", "averageValue") } },
            { "type": "Pods", "pods": { "metric": { "name": "rps" }, "target": target("AverageValue", "averageValue") } },
            { "type": "External", "external": { "metric": { "name": "votes" }, "target": target("Value", "value") } },
            { "type": "Object", "object": { "metric": { "name": "hits" },
                "describedObject": { "kind": "Service", "name": "x" }, "target": target("AverageValue", "averageValue") } },
        ]);
        let current = json!([
            { "type": "Resource", "resource": { "name": "memory", "current": { "averageValue": "7" } } },
            { "type": "Pods", "pods": { "metric": { "name": "rps" }, "current": { "averageValue": "8" } } },
            { "type": "External", "external": { "metric": { "name": "votes" }, "current": { "value": "9" } } },
        ]);
        let seen = seen(metrics, json!({ "desiredReplicas": 2, "currentMetrics": current }));
        assert_eq!(seen.metrics, ["memory: 7/10", "rps: 8/10", "votes: 9/10", "hits: <unknown>/10 (avg)"]);
    }

    /// Waits until the facts are as they should be.
    async fn eventually(log: &Log, holds: impl Fn(&[EventKind]) -> bool) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let kinds: Vec<_> = log.events().into_iter().map(|event| event.kind).collect();
            if holds(&kinds) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{kinds:#?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn changes_are_facts_and_a_deletion_is_too() {
        let dir = tempfile::tempdir().unwrap();
        let server = cluster::api::ApiServer::new(cluster::api::ApiServerConfig {
            addresses: cluster::net::Addresses::claim(u64::from(std::process::id())).unwrap(),
            logs: dir.path().join("logs"),
            shutdown: CancellationToken::new(),
        });
        let client = Client::new(server.router(), "default");
        assert!(is_served::<HorizontalPodAutoscaler>(&client).await);
        assert!(is_served::<PodDisruptionBudget>(&client).await);
        assert!(!is_served::<k8s_openapi::api::flowcontrol::v1::FlowSchema>(&client).await);

        let (log, stop) = (Log::unrecorded(), CancellationToken::new());
        let mut watches = tokio::task::JoinSet::new();
        let scope = Scope::Namespace("default".to_owned());
        watches.spawn(watch_autoscalers(client.clone(), scope.clone(), log.clone(), stop.clone()));
        watches.spawn(watch_budgets(client.clone(), scope, log.clone(), stop.clone()));
        let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), "default");
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(client, "default");
        let object = json!({
            "metadata": { "name": "web" },
            "spec": { "minReplicas": 2, "maxReplicas": 5,
                      "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" } },
        });
        autoscalers.create(&Default::default(), &from_value(object).unwrap()).await.unwrap();
        let budget = json!({
            "metadata": { "name": "web" },
            "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } },
        });
        budgets.create(&Default::default(), &from_value(budget).unwrap()).await.unwrap();
        let patch = |status: Value| kube::api::Patch::Merge(json!({ "status": status }));
        let scaled = json!({ "currentReplicas": 2, "desiredReplicas": 4 });
        autoscalers.patch_status("web", &Default::default(), &patch(scaled)).await.unwrap();
        let healthy = json!({ "currentHealthy": 2, "desiredHealthy": 1, "observedGeneration": 1,
                              "disruptionsAllowed": 1, "expectedPods": 2 });
        budgets.patch_status("web", &Default::default(), &patch(healthy)).await.unwrap();
        let scaling = |exists: bool| move |kind: &EventKind| matches!(kind, EventKind::AutoscalerObserved(seen) if (seen.current, seen.desired, seen.exists) == (2, 4, exists));
        let kept = |exists: bool| {
            move |kind: &EventKind| {
                matches!(kind, EventKind::BudgetObserved(seen)
                    if (seen.healthy, seen.demanded, seen.up_to_date, seen.exists) == (2, 1, true, exists))
            }
        };
        eventually(&log, |kinds| kinds.iter().any(scaling(true)) && kinds.iter().any(kept(true))).await;
        autoscalers.delete("web", &Default::default()).await.unwrap();
        budgets.delete("web", &Default::default()).await.unwrap();
        eventually(&log, |kinds| kinds.iter().any(scaling(false)) && kinds.iter().any(kept(false))).await;
        stop.cancel();
        watches.join_all().await;
    }
}
