//! Metrics of anything that is no Kubernetes object.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    config::Adapter,
    custom::{find, no_answer, now, quantity, selector},
    prometheus,
    promql::{self, Parts},
};
use crate::api::{request::Query, resources, router::ApiServer, status::ApiError};

/// A metric in a namespace: one value per series.
pub async fn metric(
    server: &ApiServer,
    adapter: &Adapter,
    query: &Query,
    namespace: &str,
    metric: &str,
) -> Result<Value, ApiError> {
    let found = find(server, adapter, &adapter.external, metric, |_| true).await?;
    let (rule, series) =
        found.ok_or_else(|| ApiError::no_such_metric(metric, &format!("namespaces {namespace}")))?;
    let mut matchers = Vec::new();
    if rule.namespaced {
        let namespaces =
            resources::find("", "v1", "namespaces").and_then(|namespaces| rule.label(namespaces));
        matchers.extend(namespaces.map(|label| promql::matcher(&label, &[namespace.to_owned()])));
    }
    let of = selector(query, "labelSelector")?;
    matchers.extend(promql::matchers(&of).map_err(ApiError::bad_request)?);
    let parts = Parts { series, matchers, group_by: String::new() };
    let text = promql::query(&rule.metrics_query, &parts).map_err(|error| no_answer(&error))?;
    let answer = prometheus::query(server, &adapter.prometheus, &text).await;
    let answer = answer.map_err(|error| no_answer(&error))?;
    let items: Vec<Value> = answer
        .into_iter()
        .map(|(mut labels, value)| {
            labels.remove("__name__");
            json!({"metricName": metric, "metricLabels": labels, "timestamp": now(), "value": quantity(value)})
        })
        .collect();
    Ok(
        json!({"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {}, "items": items}),
    )
}

/// What the group's discovery document lists.
pub async fn resources(server: &ApiServer, adapter: &Adapter) -> Vec<Value> {
    let mut known = BTreeSet::new();
    for rule in &adapter.external {
        match prometheus::series(server, &adapter.prometheus, &rule.series_query).await {
            Ok(series) => {
                let names = series.iter().filter_map(|labels| labels.get("__name__"));
                known.extend(names.filter_map(|name| rule.metric(name)));
            }
            Err(error) => tracing::debug!(%error, "the series of the metrics adapter are not known"),
        }
    }
    let entry = |name| json!({"name": name, "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList", "verbs": ["get"]});
    known.into_iter().map(entry).collect()
}
