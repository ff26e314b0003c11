//! One file per verb.

pub mod binding;
pub mod create;
pub mod delete;
pub mod eviction;
pub mod get;
pub mod list;
pub mod patch;
pub mod scale;
pub mod update;

mod body;
mod commit;
mod options;

pub use commit::now;
pub use options::{FieldValidation, WriteOptions};
