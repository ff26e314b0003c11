//! Every key of the format: its type, its default and its meaning.
//!
//! One table for the reader (unknown keys, defaults, limits) and for people (`docs/scenario-format.md`).

mod load;
mod objectives;
mod reference;
mod tables;
mod types;

pub use load::*;
pub use objectives::*;
pub use reference::reference;
pub use tables::*;
pub(crate) use types::length;
pub use types::{Key, Kind, Need, Table};
