//! What can be read of a damaged log: for looking at, never for judging.

use std::io::BufRead;

use crate::{Event, EventKind, FORMAT_VERSION, ReadError};

/// What is left of a log.
#[derive(Clone, Debug)]
pub struct SalvagedLog {
    /// Its events that can be read, in their order.
    pub events: Vec<Event>,
    /// What is wrong with it, for people; empty if nothing is.
    pub problems: Vec<String>,
    /// Only its last line is incomplete, or nothing is wrong: then it can be judged.
    pub can_be_judged: bool,
}

/// Problems that are told one by one.
const TOLD: usize = 10;

/// Reads what can be read: damaged lines and gaps are said and passed over.
///
/// # Errors
/// If nothing can be shown of it: it cannot be read, it does not begin with `run_started`, or it is of a newer format.
pub fn salvage_log(mut input: impl BufRead) -> Result<SalvagedLog, ReadError> {
    let (mut events, mut line, mut number) = (Vec::<Event>::new(), Vec::new(), 0);
    let (mut problems, mut torn) = (Vec::new(), false);
    // Lines that were left out: they explain a gap.
    let mut left_out = 0;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        torn = !line.ends_with(b"\n");
        if torn {
            break;
        }
        match serde_json::from_slice::<Event>(&line) {
            Ok(event) => {
                let expected = events.last().map_or(0, |last| last.seq + 1);
                if event.seq < expected {
                    problems.push(format!("line {number} is out of order and was left out"));
                    continue;
                }
                match (event.seq - expected).saturating_sub(std::mem::take(&mut left_out)) {
                    0 => {}
                    1 => problems.push(format!("line {number}: the event before it is missing")),
                    many => problems.push(format!("line {number}: {many} events before it are missing")),
                }
                events.push(event);
            }
            Err(source) if events.is_empty() => {
                return Err(
                    crate::wire::newer_format(&line).unwrap_or(ReadError::Damaged { line: number, source })
                );
            }
            Err(_) => {
                left_out += 1;
                problems.push(format!("line {number} is damaged and was left out"));
            }
        }
    }
    match events.first().map(|event| &event.kind) {
        Some(EventKind::RunStarted { format, .. }) if *format > FORMAT_VERSION => {
            return Err(ReadError::TooNew { found: *format });
        }
        Some(EventKind::RunStarted { .. }) => {}
        _ => return Err(ReadError::NoStart),
    }
    let can_be_judged = problems.is_empty();
    if problems.len() > TOLD {
        let more = problems.len() - TOLD;
        problems.truncate(TOLD);
        problems.push(format!("and {more} more"));
    }
    if torn {
        problems.push("the last line is incomplete and was left out: the run was interrupted".to_owned());
    }
    Ok(SalvagedLog { events, problems, can_be_judged })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{to_line, verdict::testkit};

    fn lines() -> Vec<String> {
        let events = testkit::log(testkit::passing_run());
        events.iter().map(|event| to_line(event).expect("an event is JSON")).collect()
    }

    #[test]
    fn a_whole_log_is_read_without_a_word() {
        let log = salvage_log(lines().concat().as_bytes()).unwrap();
        assert_eq!((log.events.len(), log.can_be_judged), (lines().len(), true));
        assert!(log.problems.is_empty());
    }

    #[test]
    fn what_is_damaged_is_said_and_the_rest_is_there() {
        let mut lines = lines();
        lines[3] = "{\"seq\":3,\"at\"\n".to_owned();
        lines.remove(6);
        let torn = lines.concat();
        let log = salvage_log(&torn.as_bytes()[..torn.len() - 2]).unwrap();
        assert_eq!(log.events.len(), lines.len() - 2);
        assert_eq!((log.can_be_judged, log.problems.len()), (false, 3), "{:?}", log.problems);
        let told = log.problems.join("\n");
        for text in ["line 4 is damaged", "line 7: the event before it is missing", "last line is incomplete"]
        {
            assert!(told.contains(text), "{text}: {told}");
        }
    }

    #[test]
    fn a_torn_end_can_be_judged_and_what_is_no_log_is_refused() {
        let text = lines().concat();
        let log = salvage_log(&text.as_bytes()[..text.len() - 1]).unwrap();
        assert_eq!((log.can_be_judged, log.problems.len()), (true, 1));
        assert!(matches!(salvage_log(&b""[..]), Err(ReadError::NoStart)));
        assert!(matches!(salvage_log(&b"hello\n"[..]), Err(ReadError::Damaged { line: 1, .. })));
        let newer = text.replace("\"format\":1", "\"format\":99");
        assert!(matches!(salvage_log(newer.as_bytes()), Err(ReadError::TooNew { found: 99 })));
    }
}
