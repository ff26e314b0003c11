use std::collections::{BTreeMap, BTreeSet};

use harness_event::{Event, Verdict};
use harness_report::trace;
use serde_json::Value;

use super::runs;

fn of(events: &[Event]) -> Value {
    serde_json::from_str(&trace(events, &Verdict::of(events)).unwrap()).unwrap()
}

fn records(trace: &Value) -> &Vec<Value> {
    trace["traceEvents"].as_array().unwrap()
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_else(|| panic!("{field}: {record}"))
}

fn number(record: &Value, field: &str) -> i64 {
    record[field].as_i64().unwrap_or_else(|| panic!("{field}: {record}"))
}

/// The rules of the Trace Event Format for what we use of it.
fn check(trace: &Value) {
    let records = records(trace);
    let mut last = 0;
    let mut flows: BTreeMap<i64, Vec<&Value>> = BTreeMap::new();
    let mut named: BTreeSet<(i64, i64)> = BTreeSet::new();
    for record in records {
        let (ts, pid, tid) = (number(record, "ts"), number(record, "pid"), number(record, "tid"));
        assert!(!text(record, "name").is_empty() || text(record, "ph") == "X", "{record}");
        assert!(ts >= last, "not sorted: {record}");
        last = ts;
        match text(record, "ph") {
            "M" => {
                assert_eq!(ts, 0);
                let args = record["args"].as_object().unwrap();
                match text(record, "name") {
                    "process_name" | "thread_name" => assert!(args["name"].is_string(), "{record}"),
                    "process_sort_index" | "thread_sort_index" => {
                        assert!(args["sort_index"].is_u64(), "{record}")
                    }
                    other => panic!("{other}"),
                }
                named.insert((pid, tid));
            }
            "X" => assert!(number(record, "dur") >= 0 && record["args"].is_object(), "{record}"),
            "i" => assert_eq!(text(record, "s"), "t", "{record}"),
            "C" => {
                let args = record["args"].as_object().unwrap();
                assert!(!args.is_empty() && args.values().all(Value::is_number), "{record}");
            }
            "s" => flows.entry(number(record, "id")).or_default().push(record),
            "f" => {
                assert_eq!(text(record, "bp"), "e");
                flows.entry(number(record, "id")).or_default().push(record);
            }
            other => panic!("{other}: {record}"),
        }
        if text(record, "ph") != "C" {
            assert!(named.contains(&(pid, tid)), "a track without a name: {record}");
        }
    }
    // Both ends of a flow lie within spans of their tracks.
    for ends in flows.values() {
        assert_eq!(ends.len(), 2);
        assert_eq!(text(ends[0], "name"), text(ends[1], "name"));
        for end in ends {
            let within = |span: &&Value| {
                span["ph"] == "X"
                    && (&span["pid"], &span["tid"]) == (&end["pid"], &end["tid"])
                    && (number(span, "ts")..=number(span, "ts") + number(span, "dur"))
                        .contains(&number(end, "ts"))
            };
            assert!(records.iter().any(|span| within(&span)), "{end}");
        }
    }
    // Spans of one track do not overlap unless one holds the other.
    let mut spans: BTreeMap<(i64, i64), Vec<(i64, i64)>> = BTreeMap::new();
    for span in records.iter().filter(|record| record["ph"] == "X") {
        let from = number(span, "ts");
        let track = spans.entry((number(span, "pid"), number(span, "tid"))).or_default();
        for (other, end) in track.iter() {
            let (from, to) = (from, from + number(span, "dur"));
            let apart = from >= *end || to <= *other;
            let nested = (*other <= from && to <= *end) || (from <= *other && *end <= to);
            assert!(apart || nested, "{span} over {other}..{end}");
        }
        track.push((from, from + number(span, "dur")));
    }
}

#[test]
fn every_trace_is_valid() {
    for (outcome, events) in runs::every_outcome() {
        let trace = of(&events);
        check(&trace);
        assert_eq!(trace["otherData"]["outcome"], outcome.to_string());
        assert_eq!(trace["displayTimeUnit"], "ms");
    }
    for evil in runs::EVIL {
        check(&of(&runs::hostile(evil)));
    }
}

#[test]
fn a_log_that_ends_anywhere_gives_a_valid_trace() {
    for events in [runs::passing(), runs::surging()] {
        for length in 1..events.len() {
            check(&of(&events[..length]));
        }
    }
}

/// Names of tracks with names, times and lengths (in ms) of their spans.
fn tracks(trace: &Value) -> String {
    let records = records(trace);
    let mut lines = Vec::new();
    let named = |kind: &'static str| {
        let metas = records.iter().filter(move |record| record["ph"] == "M" && record["name"] == kind);
        metas.map(|meta| (number(meta, "pid"), number(meta, "tid"), text(&meta["args"], "name")))
    };
    for (pid, _, process) in named("process_name") {
        lines.push(process.to_owned());
        for (_, tid, thread) in named("thread_name").filter(|(one, _, _)| *one == pid) {
            let spans = records.iter().filter(|record| {
                matches!(text(record, "ph"), "X" | "i")
                    && number(record, "pid") == pid
                    && number(record, "tid") == tid
            });
            let spans = spans.map(|span| match text(span, "ph") {
                "i" => format!("{} @{}", text(span, "name"), number(span, "ts") / 1000),
                _ => format!(
                    "{} {}+{}",
                    text(span, "name"),
                    number(span, "ts") / 1000,
                    number(span, "dur") / 1000
                ),
            });
            lines.push(format!("  {thread}: {}", spans.collect::<Vec<_>>().join(", ")));
        }
        let counters = records.iter().filter(|record| record["ph"] == "C" && number(record, "pid") == pid);
        let mut points: BTreeMap<&str, usize> = BTreeMap::new();
        for counter in counters {
            *points.entry(text(counter, "name")).or_default() += 1;
        }
        lines.extend(points.iter().map(|(name, count)| format!("  {name}: {count} points")));
    }
    lines.push(format!("{} flows", records.iter().filter(|record| record["ph"] == "s").count()));
    lines.join("\n")
}

#[test]
fn tracks_of_a_failure() {
    insta::assert_snapshot!(tracks(&of(&runs::passing())));
}

#[test]
fn tracks_of_a_surge() {
    insta::assert_snapshot!(tracks(&of(&runs::surging())));
}
