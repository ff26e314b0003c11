//! What the monitoring system has loaded: the base of everything that can be said before a run.

use harness_event::{AlertExpectation, Labels, Millis, Timestamp};

use super::{
    Alertmanager, Error, Metrics, Prometheus, Routing, Target,
    expression::{output_labels, parse},
    rules::{self, AlertingRule, RuleGroup},
};

/// Rules, targets and routes as loaded now.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Rule groups.
    pub groups: Vec<RuleGroup>,
    /// Active targets.
    pub targets: Vec<Target>,
    /// Alertmanager's routes and inhibition rules.
    pub routing: Routing,
    /// Labels that Prometheus adds to what it sends.
    pub external_labels: Labels,
    /// How far back Prometheus has data; none if it has none, or does not tell.
    pub data_age: Option<Millis>,
}

impl Loaded {
    /// Asks Prometheus and Alertmanager.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn read(prometheus: &Prometheus, alertmanager: &Alertmanager) -> Result<Self, Error> {
        let (groups, targets, external_labels, status, metrics) = tokio::try_join!(
            prometheus.rules(),
            prometheus.targets(),
            prometheus.external_labels(),
            alertmanager.status(),
            prometheus.metrics(),
        )?;
        let routing = Routing::parse(&status.config)
            .map_err(|error| alertmanager.upstream().unreadable("/api/v2/status", error))?;
        let lowest = Metrics::parse(&metrics)
            .sum("prometheus_tsdb_lowest_timestamp_seconds")
            .map(Timestamp::from_seconds);
        // Without data the lowest time is the largest number.
        let data_age = lowest.map(|lowest| Timestamp::now() - lowest).filter(|age| *age > Millis(0));
        Ok(Self { groups, targets, routing, external_labels, data_age })
    }

    /// The rules of an alert whose labels do not contradict the expectation, as far as labels are known before a run.
    pub fn candidates(&self, expected: &AlertExpectation) -> Vec<(&RuleGroup, &AlertingRule)> {
        rules::alerting(&self.groups)
            .filter(|(_, rule)| rule.name == expected.alert)
            .filter(|(_, rule)| self.known_labels(rule).contradictions(expected).is_empty())
            .collect()
    }

    /// What is known about the labels of a rule's alerts.
    pub(super) fn known_labels(&self, rule: &AlertingRule) -> KnownLabels {
        let mut labels = self.external_labels.clone();
        // The rule's own labels win over external ones.
        labels.extend(rule.labels.clone());
        labels.insert("alertname".to_owned(), rule.name.clone());
        let (templated, fixed): (Vec<_>, Vec<_>) =
            labels.into_iter().partition(|(_, value)| value.contains("{{"));
        let mut possible = parse(&rule.query).ok().and_then(|expr| output_labels(&expr));
        if let Some(possible) = &mut possible {
            possible.extend(templated.into_iter().map(|(name, _)| name));
        }
        KnownLabels { fixed: fixed.into_iter().collect(), possible }
    }
}

/// Labels of a rule's alerts as far as they are known before it fires.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KnownLabels {
    /// Labels with their values.
    pub(super) fixed: Labels,
    /// Names of further labels that it can have; none if it can have any.
    possible: Option<std::collections::BTreeSet<String>>,
}

impl KnownLabels {
    /// True if the alert may have this label with a value that is not known.
    pub(super) fn is_open(&self, name: &str) -> bool {
        !self.fixed.contains_key(name) && self.possible.as_ref().is_none_or(|names| names.contains(name))
    }

    /// Why the rule's alerts can never match the expectation, one text per matcher.
    pub(super) fn contradictions(&self, expected: &AlertExpectation) -> Vec<String> {
        let impossible = expected
            .labels
            .iter()
            .filter(|matcher| !self.is_open(&matcher.name) && !matcher.matches(&self.fixed));
        impossible
            .map(|matcher| match self.fixed.get(&matcher.name) {
                Some(value) => {
                    format!("the rule sets {}={value:?}, the scenario expects {matcher}", matcher.name)
                }
                None => format!(
                    "the rule's alerts have no label {:?}, the scenario expects {matcher}",
                    matcher.name
                ),
            })
            .collect()
    }
}
