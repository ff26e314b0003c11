//! Runs over time: an index of the recorded runs, which can be rebuilt from their folders at any time; comparison of runs with
//! a noise band; retention.

pub mod compare;
mod db;
mod error;
pub mod folders;
mod history;
mod location;
mod lock;
mod measure;
mod noise;
mod query;
pub mod retention;
mod run;
pub mod show;
pub mod text;

pub use error::HistoryError;
pub use folders::Damaged;
pub use history::{History, Synced};
pub use location::Location;
pub use measure::{Better, CATALOGUE, Measure, Unit, measures};
pub use noise::{FEWEST, Noise};
pub use query::{Query, Sort, glob, is_scenario};
pub use run::{Ending, Entry, Run, Whereabouts};
