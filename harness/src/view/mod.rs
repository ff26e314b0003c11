//! The host's side of the views: which one is shown, what it may ask, and that nothing else writes to the terminal meanwhile.
//!
//! ```text
//!   Log ──▶ forwarder (thread) ──▶ harness_tui::Sender ──▶ terminal view (thread)
//!                        └──▶ line view, where there is no terminal view, or none any more
//!   terminal view ──Request──▶ host (tokio) ──Reply──▶ terminal view
//! ```
//!
//! A view is a reader of the log: it never holds a run up, and a run goes on without it.

mod aside;
mod choice;
mod host;
mod live;

pub use choice::ViewArg;
pub(crate) use choice::{Environment, Kind, choose};
pub(crate) use host::{Answers, Host, Wishes};
pub(crate) use live::{Live, ViewOptions};
