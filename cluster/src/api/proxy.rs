//! `services/proxy`, `pods/proxy` and `nodes/proxy`: HTTP to what runs in the cluster, through the API server's address and credentials.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, uri::Authority};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rand::seq::IndexedRandom;
use serde_json::Value;

use super::{
    request::Call,
    resources::{self, collection},
    router::ApiServer,
    status::ApiError,
};
use crate::store::{Key, Stored, text_at};

/// HTTP client of the proxy.
pub type Transport = Client<HttpConnector, Body>;

/// Headers that belong to one connection.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Makes the client. Connections are not kept: a pod's address may belong to another pod the next second.
pub fn transport() -> Transport {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

/// Forwards a request to a pod or to one of a Service's ready endpoints.
pub async fn proxy(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    if call.target.rest.is_empty() && matches!(call.method, Method::GET | Method::HEAD) {
        return Ok(redirect(&format!("{}/", call.uri.path()), call.uri.query()));
    }
    let requested = Requested::parse(call.name()?, call.target.resource.singular)?;
    let address = match call.target.resource.collection {
        collection::PODS => pod_address(server, call, &requested)?,
        collection::NODES => node_address(server, call, &requested)?,
        _ => service_address(server, call, &requested)?,
    };
    if !server.addresses().contains(address) {
        let why = "address is outside of this cluster's network";
        return Err(ApiError::forbidden(call.target.resource, &requested.name, why));
    }
    let prefix = call.uri.path().strip_suffix(call.target.rest.as_str()).unwrap_or_default().to_owned();
    let request = forwarded(call, address, body)?;
    let response = server.proxy_transport().request(request).await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        ApiError::unavailable(format!("error trying to reach service: dial tcp {address}: {cause}"))
    })?;
    let (mut parts, body) = response.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    // A redirect to another path of the same server must stay below the proxy.
    if let Some(location) = parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) {
        let local = location.strip_prefix(&format!("http://{address}")).unwrap_or(location);
        if local.starts_with('/')
            && let Ok(value) = HeaderValue::from_str(&format!("{prefix}{local}"))
        {
            parts.headers.insert(header::LOCATION, value);
        }
    }
    Ok(Response::from_parts(parts, Body::new(body)))
}

fn redirect(path: &str, query: Option<&str>) -> Response {
    let location = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// `[scheme:]name[:port]`.
struct Requested {
    name: String,
    port: String,
}

impl Requested {
    fn parse(text: &str, kind: &str) -> Result<Self, ApiError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return Err(ApiError::bad_request(format!("invalid {kind} request {text:?}"))),
        };
        match scheme {
            "" | "http" if !name.is_empty() => Ok(Self { name: name.to_owned(), port: port.to_owned() }),
            "https" => Err(ApiError::bad_request(format!(
                "invalid {kind} request {text:?}: this cluster proxies http only, not https"
            ))),
            _ => Err(ApiError::bad_request(format!("invalid {kind} request {text:?}"))),
        }
    }
}

fn pod_address(server: &ApiServer, call: &Call, requested: &Requested) -> Result<SocketAddr, ApiError> {
    let key = Key::new(call.namespace(), requested.name.as_str());
    let pod = server.store().get(collection::PODS, &key);
    let pod = pod.ok_or_else(|| ApiError::not_found(call.target.resource, &requested.name))?.value();
    let port = if requested.port.is_empty() {
        // The first port that the pod declares.
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
        ports.next().and_then(|port| port["containerPort"].as_i64()).unwrap_or(80).to_string()
    } else {
        requested.port.clone()
    };
    let ip = text_at(&pod, "/status/podIP");
    match (ip.parse::<IpAddr>(), port.parse::<u16>()) {
        (Ok(ip), Ok(port)) => Ok(SocketAddr::new(ip, port)),
        (Err(_), _) => Err(ApiError::bad_request("address not allowed: the pod has no address yet")),
        (_, Err(_)) => {
            Err(ApiError::bad_request(format!("invalid pod request: {port:?} is not a port number")))
        }
    }
}

