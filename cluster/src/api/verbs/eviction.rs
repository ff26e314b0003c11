//! The `eviction` subresource: deletes a pod if its disruption budget allows that.
//!
//! The budget's status is the shared account: an eviction takes one of its allowed disruptions and notes the pod, by
//! compare-and-swap, before the pod is touched; the disruption controller gives it back.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::StatusCode;
use k8s_openapi::{
    api::policy::v1::PodDisruptionBudgetStatus, apimachinery::pkg::apis::meta::v1::LabelSelector,
    jiff::Timestamp,
};
use kube::core::{Selector, SelectorExt};
use serde_json::{Value, json};

use super::{
    body, commit,
    delete::{self, DeleteOptions},
    get,
    options::WriteOptions,
};
use crate::{
    api::{
        negotiate,
        request::Call,
        resources::{self, collection},
        respond,
        router::ApiServer,
        schema::{Candidate, Ownership},
        status::ApiError,
    },
    controllers::disruption,
    store::{StoreError, Stored, text_at},
};

/// Evictions that the controller has not seen yet, at most.
const MAX_DISRUPTED: usize = 2000;
/// Seconds after which a refused eviction may succeed because the budget has been processed.
const RETRY_SECONDS: u64 = 10;

/// `create` of an Eviction.
pub async fn evict(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    let accepted = negotiate::accepted(&call.headers)?;
    let mut options = WriteOptions::parse(call, "CreateOptions")?;
    let eviction = body::object(call, "Eviction", "policy/v1", body).await?.object;
    let given = text_at(&eviction, "/metadata/name");
    if !given.is_empty() && given != call.name()? {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut deletion = DeleteOptions::of(call, &eviction["deleteOptions"])?;
    options.dry_run |= deletion.dry_run;
    deletion.dry_run = options.dry_run;

    let stored = get::find(server, call)?;
    let pod = stored.value();
    delete::check_preconditions(call.target.resource, &stored, &deletion)?;
    if !ignores_budgets(&pod)
        && let Some(budget) = budget_of(server, call.namespace(), &pod)?
        && !may_go_unready(&pod, &budget.value())
    {
        take_disruption(server, &budget, &stored.key.name, options.dry_run)?;
    }
    if !options.dry_run {
        mark(server, call, &options)?;
    }
    // The mark is a new version; the one that the client named has been checked.
    deletion.version = None;
    delete::delete_one(server, call.target.resource, &stored.key, &deletion)?;
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(respond::value(StatusCode::CREATED, &status, accepted.format))
}

/// True for pods that are no loss: not running yet, ended, or on their way out.
fn ignores_budgets(pod: &Value) -> bool {
    matches!(text_at(pod, "/status/phase"), "Pending" | "Succeeded" | "Failed")
        || !pod["metadata"]["deletionTimestamp"].is_null()
}

/// The budget whose selector matches the pod; 500 if there are two.
fn budget_of(server: &ApiServer, namespace: &str, pod: &Value) -> Result<Option<Arc<Stored>>, ApiError> {
    let labels = serde_json::from_value(pod["metadata"]["labels"].clone()).unwrap_or_default();
    let (_, all) = server.store().list(collection::DISRUPTION_BUDGETS, Some(namespace));
    let mut found = None;
    for budget in all {
        // A budget without a selector protects nothing, one with an empty selector the whole namespace.
        let Ok(Some(selector)) =
            serde_json::from_value::<Option<LabelSelector>>(budget.value()["spec"]["selector"].clone())
        else {
            continue;
        };
        if !Selector::try_from(selector).is_ok_and(|selector| selector.matches(&labels)) {
            continue;
        }
        if found.replace(budget).is_some() {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(ApiError::internal(message));
        }
    }
    Ok(found)
}

/// True for a pod that is not ready and whose budget lets such pods go (`unhealthyPodEvictionPolicy`).
fn may_go_unready(pod: &Value, budget: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let status = &budget["status"];
    let (healthy, desired) =
        (status["currentHealthy"].as_i64().unwrap_or(0), status["desiredHealthy"].as_i64().unwrap_or(0));
    !ready
        && (budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
            || (healthy >= desired && desired > 0))
}

/// Takes one of the budget's allowed disruptions and notes the pod.
fn take_disruption(server: &ApiServer, budget: &Stored, pod: &str, dry_run: bool) -> Result<(), ApiError> {
    let resource =
        resources::find("policy", "v1", "poddisruptionbudgets").ok_or_else(ApiError::no_such_resource)?;
    let name = &budget.key.name;
    loop {
        // A budget that has just been deleted protects nothing.
        let Some(current) = server.store().get(resource.collection, &budget.key) else { return Ok(()) };
        let mut wanted = current.value();
        let broken =
            |error: serde_json::Error| ApiError::internal(format!("disruption budget {name}: {error}"));
        let mut status: PodDisruptionBudgetStatus =
            serde_json::from_value(wanted["status"].clone()).map_err(broken)?;
        let observed = status.observed_generation.unwrap_or(0);
        if observed < wanted["metadata"]["generation"].as_i64().unwrap_or(0) {
            let cause = format!("The disruption budget {name} is still being processed by the server.");
            return Err(ApiError::disruption_budget(&cause, Some(RETRY_SECONDS)));
        }
        let allowed = status.disruptions_allowed.unwrap_or(0);
        if allowed < 0 {
            return Err(ApiError::forbidden(resource, name, "pdb disruptions allowed is negative"));
        }
        if status.disrupted_pods.as_ref().is_some_and(|pods| pods.len() > MAX_DISRUPTED) {
            let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
            return Err(ApiError::forbidden(resource, name, why));
        }
        if allowed == 0 {
            return Err(ApiError::disruption_budget(&refusal(name, &status), None));
        }
        if dry_run {
            return Ok(());
        }
        let now = Timestamp::now();
        status.disruptions_allowed = Some(allowed - 1);
        disruption::set_allowed_condition(&mut status, now);
        status.disrupted_pods.get_or_insert_default().insert(pod.to_owned(), disruption::whole_seconds(now));
        wanted["status"] = serde_json::to_value(&status).map_err(broken)?;
        match server.store().update(resource.collection, &budget.key, current.revision, wanted) {
            // Somebody else took or gave: look again.
            Err(StoreError::Conflict) => {}
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}

/// Why no disruption is allowed.
fn refusal(name: &str, status: &PodDisruptionBudgetStatus) -> String {
    let failed = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "DisruptionAllowed"
            && condition.status == "False"
            && condition.reason == disruption::SYNC_FAILED
    });
    if let Some(failed) = failed {
        let why = &failed.message;
        return format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {why}"
        );
    }
    let (desired, healthy) = (status.desired_healthy.unwrap_or(0), status.current_healthy.unwrap_or(0));
    format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
}

/// Says on the pod why it ends.
fn mark(server: &ApiServer, call: &Call, options: &WriteOptions) -> Result<(), ApiError> {
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "lastProbeTime": null, "lastTransitionTime": commit::now(),
        "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
    });
    commit::change_whole(server, call, options, |current| {
        let mut object = current.clone();
        let mut conditions: Vec<Value> =
            object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let marked = |other: &Value| other["type"] == "DisruptionTarget" && other["status"] == "True";
        if !conditions.iter().any(marked) {
            conditions.retain(|other| other["type"] != "DisruptionTarget");
            conditions.push(condition.clone());
            object["status"]["conditions"] = conditions.into();
        }
        Ok(Candidate { object, pinned: false, warnings: Vec::new(), ownership: Ownership::Changed })
    })?;
    Ok(())
}
