//! Asking Prometheus.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::body::{Body, to_bytes};
use http::{Request, Uri};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{resources::collection, router::ApiServer},
    controllers::hpa::encoded,
    store::{Key, text_at},
};

/// Longest time one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer, in bytes.
const LARGEST: usize = 16 << 20;
/// How far back a series may have ended and still counts as there, in seconds (the adapter's relist interval).
const SERIES_AGE: i64 = 600;

/// Labels of a series.
pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    data: Value,
}

#[derive(Debug, Deserialize)]
struct Series {
    metric: Labels,
    value: (f64, String),
}

/// Where Prometheus is: an address of the machine's loopback, or a Service of this cluster.
fn address(server: &ApiServer, url: &Uri) -> Result<SocketAddr, String> {
    let host = url.host().unwrap_or_default();
    let port = url.port_u16().unwrap_or(80);
    if let Ok(ip) = host.parse::<IpAddr>() {
        return match ip.is_loopback() {
            true => Ok(SocketAddr::new(ip, port)),
            false => Err(format!("{ip} is not an address of this machine")),
        };
    }
    let mut words = host.split('.');
    let (Some(name), Some(namespace), Some("svc")) = (words.next(), words.next(), words.next()) else {
        return Err(format!("{host} is no Service of this cluster: <name>.<namespace>.svc"));
    };
    let service = server.store().get(collection::SERVICES, &Key::new(namespace, name));
    let service = service.ok_or_else(|| format!("there is no Service {namespace}/{name}"))?.value();
    let ip = text_at(&service, "/spec/clusterIP").to_owned();
    let ip = ip.parse().map_err(|_| format!("the Service {namespace}/{name} has no address"))?;
    Ok(SocketAddr::new(ip, port))
}

async fn ask(server: &ApiServer, url: &Uri, path: &str, query: &str) -> Result<Value, String> {
    let address = address(server, url)?;
    let prefix = url.path().trim_end_matches('/');
    let request = Request::get(format!("http://{address}{prefix}{path}?{query}")).body(Body::empty());
    let request = request.map_err(|error| error.to_string())?;
    let answer = async {
        let response = server.proxy_transport().request(request).await.map_err(|error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            format!("dial tcp {address}: {cause}")
        })?;
        let code = response.status();
        let bytes =
            to_bytes(Body::new(response.into_body()), LARGEST).await.map_err(|error| error.to_string())?;
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|_| format!("Prometheus at {address} answered {code} without the API's JSON"))?;
        match answer.status.as_str() {
            "success" => Ok(answer.data),
            _ => Err(answer.error),
        }
    };
    tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| Err(format!("Prometheus at {address} did not answer within {PATIENCE:?}")))
}

/// The series that a selector has now, or had until recently.
pub async fn series(server: &ApiServer, url: &Uri, selector: &str) -> Result<Vec<Labels>, String> {
    let start = Timestamp::now().as_second() - SERIES_AGE;
    let query = format!("match%5B%5D={}&start={start}", encoded(selector));
    let data = ask(server, url, "/api/v1/series", &query).await?;
    serde_json::from_value(data).map_err(|error| error.to_string())
}

/// The value of each series of a query's answer now.
pub async fn query(server: &ApiServer, url: &Uri, query: &str) -> Result<Vec<(Labels, f64)>, String> {
    let mut data = ask(server, url, "/api/v1/query", &format!("query={}", encoded(query))).await?;
    let result = data["result"].take();
    let number = |text: &str| text.parse::<f64>().map_err(|_| format!("{text:?} is no sample"));
    match data["resultType"].as_str() {
        Some("vector") => {
            let series: Vec<Series> = serde_json::from_value(result).map_err(|error| error.to_string())?;
            series.into_iter().map(|series| Ok((series.metric, number(&series.value.1)?))).collect()
        }
        Some("scalar") => {
            let (_, text): (f64, String) =
                serde_json::from_value(result).map_err(|error| error.to_string())?;
            Ok(vec![(Labels::new(), number(&text)?)])
        }
        other => {
            Err(format!("the query {query} gives a {}, not a vector", other.unwrap_or("value without type")))
        }
    }
}
