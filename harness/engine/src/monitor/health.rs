//! State of the monitoring system itself: what must not change while a run measures (rule C18).

use harness_event::{AlertmanagerHealth, PrometheusHealth, Timestamp};

use super::{Alertmanager, Error, Prometheus, chain, exposition::Metrics, rules::RuleGroup};

/// One look at both servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MonitoringHealth {
    /// Prometheus, if it answered.
    pub prometheus: Option<PrometheusHealth>,
    /// Alertmanager, if it answered.
    pub alertmanager: Option<AlertmanagerHealth>,
    /// What did not answer, and why.
    pub errors: Vec<String>,
}

/// Looks at both servers at the same time.
pub async fn monitoring_health(prometheus: &Prometheus, alertmanager: &Alertmanager) -> MonitoringHealth {
    let (prometheus, alertmanager) =
        tokio::join!(prometheus_health(prometheus), alertmanager_health(alertmanager));
    let mut errors = Vec::new();
    let mut answered = |error: Error| errors.push(chain(&error));
    let prometheus = prometheus.map_err(&mut answered).ok();
    let alertmanager = alertmanager.map_err(&mut answered).ok();
    MonitoringHealth { prometheus, alertmanager, errors }
}

/// Prometheus' own state, from its metrics and its rules.
///
/// # Errors
/// If it does not answer, or without `process_start_time_seconds`: then a restart could not be noticed.
pub async fn prometheus_health(prometheus: &Prometheus) -> Result<PrometheusHealth, Error> {
    let (metrics, rules) = tokio::try_join!(prometheus.metrics(), prometheus.rules())?;
    let metrics = Metrics::parse(&metrics);
    let missing = |name: &str| prometheus.upstream().unreadable("/metrics", format!("it has no {name}"));
    Ok(PrometheusHealth {
        started_at: time(&metrics, "process_start_time_seconds")
            .ok_or_else(|| missing("process_start_time_seconds"))?,
        config_loaded_at: time(&metrics, "prometheus_config_last_reload_success_timestamp_seconds")
            .unwrap_or_default(),
        iterations_missed: count(&metrics, "prometheus_rule_group_iterations_missed_total"),
        evaluation_failures: count(&metrics, "prometheus_rule_evaluation_failures_total"),
        notifications_dropped: count(&metrics, "prometheus_notifications_dropped_total"),
        notification_errors: count(&metrics, "prometheus_notifications_errors_total"),
        sick_rules: sick_rules(&rules),
    })
}

/// Alertmanager's own state, from its metrics.
///
/// # Errors
/// As [`prometheus_health`].
pub async fn alertmanager_health(alertmanager: &Alertmanager) -> Result<AlertmanagerHealth, Error> {
    let metrics = Metrics::parse(&alertmanager.metrics().await?);
    let missing = |name: &str| alertmanager.upstream().unreadable("/metrics", format!("it has no {name}"));
    Ok(AlertmanagerHealth {
        started_at: time(&metrics, "process_start_time_seconds")
            .ok_or_else(|| missing("process_start_time_seconds"))?,
        config_loaded_at: time(&metrics, "alertmanager_config_last_reload_success_timestamp_seconds")
            .unwrap_or_default(),
        notifications_failed: to_count(metrics.sum_with(
            "alertmanager_notifications_failed_total",
            "integration",
            "webhook",
        )),
    })
}

/// Rules whose last evaluation failed, with the error. A rule that has not been evaluated yet is sick, too.
pub fn sick_rules(groups: &[RuleGroup]) -> Vec<String> {
    let rules = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    rules
        .filter_map(|(group, rule)| match rule.health() {
            ("ok", _) => None,
            (health, "") => Some(format!("{}/{}: {health}", group.name, rule.name())),
            (health, error) => Some(format!("{}/{}: {health}: {error}", group.name, rule.name())),
        })
        .collect()
}

fn time(metrics: &Metrics, name: &str) -> Option<Timestamp> {
    metrics.sum(name).map(Timestamp::from_seconds)
}

fn count(metrics: &Metrics, name: &str) -> u64 {
    to_count(metrics.sum(name))
}

fn to_count(value: Option<f64>) -> u64 {
    value.map_or(0, |value| value as u64)
}
