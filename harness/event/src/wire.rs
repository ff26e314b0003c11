//! The log's format: one JSON object a line (NDJSON), in the order of `seq`.

use std::io::{self, BufRead};

use crate::{Event, EventKind};

/// Version of the log's format, written in `RunStarted`. A reader refuses newer ones.
pub const FORMAT_VERSION: u32 = 1;

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("could not read the event log")]
    Io(#[from] io::Error),
    /// A line in the middle is not an event: the log is damaged.
    #[error("line {line} of the event log is damaged")]
    Damaged {
        /// Line number, from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Events are missing or out of order.
    #[error(
        "line {line} of the event log has number {found} where {expected} must stand: events are missing"
    )]
    Gap {
        /// Line number, from 1.
        line: usize,
        /// What `seq` should be.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// The log does not begin with `run_started`.
    #[error("the event log does not begin with a run_started event")]
    NoStart,
    /// Written by a newer harness.
    #[error("the event log has format {found}; this harness reads up to {FORMAT_VERSION}")]
    TooNew {
        /// Format of the log.
        found: u32,
    },
}

/// A log as read.
#[derive(Clone, Debug)]
pub struct ReadLog {
    /// Its events.
    pub events: Vec<Event>,
    /// The last line was incomplete, as a crash in the middle of a write leaves it; it was left out.
    pub torn: bool,
}

/// One event as a line with its newline.
///
/// # Errors
/// If the event cannot be written as JSON, which no event of ours does.
pub fn to_line(event: &Event) -> Result<String, serde_json::Error> {
    let mut line = serde_json::to_string(event)?;
    line.push('\n');
    Ok(line)
}

/// Reads a whole log.
///
/// # Errors
/// See [`ReadError`]. A torn last line is not an error.
pub fn read_log(mut input: impl BufRead) -> Result<ReadLog, ReadError> {
    let (mut events, mut line, mut number) = (Vec::<Event>::new(), Vec::new(), 0);
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        if !line.ends_with(b"\n") {
            // Also if only the newline is missing: what goes on with the log cuts it off after the last newline.
            return finish(events, true);
        }
        let event: Event = match serde_json::from_slice(&line) {
            Ok(event) => event,
            Err(source) => {
                return Err(newer_format(&line).unwrap_or(ReadError::Damaged { line: number, source }));
            }
        };
        let expected = events.len() as u64;
        if event.seq != expected {
            return Err(ReadError::Gap { line: number, expected, found: event.seq });
        }
        events.push(event);
    }
    finish(events, false)
}

fn finish(events: Vec<Event>, torn: bool) -> Result<ReadLog, ReadError> {
    match events.first().map(|event| &event.kind) {
        Some(EventKind::RunStarted { format, .. }) if *format > FORMAT_VERSION => {
            Err(ReadError::TooNew { found: *format })
        }
        Some(EventKind::RunStarted { .. }) => Ok(ReadLog { events, torn }),
        _ => Err(ReadError::NoStart),
    }
}

