//! The index in a file: in step with the folders, never half, made again when it is broken.
#![allow(missing_docs)]

mod common;

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt, PermissionsExt},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{Place, id, ids, on_day, passing};
use harness_event::{EventKind, Outcome, verdict::testkit};
use harness_history::{Ending, History, HistoryError, Query, Sort, Synced};

#[tokio::test]
async fn runs_are_found_by_what_is_known_of_them() {
    let place = Place::new();
    place.run(&id(1), &on_day(1, 500));
    place.run(&id(2), &on_day(2, 0));
    // Fires too late.
    let failed = on_day(3, 5000);
    place.run(&id(3), &failed.replace("scenarios/db-failure.toml", "scenarios/other.toml"));
    let mut history = place.open().await;
    assert_eq!(ids(&mut history).await, [id(3), id(2), id(1)]);
    let found = async |history: &mut History, query: Query| -> Vec<String> {
        history.runs(&query).await.unwrap().into_iter().map(|(run, _)| run.id).collect()
    };
    let none = Query::default;
    let query = Query { outcomes: Some(vec!["passed".into()]), ..none() };
    assert_eq!(found(&mut history, query).await, [id(2), id(1)]);
    let (scenarios, titles) = history.matching(Some("oth*"), None).await.unwrap();
    assert_eq!((scenarios.as_deref(), titles), (Some(&["scenarios/other.toml".to_owned()][..]), None));
    assert_eq!(found(&mut history, Query { scenarios, ..none() }).await, [id(3)]);
    assert_eq!(found(&mut history, Query { scenarios: Some(vec![]), ..none() }).await, Vec::<String>::new());
    let since = harness_event::Timestamp::parse("2025-11-02T00:00:00Z");
    assert_eq!(found(&mut history, Query { since, ..none() }).await, [id(3), id(2)]);
    assert_eq!(found(&mut history, Query { until: since, ..none() }).await, [id(1)]);
    assert_eq!(found(&mut history, Query { limit: Some(1), reverse: true, ..none() }).await, [id(1)]);
    let sort = Sort::parse("alert_firing/APIServiceDown");
    let query = Query { sort: sort.clone(), outcomes: Some(vec!["passed".into()]), ..none() };
    let sorted = history.runs(&query).await.unwrap();
    let sorted: Vec<_> = sorted.into_iter().map(|(run, value)| (run.id, value)).collect();
    assert_eq!(sorted, [(id(1), Some(6500.0)), (id(2), Some(6000.0))]);
    assert_eq!(history.unknown_sort(&sort).await.unwrap(), None);
    assert!(history.unknown_sort(&Sort::parse("alert_fired")).await.unwrap().unwrap().len() > 5);
    // Worst first.
    let sorted = found(&mut history, Query { sort: Sort::Outcome, ..none() }).await;
    assert_eq!(sorted, [id(3), id(2), id(1)]);
    // Quotes are data.
    let (scenarios, _) = history.matching(Some("'; DROP TABLE harness_runs; --"), None).await.unwrap();
    assert_eq!(scenarios, Some(vec![]));
    let query = Query { outcomes: Some(vec!["' OR 1 = 1 --".into()]), ..none() };
    assert_eq!(found(&mut history, query).await, Vec::<String>::new());
    let run = history.runs(&Query { ids: Some(vec![id(1)]), ..none() }).await.unwrap().remove(0).0;
    assert_eq!(
        (run.outcome, run.exit_code, run.title.as_str()),
        (Ending::Verdict(Outcome::Passed), Some(0), "Database failure")
    );
    let measures = history.measures(&[id(1), "none".into()]).await.unwrap();
    assert_eq!(measures["none"], []);
    // What comes out of the index is what went into it.
    let events = harness_event::read_log(on_day(1, 500).as_bytes()).unwrap().events;
    let mut put = harness_history::measures(&events);
    put.sort_by_key(|one| (one.name.clone(), one.subject.clone()));
    assert_eq!(measures[&id(1)], put);
    history.close().await;
}

