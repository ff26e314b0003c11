//! What a run would do, with the real targets and the loaded configuration; nothing is changed.

use std::path::Path;

use harness_event::{DetectionBound, Plan};
use tokio_util::sync::CancellationToken;

use super::{
    inject::{NotInjected, plan_faults},
    prepare::{Stopped, check_configuration},
    session::Session,
};
use crate::{Target, load::ResolvedAddress, log::Log};

/// What would be done to which objects.
pub struct DryRunFault {
    /// Name of the fault.
    pub fault: String,
    /// Objects.
    pub targets: Vec<String>,
    /// What would undo it.
    pub inverse: String,
}

/// Where a load would go.
pub struct DryRunLoad {
    /// Name of the load.
    pub load: String,
    /// Its addresses, each once.
    pub addresses: Vec<ResolvedAddress>,
}

/// The result of a dry run.
#[derive(Default)]
pub struct DryRun {
    /// Faults with their targets.
    pub faults: Vec<DryRunFault>,
    /// Loads with their addresses.
    pub loads: Vec<DryRunLoad>,
    /// Earliest and latest times of the expected alerts.
    pub bounds: Vec<DetectionBound>,
    /// Why the run would be refused.
    pub problems: Vec<String>,
    /// What could not be asked.
    pub not_ready: Option<(String, String)>,
}

/// Resolves targets and compares the scenario with the loaded configuration. Only reads. `directory` is the scenario file's.
pub async fn dry_run(plan: &Plan, target: &Target, directory: &Path) -> DryRun {
    let log = Log::unrecorded();
    let mut result = DryRun::default();
    let session = match Session::connect("dry-run", plan, target, &log, &CancellationToken::new()).await {
        Ok(session) => session,
        Err(error) => {
            result.stop(Stopped::not_ready("monitoring", &error));
            return result;
        }
    };
    match plan_faults(&session).await {
        Ok(faults) => {
            let described = faults.iter().map(|fault| DryRunFault {
                fault: fault.spec.name.clone(),
                targets: fault.targets(),
                inverse: fault.inverse(),
            });
            result.faults = described.collect();
        }
        Err(NotInjected::Refused(problem)) => result.problems.push(problem),
    }
    match check_configuration(&session, directory).await {
        Ok(checked) => {
            result.bounds = checked.bounds;
            let located = |load: crate::load::PreparedLoad| DryRunLoad {
                load: load.spec.name,
                addresses: load.addresses,
            };
            result.loads = checked.loads.into_iter().map(located).collect();
        }
        Err(stopped) => result.stop(stopped),
    }
    result
}

impl DryRun {
    fn stop(&mut self, stopped: Stopped) {
        match stopped {
            Stopped::NotReady { component, reason } => self.not_ready = Some((component, reason)),
            Stopped::Refused(problems) => self.problems.extend(problems),
            Stopped::Cancelled => {}
        }
    }
}
