//! One pass over one Deployment: find or make the ReplicaSet of the current template, scale, write the status.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec},
        core::v1::PodTemplateSpec,
    },
    jiff::Timestamp,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};

use super::{
    annotations::{self, REVISION, TEMPLATE_HASH},
    plan::{self, ScaleTo, Size, Target, replicas_of},
    status,
};
use crate::controllers::{
    Context,
    error::{During, ReconcileError, api_status, if_found, is_terminating},
    events::Severity,
    hash::pod_template_hash,
    informer::ObjectKey,
    owner::{self, Claim, Matcher},
    queue::Requeue,
};

/// Default of `spec.revisionHistoryLimit`.
const HISTORY_LIMIT: i32 = 10;

/// Reconciles the Deployment of that key.
pub async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Result<Requeue, ReconcileError> {
    let Some(cached) = context.deployments.get(&key) else { return Ok(Requeue::DONE) };
    let deployment = Deployment::clone(&cached);
    let matcher = Matcher::new(&deployment.spec.selector)?;
    let paused = deployment.spec.paused.unwrap_or(false);
    let mut sets = claim_replica_sets(&context, &key, &deployment, &matcher).await?;
    sets.sort_by_key(|set| (set.creation_timestamp().map(|time| time.0), set.name_any()));
    let mut pass = Pass::new(&context, key, deployment, sets);
    if pass.deployment.metadata.deletion_timestamp.is_some() {
        return pass.write_counts().await;
    }
    if let Some(status) = status::paused(&pass.deployment, Timestamp::now()) {
        pass.write_status(status).await?;
    }
    if paused {
        pass.use_existing().await?;
        pass.scale().await?;
        pass.clean_up().await?;
        return pass.write_counts().await;
    }
    let target = Target::of(&pass.deployment);
    if plan::is_scaling_event(&target, &pass.sizes()) {
        pass.use_existing().await?;
        pass.scale().await?;
        return pass.write_counts().await;
    }
    let moved = if target.rolling { pass.roll().await? } else { pass.recreate().await? };
    if !moved && status::is_complete(&pass.deployment, &pass.deployment.status.clone().unwrap_or_default()) {
        pass.clean_up().await?;
    }
    pass.write_rollout().await
}

/// The ReplicaSets that belong to the Deployment, after adopting and releasing.
async fn claim_replica_sets(
    context: &Context,
    key: &ObjectKey,
    deployment: &Deployment,
    matcher: &Matcher,
) -> Result<Vec<ReplicaSet>, ReconcileError> {
    let api: Api<ReplicaSet> = Api::namespaced(context.client.clone(), &key.namespace);
    let mut sets = Vec::new();
    for set in context.replica_sets.in_namespace(&key.namespace) {
        let owners = match owner::claim(set.meta(), deployment.meta(), matcher) {
            Claim::Keep => {
                sets.push(ReplicaSet::clone(&set));
                continue;
            }
            Claim::Ignore => continue,
            Claim::Adopt => {
                context.check_still_there::<Deployment>(key, deployment.meta()).await?;
                let Some(owner) = deployment.controller_owner_ref(&()) else { continue };
                owner::owners_with(set.meta(), owner)
            }
            Claim::Release => {
                owner::owners_without(set.meta(), deployment.uid().as_deref().unwrap_or_default())
            }
        };
        let adopted = owner::controller_of(set.meta()).is_none();
        let patch = Patch::Merge(owner::owners_patch(set.meta(), &owners));
        let name = set.name_any();
        let patched = if_found(api.patch(&name, &PatchParams::default(), &patch).await)
            .during(|| format!("change the owner of ReplicaSet {}/{name}", key.namespace))?;
        sets.extend(patched.filter(|_| adopted));
    }
    Ok(sets)
}

/// State of one pass. It is kept up to date with every answer, so that one pass does several writes without a conflict.
struct Pass<'a> {
    context: &'a Context,
    key: ObjectKey,
    deployment: Deployment,
    /// ReplicaSet of the current template.
    new: Option<ReplicaSet>,
    /// All other ones, oldest first.
    old: Vec<ReplicaSet>,
}

impl<'a> Pass<'a> {
    fn new(context: &'a Context, key: ObjectKey, deployment: Deployment, mut sets: Vec<ReplicaSet>) -> Self {
        let template = &deployment.spec.template;
        let is_new = |set: &ReplicaSet| {
            set.spec.template.as_ref().is_some_and(|of_set| annotations::same_template(of_set, template))
        };
        let new = sets.iter().position(is_new).map(|at| sets.remove(at));
        Self { context, key, deployment, new, old: sets }
    }

