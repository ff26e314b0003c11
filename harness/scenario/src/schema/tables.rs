//! The tables of the format.

use super::{
    load::{LOAD, RATE},
    objectives::{EXPECT_AUTOSCALER, EXPECT_LOAD, EXPECT_SLO},
    types::{Key, Kind, Need, Table},
};

pub(super) const fn key(name: &'static str, kind: Kind, need: Need, doc: &'static str) -> Key {
    Key { name, kind, need, doc }
}

pub(super) const DAY: i64 = 24 * 3_600_000;
pub(super) const NONE: Need = Need::Optional("");
/// A deadline: zero would mean "before it can have happened".
pub(super) const DEADLINE: Kind = Kind::Duration(1, DAY);
pub(super) const REQUEST_TIMEOUT: Kind = Kind::Duration(1, 60_000);
/// Final answers only: 1xx never reach a client as the answer.
pub(super) const STATUS: Kind = Kind::Integer(200, 599);
pub(super) const FAULT_OF: Key = key(
    "fault",
    Kind::Name,
    Need::Optional("the only one; required if there are several"),
    "The fault, or the timed load, whose effect, or end, starts the clock.",
);

/// The top level.
pub static SCENARIO: Table = Table {
    header: "",
    doc: "The scenario itself.",
    keys: &[
        key("title", Kind::Line, Need::Required, "One line for people, at the top of every report."),
        key("description", Kind::Text, NONE, "Longer text: what is tested and why."),
        key(
            "namespace",
            Kind::Namespace,
            Need::Required,
            "Namespace of the system under test; workloads and pods are looked up in it.",
        ),
        key("monitoring", Kind::Table(&MONITORING), NONE, "Where the monitoring system is."),
        key("steady_state", Kind::Table(&STEADY_STATE), NONE, "What a healthy system looks like."),
        key(
            "compress",
            Kind::Integer(2, 3600),
            NONE,
            "Time compression that the scenario needs: how many seconds of the alert rules' own time pass in one second. Only the embedded stack can do that; the deadlines of the scenario are not compressed.",
        ),
        key(
            "history",
            Kind::Table(&HISTORY),
            NONE,
            "A healthy past of Prometheus, so that long windows rest on as much data as their names say.",
        ),
        key(
            "slos",
            Kind::SloIds,
            NONE,
            "SLOs that are watched, beside those that are expected something of.",
        ),
        key("probe", Kind::Tables(&PROBE), NONE, "Users of the system, watched one by one."),
        key(
            "load",
            Kind::Tables(&LOAD),
            NONE,
            "Many users of the system, watched by statistics: in the background, or as what happens to the system.",
        ),
        key("fault", Kind::Tables(&FAULT), Need::Optional("required without a timed load"), "What breaks."),
        key("expect", Kind::Table(&EXPECT), Need::Required, "What must be seen. At least one expectation."),
    ],
};

/// `history`
pub static HISTORY: Table = Table {
    header: "[history]",
    doc: "Before the run, the embedded stack's Prometheus starts anew with a past in which there were requests of every SLO that it has rules of, and no errors. Only the embedded stack can do that.",
    keys: &[
        key(
            "length",
            Kind::Duration(60_000, DAY),
            Need::Required,
            "How far it goes back from the beginning of the run. In real time: with `compress = 30`, 2h30m are 75 hours of the SLO's own.",
        ),
        key(
            "rate",
            Kind::Number(RATE.0, RATE.1),
            Need::Required,
            "Requests per second of each SLO: as many as the scenario's loads send before anything happens.",
        ),
    ],
};

