//! What every phase works with.

use harness_event::{Plan, Timestamp};
use tokio_util::sync::CancellationToken;

use super::control::ActiveFaults;
use crate::{
    Target,
    log::Log,
    monitor::{Alertmanager, Error, Prometheus, ReceiverClient, Upstreams},
    observe::{HttpClient, slo::Slo},
};

/// One run, connected.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) run: String,
    pub(super) plan: Plan,
    pub(super) log: Log,
    pub(super) target: Target,
    pub(super) prometheus: Prometheus,
    pub(super) alertmanager: Alertmanager,
    pub(super) receiver: ReceiverClient,
    pub(super) http: HttpClient,
    /// Cancelled by a signal: the run goes to its rollback at once.
    pub(super) cancel: CancellationToken,
    /// Cancelled at the end: observers stop.
    pub(super) stop: CancellationToken,
    pub(super) started_at: Timestamp,
    /// The SLOs that are watched, once they are known.
    pub(super) slos: Vec<Slo>,
    /// The faults that people may end before their time.
    pub(super) faults: ActiveFaults,
}

impl Session {
    pub(super) async fn connect(
        run: &str,
        plan: &Plan,
        target: &Target,
        log: &Log,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let upstreams = Upstreams::new(target.client.clone())?;
        Ok(Self {
            run: run.to_owned(),
            plan: plan.clone(),
            log: log.clone(),
            target: target.clone(),
            prometheus: Prometheus::new(upstreams.connect(&plan.monitoring.prometheus).await?),
            alertmanager: Alertmanager::new(upstreams.connect(&plan.monitoring.alertmanager).await?),
            receiver: ReceiverClient::new(upstreams.connect(&plan.monitoring.receiver).await?),
            http: HttpClient::new(upstreams, run),
            cancel: cancel.clone(),
            stop: CancellationToken::new(),
            started_at: Timestamp::now(),
            slos: Vec::new(),
            faults: ActiveFaults::default(),
        })
    }
}
