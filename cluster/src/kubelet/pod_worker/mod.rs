//! The worker of one pod: a state machine that reconciles containers with the pod until it is gone.
//!
//! One task per pod. Everything that happens arrives in one inbox (new versions of the pod, ends of containers, probe
//! results), after each message the machine advances and the status is written if it changed. So the order of states that
//! clients see is the order in which things happened.

mod containers;
mod machine;
mod object;

pub use machine::{Message, PodWorker};
