//! Values of the format: what each [`Kind`](crate::schema::Kind) of key accepts.

mod address;
mod basic;
mod kubernetes;
mod matching;
mod request;

pub(crate) use address::{url, without_placeholders};
pub(crate) use basic::{duration, integer, line, name, one_of, text};
pub(crate) use kubernetes::{namespace, selector, workload};
pub(crate) use matching::{alert_name, comparison, matcher, matchers, query, suspicion};
pub(crate) use request::{body_part, headers, json, method, placeholder_text};
