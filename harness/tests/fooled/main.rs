//! The harness must not be fooled: every way in which a run could look good, or leave something behind, without cause.
//!
//! Each test brings up the real stack and runs the real binary. They need the programs that `make tools` provides, and take
//! turns: two stacks at a time would measure each other.
#![allow(missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod campaign;
mod configuration;
mod evidence;
mod interrupted;
mod killed;
mod monitoring;
mod scenarios;
mod support;
mod surge;
mod targets;
