//! SLOs as Prometheus has loaded them.

use std::collections::BTreeSet;

use harness_event::{Millis, SloDefinition, SloWindow};
use harness_slo::promql;

use super::{expression::Ratio, figures::Budget};
use crate::monitor::{
    Error, Prometheus, parse_duration,
    rules::{RecordingRule, Rule, RuleGroup},
};

/// Begins the names of the recorded error ratios.
pub(super) const ERROR_RATIO: &str = "slo:sli_error:ratio_rate";
const OBJECTIVE: &str = "slo:objective:ratio";
const PERIOD: &str = "slo:time_period:days";
const DAY: f64 = 86_400.0;

/// An SLO whose rules were found.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// What is known of it.
    pub definition: SloDefinition,
    /// Its error ratio over the shortest window.
    pub(super) ratio: Ratio,
    /// The longest interval at which its error ratios are evaluated.
    pub(super) evaluated_every: Millis,
    /// The longest interval at which its data is scraped.
    pub(super) scraped_every: Millis,
}

/// Why an SLO cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SloError {
    /// No rule has its `sloth_id`.
    #[error("Prometheus has no rules of it. {}", known(others))]
    Unknown {
        /// Those that it has.
        others: Vec<String>,
    },
    /// Rules are missing or cannot be read.
    #[error("{0}")]
    Unusable(String),
}

fn known(others: &[String]) -> String {
    if others.is_empty() {
        return "It has rules of no SLO at all: `harness slo rules` makes them, and they must be loaded"
            .to_owned();
    }
    format!("It has: {}", others.join(", "))
}

impl Slo {
    pub(super) fn id(&self) -> &str {
        &self.definition.slo
    }

    pub(super) fn budget(&self) -> Budget {
        Budget { objective: self.definition.objective, period: self.definition.period }
    }

    /// How long it takes at most until what happened is scraped, and in the recorded error ratios.
    pub fn settles_in(&self) -> Millis {
        // Each began just before, and is over when the next one begins.
        self.scraped_every + self.scraped_every + self.evaluated_every + self.evaluated_every
    }

    /// The longest time that any of its windows looks back.
    pub(super) fn longest_window(&self) -> Millis {
        self.definition.windows.iter().map(|window| window.length).max().unwrap_or_default()
    }
}

/// `sloth_id` of every SLO that Prometheus has recording rules of, sorted.
///
/// # Errors
/// If Prometheus gives no usable answer.
pub async fn known_slos(prometheus: &Prometheus) -> Result<Vec<String>, Error> {
    Ok(ids(&prometheus.rules().await?))
}

fn ids(groups: &[RuleGroup]) -> Vec<String> {
    let ids: BTreeSet<&String> = recording(groups).filter_map(|rule| rule.labels.get("sloth_id")).collect();
    ids.into_iter().cloned().collect()
}

/// Looks for SLOs by their `sloth_id`, in the rules that are loaded. Figures are the values of the rules' expressions, so that
/// rules which were never evaluated are good enough.
///
/// # Errors
/// If Prometheus gives no usable answer.
pub async fn find_slos(
    prometheus: &Prometheus,
    wanted: &[String],
) -> Result<Vec<(String, Result<Slo, SloError>)>, Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let groups = prometheus.rules().await?;
    let mut found = Vec::new();
    for id in wanted {
        found.push((id.clone(), find(prometheus, &groups, id).await?));
    }
    Ok(found)
}

async fn find(
    prometheus: &Prometheus,
    groups: &[RuleGroup],
    id: &str,
) -> Result<Result<Slo, SloError>, Error> {
    let own: Vec<&RecordingRule> = recording(groups)
        .filter(|rule| rule.labels.get("sloth_id").is_some_and(|found| found == id))
        .collect();
    if own.is_empty() {
        return Ok(Err(SloError::Unknown { others: ids(groups) }));
    }
    let objective = constant(prometheus, &own, OBJECTIVE).await?;
    let days = constant(prometheus, &own, PERIOD).await?;
    let mut slo = match assemble(id, &own, objective, days) {
        Ok(slo) => slo,
        Err(problem) => return Ok(Err(SloError::Unusable(problem))),
    };
    let of_it = |group: &&RuleGroup| {
        recording(std::slice::from_ref(*group))
            .any(|rule| rule.labels.get("sloth_id").is_some_and(|found| found == id))
    };
    slo.evaluated_every = groups.iter().filter(of_it).map(|group| group.interval).max().unwrap_or_default();
    let targets = super::measure::feeding(prometheus, &slo, None).await?;
    slo.scraped_every = targets.iter().map(|target| target.scrape_interval).max().unwrap_or_default();
    Ok(Ok(slo))
}

fn recording(groups: &[RuleGroup]) -> impl Iterator<Item = &RecordingRule> {
    groups.iter().flat_map(|group| &group.rules).filter_map(|rule| match rule {
        Rule::Recording(rule) => Some(rule),
        Rule::Alerting(_) => None,
    })
}

/// The value of the expression of a rule, now.
async fn constant(
    prometheus: &Prometheus,
    rules: &[&RecordingRule],
    name: &str,
) -> Result<Option<f64>, Error> {
    let Some(rule) = rules.iter().find(|rule| rule.name == name) else { return Ok(None) };
    let values = prometheus.query(&rule.query, None).await?;
    Ok(values.first().map(|sample| sample.value).filter(|value| value.is_finite()))
}

