//! The tables of what is expected of loads, autoscalers and SLOs.

use super::{
    tables::{DEADLINE, FAULT_OF, NONE, key},
    types::{Key, Kind, Need, Table},
};

const LOAD_OF: Key =
    key("load", Kind::Name, NONE, "The same as `fault`, for a timed load: where that reads better.");

/// `[[expect.load]]`
pub static EXPECT_LOAD: Table = Table {
    header: "[[expect.load]]",
    doc: "The statistics of a load in a part of the run. Each comparison is one expectation; at least one is needed.",
    keys: &[
        key("load", Kind::Name, Need::Required, "The load."),
        key("step", Kind::Name, Need::Optional("all of them"), "One of its steps."),
        key(
            "phase",
            Kind::Phase,
            Need::Default("\"during\""),
            "Which of its requests: `before` until the first fault or timed load begins, `during` until the last one has ended, `after` from then on, `warm_up` those of the load's own warm-up. A request belongs to the phase in which it starts, or with a rate should start.",
        ),
        key("requests", Kind::Comparison, NONE, "Number of requests."),
        key("rate", Kind::Comparison, NONE, "Requests per second."),
        key(
            "error_ratio",
            Kind::RatioComparison,
            NONE,
            "Share of the requests that were not answered as expected.",
        ),
        key("p50", Kind::LatencyComparison, NONE, "Median latency, to the complete answer."),
        key("p90", Kind::LatencyComparison, NONE, "90th percentile."),
        key("p95", Kind::LatencyComparison, NONE, "95th percentile."),
        key("p99", Kind::LatencyComparison, NONE, "99th percentile."),
        key("p999", Kind::LatencyComparison, NONE, "99.9th percentile."),
        key("max", Kind::LatencyComparison, NONE, "Largest latency."),
    ],
};

/// `[[expect.autoscaler]]`
pub static EXPECT_AUTOSCALER: Table = Table {
    header: "[[expect.autoscaler]]",
    doc: "What a HorizontalPodAutoscaler does. Each key beside `autoscaler`, `fault` and `load` is one expectation; at least one is needed.",
    keys: &[
        key(
            "autoscaler",
            Kind::ObjectName,
            Need::Required,
            "Name of the HorizontalPodAutoscaler, in the scenario's namespace.",
        ),
        FAULT_OF,
        LOAD_OF,
        key("scales_up", Kind::Table(&SCALES_UP), NONE, "It adds replicas in time, and they get ready."),
        key(
            "ready_lag",
            DEADLINE,
            NONE,
            "Whenever it asks for more replicas, they are ready after this time at the latest, unless it asks for fewer before.",
        ),
        key(
            "direction_changes",
            Kind::Integer(0, 1000),
            NONE,
            "The number of wanted replicas goes from up to down, or from down to up, at most so often in the run. Once is a surge that comes and goes; more is flapping.",
        ),
        key("scales_down", Kind::Table(&SCALES_DOWN), NONE, "It takes replicas away again in time."),
        key(
            "keeps_budget",
            Kind::ObjectName,
            NONE,
            "Name of a PodDisruptionBudget that has at least the healthy pods that it demands, in the whole run.",
        ),
    ],
};

/// `scales_up` of an autoscaler
pub static SCALES_UP: Table = Table {
    header: "[expect.autoscaler.scales_up]",
    doc: "So many replicas are ready in time, and it was the autoscaler that asked for them.",
    keys: &[
        key("to", Kind::Integer(2, 10_000), Need::Optional("its `maxReplicas`"), "At least so many."),
        key(
            "within",
            DEADLINE,
            Need::Required,
            "Deadline, from the start of the load or the effect of the fault.",
        ),
    ],
};

/// `scales_down` of an autoscaler
pub static SCALES_DOWN: Table = Table {
    header: "[expect.autoscaler.scales_down]",
    doc: "Not more than so many replicas in time, by the autoscaler itself, and no more until the run ends.",
    keys: &[
        key("to", Kind::Integer(1, 10_000), Need::Optional("its `minReplicas`"), "At most so many."),
        key("within", DEADLINE, Need::Required, "Deadline, from the end of the load or fault."),
    ],
};

/// `[[expect.slo]]`
pub static EXPECT_SLO: Table = Table {
    header: "[[expect.slo]]",
    doc: "What happens to an error budget from the effect of the first fault, or the start of the first timed load, to the end of the run. `burn` and `budget_spent_below` are one expectation each; at least one is needed.",
    keys: &[
        key(
            "slo",
            Kind::SloId,
            Need::Required,
            "The SLO by its `sloth_id`: service and name, with `-` between them.",
        ),
        key("burn", Kind::Table(&SLO_BURN), NONE, "The burn rate over a window stays low."),
        key(
            "budget_spent_below",
            Kind::Share,
            NONE,
            "The run spends at most this share of the error budget of the SLO's period: `\"2%\"`, or `0.02`.",
        ),
        key(
            "min_requests",
            Kind::Integer(1, 1_000_000_000),
            Need::Default("100"),
            "With fewer requests in the run a ratio proves nothing: inconclusive.",
        ),
    ],
};

/// `burn` of an SLO
pub static SLO_BURN: Table = Table {
    header: "[expect.slo.burn]",
    doc: "A burn rate of 1 spends exactly the error budget in the SLO's period.",
    keys: &[
        key(
            "window",
            Kind::SloWindow,
            Need::Required,
            "One of the SLO's windows, in the SLO's own time: not compressed.",
        ),
        key("below", Kind::Number(0.0, 1_000_000.0), Need::Required, "Largest burn rate allowed."),
    ],
};
