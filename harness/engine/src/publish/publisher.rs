//! The run's side: tells the alert receiver how it goes.

use std::time::Duration;

use harness_event::{Event, EventKind, RunState, Verdict};
use kube::Client;
use tokio::{
    sync::{mpsc::UnboundedReceiver, oneshot},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{PATH, RunReport};
use crate::{
    Log,
    monitor::{Error, Upstream, Upstreams, chain},
};

/// Pause between two reports while something changes.
const PACE: Duration = Duration::from_millis(500);
/// Pause between two reports while nothing does: well below the receiver's [`super::runs::SILENCE`].
const HEARTBEAT: Duration = Duration::from_secs(4);
/// Longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Time limit of a request.
const REQUEST: Duration = Duration::from_secs(1);
/// Time that the end of a run waits for its last report.
const LAST: Duration = Duration::from_millis(1_500);

/// Tells the alert receiver how a run goes, for as long as this value lives.
#[derive(Debug)]
pub struct Publisher {
    finish: Option<oneshot::Sender<Verdict>>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Starts with the run that this log records, to the receiver at this address. Never fails: a receiver that is not there is
    /// tried again, one that does not know reports is left alone.
    pub fn start(log: &Log, client: &Client, receiver: &str) -> Self {
        // In this order: nothing between the two is lost, and what is in both is told by its number.
        let facts = log.listen(is_told);
        let before = log.events();
        let (finish, finished) = oneshot::channel();
        let (client, receiver) = (client.clone(), receiver.to_owned());
        let task = tokio::spawn(async move {
            if let Err(error) = publish(before, facts, finished, client, &receiver).await {
                tracing::debug!(error = %chain(&error), "the run is not shown to Prometheus any more");
            }
        });
        Self { finish: Some(finish), task }
    }

    /// Tells what the run proved, and ends. Waits for that for a moment at most.
    pub async fn finish(mut self, verdict: &Verdict) {
        if self.finish.take().is_some_and(|finish| finish.send(verdict.clone()).is_ok()) {
            // Over time or not: there is nobody who could do anything about it.
            let _ = timeout(LAST, &mut self.task).await;
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Pods and their logs are many, and Prometheus knows better ones.
fn is_told(kind: &EventKind) -> bool {
    !matches!(
        kind,
        EventKind::PodObserved(_)
            | EventKind::PodsMeasured { .. }
            | EventKind::ClusterEventSeen(_)
            | EventKind::PodLogRead(_)
            | EventKind::AlertRulesRead { .. }
    )
}

async fn publish(
    before: Vec<Event>,
    mut facts: UnboundedReceiver<Event>,
    mut finished: oneshot::Receiver<Verdict>,
    client: Client,
    receiver: &str,
) -> Result<(), Error> {
    let upstream = Upstreams::new(client)?.connect(receiver).await?;
    let mut state = RunState::default();
    let mut next = 0;
    let mut apply = |state: &mut RunState, event: &Event| {
        if event.seq >= next {
            next = event.seq + 1;
            state.apply(event);
        }
    };
    before.iter().filter(|event| is_told(&event.kind)).for_each(|event| apply(&mut state, event));
    drop(before);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told { upstream, at: None, failures: 0 };
    let mut changed = true;
    loop {
        tokio::select! {
            // What happened before the end is part of the last report.
            biased;
            Some(event) = facts.recv() => {
                apply(&mut state, &event);
                changed = true;
            }
            verdict = &mut finished => {
                let Ok(verdict) = verdict else { return Ok(()) };
                state.conclude(verdict);
                return told.tell(&RunReport::of(&state)).await;
            }
            _ = pace.tick() => {
                if told.is_due(changed) {
                    changed = false;
                    // What is waited for here waits in the channel, not in the run.
                    told.try_to_tell(&RunReport::of(&state)).await?;
                }
            }
        }
    }
}

/// What was told.
struct Told {
    upstream: Upstream,
    /// When it was last tried.
    at: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

impl Told {
    fn is_due(&self, changed: bool) -> bool {
        let pause = match self.failures {
            0 if changed => Duration::ZERO,
            0 => HEARTBEAT,
            failures => PACE.saturating_mul(1 << failures.min(5)).min(LONGEST_PAUSE),
        };
        self.at.is_none_or(|at| at.elapsed() >= pause)
    }

    /// Fails only if there is no point in trying again.
    async fn try_to_tell(&mut self, report: &RunReport) -> Result<(), Error> {
        self.at = Some(Instant::now());
        match self.tell(report).await {
            Ok(()) => self.failures = 0,
            // A receiver of an older version, or something else at this address.
            Err(error @ Error::Status { status: 400..500, .. }) => return Err(error),
            Err(error) => {
                if self.failures == 0 {
                    tracing::debug!(error = %chain(&error), "the run is not shown to Prometheus for now");
                }
                self.failures += 1;
            }
        }
        Ok(())
    }

    async fn tell(&self, report: &RunReport) -> Result<(), Error> {
        let url = format!("{}{PATH}/{}", self.upstream.base_url(), report.run);
        let request = self.upstream.http().post(url).json(report).timeout(REQUEST);
        self.upstream.exchange(PATH, request).await.map(drop)
    }
}
