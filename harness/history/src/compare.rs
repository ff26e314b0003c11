//! Two runs, or a run and those before it, side by side.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    measure::{Better, Measure, Unit, rank},
    noise::{FEWEST, Noise, median},
    query::Query,
    run::{Entry, Run},
};

/// What a difference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Beyond the noise, to the worse.
    Worse,
    /// Beyond the noise, to the better.
    Better,
    /// Beyond the noise; neither way is better.
    Changed,
    /// Only one side has it.
    Missing,
    /// Too few runs to tell noise from change.
    Unjudged,
    /// Noise.
    WithinNoise,
}

impl Word {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Unjudged => "too few runs",
            Self::WithinNoise => "within noise",
        }
    }
}

/// One measure on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What.
    pub name: String,
    /// Of what.
    pub subject: String,
    /// Unit of all values.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// The earlier value, or the median of the earlier runs.
    pub a: Option<f64>,
    /// The later value.
    pub b: Option<f64>,
    /// B less A.
    pub difference: Option<f64>,
    /// What is noise; none if there were too few runs.
    pub noise: Option<Noise>,
    /// How much of the difference may be noise.
    pub band: Option<f64>,
    /// What the difference means.
    pub word: Word,
    /// It is worse by more than noise and tolerance.
    pub regression: bool,
}

/// What the later run is compared with.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Earlier {
    /// One run.
    Run(Box<Run>),
    /// Several, of which those that passed count.
    Runs(Vec<Run>),
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// A.
    pub a: Earlier,
    /// B.
    pub b: Run,
    /// Passed runs that the noise was taken from.
    pub noise_from: Vec<String>,
    /// What limits the comparison. For people.
    pub warnings: Vec<String>,
    /// B did not pass, and what it is compared with did.
    pub outcome_regression: Option<String>,
    /// One per measure of either side.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Why B is a regression; empty if it is none.
    pub fn regressions(&self) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row.regression);
        let text = |row: &Row| {
            let by = row.difference.map_or_else(String::new, |by| crate::text::difference(row.unit, by));
            format!("{} is worse by {by}", id(&row.name, &row.subject))
        };
        self.outcome_regression.iter().cloned().chain(rows.map(text)).collect()
    }
}

fn id(name: &str, subject: &str) -> String {
    if subject.is_empty() { name.to_owned() } else { format!("{name}/{subject}") }
}

/// Runs cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("run {a} was made in {} and run {b} in {}: their times have nothing to do with each other", pace(*.a_factor), pace(*.b_factor))]
pub struct Incomparable {
    /// One run.
    pub a: String,
    /// Its compression.
    pub a_factor: Option<i64>,
    /// The other.
    pub b: String,
    /// Its compression.
    pub b_factor: Option<i64>,
}

fn pace(factor: Option<i64>) -> String {
    factor.map_or_else(|| "real time".to_owned(), |factor| format!("time compressed ×{factor}"))
}

/// Runs of which the noise for a run may be taken: of the same scenario, by its text or, with `any_version`, by its path; the
/// newest first. [`fits`] says which of them count.
pub fn population(of: &Run, any_version: bool, limit: u32) -> Query {
    let (sha256, scenarios) = match any_version {
        true => (None, Some(vec![of.scenario.clone()])),
        false => (Some(vec![of.sha256.clone()]), None),
    };
    Query {
        sha256,
        scenarios,
        modes: Some(vec![of.mode.clone()]),
        before: Some(of.clone()),
        limit: Some(limit),
        ..Query::default()
    }
}

/// Was a run made under the same conditions: same pace, same cluster?
pub fn fits(run: &Run, of: &Run) -> bool {
    run.compress == of.compress && run.context == of.context && run.mode == of.mode
}