fn assemble(
    id: &str,
    rules: &[&RecordingRule],
    objective: Option<f64>,
    days: Option<f64>,
) -> Result<Slo, String> {
    let mut ratios: Vec<(SloWindow, &RecordingRule)> = Vec::new();
    for rule in rules.iter().filter(|rule| rule.name.starts_with(ERROR_RATIO)) {
        let label = rule.labels.get("sloth_window").map_or(&rule.name[ERROR_RATIO.len()..], String::as_str);
        let window =
            parse_duration(label).ok_or_else(|| format!("{} has the window {label:?}", rule.name))?;
        let ranges = promql::ranges(&rule.query).map_err(|error| format!("{}: {error}", rule.name))?;
        let length = ranges.iter().map(|range| range.millis()).max();
        let length = length.map_or(window, |length| Millis(i64::try_from(length).unwrap_or(i64::MAX)));
        ratios.push((SloWindow { window, length, record: rule.name.clone() }, rule));
    }
    ratios.sort_by_key(|(window, _)| window.window);
    let (_, shortest) = ratios.first().ok_or_else(|| format!("no rule records {ERROR_RATIO}… of it"))?;
    if let Some((_, rule)) = ratios.iter().find(|(_, rule)| rule.health == "err") {
        return Err(format!("its rule {} fails: {}", rule.name, rule.last_error));
    }
    let ratio = Ratio::parse(&shortest.query).map_err(|error| format!("{}: {error}", shortest.name))?;
    let without = |name: &str| format!("no rule records {name} of it");
    Ok(Slo {
        definition: SloDefinition {
            slo: id.to_owned(),
            service: shortest.labels.get("sloth_service").cloned().unwrap_or_default(),
            objective: objective
                .filter(|ratio| *ratio > 0.0 && *ratio <= 1.0)
                .ok_or_else(|| without(OBJECTIVE))?,
            period: Millis::from_secs_f64(
                days.filter(|days| *days > 0.0).ok_or_else(|| without(PERIOD))? * DAY,
            ),
            expression: shortest.query.clone(),
            windows: ratios.into_iter().map(|(window, _)| window).collect(),
        },
        ratio,
        evaluated_every: Millis(0),
        scraped_every: Millis(0),
    })
}

#[cfg(test)]
mod tests {
    use harness_event::Labels;

    use super::*;

    fn rule(name: &str, query: &str, window: Option<&str>) -> RecordingRule {
        let mut labels = Labels::from([("sloth_id".to_owned(), "a-b".to_owned())]);
        labels.extend(window.map(|window| ("sloth_window".to_owned(), window.to_owned())));
        RecordingRule {
            name: name.to_owned(),
            query: query.to_owned(),
            labels,
            health: "ok".to_owned(),
            last_error: String::new(),
            last_evaluation: None,
        }
    }

    fn rules(factor: i64) -> Vec<RecordingRule> {
        let range = |seconds: i64| format!("{}ms", seconds * 1000 / factor);
        let ratio = |window: &str, seconds: i64| {
            let range = range(seconds);
            rule(
                &format!("{ERROR_RATIO}{window}"),
                &format!("(sum(rate(e[{range}]))) / (sum(rate(t[{range}])))"),
                Some(window),
            )
        };
        let month = range(30 * 86_400);
        let mean = format!("sum_over_time(x[{month}]) / ignoring (sloth_window) count_over_time(x[{month}])");
        vec![
            ratio("1h", 3600),
            ratio("5m", 300),
            rule(&format!("{ERROR_RATIO}30d"), &mean, Some("30d")),
            rule(OBJECTIVE, "vector(0.999)", None),
        ]
    }

    #[test]
    fn windows_keep_their_own_time() {
        for factor in [1, 30] {
            let rules = rules(factor);
            let slo = assemble("a-b", &rules.iter().collect::<Vec<_>>(), Some(0.999), Some(30.0)).unwrap();
            let windows: Vec<_> =
                slo.definition.windows.iter().map(|one| (one.window.0, one.length.0 * factor)).collect();
            assert_eq!(windows, [(300_000, 300_000), (3_600_000, 3_600_000), (2_592_000_000, 2_592_000_000)]);
            assert_eq!(slo.definition.own_time(Millis(60_000)), Millis(60_000 * factor));
            assert_eq!(slo.definition.period, Millis(2_592_000_000));
            assert!(slo.definition.expression.contains("sum(rate(e["), "{}", slo.definition.expression);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let all = rules(1);
        let some = |names: &[&str]| {
            let kept: Vec<_> = all.iter().filter(|rule| names.contains(&rule.name.as_str())).collect();
            assemble("a-b", &kept, Some(0.999), Some(30.0)).map(drop)
        };
        assert_eq!(some(&[OBJECTIVE]), Err("no rule records slo:sli_error:ratio_rate… of it".to_owned()));
        assert_eq!(some(&["slo:sli_error:ratio_rate5m"]), Ok(()));
        let all: Vec<_> = all.iter().collect();
        assert_eq!(
            assemble("a-b", &all, None, Some(30.0)).map(drop),
            Err("no rule records slo:objective:ratio of it".to_owned())
        );
        assert_eq!(
            assemble("a-b", &all, Some(0.9), Some(0.0)).map(drop),
            Err("no rule records slo:time_period:days of it".to_owned())
        );
        let mut failing = rules(1);
        failing[0].health = "err".to_owned();
        failing[0].last_error = "many-to-many".to_owned();
        assert_eq!(
            assemble("a-b", &failing.iter().collect::<Vec<_>>(), Some(0.9), Some(30.0)).map(drop),
            Err("its rule slo:sli_error:ratio_rate1h fails: many-to-many".to_owned())
        );
    }
}
