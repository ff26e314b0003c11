//! The endpoints behind one port.

use std::{collections::BTreeSet, net::SocketAddr};

/// Where connections of one port may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backends {
    /// New connections go here, in turn.
    pub ready: Vec<SocketAddr>,
    /// All that exist: connections to others are reset.
    pub known: BTreeSet<SocketAddr>,
}

impl Backends {
    /// The ready one whose turn it is.
    pub fn pick(&self, turn: usize) -> Option<SocketAddr> {
        let count = self.ready.len();
        (count > 0).then(|| self.ready[turn % count])
    }
}
