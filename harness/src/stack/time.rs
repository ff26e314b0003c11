//! The pace of the stack's time: as authored, or compressed.

use std::{fs, io, path::Path};

use harness_slo::compress::{self, CompressError, Loaded, Report};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{error::StackError, paths::StateDir};

/// How the running stack's time is compressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compression {
    /// How many seconds of production time pass in one second.
    pub factor: u32,
    /// What does not scale, each with the reason.
    pub unscaled: Vec<String>,
    /// What works, but barely.
    pub warnings: Vec<String>,
}

/// Manifests at the wanted pace.
pub struct Paced {
    /// All objects.
    pub objects: Vec<Value>,
    /// The compression, if there is one.
    pub compression: Option<Compression>,
    /// What the monitoring system must have loaded.
    pub loaded: Loaded,
}

/// Brings manifests to a pace; without a factor they stay as they are.
pub fn pace(mut objects: Vec<Value>, factor: Option<u32>) -> Result<Paced, CompressError> {
    let compression = match factor {
        Some(factor) => {
            let Report { unscaled, warnings, .. } = compress::compress(&mut objects, factor)?;
            Some(Compression { factor, unscaled, warnings })
        }
        None => None,
    };
    let loaded = Loaded::of(&objects)?;
    Ok(Paced { objects, compression, loaded })
}

/// The objects of `wanted` that are not the same in `present`.
pub fn different<'a>(wanted: &'a [Value], present: &[Value]) -> Vec<&'a Value> {
    wanted.iter().filter(|object| !present.contains(object)).collect()
}

/// The compression that was applied and proven last; `None` if the stack runs as authored.
pub fn read(state: &StateDir) -> Result<Option<Compression>, StackError> {
    let path = state.compression();
    let failed = |source| StackError::State { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| failed(error.into())).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Keeps what was applied.
pub fn write(state: &StateDir, compression: Option<&Compression>) -> Result<(), StackError> {
    let path = state.compression();
    let written = match compression {
        Some(compression) => {
            serde_json::to_string(compression).map_err(io::Error::from).and_then(|text| replace(&path, &text))
        }
        None => fs::remove_file(&path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }),
    };
    written.map_err(|source| StackError::State { path, source })
}

/// Whole or not at all: a half-written file would be an error for every later command.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stack::{Checkout, lifecycle, manifests};

    #[test]
    fn the_compression_is_kept_until_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(dir.path().to_owned()));
        fs::create_dir_all(state.stack()).unwrap();
        assert_eq!(read(&state).unwrap(), None);
        let compression =
            Compression { factor: 30, unscaled: vec!["alert A: why".to_owned()], warnings: Vec::new() };
        write(&state, Some(&compression)).unwrap();
        assert_eq!(read(&state).unwrap(), Some(compression));
        write(&state, None).unwrap();
        write(&state, None).unwrap();
        assert_eq!(read(&state).unwrap(), None);
    }

    #[test]
    fn only_what_differs_is_applied_again() {
        let object = |name: &str, value: u32| json!({ "metadata": { "name": name }, "data": value });
        let (present, wanted) = ([object("a", 1), object("b", 1)], [object("a", 1), object("b", 2)]);
        assert_eq!(different(&wanted, &present), [&object("b", 2)]);
    }

    /// The project's own manifests: a pace changes monitoring and nothing else, and 30 leaves the fast rules as they are.
    #[test]
    fn the_project_s_manifests_can_be_compressed() {
        let deploy = Checkout::around(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap().deploy();
        let authored: Vec<Value> =
            lifecycle::PARTS.iter().flat_map(|part| manifests::read(&deploy.join(part)).unwrap()).collect();
        for factor in [1, 15, 30, 60, 120] {
            let paced =
                pace(authored.clone(), Some(factor)).unwrap_or_else(|error| panic!("x{factor}: {error}"));
            let changed = different(&paced.objects, &authored);
            assert!(
                changed.iter().all(|object| object["metadata"]["namespace"] == "monitoring"),
                "{changed:?}"
            );
            let seconds = |name: &str| {
                let found = paced.loaded.global.iter().find(|(key, _)| key == name);
                found.map(|(_, length)| length.millis())
            };
            assert_eq!(seconds("scrape_interval"), Some(30_000 / u64::from(factor)));
            assert_eq!(seconds("evaluation_interval"), Some(30_000 / u64::from(factor)));
            let lookback = &paced.loaded.flags[0];
            assert_eq!(
                (lookback.0.as_str(), lookback.1.millis()),
                ("query.lookback-delta", 300_000 / u64::from(factor))
            );
        }
        let paced = pace(authored.clone(), Some(30)).unwrap();
        let rules = |objects: &[Value]| {
            let map = objects.iter().find(|object| object["metadata"]["name"] == "prometheus-rules");
            map.map(|map| map["data"].clone())
        };
        assert!(rules(&authored).is_some());
        assert_eq!(rules(&paced.objects), rules(&authored));
    }
}
