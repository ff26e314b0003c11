//! Values of the format: what each [`Kind`](crate::schema::Kind) of key accepts.

mod address;
mod basic;
mod kubernetes;
mod load;
mod matching;
mod measure;
mod request;

pub(crate) use address::{url, without_placeholders};
pub(crate) use basic::{boolean, duration, integer, line, name, number, one_of, text};
pub(crate) use kubernetes::{namespace, object_name, selector, workload};
pub(crate) use load::{extractions, form, media_type, path, think};
pub(crate) use matching::{alert_name, comparison, matcher, matchers, query, suspicion};
pub(crate) use measure::{latency_comparison, ratio_comparison, share, slo_id, slo_ids, slo_window};
pub(crate) use request::{Scope, body_part, extracted_values, headers, json, method, placeholder_text};
