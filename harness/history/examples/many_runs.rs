//! How long a list of many runs takes: `cargo run --release -p harness-history --example many_runs -- 10000 [DIRECTORY]`.
//!
//! Makes that many runs' folders of a scripted run, indexes them, and does what `harness history` does: opens the index, looks
//! for new folders, asks for twenty runs. The folders are deleted at the end.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use harness_event::{Event, Millis, to_line, verdict::testkit};
use harness_history::{History, Location, Query, Sort, compare};

const ROUNDS: u32 = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let count: u32 = args.next().unwrap_or_else(|| "10000".to_owned()).parse()?;
    let place = match args.next() {
        Some(path) => tempfile::tempdir_in(path)?,
        None => tempfile::tempdir()?,
    };
    let (runs, file) = (place.path().join("runs"), place.path().join("history.db"));
    make(&runs, count)?;
    let location = Location::new(None, &file)?;

    let start = Instant::now();
    let history = History::open(location.clone(), &runs).await?;
    println!("made the index of {count} runs in {:?}", start.elapsed());
    history.close().await;
    let bytes = fs::metadata(&file)?.len();
    println!("it has {:.1} MiB", bytes as f64 / 1_048_576.0);

    let newest = Query { limit: Some(20), ..Query::default() };
    let sorted = Query { sort: Sort::parse("alert_firing"), limit: Some(20), ..Query::default() };
    let filtered = Query { outcomes: Some(vec!["failed".to_owned()]), limit: Some(20), ..Query::default() };
    for (what, query) in [("newest 20", newest), ("20 by a measure", sorted), ("outcome failed", filtered)] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let mut history = History::open(location.clone(), &runs).await?;
            history.sync().await?;
            let found = history.runs(&query).await?;
            assert!(found.len() <= 20);
            history.close().await;
            times.push(start.elapsed());
        }
        report(&format!("open, sync, {what}"), times);
    }

    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut history = History::open(location.clone(), &runs).await?;
        let run = history.runs(&Query { limit: Some(1), ..Query::default() }).await?.remove(0).0;
        let before = history.runs(&compare::population(&run, false, 200)).await?;
        let ids: Vec<String> = before.into_iter().map(|(run, _)| run.id).take(20).collect();
        assert_eq!(history.measures(&ids).await?.len(), 20);
        history.close().await;
        times.push(start.elapsed());
    }
    report("what compare --last 20 asks for", times);
    Ok(())
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    println!("{what}: median {:?}, longest {:?}", times[times.len() / 2], times[times.len() - 1]);
}

/// One run every ten minutes, of a surge with a failure's facts in every one of them.
fn make(runs: &Path, count: u32) -> Result<(), Box<dyn std::error::Error>> {
    let (failure, surge) = (testkit::log(testkit::passing_run()), testkit::log(testkit::surge_run()));
    for number in 0..count {
        let events = if number % 2 == 0 { &failure } else { &surge };
        let later = Millis(i64::from(number) * 600_000);
        let id = format!("{:08}-run", number);
        let folder = runs.join(&id);
        fs::create_dir_all(&folder)?;
        let mut text = String::new();
        for event in events {
            let mut event: Event = event.clone();
            event.at = event.at + later;
            text += &to_line(&event)?;
        }
        fs::write(folder.join("events.ndjson"), text)?;
    }
    Ok(())
}
