//! Server-side printing: the `Table` that `kubectl get` shows, with the columns of
//! `k8s.io/kubernetes/pkg/printers/internalversion`.

mod cells;
mod duration;
mod pod;
mod policy;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    resources::{Resource, collection},
    status::{ApiError, FieldError},
};

/// What each row carries beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// The metadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

impl Include {
    /// Reads `includeObject`.
    pub fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text {
            None | Some("Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => {
                let supported = ["Metadata", "None", "Object"];
                let errors = [FieldError::unsupported("includeObject", &json!(other), &supported)];
                Err(ApiError::invalid("meta.k8s.io", "TableOptions", "", &errors))
            }
        }
    }
}

/// A column: name, type, and 1 if only `-o wide` shows it.
type Column = (&'static str, &'static str, u8);

const POD: &[Column] = &[
    ("Name", "string", 0),
    ("Ready", "string", 0),
    ("Status", "string", 0),
    ("Restarts", "string", 0),
    ("Age", "string", 0),
    ("IP", "string", 1),
    ("Node", "string", 1),
    ("Nominated Node", "string", 1),
    ("Readiness Gates", "string", 1),
];
const NODE: &[Column] = &[
    ("Name", "string", 0),
    ("Status", "string", 0),
    ("Roles", "string", 0),
    ("Age", "string", 0),
    ("Version", "string", 0),
    ("Internal-IP", "string", 1),
    ("External-IP", "string", 1),
    ("OS-Image", "string", 1),
    ("Kernel-Version", "string", 1),
    ("Container-Runtime", "string", 1),
];
const DEPLOYMENT: &[Column] = &[
    ("Name", "string", 0),
    ("Ready", "string", 0),
    ("Up-to-date", "string", 0),
    ("Available", "string", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];
const REPLICA_SET: &[Column] = &[
    ("Name", "string", 0),
    ("Desired", "integer", 0),
    ("Current", "integer", 0),
    ("Ready", "integer", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];
const SERVICE: &[Column] = &[
    ("Name", "string", 0),
    ("Type", "string", 0),
    ("Cluster-IP", "string", 0),
    ("External-IP", "string", 0),
    ("Port(s)", "string", 0),
    ("Age", "string", 0),
    ("Selector", "string", 1),
];
const EVENT: &[Column] = &[
    ("Last Seen", "string", 0),
    ("Type", "string", 0),
    ("Reason", "string", 0),
    ("Object", "string", 0),
    ("Subobject", "string", 1),
    ("Source", "string", 1),
    ("Message", "string", 0),
    ("First Seen", "string", 1),
    ("Count", "string", 1),
    ("Name", "string", 1),
];
const CLAIM: &[Column] = &[
    ("Name", "string", 0),
    ("Status", "string", 0),
    ("Volume", "string", 0),
    ("Capacity", "string", 0),
    ("Access Modes", "string", 0),
    ("StorageClass", "string", 0),
    ("VolumeAttributesClass", "string", 0),
    ("Age", "string", 0),
    ("VolumeMode", "string", 1),
];
const VOLUME: &[Column] = &[
    ("Name", "string", 0),
    ("Capacity", "string", 0),
    ("Access Modes", "string", 0),
    ("Reclaim Policy", "string", 0),
    ("Status", "string", 0),
    ("Claim", "string", 0),
    ("StorageClass", "string", 0),
    ("VolumeAttributesClass", "string", 0),
    ("Reason", "string", 0),
    ("Age", "string", 0),
    ("VolumeMode", "string", 1),
];
const ENDPOINT_SLICE: &[Column] = &[
    ("Name", "string", 0),
    ("AddressType", "string", 0),
    ("Ports", "string", 0),
    ("Endpoints", "string", 0),
    ("Age", "string", 0),
];
const NAMESPACE: &[Column] = &[("Name", "string", 0), ("Status", "string", 0), ("Age", "string", 0)];
const ENDPOINTS: &[Column] = &[("Name", "string", 0), ("Endpoints", "string", 0), ("Age", "string", 0)];
const CONFIG_MAP: &[Column] = &[("Name", "string", 0), ("Data", "string", 0), ("Age", "string", 0)];
const SECRET: &[Column] =
    &[("Name", "string", 0), ("Type", "string", 0), ("Data", "string", 0), ("Age", "string", 0)];
const SERVICE_ACCOUNT: &[Column] = &[("Name", "string", 0), ("Secrets", "string", 0), ("Age", "string", 0)];
const LEASE: &[Column] = &[("Name", "string", 0), ("Holder", "string", 0), ("Age", "string", 0)];

fn columns(resource: &Resource) -> &'static [Column] {
    match resource.collection {
        collection::PODS => POD,
        collection::NODES => NODE,
        collection::DEPLOYMENTS => DEPLOYMENT,
        collection::REPLICA_SETS => REPLICA_SET,
        collection::SERVICES => SERVICE,
        collection::EVENTS => EVENT,
        collection::CLAIMS => CLAIM,
        collection::VOLUMES => VOLUME,
        collection::ENDPOINT_SLICES => ENDPOINT_SLICE,
        collection::NAMESPACES => NAMESPACE,
        collection::ENDPOINTS => ENDPOINTS,
        collection::SECRETS => SECRET,
        collection::SERVICE_ACCOUNTS => SERVICE_ACCOUNT,
        collection::LEASES => LEASE,
        collection::AUTOSCALERS => policy::AUTOSCALER,
        collection::DISRUPTION_BUDGETS => policy::DISRUPTION_BUDGET,
        _ => CONFIG_MAP,
    }
}

/// A table of objects in their stored form. `header` is false for later events of a watch, which repeat no columns.
pub fn table(
    resource: &Resource,
    objects: &[Value],
    metadata: Value,
    include: Include,
    header: bool,
) -> Value {
    let now = Timestamp::now();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut row = json!({ "cells": cells::of(resource, object, now) });
            if resource.collection == collection::PODS
                && let Some(conditions) = pod::row_conditions(object)
            {
                row["conditions"] = conditions;
            }
            match include {
                Include::None => {}
                Include::Metadata => row["object"] = super::respond::metadata_only(object),
                Include::Object => row["object"] = super::respond::typed(resource, object.clone()),
            }
            row
        })
        .collect();
    let definition = |(name, kind, priority): &Column| {
        let format = if *name == "Name" { "name" } else { "" };
        json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
    };
    let definitions: Option<Vec<Value>> = header.then(|| columns(resource).iter().map(definition).collect());
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions,
        "rows": rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::resources::RESOURCES;

    #[test]
    fn every_kind_has_as_many_cells_as_columns() {
        for resource in &RESOURCES {
            let object = json!({"metadata": {"name": "x"}});
            let cells = cells::of(resource, &object, Timestamp::now());
            assert_eq!(cells.len(), columns(resource).len(), "{}", resource.plural);
        }
    }
}
