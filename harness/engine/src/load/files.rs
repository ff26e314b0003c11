//! Files that a load names, read before anything is touched.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use harness_event::{LoadBody, LoadSpec};

/// Largest file: each goes to the worker as a whole.
const FILE_LIMIT: u64 = 32 << 20;

/// A load's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Certificates, PEM.
    pub(super) ca_pem: Option<String>,
    /// Contents, Base64, by the path as written in the scenario.
    pub(super) bodies: BTreeMap<String, String>,
}

/// Reads all files of a load; every problem at once.
pub(super) fn read(load: &LoadSpec, directory: &Path, problems: &mut Vec<String>) -> Files {
    let mut files = Files::default();
    if let Some(path) = &load.ca_file {
        match contents(directory, path).map(String::from_utf8) {
            Ok(Ok(pem)) if pem.contains("-----BEGIN CERTIFICATE-----") => files.ca_pem = Some(pem),
            Ok(_) => {
                problems.push(format!("load {:?}: {path:?} holds no certificate in PEM form", load.name))
            }
            Err(error) => problems.push(format!("load {:?}: {error}", load.name)),
        }
    }
    for path in named(load) {
        if files.bodies.contains_key(path) {
            continue;
        }
        match contents(directory, path) {
            Ok(bytes) => {
                files.bodies.insert(path.to_owned(), BASE64_STANDARD.encode(bytes));
            }
            Err(error) => problems.push(format!("load {:?}: {error}", load.name)),
        }
    }
    files
}

/// Paths of all files that bodies are made of.
fn named(load: &LoadSpec) -> Vec<&str> {
    let bodies = load.setup.iter().chain(&load.steps).filter_map(|step| step.body.as_ref());
    let mut paths: Vec<&str> = bodies
        .flat_map(|body| match body {
            LoadBody::File(path) => vec![path.as_str()],
            LoadBody::Multipart(parts) => parts.iter().filter_map(|part| part.file.as_deref()).collect(),
            LoadBody::Json(_) | LoadBody::Form(_) | LoadBody::Text(_) => Vec::new(),
        })
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

fn contents(directory: &Path, path: &str) -> Result<Vec<u8>, String> {
    let full = directory.join(path);
    let unreadable = |error: &dyn std::fmt::Display| format!("can't read file {}: {error}", full.display());
    let size = std::fs::metadata(&full).map_err(|error| unreadable(&error))?.len();
    if size > FILE_LIMIT {
        return Err(unreadable(&format!("it has {size} bytes, more than {FILE_LIMIT}")));
    }
    std::fs::read(&full).map_err(|error| unreadable(&error))
}