/// `[monitoring]`
pub static MONITORING: Table = Table {
    header: "[monitoring]",
    doc: "Addresses of the monitoring system. The defaults are those of the embedded stack.",
    keys: &[
        key(
            "prometheus",
            Kind::Url,
            Need::Default("\"service://monitoring/prometheus:19090\""),
            "Prometheus. Remote read must be reachable (it is on by default).",
        ),
        key(
            "alertmanager",
            Kind::Url,
            Need::Default("\"service://monitoring/alertmanager:19093\""),
            "Alertmanager, API v2.",
        ),
        key(
            "receiver",
            Kind::Url,
            Need::Default("\"service://monitoring/alert-receiver:18099\""),
            "The alert receiver (`harness alert-receiver`) that an Alertmanager webhook sends to.",
        ),
    ],
};

/// `[steady_state]`
pub static STEADY_STATE: Table = Table {
    header: "[steady_state]",
    doc: "The steady state must hold for a while before the first fault, or nothing is broken at all; `recovery_within` asks for it again.",
    keys: &[
        key(
            "for",
            Kind::Duration(1, DAY),
            Need::Default("\"3s\""),
            "How long it must hold before the first fault (the baseline).",
        ),
        key("http", Kind::Tables(&STEADY_HTTP), NONE, "Addresses that answer as said."),
        key("promql", Kind::Tables(&STEADY_PROMQL), NONE, "Queries whose result satisfies a comparison."),
    ],
};

/// `[[steady_state.http]]`
pub static STEADY_HTTP: Table = Table {
    header: "[[steady_state.http]]",
    doc: "A GET answers as said.",
    keys: &[
        key("name", Kind::Name, Need::Required, "Name, unique among the checks of the steady state."),
        key("url", Kind::Url, Need::Required, "What is asked."),
        key("status", STATUS, Need::Default("200"), "Expected status code."),
        key("body_contains", Kind::Text, NONE, "Text that the first 512 bytes of the body must contain."),
        key("timeout", REQUEST_TIMEOUT, Need::Default("\"2s\""), "Time limit of one request."),
    ],
};

/// `[[steady_state.promql]]`
pub static STEADY_PROMQL: Table = Table {
    header: "[[steady_state.promql]]",
    doc: "Every series of an instant query satisfies the comparison, and there is at least one.",
    keys: &[
        key("name", Kind::Name, Need::Required, "Name, unique among the checks of the steady state."),
        key("query", Kind::Query, Need::Required, "What is asked."),
        key("is", Kind::Comparison, Need::Required, "What every value must satisfy."),
    ],
};

/// `[[probe]]`
pub static PROBE: Table = Table {
    header: "[[probe]]",
    doc: "An HTTP conversation that is repeated from the baseline to the end of the run, as a user of the system would have it.",
    keys: &[
        key("name", Kind::Name, Need::Required, "Name, unique among the probes."),
        key(
            "every",
            Kind::Duration(50, DAY),
            Need::Default("\"1s\""),
            "Time from the start of one round to the start of the next.",
        ),
        key(
            "setup",
            Kind::Tables(&PROBE_SETUP),
            NONE,
            "Steps done once, before the baseline. Each must answer as expected.",
        ),
        key("step", Kind::Tables(&PROBE_STEP), Need::Required, "Steps of one round, in order. At least one."),
    ],
};

const STEP_KEYS: &[Key] = &[
    key("name", Kind::Name, Need::Required, "Name, unique in its list of steps."),
    key(
        "method",
        Kind::Method,
        Need::Default("\"GET\""),
        "`GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`.",
    ),
    key("url", Kind::Url, Need::Required, "What is asked. May hold placeholders."),
    key("headers", Kind::Headers, NONE, "Request headers; values may hold placeholders."),
    key("json", Kind::Json, NONE, "Body, sent as JSON; texts in it may hold placeholders."),
    key("body", Kind::Text, NONE, "Body, sent as it is; may hold placeholders. Not together with `json`."),
    key("status", STATUS, Need::Default("200"), "Status code that a healthy system answers with."),
    key("timeout", REQUEST_TIMEOUT, Need::Default("\"2s\""), "Time limit of one request."),
];

/// `[[probe.setup]]`
pub static PROBE_SETUP: Table = Table {
    header: "[[probe.setup]]",
    doc: "A request that prepares the rounds, such as registering the user who logs in in each of them. Same keys as `[[probe.step]]`.",
    keys: STEP_KEYS,
};

