//! Replay: the view of a run, driven by its log.
//!
//! ```text
//!   log ──▶ Tape (events, marks, states every so many events) ──▶ Player ──▶ Sender ──▶ the same view as live
//!                                                keys ──▶ Request::Replay ──┘
//! ```
//!
//! [`Tape`] is what was recorded, [`Player`] a position in it: pure, time is a parameter. [`Deck`] drives a player on a thread of
//! its own. A seek backwards takes the state that was kept before it and applies the events since then, so that it takes no longer
//! than [`Tape::SEEK`] also in a log of 100,000 events.

mod deck;
mod player;
mod tape;

pub use deck::Deck;
pub use player::{Player, Step};
pub use tape::Tape;

#[cfg(test)]
mod tests;
