//! The parts of the Prometheus HTTP API that verification needs.
//!
//! Read with plain requests and small types of our own: the client crates take whole seconds only and leave out what decides
//! whether an answer can be trusted (a rule's `lastError`, its `state`, the exact error text).

use std::{collections::BTreeMap, sync::Arc};

use harness_event::{BaselineAlert, Labels, Millis, Sample, Timestamp};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use tokio::sync::OnceCell;

use super::{
    Error, Upstream,
    duration::parse_duration,
    rules::{ActiveAlert, RuleGroup, seconds, time_or_zero},
};

/// Steps asked for in one range query; the server refuses more than 11,000.
const RANGE_STEPS: i64 = 10_000;

/// A Prometheus server.
#[derive(Clone, Debug)]
pub struct Prometheus {
    upstream: Upstream,
    external_labels: Arc<OnceCell<Labels>>,
}

/// An active target.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Labels after relabelling.
    pub labels: Labels,
    /// Job that it belongs to.
    pub scrape_pool: String,
    /// Address.
    pub scrape_url: String,
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// Why the last scrape failed.
    #[serde(default)]
    pub last_error: String,
    /// Start of the last scrape; none if there was none yet.
    #[serde(default, deserialize_with = "time_or_zero")]
    pub last_scrape: Option<Timestamp>,
    /// Duration of the last scrape.
    #[serde(default, deserialize_with = "seconds")]
    pub last_scrape_duration: Millis,
    /// Scrape interval S.
    #[serde(deserialize_with = "duration")]
    pub scrape_interval: Millis,
    /// Scrape time limit.
    #[serde(deserialize_with = "duration")]
    pub scrape_timeout: Millis,
}

impl Target {
    /// `job/instance`, for people.
    pub fn name(&self) -> String {
        let label = |name: &str| self.labels.get(name).map_or("?", String::as_str);
        format!("{}/{}", label("job"), label("instance"))
    }
}

