//! Collections of stored objects, and the fields that selectors may name.

use crate::store::CollectionSpec;

/// Collections for [`crate::store::Store::new`], by [`Resource::collection`](super::resources::Resource::collection).
pub fn collection_specs() -> Vec<CollectionSpec> {
    (0..collection::COUNT)
        .map(|index| {
            let pointers = match index {
                collection::PODS => POD_POINTERS,
                collection::EVENTS => EVENT_POINTERS,
                collection::SECRETS => &["/type"],
                collection::NAMESPACES => &["/status/phase"],
                collection::NODES => &["/spec/unschedulable"],
                collection::REPLICA_SETS => &["/status/replicas"],
                collection::SERVICES => &["/spec/clusterIP", "/spec/type"],
                _ => &[],
            };
            CollectionSpec { field_pointers: pointers }
        })
        .collect()
}

/// Indexes of the collections.
pub mod collection {
    #![expect(missing_docs, reason = "one constant per resource, named after it")]
    pub const NAMESPACES: usize = 0;
    pub const NODES: usize = 1;
    pub const PODS: usize = 2;
    pub const SERVICES: usize = 3;
    pub const ENDPOINTS: usize = 4;
    pub const CONFIG_MAPS: usize = 5;
    pub const SECRETS: usize = 6;
    pub const SERVICE_ACCOUNTS: usize = 7;
    pub const CLAIMS: usize = 8;
    pub const VOLUMES: usize = 9;
    pub const EVENTS: usize = 10;
    pub const DEPLOYMENTS: usize = 11;
    pub const REPLICA_SETS: usize = 12;
    pub const LEASES: usize = 13;
    pub const ENDPOINT_SLICES: usize = 14;
    pub const AUTOSCALERS: usize = 15;
    pub const DISRUPTION_BUDGETS: usize = 16;
    pub const COUNT: usize = 17;
}

/// Selectable fields of pods.
pub(super) const POD_FIELDS: &[(&str, &str)] = &[
    ("spec.nodeName", "/spec/nodeName"),
    ("spec.restartPolicy", "/spec/restartPolicy"),
    ("spec.schedulerName", "/spec/schedulerName"),
    ("spec.serviceAccountName", "/spec/serviceAccountName"),
    ("spec.hostNetwork", "/spec/hostNetwork"),
    ("status.phase", "/status/phase"),
    ("status.podIP", "/status/podIP"),
    ("status.nominatedNodeName", "/status/nominatedNodeName"),
];
const POD_POINTERS: &[&str] = &[
    "/spec/nodeName",
    "/spec/restartPolicy",
    "/spec/schedulerName",
    "/spec/serviceAccountName",
    "/spec/hostNetwork",
    "/status/phase",
    "/status/podIP",
    "/status/nominatedNodeName",
];
const EVENT_POINTERS: &[&str] = &[
    "/involvedObject/kind",
    "/involvedObject/namespace",
    "/involvedObject/name",
    "/involvedObject/uid",
    "/involvedObject/apiVersion",
    "/involvedObject/resourceVersion",
    "/involvedObject/fieldPath",
    "/reason",
    "/reportingComponent",
    "/source/component",
    "/type",
];
/// Selectable fields of events.
pub(super) const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject.kind", EVENT_POINTERS[0]),
    ("involvedObject.namespace", EVENT_POINTERS[1]),
    ("involvedObject.name", EVENT_POINTERS[2]),
    ("involvedObject.uid", EVENT_POINTERS[3]),
    ("involvedObject.apiVersion", EVENT_POINTERS[4]),
    ("involvedObject.resourceVersion", EVENT_POINTERS[5]),
    ("involvedObject.fieldPath", EVENT_POINTERS[6]),
    ("reason", EVENT_POINTERS[7]),
    ("reportingComponent", EVENT_POINTERS[8]),
    ("source", EVENT_POINTERS[9]),
    ("type", EVENT_POINTERS[10]),
];
/// Selectable fields of events in their other version.
pub(super) const EVENTS_V1_FIELDS: &[(&str, &str)] = &[
    ("regarding.kind", EVENT_POINTERS[0]),
    ("regarding.namespace", EVENT_POINTERS[1]),
    ("regarding.name", EVENT_POINTERS[2]),
    ("regarding.uid", EVENT_POINTERS[3]),
    ("regarding.apiVersion", EVENT_POINTERS[4]),
    ("regarding.resourceVersion", EVENT_POINTERS[5]),
    ("regarding.fieldPath", EVENT_POINTERS[6]),
    ("reason", EVENT_POINTERS[7]),
    ("reportingController", EVENT_POINTERS[8]),
    ("source", EVENT_POINTERS[9]),
    ("type", EVENT_POINTERS[10]),
];
