//! The patch formats.

pub mod json;
pub mod merge;
