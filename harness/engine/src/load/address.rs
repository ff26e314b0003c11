//! Where a load goes. A load is made by a process of this machine and would be limited by a proxy in between, so a Service is
//! reached by its cluster IP, and that it can be is proven before the run.

use std::{net::IpAddr, time::Duration};

use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, ResourceExt, api::ListParams};
use tokio::net::TcpStream;

use crate::monitor::suggestion;

/// Time limit of one API call.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Time limit of one connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// What to do where Services cannot be reached.
const UNREACHABLE_HINT: &str = "Give the load an http(s) URL of an Ingress, a NodePort or a LoadBalancer, or run the harness \
                                inside the cluster";

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    /// The scenario is wrong, or does not fit this cluster.
    #[error("{0}")]
    Problem(String),
    /// Nobody is there.
    #[error("{0}")]
    Unreachable(String),
    /// The API server did not say.
    #[error("{what} failed")]
    Api {
        what: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// `service://NAMESPACE/NAME:PORT` with what follows it.
struct ServiceUrl<'a> {
    namespace: &'a str,
    name: &'a str,
    port: &'a str,
    /// Path and query.
    rest: &'a str,
}

impl<'a> ServiceUrl<'a> {
    /// None if it is another URL.
    fn parse(url: &'a str) -> Option<Result<Self, AddressError>> {
        let address = url.strip_prefix("service://")?;
        let bad = || {
            AddressError::Problem(format!(
                "{url:?} is not an address of a Service: it must be service://NAMESPACE/NAME:PORT/path"
            ))
        };
        let parse = || {
            let (namespace, rest) = address.split_once('/')?;
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(end);
            let (name, port) = authority.split_once(':')?;
            let plain = |text: &str| {
                !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            };
            [namespace, name, port].into_iter().all(plain).then_some(Self { namespace, name, port, rest })
        };
        Some(parse().ok_or_else(bad))
    }
}

/// Finds the cluster IPs of Services.
pub(super) struct Resolver {
    client: Client,
}

impl Resolver {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The URL as it can be connected to; none if it is an http(s) URL already.
    pub(super) async fn resolve(&self, url: &str) -> Result<Option<String>, AddressError> {
        let Some(service) = ServiceUrl::parse(url) else { return Ok(None) };
        let service = service?;
        let ServiceUrl { namespace, name, port, rest } = service;
        let api: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("looking up Service {namespace}/{name}");
        let Some(found) = call(&what, api.get_opt(name)).await? else {
            let text = format!("Service {name} does not exist in namespace {namespace}");
            // Who may not list them gets no suggestion.
            let others = call(&what, api.list(&ListParams::default())).await;
            return Err(AddressError::Problem(others.map_or(text.clone(), |others| {
                let names: Vec<String> = others.items.iter().map(ResourceExt::name_any).collect();
                format!("{text}. {}", suggestion(name, &names))
            })));
        };
        let (address, number) = endpoint(&found, port)?;
        let host = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        Ok(Some(format!("http://{host}:{number}{rest}")))
    }

    /// Proves that connections can be made from here.
    pub(super) async fn connect(&self, given: &str, url: &str) -> Result<(), AddressError> {
        let Some((host, port)) = host_and_port(url) else { return Ok(()) };
        let why = match tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect((host.as_str(), port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {}s", CONNECT_LIMIT.as_secs()),
        };
        let Some(service) = ServiceUrl::parse(given) else {
            return Err(AddressError::Unreachable(format!("{given} cannot be connected to: {why}")));
        };
        let ServiceUrl { namespace, name, .. } = service?;
        // Who may not look at them is told what else it may be.
        if matches!(self.ready_endpoints(namespace, name).await, Ok(0)) {
            return Err(AddressError::Unreachable(format!("{given}: the Service has no ready endpoint")));
        }
        Err(AddressError::Problem(format!(
            "{given} cannot be connected to from here ({host}:{port}): {why}. {UNREACHABLE_HINT}"
        )))
    }

    /// Endpoints that the Service sends connections to. Ready is what is not said to be unready.
    async fn ready_endpoints(&self, namespace: &str, name: &str) -> Result<usize, AddressError> {
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), namespace);
        let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
        let what = format!("looking up the endpoints of Service {namespace}/{name}");
        let slices = call(&what, api.list(&of_service)).await?;
        let endpoints = slices.items.into_iter().flat_map(|slice| slice.endpoints.unwrap_or_default());
        let ready = |conditions: Option<bool>| conditions != Some(false);
        Ok(endpoints
            .filter(|endpoint| ready(endpoint.conditions.as_ref().and_then(|conditions| conditions.ready)))
            .count())
    }
}

