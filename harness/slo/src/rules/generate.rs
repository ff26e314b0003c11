//! The rules of an SLO, made as Sloth makes them.

use std::{collections::BTreeMap, fmt};

use super::{Group, Rule, RuleKind, number::go_g};
use crate::{
    PromDuration,
    spec::{Alert, Sli, Slo},
    windows::{Pair, Windows},
};

const OBJECTIVE: &str = "slo:objective:ratio";
const ERROR_BUDGET: &str = "slo:error_budget:ratio";
const PERIOD_BURN_RATE: &str = "slo:period_burn_rate:ratio";

/// A pair of windows that can never fire: its threshold is an error ratio of 1 or more (slok/sloth#341).
#[derive(Clone, Debug, PartialEq)]
pub struct Unreachable {
    /// `page` or `ticket`.
    pub severity: &'static str,
    /// The alert's name.
    pub alert: String,
    /// `sloth_id`.
    pub slo: String,
    /// The pair.
    pub pair: Pair,
    /// Burn rate from which on it fires.
    pub factor: f64,
    /// The SLO's error budget as a ratio.
    pub error_budget: f64,
    /// Where the objective stands in the file: line and column.
    pub at: (u32, u32),
}

impl fmt::Display for Unreachable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, alert, slo, pair, factor, error_budget, .. } = self;
        write!(
            out,
            "the {severity} alert {alert:?} of {slo} can't fire by its windows {}/{}: that takes an error ratio above {} \
             ({} times the error budget of {} %), and none is above 1",
            pair.short,
            pair.long,
            rounded(factor * error_budget),
            rounded(*factor),
            rounded(error_budget * 100.0),
        )
    }
}

