//! Loads that may be started: those of scenario files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use harness_engine::conductor::OfferedLoad;
use harness_event::{LoadBody, LoadSpec};
use harness_scenario::Scenario;

use super::super::{
    Context,
    args::MonitoringArgs,
    run::{directory, read_scenario},
};
use crate::expected_error::ExpectedError;

/// The loads of the scenario, if there is one, and of further files. A name stands for one load.
pub(super) fn loads(
    scenario: Option<(&Path, &Scenario)>,
    files: &[PathBuf],
    context: &Context,
) -> Result<Vec<OfferedLoad>, ExpectedError> {
    let mut found: Vec<(PathBuf, LoadSpec)> = Vec::new();
    let of = |path: &Path, scenario: &Scenario| -> Vec<(PathBuf, LoadSpec)> {
        scenario.plan.loads.iter().map(|load| (path.to_owned(), load.clone())).collect()
    };
    found.extend(scenario.into_iter().flat_map(|(path, scenario)| of(path, scenario)));
    for path in files {
        let anywhere = MonitoringArgs { prometheus: None, alertmanager: None, receiver: None };
        let read = read_scenario(path, &anywhere, context)?;
        if read.plan.loads.is_empty() {
            return Err(ExpectedError::Usage {
                message: format!("{} has no load to be started", path.display()),
                hint: Some("give a scenario with [[load]]".to_owned()),
            });
        }
        found.extend(of(path, &read));
    }
    for (at, (path, load)) in found.iter().enumerate() {
        if let Some((other, _)) = found[..at].iter().find(|(_, other)| other.name == load.name) {
            return Err(ExpectedError::Usage {
                message: format!(
                    "load {:?} is in {} and in {}: which is meant?",
                    load.name,
                    other.display(),
                    path.display()
                ),
                hint: Some("rename one of them, or leave its file out".to_owned()),
            });
        }
    }
    let offered = |(path, mut spec): (PathBuf, LoadSpec)| {
        // The log does not say which file a load is from: what it names is found from anywhere. What is not there is said when the
        // load is started.
        let directory = fs::canonicalize(here(directory(&path))).unwrap_or_default();
        for file in named_files(&mut spec) {
            *file = directory.join(&*file).display().to_string();
        }
        OfferedLoad { spec, directory }
    };
    Ok(found.into_iter().map(offered).collect())
}

fn here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() { Path::new(".") } else { directory }
}

/// The files that a load names.
pub(in super::super) fn named_files(load: &mut LoadSpec) -> Vec<&mut String> {
    let bodies = load.setup.iter_mut().chain(&mut load.steps).filter_map(|step| step.body.as_mut());
    bodies.flat_map(files_of).chain(load.ca_file.as_mut()).collect()
}

fn files_of(body: &mut LoadBody) -> Vec<&mut String> {
    match body {
        LoadBody::File(path) => vec![path],
        LoadBody::Multipart(parts) => parts.iter_mut().filter_map(|part| part.file.as_mut()).collect(),
        LoadBody::Json(_) | LoadBody::Form(_) | LoadBody::Text(_) => Vec::new(),
    }
}
