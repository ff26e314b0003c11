//! Control groups: what containers may use, and what they did use.
//!
//! Each container attempt has a group of its own below one parent of this cluster, in each hierarchy that the machine offers
//! and this user may write (version 1 and 2). The parent lies below the kubelet's own group or the nearest ancestor in which
//! it can be made, so that limits which the kubelet itself is under hold for its pods too. The shim enters the group, starts
//! the container's program there and leaves: it is neither counted nor killed for lack of memory itself.

mod find;
mod group;
mod read;
mod settings;

pub use find::Unavailable;
pub use group::{Cgroups, ContainerGroup};
pub use read::{GroupReading, Memory, Throttling};
pub use settings::Limits;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a process gets into a group and back: `cgroup.procs` files.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Membership {
    /// File of the container's group.
    pub enter: PathBuf,
    /// File of the group in which the kubelet is.
    pub leave: PathBuf,
}

/// Version of a hierarchy's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// What a hierarchy controls or counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Controller {
    Cpu,
    /// Counts CPU time; part of `cpu` in version 2.
    Cpuacct,
    Memory,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Cpu, Self::Cpuacct, Self::Memory];

    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Memory => "memory",
        }
    }
}