/// For people.
fn rounded(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The pairs of an SLO's alerts that no error ratio can fire.
pub fn unreachable(slo: &Slo, windows: &Windows) -> Vec<Unreachable> {
    let alerts = [
        ("page", &slo.page, [windows.page_quick, windows.page_slow]),
        ("ticket", &slo.ticket, [windows.ticket_quick, windows.ticket_slow]),
    ];
    let mut found = Vec::new();
    for (severity, alert, pairs) in alerts {
        let Some(alert) = alert else { continue };
        for pair in pairs {
            let factor = windows.factor(&pair);
            if factor * slo.error_budget() >= 1.0 {
                found.push(Unreachable {
                    severity,
                    alert: alert.name.clone(),
                    slo: slo.id.clone(),
                    pair,
                    factor,
                    error_budget: slo.error_budget(),
                    at: slo.objective_at,
                });
            }
        }
    }
    found
}

/// The three groups of an SLO: error ratios, what describes it, alerts. A group without rules is left out.
///
/// `version` becomes the label `sloth_version` of `sloth_slo_info`.
pub fn generate(slo: &Slo, windows: &Windows, version: &str) -> Vec<Group> {
    let group = |kind: &str, interval, rules: Vec<Rule>| {
        (!rules.is_empty()).then(|| Group { name: format!("sloth-slo-{kind}-{}", slo.id), interval, rules })
    };
    [
        group("sli-recordings", slo.intervals.sli, error_ratios(slo, windows)),
        group("meta-recordings", slo.intervals.metadata, metadata(slo, windows, version)),
        group("alerts", slo.intervals.alerts, alerts(slo, windows)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Name of the series with the error ratio over a window.
fn ratio_series(window: PromDuration) -> String {
    format!("slo:sli_error:ratio_rate{window}")
}

/// The labels that tell an SLO's series from others'.
fn identity(slo: &Slo) -> [(&'static str, &str); 3] {
    [("sloth_id", &slo.id), ("sloth_service", &slo.service), ("sloth_slo", &slo.name)]
}

fn selector(slo: &Slo) -> String {
    // Names hold nothing that needs to be escaped.
    let matchers = identity(slo).map(|(name, value)| format!("{name}=\"{value}\""));
    format!("{{{}}}", matchers.join(", "))
}

fn labels(slo: &Slo, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut all = slo.labels.clone();
    all.extend(
        identity(slo).iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    all
}

fn record(name: impl Into<String>, expr: String, labels: BTreeMap<String, String>) -> Rule {
    Rule { kind: RuleKind::Record, name: name.into(), expr, labels, annotations: BTreeMap::new() }
}

fn error_ratios(slo: &Slo, windows: &Windows) -> Vec<Rule> {
    let one = |window: PromDuration| {
        let text = window.to_string();
        let expr = if window == windows.period {
            // A month of raw samples is too much to look at each time: the mean of the shortest window's ratios stands in.
            // It weighs every moment alike, with much traffic or little.
            let short = format!("{}{}", ratio_series(windows.page_quick.short), selector(slo));
            format!(
                "sum_over_time({short}[{text}])\n/ ignoring (sloth_window)\ncount_over_time({short}[{text}])\n"
            )
        } else {
            match &slo.sli {
                Sli::Events { error, total } => {
                    format!("({})\n/\n({})\n", error.with_window(&text), total.with_window(&text))
                }
                Sli::Raw { error_ratio } => format!("({})", error_ratio.with_window(&text)),
            }
        };
        record(ratio_series(window), expr, labels(slo, &[("sloth_window", &text)]))
    };
    windows.lengths().into_iter().map(one).collect()
}

fn metadata(slo: &Slo, windows: &Windows, version: &str) -> Vec<Rule> {
    let selector = selector(slo);
    let objective = go_g(slo.objective / 100.0);
    let burn_rate = |window: PromDuration| {
        format!(
            "{}{selector}\n/ on(sloth_id, sloth_slo, sloth_service) group_left\n{ERROR_BUDGET}{selector}\n",
            ratio_series(window)
        )
    };
    let plain = || labels(slo, &[]);
    let info = labels(
        slo,
        &[
            ("sloth_version", version),
            ("sloth_mode", "cli-gen-prom"),
            ("sloth_spec", "prometheus/v1"),
            ("sloth_objective", &slo.objective.to_string()),
        ],
    );
    vec![
        record(OBJECTIVE, format!("vector({objective})"), plain()),
        record(ERROR_BUDGET, format!("vector(1-{objective})"), plain()),
        record("slo:time_period:days", format!("vector({})", go_g(windows.period.hours() / 24.0)), plain()),
        record("slo:current_burn_rate:ratio", burn_rate(windows.page_quick.short), plain()),
        record(PERIOD_BURN_RATE, burn_rate(windows.period), plain()),
        record(
            "slo:period_error_budget_remaining:ratio",
            format!("1 - {PERIOD_BURN_RATE}{selector}"),
            plain(),
        ),
        record("sloth_slo_info", "vector(1)".to_owned(), info),
    ]
}

fn alerts(slo: &Slo, windows: &Windows) -> Vec<Rule> {
    let one = |severity, alert: &Option<Alert>, quick, slow| {
        alert.as_ref().map(|alert| burn_alert(slo, windows, severity, alert, [quick, slow]))
    };
    [
        one("page", &slo.page, windows.page_quick, windows.page_slow),
        one("ticket", &slo.ticket, windows.ticket_quick, windows.ticket_slow),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn burn_alert(slo: &Slo, windows: &Windows, severity: &str, alert: &Alert, pairs: [Pair; 2]) -> Rule {
    let selector = selector(slo);
    let budget = go_g(slo.error_budget());
    let parts = pairs.map(|pair| {
        let factor = go_g(windows.factor(&pair));
        let above = |window| {
            format!("max({}{selector} > ({factor} * {budget})) without (sloth_window)", ratio_series(window))
        };
        format!("(\n    {}\n    and\n    {}\n)\n", above(pair.short), above(pair.long))
    });
    let of_slo = "{{$labels.sloth_service}} {{$labels.sloth_slo}} SLO error budget burn rate is";
    let mut annotations = BTreeMap::from([
        ("title".to_owned(), format!("({severity}) {of_slo} too fast.")),
        ("summary".to_owned(), format!("{of_slo} over expected.")),
    ]);
    annotations.extend(alert.annotations.clone());
    // The SLO's own labels come from the series.
    let mut labels = BTreeMap::from([("sloth_severity".to_owned(), severity.to_owned())]);
    labels.extend(alert.labels.clone());
    Rule { kind: RuleKind::Alert, name: alert.name.clone(), expr: parts.join("or\n"), labels, annotations }
}
