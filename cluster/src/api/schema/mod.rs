//! What an object must look like: decoding, defaults and validation.

pub mod admit;
pub mod decode;
pub mod json;
pub mod names;

pub use decode::{Candidate, Ownership};
