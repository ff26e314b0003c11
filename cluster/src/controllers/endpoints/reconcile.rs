//! One pass over one Service.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{
        core::v1::{Endpoints, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::{OwnerReference, Time},
    jiff::Timestamp,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use super::{MANAGED_BY, SERVICE_NAME, compute, slices};
use crate::controllers::{
    Context,
    error::{During, ReconcileError, api_status, if_found, is_terminating},
    informer::ObjectKey,
    queue::Requeue,
};

const SLICE_CONTROLLER: &str = "endpointslice-controller.k8s.io";
const MIRROR_CONTROLLER: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
const ENDPOINTS_MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// A slice that was created but is not seen for this long was deleted before it was seen.
const DEBT_TIMEOUT: Duration = Duration::from_secs(60);

/// Slices that were created and that the cache has not shown yet. Their names are random, so a second create would not fail.
#[derive(Debug, Default)]
pub struct SliceDebts {
    by_service: Mutex<HashMap<ObjectKey, Debt>>,
}

#[derive(Debug, Default)]
struct Debt {
    names: HashSet<String>,
    since: Option<Instant>,
}

impl SliceDebts {
    fn created(&self, service: &ObjectKey, name: String) {
        let mut all = self.by_service.lock().unwrap_or_else(PoisonError::into_inner);
        let debt = all.entry(service.clone()).or_default();
        debt.names.insert(name);
        debt.since = Some(Instant::now());
    }

    /// The cache shows this slice, or has seen it go.
    pub fn seen(&self, service: &ObjectKey, name: &str) {
        let mut all = self.by_service.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(debt) = all.get_mut(service) {
            debt.names.remove(name);
            if debt.names.is_empty() {
                all.remove(service);
            }
        }
    }

    fn settled(&self, service: &ObjectKey, cached: &dyn Fn(&str) -> bool) -> bool {
        let mut all = self.by_service.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(debt) = all.get_mut(service) else { return true };
        // The watch may have been faster than the answer to the create.
        debt.names.retain(|name| !cached(name));
        let settled = debt.names.is_empty() || debt.since.is_some_and(|since| since.elapsed() > DEBT_TIMEOUT);
        if settled {
            all.remove(service);
        }
        settled
    }
}

/// Reconciles Endpoints and EndpointSlices of the Service of that key.
pub async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Result<Requeue, ReconcileError> {
    let Some(service) = context.services.get(&key) else {
        return delete_endpoints(&context, &key).await;
    };
    if service.metadata.deletion_timestamp.is_some() {
        return Ok(Requeue::DONE);
    }
    if compute::selector(&service).is_none() {
        return mirror(&context, &key, &service).await;
    }
    let pods = context.pods.in_namespace(&key.namespace);
    let labels = service_labels(&service);
    let owner = owner_reference(&*service, "v1", "Service");
    let wanted = compute::endpoints(&service, &pods);
    let slices = write_slices(&context, &key, SLICE_CONTROLLER, labels, owner, wanted);
    let endpoints = write_endpoints(&context, &key, &service, &pods);
    let (slices, endpoints) = tokio::join!(slices, endpoints);
    ignore_terminating(slices)?;
    ignore_terminating(endpoints)?;
    Ok(Requeue::DONE)
}

/// In a namespace that is being deleted nothing can be created, and nothing needs to be.
fn ignore_terminating(result: Result<(), ReconcileError>) -> Result<(), ReconcileError> {
    match result {
        Err(error) if error.status().is_some_and(is_terminating) => Ok(()),
        other => other,
    }
}

/// Labels of the Service that its endpoints carry too.
fn service_labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.labels().clone();
    labels.retain(|name, _| name != SERVICE_NAME && name != MANAGED_BY && name != HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}

fn owner_reference(object: &impl ResourceExt, api_version: &str, kind: &str) -> OwnerReference {
    OwnerReference {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Time of the change in the form of the annotation.
fn now() -> String {
    let now = Time(Timestamp::now());
    serde_json::to_value(now).ok().and_then(|now| now.as_str().map(str::to_owned)).unwrap_or_default()
}

async fn write_slices(
    context: &Context,
    key: &ObjectKey,
    manager: &str,
    mut labels: BTreeMap<String, String>,
    owner: OwnerReference,
    wanted: compute::ByPorts,
) -> Result<(), ReconcileError> {
    labels.insert(SERVICE_NAME.to_owned(), key.name.clone());
    labels.insert(MANAGED_BY.to_owned(), manager.to_owned());
    let all = context.endpoint_slices.in_namespace(&key.namespace);
    let cached = |name: &str| all.iter().any(|slice| slice.metadata.name.as_deref() == Some(name));
    if !context.slice_debts.settled(key, &cached) {
        // The watch event of the slice calls for the next pass.
        return Ok(());
    }
    let ours = |slice: &&Arc<EndpointSlice>| {
        let labels = slice.labels();
        labels.get(SERVICE_NAME) == Some(&key.name)
            && labels.get(MANAGED_BY).map(String::as_str) == Some(manager)
            && slice.metadata.deletion_timestamp.is_none()
    };
    let mut existing: Vec<EndpointSlice> =
        all.iter().filter(ours).map(|slice| EndpointSlice::clone(slice)).collect();
    existing.sort_by_key(ResourceExt::name_any);
    let mut plan = slices::plan(&existing, wanted);
    let relabelled = existing.iter().filter(|slice| *slice.labels() != labels);
    let untouched: Vec<EndpointSlice> = relabelled
        .filter(|slice| {
            plan.update.iter().chain(&plan.delete).all(|other| other.metadata.name != slice.metadata.name)
        })
        .cloned()
        .collect();
    plan.update.extend(untouched);

    let api: Api<EndpointSlice> = Api::namespaced(context.client.clone(), &key.namespace);
    for mut slice in plan.update {
        let name = slice.name_any();
        slice.metadata.labels = Some(labels.clone());
        slice.annotations_mut().insert(TRIGGER_TIME.to_owned(), now());
        api.replace(&name, &PostParams::default(), &slice)
            .await
            .during(|| format!("update EndpointSlice {}/{name}", key.namespace))?;
    }
    for mut slice in plan.create {
        slice.metadata = ObjectMeta {
            generate_name: Some(format!("{}-", key.name)),
            namespace: Some(key.namespace.clone()),
            labels: Some(labels.clone()),
            annotations: Some(BTreeMap::from([(TRIGGER_TIME.to_owned(), now())])),
            owner_references: Some(vec![owner.clone()]),
            ..ObjectMeta::default()
        };
        let created = api
            .create(&PostParams::default(), &slice)
            .await
            .during(|| format!("create an EndpointSlice of {key}"))?;
        context.slice_debts.created(key, created.name_any());
    }
    for slice in plan.delete {
        let name = slice.name_any();
        if_found(api.delete(&name, &DeleteParams::default()).await)
            .during(|| format!("delete EndpointSlice {}/{name}", key.namespace))?;
    }
    Ok(())
}

async fn write_endpoints(
    context: &Context,
    key: &ObjectKey,
    service: &Service,
    pods: &[Arc<k8s_openapi::api::core::v1::Pod>],
) -> Result<(), ReconcileError> {
    let api: Api<Endpoints> = Api::namespaced(context.client.clone(), &key.namespace);
    let subsets = compute::subsets(service, pods);
    let subsets = (!subsets.is_empty()).then_some(subsets);
    let mut labels = service_labels(service);
    labels.insert(ENDPOINTS_MANAGED_BY.to_owned(), "endpoint-controller".to_owned());
    let Some(cached) = context.endpoints.get(key) else {
        let endpoints = Endpoints {
            metadata: ObjectMeta {
                name: Some(key.name.clone()),
                namespace: Some(key.namespace.clone()),
                labels: Some(labels),
                annotations: Some(BTreeMap::from([(TRIGGER_TIME.to_owned(), now())])),
                ..ObjectMeta::default()
            },
            subsets,
        };
        return match api.create(&PostParams::default(), &endpoints).await {
            // Ours, and the cache will show it soon; its watch event calls for the next pass.
            Err(error) if api_status(&error).is_some_and(|status| status.is_already_exists()) => Ok(()),
            other => other.map(|_| ()).during(|| format!("create Endpoints {key}")),
        };
    };
    if cached.subsets.as_ref().filter(|subsets| !subsets.is_empty()) == subsets.as_ref()
        && *cached.labels() == labels
    {
        return Ok(());
    }
    let mut wanted = Endpoints { subsets, ..Endpoints::clone(&cached) };
    wanted.metadata.labels = Some(labels);
    wanted.annotations_mut().insert(TRIGGER_TIME.to_owned(), now());
    api.replace(&key.name, &PostParams::default(), &wanted)
        .await
        .during(|| format!("update Endpoints {key}"))?;
    Ok(())
}

/// The Endpoints object goes with its Service; slices have an owner reference for that.
async fn delete_endpoints(context: &Context, key: &ObjectKey) -> Result<Requeue, ReconcileError> {
    let Some(cached) = context.endpoints.get(key) else { return Ok(Requeue::DONE) };
    // Endpoints without a Service may be somebody's in the making: only ours are deleted.
    if !cached.labels().contains_key(ENDPOINTS_MANAGED_BY) {
        return Ok(Requeue::DONE);
    }
    let api: Api<Endpoints> = Api::namespaced(context.client.clone(), &key.namespace);
    if_found(api.delete(&key.name, &DeleteParams::default()).await)
        .during(|| format!("delete Endpoints {key}"))?;
    Ok(Requeue::DONE)
}

/// A Service without a selector: hand-written Endpoints get slices, which is what proxies read.
async fn mirror(context: &Context, key: &ObjectKey, service: &Service) -> Result<Requeue, ReconcileError> {
    let external = service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("ExternalName");
    let endpoints = context.endpoints.get(key).filter(|endpoints| {
        !external && endpoints.labels().get(SKIP_MIRROR).map(String::as_str) != Some("true")
    });
    let Some(endpoints) = endpoints else {
        // Slices that were mirrored from Endpoints are owned by them and collected with them.
        return Ok(Requeue::DONE);
    };
    let mut labels = endpoints.labels().clone();
    labels.remove(ENDPOINTS_MANAGED_BY);
    let owner = owner_reference(&*endpoints, "v1", &Endpoints::kind(&()));
    let wanted = compute::mirrored(endpoints.subsets.as_deref().unwrap_or_default());
    let written = write_slices(context, key, MIRROR_CONTROLLER, labels, owner, wanted).await;
    ignore_terminating(written)?;
    Ok(Requeue::DONE)
}
