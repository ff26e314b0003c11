//! Rule files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    CompressError, Length, Ratio, Report,
    prometheus::{SHORTEST_INTERVAL, too_often},
    thresholds::{self, Kinds},
};
use crate::promql;

/// A rule file of Prometheus. Fields that are not known are refused, since they may hold durations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// Its groups.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Unique in its file.
    pub name: String,
    /// Time between evaluations; the global one if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Length>,
    /// How far in the past rules are evaluated (Prometheus 2.53).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_offset: Option<Length>,
    /// Most series that a rule may give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Labels for all its rules (Prometheus 3).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its rules.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// A recording or an alerting rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the series, if it is a recording rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Name of the alert, if it is an alerting rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// PromQL.
    pub expr: String,
    /// How long the expression must hold before the alert fires.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Length>,
    /// How long the alert fires on after the expression holds no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<Length>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl RuleFile {
    /// Reads a file; `name` is for messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, CompressError> {
        serde_saphyr::from_str(text)
            .map_err(|source| CompressError::Parse { file: name.to_owned(), source: Box::new(source) })
    }

    /// The file as YAML; `name` is for messages.
    pub fn to_yaml(&self, name: &str) -> Result<String, CompressError> {
        super::prometheus::to_yaml(name, self)
    }
}

impl Rule {
    /// `alert PostgresDown (group postgres)`, for messages.
    pub fn place(&self, group: &str) -> String {
        match (&self.alert, &self.record) {
            (Some(alert), _) => format!("alert {alert} (group {group})"),
            (None, Some(record)) => format!("record {record} (group {group})"),
            (None, None) => format!("a rule without a name (group {group})"),
        }
    }

    /// Its name: of the alert or of the series.
    pub fn name(&self) -> &str {
        self.alert.as_deref().or(self.record.as_deref()).unwrap_or_default()
    }
}

/// How often there are samples after the compression; what is not known is not checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampling {
    /// Of scraped series: the shortest scrape interval, since an expression does not say which job it looks at.
    pub scrape: Option<Length>,
    /// Of recorded series: the evaluation interval.
    pub evaluation: Option<Length>,
}

/// Scales rule files, which belong together: what one records, another may look at. Everything that stands in the way or does
/// not scale goes into the report.
pub fn scale_rules(files: &mut [&mut RuleFile], ratio: Ratio, sampling: Sampling, report: &mut Report) {
    if ratio.is_one() {
        return;
    }
    let kinds = Kinds::of(files.iter().flat_map(|file| &file.groups).flat_map(|group| &group.rules));
    let mut clamped = 0;
    for group in files.iter_mut().flat_map(|file| &mut file.groups) {
        let place = format!("group {}", group.name);
        if let Some(interval) = &mut group.interval {
            // Nothing is no problem here: it is not the interval that comes out.
            *interval = interval.scaled(ratio).unwrap_or_default();
        }
        if let Some(offset) = &mut group.query_offset {
            report.scale(offset, ratio, &format!("{place}, query_offset"));
        }
        clamped += usize::from(clamp(&mut group.interval, &place, sampling, report));
        for rule in &mut group.rules {
            scale_rule(rule, &group.name, ratio, sampling.in_group(group.interval), &kinds, report);
        }
    }
    if let Some(global) = sampling.evaluation.filter(|_| clamped > 0) {
        report.warn(
            "rules",
            format_args!(
                "{clamped} groups have an interval of their own that would be shorter than {global}: they are evaluated every {global}"
            ),
        );
    }
}

/// Evaluating a group more often than there are samples shows nothing new, and costs as much as ever. True if its interval was
/// kept longer than scaled.
fn clamp(interval: &mut Option<Length>, place: &str, sampling: Sampling, report: &mut Report) -> bool {
    match (*interval, sampling.evaluation) {
        (Some(own), Some(global)) if own < global => {
            *interval = Some(global);
            true
        }
        (Some(own), None) if own < SHORTEST_INTERVAL => {
            report.problem(place, too_often("evaluating", own));
            false
        }
        _ => false,
    }
}

impl Sampling {
    /// A group with an interval of its own records that often.
    fn in_group(self, interval: Option<Length>) -> Self {
        Self { evaluation: interval.or(self.evaluation), ..self }
    }
}

fn scale_rule(
    rule: &mut Rule,
    group: &str,
    ratio: Ratio,
    sampling: Sampling,
    kinds: &Kinds,
    report: &mut Report,
) {
    let place = rule.place(group);
    for (what, length) in [("for", &mut rule.hold), ("keep_firing_for", &mut rule.keep_firing_for)] {
        if let Some(length) = length {
            report.scale(length, ratio, &format!("{place}, {what}"));
        }
    }
    match promql::scale(&rule.expr, ratio) {
        Ok(scaled) => rule.expr = scaled,
        Err(error) => return report.problem(&place, error),
    }
    // It has just been parsed.
    let Ok(tree) = promql::parse(&rule.expr) else { return };
    for reason in kinds.findings(&tree, ratio) {
        report.unscaled(&place, reason);
    }
    thresholds::check_ranges(&tree, sampling, kinds, &place, report);
}
