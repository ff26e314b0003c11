//! Errors as the API server answers them: an HTTP status and a `Status` object.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::resources::Resource;

/// A refused request.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    /// `metadata.continue` of the Status: lets a client go on with an expired list.
    continuation: Option<String>,
    /// Unknown paths are answered in plain text.
    plain: bool,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path as `spec.ports[0].port`.
    pub field: String,
    /// `reason` of the cause, such as `FieldValueInvalid`.
    pub reason: &'static str,
    /// Text after the path.
    pub message: String,
}

impl FieldError {
    /// A missing field.
    pub fn required(field: impl Into<String>, hint: &str) -> Self {
        let message =
            if hint.is_empty() { "Required value".to_owned() } else { format!("Required value: {hint}") };
        Self { field: field.into(), reason: "FieldValueRequired", message }
    }

    /// A value that cannot be; shown as JSON.
    pub fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {why}"),
        }
    }

    /// A field that may not be set or changed.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueForbidden", message: format!("Forbidden: {why}") }
    }

    /// The second of two equal values.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueDuplicate",
            message: format!("Duplicate value: {value}"),
        }
    }

    /// A reference to something that is not there.
    pub fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self { field: field.into(), reason: "FieldValueNotFound", message: format!("Not found: {value}") }
    }

    /// A value outside a fixed set. The server lists the set in alphabetical order.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let mut supported: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        supported.sort();
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        Self { field: field.into(), reason: "FieldValueNotSupported", message }
    }

    /// A value that is longer than allowed.
    pub fn too_long(field: impl Into<String>, maximum: usize) -> Self {
        let message = format!("Too long: may not be more than {maximum} bytes");
        Self { field: field.into(), reason: "FieldValueTooLong", message }
    }
}

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, continuation: None, plain: false }
    }

    fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// 404 for an object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            format!("{} {name:?} not found", resource.qualified_plural()),
        )
        .details(named(resource, name, resource.plural))
    }

    /// 404 for an object of which there are no metrics, at least not yet.
    pub fn no_metrics(group: &str, plural: &str, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{plural}.{group} {name:?} not found"))
            .details(json!({"name": name, "group": group, "kind": plural}))
    }

    /// 404 for a custom or external metric.
    pub fn no_such_metric(metric: &str, of: &str) -> Self {
        let message = format!("the server could not find the metric {metric} for {of}");
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 404 for an unknown version, resource or subresource.
    pub fn no_such_resource() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
            .details(json!({}))
    }

    /// 404 for a subresource that real clusters have.
    pub fn not_served(resource: &Resource, subresource: &str) -> Self {
        let message = format!("this cluster does not serve {}/{subresource}", resource.qualified_plural());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).details(json!({}))
    }

    /// 404 in plain text, for paths outside the API.
    pub fn no_such_path() -> Self {
        Self { plain: true, ..Self::new(StatusCode::NOT_FOUND, "NotFound", "404 page not found\n") }
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).details(json!({}))
    }

    /// 409 on create.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified_plural());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).details(named(
            resource,
            name,
            resource.plural,
        ))
    }

    /// 409 because the version is not the current one.
    pub fn modified(resource: &Resource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        let message =
            format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified_plural());
        Self::new(StatusCode::CONFLICT, "Conflict", message).details(named(resource, name, resource.plural))
    }

    /// 409 because a precondition does not hold.
    pub fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified_kind());
        Self::new(StatusCode::CONFLICT, "Conflict", message).details(named(resource, name, resource.kind))
    }

    /// 409 of server-side apply: other managers own the fields. Each cause is (manager text, field path).
    pub fn apply_conflict(causes: &[(String, String)]) -> Self {
        let many = if causes.len() == 1 { "conflict" } else { "conflicts" };
        let what = match causes {
            [(manager, field)] => format!("conflict with {manager}: {field}"),
            _ => grouped(causes),
        };
        let message = format!("Apply failed with {} {many}: {what}", causes.len());
        let causes: Vec<Value> = causes
            .iter()
            .map(|(manager, field)| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": field})
            })
            .collect();
        Self::new(StatusCode::CONFLICT, "Conflict", message).details(json!({ "causes": causes }))
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 403 for an object, with the reason.
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", resource.qualified_plural());
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).details(named(resource, name, resource.plural))
    }

    /// 403 on a create in a namespace that is being deleted.
    pub fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut error = Self::forbidden(resource, name, &why);
        let cause = json!({"reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"), "field": "metadata.namespace"});
        if let Some(details) = &mut error.details {
            details["causes"] = json!([cause]);
        }
        error
    }

    /// 406, with the media types that exist.
    pub fn not_acceptable(available: &str) -> Self {
        let message = format!("406: Not Acceptable\n\nAvailable representations: {available}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message).details(json!({}))
    }

    /// 406 for an unknown `as=`.
    pub fn not_acceptable_transform() -> Self {
        let message = "only the following media types are accepted: application/json, application/yaml";
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 410: the wanted version is no longer there.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// Adds the token with which an expired list may be continued inconsistently.
    pub fn with_continue(mut self, token: String) -> Self {
        self.continuation = Some(token);
        self
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 415 on a write.
    pub fn unsupported_body() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: \
                       application/json, application/yaml, application/vnd.kubernetes.protobuf";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 415 for a protobuf body of a kind that is not decoded here.
    pub fn unsupported_protobuf(kind: &str) -> Self {
        let message = format!(
            "protobuf request bodies of kind {kind} are not supported by this server: send JSON (kubectl create -f, kubectl apply)"
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 415 on a patch.
    pub fn unsupported_patch() -> Self {
        let message = "415: Unsupported Media Type";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message).details(json!({}))
    }

    /// 422 without saying why, as for a JSON patch that cannot be applied.
    pub fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).details(json!({}))
    }

    /// 422 with the fields. `kind` is qualified (`Deployment.apps`).
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let mut texts: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
        texts.dedup();
        let text = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let causes: Vec<Value> = errors
            .iter()
            .map(|e| json!({"reason": e.reason, "message": e.message, "field": e.field}))
            .collect();
        let mut details = json!({"kind": kind, "causes": causes});
        if !name.is_empty() {
            details["name"] = name.into();
        }
        if !group.is_empty() {
            details["group"] = group.into();
        }
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("{qualified} {name:?} is invalid: {text}"),
        )
        .details(details)
    }

    /// 429 of an eviction, with what the disruption budget says.
    pub fn disruption_budget(cause: &str, retry_after_seconds: Option<u64>) -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let mut details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
        if let Some(seconds) = retry_after_seconds {
            details["retryAfterSeconds"] = seconds.into();
        }
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message).details(details)
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// 503 of the proxy subresources.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// 504: the wanted version is in the future.
    pub fn version_too_large(wanted: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
            .details(json!({"causes": [cause], "retryAfterSeconds": 1}))
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        if let Some(token) = &self.continuation {
            status["metadata"]["continue"] = token.as_str().into();
        }
        status
    }

    /// HTTP status code.
    pub fn code(&self) -> StatusCode {
        self.code
    }
}

/// `conflicts with "a":`, its fields, one a line, and so on for each manager.
fn grouped(causes: &[(String, String)]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut last = "";
    for (manager, field) in causes {
        if manager != last {
            lines.push(format!("conflicts with {manager}:"));
            last = manager;
        }
        lines.push(format!("- {field}"));
    }
    lines.join("\n")
}

fn named(resource: &Resource, name: &str, kind: &str) -> Value {
    let mut details = json!({ "kind": kind });
    if !name.is_empty() {
        details["name"] = name.into();
    }
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    details
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.plain {
            return (self.code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.message)
                .into_response();
        }
        let headers =
            [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache, private")];
        let mut response = (self.code, headers, self.status().to_string()).into_response();
        let retry = self.details.as_ref().and_then(|details| details["retryAfterSeconds"].as_u64());
        if let Some(seconds) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