/// One series of an instant query; a scalar has no labels.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSample {
    /// Labels.
    pub labels: Labels,
    /// Value.
    pub value: f64,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum QueryData {
    Vector(Vec<VectorSeries>),
    Matrix(Vec<MatrixSeries>),
    Scalar(Point),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct VectorSeries {
    metric: Labels,
    value: Point,
}

#[derive(Deserialize)]
struct MatrixSeries {
    values: Vec<Point>,
}

/// What is needed of the loaded configuration.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    global: GlobalConfig,
    scrape_configs: Vec<ScrapeConfig>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GlobalConfig {
    external_labels: Labels,
}

#[derive(Deserialize)]
struct ScrapeConfig {
    job_name: String,
}

/// `[seconds, "value"]`.
#[derive(Deserialize)]
struct Point(f64, String);

impl Point {
    fn value(&self) -> Result<f64, String> {
        // Rust reads NaN, +Inf and -Inf as Prometheus writes them.
        self.1.parse().map_err(|_| format!("{:?} is not a sample value", self.1))
    }
}

impl Prometheus {
    /// The server behind this upstream.
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream, external_labels: Arc::default() }
    }

    /// The way to the server.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        self.upstream.get_json::<Envelope<T>>(path, query).await.map(|answer| answer.data)
    }

    /// Version of the server.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn version(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Build {
            version: String,
        }
        self.get("/api/v1/status/buildinfo", &[]).await.map(|build: Build| build.version)
    }

    /// `/-/ready`.
    ///
    /// # Errors
    /// If it does not answer with success.
    pub async fn ready(&self) -> Result<(), Error> {
        self.upstream.get_text("/-/ready").await.map(drop)
    }

    /// All rule groups.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn rules(&self) -> Result<Vec<RuleGroup>, Error> {
        #[derive(Deserialize)]
        struct Groups {
            groups: Vec<RuleGroup>,
        }
        self.get("/api/v1/rules", &[]).await.map(|answer: Groups| answer.groups)
    }

    /// Pending and firing alerts, with external labels: so they have the same labels as in remote read and in Alertmanager.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn alerts(&self) -> Result<Vec<ActiveAlert>, Error> {
        #[derive(Deserialize)]
        struct Alerts {
            alerts: Vec<ActiveAlert>,
        }
        let external = self.external_labels.get_or_try_init(|| self.external_labels()).await?;
        let Alerts { mut alerts } = self.get("/api/v1/alerts", &[]).await?;
        for alert in &mut alerts {
            for (name, value) in external {
                // An alert's own labels win.
                alert.labels.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        Ok(alerts)
    }

    /// Pending and firing alerts as a fact of the baseline.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn baseline(&self) -> Result<Vec<BaselineAlert>, Error> {
        let alerts = self.alerts().await?;
        Ok(alerts
            .into_iter()
            .map(|alert| BaselineAlert { labels: alert.labels, state: alert.state })
            .collect())
    }

    /// Active targets.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn targets(&self) -> Result<Vec<Target>, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Targets {
            active_targets: Vec<Target>,
        }
        self.get("/api/v1/targets", &[("state", "active")]).await.map(|answer: Targets| answer.active_targets)
    }

    /// URLs of the Alertmanagers that the server sends to.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn alertmanagers(&self) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Discovered {
            url: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Alertmanagers {
            active_alertmanagers: Vec<Discovered>,
        }
        let answer: Alertmanagers = self.get("/api/v1/alertmanagers", &[]).await?;
        Ok(answer.active_alertmanagers.into_iter().map(|one| one.url).collect())
    }

    /// Command-line flags with their values, defaults included.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn flags(&self) -> Result<BTreeMap<String, String>, Error> {
        self.get("/api/v1/status/flags", &[]).await
    }

    /// `global.external_labels` of the loaded configuration: Prometheus adds them to what it sends to Alertmanager and to
    /// remote-read answers, but not to `/api/v1/alerts`.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn external_labels(&self) -> Result<Labels, Error> {
        self.config().await.map(|config| config.global.external_labels)
    }

    /// Names of the configured scrape jobs, with or without targets.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn scrape_jobs(&self) -> Result<Vec<String>, Error> {
        Ok(self.config().await?.scrape_configs.into_iter().map(|job| job.job_name).collect())
    }

    async fn config(&self) -> Result<Config, Error> {
        #[derive(Deserialize)]
        struct Loaded {
            yaml: String,
        }
        const PATH: &str = "/api/v1/status/config";
        let loaded: Loaded = self.get(PATH, &[]).await?;
        serde_saphyr::from_str(&loaded.yaml)
            .map_err(|error| self.upstream.unreadable(PATH, error.to_string()))
    }

    /// The server's own metrics in the text format.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn metrics(&self) -> Result<String, Error> {
        self.upstream.get_text("/metrics").await
    }

    /// Instant query at a time in milliseconds, or now by the server's clock.
    ///
    /// # Errors
    /// If there is no usable answer, or the result is not a vector or scalar.
    pub async fn query(&self, expr: &str, at: Option<Timestamp>) -> Result<Vec<InstantSample>, Error> {
        const PATH: &str = "/api/v1/query";
        let time = at.map(seconds_text);
        let mut parameters = vec![("query", expr)];
        parameters.extend(time.as_deref().map(|time| ("time", time)));
        let unreadable = |why: String| self.upstream.unreadable(PATH, why);
        match self.get(PATH, &parameters).await? {
            QueryData::Vector(series) => series
                .into_iter()
                .map(|one| {
                    Ok(InstantSample { value: one.value.value().map_err(unreadable)?, labels: one.metric })
                })
                .collect(),
            QueryData::Scalar(point) => {
                Ok(vec![InstantSample { labels: Labels::new(), value: point.value().map_err(unreadable)? }])
            }
            QueryData::Matrix(_) | QueryData::String(_) => {
                Err(unreadable(format!("{expr:?} is neither an instant vector nor a scalar")))
            }
        }
    }

    /// Values at `start`, `start + step`, … up to `end`, to the millisecond, one entry per evaluation, also for those that
    /// returned nothing.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn query_range(
        &self,
        expr: &str,
        start: Timestamp,
        end: Timestamp,
        step: Millis,
    ) -> Result<Vec<Sample>, Error> {
        const PATH: &str = "/api/v1/query_range";
        let step = Millis(step.0.max(1));
        let mut samples: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        let mut from = start;
        while from <= end {
            let to = Timestamp(end.0.min(from.0 + (RANGE_STEPS - 1) * step.0));
            samples.extend((from.0..=to.0).step_by(step.0 as usize).map(|at| (at, Vec::new())));
            let texts = [from, to, Timestamp(step.0)].map(seconds_text);
            let parameters = [("query", expr), ("start", &texts[0]), ("end", &texts[1]), ("step", &texts[2])];
            let unreadable = |why: String| self.upstream.unreadable(PATH, why);
            let QueryData::Matrix(series) = self.get(PATH, &parameters).await? else {
                return Err(unreadable("a range query returned no matrix".to_owned()));
            };
            for point in series.iter().flat_map(|one| &one.values) {
                let at = Timestamp::from_seconds(point.0);
                let values = samples
                    .get_mut(&at.0)
                    .ok_or_else(|| unreadable(format!("a sample at {at} was not asked for")))?;
                values.push(point.value().map_err(unreadable)?);
            }
            from = Timestamp(from.0 + RANGE_STEPS * step.0);
        }
        Ok(samples.into_iter().map(|(at, values)| Sample { at: Timestamp(at), values }).collect())
    }
}

