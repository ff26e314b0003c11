//! The rules that Prometheus has loaded, from `/api/v1/rules`, with the fields that say whether they work.

use std::collections::BTreeMap;

use harness_event::{AlertRule, EventKind, Labels, Millis, Timestamp};
use serde::{Deserialize, Deserializer};

/// A rule group.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleGroup {
    /// Name.
    pub name: String,
    /// File that it was loaded from.
    pub file: String,
    /// Evaluation interval E.
    #[serde(deserialize_with = "seconds")]
    pub interval: Millis,
    /// Wall clock at the start of the last complete evaluation; none if there was none yet.
    #[serde(default, deserialize_with = "time_or_zero")]
    pub last_evaluation: Option<Timestamp>,
    /// Its rules in order of evaluation.
    pub rules: Vec<Rule>,
}

/// An alerting or recording rule.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rule {
    /// Alerting rule.
    Alerting(AlertingRule),
    /// Recording rule.
    Recording(RecordingRule),
}

/// An alerting rule.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertingRule {
    /// Alert name.
    pub name: String,
    /// Expression.
    pub query: String,
    /// `for`.
    #[serde(deserialize_with = "seconds")]
    pub duration: Millis,
    /// `keep_firing_for`; absent before 2.42.
    #[serde(default, deserialize_with = "seconds")]
    pub keep_firing_for: Millis,
    /// Labels of the rule, templates not expanded.
    #[serde(default)]
    pub labels: Labels,
    /// Annotations of the rule, templates not expanded.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// `inactive`, `pending`, `firing`; `unknown` (3.8 and newer) or absent if never evaluated.
    #[serde(default)]
    pub state: String,
    /// `ok`, `err` or `unknown`.
    pub health: String,
    /// Error of the last evaluation.
    #[serde(default)]
    pub last_error: String,
    /// Wall clock at the start of the last evaluation; none if there was none yet.
    #[serde(default, deserialize_with = "time_or_zero")]
    pub last_evaluation: Option<Timestamp>,
    /// Pending and firing alerts.
    #[serde(default)]
    pub alerts: Vec<ActiveAlert>,
}

/// A recording rule.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingRule {
    /// Name of the recorded series.
    pub name: String,
    /// Expression.
    pub query: String,
    /// Labels of the rule.
    #[serde(default)]
    pub labels: Labels,
    /// `ok`, `err` or `unknown`.
    pub health: String,
    /// Error of the last evaluation.
    #[serde(default)]
    pub last_error: String,
    /// Wall clock at the start of the last evaluation; none if there was none yet.
    #[serde(default, deserialize_with = "time_or_zero")]
    pub last_evaluation: Option<Timestamp>,
}

/// A pending or firing alert.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveAlert {
    /// All labels, with `alertname`. In a rule's list without external labels.
    pub labels: Labels,
    /// `pending` or `firing`.
    pub state: String,
    /// Evaluation at which it went pending.
    #[serde(default, deserialize_with = "time_or_zero")]
    pub active_at: Option<Timestamp>,
    /// Value of the expression at the last evaluation, as Prometheus writes it.
    #[serde(default)]
    pub value: Option<String>,
}

impl Rule {
    /// Name of the alert or of the recorded series.
    pub fn name(&self) -> &str {
        match self {
            Self::Alerting(rule) => &rule.name,
            Self::Recording(rule) => &rule.name,
        }
    }

    /// Health and error text.
    pub fn health(&self) -> (&str, &str) {
        match self {
            Self::Alerting(rule) => (&rule.health, &rule.last_error),
            Self::Recording(rule) => (&rule.health, &rule.last_error),
        }
    }

    /// The alerting rule, if it is one.
    pub fn as_alerting(&self) -> Option<&AlertingRule> {
        match self {
            Self::Alerting(rule) => Some(rule),
            Self::Recording(_) => None,
        }
    }
}

/// All alerting rules with their groups.
pub fn alerting(groups: &[RuleGroup]) -> impl Iterator<Item = (&RuleGroup, &AlertingRule)> {
    groups
        .iter()
        .flat_map(|group| group.rules.iter().filter_map(move |rule| Some((group, rule.as_alerting()?))))
}

/// All alerting rules as a fact, for people.
pub fn rules_read(groups: &[RuleGroup]) -> EventKind {
    let fact = |(group, rule): (&RuleGroup, &AlertingRule)| AlertRule {
        alert: rule.name.clone(),
        group: group.name.clone(),
        expression: rule.query.clone(),
        pending_for: rule.duration,
        keep_firing_for: rule.keep_firing_for,
        labels: rule.labels.clone(),
        annotations: rule.annotations.clone(),
    };
    EventKind::AlertRulesRead { rules: alerting(groups).map(fact).collect() }
}

/// Evaluation interval of an alert; the longest if several groups define it, and of all groups if none does.
pub fn evaluation_interval(groups: &[RuleGroup], alert: &str) -> Millis {
    let own = alerting(groups).filter(|(_, rule)| rule.name == alert).map(|(group, _)| group.interval).max();
    own.or_else(|| groups.iter().map(|group| group.interval).max()).unwrap_or(Millis::from_secs(60))
}

/// Go's zero time stands for "never".
pub(super) fn time_or_zero<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() || text.starts_with("0001-01-01T") {
        return Ok(None);
    }
    let bad = || serde::de::Error::custom(format!("not an RFC 3339 time: {text:?}"));
    Timestamp::parse(&text).map(Some).ok_or_else(bad)
}

/// Seconds as a number.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    f64::deserialize(deserializer).map(Millis::from_secs_f64)
}
