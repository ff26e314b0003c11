//! Lists: selectors, pages with a pinned version, and the meanings of `resourceVersion`.

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    api::{
        negotiate,
        negotiate::{Accepted, Shape},
        request::Call,
        resources::Resource,
        respond,
        router::ApiServer,
        selectors::Selection,
        status::{ApiError, FieldError},
        table, views, watch,
    },
    store::Stored,
};

/// How long a list waits for a version of the future.
const FUTURE_WAIT: Duration = Duration::from_secs(3);

/// `list`, and `watch` where the query asks for it.
pub async fn list(server: &ApiServer, call: &Call) -> Result<Response, ApiError> {
    let resource = call.target.resource;
    let accepted = negotiate::accepted(&call.headers)?;
    let selection =
        Selection::parse(resource, call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    if call.target.watch || call.query.flag("watch") {
        return watch::watch(server, call, selection, accepted);
    }
    let page = page(server, call, &selection).await?;
    Ok(respond_list(call, resource, &page, accepted, table::Include::parse(call.query.get("includeObject"))?))
}

/// A page of a list.
struct Page {
    revision: u64,
    objects: Vec<Arc<Stored>>,
    continuation: Option<String>,
    remaining: Option<usize>,
}

async fn page(server: &ApiServer, call: &Call, selection: &Selection) -> Result<Page, ApiError> {
    let resource = call.target.resource;
    let store = server.store();
    let namespace = call.target.namespace.as_deref();
    let mut limit = call.query.number("limit")?.filter(|limit| *limit > 0).map(|limit| limit as usize);
    let version = call.query.get("resourceVersion");
    let token = call.query.get("continue").map(Token::decode).transpose()?;
    if token.is_some() && version.is_some_and(|version| version != "0") {
        return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
    }
    let exact = check_match(call, version, token.is_some())?;
    let wanted = version.map(parse_version).transpose()?;
    if wanted == Some(0) && token.is_none() {
        // Served from the watch cache on real servers, which knows no pages.
        limit = None;
    }
    let (revision, objects) = match (&token, wanted) {
        (Some(token), _) if token.revision >= 0 => {
            let revision = token.revision as u64;
            let objects =
                store.list_at(resource.collection, namespace, revision).map_err(|_| expired_token(token))?;
            (revision, objects)
        }
        (None, Some(revision)) if exact => {
            wait_for(server, resource, revision).await?;
            let objects = store
                .list_at(resource.collection, namespace, revision)
                .map_err(|_| ApiError::expired("The resourceVersion for the provided list is too old."))?;
            (revision, objects)
        }
        (None, Some(revision)) => {
            wait_for(server, resource, revision).await?;
            store.list(resource.collection, namespace)
        }
        _ => store.list(resource.collection, namespace),
    };
    let start = token.map(|token| token.start);
    let position = |object: &Stored| match namespace {
        Some(_) => format!("/{}\0", object.key.name),
        None if resource.namespaced => format!("{}/{}\0", object.key.namespace, object.key.name),
        None => format!("/{}\0", object.key.name),
    };
    let mut matching = objects
        .into_iter()
        .filter(|object| start.as_ref().is_none_or(|start| position(object) > *start))
        .filter(|object| selection.matches(object));
    let Some(limit) = limit else {
        return Ok(Page { revision, objects: matching.collect(), continuation: None, remaining: None });
    };
    let objects: Vec<Arc<Stored>> = matching.by_ref().take(limit).collect();
    let rest = matching.count();
    let continuation = match objects.last() {
        Some(last) if rest > 0 => Some(Token { revision: revision as i64, start: position(last) }.encode()),
        _ => None,
    };
    let remaining = (rest > 0 && selection.is_everything()).then_some(rest);
    Ok(Page { revision, objects, continuation, remaining })
}

fn parse_version(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

/// Checks `resourceVersionMatch`; true if the version must be met exactly.
fn check_match(call: &Call, version: Option<&str>, continued: bool) -> Result<bool, ApiError> {
    let Some(matching) = call.query.get("resourceVersionMatch") else { return Ok(false) };
    let field = "resourceVersionMatch";
    let error = if version.is_none() {
        FieldError::forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided")
    } else if continued {
        FieldError::forbidden(field, "resourceVersionMatch is forbidden when continue is provided")
    } else if !matches!(matching, "Exact" | "NotOlderThan") {
        FieldError::unsupported(field, &json!(matching), &["Exact", "NotOlderThan", ""])
    } else if matching == "Exact" && version == Some("0") {
        FieldError::forbidden(field, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
    } else {
        return Ok(matching == "Exact");
    };
    Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[error]))
}

async fn wait_for(server: &ApiServer, resource: &Resource, revision: u64) -> Result<(), ApiError> {
    if server.store().revision() >= revision {
        return Ok(());
    }
    let mut changed = server.store().subscribe(resource.collection);
    let reached = async {
        while server.store().revision() < revision {
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let waited = timeout(FUTURE_WAIT, reached).await;
    waited.map_err(|_| ApiError::version_too_large(revision, server.store().revision()))
}

/// The continue token: version and last key of the page before, as real servers write it.
struct Token {
    revision: i64,
    start: String,
}

impl Token {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD
            .encode(json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.start}).to_string())
    }

    fn decode(text: &str) -> Result<Self, ApiError> {
        let wrong = |why: String| {
            ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes =
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|error| wrong(error.to_string()))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        match (token["v"].as_str(), token["rv"].as_i64(), token["start"].as_str()) {
            (Some("meta.k8s.io/v1"), Some(revision), Some(start)) => {
                Ok(Self { revision, start: start.to_owned() })
            }
            _ => Err(wrong("unrecognized encoding".to_owned())),
        }
    }
}

