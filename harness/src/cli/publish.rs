//! `--grafana`: marks a run in Grafana, and finds the dashboards to link to.

use std::{env, fs, path::PathBuf};

use clap::Args;
use harness_event::Event;
use harness_report::{Link, Timeline, dashboard_links};

use super::Context;
use crate::{
    expected_error::{ExpectedError, chain},
    grafana::annotations::{Annotated, Grafana, GrafanaError},
    stack::Progress,
};

/// Variable of the token: the command line and its history are no place for it.
const TOKEN: &str = "GRAFANA_TOKEN";

/// Where a run is to be seen.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Grafana (its token: $GRAFANA_TOKEN or --grafana-token-file)")]
pub struct PublishArgs {
    /// Mark phases, faults and loads as annotations in this Grafana, and link its dashboards in the reports
    #[arg(long, value_name = "URL", env = "GRAFANA_URL", hide_env_values = true)]
    pub grafana: Option<String>,
    /// File with the token of a service account that may write annotations
    #[arg(long, value_name = "FILE")]
    pub grafana_token_file: Option<PathBuf>,
}

impl PublishArgs {
    /// The Grafana that was named, if one was. Called before anything is touched.
    pub(super) fn grafana(&self) -> Result<Option<Grafana>, ExpectedError> {
        let Some(base) = self.grafana.as_deref().filter(|base| !base.is_empty()) else {
            return match &self.grafana_token_file {
                Some(_) => Err(ExpectedError::Usage {
                    message: "--grafana-token-file without --grafana".to_owned(),
                    hint: Some("name the Grafana with --grafana URL or $GRAFANA_URL".to_owned()),
                }),
                None => Ok(None),
            };
        };
        let token = match &self.grafana_token_file {
            Some(path) => {
                let read = fs::read_to_string(path);
                Some(read.map_err(|source| ExpectedError::File {
                    verb: "read",
                    path: path.clone(),
                    source,
                })?)
            }
            None => env::var(TOKEN).ok(),
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        // The URL is not repeated: it may hold a password.
        Grafana::new(base, token).map(Some).map_err(|error| ExpectedError::Usage {
            message: format!("--grafana: {}", chain(&error)),
            hint: Some(format!("give http(s)://HOST:PORT and put the token into ${TOKEN}")),
        })
    }
}

/// Marks the run, and gives the links for its reports. What goes wrong is a warning: a run's verdict does not depend on Grafana.
pub(super) async fn publish(grafana: Option<&Grafana>, events: &[Event], context: &Context) -> Vec<Link> {
    let Some(grafana) = grafana else { return Vec::new() };
    let warn = |error: &GrafanaError| {
        let text = format!("warning: {}; verdict and reports are not affected", chain(error));
        context.err.line(context.err.paint(crate::output::Style::Warn, text));
        if let Some(hint) = error.hint() {
            context.err.line(format_args!("  hint: {hint}"));
        }
    };
    let progress = context.progress();
    progress.now("marking the run in Grafana");
    let timeline = Timeline::of(events);
    let annotated = progress.alive(grafana.annotate(&timeline)).await;
    drop(progress);
    match annotated {
        Ok(Annotated { made, updated, kept }) => {
            tracing::info!(made, updated, kept, "the run is marked in Grafana");
        }
        Err(error) => {
            warn(&error);
            return Vec::new();
        }
    }
    match grafana.dashboards().await {
        Ok(dashboards) => dashboard_links(grafana.base(), &dashboards, events),
        Err(error) => {
            warn(&error);
            Vec::new()
        }
    }
}
