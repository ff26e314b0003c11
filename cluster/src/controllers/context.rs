//! What the controllers share, and how they are started.

use std::{fmt::Debug, future::Future, sync::Arc};

use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, ReplicaSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        coordination::v1::Lease,
        core::v1::{
            ConfigMap, Endpoints, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret,
            Service, ServiceAccount,
        },
        discovery::v1::EndpointSlice,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client, Resource, ResourceExt, core::PartialObjectMeta};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    deployment, disruption,
    endpoints::{self, SliceDebts},
    error::{During, ReconcileError, if_found},
    events::Recorder,
    expectations::Expectations,
    garbage::{self, Graph, Kind, Uid},
    hpa::{self, AutoscalerOptions, Autoscalers},
    informer::{Change, Informer, ObjectKey},
    namespace,
    queue::{Queue, Requeue},
    replicaset,
};

/// Objects of one kind that are reconciled at the same time (the default of kube-controller-manager).
const WORKERS: usize = 5;
/// Objects that the garbage collector looks at at the same time (the default there).
const COLLECTORS: usize = 20;

/// Caches, client and event recorders of the controllers.
pub struct Context {
    pub(super) client: Client,
    pub(super) deployments: Informer<Deployment>,
    pub(super) replica_sets: Informer<ReplicaSet>,
    pub(super) pods: Informer<Pod>,
    pub(super) services: Informer<Service>,
    pub(super) endpoints: Informer<Endpoints>,
    pub(super) endpoint_slices: Informer<EndpointSlice>,
    pub(super) namespaces: Informer<Namespace>,
    pub(super) service_accounts: Informer<PartialObjectMeta<ServiceAccount>>,
    pub(super) autoscalers: Informer<HorizontalPodAutoscaler>,
    pub(super) disruption_budgets: Informer<PodDisruptionBudget>,
    pub(super) autoscaling: Autoscalers,
    pub(super) expectations: Expectations,
    pub(super) slice_debts: SliceDebts,
    pub(super) deployment_events: Recorder,
    pub(super) replica_set_events: Recorder,
    pub(super) autoscaler_events: Recorder,
    pub(super) disruption_events: Recorder,
}

