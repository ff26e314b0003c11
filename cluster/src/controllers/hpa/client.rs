//! What the autoscaler asks the API for: the target's scale, and the three metrics APIs.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use http::Request;
use k8s_openapi::{
    api::autoscaling::{
        v1::Scale,
        v2::{CrossVersionObjectReference, MetricSpec},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
    jiff::{SignedDuration, Timestamp},
};
use kube::{Client, core::Selector};
use serde::{Deserialize, de::DeserializeOwned};

use super::{metric::Reading, replicas::Sample};
use crate::{controllers::error::api_status, kubelet::quantity};

/// Window of a custom metric's sample that names none, as in Kubernetes' client.
const DEFAULT_WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// A kind as the API serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mapped {
    group: String,
    version: String,
    plural: String,
    namespaced: bool,
}

impl Mapped {
    fn root(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    /// `deployments.apps`
    fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// Reads and writes; errors are the words that events show.
pub struct Reader {
    client: Client,
    kinds: Mutex<HashMap<(String, String), Mapped>>,
}

impl Reader {
    /// A reader that asks through the client.
    pub fn new(client: Client) -> Self {
        Self { client, kinds: Mutex::default() }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, kube::Error> {
        let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }

    /// How the API serves a kind; found kinds are remembered, since what is served does not go away.
    async fn mapping(&self, group: &str, kind: &str) -> Result<Mapped, String> {
        let key = (group.to_owned(), kind.to_owned());
        let known = self.kinds.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let versions = if group.is_empty() {
            vec!["v1".to_owned()]
        } else {
            let groups = self.client.list_api_groups().await.map_err(|error| words(&error))?;
            let found = groups.groups.into_iter().find(|found| found.name == group);
            found
                .map(|found| found.versions.into_iter().map(|version| version.version).collect())
                .unwrap_or_default()
        };
        for version in versions {
            let list = if group.is_empty() {
                self.client.list_core_api_resources(&version).await
            } else {
                self.client.list_api_group_resources(&format!("{group}/{version}")).await
            };
            let list = list.map_err(|error| words(&error))?;
            let found =
                list.resources.into_iter().find(|entry| entry.kind == kind && !entry.name.contains('/'));
            if let Some(found) = found {
                let group = group.to_owned();
                let mapped = Mapped { group, version, plural: found.name, namespaced: found.namespaced };
                self.kinds.lock().unwrap_or_else(PoisonError::into_inner).insert(key, mapped.clone());
                return Ok(mapped);
            }
        }
        Err(format!("no matches for kind {kind:?} in group {group:?}"))
    }

    async fn scale_path(
        &self,
        namespace: &str,
        target: &CrossVersionObjectReference,
    ) -> Result<String, String> {
        let group = group_of(target)?;
        let mapped = self.mapping(&group, &target.kind).await?;
        let (root, plural, name) = (mapped.root(), &mapped.plural, encoded(&target.name));
        Ok(format!("{root}/namespaces/{namespace}/{plural}/{name}/scale"))
    }

    /// The target's scale.
    pub async fn scale(
        &self,
        namespace: &str,
        target: &CrossVersionObjectReference,
    ) -> Result<Scale, String> {
        let path = self.scale_path(namespace, target).await?;
        self.get(&path).await.map_err(|error| words(&error))
    }

    /// Writes the target's scale; its resourceVersion makes sure that nobody changed it in between.
    pub async fn rescale(
        &self,
        namespace: &str,
        target: &CrossVersionObjectReference,
        scale: &Scale,
    ) -> Result<(), String> {
        let path = self.scale_path(namespace, target).await?;
        let body = serde_json::to_vec(scale).map_err(|error| error.to_string())?;
        let request = Request::put(path).header(http::header::CONTENT_TYPE, "application/json").body(body);
        let request = request.map_err(|error| error.to_string())?;
        self.client.request::<Scale>(request).await.map(drop).map_err(|error| words(&error))
    }

    /// Reads one metric of an autoscaler; `selector` is that of the target's pods.
    pub async fn read(
        &self,
        metric: &MetricSpec,
        namespace: &str,
        selector: &str,
    ) -> Result<Reading, String> {
        if let Some(source) = &metric.resource {
            return self.resource(namespace, selector, &source.name, None).await;
        }
        if let Some(source) = &metric.container_resource {
            return self.resource(namespace, selector, &source.name, Some(&source.container)).await;
        }
        if let Some(source) = &metric.pods {
            let of = source.metric.selector.as_ref();
            return self.pods(namespace, selector, &source.metric.name, of).await;
        }
        if let Some(source) = &metric.object {
            let of = source.metric.selector.as_ref();
            return self.object(namespace, &source.described_object, &source.metric.name, of).await;
        }
        if let Some(source) = &metric.external {
            return self.external(namespace, &source.metric.name, source.metric.selector.as_ref()).await;
        }
        Err(format!("unknown metric source type {:?}", metric.type_))
    }

    async fn resource(
        &self,
        namespace: &str,
        selector: &str,
        resource: &str,
        container: Option<&str>,
    ) -> Result<Reading, String> {
        let path = format!(
            "/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods?labelSelector={}",
            encoded(selector)
        );
        let request = Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
        let body = self.client.request_text(request).await.map_err(|error| {
            let error = described(&error, "pods.metrics.k8s.io");
            format!("unable to fetch metrics from resource metrics API: {error}")
        })?;
        resource_reading(&body, resource, container)
    }

    /// Path below which custom metrics are served, in the preferred version.
    async fn custom(&self) -> Result<String, String> {
        const GROUP: &str = "custom.metrics.k8s.io";
        let groups = self.client.list_api_groups().await.map_err(|error| words(&error))?;
        let group = groups.groups.into_iter().find(|group| group.name == GROUP);
        let version = group.and_then(|group| {
            let preferred = group.preferred_version.map(|version| version.version);
            preferred.or_else(|| group.versions.into_iter().next().map(|version| version.version))
        });
        version
            .map(|version| format!("/apis/{GROUP}/{version}"))
            .ok_or_else(|| format!("no custom metrics API ({GROUP}) registered"))
    }

    async fn custom_values(&self, path: &str, queries: &[(&str, &str)]) -> Result<Vec<MetricValue>, String> {
        let list = async {
            let root = self.custom().await?;
            let queries = queries.iter().filter(|(_, value)| !value.is_empty());
            let queries: Vec<String> =
                queries.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
            let query = if queries.is_empty() { String::new() } else { format!("?{}", queries.join("&")) };
            let list: Result<List<MetricValue>, kube::Error> =
                self.get(&format!("{root}{path}{query}")).await;
            list.map_err(|error| words(&error))
        };
        let list = list
            .await
            .map_err(|error| format!("unable to fetch metrics from custom metrics API: {error}"))?;
        if list.items.is_empty() {
            return Err("no metrics returned from custom metrics API".to_owned());
        }
        Ok(list.items)
    }

    async fn pods(
        &self,
        namespace: &str,
        selector: &str,
        metric: &str,
        of: Option<&LabelSelector>,
    ) -> Result<Reading, String> {
        let path = format!("/namespaces/{namespace}/pods/*/{}", encoded(metric));
        let queries = [("labelSelector", selector), ("metricLabelSelector", &selector_text(of)?)];
        let values = self.custom_values(&path, &queries).await?;
        let samples = values.iter().filter_map(|value| {
            let window = value.window_seconds.map_or(DEFAULT_WINDOW, SignedDuration::from_secs);
            let sample = Sample { value: thousandths(&value.value)?, timestamp: value.timestamp, window };
            Some((value.described_object.name.clone(), sample))
        });
        Ok(Reading::Pods(samples.collect()))
    }

    async fn object(
        &self,
        namespace: &str,
        object: &CrossVersionObjectReference,
        metric: &str,
        of: Option<&LabelSelector>,
    ) -> Result<Reading, String> {
        let metric = encoded(metric);
        let group = group_of(object)?;
        let path = if group.is_empty() && object.kind == "Namespace" {
            format!("/namespaces/{}/metrics/{metric}", encoded(&object.name))
        } else {
            let mapped = self.mapping(&group, &object.kind).await?;
            let place = if mapped.namespaced { format!("/namespaces/{namespace}") } else { String::new() };
            format!("{place}/{}/{}/{metric}", mapped.qualified(), encoded(&object.name))
        };
        let values = self.custom_values(&path, &[("metricLabelSelector", &selector_text(of)?)]).await?;
        let first = values.first().and_then(|value| thousandths(&value.value));
        first
            .map(|value| Reading::Values(vec![value]))
            .ok_or_else(|| "the custom metrics API answered with a value that is no quantity".to_owned())
    }

    async fn external(
        &self,
        namespace: &str,
        metric: &str,
        of: Option<&LabelSelector>,
    ) -> Result<Reading, String> {
        let path = format!(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{}?labelSelector={}",
            encoded(metric),
            encoded(&selector_text(of)?)
        );
        let list: List<ExternalValue> = self.get(&path).await.map_err(|error| {
            let error = described(&error, &format!("{metric}.external.metrics.k8s.io"));
            format!("unable to fetch metrics from external metrics API: {error}")
        })?;
        if list.items.is_empty() {
            return Err("no metrics returned from external metrics API".to_owned());
        }
        let values = list.items.iter().map(|item| thousandths(&item.value)).collect::<Option<Vec<i64>>>();
        values
            .map(Reading::Values)
            .ok_or_else(|| "the external metrics API answered with a value that is no quantity".to_owned())
    }
}

/// The samples in an answer of the resource metrics API.
pub fn resource_reading(body: &str, resource: &str, container: Option<&str>) -> Result<Reading, String> {
    let list: List<PodMetrics> = serde_json::from_str(body)
        .map_err(|error| format!("unable to fetch metrics from resource metrics API: {error}"))?;
    if list.items.is_empty() {
        return Err("no metrics returned from resource metrics API".to_owned());
    }
    Ok(Reading::Pods(list.items.iter().filter_map(|pod| pod.sample(resource, container)).collect()))
}

/// The API group of a reference.
fn group_of(reference: &CrossVersionObjectReference) -> Result<String, String> {
    let version = reference.api_version.as_deref().unwrap_or_default();
    match version.matches('/').count() {
        0 => Ok(String::new()),
        1 => Ok(version.split('/').next().unwrap_or_default().to_owned()),
        _ => Err(format!("unexpected GroupVersion string: {version}")),
    }
}

fn selector_text(selector: Option<&LabelSelector>) -> Result<String, String> {
    let Some(selector) = selector else { return Ok(String::new()) };
    Selector::try_from(selector.clone())
        .map(|selector| selector.to_string())
        .map_err(|error| error.to_string())
}

/// What the server said, or else why it said nothing.
fn words(error: &kube::Error) -> String {
    match api_status(error) {
        Some(status) if status.code == 404 && status.message.starts_with("404 ") => {
            "the server could not find the requested resource".to_owned()
        }
        Some(status) => status.message.clone(),
        None => error.to_string(),
    }
}

/// As [`words`], with what client-go adds where no server of the group answered.
fn described(error: &kube::Error, resource: &str) -> String {
    let status = api_status(error);
    match status.map(|status| status.code) {
        Some(404) => format!("the server could not find the requested resource (get {resource})"),
        Some(503) => format!("the server is currently unable to handle the request (get {resource})"),
        _ => words(error),
    }
}

/// Everything but unreserved characters, escaped.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn thousandths(value: &Quantity) -> Option<i64> {
    quantity::milli(value).and_then(|value| i64::try_from(value).ok())
}

#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct List<T> {
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Debug, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct PodMetrics {
    metadata: Named,
    timestamp: Timestamp,
    window: String,
    #[serde(default)]
    containers: Vec<ContainerMetrics>,
}

#[derive(Debug, Deserialize)]
struct ContainerMetrics {
    name: String,
    usage: HashMap<String, Quantity>,
}

impl PodMetrics {
    /// The pod's name and sample; none if a container has no value.
    fn sample(&self, resource: &str, container: Option<&str>) -> Option<(String, Sample)> {
        let wanted = |metrics: &&ContainerMetrics| container.is_none_or(|wanted| wanted == metrics.name);
        let containers: Vec<&ContainerMetrics> = self.containers.iter().filter(wanted).collect();
        if containers.is_empty() {
            return None;
        }
        let mut sum = 0_i64;
        for container in containers {
            sum = sum.saturating_add(thousandths(container.usage.get(resource)?)?);
        }
        let window = go_duration(&self.window)?;
        Some((self.metadata.name.clone(), Sample { value: sum, timestamp: self.timestamp, window }))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricValue {
    described_object: Named,
    timestamp: Timestamp,
    #[serde(default)]
    window_seconds: Option<i64>,
    value: Quantity,
}

#[derive(Debug, Deserialize)]
struct ExternalValue {
    value: Quantity,
}

/// A duration as Go prints it: `9.992s`, `1m0s`.
pub fn go_duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    SignedDuration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_go_writes_them() {
        for (text, millis) in [("9.992s", 9992), ("1m0s", 60_000), ("1h2m3.5s", 3_723_500), ("500ms", 500)] {
            assert_eq!(go_duration(text).unwrap().as_millis(), millis, "{text}");
        }
        assert_eq!(go_duration("10"), None);
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(encoded("app in (a,b)"), "app%20in%20%28a%2Cb%29");
    }
}