/// Two runs. The noise is taken from others of their scenario.
///
/// # Errors
/// If their times are compressed differently.
pub fn pair(a: &Entry, b: &Entry, others: &[Entry], tolerance: f64) -> Result<Comparison, Incomparable> {
    if a.run.compress != b.run.compress {
        return Err(Incomparable {
            a: a.run.id.clone(),
            a_factor: a.run.compress,
            b: b.run.id.clone(),
            b_factor: b.run.compress,
        });
    }
    let own = |one: &&Entry| one.run.id != a.run.id && one.run.id != b.run.id;
    let passed: Vec<_> = others.iter().filter(own).filter(|one| one.run.outcome.passed()).collect();
    let rows = rows(&a.measures, &b.measures, |measure, resolution| {
        let noise = Noise::of(&values(&passed, measure), resolution);
        (measure.value, noise, noise.map(|noise| noise.pair))
    });
    Ok(Comparison {
        warnings: warnings(&a.run, &b.run),
        outcome_regression: outcome(&b.run, a.run.outcome.passed().then(|| format!("run {}", a.run.id))),
        noise_from: passed.iter().map(|one| one.run.id.clone()).collect(),
        rows: judged(rows, tolerance),
        a: Earlier::Run(Box::new(a.run.clone())),
        b: b.run.clone(),
    })
}