#[tokio::test]
async fn it_follows_the_folders() {
    let place = Place::with_days(1..4);
    let mut history = place.open().await;
    assert_eq!(history.sync().await.unwrap(), Synced::default());
    fs::remove_dir_all(place.runs().join(id(2))).unwrap();
    place.run(&id(4), &on_day(4, 0));
    let synced = history.sync().await.unwrap();
    assert_eq!(synced, Synced { read: 1, forgotten: 1, without_folder: 0 });
    assert_eq!(ids(&mut history).await, [id(4), id(3), id(1)]);
    // Another one sees the same.
    assert_eq!(ids(&mut place.open().await).await, [id(4), id(3), id(1)]);
}

/// The command line's tests use it, too. `UPDATE_FIXTURES=1 cargo test -p harness-history --test index fixture` makes it anew.
#[test]
fn the_fixture_is_the_scripted_run() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/passing.ndjson");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&path, passing()).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), passing());
}

async fn ending(history: &mut History, id: &str) -> (Ending, i64) {
    history.sync().await.unwrap();
    let runs = history.runs(&Query { ids: Some(vec![id.to_owned()]), ..Query::default() }).await.unwrap();
    (runs[0].0.outcome, runs[0].0.left_behind)
}

#[tokio::test]
async fn a_run_without_an_end_is_running_or_interrupted() {
    let place = Place::new();
    let whole = on_day(1, 0);
    let lines: Vec<&str> = whole.lines().collect();
    let until = |count: usize| lines[..count].join("\n") + "\n";
    // Its fault is applied.
    let folder = place.run(&id(1), &until(9));
    let log = folder.join("events.ndjson");
    let writer = OpenOptions::new().append(true).open(&log).unwrap();
    writer.lock().unwrap();
    let mut history = place.open().await;
    assert_eq!(ending(&mut history, &id(1)).await, (Ending::Running, 1));
    drop(writer);
    assert_eq!(ending(&mut history, &id(1)).await, (Ending::Interrupted, 1));
    // While its stack comes up there is nothing in its log yet, and nothing wrong with it.
    let beginning = place.run("beginning", "").join("events.ndjson");
    let lock = OpenOptions::new().append(true).open(&beginning).unwrap();
    lock.lock().unwrap();
    history.sync().await.unwrap();
    assert_eq!((ids(&mut history).await.len(), history.damaged()), (1, &[][..]));
    history.reindex(false).await.unwrap();
    assert_eq!((ids(&mut history).await.len(), history.damaged()), (1, &[][..]));
    drop(lock);
    history.sync().await.unwrap();
    assert_eq!(history.damaged().len(), 1);
    // A torn last line is none.
    fs::write(&log, until(20) + "{\"seq\":20,\"at\":\"2025-").unwrap();
    assert_eq!(ending(&mut history, &id(1)).await, (Ending::Interrupted, 0));
    fs::write(&log, &whole).unwrap();
    assert_eq!(ending(&mut history, &id(1)).await, (Ending::Verdict(Outcome::Passed), 0));
    // A run that was stopped before it had touched anything said its last word with that.
    let start = testkit::run_started(testkit::plan()).kind;
    let signal = harness_event::CancelReason::Signal("SIGINT".into());
    let cancelled = EventKind::RunCancelled { reason: signal };
    place.run("stopped", &common::text(vec![start, cancelled]));
    assert_eq!(ending(&mut history, "stopped").await.0, Ending::Verdict(Outcome::Aborted));
}

