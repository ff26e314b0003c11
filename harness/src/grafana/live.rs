//! Asks a Prometheus everything that dashboards would ask it for: variables first, then every query of every panel.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use harness_engine::monitor::{Error, Prometheus, promql_duration};
use harness_event::{Labels, Millis, Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    check::{Asked, Dashboards, Place, Problem, time_variables},
    model::{Dashboard, Variable},
    queries, variables,
};

/// Queries that are asked at the same time.
const PARALLEL: usize = 4;
/// Points of a graph of usual width: Grafana asks for as many.
const POINTS: i64 = 1_000;
/// Points that the checks ask for: enough to see data that were there for a moment.
const ASKED_POINTS: i64 = 300;
/// Scrape interval that is assumed if there is no target to tell it: Grafana's own assumption.
const SCRAPE_INTERVAL: Millis = Millis(15_000);

/// What a Prometheus answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// Queries without answer, metrics that are not there.
    pub problems: Vec<Problem>,
    /// Queries without answer of panels that may be empty, with the reason.
    pub empty: Vec<Problem>,
    /// Every query with its answer.
    pub all: Vec<Answer>,
    /// Value of `$__rate_interval`.
    pub rate_interval: String,
}

/// The answer to one query.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The file.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// `refId`.
    pub query: Option<String>,
    /// What was asked.
    pub expr: String,
    /// Series with their last value.
    pub series: Vec<(Labels, f64)>,
}

/// The time that is looked at.
struct Window {
    from: Timestamp,
    to: Timestamp,
    step: Millis,
}

/// Asks everything. Queries look at the time from `since` ago to now, by the server's clock.
///
/// # Errors
/// If Prometheus does not answer, or not as it should. A query that it refuses is a problem of the dashboard.
pub async fn check(
    dashboards: &Dashboards,
    prometheus: &Prometheus,
    since: Millis,
) -> Result<Answers, Error> {
    let now = prometheus.query("time()", None).await?;
    let to = now.first().map_or_else(Timestamp::now, |now| Timestamp::from_seconds(now.value));
    let scrape = scrape_interval(prometheus).await?;
    let step = Millis((since.0 / ASKED_POINTS).max(scrape.0));
    let window = Window { from: to - since, to, step };
    let interval = Millis((since.0 / POINTS).max(scrape.0));
    // Grafana's rule: https://grafana.com/blog/new-in-grafana-7.2-__rate_interval-for-prometheus-rate-queries-that-just-work/
    let rate_interval = promql_duration(Millis((interval.0 + scrape.0).max(4 * scrape.0)));
    let time = time_variables(&rate_interval, since.0.unsigned_abs());

    let asker = Asker { prometheus, window, names: BTreeSet::new() };
    let asker = Asker { names: asker.names().await?, ..asker };
    let mut answers = Answers { rate_interval, ..Answers::default() };
    let mut values = BTreeMap::new();
    for (file, dashboard) in &dashboards.read {
        values.insert(file.as_str(), asker.variables(file, dashboard, time.clone(), &mut answers).await?);
    }
    let asked = dashboards.queries().map(|asked| {
        let expr = values.get(asked.file).map(|values| variables::expand(asked.expr, values).into_owned());
        let expr = expr.unwrap_or_else(|| asked.expr.to_owned());
        let asker = &asker;
        async move { asker.ask(asked, expr).await }
    });
    let found: Vec<Found> = stream::iter(asked.collect::<Vec<_>>()).buffered(PARALLEL).try_collect().await?;
    for one in found {
        answers.problems.extend(one.problems);
        answers.empty.extend(one.empty);
        answers.all.extend(one.answer);
    }
    Ok(answers)
}

