//! Evidence: what the sources themselves recorded, read after the fact.

use futures::future::join_all;
use harness_event::{
    AlertState, Event, EventKind, Expectation, ExpectationKind, LabelMatcher, LoadExpectation, LoadPhase,
    Millis, Plan, PromqlExpectation, PromqlMode, SloSample, Timestamp, Window,
};

use super::{session::Session, stimulus};
use crate::{
    monitor::{alert_history, chain, inputs, monitoring_health, rules},
    observe::slo::{Slo, measure_slo},
};

/// Looked at before the run began, so that an alert that was active already is seen as such.
const LOOK_BACK: Millis = Millis::from_secs(30);
/// Step of PromQL conditions: Prometheus' usual finest interval.
const STEP: Millis = Millis::from_secs(1);
/// A load's requests after the end must be enough to say something about them: so long at least,
pub(super) const LOAD_AFTER: Millis = Millis::from_secs(5);
/// and so long if a quantile needs more of them.
pub(super) const LOAD_AFTER_LIMIT: Millis = Millis::from_secs(30);
/// Measurements of the clock's offset; the best counts.
const CLOCK_ROUNDS: u32 = 3;

/// Reads everything that a verdict needs beside the facts recorded so far.
pub(super) async fn read(session: &Session, events: &[Event]) -> Vec<EventKind> {
    let mut facts = Vec::new();
    // Once more: a clock that was set since the beginning makes every comparison of times meaningless.
    if let Ok(clock) = crate::monitor::clock_offset(&session.prometheus, CLOCK_ROUNDS).await {
        facts.push(EventKind::ClockMeasured { offset: clock.offset, bound: clock.bound });
    }
    let history = read_history(session, events).await;
    facts.extend(check_inputs(session, events, &history).await);
    facts.push(history);
    facts.extend(read_suppressed(session).await);
    facts.extend(read_promql(session, events).await);
    facts.extend(read_slos(session, events).await);
    // Last, so that it vouches for all that was read.
    facts.push(observe_monitoring(session).await);
    facts
}

/// The monitoring system's own state, now.
pub(super) async fn observe_monitoring(session: &Session) -> EventKind {
    let health = monitoring_health(&session.prometheus, &session.alertmanager).await;
    EventKind::MonitoringObserved {
        prometheus: health.prometheus,
        alertmanager: health.alertmanager,
        errors: health.errors,
    }
}

async fn read_history(session: &Session, events: &[Event]) -> EventKind {
    let offset = clock_offset(events);
    let (from, to) = (session.started_at - LOOK_BACK + offset, Timestamp::now() + offset);
    let read = async {
        let groups = session.prometheus.rules().await?;
        let interval = |alert: &str| rules::evaluation_interval(&groups, alert);
        alert_history(&session.prometheus, from, to, interval).await
    };
    match read.await {
        Ok(history) => {
            EventKind::AlertHistoryRead { from, to, series: history.series, sha256: history.sha256 }
        }
        Err(error) => EventKind::AlertHistoryMissing { error: chain(&error) },
    }
}

/// How far Prometheus' clock is ahead of ours. Its samples are asked for by its own clock.
pub(super) fn clock_offset(events: &[Event]) -> Millis {
    let measured = events.iter().rev().find_map(|event| match event.kind {
        EventKind::ClockMeasured { offset, .. } => Some(offset),
        _ => None,
    });
    measured.unwrap_or_default()
}

/// For each alert that must resolve: is the data of its expression there at the time at which it resolved?
async fn check_inputs(session: &Session, events: &[Event], history: &EventKind) -> Vec<EventKind> {
    let EventKind::AlertHistoryRead { series, .. } = history else { return Vec::new() };
    let Some(baseline) = baseline_at(events).map(|at| at + clock_offset(events)) else { return Vec::new() };
    let Ok(groups) = session.prometheus.rules().await else { return Vec::new() };
    let mut checked = Vec::new();
    for alert in resolving(&session.plan) {
        let matching = series.iter().filter(|series| {
            series.state == "firing" && LabelMatcher::all(&alert.matchers(), &series.labels)
        });
        let ends = matching.flat_map(|series| &series.intervals).filter_map(|run| match run.end {
            harness_event::IntervalEnd::Stale(at) => Some(at),
            _ => None,
        });
        let Some(resolved_at) = ends.max() else { continue };
        let exprs = rules::alerting(&groups)
            .filter(|(_, rule)| rule.name == alert.alert)
            .map(|(_, rule)| rule.query.clone());
        let results = join_all(exprs.map(|expr| async move {
            inputs::check_inputs(&session.prometheus, &expr, baseline, resolved_at).await
        }))
        .await;
        let present = !results.is_empty()
            && results.iter().all(|result| result.as_ref().is_ok_and(|inputs| inputs.present));
        let texts = results
            .into_iter()
            .map(|result| result.map_or_else(|error| chain(&error), |inputs| inputs.detail));
        let detail = texts.collect::<Vec<_>>().join("; ");
        checked.push(EventKind::AlertInputsChecked {
            alert: alert.alert.clone(),
            resolved_at,
            present,
            detail,
        });
    }
    checked
}