    fn api(&self) -> Api<ReplicaSet> {
        Api::namespaced(self.context.client.clone(), &self.key.namespace)
    }

    fn target(&self) -> Target {
        Target::of(&self.deployment)
    }

    fn all(&self) -> Vec<ReplicaSet> {
        self.old.iter().chain(&self.new).cloned().collect()
    }

    fn sizes(&self) -> Vec<Size> {
        self.old.iter().chain(&self.new).map(Size::of).collect()
    }

    fn next_revision(&self) -> i64 {
        self.old.iter().map(annotations::revision).max().unwrap_or(0) + 1
    }

    /// Brings revision and annotations of the existing ReplicaSet of the current template up to date, if there is one.
    async fn use_existing(&mut self) -> Result<(), ReconcileError> {
        let next = self.next_revision();
        let Some(new) = self.new.as_mut() else { return Ok(()) };
        let min_ready = self.deployment.spec.min_ready_seconds;
        let mut wanted = new.clone();
        let mut changed = annotations::inherit(&mut wanted, &self.deployment, next);
        if wanted.spec.min_ready_seconds.unwrap_or(0) != min_ready.unwrap_or(0) {
            wanted.spec.min_ready_seconds = min_ready;
            changed = true;
        }
        if changed {
            let name = wanted.name_any();
            let api: Api<ReplicaSet> = Api::namespaced(self.context.client.clone(), &self.key.namespace);
            *new = api
                .replace(&name, &PostParams::default(), &wanted)
                .await
                .during(|| format!("update ReplicaSet {}/{name}", self.key.namespace))?;
        }
        let revision = new.annotations().get(REVISION).cloned().unwrap_or_default();
        let found = format!("Found new replica set \"{}\"", new.name_any());
        let mut status = self.deployment.status.clone().unwrap_or_default();
        let has_progress = status::condition(&status, status::PROGRESSING).is_some();
        if status::progress_deadline(&self.deployment).is_some() && !has_progress {
            let reason = status::FOUND_NEW_REPLICA_SET;
            let condition =
                status::new_condition(status::PROGRESSING, "True", reason, found, Timestamp::now());
            status::set_condition(&mut status, condition);
        }
        self.write_revision(revision, status).await
    }

    /// Makes sure that the ReplicaSet of the current template exists.
    async fn use_or_create(&mut self) -> Result<(), ReconcileError> {
        if self.new.is_some() {
            return self.use_existing().await;
        }
        let wanted = self.new_replica_set()?;
        let (name, replicas) = (wanted.name_any(), replicas_of(&wanted));
        let created = match self.api().create(&PostParams::default(), &wanted).await {
            Ok(created) => {
                if replicas > 0 {
                    self.record_scaling(&name, 0, replicas);
                }
                self.new = Some(created);
                true
            }
            Err(error) if api_status(&error).is_some_and(|status| status.is_already_exists()) => {
                self.take_existing(&name).await?;
                false
            }
            Err(error) => return Err(self.creation_failed(&name, error).await),
        };
        let mut status = self.deployment.status.clone().unwrap_or_default();
        if created && status::progress_deadline(&self.deployment).is_some() {
            let (reason, message) =
                (status::NEW_REPLICA_SET_CREATED, format!("Created new replica set \"{name}\""));
            let condition =
                status::new_condition(status::PROGRESSING, "True", reason, message, Timestamp::now());
            status::set_condition(&mut status, condition);
        }
        let revision =
            self.new.as_ref().and_then(|new| new.annotations().get(REVISION).cloned()).unwrap_or_default();
        self.write_revision(revision, status).await
    }

