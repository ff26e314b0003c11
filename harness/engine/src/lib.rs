//! engine.

pub mod monitor;
