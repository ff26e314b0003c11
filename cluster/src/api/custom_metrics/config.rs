//! The adapter's configuration: the rules of prometheus-adapter (its `docs/config.md`), from the ConfigMap
//! `kube-system/metrics-adapter`.

use std::collections::BTreeMap;

use http::Uri;
use regex::Regex;
use serde::Deserialize;

use super::{CONFIG_MAP, NAMESPACE, promql};
use crate::{
    api::{
        resources::{RESOURCES, Resource, collection},
        router::ApiServer,
        status::ApiError,
    },
    store::Key,
};

/// Key of the rules.
const RULES: &str = "config.yaml";
/// Key of Prometheus' address.
const PROMETHEUS: &str = "prometheus-url";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    #[serde(default)]
    rules: Vec<RuleFile>,
    #[serde(default)]
    external_rules: Vec<RuleFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RuleFile {
    series_query: String,
    #[serde(default)]
    series_filters: Vec<FilterFile>,
    #[serde(default)]
    resources: ResourcesFile,
    #[serde(default)]
    name: NameFile,
    metrics_query: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct FilterFile {
    is: String,
    is_not: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct ResourcesFile {
    template: String,
    overrides: BTreeMap<String, GroupResourceFile>,
    namespaced: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GroupResourceFile {
    group: String,
    resource: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NameFile {
    matches: String,
    #[serde(rename = "as")]
    renamed: String,
}

/// The adapter.
#[derive(Debug)]
pub struct Adapter {
    /// Prometheus.
    pub prometheus: Uri,
    /// Rules of custom metrics.
    pub rules: Vec<Rule>,
    /// Rules of external metrics.
    pub external: Vec<Rule>,
}

/// A rule: which series are metrics, what they are called, and how a metric is asked for.
#[derive(Debug)]
pub struct Rule {
    /// Selector of the series.
    pub series_query: String,
    /// Template of the query.
    pub metrics_query: String,
    /// False for external metrics that are the same in all namespaces.
    pub namespaced: bool,
    filters: Vec<(Regex, bool)>,
    labels: Vec<(String, &'static Resource)>,
    template: Option<String>,
    matches: Regex,
    renamed: String,
}

impl Adapter {
    /// Reads the ConfigMap; 503 if it is wrong, as from an adapter that does not start.
    pub fn read(server: &ApiServer) -> Result<Self, ApiError> {
        let key = Key::new(NAMESPACE, CONFIG_MAP);
        let stored =
            server.store().get(collection::CONFIG_MAPS, &key).ok_or_else(ApiError::no_such_path)?.value();
        let text = |key: &str| stored["data"][key].as_str();
        Self::parse(text(RULES), text(PROMETHEUS)).map_err(|error| {
            let at = format!("ConfigMap {NAMESPACE}/{CONFIG_MAP}");
            ApiError::unavailable(format!("the metrics adapter cannot work with {at}: {error}"))
        })
    }

    fn parse(rules: Option<&str>, prometheus: Option<&str>) -> Result<Self, String> {
        let rules = rules.ok_or_else(|| format!("the key {RULES} is missing"))?;
        let prometheus = prometheus.ok_or_else(|| format!("the key {PROMETHEUS} is missing"))?.trim();
        let url: Uri = prometheus.parse().map_err(|error| format!("{PROMETHEUS} {prometheus:?}: {error}"))?;
        if url.scheme_str() != Some("http") || url.host().is_none() {
            return Err(format!("{PROMETHEUS} {prometheus:?} is no http URL"));
        }
        let file: File = serde_saphyr::from_str(rules).map_err(|error| format!("{RULES}: {error}"))?;
        let compiled = |name: &str, rules: Vec<RuleFile>| {
            let compile = |(index, rule): (usize, RuleFile)| {
                Rule::compile(rule).map_err(|error| format!("{RULES}: {name}[{index}]: {error}"))
            };
            rules.into_iter().enumerate().map(compile).collect::<Result<Vec<Rule>, String>>()
        };
        Ok(Self {
            prometheus: url,
            rules: compiled("rules", file.rules)?,
            external: compiled("externalRules", file.external_rules)?,
        })
    }
}

/// The resource that a rule names in singular or plural.
fn named(group: &str, resource: &str) -> Option<&'static Resource> {
    RESOURCES
        .iter()
        .find(|known| known.group == group && (known.plural == resource || known.singular == resource))
}

impl Rule {
    fn compile(file: RuleFile) -> Result<Self, String> {
        let regex = |field: &str, text: &str| Regex::new(text).map_err(|error| format!("{field}: {error}"));
        if file.series_query.trim().is_empty() {
            return Err("seriesQuery is empty".to_owned());
        }
        promql::check(&file.metrics_query).map_err(|error| format!("metricsQuery: {error}"))?;
        let mut filters = Vec::new();
        for filter in &file.series_filters {
            match (filter.is.as_str(), filter.is_not.as_str()) {
                ("", "") => return Err("seriesFilters: neither is nor isNot is given".to_owned()),
                (is, "") => filters.push((regex("seriesFilters", is)?, true)),
                ("", is_not) => filters.push((regex("seriesFilters", is_not)?, false)),
                _ => return Err("seriesFilters: is and isNot exclude each other".to_owned()),
            }
        }
        let mut labels = Vec::new();
        for (label, of) in &file.resources.overrides {
            let found = named(&of.group, &of.resource);
            let found = found.ok_or_else(|| {
                let (resource, group) = (&of.resource, &of.group);
                format!("resources.overrides.{label}: this cluster has no resource {resource:?} in group {group:?}")
            })?;
            labels.push((label.clone(), found));
        }
        let template = Some(file.resources.template).filter(|template| !template.is_empty());
        if let Some(template) = &template {
            promql::label(template, "", "pod").map_err(|error| format!("resources.template: {error}"))?;
        }
        let matches =
            regex("name.matches", if file.name.matches.is_empty() { ".*" } else { &file.name.matches })?;
        let renamed = match (file.name.renamed.is_empty(), matches.captures_len()) {
            (false, _) => file.name.renamed,
            (true, 1) => "$0".to_owned(),
            (true, 2) => "$1".to_owned(),
            (true, _) => return Err("name.as is needed where name.matches has several groups".to_owned()),
        };
        Ok(Self {
            series_query: file.series_query,
            metrics_query: file.metrics_query,
            namespaced: file.resources.namespaced.unwrap_or(true),
            filters,
            labels,
            template,
            matches,
            renamed,
        })
    }

    /// The metric that a series is, if the rule takes it.
    pub fn metric(&self, series: &str) -> Option<String> {
        if !self.filters.iter().all(|(filter, is)| filter.is_match(series) == *is) {
            return None;
        }
        let found = self.matches.captures(series)?;
        let mut name = String::new();
        found.expand(&self.renamed, &mut name);
        Some(name).filter(|name| !name.is_empty())
    }

    /// The label that names an object of the resource.
    pub fn label(&self, resource: &Resource) -> Option<String> {
        let overridden = self
            .labels
            .iter()
            .find(|(_, known)| known.group == resource.group && known.plural == resource.plural);
        if let Some((label, _)) = overridden {
            return Some(label.clone());
        }
        promql::label(self.template.as_ref()?, resource.group, resource.singular).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::resources;

    const URL: Option<&str> = Some("http://prometheus.monitoring.svc:19090");

    #[test]
    fn the_documented_example_is_read() {
        let text = r#"
rules:
- seriesQuery: 'http_requests_total{namespace!="",pod!=""}'
  seriesFilters: [{isNot: ^container_.*}]
  resources:
    template: kube_<<.Group>>_<<.Resource>>
    overrides:
      namespace: {resource: namespace}
      pod: {resource: pod}
      app: {group: apps, resource: deployment}
  name: {matches: "^(.*)_total", as: "${1}_per_second"}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)'
externalRules:
- seriesQuery: gallery_votes_queued
  resources: {namespaced: false}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
"#;
        let adapter = Adapter::parse(Some(text), URL).unwrap();
        let rule = &adapter.rules[0];
        assert_eq!(rule.metric("http_requests_total").as_deref(), Some("http_requests_per_second"));
        assert_eq!(rule.metric("container_requests_total"), None);
        assert_eq!(rule.metric("up"), None);
        let label = |group, plural| rule.label(resources::find(group, "v1", plural).unwrap());
        assert_eq!(label("", "pods").as_deref(), Some("pod"));
        assert_eq!(label("apps", "deployments").as_deref(), Some("app"));
        assert_eq!(label("", "services").as_deref(), Some("kube__service"));
        let external = &adapter.external[0];
        assert_eq!(external.metric("gallery_votes_queued").as_deref(), Some("gallery_votes_queued"));
        assert!(!external.namespaced && rule.namespaced);
    }

    #[test]
    fn what_cannot_work_is_said() {
        let rule = |more: &str| format!("rules:\n- seriesQuery: up\n  metricsQuery: <<.Series>>\n{more}");
        let cases = [
            (None, URL, "the key config.yaml is missing"),
            (Some(rule("")), None, "the key prometheus-url is missing"),
            (Some(rule("")), Some("https://p:1"), "is no http URL"),
            (Some("resourceRules: {}".to_owned()), URL, "resourceRules"),
            (Some("rules:\n- seriesQuery: up\n  metricsQuery: <<.Foo>>".to_owned()), URL, "<<.Foo>>"),
            (Some(rule("  name: {matches: '('}")), URL, "rules[0]: name.matches"),
            (Some(rule("  name: {matches: '(a)(b)'}")), URL, "name.as is needed"),
            (Some(rule("  resources: {overrides: {x: {resource: robot}}}")), URL, "no resource \"robot\""),
        ];
        for (rules, url, expected) in cases {
            let error = Adapter::parse(rules.as_deref(), url).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
