//! Creating an object (POST).

use axum::{body::Body, response::Response};
use http::StatusCode;
use rand::Rng;
use serde_json::{Value, json};

use super::{
    body, commit,
    options::{FieldValidation, WriteOptions},
};
use crate::{
    api::{
        negotiate,
        request::Call,
        resources::{self, Resource, collection},
        respond,
        router::ApiServer,
        schema::{Candidate, Ownership, admit},
        status::ApiError,
        table::Include,
    },
    store::{Key, StoreError, text_at},
};

/// Namespaces that exist from the start.
const SYSTEM_NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// Characters of generated names: no vowels and look-alikes, so that no words come out.
const NAME_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Length of the generated part of a name.
const NAME_SUFFIX: usize = 5;
/// Longest prefix of a generated name.
const NAME_PREFIX: usize = 58;
/// Times a generated name that is taken is replaced by another one.
const NAME_RETRIES: usize = 8;

/// `create`.
pub async fn create(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    let resource = call.target.resource;
    let accepted = negotiate::accepted(&call.headers)?;
    let options = WriteOptions::parse(call, "CreateOptions")?;
    if resource.namespaced && call.target.namespace.is_none() {
        return Err(ApiError::method_not_allowed());
    }
    let read = body::own(call, body).await?;
    check_namespace(call, &read.object)?;
    let candidate = Candidate::decoded(resource, read.object, &read.duplicates, options.field_validation)?;
    let written = insert(server, resource, call.namespace(), candidate, &options)?;
    let response =
        respond::object(StatusCode::CREATED, resource, &written.object, accepted, Include::default());
    Ok(respond::warn(response, &written.warnings))
}

/// The namespace of the body must be that of the URL, or absent.
pub fn check_namespace(call: &Call, object: &Value) -> Result<(), ApiError> {
    let given = text_at(object, "/metadata/namespace");
    if call.target.resource.namespaced && !given.is_empty() && given != call.namespace() {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}

/// Stores a new object, giving it a generated name where it asks for one.
pub fn insert(
    server: &ApiServer,
    resource: &Resource,
    namespace: &str,
    candidate: Candidate,
    options: &WriteOptions,
) -> Result<commit::Written, ApiError> {
    let mut object = commit::to_stored_form(resource, candidate.object);
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    if !text_at(&object, "/metadata/resourceVersion").is_empty() {
        return Err(ApiError::internal("resourceVersion should not be set on objects to be created"));
    }
    if resource.namespaced {
        object["metadata"]["namespace"] = namespace.into();
    } else if let Some(fields) = object["metadata"].as_object_mut() {
        fields.remove("namespace");
    }
    let generated = text_at(&object, "/metadata/name").is_empty();
    let prefix = text_at(&object, "/metadata/generateName").to_owned();
    if generated && !prefix.is_empty() {
        object["metadata"]["name"] = generate_name(&prefix).into();
    }
    if resource.namespaced {
        check_live_namespace(server, resource, namespace, text_at(&object, "/metadata/name"))?;
    }
    let mut warnings = candidate.warnings;
    warnings.extend(admit::admit_create(server, resource, &mut object, options, candidate.ownership)?);
    for _ in 0..NAME_RETRIES {
        let name = text_at(&object, "/metadata/name").to_owned();
        let stored = if options.dry_run {
            match server.store().get(resource.collection, &Key::new(namespace, name.as_str())) {
                Some(_) => Err(StoreError::AlreadyExists),
                None => Ok(server.store().preview(resource.collection, object.clone())),
            }
        } else {
            server.store().create(resource.collection, object.clone())
        };
        match stored {
            Ok(object) => return Ok(commit::Written { object, warnings }),
            Err(_) if generated => object["metadata"]["name"] = generate_name(&prefix).into(),
            Err(_) => return Err(ApiError::already_exists(resource, &name)),
        }
    }
    Err(ApiError::already_exists(resource, text_at(&object, "/metadata/name")))
}

fn generate_name(prefix: &str) -> String {
    let mut rng = rand::rng();
    let kept: String = prefix.chars().take(NAME_PREFIX).collect();
    let suffix = (0..NAME_SUFFIX).map(|_| NAME_ALPHABET[rng.random_range(0..NAME_ALPHABET.len())] as char);
    kept.chars().chain(suffix).collect()
}

/// Nothing can be created in a namespace that is not there (404) or on its way out (403).
fn check_live_namespace(
    server: &ApiServer,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<(), ApiError> {
    let key = Key::new("", namespace);
    match server.store().get(collection::NAMESPACES, &key) {
        None => {
            let namespaces = resources::by_kind("", "Namespace").unwrap_or(resource);
            Err(ApiError::not_found(namespaces, namespace))
        }
        Some(found) if found.fields.first().is_some_and(|phase| phase == "Terminating") => {
            Err(ApiError::namespace_terminating(resource, name, namespace))
        }
        Some(_) => Ok(()),
    }
}

/// Creates the namespaces that every cluster has.
pub fn system_namespaces(server: &ApiServer) {
    let Some(resource) = resources::by_kind("", "Namespace") else { return };
    let options = WriteOptions {
        dry_run: false,
        field_validation: FieldValidation::Ignore,
        manager: "kube-apiserver".to_owned(),
    };
    for name in SYSTEM_NAMESPACES {
        let object = json!({"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}});
        let candidate =
            Candidate { object, pinned: false, warnings: Vec::new(), ownership: Ownership::Changed };
        if let Err(error) = insert(server, resource, "", candidate, &options) {
            tracing::error!(%error, namespace = name, "a system namespace could not be created");
        }
    }
}
