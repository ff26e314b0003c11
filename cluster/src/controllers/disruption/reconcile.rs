//! One pass over one disruption budget.

use std::sync::Arc;

use k8s_openapi::{
    api::{core::v1::Pod, policy::v1::PodDisruptionBudget},
    jiff::Timestamp,
};
use kube::{Api, Resource, ResourceExt, api::PostParams};

use super::plan::{self, Scale, Selects};
use crate::controllers::{
    Context,
    error::{During, ReconcileError, if_found},
    events::Severity,
    informer::ObjectKey,
    owner,
    queue::Requeue,
};

/// Reconciles the budget of that key.
pub async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Result<Requeue, ReconcileError> {
    let Some(budget) = context.disruption_budgets.get(&key) else { return Ok(Requeue::DONE) };
    if budget.metadata.deletion_timestamp.is_some() {
        return Ok(Requeue::DONE);
    }
    let events = &context.disruption_events;
    let now = Timestamp::now();
    let selects = Selects::of(&budget);
    let pods: Vec<Arc<Pod>> =
        context.pods.in_namespace(&key.namespace).into_iter().filter(|pod| selects.matches(pod)).collect();
    if pods.is_empty() {
        events.record(&*budget, Severity::Normal, "NoPods", "No matching pods found".to_owned());
    }
    let evictions = plan::evictions(&budget, &pods, now);
    for pod in pods.iter().filter(|pod| evictions.overdue.contains(&pod.name_any())) {
        let message = format!("Pod was expected by PDB {key} to be deleted but it wasn't");
        events.record(&**pod, Severity::Warning, "NotDeleted", message);
    }
    let status = match plan::expected(&budget, &pods, |pod| scale(&context, pod)) {
        Ok(expected) => {
            if expected.unmanaged {
                let message = "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the status of \
                               the PDB cannot be calculated correctly, which may result in undefined behavior. To account for \
                               these pods please set \".spec.minAvailable\" field of the PDB to an integer value.";
                events.record(&*budget, Severity::Warning, "UnmanagedPods", message.to_owned());
            }
            plan::status(&budget, &pods, expected, &evictions, now)
        }
        Err(why) => {
            let message = format!("Failed to calculate the number of expected pods: {why}");
            events.record(&*budget, Severity::Warning, "CalculateExpectedPodCountFailed", message);
            plan::failed(&budget, &why, now)
        }
    };
    if !plan::same(budget.status.as_ref(), &status) {
        let wanted = PodDisruptionBudget { status: Some(status), ..(*budget).clone() };
        let api: Api<PodDisruptionBudget> = Api::namespaced(context.client.clone(), &key.namespace);
        let written = if_found(api.replace_status(&key.name, &PostParams::default(), &wanted).await);
        written.during(|| format!("write the status of PodDisruptionBudget {key}"))?;
    }
    Ok(Requeue(evictions.recheck))
}

/// What the controller of a pod wants: its Deployment, or a ReplicaSet that has none.
fn scale(context: &Context, pod: &Pod) -> Scale {
    let Some(controller) = owner::controller_of(pod.meta()) else { return Scale::Unmanaged };
    let namespace = pod.namespace().unwrap_or_default();
    if controller.kind != "ReplicaSet" {
        return Scale::Unknown;
    }
    let Some(set) = context.replica_sets.get(&ObjectKey::new(&*namespace, &*controller.name)) else {
        return Scale::Unknown;
    };
    if set.uid().as_deref() != Some(&*controller.uid) {
        return Scale::Unknown;
    }
    match owner::controller_of(set.meta()).filter(|owner| owner.kind == "Deployment") {
        Some(owner) => match context.deployments.get(&ObjectKey::new(namespace, &*owner.name)) {
            Some(deployment) if deployment.uid().as_deref() == Some(&*owner.uid) => {
                let replicas = deployment.spec.replicas.unwrap_or(1);
                Scale::Of(owner.uid.clone(), replicas)
            }
            _ => Scale::Unknown,
        },
        None => Scale::Of(controller.uid.clone(), set.spec.replicas.unwrap_or(1)),
    }
}
