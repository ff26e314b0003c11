//! The table of resources that this server serves, and nothing else: a kind that nothing here implements is not accepted.

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    autoscaling::{v1::HorizontalPodAutoscaler as HorizontalPodAutoscalerV1, v2::HorizontalPodAutoscaler},
    coordination::v1::Lease,
    core::v1::{
        ConfigMap, Endpoints, Event, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret,
        Service, ServiceAccount,
    },
    discovery::v1::EndpointSlice,
    events::v1::Event as EventsV1Event,
    policy::v1::PodDisruptionBudget,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::collections::{EVENT_FIELDS, EVENTS_V1_FIELDS, POD_FIELDS};
pub use super::collections::{collection, collection_specs};

/// One resource of one API group version.
#[derive(Debug)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Version in the group.
    pub version: &'static str,
    /// Kind of the objects.
    pub kind: &'static str,
    /// Name in URLs.
    pub plural: &'static str,
    /// Name for one object.
    pub singular: &'static str,
    /// Abbreviations that kubectl offers.
    pub short_names: &'static [&'static str],
    /// Groups of resources, such as `all`.
    pub categories: &'static [&'static str],
    /// False for cluster-scoped resources.
    pub namespaced: bool,
    /// True where `deletecollection` is served.
    pub delete_collection: bool,
    /// What hangs below an object.
    pub subresources: &'static [Subresource],
    /// Index of the collection that holds the objects; two versions of one resource share it.
    pub collection: usize,
    /// Selectable fields beside `metadata.name` and `metadata.namespace`: label in a field selector and JSON pointer in the
    /// stored object. Must be the collection's field pointers, in their order.
    pub fields: &'static [(&'static str, &'static str)],
    /// True if `metadata.generation` counts changes of the spec.
    pub generation: bool,
    /// Reads an object as its type and writes it again, which checks types and drops unknown fields.
    pub decode: fn(&Value) -> Result<Value, serde_json::Error>,
    /// Hash that discovery carries; clients only compare it.
    pub storage_version_hash: &'static str,
}

/// A subresource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// `status`: writes change the status and nothing else.
    Status,
    /// `scale`: the autoscaling/v1 Scale view of a workload.
    Scale,
    /// `log` of a pod's container.
    Log,
    /// `proxy`: HTTP to a pod or Service.
    Proxy,
    /// `binding`: assigns a pod to a node.
    Binding,
    /// `finalize` of a namespace.
    Finalize,
    /// `eviction`: deletes a pod if its disruption budget allows it.
    Eviction,
}

impl Subresource {
    /// Name in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Log => "log",
            Self::Proxy => "proxy",
            Self::Binding => "binding",
            Self::Finalize => "finalize",
            Self::Eviction => "eviction",
        }
    }

    /// Verbs as discovery names them.
    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Status | Self::Scale => &["get", "patch", "update"],
            Self::Log => &["get"],
            Self::Proxy => &["create", "delete", "get", "patch", "update"],
            Self::Binding | Self::Eviction => &["create"],
            Self::Finalize => &["update"],
        }
    }
}

