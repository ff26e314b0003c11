//! The dashboards and their data source, into a Grafana, by its HTTP API: <https://grafana.com/docs/grafana/latest/developers/http_api/>.
//!
//! Everything has a uid of its own and is overwritten by it, so that doing it again brings it up to date and nothing of anybody
//! else is touched.

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::annotations::{Grafana, GrafanaError, parse};

/// The folder of the dashboards, by uid and title.
pub const FOLDER: (&str, &str) = ("sre-harness", "SRE harness");
/// Their data source, by uid and name.
pub const DATA_SOURCE: (&str, &str) = ("sre-harness-prometheus", "SRE harness Prometheus");

/// The Prometheus that the dashboards ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSource {
    /// Base URL, as Grafana reaches it.
    pub url: String,
    /// How often it scrapes, as `1s`.
    pub scrape_interval: String,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// The data source is new; else it was brought up to date.
    pub made_data_source: bool,
    /// Dashboards, by title, with their path below the base URL.
    pub dashboards: Vec<(String, String)>,
}

/// Answer to a dashboard that was saved.
#[derive(Deserialize)]
struct Saved {
    url: String,
}

impl Grafana {
    /// Makes or updates data source, folder and dashboards.
    ///
    /// # Errors
    /// If Grafana cannot be asked or refuses. What was done before that stays; the next time goes on from there.
    pub async fn install(
        &self,
        dashboards: &[Value],
        source: &DataSource,
    ) -> Result<Installed, GrafanaError> {
        self.in_time(async {
            let mut done =
                Installed { made_data_source: self.data_source(source).await?, ..Installed::default() };
            self.folder().await?;
            for dashboard in dashboards {
                let saved = self.dashboard(dashboard).await?;
                let title = dashboard["title"].as_str().unwrap_or_default().to_owned();
                done.dashboards.push((title, saved.url));
            }
            Ok(done)
        })
        .await
    }

    /// True if it is new.
    async fn data_source(&self, source: &DataSource) -> Result<bool, GrafanaError> {
        let (uid, name) = DATA_SOURCE;
        let wanted = json!({
            "uid": uid, "name": name, "type": "prometheus", "access": "proxy", "url": source.url,
            "jsonData": { "httpMethod": "POST", "timeInterval": source.scrape_interval },
        });
        let path = format!("/api/datasources/uid/{uid}");
        let present = self.send(Method::GET, &path, "to show the data source", None::<&Value>).await;
        if present.map(drop).map_or_else(absent, |()| Ok(true))? {
            self.send(Method::PUT, &path, "to change the data source", Some(&wanted)).await?;
            return Ok(false);
        }
        self.send(Method::POST, "/api/datasources", "a data source", Some(&wanted)).await?;
        Ok(true)
    }

    async fn folder(&self) -> Result<(), GrafanaError> {
        let (uid, title) = FOLDER;
        let path = format!("/api/folders/{uid}");
        let present = self.send(Method::GET, &path, "to show the folder", None::<&Value>).await;
        if present.map(drop).map_or_else(absent, |()| Ok(true))? {
            return Ok(());
        }
        let wanted = json!({ "uid": uid, "title": title });
        match self.send(Method::POST, "/api/folders", "a folder", Some(&wanted)).await {
            // Somebody made it just now.
            Err(GrafanaError::Refused {
                status: StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED,
                ..
            }) => self.send(Method::GET, &path, "to show the folder", None::<&Value>).await.map(drop),
            other => other.map(drop),
        }
    }

    async fn dashboard(&self, dashboard: &Value) -> Result<Saved, GrafanaError> {
        const WHAT: &str = "a dashboard";
        let wanted = json!({
            "dashboard": with_source(dashboard), "folderUid": FOLDER.0, "overwrite": true,
            "message": "by sre-harness",
        });
        let answer = self.send(Method::POST, "/api/dashboards/db", WHAT, Some(&wanted)).await?;
        parse(WHAT, &answer)
    }
}

/// Not found is an answer: false.
fn absent(error: GrafanaError) -> Result<bool, GrafanaError> {
    match error {
        GrafanaError::Refused { status: StatusCode::NOT_FOUND, .. } => Ok(false),
        other => Err(other),
    }
}

/// The dashboard opened with our data source, wherever the default one of that Grafana points.
fn with_source(dashboard: &Value) -> Value {
    let mut dashboard = dashboard.clone();
    let variables = dashboard.pointer_mut("/templating/list").and_then(Value::as_array_mut);
    for variable in variables.into_iter().flatten().filter(|one| one["type"] == "datasource") {
        variable["current"] = json!({ "text": DATA_SOURCE.1, "value": DATA_SOURCE.0 });
    }
    dashboard
}

#[cfg(test)]
mod tests;
