//! The trace's records.

use std::collections::BTreeMap;

use harness_event::{Event, EventKind, Millis, Timestamp, Verdict};
use serde_json::{Map, Value, json};

use crate::timeline::Timeline;

/// A kind of thing: a process of the trace. The number is its place on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Run = 1,
    Faults = 2,
    Loads = 3,
    Alerts = 4,
    Notifications = 5,
    Expectations = 6,
    Pods = 7,
    Replicas = 8,
    Slos = 9,
}

impl Group {
    const ALL: [Self; 9] = [
        Self::Run,
        Self::Faults,
        Self::Loads,
        Self::Alerts,
        Self::Notifications,
        Self::Expectations,
        Self::Pods,
        Self::Replicas,
        Self::Slos,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Faults => "faults",
            Self::Loads => "loads",
            Self::Alerts => "alerts",
            Self::Notifications => "notifications",
            Self::Expectations => "expectations",
            Self::Pods => "pods",
            Self::Replicas => "replicas",
            Self::Slos => "error budgets",
        }
    }
}

/// How a span looks in viewers that know reserved colour names. The name says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Good,
    Warn,
    Bad,
}

impl Look {
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("good"),
            Self::Warn => Some("bad"),
            Self::Bad => Some("terrible"),
        }
    }
}

/// A place in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Track {
    group: Group,
    thread: u32,
}

/// Both ends of a span.
pub(super) type Span = (Timestamp, Timestamp);

/// Shortest span that can be seen and clicked at: a notification has no length of its own.
const MOMENT: Millis = Millis(1);

/// A trace under construction.
pub(super) struct Trace {
    pub(super) timeline: Timeline,
    threads: BTreeMap<(Group, String), u32>,
    records: Vec<(i64, Value)>,
    flows: u64,
}

impl Trace {
    pub(super) fn new(events: &[Event]) -> Self {
        Self { timeline: Timeline::of(events), threads: BTreeMap::new(), records: Vec::new(), flows: 0 }
    }

    /// The track of a thing; the same name gives the same track.
    pub(super) fn track(&mut self, group: Group, name: &str) -> Track {
        let key = (group, name.to_owned());
        if let Some(thread) = self.threads.get(&key) {
            return Track { group, thread: *thread };
        }
        let thread = self.threads.keys().filter(|(one, _)| *one == group).count() as u32 + 1;
        self.threads.insert(key, thread);
        Track { group, thread }
    }

    /// Microseconds since the first event.
    fn micros(&self, at: Timestamp) -> i64 {
        self.timeline.since_start(at).0.saturating_mul(1000)
    }

    fn push(&mut self, ts: i64, mut record: Value) {
        record["ts"] = json!(ts);
        self.records.push((ts, record));
    }

    /// Something that takes time. An end before the beginning, as clocks that disagree give it, is a span without length.
    pub(super) fn span(&mut self, track: Track, name: &str, (from, to): Span, look: Look, args: Value) {
        let (ts, end) = (self.micros(from), self.micros(to));
        let mut record = json!({
            "ph": "X",
            "name": name,
            "cat": track.group.name(),
            "pid": track.group as u32,
            "tid": track.thread,
            "dur": (end - ts).max(0),
            "args": args,
        });
        if let Some(color) = look.name() {
            record["cname"] = json!(color);
        }
        self.push(ts, record);
    }

    /// Something that happens at once, of one track.
    pub(super) fn instant(&mut self, track: Track, name: &str, at: Timestamp, args: Value) {
        let record = json!({
            "ph": "i",
            "s": "t",
            "name": name,
            "cat": track.group.name(),
            "pid": track.group as u32,
            "tid": track.thread,
            "args": args,
        });
        self.push(self.micros(at), record);
    }

    /// A moment that a flow can lead to.
    pub(super) fn moment(&mut self, track: Track, name: &str, at: Timestamp, look: Look, args: Value) {
        self.span(track, name, (at, at + MOMENT), look, args);
    }

    /// Numbers at a time, drawn as one chart. Numbers that JSON cannot write are left out.
    pub(super) fn counter(&mut self, group: Group, name: &str, at: Timestamp, values: &[(&str, f64)]) {
        let values: Map<String, Value> = values
            .iter()
            .filter(|(_, value)| value.is_finite())
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        if values.is_empty() {
            return;
        }
        let record = json!({
            "ph": "C",
            "name": name,
            "cat": group.name(),
            "pid": group as u32,
            "tid": 0,
            "args": values,
        });
        self.push(self.micros(at), record);
    }

    /// From a span to a later one.
    pub(super) fn flow(&mut self, name: &str, from: (Track, Timestamp), to: (Track, Timestamp)) {
        if to.1 < from.1 {
            return;
        }
        self.flows += 1;
        let id = self.flows;
        for (phase, (track, at)) in [("s", from), ("f", to)] {
            let mut record = json!({
                "ph": phase,
                "id": id,
                "name": name,
                "cat": "told",
                "pid": track.group as u32,
                "tid": track.thread,
            });
            if phase == "f" {
                // Binds to the span around it, not to the next one.
                record["bp"] = json!("e");
            }
            self.push(self.micros(at), record);
        }
    }

    /// The file: names of tracks first, then everything in order of time.
    pub(super) fn into_json(
        mut self,
        events: &[Event],
        verdict: &Verdict,
    ) -> Result<String, serde_json::Error> {
        let mut all = self.names();
        self.records.sort_by_key(|(ts, _)| *ts);
        all.extend(self.records.into_iter().map(|(_, record)| record));
        let harness = match events.first().map(|event| &event.kind) {
            Some(EventKind::RunStarted { harness, .. }) => harness.as_str(),
            _ => "",
        };
        let file = json!({
            "displayTimeUnit": "ms",
            "otherData": {
                "run": self.timeline.run,
                "scenario": self.timeline.scenario,
                "title": self.timeline.title,
                "started_at": self.timeline.from,
                "outcome": verdict.outcome.to_string(),
                "harness": harness,
            },
            "traceEvents": all,
        });
        serde_json::to_string(&file).map(|text| text + "\n")
    }

    fn names(&self) -> Vec<Value> {
        let used: Vec<_> = self.records.iter().filter_map(|(_, record)| record["pid"].as_u64()).collect();
        let mut names = Vec::new();
        let meta = |pid: u32, tid: u32, kind: &str, args: Value| json!({ "ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0, "args": args });
        for group in Group::ALL {
            let pid = group as u32;
            if !used.contains(&u64::from(pid)) {
                continue;
            }
            names.push(meta(pid, 0, "process_name", json!({ "name": group.name() })));
            names.push(meta(pid, 0, "process_sort_index", json!({ "sort_index": pid })));
            let mut threads: Vec<_> = self.threads.iter().filter(|((one, _), _)| *one == group).collect();
            threads.sort_by_key(|(_, thread)| **thread);
            for ((_, name), thread) in threads {
                names.push(meta(pid, *thread, "thread_name", json!({ "name": name })));
                names.push(meta(pid, *thread, "thread_sort_index", json!({ "sort_index": thread })));
            }
        }
        names
    }
}
