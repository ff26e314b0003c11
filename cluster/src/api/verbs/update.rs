//! Replacing an object (PUT).

use axum::{body::Body, response::Response};
use http::StatusCode;

use super::{body, commit, options::WriteOptions};
use crate::api::{
    negotiate, request::Call, respond, router::ApiServer, schema::Candidate, status::ApiError, table::Include,
};

/// `update`, also of the status.
pub async fn update(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    let accepted = negotiate::accepted(&call.headers)?;
    let options = WriteOptions::parse(call, "UpdateOptions")?;
    let read = body::own(call, body).await?;
    let object = read.object;
    let name = call.name()?;
    check_identity(call, name, &object)?;
    let written = commit::change(server, call, &options, |_| {
        Candidate::decoded(call.target.resource, object.clone(), &read.duplicates, options.field_validation)
    })?;
    let response =
        respond::object(StatusCode::OK, call.target.resource, &written.object, accepted, Include::default());
    Ok(respond::warn(response, &written.warnings))
}

/// Name and namespace of the body must be those of the URL, or absent.
fn check_identity(call: &Call, name: &str, object: &serde_json::Value) -> Result<(), ApiError> {
    let metadata = &object["metadata"];
    let given = metadata["name"].as_str().unwrap_or_default();
    if !given.is_empty() && given != name {
        let message = format!("the name of the object ({given}) does not match the name on the URL ({name})");
        return Err(ApiError::bad_request(message));
    }
    super::create::check_namespace(call, object)
}
