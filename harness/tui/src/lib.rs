//! The live terminal view of a run, and its replay.
//!
//! Everything on the screen is a function of [`harness_event::RunState`], which is a fold over the run's events: a recorded run
//! shows the same screens as a live one. This crate knows neither Kubernetes nor Prometheus: what it wants from them it asks of
//! its host by a [`Request`], and gets by a [`Reply`].
//!
//! ```text
//!   host ──▶ Sender ──▶ mailbox ──▶ run() ──▶ App::update ──▶ App::render ──▶ terminal
//!   keyboard ─────────────┘           └──▶ Request ──▶ host
//! ```
//!
//! Nothing waits for the terminal: the [`Sender`] never blocks, and the loop draws on demand, at most twenty times a second.

pub mod app;
pub mod gameday;
mod input;
pub mod keys;
pub mod limiter;
pub mod mailbox;
pub mod paint;
mod protocol;
pub mod replay;
mod run;
pub mod screen;
mod terminal;
#[cfg(test)]
pub(crate) mod testkit;
pub mod theme;
pub mod view;

pub use keys::Mode;
pub use mailbox::{Feed, Sender, channel};
pub use protocol::{
    Catalogue, CatalogueEntry, CatalogueField, FaultForm, FaultPreview, FieldInput, LoadChoice, Playback,
    ReplayCommand, Reply, Request,
};
pub use run::{Exit, Options, PROMPT, draw, drive, run};
pub use terminal::restore_terminal;