/// Seconds with the millisecond exact, as the API parses it.
fn seconds_text(at: Timestamp) -> String {
    format!("{}.{:03}", at.0.div_euclid(1000), at.0.rem_euclid(1000))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| serde::de::Error::custom(format!("not a duration: {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_read_as_prometheus_writes_them() {
        let yaml = "global:\n  scrape_interval: 1s\n  external_labels:\n    cluster: a\n    replica: 1\n    on: yes\n\
                    scrape_configs:\n- job_name: a\n  authorization: {credentials: <secret>}\n  relabel_configs:\n  \
                    - {source_labels: [__address__], replacement: '$1:$2', regex: (.+)}\n- job_name: '1'\n";
        let config: Config = serde_saphyr::from_str(yaml).unwrap();
        let labels: Vec<_> = config.global.external_labels.values().map(String::as_str).collect();
        assert_eq!(labels, ["a", "yes", "1"]);
        assert_eq!(
            config.scrape_configs.iter().map(|job| job.job_name.as_str()).collect::<Vec<_>>(),
            ["a", "1"]
        );
        let empty: Config = serde_saphyr::from_str("global: {}\n").unwrap();
        assert!(empty.scrape_configs.is_empty());
    }

    #[test]
    fn answers_are_read_as_prometheus_writes_them() {
        let read = |json: &str| serde_json::from_str::<Envelope<QueryData>>(json).map(|answer| answer.data);
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"+Inf"]},{"metric":{},"value":[1,"NaN"]}]}}"#;
        let Ok(QueryData::Vector(series)) = read(vector) else { panic!("a vector") };
        assert_eq!(series[0].value.value(), Ok(f64::INFINITY));
        assert!(series[1].value.value().unwrap().is_nan());
        let scalar =
            r#"{"status":"success","data":{"resultType":"scalar","result":[1795262400.123,"-1e3"]}}"#;
        assert!(matches!(read(scalar), Ok(QueryData::Scalar(point)) if point.value() == Ok(-1000.0)));
        assert!(read(r#"{"status":"success","data":{"resultType":"other","result":[]}}"#).is_err());
        assert_eq!(seconds_text(Timestamp(1_795_262_400_007)), "1795262400.007");
    }
}
