//! Service level objectives: specifications in Sloth's `prometheus/v1` format, the multi-window multi-burn-rate rules made
//! from them, and the compression of rules in time.
//!
//! This crate does no I/O.

pub mod compress;
mod duration;
pub mod history;
pub mod promql;
pub mod rules;
pub mod spec;
pub mod windows;

pub use self::duration::{DurationError, PromDuration};