impl Context {
    fn new(client: Client, autoscaling: AutoscalerOptions, shutdown: &CancellationToken) -> Self {
        let events = Recorder::start(client.clone(), "deployment-controller", shutdown.clone());
        Self {
            autoscaling: Autoscalers::new(client.clone(), autoscaling),
            client,
            deployments: Informer::default(),
            replica_sets: Informer::default(),
            pods: Informer::default(),
            services: Informer::default(),
            endpoints: Informer::default(),
            endpoint_slices: Informer::default(),
            namespaces: Informer::default(),
            service_accounts: Informer::default(),
            autoscalers: Informer::default(),
            disruption_budgets: Informer::default(),
            expectations: Expectations::default(),
            slice_debts: SliceDebts::default(),
            replica_set_events: events.named("replicaset-controller"),
            autoscaler_events: events.named("horizontal-pod-autoscaler"),
            disruption_events: events.named("controllermanager"),
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

/// True for the kinds that live in a namespace.
trait Scoped {
    const NAMESPACED: bool;
}

impl Scoped for NamespaceResourceScope {
    const NAMESPACED: bool = true;
}

impl Scoped for ClusterResourceScope {
    const NAMESPACED: bool = false;
}

/// Starts watches and workers.
struct Starter {
    context: Arc<Context>,
    graph: Arc<Graph>,
    garbage: Queue<Uid>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    synced: Vec<futures::future::BoxFuture<'static, ()>>,
}

impl Starter {
    /// Watches whole objects of a kind, for the controllers and the garbage collector.
    fn watch<K>(&mut self, informer: &Informer<K>)
    where
        K: Resource<DynamicType = (), Scope: Scoped>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let kind = Kind::of::<K>(<K::Scope as Scoped>::NAMESPACED);
        self.graph.add_kind(kind.clone());
        garbage::connect(informer, kind, &self.graph, &self.garbage);
        self.follow(informer);
    }

    /// Watches the metadata of a kind that only the garbage collector cares for.
    fn watch_metadata<K>(&mut self, informer: &Informer<PartialObjectMeta<K>>)
    where
        K: Resource<DynamicType = (), Scope: Scoped> + Clone + Debug + Send + Sync + 'static,
    {
        let kind = Kind::of::<K>(<K::Scope as Scoped>::NAMESPACED);
        self.graph.add_kind(kind.clone());
        garbage::connect(informer, kind, &self.graph, &self.garbage);
        self.follow(informer);
    }

    fn follow<K>(&mut self, informer: &Informer<K>)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let (informer, api) = (informer.clone(), Api::all(self.context.client.clone()));
        self.tasks.spawn(informer.clone().run(api, self.shutdown.clone()));
        self.synced.push(Box::pin(async move { informer.synced().await }));
    }

    /// Runs the workers of a queue.
    fn work<R>(
        &mut self,
        name: &'static str,
        queue: Queue<ObjectKey>,
        reconcile: fn(Arc<Context>, ObjectKey) -> R,
    ) where
        R: Future<Output = Result<Requeue, ReconcileError>> + Send + 'static,
    {
        let context = Arc::clone(&self.context);
        let work = move |key| reconcile(Arc::clone(&context), key);
        self.tasks.spawn(queue.run(name, WORKERS, self.shutdown.clone(), work));
    }
}

/// Runs all controllers until the shutdown.
pub async fn run(client: Client, autoscaling: AutoscalerOptions, shutdown: CancellationToken) {
    let context = Arc::new(Context::new(client.clone(), autoscaling, &shutdown));
    let (deployments, replica_sets) = (Queue::default(), Queue::default());
    let (services, namespaces) = (Queue::default(), Queue::default());
    let (autoscalers, budgets) = (Queue::default(), Queue::default());
    deployment::connect(&context, &deployments);
    replicaset::connect(&context, &replica_sets);
    endpoints::connect(&context, &services);
    namespace::connect(&context, &namespaces);
    hpa::connect(&context, &autoscalers);
    disruption::connect(&context, &budgets);

    let mut starter = Starter {
        context: Arc::clone(&context),
        graph: Arc::default(),
        garbage: Queue::default(),
        shutdown: shutdown.clone(),
        tasks: JoinSet::new(),
        synced: Vec::new(),
    };
    starter.watch(&context.deployments);
    starter.watch(&context.replica_sets);
    starter.watch(&context.pods);
    starter.watch(&context.services);
    starter.watch(&context.endpoints);
    starter.watch(&context.endpoint_slices);
    starter.watch(&context.namespaces);
    starter.watch(&context.autoscalers);
    starter.watch(&context.disruption_budgets);
    starter.watch_metadata(&context.service_accounts);
    starter.watch_metadata::<ConfigMap>(&Informer::default());
    starter.watch_metadata::<Secret>(&Informer::default());
    starter.watch_metadata::<Lease>(&Informer::default());
    starter.watch_metadata::<PersistentVolumeClaim>(&Informer::default());
    starter.watch_metadata::<PersistentVolume>(&Informer::default());
    starter.watch_metadata::<Node>(&Informer::default());

    // A reconcile on half a cache would create what only has not been listed yet.
    let synced = futures::future::join_all(std::mem::take(&mut starter.synced));
    tokio::select! {
        _ = synced => {}
        () = shutdown.cancelled() => {}
    }
    starter.work("deployment", deployments, deployment::reconcile);
    starter.work("replicaset", replica_sets, replicaset::reconcile);
    starter.work("endpoints", services, endpoints::reconcile);
    starter.work("namespace", namespaces, namespace::reconcile);
    starter.work("horizontalpodautoscaler", autoscalers, hpa::reconcile);
    starter.work("disruption", budgets, disruption::reconcile);
    let (graph, queue) = (Arc::clone(&starter.graph), starter.garbage.clone());
    let collect = move |uid| garbage::collect(client.clone(), Arc::clone(&graph), queue.clone(), uid);
    starter.tasks.spawn(starter.garbage.run("garbage collector", COLLECTORS, shutdown, collect));
    while starter.tasks.join_next().await.is_some() {}
}
