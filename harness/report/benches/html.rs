//! What the page of a long run takes: `cargo bench -p harness-report --bench html`.
#![allow(missing_docs)]

#[path = "../tests/html/long.rs"]
mod long;

use std::time::Instant;

use harness_event::Verdict;
use harness_report::{HtmlOptions, html};

/// Times a page is made; the median is shown.
const ROUNDS: usize = 5;

fn main() {
    println!("{:>8}  {:>10}  {:>10}", "events", "median", "bytes");
    for number in [1_000, 10_000, 100_000] {
        let events = long::long_run(number);
        let verdict = Verdict::of(&events);
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            match html(&events, &verdict, &HtmlOptions::default()) {
                Ok(page) => bytes = page.len(),
                Err(error) => return eprintln!("the page could not be made: {error}"),
            }
            times.push(start.elapsed());
        }
        times.sort();
        println!("{:>8}  {:>10.1?}  {bytes:>10}", events.len(), times[ROUNDS / 2]);
    }
}