fn expired_token(token: &Token) -> ApiError {
    ApiError::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
         the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing \
         with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the \
         time the first chunk was returned and now may show up in the list.",
    )
    .with_continue(Token { revision: -1, start: token.start.clone() }.encode())
}

fn respond_list(
    call: &Call,
    resource: &Resource,
    page: &Page,
    accepted: Accepted,
    include: table::Include,
) -> Response {
    let mut metadata = json!({ "resourceVersion": page.revision.to_string() });
    if let Some(token) = &page.continuation {
        metadata["continue"] = token.as_str().into();
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    let values = || page.objects.iter().map(|object| object.value());
    match accepted.shape {
        Shape::Object if views::applies(resource) => {
            let items: Vec<Value> =
                values().map(|value| views::from_stored(resource, value, false)).collect();
            let kind = format!("{}List", resource.kind);
            let list = json!({"kind": kind, "apiVersion": resource.api_version(), "metadata": metadata, "items": items});
            respond::value(StatusCode::OK, &list, accepted.format)
        }
        Shape::Object => {
            respond::bytes(StatusCode::OK, list_json(resource, &metadata, &page.objects), accepted.format)
        }
        Shape::Metadata => {
            let items: Vec<Value> = values().map(|value| respond::metadata_only(&value)).collect();
            let list = json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items,
            });
            respond::value(StatusCode::OK, &list, accepted.format)
        }
        Shape::Table => {
            let objects: Vec<Value> = values().collect();
            let columns = call.query.get("continue").is_none();
            let table = table::table(resource, &objects, metadata, include, columns);
            respond::value(StatusCode::OK, &table, accepted.format)
        }
    }
}

/// Joins the stored bytes: nothing is parsed or serialised again.
pub fn list_json(resource: &Resource, metadata: &Value, objects: &[Arc<Stored>]) -> Bytes {
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
        resource.kind,
        resource.api_version()
    );
    let size = objects.iter().map(|object| object.json.len() + 1).sum::<usize>();
    let mut out = BytesMut::with_capacity(head.len() + size + 2);
    out.put_slice(head.as_bytes());
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        out.put_slice(&object.json);
    }
    out.put_slice(b"]}");
    out.freeze()
}
