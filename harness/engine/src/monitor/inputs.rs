//! Resolved must not mean "no data" (rule C17): are the inputs of an alert's expression there when it resolves, as they were
//! before the fault?

use harness_event::Timestamp;
use promql_parser::label::METRIC_NAME;
use std::collections::BTreeSet;

use super::{
    Error, InstantSample, Prometheus,
    expression::{Selector, parse, selectors},
    text::counted,
};

/// Result of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// Is everything there that was there at the baseline?
    pub present: bool,
    /// Each selector with its counts, for people.
    pub detail: String,
}

/// How much of a selector is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// Scrape targets (`job` and `instance`) that its series come from.
    targets: usize,
    /// Series that come from no target: those of recording rules.
    recorded: u64,
}

impl Count {
    fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn covers(self, before: Self) -> bool {
        self.targets >= before.targets && self.recorded >= before.recorded
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.targets, self.recorded) {
            (0, 0) => write!(out, "nothing"),
            (targets, 0) => write!(out, "{}", counted(targets, "target")),
            (0, recorded) => write!(out, "{recorded} series"),
            (targets, recorded) => write!(out, "{} and {recorded} series", counted(targets, "target")),
        }
    }
}

/// Compares what each selector of the expression returns at the two times (by Prometheus' clock).
///
/// A selector that returned nothing at the baseline says nothing. One that did must come from as many targets when the alert
/// resolves. Targets are counted, not series: a restarted pod has the same metrics, but not yet all of their label values. A
/// counter class without any series (no 5xx since the restart) is there if the metric itself is exported. What `absent()`
/// looks for must be back, in any number.
///
/// # Errors
/// If the expression cannot be parsed or a query fails.
pub async fn check_inputs(
    prometheus: &Prometheus,
    expr: &str,
    baseline: Timestamp,
    resolved: Timestamp,
) -> Result<Inputs, Error> {
    let parsed = parse(expr).map_err(|reason| Error::Expression { expr: expr.to_owned(), reason })?;
    let all = selectors(&parsed);
    // The absence of an alert's own series is the good case. What is used as a value and inside of absent() must be there as
    // a value.
    let as_value = |one: &Selector| all.iter().any(|other| !other.absent && other.vector == one.vector);
    let alerts =
        |one: &Selector| one.metric().is_some_and(|name| name == "ALERTS" || name == "ALERTS_FOR_STATE");
    let inputs = all.iter().filter(|one| !(alerts(one) || one.absent && as_value(one)));
    let (mut present, mut texts) = (true, Vec::new());
    for selector in inputs {
        let text = selector.vector.to_string();
        let (before, after) =
            (count(prometheus, &text, baseline).await?, count(prometheus, &text, resolved).await?);
        let mut ok = before.is_empty() || after.covers(before) || (selector.absent && !after.is_empty());
        let mut detail = format!("{text}: {before} at the baseline, {after} when it resolved");
        if !ok && selector.range.is_some() {
            let metric = relaxed(prometheus, selector, baseline).await?;
            let (before, after) =
                (count(prometheus, &metric, baseline).await?, count(prometheus, &metric, resolved).await?);
            if !before.is_empty() && after.covers(before) {
                ok = true;
                detail = format!("{detail}; its metric {metric} is exported by {after}");
            }
        }
        present &= ok;
        texts.push(if ok { detail } else { format!("{detail}: data is missing") });
    }
    if texts.is_empty() {
        texts.push("the expression selects no series".to_owned());
    }
    Ok(Inputs { present, detail: texts.join("; ") })
}

async fn count(prometheus: &Prometheus, selector: &str, at: Timestamp) -> Result<Count, Error> {
    let groups = prometheus.query(&format!("count by (job, instance) ({selector})"), Some(at)).await?;
    Ok(sum(&groups))
}

fn sum(groups: &[InstantSample]) -> Count {
    let from_target = |group: &&InstantSample| group.labels.contains_key("instance");
    Count {
        targets: groups.iter().filter(from_target).count(),
        recorded: groups.iter().filter(|group| !from_target(group)).map(|group| group.value as u64).sum(),
    }
}

/// The selector without matchers on the metric's own labels: only those of the target are left.
async fn relaxed(prometheus: &Prometheus, selector: &Selector, at: Timestamp) -> Result<String, Error> {
    let up = prometheus.query("up", Some(at)).await?;
    let of_targets: BTreeSet<&str> =
        up.iter().flat_map(|sample| sample.labels.keys()).map(String::as_str).collect();
    let mut vector = selector.vector.clone();
    vector
        .matchers
        .matchers
        .retain(|matcher| matcher.name == METRIC_NAME || of_targets.contains(matcher.name.as_str()));
    Ok(vector.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness_event::Labels;

    #[test]
    fn targets_count_once_and_recorded_series_each() {
        let group = |labels: &[(&str, &str)], value| InstantSample {
            labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Labels>(),
            value,
        };
        let count = sum(&[
            group(&[("job", "a"), ("instance", "1")], 20.0),
            group(&[("job", "a"), ("instance", "2")], 3.0),
            group(&[], 4.0),
        ]);
        assert_eq!(count, Count { targets: 2, recorded: 4 });
        assert_eq!(count.to_string(), "2 targets and 4 series");
        assert!(!Count { targets: 1, recorded: 9 }.covers(count));
        assert!(Count { targets: 2, recorded: 4 }.covers(count));
    }
}
