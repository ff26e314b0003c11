//! The worker as a process, against servers of the test's own.

mod answers;
mod control;
mod models;
mod requests;
mod support;