/// `[[probe.step]]`
pub static PROBE_STEP: Table =
    Table { header: "[[probe.step]]", doc: "One request of a round.", keys: STEP_KEYS };

/// `[[fault]]`
pub static FAULT: Table = Table {
    header: "[[fault]]",
    doc: "Something that breaks, and is put right again. Exactly one of `scale`, `delete_pods` and `restart` says what.",
    keys: &[
        key("name", Kind::Name, Need::Required, "Name, unique among the faults and loads."),
        key(
            "start",
            Kind::Duration(0, DAY),
            Need::Default("\"0s\""),
            "When it is applied, counted from the end of the baseline.",
        ),
        key(
            "duration",
            DEADLINE,
            Need::Required,
            "For how long, counted from its effect; then it is reverted. `delete_pods` and `restart` have nothing to revert: there it is the length of the time that `during` looks at.",
        ),
        key(
            "effect_within",
            DEADLINE,
            Need::Default("\"10s\""),
            "How soon after the API call the effect must be seen. If it is not, the run proves nothing and is inconclusive.",
        ),
        key("scale", Kind::Table(&FAULT_SCALE), NONE, "Sets the replicas of a workload."),
        key("delete_pods", Kind::Table(&FAULT_DELETE_PODS), NONE, "Deletes pods."),
        key("restart", Kind::Table(&FAULT_RESTART), NONE, "Restarts a rollout."),
    ],
};

/// `scale` of a fault
pub static FAULT_SCALE: Table = Table {
    header: "[fault.scale]",
    doc: "Sets the replicas of a workload; reverted to the number found before.",
    keys: &[
        key("workload", Kind::Workload, Need::Required, "The workload."),
        key("replicas", Kind::Integer(0, 10_000), Need::Required, "Wanted number."),
    ],
};

/// `delete_pods` of a fault
pub static FAULT_DELETE_PODS: Table = Table {
    header: "[fault.delete_pods]",
    doc: "Deletes pods; their controller replaces them.",
    keys: &[
        key("selector", Kind::Selector, Need::Required, "Which pods. No match is an error of the run."),
        key("count", Kind::Integer(1, 10_000), Need::Optional("all that match"), "How many of them."),
        key(
            "grace_period_seconds",
            Kind::Integer(0, 86_400),
            Need::Optional("the pod's own"),
            "Time between SIGTERM and SIGKILL, in seconds. `0` kills at once.",
        ),
    ],
};

/// `restart` of a fault
pub static FAULT_RESTART: Table = Table {
    header: "[fault.restart]",
    doc: "Restarts a rollout, as `kubectl rollout restart` does.",
    keys: &[key("workload", Kind::Workload, Need::Required, "The workload.")],
};

/// `[expect]`
pub static EXPECT: Table = Table {
    header: "[expect]",
    doc: "What must be seen. Beside what stands here, a run always fails if an alert becomes active that is neither expected nor allowed.",
    keys: &[
        key(
            "recovery_within",
            DEADLINE,
            NONE,
            "The whole steady state holds again by this time after the revert of the last fault began, and stays so.",
        ),
        key(
            "allow_alerts",
            Kind::AlertMatchers,
            NONE,
            "Alerts that may become active although no expectation names them. `alert` and any labels.",
        ),
        key("alert", Kind::Tables(&EXPECT_ALERT), NONE, "An alert goes through its states in time."),
        key("http", Kind::Tables(&EXPECT_HTTP), NONE, "A step of a probe is answered as said."),
        key("promql", Kind::Tables(&EXPECT_PROMQL), NONE, "A query's result satisfies a comparison."),
        key("workload", Kind::Tables(&EXPECT_WORKLOAD), NONE, "A workload is ready again in time."),
        key("load", Kind::Tables(&EXPECT_LOAD), NONE, "The statistics of a load satisfy comparisons."),
        key("autoscaler", Kind::Tables(&EXPECT_AUTOSCALER), NONE, "An autoscaler follows the load."),
        key("slo", Kind::Tables(&EXPECT_SLO), NONE, "An error budget is not spent too fast."),
    ],
};