/// A first line that this version cannot read may be of a newer format: then that is the thing to say.
pub(crate) fn newer_format(line: &[u8]) -> Option<ReadError> {
    let found = serde_json::from_slice::<serde_json::Value>(line).ok()?.get("format")?.as_u64()?;
    let found = u32::try_from(found).ok()?;
    (found > FORMAT_VERSION).then_some(ReadError::TooNew { found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Millis, Timestamp, verdict::testkit};

    fn log_text() -> String {
        let note = Event {
            seq: 1,
            at: Timestamp(5),
            elapsed: Millis(5),
            kind: EventKind::Note { text: "x".into() },
        };
        [testkit::run_started(testkit::plan()), note].iter().map(|event| to_line(event).unwrap()).collect()
    }

    #[test]
    fn reads_back_what_was_written() {
        let log = read_log(log_text().as_bytes()).unwrap();
        assert_eq!((log.events.len(), log.torn), (2, false));
        assert_eq!(log.events[0], testkit::run_started(testkit::plan()));
    }

    /// A field of a kind that has the name of one of the envelope's would be written and not read.
    #[test]
    fn every_event_of_a_run_reads_back_as_it_was() {
        let extra = [
            EventKind::AlertSuppressed { labels: testkit::alert_labels(), by: "silence".into() },
            EventKind::AlertSeen {
                labels: testkit::alert_labels(),
                state: "firing".into(),
                active_at: Some(Timestamp(3)),
                value: Some("NaN".into()),
            },
            EventKind::AlertHistoryMissing { error: "refused".into() },
            EventKind::FaultApplyFailed { fault: "f".into(), error: "refused".into() },
            EventKind::FaultEffectMissing { fault: "f".into(), detail: "nothing".into() },
            EventKind::FaultRevertFailed { fault: "f".into(), error: "refused".into() },
            EventKind::InjectionSkipped { reason: "active".into() },
            EventKind::NotReady { component: "Prometheus".into(), reason: "refused".into() },
            EventKind::ObserverFailed { observer: "pods".into(), error: "refused".into() },
            EventKind::ObserverRecovered { observer: "pods".into() },
            EventKind::PhaseFinished { phase: crate::Phase::Heal },
            EventKind::PodObserved(crate::ObservedPod {
                pod: "p".into(),
                status: "Running".into(),
                restarts: 1,
                created_at: Some(Timestamp(2)),
                ..crate::ObservedPod::default()
            }),
            EventKind::PodsMeasured {
                sampled_at: Timestamp(1),
                pods: vec![crate::PodUsage {
                    namespace: "n".into(),
                    pod: "p".into(),
                    cpu_millicores: 5,
                    memory_bytes: 7,
                }],
            },
            EventKind::ClusterEventSeen(crate::ClusterEvent {
                namespace: "n".into(),
                object: "pod/p".into(),
                severity: "Warning".into(),
                reason: "BackOff".into(),
                message: "m".into(),
                count: 2,
                seen_at: Timestamp(4),
            }),
            EventKind::PodLogRead(crate::PodLog {
                namespace: "n".into(),
                pod: "p".into(),
                container: "c".into(),
                previous: true,
                why: "restarted".into(),
                read_at: Timestamp(9),
                lines: vec![crate::LogLine { written_at: None, text: "x".into() }],
                cut: false,
                error: None,
            }),
            EventKind::AlertRulesRead {
                rules: vec![crate::AlertRule {
                    alert: "A".into(),
                    group: "g".into(),
                    expression: "up == 0".into(),
                    pending_for: Millis(1),
                    keep_firing_for: Millis(0),
                    labels: testkit::alert_labels(),
                    annotations: std::collections::BTreeMap::new(),
                }],
            },
            EventKind::FaultRequested { spec: testkit::plan().faults[0].clone() },
            EventKind::FaultStopped { fault: "f".into() },
            EventKind::LoadRequested { spec: testkit::surge_plan().loads[0].clone() },
            EventKind::LoadStopped { load: "l".into() },
            EventKind::NoteWritten { text: "n".into() },
            EventKind::ProbeSetUp { probe: "p".into(), ok: true, detail: "1".into() },
            EventKind::PromqlRead {
                expectation: "promql/x".into(),
                samples: vec![crate::Sample { at: Timestamp(7), values: vec![1.5, f64::INFINITY] }],
                error: None,
            },
            EventKind::ReadinessProven { what: "targets".into() },
            EventKind::RunCancelled { reason: crate::CancelReason::Signal("SIGINT".into()) },
            EventKind::RunRefused { problems: vec!["no rule".into()] },
            EventKind::TargetConnected(crate::RunTarget {
                context: "c".into(),
                server: "s".into(),
                kubernetes: "v1".into(),
                prometheus: "2".into(),
                alertmanager: "0".into(),
            }),
            EventKind::BoundComputed(crate::DetectionBound {
                expectation: "e".into(),
                earliest: Millis(1),
                worst: Millis(2),
                terms: "t".into(),
            }),
        ];
        let events = testkit::log(testkit::passing_run().into_iter().chain(extra).collect());
        let text: String = events.iter().map(|event| to_line(event).unwrap()).collect();
        assert_eq!(read_log(text.as_bytes()).unwrap().events, events);
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_said() {
        let text = log_text();
        for lost in [4, 1] {
            let log = read_log(&text.as_bytes()[..text.len() - lost]).unwrap();
            assert_eq!((log.events.len(), log.torn), (1, true), "{lost} bytes lost");
        }
    }

    #[test]
    fn damage_in_the_middle_is_an_error_with_its_line() {
        let text = log_text().replacen("run_started", "run_st\u{fffd}", 1);
        assert!(matches!(read_log(text.as_bytes()), Err(ReadError::Damaged { line: 1, .. })));
        let missing = log_text().replace("\"seq\":1", "\"seq\":3");
        assert!(matches!(
            read_log(missing.as_bytes()),
            Err(ReadError::Gap { line: 2, expected: 1, found: 3 })
        ));
        assert!(matches!(read_log(&b""[..]), Err(ReadError::NoStart)));
        let newer = log_text().replace("\"format\":1", "\"format\":99");
        assert!(matches!(read_log(newer.as_bytes()), Err(ReadError::TooNew { found: 99 })));
    }
}
