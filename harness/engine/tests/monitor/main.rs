//! The monitor module against a real Prometheus and a real Alertmanager.

#[path = "../support/mod.rs"]
mod support;

mod failures;
mod garbage;
mod lifecycle;
mod own_configuration;
mod preflight;
mod publish;
mod receiver;
mod relay;
mod routing;
