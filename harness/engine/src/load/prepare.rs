//! From a load as the scenario says it to one that a worker can carry out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use harness_event::{LoadPhase, LoadSpec, Plan};
use harness_load::{Assignment, PROTOCOL_VERSION};
use kube::Client;

use super::{
    address::{AddressError, Resolver},
    files,
};
use crate::monitor::chain;

/// A load whose addresses are known and whose files are read.
pub struct PreparedLoad {
    /// As the scenario says it.
    pub spec: LoadSpec,
    /// What the worker is told.
    pub assignment: Assignment,
    /// Where its requests go, each address once.
    pub addresses: Vec<ResolvedAddress>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResolvedAddress {
    /// As written in the scenario.
    pub given: String,
    /// As it is connected to.
    pub url: String,
}

/// Why the loads of a scenario cannot be carried out. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The scenario does not fit this cluster or this machine.
    #[error("{}", .0.join("; "))]
    Problems(Vec<String>),
    /// Nobody is there to take the load.
    #[error("{}", .0.join("; "))]
    Unreachable(Vec<String>),
    /// The API server could not be asked.
    #[error("{0}")]
    Api(String),
}

/// Resolves addresses, proves that they can be connected to, and reads files. `directory` is the scenario file's.
///
/// # Errors
/// All problems at once.
pub async fn prepare_loads(
    plan: &Plan,
    client: &Client,
    run: &str,
    directory: &Path,
) -> Result<Vec<PreparedLoad>, PrepareError> {
    let resolver = Resolver::new(client.clone());
    let (mut problems, mut unreachable) = (Vec::new(), Vec::new());
    let mut prepared = Vec::new();
    let mut known = BTreeMap::new();
    for spec in &plan.loads {
        problems.extend(endless(spec));
        let files = files::read(spec, directory, &mut problems);
        let mut load = spec.clone();
        let mut addresses = BTreeSet::new();
        for step in load.setup.iter_mut().chain(&mut load.steps) {
            let given = step.url.clone();
            if !known.contains_key(&given) {
                let found = match locate(&resolver, &given).await {
                    Ok(url) => Some(url),
                    Err(AddressError::Problem(text)) => {
                        problems.push(format!("load {:?}: {text}", spec.name));
                        None
                    }
                    Err(AddressError::Unreachable(text)) => {
                        unreachable.push(format!("load {:?}: {text}", spec.name));
                        None
                    }
                    Err(error @ AddressError::Api { .. }) => return Err(PrepareError::Api(chain(&error))),
                };
                known.insert(given.clone(), found);
            }
            if let Some(Some(url)) = known.get(&given) {
                step.url.clone_from(url);
                addresses.insert(ResolvedAddress { given, url: url.clone() });
            }
        }
        let phase = if spec.is_background() { LoadPhase::Before } else { LoadPhase::During };
        let assignment = Assignment {
            protocol: PROTOCOL_VERSION,
            run: run.to_owned(),
            load,
            ca_pem: files.ca_pem,
            files: files.bodies,
            phase,
        };
        prepared.push(PreparedLoad {
            spec: spec.clone(),
            assignment,
            addresses: addresses.into_iter().collect(),
        });
    }
    match (problems.is_empty(), unreachable.is_empty()) {
        (true, true) => Ok(prepared),
        (true, false) => Err(PrepareError::Unreachable(unreachable)),
        (false, _) => {
            problems.extend(unreachable);
            Err(PrepareError::Problems(problems))
        }
    }
}

async fn locate(resolver: &Resolver, given: &str) -> Result<String, AddressError> {
    let url = resolver.resolve(given).await?.unwrap_or_else(|| given.to_owned());
    resolver.connect(given, &url).await?;
    Ok(url)
}

/// A load that is no background must end by itself.
fn endless(load: &LoadSpec) -> Option<String> {
    let ends = load.is_background() || super::length(load).is_some() || load.requests.is_some();
    (!ends).then(|| {
        format!("load {:?}: nothing ends it. Give it a `duration`, or a number of `requests`, or stages that all have a length", load.name)
    })
}
