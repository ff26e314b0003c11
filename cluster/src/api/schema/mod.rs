//! What an object must look like: decoding, defaults and validation.

pub mod admit;
pub mod decode;
pub mod defaults;
pub mod json;
pub mod names;
pub mod unsupported;
pub mod validate;

pub use decode::{Candidate, Ownership};
