//! Folders of runs, made of a scripted log.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use harness_event::{EventKind, to_line, verdict::testkit};
use harness_history::{History, Location};
use tempfile::TempDir;

/// The scripted database failure as a log: it began on 2025-11-21 at 04:40:00, the alert fired at 04:40:11 and was delivered at
/// 04:40:12.
pub fn passing() -> String {
    text(testkit::passing_run())
}

/// The log of some facts.
pub fn text(kinds: Vec<EventKind>) -> String {
    testkit::log(kinds).iter().map(|event| to_line(event).unwrap()).collect()
}

/// A run of the scripted failure on a day of November 2025, whose alert fired so much later than in the script.
pub fn on_day(day: u32, later_ms: u32) -> String {
    let log = passing().replace("20261121-100000-abcd", &id(day));
    let late = |second: u32| {
        let ms = second * 1000 + later_ms;
        format!("04:40:{:02}.{:03}Z", ms / 1000, ms % 1000)
    };
    // From the end, so that nothing is replaced twice.
    let log = log.replace("04:40:12.000Z", &late(12)).replace("04:40:11.000Z", &late(11));
    log.replace("2025-11-21T", &format!("2025-11-{day:02}T"))
}

/// The run's id.
pub fn id(day: u32) -> String {
    format!("202511{day:02}-044000-abcd")
}

/// A directory of runs and an index.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// With a run on each of these days.
    pub fn with_days(days: impl IntoIterator<Item = u32>) -> Self {
        let place = Self::new();
        for day in days {
            place.run(&id(day), &on_day(day, 0));
        }
        place
    }

    pub fn runs(&self) -> PathBuf {
        self.dir.path().join("runs")
    }

    pub fn index(&self) -> PathBuf {
        self.dir.path().join("history.db")
    }

    pub fn location(&self) -> Location {
        Location::new(None, &self.index()).unwrap()
    }

    /// A run's folder with this log.
    pub fn run(&self, id: &str, log: &str) -> PathBuf {
        let folder = self.runs().join(id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("events.ndjson"), log).unwrap();
        folder
    }

    pub async fn open(&self) -> History {
        History::open(self.location(), &self.runs()).await.unwrap()
    }
}

/// Ids of all runs in an index, newest first.
pub async fn ids(history: &mut History) -> Vec<String> {
    let runs = history.runs(&harness_history::Query::default()).await.unwrap();
    runs.into_iter().map(|(run, _)| run.id).collect()
}

/// Reads a file that must be there.
pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
