//! What the controllers share, and how they are started.

use std::{fmt::Debug, sync::Arc};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    deployment,
    error::{During, ReconcileError, if_found},
    events::Recorder,
    expectations::Expectations,
    informer::{Change, Informer, ObjectKey},
    queue::Queue,
    replicaset,
};

/// Objects of one kind that are reconciled at the same time (the default of kube-controller-manager).
const WORKERS: usize = 5;

/// Caches, client and event recorders of the controllers.
pub struct Context {
    pub(super) client: Client,
    pub(super) deployments: Informer<Deployment>,
    pub(super) replica_sets: Informer<ReplicaSet>,
    pub(super) pods: Informer<Pod>,
    pub(super) expectations: Expectations,
    pub(super) deployment_events: Recorder,
    pub(super) replica_set_events: Recorder,
}

impl Context {
    fn new(client: Client, shutdown: &CancellationToken) -> Self {
        let events = Recorder::start(client.clone(), "deployment-controller", shutdown.clone());
        Self {
            client,
            deployments: Informer::default(),
            replica_sets: Informer::default(),
            pods: Informer::default(),
            expectations: Expectations::default(),
            replica_set_events: events.named("replicaset-controller"),
            deployment_events: events,
        }
    }

    /// Asks the API server, not the cache, whether an owner still exists and is not being deleted. Adopting needs it: an owner
    /// that has just been orphan-deleted must not grab its children back.
    pub(super) async fn check_still_there<K>(
        &self,
        key: &ObjectKey,
        owner: &ObjectMeta,
    ) -> Result<(), ReconcileError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &key.namespace);
        let kind = K::kind(&());
        let live = if_found(api.get(&key.name).await).during(|| format!("get {kind} {key}"))?;
        let same =
            live.is_some_and(|live| live.uid() == owner.uid && live.meta().deletion_timestamp.is_none());
        if same { Ok(()) } else { Err(ReconcileError::Stale("the owner is gone or being deleted")) }
    }
}

impl Queue<ObjectKey> {
    /// Adds the key of the object that changed.
    pub(super) fn add_latest<K: ResourceExt + Debug>(&self, change: &Change<K>) {
        if let Some(object) = change.latest() {
            self.add(ObjectKey::of(&**object));
        }
    }
}

/// Runs all controllers until the shutdown.
pub async fn run(client: Client, shutdown: CancellationToken) {
    let context = Arc::new(Context::new(client.clone(), &shutdown));
    let (deployments, replica_sets) = (Queue::default(), Queue::default());
    deployment::connect(&context, &deployments);
    replicaset::connect(&context, &replica_sets);

    let mut tasks = JoinSet::new();
    tasks.spawn(context.deployments.clone().run(Api::all(client.clone()), shutdown.clone()));
    tasks.spawn(context.replica_sets.clone().run(Api::all(client.clone()), shutdown.clone()));
    tasks.spawn(context.pods.clone().run(Api::all(client.clone()), shutdown.clone()));

    // A reconcile on half a cache would create what only has not been listed yet.
    let synced = async {
        context.deployments.synced().await;
        context.replica_sets.synced().await;
        context.pods.synced().await;
    };
    tokio::select! {
        () = synced => {}
        () = shutdown.cancelled() => {}
    }
    let shared = Arc::clone(&context);
    let reconcile = move |key| deployment::reconcile(Arc::clone(&shared), key);
    tasks.spawn(deployments.run("deployment", WORKERS, shutdown.clone(), reconcile));
    let shared = Arc::clone(&context);
    let reconcile = move |key| replicaset::reconcile(Arc::clone(&shared), key);
    tasks.spawn(replica_sets.run("replicaset", WORKERS, shutdown.clone(), reconcile));
    while tasks.join_next().await.is_some() {}
}
