//! The controllers against the in-process API server, with a kubelet that only pretends: it binds pods, says that they run and
//! are ready, and ends them. Orders of states are compared with recordings of a real cluster (`tests/golden/watch`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod fixture;
mod ownership;
mod proxy;
mod rollout;
mod services;
