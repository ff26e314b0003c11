//! The alert receiver: Alertmanager's webhook on one side, a long poll for the harness on the other. It runs inside of the
//! cluster (`harness alert-receiver`), so Alertmanager needs no way out to the machine that the harness runs on.

mod client;
mod protocol;
mod server;
mod webhook;

pub use client::{Position, ReceiverClient, ReceiverEvent};
pub use protocol::{Batch, Received};
pub use server::{serve, serve_on};
pub use webhook::read_webhook;
