//! What Prometheus and Alertmanager show once they have loaded a configuration.

use serde_json::Value;

use super::{
    CompressError, Length,
    alertmanager::ROUTE_DEFAULTS,
    manifests::{Content, content, described, is_image},
    prometheus::{FLAGS, GLOBAL_DEFAULTS, field, given},
};
use crate::promql;

/// What must be seen of manifests, by those who ask Prometheus and Alertmanager.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// Of Prometheus' configuration: `scrape_interval` and `evaluation_interval`.
    pub global: Vec<(String, Length)>,
    /// Of Prometheus' command line, without the dashes.
    pub flags: Vec<(String, Length)>,
    /// Every rule, sorted.
    pub rules: Vec<LoadedRule>,
    /// Of Alertmanager's root route: `group_wait`, `group_interval` and `repeat_interval`.
    pub route: Vec<(String, Length)>,
}

/// A rule as it must be loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadedRule {
    /// Its group.
    pub group: String,
    /// Name of the alert or of the series.
    pub name: String,
    /// Its `for`.
    pub hold: Length,
    /// All durations of its expression, sorted, so that it does not matter how Prometheus prints an expression.
    pub durations: Vec<Length>,
}

impl LoadedRule {
    /// A rule by its parts; `None` if the expression is not understood.
    pub fn new(group: &str, name: &str, hold: Length, expression: &str) -> Option<Self> {
        let mut durations = promql::durations(expression).ok()?;
        durations.sort();
        Some(Self { group: group.to_owned(), name: name.to_owned(), hold, durations })
    }
}

impl Loaded {
    /// What the objects, as they are, must lead to.
    pub fn of(objects: &[Value]) -> Result<Self, CompressError> {
        let mut loaded = Self::default();
        for object in objects {
            let files = if object["kind"] == "ConfigMap" { object["data"].as_object() } else { None };
            for (key, text) in files.into_iter().flatten() {
                let place = format!("{}, {key}", described(object));
                match content(&place, text.as_str().unwrap_or_default())? {
                    Some(Content::Prometheus(config)) => {
                        loaded.global = fields(&config["global"], &GLOBAL_DEFAULTS)
                    }
                    Some(Content::Alertmanager(config)) => {
                        loaded.route = fields(&config["route"], &ROUTE_DEFAULTS)
                    }
                    Some(Content::Rules(file)) => {
                        let rules = file.groups.iter().flat_map(|group| {
                            group.rules.iter().filter_map(|rule| {
                                LoadedRule::new(
                                    &group.name,
                                    rule.name(),
                                    rule.hold.unwrap_or_default(),
                                    &rule.expr,
                                )
                            })
                        });
                        loaded.rules.extend(rules);
                    }
                    None => {}
                }
            }
            let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
            for container in containers.into_iter().flatten().filter(|one| is_image(one, "prometheus")) {
                let args = container["args"].as_array().map(Vec::as_slice).unwrap_or_default();
                loaded.flags = FLAGS
                    .iter()
                    .filter_map(|(flag, default)| {
                        let length = match given(args, flag) {
                            Some((_, text)) => Length::parse(&text)?,
                            None => *default,
                        };
                        Some((flag.trim_start_matches('-').to_owned(), length))
                    })
                    .collect();
            }
        }
        loaded.rules.sort();
        Ok(loaded)
    }
}

fn fields(object: &Value, defaults: &[(&str, Length)]) -> Vec<(String, Length)> {
    defaults
        .iter()
        .map(|(key, default)| ((*key).to_owned(), field(object, key).unwrap_or(*default)))
        .collect()
}
