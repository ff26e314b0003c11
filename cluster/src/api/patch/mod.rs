//! The patch formats.

pub mod apply;
pub mod fields;
pub mod json;
pub mod lists;
pub mod merge;
pub mod strategic;