fn node_address(server: &ApiServer, call: &Call, requested: &Requested) -> Result<SocketAddr, ApiError> {
    let name = requested.name.as_str();
    let node = server.store().get(collection::NODES, &Key::new("", name));
    let node = node.ok_or_else(|| ApiError::not_found(call.target.resource, name))?.value();
    let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    let internal = addresses
        .filter(|address| address["type"] == "InternalIP")
        .find_map(|address| address["address"].as_str()?.parse::<IpAddr>().ok());
    let port = match requested.port.as_str() {
        "" => node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64(),
        port => port.parse().ok(),
    };
    match (internal, port.and_then(|port| u16::try_from(port).ok())) {
        (Some(ip), Some(port)) => Ok(SocketAddr::new(ip, port)),
        _ => Err(ApiError::unavailable(format!("the kubelet of node {name:?} has no address"))),
    }
}

fn service_address(server: &ApiServer, call: &Call, requested: &Requested) -> Result<SocketAddr, ApiError> {
    let name = requested.name.as_str();
    let key = Key::new(call.namespace(), name);
    let service = server.store().get(collection::SERVICES, &key);
    let service = service.ok_or_else(|| ApiError::not_found(call.target.resource, name))?.value();
    let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let port_name = match requested.port.parse::<i64>() {
        Ok(number) => {
            let port = ports.iter().find(|port| port["port"] == number);
            let port = port.ok_or_else(|| {
                ApiError::unavailable(format!("no service port {number} found for service {name:?}"))
            })?;
            port["name"].as_str().unwrap_or_default()
        }
        Err(_) => requested.port.as_str(),
    };
    let none = || ApiError::unavailable(format!("no endpoints available for service {name:?}"));
    let mut candidates = Vec::new();
    if let Some(endpoints) = server.store().get(resources::collection::ENDPOINTS, &key) {
        for subset in endpoints.value()["subsets"].as_array().into_iter().flatten() {
            let ips = subset["addresses"].as_array().into_iter().flatten().map(|address| &address["ip"]);
            candidates.extend(with_port(&subset["ports"], port_name, ips));
        }
    } else {
        // A Service without selector may have slices that somebody wrote and no Endpoints.
        let (_, slices) = server.store().list(collection::ENDPOINT_SLICES, call.target.namespace.as_deref());
        let own = |slice: &&Arc<Stored>| {
            slice.labels.get("kubernetes.io/service-name").is_some_and(|service| service == name)
        };
        for slice in slices.iter().filter(own).map(|slice| slice.value()) {
            let ready = slice["endpoints"].as_array().into_iter().flatten();
            let ready = ready.filter(|endpoint| endpoint["conditions"]["ready"] != false);
            let ips = ready.flat_map(|endpoint| endpoint["addresses"].as_array().into_iter().flatten());
            candidates.extend(with_port(&slice["ports"], port_name, ips));
        }
    }
    candidates.choose(&mut rand::rng()).copied().ok_or_else(none)
}

/// Addresses with the number of the port of that name.
fn with_port<'a>(
    ports: &Value,
    name: &str,
    ips: impl Iterator<Item = &'a Value>,
) -> impl Iterator<Item = SocketAddr> {
    let mut ports = ports.as_array().into_iter().flatten();
    let port = ports.find(|port| port["name"].as_str().unwrap_or_default() == name);
    let port = port.and_then(|port| u16::try_from(port["port"].as_u64()?).ok());
    ips.filter_map(move |ip| Some(SocketAddr::new(ip.as_str()?.parse::<IpAddr>().ok()?, port?)))
}

fn forwarded(call: &Call, address: SocketAddr, body: Body) -> Result<Request<Body>, ApiError> {
    let authority: Authority =
        address.to_string().parse().map_err(|_| ApiError::internal("the address is no authority"))?;
    let path = if call.target.rest.is_empty() { "/" } else { &call.target.rest };
    let path = call.uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let uri = Uri::builder().scheme("http").authority(authority.clone()).path_and_query(path).build();
    let uri = uri.map_err(|error| ApiError::bad_request(format!("invalid proxy path: {error}")))?;
    let mut headers = call.headers.clone();
    strip_hop_by_hop(&mut headers);
    // The credentials are for the API server, not for what runs behind it.
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::HOST);
    let forwarded = [
        ("x-forwarded-uri", call.uri.path().to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
        (
            "x-forwarded-host",
            call.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned(),
        ),
    ];
    for (name, value) in forwarded {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let mut request = Request::new(body);
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