fn resolving(plan: &Plan) -> impl Iterator<Item = &harness_event::AlertExpectation> {
    plan.expectations.iter().filter_map(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) if alert.state == AlertState::Resolved => Some(alert),
        _ => None,
    })
}

/// When the baseline was taken.
fn baseline_at(events: &[Event]) -> Option<Timestamp> {
    events.iter().find(|event| matches!(event.kind, EventKind::BaselineTaken { .. })).map(|event| event.at)
}

async fn read_suppressed(session: &Session) -> Vec<EventKind> {
    let expected: Vec<_> = session
        .plan
        .expectations
        .iter()
        .filter_map(|expectation| match &expectation.kind {
            ExpectationKind::Alert(alert) => Some(alert.matchers()),
            _ => None,
        })
        .collect();
    match session.alertmanager.suppressed(&expected).await {
        Ok(suppressed) => suppressed
            .into_iter()
            .map(|held| EventKind::AlertSuppressed { labels: held.labels, by: held.by })
            .collect(),
        // Only explains a missing delivery; Alertmanager's own state is judged elsewhere.
        Err(_) => Vec::new(),
    }
}

async fn read_promql(session: &Session, events: &[Event]) -> Vec<EventKind> {
    let reads = session.plan.expectations.iter().filter_map(|expectation| match &expectation.kind {
        ExpectationKind::Promql(promql) => Some(read_condition(session, events, expectation, promql)),
        _ => None,
    });
    join_all(reads).await.into_iter().flatten().collect()
}

async fn read_condition(
    session: &Session,
    events: &[Event],
    expectation: &Expectation,
    promql: &PromqlExpectation,
) -> Option<EventKind> {
    let start = window_start(events, &expectation.fault, promql.window)?;
    // A step more at the start; the judge cuts exactly.
    let offset = clock_offset(events);
    let (start, end) = (start - STEP + offset, Timestamp::now() + offset);
    let read = session.prometheus.query_range(&promql.query, start, end, STEP).await;
    let (samples, error) = match read {
        Ok(samples) => (samples, None),
        Err(error) => (Vec::new(), Some(chain(&error))),
    };
    Some(EventKind::PromqlRead { expectation: expectation.id.clone(), samples, error })
}

/// What the run cost of each error budget, from the call of the first fault or the start of the first timed load until now.
async fn read_slos(session: &Session, events: &[Event]) -> Vec<EventKind> {
    let faults = session.plan.faults.iter().map(|fault| fault.name.as_str());
    let stimuli = faults.chain(session.plan.timed_loads().map(|load| load.name.as_str()));
    let Some(begun) = stimuli.filter_map(|name| stimulus::began_at(events, name)).min() else {
        return Vec::new();
    };
    let offset = clock_offset(events);
    let (from, to) = (begun + offset, Timestamp::now() + offset);
    let seen = |slo: &Slo| -> Vec<SloSample> {
        let samples = events.iter().filter_map(|event| match &event.kind {
            EventKind::SloSampled(sample) if sample.slo == slo.definition.slo => Some(sample.clone()),
            _ => None,
        });
        samples.collect()
    };
    let measured = session.slos.iter().map(|slo| async move {
        EventKind::SloMeasured(measure_slo(&session.prometheus, slo, from, to, &seen(slo)).await)
    });
    join_all(measured).await
}

fn window_start(events: &[Event], name: &str, window: Window) -> Option<Timestamp> {
    match window {
        Window::During => stimulus::effect_at(events, name),
        Window::After => stimulus::ended_at(events, name),
    }
}

/// How long after the revert's effect the run must go on for this expectation, whatever has been seen.
pub(super) fn needs_after_heal(expectation: &Expectation) -> Millis {
    match &expectation.kind {
        // The whole window must be there; nothing can be decided earlier.
        ExpectationKind::Promql(PromqlExpectation { window: Window::After, mode, .. }) => match mode {
            PromqlMode::Stays(length) => *length,
            PromqlMode::Until(limit) => *limit + STEP + STEP,
            PromqlMode::Within(_) => Millis(0),
        },
        ExpectationKind::Load(LoadExpectation { phase: LoadPhase::After, .. }) => LOAD_AFTER,
        _ => Millis(0),
    }
}
