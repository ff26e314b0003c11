//! Scenario files: TOML text to a checked [`Plan`](harness_event::Plan).
//!
//! ```text
//! text ── syntax ──▶ TOML with spans ── read ──▶ draft ── check ──▶ Scenario { plan, sha256, warnings }
//!            └──────────────────────────┴──────────────────┴─────▶ Diagnostics: every problem at once
//! ```
//!
//! What a person typed gets an answer that points at it: each problem has a line, a column, the source line with a marker
//! and, where one is known, the way out. The keys of the format are one table ([`schema`]); the reader, the defaults and the
//! reference in `docs/scenario-format.md` all come from it.
//!
//! No I/O happens here, and no input makes [`parse`] panic.

pub mod catalogue;
mod check;
mod diagnostic;
mod draft;
pub mod export;
mod parse;
mod problems;
mod read;
mod reader;
pub mod schema;
mod suggest;
mod syntax;
mod titles;
mod values;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use parse::{Scenario, parse};
