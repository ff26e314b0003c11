//! Episodes of alerts: from Prometheus' own record where it was read, else from polling.

use std::collections::BTreeMap;

use crate::{AlertSeries, Event, EventKind, IntervalEnd, Labels, Millis, Notification, Timestamp};

/// Between the last sample of one state and the first of the next lies no more than this: an evaluation's own time.
const SAME_EVALUATION: Millis = Millis(1000);
/// A notification may seem to be so much earlier than the alert: the clocks' uncertainty.
const CLOCKS: Millis = Millis(2000);

/// One episode of one alert: from inactive to inactive. Times are our own clock's.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenAlert {
    /// All labels, with `alertname`.
    pub labels: Labels,
    /// When it became active: pending, or firing at once.
    pub began_at: Timestamp,
    /// When it fired.
    pub firing_at: Option<Timestamp>,
    /// When the first notification of that arrived, and at which receiver.
    pub delivered: Option<(Timestamp, String)>,
    /// When it was inactive again; absent if it was still active when last seen, or its samples just stop.
    pub ended_at: Option<Timestamp>,
    /// When the first notification that it is resolved arrived.
    pub told_resolved_at: Option<Timestamp>,
    /// What it most probably belongs to, as an index into [`super::Chronicle::deeds`]: the last fault that was on when it began, else
    /// the last load that was, else the last thing that was done before.
    pub after: Option<usize>,
}

impl SeenAlert {
    fn new(labels: &Labels, began_at: Timestamp) -> Self {
        Self {
            labels: labels.clone(),
            began_at,
            firing_at: None,
            delivered: None,
            ended_at: None,
            told_resolved_at: None,
            after: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("?", String::as_str)
    }
}

/// All episodes in the order of their beginnings, and whether they are exact.
pub(super) fn of(events: &[Event], offset: Millis) -> (bool, Vec<SeenAlert>) {
    let history = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::AlertHistoryRead { series, .. } => Some(series.as_slice()),
        _ => None,
    });
    let mut alerts = match history {
        Some(series) => recorded(series, offset),
        None => polled(events),
    };
    alerts.sort_by_key(|alert| alert.began_at);
    let notifications: Vec<&Notification> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::NotificationReceived(notification) => Some(notification),
            _ => None,
        })
        .collect();
    for at in 0..alerts.len() {
        let next = alerts[at + 1..].iter().find(|other| other.labels == alerts[at].labels);
        let until = next.map(|next| next.began_at);
        deliver(&mut alerts[at], until, &notifications);
    }
    (history.is_some(), alerts)
}

fn recorded(series: &[AlertSeries], offset: Millis) -> Vec<SeenAlert> {
    let mut runs = BTreeMap::<&Labels, Vec<(Timestamp, Timestamp, IntervalEnd, bool)>>::new();
    for one in series {
        let firing = one.state == "firing";
        let of_it = one.intervals.iter().map(|run| (run.from, run.last, run.end, firing));
        runs.entry(&one.labels).or_default().extend(of_it);
    }
    let mut alerts = Vec::new();
    for (labels, mut runs) in runs {
        runs.sort_by_key(|(from, ..)| *from);
        let mut open: Option<(SeenAlert, Timestamp)> = None;
        for (from, last, end, firing) in runs {
            let at = from - offset;
            let (mut alert, reached) = match open.take() {
                Some((alert, reached)) if from <= reached + SAME_EVALUATION => (alert, reached),
                other => {
                    alerts.extend(other.map(|(alert, _)| alert));
                    (SeenAlert::new(labels, at), from)
                }
            };
            if firing {
                alert.firing_at.get_or_insert(at);
            }
            let stale = match end {
                IntervalEnd::Stale(at) => Some(at),
                IntervalEnd::Open | IntervalEnd::Unknown => None,
            };
            alert.ended_at = stale.map(|at| at - offset);
            open = Some((alert, reached.max(stale.unwrap_or(last))));
        }
        alerts.extend(open.map(|(alert, _)| alert));
    }
    alerts
}

fn polled(events: &[Event]) -> Vec<SeenAlert> {
    let mut alerts = Vec::new();
    let mut open = BTreeMap::<&Labels, SeenAlert>::new();
    for event in events {
        let EventKind::AlertSeen { labels, state, .. } = &event.kind else { continue };
        if state == "inactive" {
            if let Some(mut alert) = open.remove(labels) {
                alert.ended_at = Some(event.at);
                alerts.push(alert);
            }
            continue;
        }
        let alert = open.entry(labels).or_insert_with(|| SeenAlert::new(labels, event.at));
        if state == "firing" {
            alert.firing_at.get_or_insert(event.at);
        }
    }
    alerts.extend(open.into_values());
    alerts
}

/// Looks for what Alertmanager sent about an episode that fired. External labels may have been added to its labels.
fn deliver(alert: &mut SeenAlert, until: Option<Timestamp>, notifications: &[&Notification]) {
    let Some(firing_at) = alert.firing_at else { return };
    let in_time = |at: Timestamp| at >= firing_at - CLOCKS && until.is_none_or(|until| at < until);
    let first = |status: &str, from: Timestamp| {
        notifications
            .iter()
            .filter(|one| in_time(one.received_at) && one.received_at >= from)
            .filter(|one| {
                one.alerts.iter().any(|sent| {
                    let same = |(name, value)| sent.labels.get(name) == Some(value);
                    sent.status == status && alert.labels.iter().all(same)
                })
            })
            .min_by_key(|one| one.received_at)
            .map(|one| (one.received_at, one.receiver.clone()))
    };
    let delivered = first("firing", Timestamp(i64::MIN));
    let told = delivered.as_ref().and_then(|(at, _)| first("resolved", *at));
    (alert.delivered, alert.told_resolved_at) = (delivered, told.map(|(at, _)| at));
}
