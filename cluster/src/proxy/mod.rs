//! The service proxy: a TCP listener on each port of each ClusterIP, which passes connections to the ready endpoints in turn.
//!
//! It reads Services and EndpointSlices from the API, as kube-proxy does. A port without a ready endpoint has no listener, so
//! that clients are refused, as on a real cluster. Connections to an endpoint that is gone are reset.

mod backends;
mod listener;
mod service;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use backends::Backends;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    controllers::{
        SERVICE_NAME,
        error::ReconcileError,
        events::{Recorder, Severity},
        informer::{Informer, ObjectKey},
        queue::{Queue, Requeue},
    },
    net::Addresses,
};

/// Services that are looked at at the same time.
const WORKERS: usize = 4;

/// A port that is being served.
struct Port {
    backends: watch::Sender<Backends>,
    stop: CancellationToken,
}

struct Proxy {
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
    addresses: Addresses,
    events: Recorder,
    ports: Mutex<HashMap<ObjectKey, HashMap<SocketAddr, Port>>>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Runs the proxy until the shutdown; then every connection is closed.
pub async fn run(client: Client, addresses: Addresses, shutdown: CancellationToken) {
    let proxy = Arc::new(Proxy {
        services: Informer::default(),
        slices: Informer::default(),
        addresses,
        events: Recorder::start(client.clone(), "kube-proxy", shutdown.clone()),
        ports: Mutex::default(),
        tasks: TaskTracker::new(),
        shutdown: shutdown.clone(),
    });
    let queue: Queue<ObjectKey> = Queue::default();
    let (own, warned) = (queue.clone(), proxy.events.clone());
    proxy.services.on_change(move |change| {
        if let (None, Some(new)) = (&change.old, &change.new) {
            for what in service::unsupported(new) {
                let message =
                    format!("{what} is not supported by the embedded cluster's proxy and has no effect");
                tracing::warn!(service = %ObjectKey::of(&**new), "{message}");
                warned.record(&**new, Severity::Warning, "Unsupported", message);
            }
        }
        if let Some(service) = change.latest() {
            own.add(ObjectKey::of(&**service));
        }
    });
    let own = queue.clone();
    proxy.slices.on_change(move |change| {
        for slice in change.states() {
            if let Some(service) = slice.labels().get(SERVICE_NAME) {
                own.add(ObjectKey::new(slice.namespace().unwrap_or_default(), service));
            }
        }
    });
    let services = proxy.services.clone().run(Api::all(client.clone()), shutdown.clone());
    let slices = proxy.slices.clone().run(Api::all(client), shutdown.clone());
    let work = Arc::clone(&proxy);
    let reconcile = move |key| {
        let proxy = Arc::clone(&work);
        async move {
            proxy.update(&key);
            Ok::<_, ReconcileError>(Requeue::DONE)
        }
    };
    tokio::join!(services, slices, queue.run("proxy", WORKERS, shutdown, reconcile));
    proxy.tasks.close();
    proxy.tasks.wait().await;
}

impl Proxy {
    /// Brings the listeners of one Service in line with it and its slices.
    fn update(&self, key: &ObjectKey) {
        let service = self.services.get(key).filter(|service| service.metadata.deletion_timestamp.is_none());
        let slices = self.slices.in_namespace(&key.namespace);
        let belongs = |slice: &&Arc<EndpointSlice>| slice.labels().get(SERVICE_NAME) == Some(&key.name);
        let slices: Vec<&EndpointSlice> = slices.iter().filter(belongs).map(|slice| &**slice).collect();
        let wanted = service.as_deref().map(|service| service::ports(service, &slices)).unwrap_or_default();
        let mut all = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let running = all.entry(key.clone()).or_default();
        running.retain(|address, port| {
            let keep = wanted.contains_key(address);
            if !keep {
                port.stop.cancel();
            }
            keep
        });
        for (address, backends) in wanted {
            // Addresses of a real cluster's manifest are none of ours.
            if !self.addresses.contains(address) {
                tracing::debug!(service = %key, %address, "ClusterIP outside of the cluster's network, not served");
                continue;
            }
            if let Some(port) = running.get(&address) {
                port.backends.send_if_modified(|present| {
                    let changed = *present != backends;
                    *present = backends;
                    changed
                });
                continue;
            }
            let (sender, receiver) = watch::channel(backends);
            let stop = self.shutdown.child_token();
            let events = service.clone().map(|service| (self.events.clone(), service));
            let task = listener::serve(key.clone(), address, receiver, events, stop.clone());
            self.tasks.spawn(task);
            running.insert(address, Port { backends: sender, stop });
        }
        if running.is_empty() {
            all.remove(key);
        }
    }
}
