//! Reading one object.

use axum::response::Response;
use http::StatusCode;

use crate::{
    api::{negotiate, request::Call, respond, router::ApiServer, status::ApiError, table::Include},
    store::{Key, Stored},
};

/// The object that a call names; 404 if there is none.
pub fn find(server: &ApiServer, call: &Call) -> Result<std::sync::Arc<Stored>, ApiError> {
    let resource = call.target.resource;
    let key = Key::new(call.namespace(), call.name()?);
    server.store().get(resource.collection, &key).ok_or_else(|| ApiError::not_found(resource, &key.name))
}

/// `get`.
pub fn get(server: &ApiServer, call: &Call) -> Result<Response, ApiError> {
    let accepted = negotiate::accepted(&call.headers)?;
    let include = Include::parse(call.query.get("includeObject"))?;
    let object = find(server, call)?;
    Ok(respond::object(StatusCode::OK, call.target.resource, &object, accepted, include))
}
