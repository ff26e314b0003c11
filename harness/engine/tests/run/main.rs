//! Whole runs: an API server in this process, a real Prometheus and a real Alertmanager, and scripted load workers.

mod control;
mod fixture;
mod loads;
#[path = "../support/mod.rs"]
mod support;
mod worker;