#[tokio::test]
async fn damaged_folders_are_named_and_skipped() {
    let place = Place::with_days([1]);
    let good = passing();
    place.run("empty", "");
    place.run("half", &good[..40]);
    place.run("middle", &good.replacen("\"seq\":3", "\"seq\":\u{fffd}", 1));
    place.run("gap", &good.replacen("\"seq\":3", "\"seq\":7", 1));
    place.run("newer", &good.replacen("\"format\":1", "\"format\":99", 1));
    place.run("no-start", "{}\n");
    place.run("binary", "\u{0}\u{1}\n\u{2}\n");
    fs::create_dir_all(place.runs().join("no-log")).unwrap();
    fs::create_dir_all(place.runs().join("log-is-a-directory/events.ndjson")).unwrap();
    let closed = place.run("closed", &good).join("events.ndjson");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // Neither are runs.
    fs::create_dir_all(place.runs().join("recovery-1763700000000")).unwrap();
    fs::create_dir_all(place.runs().join(".pruned-x")).unwrap();
    fs::write(place.runs().join("notes.txt"), "x").unwrap();
    let mut history = place.open().await;
    history.sync().await.unwrap();
    let mut expected = vec![
        ("binary", "line 1 of the event log is damaged"),
        ("empty", "it is empty"),
        ("gap", "events are missing"),
        ("half", "its first line is incomplete"),
        ("log-is-a-directory", "s a directory"),
        ("middle", "line 4 of the event log is damaged"),
        ("newer", "format 99; this harness reads up to 1"),
        ("no-log", "it is missing"),
        ("no-start", "line 1 of the event log is damaged"),
    ];
    // Root may read everything.
    let root = File::open(&closed).is_ok();
    if !root {
        expected.insert(1, ("closed", "Permission denied"));
    }
    let damaged: Vec<_> = history.damaged().iter().map(|one| (one.id.as_str(), one.why.as_str())).collect();
    assert_eq!(damaged.len(), expected.len(), "{damaged:?}");
    for ((id, why), (expected_id, part)) in damaged.iter().zip(&expected) {
        assert_eq!(id, expected_id);
        assert!(why.contains(part), "{id}: {why}");
    }
    let mut runs = vec![id(1)];
    if root {
        runs.insert(0, "closed".into());
    }
    assert_eq!(ids(&mut history).await, runs);
    // One that gets damaged is no run any more, as far as the index is made again.
    fs::write(place.runs().join(id(1)).join("events.ndjson"), "").unwrap();
    history.reindex(false).await.unwrap();
    assert!(!ids(&mut history).await.contains(&id(1)));
}

#[tokio::test]
async fn a_broken_index_is_made_again() {
    let place = Place::with_days(1..20);
    place.open().await.close().await;
    let size = fs::metadata(place.index()).unwrap().len();
    let overwrite = |from: u64, length: usize| {
        let file = OpenOptions::new().write(true).open(place.index()).unwrap();
        file.write_all_at(&vec![0xa5; length], from).unwrap();
    };
    let breakages: [(&str, &dyn Fn()); 5] = [
        ("no database", &|| fs::write(place.index(), "not a database, however long it may be").unwrap()),
        ("header", &|| overwrite(0, 50)),
        ("pages", &|| overwrite(4096, usize::try_from(size).unwrap() - 4096)),
        ("cut off", &|| OpenOptions::new().write(true).open(place.index()).unwrap().set_len(5000).unwrap()),
        ("empty", &|| fs::write(place.index(), "").unwrap()),
    ];
    for (what, breaks) in breakages {
        breaks();
        let mut history = place.open().await;
        history.sync().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(ids(&mut history).await.len(), 19, "{what}");
        let notes = history.notes();
        // An empty file is a new database.
        let said = notes.len() == 1 && notes[0].contains("is made again from the runs");
        assert!(said || (what == "empty" && notes.is_empty()), "{what}: {notes:?}");
        history.close().await;
        let mut again = place.open().await;
        assert_eq!((ids(&mut again).await.len(), again.notes()), (19, vec![]), "{what}");
        again.close().await;
    }
}