/// `[[expect.alert]]`
pub static EXPECT_ALERT: Table = Table {
    header: "[[expect.alert]]",
    doc: "An alert goes through its states in time. Each deadline given is one expectation; at least one is needed.",
    keys: &[
        key("alert", Kind::AlertName, Need::Required, "Value of the `alertname` label, exactly."),
        key("labels", Kind::Matchers, NONE, "Further labels that it must have."),
        FAULT_OF,
        key(
            "pending_within",
            DEADLINE,
            NONE,
            "Deadline of pending, from the fault's effect. A rule without `for` fires at once, which satisfies this too.",
        ),
        key("firing_within", DEADLINE, NONE, "Deadline of firing, from the fault's effect."),
        key(
            "delivered_within",
            DEADLINE,
            NONE,
            "Deadline of the notification's arrival at the receiver, from the fault's effect.",
        ),
        key(
            "receiver",
            Kind::Line,
            Need::Optional("required with `delivered_within`"),
            "Receiver that must be told, by its name in Alertmanager's configuration.",
        ),
        key("resolved_within", DEADLINE, NONE, "Deadline of resolved, from the end of the fault."),
    ],
};

/// `[[expect.http]]`
pub static EXPECT_HTTP: Table = Table {
    header: "[[expect.http]]",
    doc: "The expected answer comes by the deadline, and from then on every answer in the window is so.",
    keys: &[
        key("name", Kind::Name, Need::Required, "Name, unique among the HTTP expectations."),
        key("probe", Kind::Name, Need::Required, "The probe."),
        key("step", Kind::Name, Need::Required, "One of its steps."),
        FAULT_OF,
        key("window", Kind::Window, Need::Required, "Where to look."),
        key("status", STATUS, Need::Required, "Expected status code."),
        key("body_contains", Kind::Text, NONE, "Text that the first 512 bytes of the body must contain."),
        key(
            "within",
            Kind::Duration(0, DAY),
            Need::Default("\"0s\""),
            "Deadline of the first expected answer, from the window's start. Zero: every answer in the window, `during` also what the fault's call breaks before its effect is seen.",
        ),
        key("max_latency", DEADLINE, NONE, "Longest answer time allowed."),
    ],
};

/// `[[expect.promql]]`
pub static EXPECT_PROMQL: Table = Table {
    header: "[[expect.promql]]",
    doc: "A condition on Prometheus' own samples. Exactly one of `within`, `stays` and `until` says when it must hold.",
    keys: &[
        key("name", Kind::Name, Need::Required, "Name, unique among the PromQL expectations."),
        key("query", Kind::Query, Need::Required, "What is asked."),
        key("is", Kind::Comparison, Need::Required, "What every series of the result must satisfy."),
        FAULT_OF,
        key("window", Kind::Window, Need::Required, "Where to look."),
        key(
            "within",
            DEADLINE,
            NONE,
            "Holds at one evaluation at least, by this time after the window's start.",
        ),
        key("stays", DEADLINE, NONE, "Holds at every evaluation of this length from the window's start."),
        key(
            "until",
            DEADLINE,
            NONE,
            "May hold at first; from this time after the window's start on it does not hold any more.",
        ),
    ],
};

/// `[[expect.workload]]`
pub static EXPECT_WORKLOAD: Table = Table {
    header: "[[expect.workload]]",
    doc: "A workload has its ready replicas again in time.",
    keys: &[
        key("workload", Kind::Workload, Need::Required, "The workload."),
        key("ready", Kind::Integer(1, 10_000), Need::Required, "At least so many ready replicas."),
        key("within", DEADLINE, Need::Required, "Deadline, from the beginning of the revert."),
        FAULT_OF,
    ],
};
