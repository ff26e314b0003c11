//! From a container's resources to the values that the kernel takes. The formulas are the kubelet's and runc's.

use std::{fs, io, path::Path};

use k8s_openapi::api::core::v1::Container;

use super::{Controller, Version};
use crate::kubelet::quantity;

/// Length of the kernel's accounting period for CPU limits, in microseconds (the kubelet's default).
pub const PERIOD: u64 = 100_000;
/// Least CPU time per period that the kernel takes, in microseconds.
const LEAST_QUOTA: u64 = 1000;
/// Weight of a container that asks for no CPU.
const LEAST_SHARES: u64 = 2;
/// Greatest weight that the kernel takes.
pub(super) const MOST_SHARES: u64 = 262_144;

/// A limit on CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuLimit {
    /// Microseconds per period.
    pub quota: u64,
    /// Length of the period in microseconds.
    pub period: u64,
}

/// What a container may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Weight against others when CPU is short: 1024 for one requested core.
    pub shares: u64,
    /// Most CPU time.
    pub cpu: Option<CpuLimit>,
    /// Most memory, in bytes.
    pub memory: Option<u64>,
    /// Memory that was asked for, in bytes.
    pub memory_request: Option<u64>,
}

impl Limits {
    /// The limits of a container.
    pub fn of(container: &Container) -> Self {
        let resources = container.resources.as_ref();
        let amount = |limit: bool, name: &str| {
            let list =
                resources.and_then(|all| if limit { all.limits.as_ref() } else { all.requests.as_ref() });
            let milli = list?.get(name).and_then(quantity::milli)?;
            u64::try_from(milli).ok().filter(|milli| *milli > 0)
        };
        let request = amount(false, "cpu").or_else(|| amount(true, "cpu"));
        let shares = request.map_or(LEAST_SHARES, |milli| milli * 1024 / 1000);
        let cpu = amount(true, "cpu")
            .map(|milli| CpuLimit { quota: (milli * PERIOD / 1000).max(LEAST_QUOTA), period: PERIOD });
        Self {
            shares: shares.clamp(LEAST_SHARES, MOST_SHARES),
            cpu,
            memory: amount(true, "memory").map(|milli| milli / 1000),
            memory_request: amount(false, "memory").map(|milli| milli / 1000),
        }
    }

    /// Writes what the controllers of this directory take.
    pub(super) fn write(
        &self,
        directory: &Path,
        version: Version,
        controllers: &[Controller],
    ) -> io::Result<()> {
        let put = |file: &str, value: String| fs::write(directory.join(file), value);
        if controllers.contains(&Controller::Cpu) {
            write_shares(directory, version, self.shares)?;
            match (version, self.cpu) {
                (_, None) => {}
                (Version::One, Some(limit)) => {
                    put("cpu.cfs_period_us", limit.period.to_string())?;
                    put("cpu.cfs_quota_us", limit.quota.to_string())?;
                }
                (Version::Two, Some(limit)) => put("cpu.max", format!("{} {}", limit.quota, limit.period))?,
            }
        }
        if let Some(bytes) = self.memory.filter(|_| controllers.contains(&Controller::Memory)) {
            match version {
                Version::One => {
                    put("memory.limit_in_bytes", bytes.to_string())?;
                    // Memory is not to be had from swap instead. Kernels without swap accounting lack the file.
                    if_there(put("memory.memsw.limit_in_bytes", bytes.to_string()))?;
                }
                Version::Two => {
                    put("memory.max", bytes.to_string())?;
                    if_there(put("memory.swap.max", "0".to_owned()))?;
                    // A container that runs out of memory ends as a whole.
                    if_there(put("memory.oom.group", "1".to_owned()))?;
                }
            }
        }
        Ok(())
    }
}

fn if_there(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Ok(())
        }
        other => other,
    }
}

/// Sets a group's weight.
pub(super) fn write_shares(directory: &Path, version: Version, shares: u64) -> io::Result<()> {
    match version {
        Version::One => fs::write(directory.join("cpu.shares"), shares.to_string()),
        Version::Two => fs::write(directory.join("cpu.weight"), weight(shares).to_string()),
    }
}

/// From 2…262144 to 1…10000, as Kubernetes' KEP 2254 maps them.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(LEAST_SHARES, MOST_SHARES) - LEAST_SHARES) * 9999 / (MOST_SHARES - LEAST_SHARES)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limits(resources: serde_json::Value) -> Limits {
        Limits::of(&serde_json::from_value(json!({"name": "main", "resources": resources})).unwrap())
    }

    #[test]
    fn quantities_become_what_the_kernel_takes() {
        let none = limits(json!({}));
        assert_eq!((none.shares, none.cpu, none.memory), (2, None, None));
        let some = limits(json!({"requests": {"cpu": "250m"}, "limits": {"cpu": "1500m", "memory": "64Mi"}}));
        assert_eq!(some.shares, 256);
        assert_eq!(some.cpu, Some(CpuLimit { quota: 150_000, period: 100_000 }));
        assert_eq!(some.memory, Some(64 << 20));
        // A request is the limit where none is given, and no quota is below the kernel's least.
        let tiny = limits(json!({"limits": {"cpu": "5m"}}));
        assert_eq!((tiny.shares, tiny.cpu.map(|limit| limit.quota)), (5, Some(1000)));
    }

    #[test]
    fn shares_become_weights() {
        assert_eq!([2, 1024, 262_144].map(weight), [1, 39, 10_000]);
    }

    #[test]
    fn both_versions_get_their_files() {
        let some = limits(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "500m", "memory": "1Mi"}}));
        let written = |version| {
            let directory = tempfile::tempdir().unwrap();
            some.write(directory.path(), version, &Controller::ALL).unwrap();
            let mut files: Vec<(String, String)> = fs::read_dir(directory.path())
                .unwrap()
                .flatten()
                .map(|file| {
                    let name = file.file_name().to_string_lossy().into_owned();
                    (name, fs::read_to_string(file.path()).unwrap())
                })
                .collect();
            files.sort();
            files.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            written(Version::One),
            "cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000 cpu.shares=1024 memory.limit_in_bytes=1048576 \
             memory.memsw.limit_in_bytes=1048576"
        );
        assert_eq!(
            written(Version::Two),
            "cpu.max=50000 100000 cpu.weight=39 memory.max=1048576 memory.oom.group=1 memory.swap.max=0"
        );
    }
}
