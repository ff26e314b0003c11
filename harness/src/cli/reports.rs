//! Files that a run leaves: `events.ndjson`, `result.json`, `junit.xml`, in its directory and where the user asked for them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use harness_event::{Event, ReadLog, Verdict, read_log};
use harness_report::{RunResult, Style, junit};

use crate::{expected_error::ExpectedError, output::Output, stack::StateDir};

/// Name of the log in a run's directory.
pub(super) const EVENTS: &str = "events.ndjson";

/// How the output looks: colours as decided for the stream, symbols by the locale.
pub(super) fn style(out: &Output) -> Style {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let utf8 = locale.is_some_and(|locale| locale.to_lowercase().replace('-', "").contains("utf8"));
    Style { color: out.colored(), unicode: utf8 }
}

/// Writes the reports of a log.
pub(super) fn write(
    dir: &Path,
    events: &[Event],
    junit_to: Option<&Path>,
    json_to: Option<&Path>,
) -> Result<(), ExpectedError> {
    let verdict = Verdict::of(events);
    let internal = |what: &str, source: Box<dyn std::error::Error + Send + Sync>| ExpectedError::Internal {
        what: what.to_owned(),
        source,
    };
    let xml = junit(events, &verdict)
        .map_err(|error| internal("the JUnit report could not be made", error.into()))?;
    put(&dir.join("junit.xml"), &xml)?;
    if let Some(path) = junit_to {
        put(path, &xml)?;
    }
    if let Some(result) = RunResult::of(events, &verdict) {
        let json = result
            .to_json()
            .map_err(|error| internal("the result could not be written as JSON", error.into()))?;
        put(&dir.join("result.json"), &json)?;
        if let Some(path) = json_to {
            put(path, &json)?;
        }
    }
    Ok(())
}

/// Writes a file, making its directory.
pub(super) fn put(path: &Path, text: &str) -> Result<(), ExpectedError> {
    let make = |path: &Path| path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = make(path).and_then(|()| fs::write(path, text));
    written.map_err(|source| ExpectedError::File { verb: "write", path: path.to_owned(), source })
}

/// Finds a run: `last`, an id or its first characters, or the path of a log or a run's directory.
pub(super) fn find(state: &StateDir, name: &str) -> Result<PathBuf, ExpectedError> {
    let path = Path::new(name);
    if path.is_dir() && path.join(EVENTS).is_file() {
        return Ok(path.to_owned());
    }
    if path.is_file() {
        return Ok(path.parent().map_or_else(PathBuf::new, Path::to_owned));
    }
    let runs = all(state);
    let matching: Vec<_> = match name {
        "last" => runs.last().into_iter().collect(),
        _ => runs.iter().filter(|dir| id(dir).starts_with(name)).collect(),
    };
    let usage = |message: String| ExpectedError::Usage {
        message,
        hint: Some(format!("runs are kept in {}", state.runs().display())),
    };
    match matching.as_slice() {
        [one] => Ok((*one).clone()),
        [] if name == "last" => Err(usage("there is no run yet".to_owned())),
        [] => Err(usage(format!("there is no run {name:?}"))),
        several => {
            let ids: Vec<_> = several.iter().map(|dir| id(dir)).collect();
            Err(usage(format!("{name:?} could be any of {}", ids.join(", "))))
        }
    }
}

/// Directories of all runs, oldest first.
pub(super) fn all(state: &StateDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(state.runs()).into_iter().flatten().flatten();
    let mut dirs: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.join(EVENTS).is_file()).collect();
    dirs.sort();
    dirs
}

/// A run's id, from its directory.
pub(super) fn id(dir: &Path) -> String {
    dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Reads a run's log.
pub(super) fn read(dir: &Path) -> Result<ReadLog, ExpectedError> {
    let path = dir.join(EVENTS);
    let bytes =
        fs::read(&path).map_err(|source| ExpectedError::File { verb: "read", path: path.clone(), source })?;
    read_log(bytes.as_slice()).map_err(|error| ExpectedError::Usage {
        message: format!("{}: {}", path.display(), crate::expected_error::chain(&error)),
        hint: None,
    })
}
