//! A run of twenty hours, for tests and the benchmark.

use harness_event::{Event, EventKind, Millis, verdict::testkit};

/// A run of many hours: as many events of every kind that a long run repeats.
pub fn long_run(number: usize) -> Vec<Event> {
    let mut kinds = testkit::surge_run();
    let length = 20 * 3_600_000_i64;
    let every = length / number as i64 * 4;
    let last = kinds.split_off(kinds.len() - 5);
    let more = (0..number as i64 / 4).flat_map(|index| {
        let ms = 35_000 + index * every;
        let ready = 2 + (index % 7 % 3) as i32;
        let broken = index % 50 == 0;
        [
            testkit::load_sample(testkit::VISITORS, ms, 100 + (index % 17) as u64 * 10, u64::from(broken)),
            testkit::slo_sample(
                ms,
                [Some(0.5 + index as f64 / 1000.0), Some(0.2), None, Some(0.02)],
                Millis(ms),
            ),
            testkit::scaled(ms, 4, ready),
            EventKind::SteadyStateChecked {
                check: "portal answers".into(),
                asked_at: testkit::at(ms),
                ok: !broken,
                detail: format!("200 in {} ms", index % 90),
            },
        ]
    });
    kinds.extend(more);
    kinds.extend(last);
    let mut events = testkit::log(kinds);
    let count = events.len() as i64;
    for event in &mut events {
        event.elapsed = Millis(event.seq as i64 * (length + 40_000) / count);
        event.at = testkit::START + event.elapsed;
    }
    events
}
