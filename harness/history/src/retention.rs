//! Which runs may go.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use harness_event::{Millis, Timestamp};
use serde::Serialize;

use crate::folders::LEAVING;

/// What is kept. Each limit stands for itself: a run that is beyond any of them goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest.
    pub keep_last: Option<usize>,
    /// Those that are no older.
    pub max_age: Option<Millis>,
    /// The newest that together take no more bytes.
    pub max_size: Option<u64>,
}

impl Retention {
    /// True if nothing limits it: then everything is kept.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A run's folder, as retention sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Name of the folder.
    pub id: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// Bytes of its files.
    pub bytes: u64,
    /// Why it must not go, whatever the limits say: it is not finished, something is left of its faults.
    pub held: Option<String>,
}

/// A run that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Going {
    /// Name of the folder.
    pub id: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// Bytes of its files.
    pub bytes: u64,
    /// The limit that it is beyond.
    pub why: String,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Runs that go, oldest first.
    pub going: Vec<Going>,
    /// Runs that are beyond a limit and stay all the same, with the reason.
    pub held: Vec<(String, String)>,
    /// Number of runs that stay.
    pub staying: usize,
    /// Their bytes.
    pub bytes_staying: u64,
}

/// Decides. Runs that are held count against number and size: they take their place.
pub fn plan(runs: &[Kept], retention: &Retention, now: Timestamp) -> Plan {
    let mut newest_first: Vec<&Kept> = runs.iter().collect();
    newest_first.sort_by(|one, other| (other.started_at, &other.id).cmp(&(one.started_at, &one.id)));
    let mut plan = Plan::default();
    // The size is taken from the newest on: once it is used up, nothing older stays for its being small.
    let (mut bytes, mut full) = (0_u64, false);
    for (number, run) in newest_first.into_iter().enumerate() {
        bytes = bytes.saturating_add(run.bytes);
        full |= retention.max_size.is_some_and(|most| bytes > most);
        let age = now - run.started_at;
        let why = if retention.keep_last.is_some_and(|keep| number >= keep) {
            Some(format!("not among the newest {}", retention.keep_last.unwrap_or_default()))
        } else if retention.max_age.is_some_and(|most| age > most) {
            Some(format!("{} old", days(age)))
        } else if full {
            Some("the newer runs take the size that is allowed".to_owned())
        } else {
            None
        };
        match (why, &run.held) {
            (Some(why), None) => {
                let (id, started_at, bytes) = (run.id.clone(), run.started_at, run.bytes);
                plan.going.push(Going { id, started_at, bytes, why });
            }
            (why, held) => {
                if let (Some(_), Some(reason)) = (why, held) {
                    plan.held.push((run.id.clone(), reason.clone()));
                }
                plan.staying += 1;
                plan.bytes_staying = plan.bytes_staying.saturating_add(run.bytes);
            }
        }
    }
    plan.going.reverse();
    plan.held.reverse();
    plan
}

fn days(age: Millis) -> String {
    let hours = age.0 / 3_600_000;
    if hours < 48 { format!("{hours}h") } else { format!("{}d", hours / 24) }
}

/// Deletes a run's folder. It is taken out of sight first, so that nobody finds half of it.
///
/// # Errors
/// If it cannot be deleted. What is left of it is deleted by the next [`sweep`].
pub fn delete(runs: &Path, id: &str) -> io::Result<()> {
    let away = runs.join(format!("{LEAVING}{id}"));
    fs::rename(runs.join(id), &away)?;
    fs::remove_dir_all(away)
}

/// Deletes what interrupted deletions have left.
pub fn sweep(runs: &Path) {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let left = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(LEAVING));
    for path in left.map(|entry| entry.path()).collect::<Vec<PathBuf>>() {
        // The next one tries again.
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_763_700_000_000);
    const DAY: i64 = 86_400_000;

    fn run(days_ago: i64, bytes: u64) -> Kept {
        let started_at = NOW - Millis(days_ago * DAY);
        Kept { id: format!("run-{days_ago:03}"), started_at, bytes, held: None }
    }

    fn going(runs: &[Kept], retention: Retention) -> Vec<String> {
        plan(runs, &retention, NOW).going.into_iter().map(|run| run.id).collect()
    }

    #[test]
    fn each_limit_takes_the_oldest() {
        let runs: Vec<_> = (0..5).map(|days| run(days * 10, 100)).collect();
        let none = Retention::default();
        assert_eq!(going(&runs, none), Vec::<String>::new());
        assert_eq!(going(&runs, Retention { keep_last: Some(3), ..none }), ["run-040", "run-030"]);
        assert_eq!(
            going(&runs, Retention { max_age: Some(Millis(25 * DAY)), ..none }),
            ["run-040", "run-030"]
        );
        assert_eq!(
            going(&runs, Retention { max_size: Some(250), ..none }),
            ["run-040", "run-030", "run-020"]
        );
        assert_eq!(going(&runs, Retention { keep_last: Some(0), ..none }).len(), 5);
    }

    #[test]
    fn a_small_old_run_does_not_outlive_a_large_newer_one() {
        let runs = [run(0, 100), run(1, 1000), run(2, 1)];
        assert_eq!(
            going(&runs, Retention { max_size: Some(500), ..Retention::default() }),
            ["run-002", "run-001"]
        );
    }

    #[test]
    fn what_is_held_stays_and_is_said() {
        let mut runs = vec![run(0, 1), run(1, 1), run(2, 1)];
        runs[2].held = Some("its faults may still be on".to_owned());
        let plan = plan(&runs, &Retention { keep_last: Some(1), ..Retention::default() }, NOW);
        assert_eq!(plan.going.len(), 1);
        assert_eq!(plan.held, [("run-002".to_owned(), "its faults may still be on".to_owned())]);
        assert_eq!((plan.staying, plan.bytes_staying), (2, 2));
    }

    proptest! {
        #[test]
        fn nothing_held_ever_goes_and_limits_hold(
            ages in prop::collection::vec((0..400_i64, 0..10_000_u64, any::<bool>()), 0..40),
            keep in prop::option::of(0..20_usize),
            age in prop::option::of(0..400_i64),
            size in prop::option::of(0..100_000_u64),
        ) {
            let runs: Vec<Kept> = ages.iter().enumerate().map(|(at, (days, bytes, held))| Kept {
                id: format!("{at}"),
                started_at: NOW - Millis(days * DAY),
                bytes: *bytes,
                held: held.then(|| "held".to_owned()),
            }).collect();
            let retention =
                Retention { keep_last: keep, max_age: age.map(|days| Millis(days * DAY)), max_size: size };
            let plan = plan(&runs, &retention, NOW);
            let gone: Vec<&str> = plan.going.iter().map(|run| run.id.as_str()).collect();
            prop_assert_eq!(gone.len() + plan.staying, runs.len());
            let left: Vec<&Kept> = runs.iter().filter(|run| !gone.contains(&run.id.as_str())).collect();
            let free: Vec<&&Kept> = left.iter().filter(|run| run.held.is_none()).collect();
            for run in runs.iter().filter(|run| run.held.is_some()) {
                prop_assert!(!gone.contains(&run.id.as_str()));
            }
            if let Some(keep) = keep { prop_assert!(free.len() <= keep); }
            if let Some(days) = age {
                prop_assert!(free.iter().all(|run| NOW - run.started_at <= Millis(days * DAY)));
            }
            if let Some(size) = size { prop_assert!(free.iter().map(|run| run.bytes).sum::<u64>() <= size); }
            if retention.is_empty() { prop_assert!(gone.is_empty()); }
        }
    }
}