#[tokio::test]
async fn an_index_that_breaks_while_it_is_open_is_made_again() {
    let place = Place::with_days(1..20);
    place.open().await.close().await;
    // In a file without its log, so that what is on disk is what is read.
    let mut history = place.open().await;
    let file = OpenOptions::new().write(true).open(place.index()).unwrap();
    let size = usize::try_from(fs::metadata(place.index()).unwrap().len()).unwrap();
    file.write_all_at(&vec![0xa5; size - 4096], 4096).unwrap();
    let measures = history.measures(&[id(3)]).await.unwrap();
    assert!(!measures[&id(3)].is_empty());
    assert_eq!(ids(&mut history).await.len(), 19);
    assert_eq!(history.notes().len(), 1);
}

#[tokio::test]
async fn an_index_of_a_newer_version_is_left_alone() {
    let place = Place::with_days([1]);
    place.open().await.close().await;
    // `user_version` is at byte 60 of the header.
    let file = OpenOptions::new().write(true).open(place.index()).unwrap();
    file.write_all_at(&99_u32.to_be_bytes(), 60).unwrap();
    let before = common::read(&place.index());
    let error = match History::open(place.location(), &place.runs()).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    };
    assert!(matches!(error, HistoryError::Newer { found: 99, .. }), "{error:?}");
    assert!(error.hint().is_some());
    assert_eq!(common::read(&place.index()), before);
}

#[tokio::test]
async fn runs_are_listed_where_no_index_can_be_written() {
    let place = Place::with_days(1..4);
    // Nobody may make files there, not even root.
    let location = harness_history::Location::new(None, std::path::Path::new("/sys/history.db")).unwrap();
    let mut history = History::open(location, &place.runs()).await.unwrap();
    assert_eq!(ids(&mut history).await.len(), 3);
    let notes = history.notes();
    assert!(notes[0].contains("can't be written") && notes.len() == 1, "{notes:?}");
    // And nothing is left where there is nothing.
    let nothing = Place::new();
    assert_eq!(ids(&mut nothing.open().await).await.len(), 0);
    assert_eq!(fs::read_dir(nothing.dir.path()).unwrap().count(), 0);
}

/// Many at once on a new index, as CI does: nobody fails and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_runs_lose_nothing() {
    let place = Arc::new(Place::new());
    fs::create_dir_all(place.runs()).unwrap();
    let write = |number: u32| {
        let place = place.clone();
        tokio::spawn(async move {
            for round in 0..4 {
                let id = format!("run-{number}-{round}");
                place.run(&id, &on_day(1 + number % 28, 0));
                let mut history = place.open().await;
                match (number + round) % 3 {
                    0 => drop(history.sync().await.unwrap()),
                    1 => drop(history.reindex(false).await.unwrap()),
                    _ => history.index(&id).await.unwrap(),
                }
                history.close().await;
            }
        })
    };
    let tasks: Vec<_> = (0..8).map(write).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut history = place.open().await;
    // Nothing is left to be found in the folders.
    assert_eq!(history.sync().await.unwrap(), Synced::default());
    assert_eq!(ids(&mut history).await.len(), 32);
    assert_eq!(history.notes(), Vec::<String>::new());
}

/// Whoever reads while it is made again sees all runs or all runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_reader_never_sees_half_an_index() {
    let place = Arc::new(Place::with_days(1..25));
    place.open().await.close().await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (place, done) = (place.clone(), done.clone());
        tokio::spawn(async move {
            let (mut history, mut reads) = (place.open().await, 0);
            while !done.load(Ordering::Relaxed) || reads < 5 {
                let all = ids(&mut history).await;
                assert_eq!(all.len(), 24);
                assert!(history.measures(&all).await.unwrap().values().all(|measures| !measures.is_empty()));
                reads += 1;
            }
        })
    };
    let mut history = place.open().await;
    for _ in 0..3 {
        assert_eq!(history.reindex(false).await.unwrap().read, 24);
    }
    done.store(true, Ordering::Relaxed);
    reader.await.unwrap();
}