/// The newest run and those before it.
pub fn last(b: &Entry, before: &[Entry], tolerance: f64) -> Comparison {
    let passed: Vec<_> = before.iter().filter(|one| one.run.outcome.passed()).collect();
    let mut typical = BTreeMap::new();
    for one in passed.iter().flat_map(|one| &one.measures) {
        typical.entry((one.name.as_str(), one.subject.as_str())).or_insert(one);
    }
    // The median of all that have it stands for each measure.
    let medians: Vec<Measure> = typical
        .into_values()
        .map(|one| Measure { value: median(values(&passed, one)), ..one.clone() })
        .collect();
    let rows = rows(&medians, &b.measures, |measure, resolution| {
        let noise = Noise::of(&values(&passed, measure), resolution);
        (measure.value, noise, noise.map(|noise| noise.single))
    });
    let mut warnings: Vec<String> = Vec::new();
    for one in before {
        for warning in self::warnings(&one.run, &b.run) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    let left_out = before.len() - passed.len();
    if left_out > 0 {
        warnings
            .push(format!("{left_out} of the {} runs before did not pass and do not count", before.len()));
    }
    let reference = match passed.len() {
        0 => None,
        1 => Some(format!("run {}", passed[0].run.id)),
        some => Some(format!("{some} of the runs before")),
    };
    Comparison {
        outcome_regression: outcome(&b.run, reference),
        noise_from: passed.iter().map(|one| one.run.id.clone()).collect(),
        rows: judged(rows, tolerance),
        warnings,
        a: Earlier::Runs(before.iter().map(|one| one.run.clone()).collect()),
        b: b.run.clone(),
    }
}

fn values(entries: &[&Entry], measure: &Measure) -> Vec<f64> {
    let same = |other: &&Measure| other.name == measure.name && other.subject == measure.subject;
    entries.iter().filter_map(|one| one.measures.iter().find(same)).map(|one| one.value).collect()
}

struct Unjudged {
    row: Row,
    /// What a difference is held against.
    band: Option<f64>,
}

fn rows(
    a: &[Measure],
    b: &[Measure],
    noise: impl Fn(&Measure, f64) -> (f64, Option<Noise>, Option<f64>),
) -> Vec<Unjudged> {
    let same = |one: &Measure, other: &Measure| one.name == other.name && one.subject == other.subject;
    let mut all = Vec::new();
    for one in a {
        let other = b.iter().find(|other| same(one, other));
        // The coarser of both.
        let resolution = other.map_or(one.resolution, |other| other.resolution.max(one.resolution));
        let (value, noise, band) = noise(one, resolution);
        all.push(Unjudged { row: row(one, Some(value), other.map(|other| other.value), noise), band });
    }
    for other in b.iter().filter(|other| !a.iter().any(|one| same(one, other))) {
        all.push(Unjudged { row: row(other, None, Some(other.value), None), band: None });
    }
    // By what is measured, in a fixed order: that of a run's story.
    all.sort_by_cached_key(|one| {
        (rank(&one.row.name).unwrap_or(usize::MAX), one.row.name.clone(), one.row.subject.clone())
    });
    all
}

fn row(measure: &Measure, a: Option<f64>, b: Option<f64>, noise: Option<Noise>) -> Row {
    Row {
        name: measure.name.clone(),
        subject: measure.subject.clone(),
        unit: measure.unit,
        better: measure.better,
        difference: a.zip(b).map(|(a, b)| b - a),
        a,
        b,
        noise,
        band: None,
        word: Word::Missing,
        regression: false,
    }
}

fn judged(rows: Vec<Unjudged>, tolerance: f64) -> Vec<Row> {
    let judge = |Unjudged { mut row, band }| {
        let (Some(a), Some(difference)) = (row.a, row.difference) else { return row };
        let Some(band) = band else {
            row.word = Word::Unjudged;
            return row;
        };
        // How far it is beyond the noise, with its sign. The median of earlier runs stands for A where those are compared with.
        let beyond = (difference.abs() - band).max(0.0).copysign(difference);
        row.band = Some(band);
        row.word = match (beyond, row.better) {
            (0.0, _) => Word::WithinNoise,
            (_, Better::None) => Word::Changed,
            (more, Better::Lower) if more > 0.0 => Word::Worse,
            (less, Better::Higher) if less < 0.0 => Word::Worse,
            _ => Word::Better,
        };
        row.regression = row.word == Word::Worse && beyond.abs() > tolerance * a.abs();
        row
    };
    rows.into_iter().map(judge).collect()
}

fn outcome(b: &Run, passed: Option<String>) -> Option<String> {
    // A game day sets out to prove nothing.
    let passed = passed.filter(|_| !b.outcome.passed() && b.mode == "scenario")?;
    let ending = b.outcome.word().replace('_', " ");
    Some(format!("run {} ended as {ending}, and {passed} passed", b.id))
}

/// What makes two runs less alike than they should be.
fn warnings(a: &Run, b: &Run) -> Vec<String> {
    let mut all = Vec::new();
    if a.scenario != b.scenario {
        all.push(format!("the scenarios are different files: {} and {}", a.scenario, b.scenario));
    } else if a.sha256 != b.sha256 {
        all.push(format!("{} has changed between the runs", a.scenario));
    }
    if a.mode != b.mode {
        all.push("one of the runs is a game day".to_owned());
    }
    let unknown = "unknown";
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| unknown.to_owned());
    let (one, other) = (word(&a.context), word(&b.context));
    if one != other {
        all.push(format!("the runs were made in different clusters: {one} and {other}"));
    } else if one != "embedded" && a.server != b.server {
        let (one, other) = (word(&a.server), word(&b.server));
        all.push(format!("the runs were made in different clusters: {one} and {other}"));
    }
    for (what, one, other) in [
        ("Kubernetes", word(&a.kubernetes), word(&b.kubernetes)),
        ("Prometheus", word(&a.prometheus), word(&b.prometheus)),
        ("Alertmanager", word(&a.alertmanager), word(&b.alertmanager)),
        ("harness", a.harness.clone(), b.harness.clone()),
    ] {
        // A run that did not get to its target tells nothing of versions.
        if one != other && one != unknown && other != unknown {
            all.push(format!("{what} has another version: {one} and {other}"));
        }
    }
    all
}

/// Says that nothing can be called a regression, where that is so.
pub fn too_few(comparison: &Comparison) -> Option<String> {
    let runs = comparison.noise_from.len();
    (runs < FEWEST).then(|| {
        let there = match runs {
            0 => "there is none".to_owned(),
            1 => "there is 1".to_owned(),
            some => format!("there are {some}"),
        };
        format!(
            "no measure can be called a regression: noise takes {FEWEST} other passed runs of the same scenario \
             under the same conditions, and {there}"
        )
    })
}

#[cfg(test)]
mod tests;
