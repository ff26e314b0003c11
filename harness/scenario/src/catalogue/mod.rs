//! The catalogue: what can be injected by hand, and how a form is filled in.
//!
//! Everything is derived from the tables of the format ([`crate::schema`]): a kind of fault that is added to them appears here by
//! itself. A filled-in form is checked as a scenario file is, by writing the `[[fault]]` table that it stands for and reading
//! that ([`fault`]); so nothing can be injected by hand that could not stand in a file, and every problem reads the same.

mod form;
mod kinds;

pub use form::{bare, default_name, fault};
pub use kinds::{Choice, FaultKind, FormField, kinds};