/// What most targets are scraped at.
async fn scrape_interval(prometheus: &Prometheus) -> Result<Millis, Error> {
    let mut count: BTreeMap<i64, usize> = BTreeMap::new();
    for target in prometheus.targets().await? {
        *count.entry(target.scrape_interval.0).or_default() += 1;
    }
    let most = count.into_iter().max_by_key(|(_, targets)| *targets);
    Ok(most.map_or(SCRAPE_INTERVAL, |(interval, _)| Millis(interval)))
}

/// What one query brought.
#[derive(Default)]
struct Found {
    problems: Vec<Problem>,
    empty: Vec<Problem>,
    answer: Option<Answer>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryData {
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
    value: Option<(f64, String)>,
}

struct Asker<'a> {
    prometheus: &'a Prometheus,
    window: Window,
    names: BTreeSet<String>,
}

impl Asker<'_> {
    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        self.prometheus.upstream().get_json::<Envelope<T>>(path, query).await.map(|answer| answer.data)
    }

    fn times(&self) -> [String; 2] {
        [self.window.from, self.window.to].map(seconds)
    }

    /// Metrics that were there.
    async fn names(&self) -> Result<BTreeSet<String>, Error> {
        let [start, end] = self.times();
        self.get("/api/v1/label/__name__/values", &[("start", &start), ("end", &end)]).await
    }

    /// The values of a dashboard's variables, as they are when it is opened.
    async fn variables(
        &self,
        file: &str,
        dashboard: &Dashboard,
        time: BTreeMap<String, String>,
        answers: &mut Answers,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut values = time;
        // Grafana orders them by what they use; here their order in the file must be one.
        for variable in &dashboard.templating.list {
            let mut say = |text: String| {
                answers.problems.push(Problem::new(file, Place::Variable(variable.name.clone()), text));
            };
            let there = match variable.kind.as_str() {
                "query" => self.label_values(variable, &values, &mut say).await?,
                _ => None,
            };
            let all = variable.current.values().contains(&"$__all");
            let chosen: Vec<String> = match &there {
                Some(there) if there.is_empty() => {
                    say("it has no value".to_owned());
                    Vec::new()
                }
                Some(there) => {
                    let current: Vec<String> =
                        variable.current.values().into_iter().map(str::to_owned).collect();
                    for gone in current.iter().filter(|value| !all && !there.contains(*value)) {
                        say(format!(
                            "its current value {gone:?} is not there (there is: {})",
                            there.join(", ")
                        ));
                    }
                    if all { there.clone() } else { current }
                }
                None => variable.current.values().into_iter().map(str::to_owned).collect(),
            };
            let value = match (&variable.all_value, variable.is_pattern()) {
                (Some(pattern), _) if all => pattern.clone(),
                (_, true) => variables::as_pattern(&chosen),
                (_, false) => chosen.into_iter().next().unwrap_or_default(),
            };
            values.insert(variable.name.clone(), value);
        }
        Ok(values)
    }

    /// What `label_values(...)` gives; none if the query is of another form.
    async fn label_values(
        &self,
        variable: &Variable,
        values: &BTreeMap<String, String>,
        say: &mut impl FnMut(String),
    ) -> Result<Option<Vec<String>>, Error> {
        let query = variables::expand(variable.query_text(), values).into_owned();
        let inside = query.trim().strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let Some(inside) = inside else {
            say(format!("its query is not of the form label_values(SERIES, LABEL): {query}"));
            return Ok(None);
        };
        let (selector, label) = match inside.rsplit_once(',') {
            Some((selector, label)) => (Some(selector.trim()), label.trim()),
            None => (None, inside.trim()),
        };
        match selector.map(queries::parse) {
            Some(Ok(parsed)) => {
                for name in self.missing(&parsed.metrics) {
                    say(format!("the metric {name} does not exist"));
                }
            }
            Some(Err(error)) => {
                say(format!("its query is not understood: {error}"));
                return Ok(None);
            }
            None => {}
        }
        let [start, end] = self.times();
        let mut parameters = vec![("start", start.as_str()), ("end", end.as_str())];
        parameters.extend(selector.map(|selector| ("match[]", selector)));
        match self.get(&format!("/api/v1/label/{label}/values"), &parameters).await {
            Ok(values) => Ok(Some(values)),
            Err(error) => refused(error).map(|message| {
                say(format!("Prometheus refuses its query: {message}"));
                None
            }),
        }
    }

    fn missing<'n>(&self, names: &'n [String]) -> impl Iterator<Item = &'n String> {
        // Alerts that never were active have left no series; the rules say whether there are such alerts.
        let alerts = ["ALERTS", "ALERTS_FOR_STATE"];
        names.iter().filter(move |name| !self.names.contains(*name) && !alerts.contains(&name.as_str()))
    }

    async fn ask(&self, asked: Asked<'_>, expr: String) -> Result<Found, Error> {
        let mut found = Found::default();
        let mut say = |message: String| {
            let problem = Problem::of(&asked, message).with(&expr);
            match asked.may_be_empty {
                Some(reason) => {
                    let message = format!("{} (allowed: {reason})", problem.message);
                    found.empty.push(Problem { message, ..problem });
                }
                None => found.problems.push(problem),
            }
        };
        // The files were checked before: what is no PromQL has been said.
        let Ok(parsed) = queries::parse(&expr) else { return Ok(found) };
        for name in self.missing(&parsed.metrics) {
            say(format!("the metric {name} does not exist"));
        }
        let series = match self.series(&asked, &expr).await {
            Ok(series) => series,
            Err(error) => {
                let message = refused(error)?;
                found
                    .problems
                    .push(Problem::of(&asked, format!("Prometheus refuses it: {message}")).with(&expr));
                return Ok(found);
            }
        };
        let last = |one: &Series| {
            let mut values =
                one.values.iter().chain(&one.value).rev().filter_map(|(_, text)| text.parse().ok());
            // NaN is what a division by nothing gives: no point of a graph.
            values.find(|value: &f64| !value.is_nan())
        };
        let shown: Vec<(Labels, f64)> =
            series.iter().filter_map(|one| Some((one.metric.clone(), last(one)?))).collect();
        // That nothing happened is no news of an annotation.
        let quiet = matches!(asked.place, Place::Annotation(_));
        if shown.is_empty() && !quiet {
            say(if series.is_empty() { "it returns no data" } else { "it returns only NaN" }.to_owned());
        }
        found.answer = Some(Answer {
            file: asked.file.to_owned(),
            place: asked.place.clone(),
            query: asked.query.map(str::to_owned),
            expr,
            series: shown,
        });
        Ok(found)
    }

    async fn series(&self, asked: &Asked<'_>, expr: &str) -> Result<Vec<Series>, Error> {
        let [start, end] = self.times();
        let path = if asked.instant { "/api/v1/query" } else { "/api/v1/query_range" };
        let step = format!("{}", self.window.step.0 as f64 / 1000.0);
        let parameters: &[(&str, &str)] = if asked.instant {
            &[("query", expr), ("time", &end)]
        } else {
            &[("query", expr), ("start", &start), ("end", &end), ("step", &step)]
        };
        let data: QueryData = self.get(path, parameters).await?;
        let result = match data.result_type.as_str() {
            "scalar" => serde_json::json!([{ "metric": {}, "value": data.result }]),
            _ => data.result,
        };
        serde_json::from_value(result).map_err(|error| Error::Decode {
            upstream: self.prometheus.upstream().spec().to_owned(),
            path: path.to_owned(),
            source: error.into(),
        })
    }
}

/// What Prometheus says about a query that it does not take; other errors are not about the query.
fn refused(error: Error) -> Result<String, Error> {
    match error {
        Error::Status { status: 400 | 422, message, .. } => Ok(message),
        other => Err(other),
    }
}

fn seconds(at: Timestamp) -> String {
    format!("{}.{:03}", at.0.div_euclid(1000), at.0.rem_euclid(1000))
}

#[cfg(test)]
mod tests;
