//! Probes: users of the system, over the whole run.

use harness_event::{EventKind, HttpStep, ProbeSpec};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::http::{Answer, HttpClient};
use crate::log::Log;

/// Does a probe's setup. True if every step was answered as expected.
pub async fn set_up_probe(probe: &ProbeSpec, client: &HttpClient, log: &Log) -> bool {
    for step in &probe.setup {
        let answer = client.step(step, 0).await;
        if !is_healthy(step, &answer) {
            let detail = format!("step {:?}: {}", step.name, describe(&answer));
            log.record(EventKind::ProbeSetUp { probe: probe.name.clone(), ok: false, detail });
            return false;
        }
    }
    let detail = format!("{} steps", probe.setup.len());
    log.record(EventKind::ProbeSetUp { probe: probe.name.clone(), ok: true, detail });
    true
}

/// Repeats a probe's round until told to stop. A round that takes longer than the interval delays the next one.
pub async fn run_probe(probe: ProbeSpec, client: HttpClient, log: Log, stop: CancellationToken) {
    let mut ticks = interval(probe.every.to_duration());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u64.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for step in &probe.steps {
            let answer = tokio::select! {
                // A request that is still out when the run ends says nothing.
                () = stop.cancelled() => return,
                answer = client.step(step, round) => answer,
            };
            log.record(answered(&probe.name, step, round, answer));
        }
    }
}

fn is_healthy(step: &HttpStep, answer: &Answer) -> bool {
    answer.result.as_ref().is_ok_and(|(status, _)| *status == step.status)
}

fn describe(answer: &Answer) -> String {
    match &answer.result {
        Ok((status, body)) => format!("answered {status} {:?}", body.chars().take(120).collect::<String>()),
        Err(error) => error.clone(),
    }
}

fn answered(probe: &str, step: &HttpStep, round: u64, answer: Answer) -> EventKind {
    let healthy = is_healthy(step, &answer);
    let (status, body, error) = match answer.result {
        Ok((status, body)) => (Some(status), body, None),
        Err(error) => (None, String::new(), Some(error)),
    };
    EventKind::ProbeAnswered {
        probe: probe.to_owned(),
        step: step.name.clone(),
        round,
        sent_at: answer.sent_at,
        latency_us: u64::try_from(answer.latency.as_micros()).unwrap_or(u64::MAX),
        status,
        body,
        error,
        healthy,
    }
}
