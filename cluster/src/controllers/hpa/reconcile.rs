//! One look at one autoscaler: reads, decides, writes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{
    api::{
        autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus},
        core::v1::Pod,
    },
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};

use super::{
    AutoscalerOptions,
    behavior::Memory,
    client::Reader,
    decide::{self, Decision, Note, Observed, Scope, SelectorProblem},
};
use crate::{
    api::selectors::LabelTerms,
    controllers::{
        Context,
        error::{During, ReconcileError, if_found},
        informer::ObjectKey,
        queue::Requeue,
    },
};

/// What the autoscaler's controller keeps.
pub struct Autoscalers {
    /// Options.
    pub options: AutoscalerOptions,
    reader: Reader,
    memory: Mutex<HashMap<ObjectKey, Memory>>,
    // The selector of each autoscaler's target, once it has been read.
    selectors: Mutex<HashMap<ObjectKey, LabelTerms>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Autoscalers {
    /// Nothing remembered yet.
    pub fn new(client: Client, options: AutoscalerOptions) -> Self {
        Self { options, reader: Reader::new(client), memory: Mutex::default(), selectors: Mutex::default() }
    }

    /// Forgets an autoscaler that is gone.
    pub fn forget(&self, key: &ObjectKey) {
        lock(&self.memory).remove(key);
        lock(&self.selectors).remove(key);
    }
}

/// Looks at the autoscaler of that key, and again after the sync period, whatever happened.
pub async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Result<Requeue, ReconcileError> {
    let Some(autoscaler) = context.autoscalers.get(&key) else {
        context.autoscaling.forget(&key);
        return Ok(Requeue::DONE);
    };
    if let Err(error) = look(&context, &key, &autoscaler).await {
        // An immediate retry would look at the same metrics, and the periods of the scaling policies rest on the period.
        error.log("horizontalpodautoscaler", &key);
    }
    Ok(Requeue::after(context.autoscaling.options.sync_period))
}

async fn look(
    context: &Context,
    key: &ObjectKey,
    autoscaler: &HorizontalPodAutoscaler,
) -> Result<(), ReconcileError> {
    let autoscaling = &context.autoscaling;
    let (spec, namespace) = (&autoscaler.spec, &key.namespace);
    let mut scale = match autoscaling.reader.scale(namespace, &spec.scale_target_ref).await {
        Ok(scale) => scale,
        Err(error) => {
            let (status, note) = decide::without_scale(autoscaler, &error, Timestamp::now());
            record(context, autoscaler, &[note]);
            return write_status(context, key, autoscaler, status).await;
        }
    };
    let replicas = scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    let status = scale.status.as_ref();
    let current = status.map_or(0, |status| status.replicas);
    let selector = status.and_then(|status| status.selector.clone()).unwrap_or_default();
    let mut observed = Observed { replicas, current, pods: Ok(Vec::new()), readings: Vec::new() };
    if decide::scope(spec, replicas) == Scope::Metrics {
        observed.pods = select(context, key, &selector);
        if observed.pods.is_ok() {
            for metric in spec.metrics.iter().flatten() {
                observed.readings.push(autoscaling.reader.read(metric, namespace, &selector).await);
            }
        }
    }
    // Taken out while this key is worked on: one worker at a time has it.
    let mut memory = lock(&autoscaling.memory).remove(key).unwrap_or_default();
    let mut decision =
        decide::decide(autoscaler, &observed, &autoscaling.options, &mut memory, Timestamp::now());
    if let Some(to) = decision.rescale {
        scale.spec.get_or_insert_default().replicas = Some(to);
        if let Err(error) = autoscaling.reader.rescale(namespace, &spec.scale_target_ref, &scale).await {
            decision = decision.not_rescaled(&error);
        }
    }
    decision.remember(&mut memory);
    lock(&autoscaling.memory).insert(key.clone(), memory);
    let Decision { status, notes, .. } = decision;
    record(context, autoscaler, &notes);
    write_status(context, key, autoscaler, status).await
}

/// The pods of the target, if this autoscaler is the only one that has them.
fn select(context: &Context, key: &ObjectKey, selector: &str) -> Result<Vec<Arc<Pod>>, SelectorProblem> {
    if selector.is_empty() {
        return Err(SelectorProblem::Missing);
    }
    let terms = LabelTerms::parse(selector).map_err(SelectorProblem::Unreadable)?;
    let labels = |pod: &Pod| pod.metadata.labels.clone().unwrap_or_default();
    let pods: Vec<Arc<Pod>> = context
        .pods
        .in_namespace(&key.namespace)
        .into_iter()
        .filter(|pod| terms.matches(&labels(pod)))
        .collect();
    let mut selectors = lock(&context.autoscaling.selectors);
    selectors.insert(key.clone(), terms);
    let mut rivals: Vec<String> = selectors
        .iter()
        .filter(|(other, terms)| {
            other.namespace == key.namespace && pods.iter().any(|pod| terms.matches(&labels(pod)))
        })
        .map(|(other, _)| other.to_string())
        .collect();
    if rivals.len() > 1 {
        rivals.sort();
        return Err(SelectorProblem::Ambiguous(selector.to_owned(), rivals));
    }
    Ok(pods)
}

fn record(context: &Context, autoscaler: &HorizontalPodAutoscaler, notes: &[Note]) {
    for note in notes {
        context.autoscaler_events.record(autoscaler, note.severity, note.reason, note.message.clone());
    }
}

async fn write_status(
    context: &Context,
    key: &ObjectKey,
    autoscaler: &HorizontalPodAutoscaler,
    status: HorizontalPodAutoscalerStatus,
) -> Result<(), ReconcileError> {
    if autoscaler.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let wanted = HorizontalPodAutoscaler { status: Some(status), ..autoscaler.clone() };
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(context.client.clone(), &key.namespace);
    let written = if_found(api.replace_status(&key.name, &PostParams::default(), &wanted).await);
    written.during(|| format!("write the status of HorizontalPodAutoscaler {key}"))?;
    Ok(())
}
