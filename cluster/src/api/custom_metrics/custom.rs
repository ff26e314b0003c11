//! Metrics of Kubernetes objects.

use std::collections::BTreeSet;

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use super::{
    config::{Adapter, Rule},
    prometheus,
    promql::{self, Parts},
};
use crate::{
    api::{
        request::Query,
        resources::{RESOURCES, Resource},
        router::ApiServer,
        selectors::LabelTerms,
        status::ApiError,
    },
    controllers::hpa::thousandths,
};

/// A sample as a quantity; what is no number counts as 0, as in prometheus-adapter.
pub(super) fn quantity(value: f64) -> String {
    let milli = if value.is_nan() { 0 } else { (value * 1000.0) as i64 };
    thousandths(milli).0
}

pub(super) fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

pub(super) fn selector(query: &Query, name: &str) -> Result<LabelTerms, ApiError> {
    LabelTerms::parse(query.get(name).unwrap_or_default()).map_err(ApiError::bad_request)
}

/// The error of a question that Prometheus did not answer.
pub(super) fn no_answer(error: &str) -> ApiError {
    ApiError::internal(format!("Internal error occurred: unable to fetch metrics: {error}"))
}

/// A rule with the series that is the wanted metric.
pub(super) async fn find<'a>(
    server: &ApiServer,
    adapter: &Adapter,
    rules: &'a [Rule],
    metric: &str,
    fits: impl Fn(&Rule) -> bool,
) -> Result<Option<(&'a Rule, String)>, ApiError> {
    for rule in rules.iter().filter(|rule| fits(rule)) {
        let series = prometheus::series(server, &adapter.prometheus, &rule.series_query).await;
        let series = series.map_err(|error| no_answer(&error))?;
        let names = series.iter().filter_map(|labels| labels.get("__name__"));
        if let Some(found) = names.into_iter().find(|name| rule.metric(name).as_deref() == Some(metric)) {
            return Ok(Some((rule, found.clone())));
        }
    }
    Ok(None)
}

/// `pods`, `deployments.apps`
fn resource_named(text: &str) -> Option<&'static Resource> {
    let (plural, group) = text.split_once('.').unwrap_or((text, ""));
    RESOURCES.iter().find(|resource| resource.plural == plural && resource.group == group)
}

/// A metric of one object, or of all that a selector chooses (`*`).
pub async fn object(
    server: &ApiServer,
    adapter: &Adapter,
    query: &Query,
    namespace: Option<&str>,
    (resource, name): (&str, &str),
    metric: &str,
) -> Result<Value, ApiError> {
    let missing = || {
        let what = if name == "*" { resource.to_owned() } else { format!("{resource} {name}") };
        ApiError::no_such_metric(metric, &what)
    };
    let kind = resource_named(resource).ok_or_else(missing)?;
    let names: Vec<String> = if name == "*" {
        let wanted = selector(query, "labelSelector")?;
        let (_, objects) = server.store().list(kind.collection, namespace);
        objects
            .iter()
            .filter(|object| wanted.matches(&object.labels))
            .map(|object| object.key.name.clone())
            .collect()
    } else {
        vec![name.to_owned()]
    };
    let found = find(server, adapter, &adapter.rules, metric, |rule| rule.label(kind).is_some()).await?;
    let (rule, series) = found.ok_or_else(missing)?;
    let label = rule.label(kind).ok_or_else(missing)?;
    let mut items = Vec::new();
    if !names.is_empty() {
        let of = selector(query, "metricLabelSelector")?;
        let mut matchers = Vec::new();
        if let Some(namespace) = namespace {
            let namespaces = resource_named("namespaces").and_then(|namespaces| rule.label(namespaces));
            matchers.extend(namespaces.map(|label| promql::matcher(&label, &[namespace.to_owned()])));
        }
        matchers.extend(promql::matchers(&of).map_err(ApiError::bad_request)?);
        matchers.push(promql::matcher(&label, &names));
        let parts = Parts { series, matchers, group_by: label.clone() };
        let text = promql::query(&rule.metrics_query, &parts).map_err(|error| no_answer(&error))?;
        let answer = prometheus::query(server, &adapter.prometheus, &text).await;
        let answer = answer.map_err(|error| no_answer(&error))?;
        let mut identifier = json!({ "name": metric });
        if let Some(selector) = query.get("metricLabelSelector") {
            identifier["selector"] = selector_object(selector);
        }
        for (labels, value) in answer {
            let Some(name) = labels.get(&label).filter(|name| names.contains(name)) else { continue };
            let mut described = json!({"kind": kind.kind, "name": name, "apiVersion": format!("{}/{}", kind.group, kind.version)});
            if let Some(namespace) = namespace {
                described["namespace"] = namespace.into();
            }
            items.push(json!({"describedObject": described, "metric": identifier, "timestamp": now(), "value": quantity(value)}));
        }
        if name != "*" && items.is_empty() {
            return Err(missing());
        }
    }
    Ok(
        json!({"kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2", "metadata": {}, "items": items}),
    )
}

/// A selector of equalities in its object form; other ones are shown as they were asked for.
fn selector_object(text: &str) -> Value {
    let mut labels = serde_json::Map::new();
    for term in text.split(',') {
        match term.split_once('=') {
            Some((key, value)) if !key.ends_with('!') => {
                labels.insert(key.trim().to_owned(), value.trim_start_matches('=').trim().into());
            }
            _ => return json!({"matchExpressions": [{"key": text, "operator": "Exists"}]}),
        }
    }
    json!({ "matchLabels": labels })
}

/// What the group's discovery document lists: `pods/http_requests_per_second`. Without Prometheus nothing is known to exist.
pub async fn resources(server: &ApiServer, adapter: &Adapter) -> Vec<Value> {
    let mut known = BTreeSet::new();
    for rule in &adapter.rules {
        let series = prometheus::series(server, &adapter.prometheus, &rule.series_query).await;
        let series = series.unwrap_or_else(|error| {
            tracing::debug!(%error, "the series of the metrics adapter are not known");
            Vec::new()
        });
        for labels in &series {
            let Some(metric) = labels.get("__name__").and_then(|name| rule.metric(name)) else { continue };
            for resource in &RESOURCES {
                if rule.label(resource).is_some_and(|label| labels.contains_key(&label)) {
                    let group = if resource.group.is_empty() {
                        String::new()
                    } else {
                        format!(".{}", resource.group)
                    };
                    known.insert((format!("{}{group}/{metric}", resource.plural), resource.namespaced));
                }
            }
        }
    }
    let entry = |(name, namespaced)| json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": "MetricValueList", "verbs": ["get"]});
    known.into_iter().map(entry).collect()
}
