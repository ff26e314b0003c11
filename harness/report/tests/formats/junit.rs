use std::{
    io::Write,
    process::{Command, Stdio},
};

use harness_event::{CheckOutcome, Event, Outcome, Verdict};
use harness_report::junit;
use quick_xml::{Reader, events::Event as Xml};

use super::runs;

fn of(events: &[Event]) -> String {
    junit(events, &Verdict::of(events)).unwrap()
}

/// The common subset of what CI systems read, see `junit.xsd`.
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/formats/junit.xsd");

/// `None` if there is no xmllint.
fn xmllint(xml: &str, schema: &str) -> Option<Result<(), String>> {
    let child = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema", schema, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut child = child.ok()?;
    child.stdin.take().unwrap().write_all(xml.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() { Ok(()) } else { Err(text) })
}

#[test]
fn every_outcome_is_valid_by_the_common_schema() {
    let mut all: Vec<_> = runs::every_outcome().iter().map(|(_, events)| of(events)).collect();
    all.extend(runs::EVIL.map(|evil| of(&runs::hostile(evil))));
    let schemas = [Some(SCHEMA.to_owned()), std::env::var("JUNIT_XSD").ok()];
    for schema in schemas.iter().flatten() {
        // A checker that finds nothing wrong with this would find nothing at all.
        let wrong = "<testsuites><testsuite name=\"x\"><case/></testsuite></testsuites>";
        match xmllint(wrong, schema) {
            None => {
                eprintln!("skipped: xmllint is not installed (Debian package libxml2-utils)");
                return;
            }
            Some(result) => assert!(result.is_err(), "{schema} finds nothing wrong"),
        }
        for xml in &all {
            if let Some(Err(error)) = xmllint(xml, schema) {
                panic!("{error}\n{xml}");
            }
        }
    }
}

/// Numbers of cases as the file says them and as they are.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

fn counts(xml: &str) -> (Counts, Counts) {
    let (mut said, mut seen) = (Counts::default(), Counts::default());
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().unwrap() {
            Xml::Eof => return (said, seen),
            Xml::Start(tag) | Xml::Empty(tag) => match tag.name().as_ref() {
                b"testsuite" => {
                    let number = |name: &str| {
                        let attribute = tag.try_get_attribute(name).unwrap().unwrap();
                        String::from_utf8(attribute.value.into_owned()).unwrap().parse().unwrap()
                    };
                    said = Counts {
                        tests: number("tests"),
                        failures: number("failures"),
                        errors: number("errors"),
                        skipped: number("skipped"),
                    };
                }
                b"testcase" => seen.tests += 1,
                b"failure" => seen.failures += 1,
                b"error" => seen.errors += 1,
                b"skipped" => seen.skipped += 1,
                _ => {}
            },
            _ => {}
        }
    }
}

#[test]
fn counts_are_those_of_the_verdict() {
    for (outcome, events) in runs::every_outcome() {
        let (said, seen) = counts(&of(&events));
        assert_eq!(said, seen, "{outcome}");
        let verdict = Verdict::of(&events);
        assert_eq!(seen.tests, verdict.checks.len() + 1, "{outcome}");
        let failed = verdict.checks.iter().filter(|check| check.outcome == CheckOutcome::Failed).count();
        assert_eq!(seen.failures, failed + usize::from(outcome == Outcome::Failed), "{outcome}");
        let green = seen.failures == 0 && seen.errors == 0;
        assert_eq!(green, matches!(outcome, Outcome::Passed | Outcome::Ended), "{outcome}");
        // A game day proves nothing: it is not shown as a test that passed.
        assert_eq!(seen.skipped, usize::from(outcome == Outcome::Ended), "{outcome}");
    }
}

#[test]
fn what_xml_cannot_hold_is_left_out() {
    for evil in runs::EVIL {
        let xml = of(&runs::hostile(evil));
        let (said, seen) = counts(&xml);
        assert_eq!(said, seen);
        assert!(!xml.chars().any(|c| c.is_control() && !"\n\r\t".contains(c)), "{xml:?}");
    }
}
