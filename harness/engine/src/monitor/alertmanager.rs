//! The parts of the Alertmanager v2 API that verification needs.

use harness_event::{LabelMatcher, Labels, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Error, Upstream};

/// An Alertmanager.
#[derive(Clone, Debug)]
pub struct Alertmanager {
    upstream: Upstream,
}

/// `/api/v2/status`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertmanagerStatus {
    /// Version of the server.
    pub version: String,
    /// The loaded configuration as YAML, secrets masked.
    pub config: String,
    /// Start of the process.
    pub started_at: Option<Timestamp>,
}

/// An alert as Alertmanager has it. Those whose `endsAt` has passed are not listed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GettableAlert {
    /// All labels, external ones too.
    pub labels: Labels,
    /// Since when.
    pub starts_at: Timestamp,
    /// Until when, unless Prometheus sends it again.
    pub ends_at: Timestamp,
    /// Fingerprint of the labels.
    pub fingerprint: String,
    /// Is it held back?
    pub status: AlertStatus,
    /// Receivers that it is routed to.
    pub receivers: Vec<ReceiverName>,
}

/// Whether and why an alert is held back.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    /// `unprocessed`, `active` or `suppressed`.
    pub state: String,
    /// Ids of silences.
    #[serde(default)]
    pub silenced_by: Vec<String>,
    /// Fingerprints of inhibiting alerts.
    #[serde(default)]
    pub inhibited_by: Vec<String>,
    /// Time intervals that mute it (0.28 and newer; before that the API does not tell).
    #[serde(default)]
    pub muted_by: Vec<String>,
}

/// Name of a receiver in an answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ReceiverName {
    /// Name.
    pub name: String,
}

/// A group of alerts that are notified together.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AlertGroup {
    /// Labels that the group is made by.
    pub labels: Labels,
    /// Its receiver.
    pub receiver: ReceiverName,
    /// Its alerts.
    pub alerts: Vec<GettableAlert>,
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// Id.
    pub id: String,
    /// Who made it.
    #[serde(default)]
    pub created_by: String,
    /// Why.
    #[serde(default)]
    pub comment: String,
    /// State.
    pub status: SilenceStatus,
}

/// State of a silence.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SilenceStatus {
    /// `active`, `pending` or `expired`.
    pub state: String,
}

/// An alert to post.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableAlert {
    /// All labels.
    pub labels: Labels,
    /// Texts for people.
    pub annotations: Labels,
    /// Since when.
    pub starts_at: Timestamp,
    /// Until when; in the past to resolve it.
    pub ends_at: Timestamp,
}

/// An expected alert that Alertmanager holds back.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppressed {
    /// Its labels.
    pub labels: Labels,
    /// What holds it back, for people: `silence 1234 (maintenance, by ann)`, `inhibited by PostgresDown`.
    pub by: String,
}

impl Alertmanager {
    /// The server behind this upstream.
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream }
    }

    /// The way to the server.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// `/-/ready`.
    ///
    /// # Errors
    /// If it does not answer with success.
    pub async fn ready(&self) -> Result<(), Error> {
        self.upstream.get_text("/-/ready").await.map(drop)
    }

    /// Version and loaded configuration.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn status(&self) -> Result<AlertmanagerStatus, Error> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        #[derive(Deserialize)]
        struct Loaded {
            original: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Status {
            config: Loaded,
            version_info: Version,
            uptime: Option<Timestamp>,
        }
        let status: Status = self.upstream.get_json("/api/v2/status", &[]).await?;
        Ok(AlertmanagerStatus {
            version: status.version_info.version,
            config: status.config.original,
            // Called uptime, but it is the time of the start.
            started_at: status.uptime,
        })
    }

    /// All alerts that have not ended, suppressed ones too.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn alerts(&self) -> Result<Vec<GettableAlert>, Error> {
        self.upstream.get_json("/api/v2/alerts", &[]).await
    }

    /// All groups.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn groups(&self) -> Result<Vec<AlertGroup>, Error> {
        self.upstream.get_json("/api/v2/alerts/groups", &[]).await
    }

    /// All silences, expired ones too.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn silences(&self) -> Result<Vec<Silence>, Error> {
        self.upstream.get_json("/api/v2/silences", &[]).await
    }

    /// Posts alerts, as Prometheus does.
    ///
    /// # Errors
    /// If they are not accepted.
    pub async fn post_alerts(&self, alerts: &[PostableAlert]) -> Result<(), Error> {
        const PATH: &str = "/api/v2/alerts";
        let request = self.upstream.http().post(format!("{}{PATH}", self.upstream.base_url())).json(alerts);
        self.upstream.exchange(PATH, request).await.map(drop)
    }

    /// The server's own metrics in the text format.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn metrics(&self) -> Result<String, Error> {
        self.upstream.get_text("/metrics").await
    }

    /// The alerts that match one of these matcher sets and are held back, with what holds them back.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn suppressed(&self, expected: &[Vec<LabelMatcher>]) -> Result<Vec<Suppressed>, Error> {
        let alerts = self.alerts().await?;
        let held: Vec<&GettableAlert> = alerts
            .iter()
            .filter(|alert| alert.status.state == "suppressed" || !alert.status.muted_by.is_empty())
            .filter(|alert| expected.iter().any(|matchers| LabelMatcher::all(matchers, &alert.labels)))
            .collect();
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let silences = if held.iter().any(|alert| !alert.status.silenced_by.is_empty()) {
            self.silences().await?
        } else {
            Vec::new()
        };
        Ok(held
            .into_iter()
            .map(|alert| Suppressed {
                labels: alert.labels.clone(),
                by: suppressed_by(&alert.status, &alerts, &silences),
            })
            .collect())
    }
}

fn suppressed_by(status: &AlertStatus, alerts: &[GettableAlert], silences: &[Silence]) -> String {
    let silenced =
        status.silenced_by.iter().map(|id| match silences.iter().find(|silence| silence.id == *id) {
            Some(silence) => format!("silence {id} ({}, by {})", silence.comment, silence.created_by),
            None => format!("silence {id}"),
        });
    let inhibited = status.inhibited_by.iter().map(|fingerprint| {
        let source = alerts.iter().find(|alert| alert.fingerprint == *fingerprint);
        let name = source.and_then(|alert| alert.labels.get("alertname"));
        format!("inhibited by {}", name.unwrap_or(fingerprint))
    });
    let muted = status.muted_by.iter().map(|name| format!("muted by time interval {name}"));
    silenced.chain(inhibited).chain(muted).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_an_alert_back_is_named() {
        let alert = |name: &str, fingerprint: &str| GettableAlert {
            labels: Labels::from([("alertname".to_owned(), name.to_owned())]),
            starts_at: Timestamp(0),
            ends_at: Timestamp(0),
            fingerprint: fingerprint.to_owned(),
            status: AlertStatus {
                state: "active".into(),
                silenced_by: vec![],
                inhibited_by: vec![],
                muted_by: vec![],
            },
            receivers: vec![],
        };
        let silence = Silence {
            id: "s1".into(),
            created_by: "ann".into(),
            comment: "maintenance".into(),
            status: SilenceStatus { state: "active".into() },
        };
        let status = AlertStatus {
            state: "suppressed".into(),
            silenced_by: vec!["s1".into(), "s2".into()],
            inhibited_by: vec!["f1".into(), "f2".into()],
            muted_by: vec!["night".into()],
        };
        assert_eq!(
            suppressed_by(&status, &[alert("PostgresDown", "f1")], &[silence]),
            "silence s1 (maintenance, by ann), silence s2, inhibited by PostgresDown, inhibited by f2, muted by time interval night",
        );
    }
}
