//! The steady state: what holds while the system is well.

use std::time::Duration;

use futures::future::join_all;
use harness_event::{Comparison, EventKind, Millis, SteadyCheck, SteadyCheckKind, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::http::HttpClient;
use crate::{log::Log, monitor::Upstream};

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// Time limit of one PromQL check.
const QUERY_LIMIT: Duration = Duration::from_secs(3);

/// How long the steady state has been holding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SteadyState {
    /// Not asked yet.
    Unknown,
    /// Every check holds since then.
    HoldsSince(Timestamp),
    /// What does not hold.
    Broken(String),
}

/// Checks of a scenario and what they are asked through.
#[derive(Clone)]
pub struct Checks {
    checks: Vec<SteadyCheck>,
    http: HttpClient,
    prometheus: prometheus_http_query::Client,
}

impl Checks {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// If the address of Prometheus is not a URL.
    pub fn new(
        checks: &[SteadyCheck],
        http: HttpClient,
        prometheus: &Upstream,
    ) -> Result<Self, prometheus_http_query::Error> {
        let prometheus =
            prometheus_http_query::Client::from(prometheus.http().clone(), prometheus.base_url())?;
        Ok(Self { checks: checks.to_vec(), http, prometheus })
    }

    /// Asks each check once, all at the same time.
    pub async fn ask(&self) -> Vec<(String, Timestamp, Result<String, String>)> {
        let ask = |check: &SteadyCheck| {
            let (check, this) = (check.clone(), self.clone());
            async move {
                let asked_at = Timestamp::now();
                let result = match &check.kind {
                    SteadyCheckKind::Http { url, status, body_contains, timeout } => {
                        this.ask_http(url, *status, body_contains.as_deref(), *timeout).await
                    }
                    SteadyCheckKind::Promql { query, is } => this.ask_promql(query, *is).await,
                };
                (check.name, asked_at, result)
            }
        };
        join_all(self.checks.iter().map(ask)).await
    }

    async fn ask_http(
        &self,
        url: &str,
        wanted: u16,
        contains: Option<&str>,
        timeout: Millis,
    ) -> Result<String, String> {
        let (status, body) = self.http.get(url, timeout).await.result?;
        if status != wanted {
            return Err(format!("answered {status}, not {wanted}"));
        }
        match contains {
            Some(text) if !body.contains(text) => Err(format!("answered {status} without {text:?}")),
            _ => Ok(format!("answered {status}")),
        }
    }

    async fn ask_promql(&self, query: &str, is: Comparison) -> Result<String, String> {
        let ask = self.prometheus.query(query).get();
        let answer = match tokio::time::timeout(QUERY_LIMIT, ask).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(format!("the query failed: {}", crate::monitor::chain(&error))),
            Err(_) => return Err("the query got no answer in time".to_owned()),
        };
        let values: Vec<f64> = match answer.data() {
            prometheus_http_query::response::Data::Vector(series) => {
                series.iter().map(|series| series.sample().value()).collect()
            }
            prometheus_http_query::response::Data::Scalar(sample) => vec![sample.value()],
            prometheus_http_query::response::Data::Matrix(_) => {
                return Err("the query returns a range, not a value".to_owned());
            }
        };
        match values.iter().find(|value| !is.holds(**value)) {
            _ if values.is_empty() => Err("no data".to_owned()),
            Some(value) => Err(format!("{value} is not {is}")),
            None => Ok(format!("{} series {is}", values.len())),
        }
    }

    /// Asks again and again until told to stop. Each result is recorded and folded into `state`.
    pub async fn watch(
        self,
        log: Log,
        state: tokio::sync::watch::Sender<SteadyState>,
        stop: CancellationToken,
    ) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let results = tokio::select! {
                () = stop.cancelled() => return,
                results = async { ticks.tick().await; self.ask().await } => results,
            };
            let mut broken = None;
            for (check, asked_at, result) in results {
                let ok = result.is_ok();
                let detail = result.unwrap_or_else(|detail| detail);
                if !ok && broken.is_none() {
                    broken = Some(format!("{check}: {detail}"));
                }
                log.record(EventKind::SteadyStateChecked { check, asked_at, ok, detail });
            }
            state.send_modify(|state| match (broken, &*state) {
                (Some(broken), _) => *state = SteadyState::Broken(broken),
                (None, SteadyState::HoldsSince(_)) => {}
                (None, _) => *state = SteadyState::HoldsSince(Timestamp::now()),
            });
        }
    }
}