    fn new_replica_set(&self) -> Result<ReplicaSet, ReconcileError> {
        let spec = self.deployment.spec.clone();
        let collisions = self.deployment.status.as_ref().and_then(|status| status.collision_count);
        let hash = pod_template_hash(&spec.template, collisions)
            .map_err(|error| ReconcileError::Invalid(format!("template cannot be hashed: {error}")))?;
        let mut template: PodTemplateSpec = spec.template;
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(TEMPLATE_HASH.to_owned(), hash.clone());
        let labels = labels.clone();
        let mut selector = spec.selector;
        selector.match_labels.get_or_insert_default().insert(TEMPLATE_HASH.to_owned(), hash.clone());
        let target = self.target();
        let replicas = plan::new_replicas(&target, 0, self.old.iter().map(replicas_of).sum());
        let mut set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{}-{hash}", self.key.name)),
                namespace: Some(self.key.namespace.clone()),
                labels: Some(labels),
                owner_references: self.deployment.controller_owner_ref(&()).map(|owner| {
                    vec![k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
                        block_owner_deletion: Some(true),
                        ..owner
                    }]
                }),
                ..ObjectMeta::default()
            },
            spec: ReplicaSetSpec {
                replicas: Some(replicas),
                min_ready_seconds: spec.min_ready_seconds,
                selector,
                template: Some(template),
            },
            status: None,
        };
        annotations::inherit(&mut set, &self.deployment, self.next_revision());
        annotations::set_sizes(&mut set, &target);
        Ok(set)
    }

    /// The name is taken: by our own earlier create that the cache does not show yet, or by a hash collision.
    async fn take_existing(&mut self, name: &str) -> Result<(), ReconcileError> {
        let existing =
            self.api().get(name).await.during(|| format!("get ReplicaSet {}/{name}", self.key.namespace))?;
        let template = existing.spec.template.as_ref();
        let same =
            template.is_some_and(|of_set| annotations::same_template(of_set, &self.deployment.spec.template));
        if same && owner::is_controlled_by(existing.meta(), self.deployment.uid().as_deref()) {
            self.new = Some(existing);
            return Ok(());
        }
        let mut status = self.deployment.status.clone().unwrap_or_default();
        status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
        self.write_status(status).await?;
        Err(ReconcileError::Stale("the name of the new ReplicaSet was taken, another hash is tried"))
    }

    async fn creation_failed(&mut self, name: &str, error: kube::Error) -> ReconcileError {
        let terminating = api_status(&error).is_some_and(is_terminating);
        let message = format!("Failed to create new replica set \"{name}\": {}", api_message(&error));
        if !terminating {
            let reason = status::REPLICA_SET_CREATE_ERROR;
            self.context.deployment_events.record(
                &self.deployment,
                Severity::Warning,
                reason,
                message.clone(),
            );
            let mut status = self.deployment.status.clone().unwrap_or_default();
            let condition =
                status::new_condition(status::PROGRESSING, "False", reason, message, Timestamp::now());
            status::set_condition(&mut status, condition);
            if status::progress_deadline(&self.deployment).is_some()
                && let Err(error) = self.write_status(status).await
            {
                return error;
            }
        }
        ReconcileError::Api {
            action: format!("create ReplicaSet {}/{name}", self.key.namespace),
            source: Box::new(error),
        }
    }

    /// One step of a rolling update; true if something was scaled.
    async fn roll(&mut self) -> Result<bool, ReconcileError> {
        self.use_or_create().await?;
        let Some(new) = self.new.as_ref().map(Size::of) else { return Ok(false) };
        let old: Vec<Size> = self.old.iter().map(Size::of).collect();
        self.apply(plan::rolling_update(&self.target(), &new, &old)).await
    }

    /// One step with strategy Recreate: everything old down, then, when its pods are gone, the new one up.
    async fn recreate(&mut self) -> Result<bool, ReconcileError> {
        self.use_existing().await?;
        let active = self.old.iter().filter(|set| replicas_of(set) > 0);
        let down: Vec<_> = active.map(|set| ScaleTo { name: set.name_any(), replicas: 0 }).collect();
        if self.apply(down).await? || self.old_pods_run() {
            return Ok(true);
        }
        self.use_or_create().await?;
        let replicas = self.target().replicas;
        let up: Vec<_> = self.new.iter().map(|set| ScaleTo { name: set.name_any(), replicas }).collect();
        self.apply(up).await?;
        Ok(false)
    }

    fn old_pods_run(&self) -> bool {
        if self.old.iter().any(|set| Size::of(set).actual > 0) {
            return true;
        }
        let old: Vec<String> = self.old.iter().filter_map(ResourceExt::uid).collect();
        let pods = self.context.pods.in_namespace(&self.key.namespace);
        pods.iter().any(|pod| {
            !crate::controllers::pods::is_terminal(pod)
                && owner::controller_of(pod.meta()).is_some_and(|controller| old.contains(&controller.uid))
        })
    }

    async fn scale(&mut self) -> Result<bool, ReconcileError> {
        let (new, old) = (self.new.as_ref().map(Size::of), self.old.iter().map(Size::of).collect::<Vec<_>>());
        let replicas = self.deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or(0);
        let steps = plan::scale(&self.target(), new.as_ref(), &old, replicas);
        let scaled = self.apply(steps).await?;
        // Also those whose size stays: the next pass must not take this for a scaling event again.
        let active = self.old.iter().chain(&self.new).filter(|set| replicas_of(set) > 0);
        let all: Vec<_> =
            active.map(|set| ScaleTo { name: set.name_any(), replicas: replicas_of(set) }).collect();
        self.apply(all).await?;
        Ok(scaled)
    }

    /// Does the steps; true if some size changed.
    async fn apply(&mut self, steps: Vec<ScaleTo>) -> Result<bool, ReconcileError> {
        let target = self.target();
        let mut scaled = false;
        for step in steps {
            let api = self.api();
            let mut sets = self.old.iter_mut().chain(&mut self.new);
            let Some(set) = sets.find(|set| set.metadata.name.as_deref() == Some(&step.name)) else {
                continue;
            };
            let before = replicas_of(set);
            let mut wanted = set.clone();
            let noted = annotations::set_sizes(&mut wanted, &target);
            if before == step.replicas && !noted {
                continue;
            }
            wanted.spec.replicas = Some(step.replicas);
            *set = api.replace(&step.name, &PostParams::default(), &wanted).await.during(|| {
                format!("scale ReplicaSet {}/{} to {}", self.key.namespace, step.name, step.replicas)
            })?;
            if before != step.replicas {
                self.record_scaling(&step.name, before, step.replicas);
                scaled = true;
            }
        }
        Ok(scaled)
    }

    fn record_scaling(&self, set: &str, from: i32, to: i32) {
        let direction = if to > from { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {set} from {from} to {to}");
        self.context.deployment_events.record(
            &self.deployment,
            Severity::Normal,
            "ScalingReplicaSet",
            message,
        );
    }

    /// Deletes old ReplicaSets beyond the revision history limit.
    async fn clean_up(&mut self) -> Result<(), ReconcileError> {
        let limit = self.deployment.spec.revision_history_limit.unwrap_or(HISTORY_LIMIT);
        if limit == i32::MAX {
            return Ok(());
        }
        let mut alive: Vec<&ReplicaSet> =
            self.old.iter().filter(|set| set.metadata.deletion_timestamp.is_none()).collect();
        alive.sort_by_key(|set| annotations::revision(set));
        let surplus = alive.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        for set in &alive[..surplus] {
            let observed = set.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
            let idle = Size::of(set).actual == 0 && replicas_of(set) == 0;
            if !idle || set.metadata.generation.unwrap_or(0) > observed {
                continue;
            }
            let name = set.name_any();
            if_found(self.api().delete(&name, &Default::default()).await)
                .during(|| format!("delete old ReplicaSet {}/{name}", self.key.namespace))?;
        }
        Ok(())
    }

    /// Writes the revision annotation together with a status, as the real controller does, if one of both changed.
    async fn write_revision(
        &mut self,
        revision: String,
        status: DeploymentStatus,
    ) -> Result<(), ReconcileError> {
        let changed = annotations::set(self.deployment.annotations_mut(), REVISION, revision);
        if changed || self.deployment.status.as_ref() != Some(&status) {
            self.put_status(status).await?;
        }
        Ok(())
    }

    async fn write_counts(&mut self) -> Result<Requeue, ReconcileError> {
        let status = status::counts(&self.deployment, &self.all(), self.new.as_ref(), Timestamp::now());
        self.write_status(status).await?;
        Ok(self.requeue())
    }

    async fn write_rollout(&mut self) -> Result<Requeue, ReconcileError> {
        let status = status::rollout(&self.deployment, &self.all(), self.new.as_ref(), Timestamp::now());
        self.write_status(status).await?;
        Ok(self.requeue())
    }

    fn requeue(&self) -> Requeue {
        let status = self.deployment.status.clone().unwrap_or_default();
        Requeue(status::check_deadline_in(&self.deployment, &status, Timestamp::now()))
    }

    async fn write_status(&mut self, status: DeploymentStatus) -> Result<(), ReconcileError> {
        if self.deployment.status.as_ref() == Some(&status) {
            return Ok(());
        }
        self.put_status(status).await
    }

    async fn put_status(&mut self, status: DeploymentStatus) -> Result<(), ReconcileError> {
        let mut wanted = self.deployment.clone();
        wanted.status = Some(status);
        let api: Api<Deployment> = Api::namespaced(self.context.client.clone(), &self.key.namespace);
        self.deployment = api
            .replace_status(&self.key.name, &PostParams::default(), &wanted)
            .await
            .during(|| format!("write the status of Deployment {}", self.key))?;
        Ok(())
    }
}

/// The server's message, without the client's wrapping.
fn api_message(error: &kube::Error) -> String {
    api_status(error).map_or_else(|| error.to_string(), |status| status.message.clone())
}
