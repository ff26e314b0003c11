//! The live terminal view of a run, and its replay.
//!
//! Everything on the screen is a function of [`harness_event::RunState`], which is a fold over the run's events: a recorded run
//! shows the same screens as a live one. This crate knows neither Kubernetes nor Prometheus: what it wants from them it asks of
//! its host by a [`Request`], and gets by a [`Reply`].

mod protocol;

pub use protocol::{
    Catalogue, CatalogueEntry, CatalogueField, FaultForm, FaultPreview, FieldInput, LoadChoice, Reply,
    Request,
};
