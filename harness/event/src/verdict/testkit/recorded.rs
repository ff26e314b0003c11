//! A run as it was recorded.

use crate::Event;

/// Every event of a real run of `slo-fast-burn` on the embedded stack, with compressed time: a fault, two loads, an SLO whose two
/// alerts fire, are delivered and resolve. Half of its steady-state checks are left out. It passed.
pub fn recorded_run() -> Vec<Event> {
    let text = include_bytes!("../../../fixtures/slo-fast-burn.ndjson");
    crate::read_log(text.as_slice()).expect("the recorded run is a complete log").events
}
