//! A run in Grafana: its phases, faults and loads as annotations, its dashboards to link to.
//!
//! The API: <https://grafana.com/docs/grafana/latest/developers/http_api/annotations/>. Everything of a run has the tag `run:ID`, so
//! that marking it twice makes nothing twice.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use harness_event::Timestamp;
use harness_report::{Dashboard, Timeline};
use reqwest::{Client, Method, StatusCode, Url, redirect::Policy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Tag of everything of ours, dashboards included.
const TAG: &str = "sre-harness";
/// Time limit for marking a run, and for finding dashboards.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest tag: Grafana cuts none, its database refuses more.
const LONGEST_TAG: usize = 100;
/// Most annotations that are looked for: a run has one for each phase, fault and load.
const MOST: usize = 1_000;

/// Why a run could not be marked.
#[derive(Debug, thiserror::Error)]
pub enum GrafanaError {
    /// It is no URL of a Grafana.
    #[error("{0}")]
    Address(&'static str),
    /// The client could not be made.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// Nothing answers, or not to the end.
    #[error("Grafana does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// It took too long.
    #[error("Grafana did not answer within {} s", .0.as_secs_f64())]
    Slow(Duration),
    /// It answered that it will not.
    #[error("Grafana refuses {what}: {status}{}", message(.text))]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Status code.
        status: StatusCode,
        /// Its own words, if any.
        text: String,
    },
    /// What answers is no Grafana.
    #[error("what answers is not Grafana's API ({what})")]
    Strange {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with the answer.
        #[source]
        source: serde_json::Error,
    },
}

impl GrafanaError {
    /// What the user can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { status, .. } => match *status {
                StatusCode::UNAUTHORIZED => Some("put the token of a service account into $GRAFANA_TOKEN"),
                StatusCode::FORBIDDEN => {
                    Some("the token's service account needs the right to write annotations (role Editor)")
                }
                StatusCode::NOT_FOUND => {
                    Some("is it the base URL of Grafana, with its path prefix if it has one?")
                }
                status if status.is_redirection() => {
                    Some("give the address that it redirects to, with its scheme")
                }
                _ => None,
            },
            Self::Unreachable(_) | Self::Slow(_) => {
                Some("`harness report RUN --grafana URL` marks the run later")
            }
            Self::Strange { .. } => {
                Some("is it the base URL of Grafana, with its path prefix if it has one?")
            }
            Self::Address(_) | Self::Client(_) => None,
        }
    }
}

fn message(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

/// What marking a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotated {
    /// Annotations that are new.
    pub made: usize,
    /// Those that were there with other times or texts.
    pub updated: usize,
    /// Those that were there.
    pub kept: usize,
}

/// An annotation as we want it. A region: it has a beginning and an end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    time: i64,
    time_end: i64,
    tags: Vec<String>,
    text: String,
}

/// An annotation as Grafana has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Present {
    id: i64,
    time: i64,
    #[serde(default)]
    time_end: i64,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    text: String,
}

impl Present {
    fn is_same_thing(&self, wanted: &Wanted) -> bool {
        let set = |tags: &[String]| tags.iter().cloned().collect::<BTreeSet<_>>();
        set(&self.tags) == set(&wanted.tags)
    }

    fn is_up_to_date(&self, wanted: &Wanted) -> bool {
        (self.time, self.time_end) == (wanted.time, wanted.time_end) && self.text == wanted.text
    }
}

/// What `/api/search` finds.
#[derive(Clone, Debug, Deserialize)]
struct Found {
    uid: String,
    title: String,
}

/// A Grafana.
pub struct Grafana {
    http: Client,
    base: String,
    token: Option<String>,
    limit: Duration,
}

