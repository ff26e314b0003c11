//! The published schemas, `docs/schema/*.json`, are made of the types that write the files. `UPDATE_DOCS=1 cargo test -p
//! harness-report schema` writes them anew; a test fails if they are not up to date.

mod checker;

use std::{fs, path::PathBuf};

use harness_event::{Event, EventKind, Timestamp, Verdict, to_line, verdict::testkit};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use self::checker::check;
use crate::RunResult;

/// What a file holds, and which shape is published: what this version writes, or what it reads, old logs included.
#[derive(Clone, Copy)]
enum Shape {
    Written,
    Read,
}

fn schema<T: JsonSchema>(name: &str, title: &str, description: &str, shape: Shape) -> Value {
    let settings = SchemaSettings::draft2020_12();
    let settings = match shape {
        Shape::Written => settings.for_serialize(),
        Shape::Read => settings.for_deserialize(),
    };
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    schema["$id"] = json!(name);
    schema["title"] = json!(title);
    schema["description"] = json!(description);
    schema
}

fn result() -> Value {
    schema::<RunResult>(
        "result.schema.json",
        "result.json of the SRE test harness, version 1",
        "The verdict of a run for programs. Lengths of time are milliseconds. Within a version, fields are only added.",
        Shape::Written,
    )
}

fn event() -> Value {
    schema::<Event>(
        "event.schema.json",
        "A line of events.ndjson of the SRE test harness, version 1",
        "One fact of a run. The log has one a line, in the order of seq; the first is run_started. Lengths of time are milliseconds. \
         Within a version, kinds and fields are only added.",
        Shape::Read,
    )
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema")).join(name)
}

fn is_up_to_date(name: &str, schema: &Value) {
    let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file(name), &text).unwrap();
    }
    let published = fs::read_to_string(file(name)).unwrap_or_default();
    assert!(published == text, "docs/schema/{name} is not up to date: run this test with UPDATE_DOCS=1");
}

#[test]
fn the_published_schemas_are_those_of_the_types() {
    is_up_to_date("result.schema.json", &result());
    is_up_to_date("event.schema.json", &event());
}

fn runs() -> Vec<Vec<Event>> {
    let refused = vec![
        testkit::run_started(testkit::plan()).kind,
        EventKind::RunRefused { problems: vec!["no rule".to_owned()] },
    ];
    [testkit::passing_run(), testkit::surge_run(), refused].into_iter().map(testkit::log).collect()
}

#[test]
fn what_is_written_is_as_the_schema_says() {
    let (result, event) = (result(), event());
    for events in runs() {
        let one = RunResult::of(&events, &Verdict::of(&events)).unwrap();
        check(&result, &serde_json::from_str(&one.to_json().unwrap()).unwrap()).unwrap();
        for one in &events {
            check(&event, &serde_json::from_str(&to_line(one).unwrap()).unwrap()).unwrap();
        }
    }
    // What JSON has no number for is text.
    let samples =
        vec![harness_event::Sample { at: Timestamp(0), values: vec![1.0, f64::NAN, f64::INFINITY] }];
    let kind = EventKind::PromqlRead { expectation: "x".to_owned(), samples, error: None };
    let one = testkit::log(vec![kind]).remove(0);
    check(&event, &serde_json::from_str(&to_line(&one).unwrap()).unwrap()).unwrap();
}

#[test]
fn what_is_wrong_is_not_as_the_schema_says() {
    let events = testkit::log(testkit::surge_run());
    let good = serde_json::to_value(RunResult::of(&events, &Verdict::of(&events)).unwrap()).unwrap();
    let schema = result();
    check(&schema, &good).unwrap();
    for (path, wrong) in [
        ("/verdict/outcome", json!("perfect")),
        ("/started_at", json!(5)),
        ("/verdict/checks/0/measured", json!("5s")),
        ("/exit_code", json!(300)),
        ("/loads/0/figures/0/phase", json!("dawn")),
        ("/slos/0/windows", json!(null)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = wrong;
        assert!(check(&schema, &bad).is_err(), "{path}");
    }
    for field in ["verdict", "loads", "timing", "compressed"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(field);
        assert!(check(&schema, &bad).is_err(), "{field}");
    }
    let mut bad = serde_json::to_value(&events[0]).unwrap();
    bad["event"] = json!("nothing_happened");
    assert!(check(&event(), &bad).is_err());
}

/// Logs of earlier versions have fewer fields.
#[test]
fn a_log_of_an_earlier_version_is_as_the_schema_says() {
    let pod = harness_event::ObservedPod::default();
    let one = testkit::log(vec![EventKind::PodObserved(pod)]).remove(0);
    let mut line = serde_json::to_value(one).unwrap();
    for field in ["namespace", "ready_containers", "containers", "owner", "node", "created_at", "message"] {
        line.as_object_mut().unwrap().remove(field);
    }
    check(&event(), &line).unwrap();
}
