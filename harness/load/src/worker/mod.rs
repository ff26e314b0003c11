//! The worker process. goose runs its users as transactions; what a user does in one is here.
//!
//! ```text
//! stdin ──> process ──> shared <── user (a goose transaction) ──> connection ──> system under test
//! stdout <──  frames <── record <──┘  │ template, body, extract
//!                        pacer ───────┘ (open model: when)
//! ```

mod attack;
mod body;
mod clock;
mod connection;
mod error;
mod extract;
mod pacer;
mod process;
mod record;
mod request;
mod schedule;
mod shared;
mod stdio;
mod template;
mod tls;
mod user;

pub use process::main;
