//! Game days: dialogs to inject faults and to start and stop loads by hand.
//!
//! ```text
//!   i ──▶ kinds ──Enter──▶ form ──Enter──▶ plan ──y──▶ injected        o ──▶ loads ──Enter──▶ start or stop?
//!                           ▲  Esc           │
//!                           └────────────────┘  also with every problem that the host finds in the form
//! ```
//!
//! Seams to the rest of the view: [`act`] gets every action that no view took, [`key`] every key while a dialog is open but Ctrl-C,
//! [`reply`] every answer of the host, and [`render`] draws over the view. What can be injected, and into what, is the host's
//! [`crate::Catalogue`]: nothing here knows a kind of fault.

mod form;
mod keys;
mod render;
mod state;

#[cfg(test)]
mod tests;

pub use keys::{act, key, reply};
pub use render::render;
pub use state::GameDayUi;
