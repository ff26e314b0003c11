//! The kubelet with real processes, held to the orders of states that a real cluster showed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a failed test")]

mod cleanup;
mod configuration;
mod lifecycle;
mod limits;
mod node;
mod postgres;
mod support;
