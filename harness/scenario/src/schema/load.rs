//! The tables of loads.

use super::{
    tables::{DAY, DEADLINE, NONE, STATUS, key},
    types::{Kind, Need, Table},
};

/// Requests per second: from one in a quarter of an hour to more than any machine of today sends.
pub(crate) const RATE: (f64, f64) = (0.001, 1_000_000.0);

/// `[[load]]`
pub static LOAD: Table = Table {
    header: "[[load]]",
    doc: "Users that send requests, as many at a time as `users` says. A load in the background is there during the whole run. A timed load is something that happens to the system, as a fault is: expectations count from its start and from its end. It needs an end: `duration`, `requests`, or stages that all say `for`.",
    keys: &[
        key("name", Kind::Name, Need::Required, "Name, unique among the loads and faults."),
        key(
            "background",
            Kind::Boolean,
            Need::Default("false"),
            "True: from before the baseline to the end of the run. Then there is no `start`, no `duration` and no `requests`.",
        ),
        key(
            "start",
            Kind::Duration(0, DAY),
            Need::Default("\"0s\""),
            "When it begins, counted from the end of the baseline.",
        ),
        key("duration", DEADLINE, NONE, "How long it goes on."),
        key(
            "requests",
            Kind::Integer(1, 1_000_000_000),
            NONE,
            "Total of requests, over all users and steps; the load ends when they are done. With `duration` too, whichever comes first.",
        ),
        key(
            "users",
            Kind::Integer(1, 10_000),
            Need::Required,
            "Users at the same time. With a rate the most that may be in flight.",
        ),
        key(
            "ramp",
            Kind::Duration(0, DAY),
            Need::Default("\"0s\""),
            "Time over which the users are started, evenly.",
        ),
        key(
            "warm_up",
            Kind::Duration(0, DAY),
            Need::Default("\"0s\""),
            "Requests of this time at the beginning are counted apart: connections are made, caches are filled.",
        ),
        key(
            "rate",
            Kind::Number(RATE.0, RATE.1),
            Need::Optional("each user sends its next request when the last one is answered"),
            "Requests per second: an open model.",
        ),
        key("stages", Kind::Tables(&LOAD_STAGE), NONE, "Rate over time. Not together with `rate`."),
        key(
            "requests_per_connection",
            Kind::Integer(1, 1_000_000),
            Need::Optional("connections are kept"),
            "A connection is closed after so many requests, as clients that come and go would do it: a Service balances connections, not requests.",
        ),
        key("ca_file", Kind::Path, NONE, "Certificates of private authorities, PEM."),
        key(
            "order",
            Kind::Order,
            Need::Default("\"sequence\""),
            "`sequence`: each user goes through the steps in their order, again and again. `weighted`: each request is one of the steps, chosen by `weight`.",
        ),
        key(
            "setup",
            Kind::Tables(&LOAD_SETUP),
            NONE,
            "Steps done once before the load starts. Each must answer as expected; the values that they extract are known to every user.",
        ),
        key("step", Kind::Tables(&LOAD_STEP), Need::Required, "The requests. At least one."),
    ],
};

/// `stages` of a load
pub static LOAD_STAGE: Table = Table {
    header: "[[load.stages]]",
    doc: "A part of the rate's profile. One number for a constant rate, a second stage for a step, `to` for a ramp, three stages for a spike.",
    keys: &[
        key("rate", Kind::Number(0.0, RATE.1), Need::Required, "Requests per second at its beginning."),
        key(
            "to",
            Kind::Number(0.0, RATE.1),
            Need::Optional("as `rate`"),
            "Requests per second at its end; the rate goes there evenly.",
        ),
        key(
            "for",
            DEADLINE,
            Need::Optional("the last stage: until the load ends"),
            "Length. Only the last stage may do without.",
        ),
    ],
};

/// The keys of a request; `$more` are those that not every request has.
macro_rules! request_keys {
    ($part:expr $(, $more:expr)* $(,)?) => {
        &[
            key("name", Kind::Name, Need::Required, "Name, unique in its list of steps: in all statistics."),
            key(
                "method",
                Kind::Method,
                Need::Default("\"GET\""),
                "`GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`.",
            ),
            key("url", Kind::Url, Need::Required, "What is asked. May hold placeholders."),
            key("headers", Kind::Headers, NONE, "Request headers; values may hold placeholders."),
            key("json", Kind::Json, NONE, "Body, sent as `application/json`; texts in it may hold placeholders."),
            key("form", Kind::Form, NONE, "Body, sent as `application/x-www-form-urlencoded`; values may hold placeholders."),
            key("body", Kind::Text, NONE, "Body, sent as it is, as `text/plain` unless a header says otherwise; may hold placeholders."),
            key(
                "file",
                Kind::Path,
                NONE,
                "Body: the contents of a file, sent as `application/octet-stream` unless a header says otherwise.",
            ),
            key("multipart", Kind::Tables($part), NONE, "Body: parts, sent as `multipart/form-data`."),
            key(
                "extract",
                Kind::Extract,
                NONE,
                "Values to take from the answer: `${value.NAME}` in later steps of the same user.",
            ),
            key("status", STATUS, Need::Default("200"), "Status code that counts as success."),
            $($more,)*
            key("timeout", Kind::Duration(1, 60_000), Need::Default("\"5s\""), "Time limit of the whole request."),
        ]
    };
}

/// `[[load.setup]]`
pub static LOAD_SETUP: Table = Table {
    header: "[[load.setup]]",
    doc: "A request that prepares the load, such as uploading the picture that everybody looks at.",
    keys: request_keys!(&LOAD_SETUP_PART),
};

/// `[[load.step]]`
pub static LOAD_STEP: Table = Table {
    header: "[[load.step]]",
    doc: "One request of a user. At most one of `json`, `form`, `body`, `file` and `multipart` is its body.",
    keys: request_keys!(
        &LOAD_STEP_PART,
        key(
            "weight",
            Kind::Integer(1, 1_000_000),
            Need::Optional("`1`"),
            "Share of the requests, among the weights of all steps. With `order = \"weighted\"` only.",
        ),
        key(
            "think",
            Kind::Think(0, DAY),
            NONE,
            "Pause of the user after the answer: always the same, or a random time between two. Not with a rate.",
        ),
    ),
};

/// The keys of a part of a multipart body.
macro_rules! part_keys {
    () => {
        &[
            key("name", Kind::Line, Need::Required, "Name of the field."),
            key(
                "text",
                Kind::Text,
                NONE,
                "What is sent; may hold placeholders. Exactly one of `text` and `file`.",
            ),
            key("file", Kind::Path, NONE, "File whose contents are sent."),
            key("filename", Kind::Line, Need::Optional("the file's own"), "File name that is sent."),
            key("content_type", Kind::Line, NONE, "Media type that is sent."),
        ]
    };
}

/// `multipart` of a setup step
pub static LOAD_SETUP_PART: Table = Table {
    header: "[[load.setup.multipart]]",
    doc: "One part of the body. Same keys as `[[load.step.multipart]]`.",
    keys: part_keys!(),
};

/// `multipart` of a step
pub static LOAD_STEP_PART: Table =
    Table { header: "[[load.step.multipart]]", doc: "One part of the body.", keys: part_keys!() };
