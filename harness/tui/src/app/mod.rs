//! What the view knows, and how it changes: [`App`] takes messages and says what is to be done. No I/O, no clock.
//!
//! ```text
//!   events, replies, keys, ticks ──▶ App::update ──▶ effects: requests to the host, the end
//!                                        │
//!                                  App::prepare (lists are sorted, once a frame at most)
//!                                        │
//!                                    App::render ──▶ Buffer
//! ```

mod act;
mod dialogs;
mod index;
mod leave;
mod lists;
mod ui;
mod update;

#[cfg(test)]
mod tests;

pub(crate) use index::has_fired;
pub use index::{Index, PodKey};
pub use lists::{List, Lists, Order};
pub use ui::{Aborting, Confirm, Dialog, Frozen, Timescale, Toast, Ui, View};
pub(crate) use update::can_be_undone;
use update::is_on;
pub use update::{App, Effect, Hook};
