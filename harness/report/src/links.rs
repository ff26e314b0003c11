//! Links out of a report: dashboards at the time of the run.

use harness_event::{Event, Millis};

use crate::timeline::Timeline;

/// A link with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Text.
    pub title: String,
    /// Address.
    pub url: String,
}

/// A dashboard of Grafana.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dashboard {
    /// Its uid.
    pub uid: String,
    /// Its title.
    pub title: String,
}

/// What is shown beside the run, so that its edges can be seen.
const MARGIN: Millis = Millis::from_secs(30);

/// Links to dashboards of the Grafana at `base`, with the run's time range.
pub fn dashboard_links(base: &str, dashboards: &[Dashboard], events: &[Event]) -> Vec<Link> {
    let timeline = Timeline::of(events);
    let base = base.trim_end_matches('/');
    let (from, to) = ((timeline.from - MARGIN).0, (timeline.to + MARGIN).0);
    let link = |one: &Dashboard| Link {
        title: one.title.clone(),
        url: format!("{base}/d/{}?from={from}&to={to}", one.uid),
    };
    dashboards.iter().map(link).collect()
}