/// Cluster IP and number of a port.
fn endpoint(service: &Service, port: &str) -> Result<(IpAddr, u16), AddressError> {
    let name = format!("{}/{}", service.namespace().unwrap_or_default(), service.name_any());
    let problem = |text: String| AddressError::Problem(format!("Service {name} {text}"));
    let spec = service.spec.clone().unwrap_or_default();
    let ports = spec.ports.unwrap_or_default();
    let tcp = |port: &&ServicePort| port.protocol.as_deref().unwrap_or("TCP") == "TCP";
    let wanted = |found: &&ServicePort| found.name.as_deref() == Some(port) || found.port.to_string() == port;
    let number = ports.iter().filter(tcp).find(wanted).and_then(|found| u16::try_from(found.port).ok());
    if spec.type_.as_deref() == Some("ExternalName") {
        return Err(problem("is an ExternalName and has no cluster IP: give the load that name".to_owned()));
    }
    let Some(number) = number else {
        let known = ports.iter().filter(tcp).map(|port| match &port.name {
            Some(name) => format!("{} ({name})", port.port),
            None => port.port.to_string(),
        });
        return Err(problem(format!(
            "has no TCP port {port}. It has: {}",
            known.collect::<Vec<_>>().join(", ")
        )));
    };
    match spec.cluster_ip.as_deref() {
        None | Some("" | "None") => {
            Err(problem(format!("is headless, so it has no cluster IP. {UNREACHABLE_HINT}")))
        }
        Some(address) => match address.parse() {
            Ok(address) => Ok((address, number)),
            Err(_) => Err(problem(format!("has the cluster IP {address:?}, which is no IP address"))),
        },
    }
}

/// Where a URL connects to; none if a placeholder is part of that.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let (_, rest) = url.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains("${") {
        return None;
    }
    let origin = reqwest::Url::parse(&url[..url.len() - rest.len() + authority.len()]).ok()?;
    let host = origin.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, origin.port_or_known_default()?))
}

async fn call<T>(what: &str, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, AddressError> {
    let failed = |source| AddressError::Api { what: what.to_owned(), source };
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed(error.into())),
        Err(_) => Err(failed("no answer in time".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::serde_json::{from_value, json};

    fn service(spec: serde_json::Value) -> Service {
        from_value(json!({ "metadata": { "name": "api", "namespace": "demo" }, "spec": spec })).unwrap()
    }

    #[test]
    fn a_port_is_found_by_number_or_name() {
        let ports = json!([
            { "name": "dns", "port": 53, "protocol": "UDP" },
            { "name": "http", "port": 80, "targetPort": 8080 },
        ]);
        let found = service(json!({ "clusterIP": "10.0.0.7", "ports": ports }));
        for port in ["80", "http"] {
            assert_eq!(endpoint(&found, port).unwrap(), ("10.0.0.7".parse().unwrap(), 80));
        }
        let refused = |service: &Service, port: &str| endpoint(service, port).unwrap_err().to_string();
        assert_eq!(refused(&found, "53"), "Service demo/api has no TCP port 53. It has: 80 (http)");
        assert!(refused(&found, "8080").contains("no TCP port 8080"));
        let headless = service(json!({ "clusterIP": "None", "ports": [{ "port": 80 }] }));
        assert!(refused(&headless, "80").contains("headless"));
        let external = service(json!({ "type": "ExternalName", "externalName": "x.example" }));
        assert!(refused(&external, "80").contains("ExternalName"));
    }

    #[test]
    fn addresses_are_taken_apart() {
        let parse = |url| {
            ServiceUrl::parse(url).map(|parsed| parsed.map(|url| (url.port.to_owned(), url.rest.to_owned())))
        };
        let parsed = parse("service://demo/api:http/v1/${value.id}?q=a:b/c").unwrap().unwrap();
        assert_eq!(parsed, ("http".to_owned(), "/v1/${value.id}?q=a:b/c".to_owned()));
        assert!(parse("service://demo/api:80").unwrap().unwrap().1.is_empty());
        assert!(parse("http://demo/api:80").is_none());
        for bad in
            ["service://demo", "service://demo/api", "service://demo/${value.x}:80/", "service:///api:80"]
        {
            assert!(parse(bad).unwrap().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_host_is_known_unless_it_is_a_placeholder() {
        let known = |url| host_and_port(url).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(known("https://x.example/${value.a}").as_deref(), Some("x.example 443"));
        assert_eq!(known("http://[::1]:8080?x").as_deref(), Some("::1 8080"));
        assert_eq!(known("http://${value.host}:80/"), None);
    }
}