impl Resource {
    /// `group/version`, or only the version for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `deployments.apps`, as error messages name a resource.
    pub fn qualified_plural(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Deployment.apps`, as validation messages name a kind.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// Verbs as discovery names them.
    pub fn verbs(&self) -> Vec<&'static str> {
        const ALL: [&str; 8] =
            ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
        ALL.into_iter().filter(|verb| self.delete_collection || *verb != "deletecollection").collect()
    }

    /// The subresource of that name, if this resource has it.
    pub fn subresource(&self, name: &str) -> Option<Subresource> {
        self.subresources.iter().copied().find(|sub| sub.name() == name)
    }
}

/// Finds a resource by the words of its URL.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// Finds the core resource of a kind whose objects the collection stores.
pub fn by_kind(group: &str, kind: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.group == group && r.kind == kind)
}

/// Groups in the order of discovery, each with its versions, the preferred one first.
pub const GROUPS: [(&str, &[&str]); 7] = [
    ("", &["v1"]),
    ("apps", &["v1"]),
    ("events.k8s.io", &["v1"]),
    ("autoscaling", &["v2", "v1"]),
    ("policy", &["v1"]),
    ("coordination.k8s.io", &["v1"]),
    ("discovery.k8s.io", &["v1"]),
];

/// All group versions in the order of discovery.
pub fn group_versions() -> impl Iterator<Item = (&'static str, &'static str)> {
    GROUPS.iter().flat_map(|(group, versions)| versions.iter().map(move |version| (*group, *version)))
}

fn typed<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(T::deserialize(value)?)
}

/// What most rows of the table have in common.
const BASE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    delete_collection: true,
    subresources: &[],
    collection: 0,
    fields: &[],
    generation: false,
    decode: |value| Ok(value.clone()),
    storage_version_hash: "",
};

/// What both versions of the autoscaler have in common. As on a real server, its generation is not counted.
const AUTOSCALER: Resource = Resource {
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    subresources: &[Subresource::Status],
    collection: collection::AUTOSCALERS,
    storage_version_hash: "qwQve8ut294=",
    ..BASE
};

/// The table. In each group in alphabetical order, as discovery lists them.
pub static RESOURCES: [Resource; 19] = [
    Resource {
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        collection: collection::CONFIG_MAPS,
        decode: typed::<ConfigMap>,
        storage_version_hash: "qFsyl6wFWjQ=",
        ..BASE
    },
    Resource {
        kind: "Endpoints",
        plural: "endpoints",
        singular: "endpoints",
        short_names: &["ep"],
        collection: collection::ENDPOINTS,
        decode: typed::<Endpoints>,
        storage_version_hash: "fWeeMqaN/OA=",
        ..BASE
    },
    Resource {
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        collection: collection::EVENTS,
        fields: EVENT_FIELDS,
        decode: typed::<Event>,
        storage_version_hash: "r2yiGXH7wu8=",
        ..BASE
    },
    Resource {
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        namespaced: false,
        delete_collection: false,
        subresources: &[Subresource::Finalize, Subresource::Status],
        collection: collection::NAMESPACES,
        fields: &[("status.phase", "/status/phase")],
        decode: typed::<Namespace>,
        storage_version_hash: "Q3oi5N2YM8M=",
        ..BASE
    },
    Resource {
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short_names: &["no"],
        namespaced: false,
        subresources: &[Subresource::Proxy, Subresource::Status],
        collection: collection::NODES,
        fields: &[("spec.unschedulable", "/spec/unschedulable")],
        decode: typed::<Node>,
        storage_version_hash: "XwShjMxG9Fs=",
        ..BASE
    },
    Resource {
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        singular: "persistentvolumeclaim",
        short_names: &["pvc"],
        subresources: &[Subresource::Status],
        collection: collection::CLAIMS,
        decode: typed::<PersistentVolumeClaim>,
        storage_version_hash: "QWTyNDq0dC4=",
        ..BASE
    },
    Resource {
        kind: "PersistentVolume",
        plural: "persistentvolumes",
        singular: "persistentvolume",
        short_names: &["pv"],
        namespaced: false,
        subresources: &[Subresource::Status],
        collection: collection::VOLUMES,
        decode: typed::<PersistentVolume>,
        storage_version_hash: "HN/zwEC+JgM=",
        ..BASE
    },
    Resource {
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        short_names: &["po"],
        categories: &["all"],
        subresources: &[
            Subresource::Binding,
            Subresource::Eviction,
            Subresource::Log,
            Subresource::Proxy,
            Subresource::Status,
        ],
        collection: collection::PODS,
        fields: POD_FIELDS,
        generation: true,
        decode: typed::<Pod>,
        storage_version_hash: "xPOwRZ+Yhw8=",
        ..BASE
    },
    Resource {
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        collection: collection::SECRETS,
        fields: &[("type", "/type")],
        decode: typed::<Secret>,
        storage_version_hash: "S6u1pOWzb84=",
        ..BASE
    },
    Resource {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short_names: &["sa"],
        collection: collection::SERVICE_ACCOUNTS,
        decode: typed::<ServiceAccount>,
        storage_version_hash: "pbx9ZvyFpBE=",
        ..BASE
    },
    Resource {
        kind: "Service",
        plural: "services",
        singular: "service",
        short_names: &["svc"],
        categories: &["all"],
        subresources: &[Subresource::Proxy, Subresource::Status],
        collection: collection::SERVICES,
        fields: &[("spec.clusterIP", "/spec/clusterIP"), ("spec.type", "/spec/type")],
        decode: typed::<Service>,
        storage_version_hash: "0/CO1lhkEBI=",
        ..BASE
    },
    Resource {
        group: "apps",
        kind: "Deployment",
        plural: "deployments",
        singular: "deployment",
        short_names: &["deploy"],
        categories: &["all"],
        subresources: &[Subresource::Scale, Subresource::Status],
        collection: collection::DEPLOYMENTS,
        generation: true,
        decode: typed::<Deployment>,
        storage_version_hash: "8aSe+NMegvE=",
        ..BASE
    },
    Resource {
        group: "apps",
        kind: "ReplicaSet",
        plural: "replicasets",
        singular: "replicaset",
        short_names: &["rs"],
        categories: &["all"],
        subresources: &[Subresource::Scale, Subresource::Status],
        collection: collection::REPLICA_SETS,
        fields: &[("status.replicas", "/status/replicas")],
        generation: true,
        decode: typed::<ReplicaSet>,
        storage_version_hash: "P1RzHs8/mWQ=",
        ..BASE
    },
    Resource {
        group: "events.k8s.io",
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        collection: collection::EVENTS,
        fields: EVENTS_V1_FIELDS,
        decode: typed::<EventsV1Event>,
        storage_version_hash: "r2yiGXH7wu8=",
        ..BASE
    },
    Resource { group: "autoscaling", version: "v2", decode: typed::<HorizontalPodAutoscaler>, ..AUTOSCALER },
    Resource { group: "autoscaling", decode: typed::<HorizontalPodAutoscalerV1>, ..AUTOSCALER },
    Resource {
        group: "policy",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        singular: "poddisruptionbudget",
        short_names: &["pdb"],
        subresources: &[Subresource::Status],
        collection: collection::DISRUPTION_BUDGETS,
        generation: true,
        decode: typed::<PodDisruptionBudget>,
        storage_version_hash: "EVWiDmWqyJw=",
        ..BASE
    },
    Resource {
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        collection: collection::LEASES,
        decode: typed::<Lease>,
        storage_version_hash: "gqkMMb/YqFM=",
        ..BASE
    },
    Resource {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        collection: collection::ENDPOINT_SLICES,
        generation: true,
        decode: typed::<EndpointSlice>,
        storage_version_hash: "qgS0xkrxYAI=",
        ..BASE
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectable_fields_are_the_pointers_of_their_collection() {
        let specs = collection_specs();
        for resource in &RESOURCES {
            let pointers: Vec<&str> = resource.fields.iter().map(|(_, pointer)| *pointer).collect();
            assert_eq!(pointers, specs[resource.collection].field_pointers, "{}", resource.plural);
        }
    }
}