impl std::fmt::Debug for Grafana {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the token.
        out.debug_struct("Grafana").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Grafana {
    /// The Grafana at this base URL; `token` is of a service account.
    ///
    /// # Errors
    /// If it is no URL that can be asked, or holds credentials, which would be in every link.
    pub fn new(base: &str, token: Option<String>) -> Result<Self, GrafanaError> {
        let url = Url::parse(base).map_err(|_| GrafanaError::Address("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(GrafanaError::Address("it must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(GrafanaError::Address("credentials do not belong into the URL"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(GrafanaError::Address("it must end with the host, the port or the path prefix"));
        }
        // A login page answers 200, and a token must not follow to where somebody points.
        let mut http = Client::builder().redirect(Policy::none()).connect_timeout(LIMIT);
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(GrafanaError::Client)?;
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { http, base, token, limit: LIMIT })
    }

    /// The same with another time limit.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Its base URL without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Marks phases, faults and loads. What is there already stays as it is, or is brought up to date.
    ///
    /// # Errors
    /// If Grafana cannot be asked or refuses. Some annotations may have been made then; the next time they are found.
    pub async fn annotate(&self, timeline: &Timeline) -> Result<Annotated, GrafanaError> {
        self.in_time(async {
            let mut present = self.present(&timeline.run).await?;
            let mut done = Annotated::default();
            for wanted in wanted(timeline) {
                let found = present.iter().position(|one| one.is_same_thing(&wanted));
                // Each stands for one only: a fault may happen twice in a game day.
                match found.map(|at| present.swap_remove(at)) {
                    Some(one) if one.is_up_to_date(&wanted) => done.kept += 1,
                    Some(one) => {
                        let path = format!("/api/annotations/{}", one.id);
                        self.send(Method::PUT, &path, "to change an annotation", Some(&wanted)).await?;
                        done.updated += 1;
                    }
                    None => {
                        self.send(Method::POST, "/api/annotations", "an annotation", Some(&wanted)).await?;
                        done.made += 1;
                    }
                }
            }
            Ok(done)
        })
        .await
    }

    /// Its dashboards of the harness, by title.
    ///
    /// # Errors
    /// If Grafana cannot be asked or refuses.
    pub async fn dashboards(&self) -> Result<Vec<Dashboard>, GrafanaError> {
        const WHAT: &str = "to list dashboards";
        self.in_time(async {
            let path = format!("/api/search?type=dash-db&limit=100&tag={TAG}");
            let answer = self.send(Method::GET, &path, WHAT, None::<&Wanted>).await?;
            let found: Vec<Found> = parse(WHAT, &answer)?;
            // They are shown on terminals, too.
            let plain = |text: String| text.chars().filter(|c| !c.is_control()).collect();
            let dashboard = |one: Found| Dashboard { uid: plain(one.uid), title: plain(one.title) };
            let mut all: Vec<_> = found.into_iter().map(dashboard).collect();
            all.sort_by(|one, two| one.title.cmp(&two.title));
            Ok(all)
        })
        .await
    }

    async fn present(&self, run: &str) -> Result<Vec<Present>, GrafanaError> {
        const WHAT: &str = "to list annotations";
        let run = percent_encoded(&tag("run", run));
        let path = format!("/api/annotations?limit={MOST}&matchAny=false&tags={TAG}&tags={run}");
        let answer = self.send(Method::GET, &path, WHAT, None::<&Wanted>).await?;
        parse(WHAT, &answer)
    }

    pub(super) async fn send<B: Serialize + Sync + ?Sized>(
        &self,
        method: Method,
        path: &str,
        what: &'static str,
        body: Option<&B>,
    ) -> Result<Vec<u8>, GrafanaError> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.header("accept", "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: reqwest::Error| GrafanaError::Unreachable(error.without_url());
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(failed)?.to_vec();
        if status.is_success() {
            return Ok(bytes);
        }
        Err(GrafanaError::Refused { what, status, text: own_words(&bytes) })
    }

    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, GrafanaError>>,
    ) -> Result<T, GrafanaError> {
        tokio::time::timeout(self.limit, work).await.unwrap_or(Err(GrafanaError::Slow(self.limit)))
    }
}

/// The annotations of a run.
fn wanted(timeline: &Timeline) -> Vec<Wanted> {
    let end = |to: Option<Timestamp>, from: Timestamp| to.unwrap_or(timeline.to).max(from).0;
    let region = |from: Timestamp, to: Option<Timestamp>, kind: &str, name: &str, text: String| Wanted {
        time: from.0,
        time_end: end(to, from),
        tags: vec![TAG.to_owned(), tag("run", &timeline.run), tag(kind, name)],
        text: escaped(&text),
    };
    let phases = timeline.phases.iter().map(|phase| {
        let name = phase.phase.to_string();
        region(phase.from, phase.to, "phase", &name, format!("{name}: {}", timeline.title))
    });
    let faults = timeline.faults.iter().filter_map(|fault| {
        let (from, to) = fault.span()?;
        let error = fault.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
        let text = format!("fault {}: {}{error}", fault.fault, fault.what);
        Some(region(from, to, "fault", &fault.fault, text))
    });
    // One in the background is there all the time and would only hide the others.
    let loads = timeline.loads.iter().filter(|load| !load.background).map(|load| {
        let error = load.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
        region(load.from, load.to, "load", &load.load, format!("load {}{error}", load.load))
    });
    phases.chain(faults).chain(loads).take(MOST).collect()
}

fn tag(key: &str, value: &str) -> String {
    format!("{key}:{value}").chars().take(LONGEST_TAG).collect()
}

/// Grafana shows texts as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// `message` of Grafana's error, cut: whatever answers may say much.
fn own_words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    let text = serde_json::from_slice::<Error>(body).map(|error| error.message).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

pub(super) fn parse<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, GrafanaError> {
    serde_json::from_slice(body).map_err(|source| GrafanaError::Strange { what, source })
}

/// For a query's value (RFC 3986, everything but unreserved characters).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests;
