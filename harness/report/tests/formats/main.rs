//! Reports for machines and for CI pages, held to the rules of their formats.
#![allow(missing_docs)]

mod junit;
mod markdown;
mod runs;
mod trace;
