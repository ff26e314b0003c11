//! Everything beside the objects: discovery, version, health.

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use super::{
    custom_metrics, metrics,
    negotiate::{self, Format},
    openapi,
    request::Route,
    resources::{GROUPS, RESOURCES, Resource, Subresource},
    respond,
    router::ApiServer,
    status::ApiError,
};

/// Serves everything that is not an object.
pub fn serve(server: &ApiServer, route: &Route, request: &Request) -> Result<Response, ApiError> {
    let known = match route {
        Route::Other => other_path(request)?,
        _ => None,
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(ApiError::method_not_allowed());
    }
    if let Some(response) = known {
        return Ok(response);
    }
    let headers = request.headers();
    match route {
        Route::LegacyVersions => discovery(
            headers,
            &aggregated(server, true),
            &json!({
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
            }),
        ),
        Route::Groups => {
            let groups: Vec<Value> = GROUPS
                .iter()
                .filter(|(group, _)| !group.is_empty())
                .map(|(group, versions)| api_group(group, versions))
                .chain([metrics::group()])
                .chain(custom_metrics::groups(server))
                .collect();
            discovery(
                headers,
                &aggregated(server, false),
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}),
            )
        }
        Route::Group(group) => {
            let versions = GROUPS.iter().find(|(known, _)| known == group).map_or(&[][..], |(_, all)| *all);
            let mut value = api_group(group, versions);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            plain_json(headers, &value)
        }
        Route::Resources(group, version) => plain_json(headers, &resource_list(group, version)),
        Route::Other | Route::Target(_) => Err(ApiError::no_such_path()),
    }
}

fn other_path(request: &Request) -> Result<Option<Response>, ApiError> {
    let headers = request.headers();
    Ok(Some(match request.uri().path() {
        "/healthz" | "/livez" | "/readyz" => text("ok"),
        "/version" | "/version/" => {
            if negotiate::accepted(headers).is_ok_and(|accepted| accepted.format == Format::Yaml) {
                return Err(ApiError::not_acceptable("application/json"));
            }
            respond::value(StatusCode::OK, &version(), Format::Json)
        }
        "/" => {
            let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
            for (group, versions) in GROUPS.iter().filter(|(group, _)| !group.is_empty()) {
                paths.push(format!("/apis/{group}"));
                paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
            }
            paths.extend(["/apis/metrics.k8s.io", "/apis/metrics.k8s.io/v1beta1"].map(str::to_owned));
            paths.extend(["/healthz", "/livez", "/readyz", "/version"].map(str::to_owned));
            respond::value(StatusCode::OK, &json!({ "paths": paths }), Format::Json)
        }
        path => return openapi::serve(path, headers).transpose(),
    }))
}

fn text(body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// `/version`: the Kubernetes version whose behaviour this server follows.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": concat!("v1.36.0+embedded.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, go_arch()),
    })
}

fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn plain_json(headers: &HeaderMap, value: &Value) -> Result<Response, ApiError> {
    Ok(respond::value(StatusCode::OK, value, negotiate::accepted(headers)?.format))
}

/// Content type of aggregated discovery, which clients compare literally.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers with the aggregated document if the client asks for it, else with the legacy one.
fn discovery(headers: &HeaderMap, aggregated: &Value, legacy: &Value) -> Result<Response, ApiError> {
    for range in negotiate::media_ranges(headers) {
        if !matches!(
            range.media_type.as_str(),
            "application/json" | "*/*" | "application/*" | "application/yaml"
        ) {
            continue;
        }
        match (range.parameter("as"), range.parameter("g"), range.parameter("v")) {
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => {
                return Ok(with_etag(headers, aggregated.to_string()));
            }
            (None, _, _) => {
                let format = if range.media_type == "application/yaml" { Format::Yaml } else { Format::Json };
                return Ok(respond::value(StatusCode::OK, legacy, format));
            }
            _ => {}
        }
    }
    Err(ApiError::not_acceptable_transform())
}

fn with_etag(headers: &HeaderMap, body: String) -> Response {
    let digest: String = Sha512::digest(&body).iter().map(|byte| format!("{byte:02X}")).collect();
    let etag = format!("\"{digest}\"");
    let matches =
        headers.get(header::IF_NONE_MATCH).is_some_and(|wanted| wanted.as_bytes() == etag.as_bytes());
    let mut response = if matches { Response::new(Body::empty()) } else { Response::new(Body::from(body)) };
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    out.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        out.insert(header::ETAG, etag);
    }
    if matches {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
    }
    response
}

fn api_group(group: &str, versions: &[&str]) -> Value {
    let version = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(version).collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// (group, version, kind) of what a subresource takes and gives, where it is not the resource's own kind.
fn subresource_kind(resource: &Resource, subresource: Subresource) -> (&'static str, &'static str, String) {
    match subresource {
        Subresource::Scale => ("autoscaling", "v1", "Scale".to_owned()),
        Subresource::Binding => ("", "", "Binding".to_owned()),
        Subresource::Eviction => ("policy", "v1", "Eviction".to_owned()),
        Subresource::Proxy => ("", "", format!("{}ProxyOptions", resource.kind)),
        Subresource::Status | Subresource::Log | Subresource::Finalize => ("", "", resource.kind.to_owned()),
    }
}

fn in_group(group: &str, version: &str) -> impl Iterator<Item = &'static Resource> {
    RESOURCES.iter().filter(move |resource| resource.group == group && resource.version == version)
}

fn resource_list(group: &str, version: &str) -> Value {
    let mut entries = Vec::new();
    for resource in in_group(group, version) {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": resource.verbs(), "storageVersionHash": resource.storage_version_hash,
        });
        add_names(&mut entry, resource);
        entries.push(entry);
        for subresource in resource.subresources {
            let (group, version, kind) = subresource_kind(resource, *subresource);
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, subresource.name()), "singularName": "",
                "namespaced": resource.namespaced, "kind": kind, "verbs": subresource.verbs(),
            });
            if !group.is_empty() {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            entries.push(entry);
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries})
}

fn add_names(entry: &mut Value, resource: &Resource) {
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
}

fn aggregated(server: &ApiServer, core: bool) -> Value {
    let items: Vec<Value> = GROUPS
        .iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let version = |version: &&str| {
                let resources: Vec<Value> = in_group(group, version).map(aggregated_resource).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            };
            let versions: Vec<Value> = versions.iter().map(version).collect();
            let metadata = if core { json!({}) } else { json!({ "name": group }) };
            json!({ "metadata": metadata, "versions": versions })
        })
        .chain((!core).then(metrics::aggregated))
        .chain((!core).then(|| custom_metrics::aggregated(server)).into_iter().flatten())
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs(),
    });
    add_names(&mut entry, resource);
    if !resource.subresources.is_empty() {
        let subresources: Vec<Value> = resource
            .subresources
            .iter()
            .map(|subresource| {
                let (group, version, kind) = subresource_kind(resource, *subresource);
                json!({
                    "subresource": subresource.name(),
                    "responseKind": {"group": group, "version": version, "kind": kind},
                    "verbs": subresource.verbs(),
                })
            })
            .collect();
        entry["subresources"] = subresources.into();
    }
    entry
}
