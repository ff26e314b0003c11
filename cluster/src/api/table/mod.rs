//! Server-side printing: the `Table` that `kubectl get` shows.

use serde_json::{Value, json};

use super::{
    resources::Resource,
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
                let errors = [FieldError::unsupported(
                    "includeObject",
                    &json!(other),
                    &["Metadata", "None", "Object"],
                )];
                Err(ApiError::invalid("meta.k8s.io", "TableOptions", "", &errors))
            }
        }
    }
}

/// A table of objects in their stored form. `columns` is false for later events of a watch, which repeat no header.
pub fn table(
    resource: &Resource,
    objects: &[Value],
    metadata: Value,
    include: Include,
    columns: bool,
) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut row =
                json!({"cells": [object["metadata"]["name"], object["metadata"]["creationTimestamp"]]});
            match include {
                Include::None => {}
                Include::Metadata => row["object"] = super::respond::metadata_only(object),
                Include::Object => row["object"] = super::respond::typed(resource, object.clone()),
            }
            row
        })
        .collect();
    let definitions = if columns {
        json!([
            {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0},
            {"name": "Created At", "type": "date", "format": "", "description": "", "priority": 0},
        ])
    } else {
        Value::Null
    };
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions, "rows": rows})
}
