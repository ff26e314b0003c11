//! Where things are: the state directory, the checkout, the service binaries.

use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use crate::own_exe;

/// Everything that the harness keeps between commands.
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// The directory given, else `.harness` in the checkout around the current directory, else in the current directory.
    pub fn resolve(given: Option<PathBuf>) -> Self {
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let root = match given {
            Some(given) => cwd.join(given),
            None => Checkout::around(&cwd).map_or(cwd, |checkout| checkout.root).join(".harness"),
        };
        Self { root }
    }

    /// The directory itself, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Recorded runs, one directory each.
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Files of the embedded stack.
    pub fn stack(&self) -> PathBuf {
        self.root.join("stack")
    }

    /// kubeconfig of the embedded cluster; there while it runs.
    pub fn kubeconfig(&self) -> PathBuf {
        self.stack().join("kubeconfig")
    }

    /// Log of the control plane.
    pub fn log(&self) -> PathBuf {
        self.stack().join("control-plane.log")
    }

    /// Record of the control plane, locked by it while it lives.
    pub fn record(&self) -> PathBuf {
        self.stack().join("control-plane.json")
    }

    /// Held by the one process that starts or stops the stack.
    pub fn lock(&self) -> PathBuf {
        self.stack().join("lock")
    }

    /// An empty file that is there once all manifests were applied and everything became available.
    pub fn applied(&self) -> PathBuf {
        self.stack().join("applied")
    }

    /// How the stack's time is compressed; not there if it is not.
    pub fn compression(&self) -> PathBuf {
        self.stack().join("compression.json")
    }

    /// The healthy past that the stack was started with; not there if it has none.
    pub fn history(&self) -> PathBuf {
        self.stack().join("history.json")
    }

    /// Volumes and logs of the pods. Pods of root run as other users, who may not pass root's home: their data are kept
    /// beside the tools cache, which all users may pass, under a name that belongs to this state directory.
    pub fn data(&self) -> PathBuf {
        if !rustix::process::geteuid().is_root() {
            return self.stack().join("data");
        }
        let mut hasher = DefaultHasher::new();
        // The directory may be reached on several ways; it may also not be there yet.
        fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone()).hash(&mut hasher);
        PathBuf::from(format!("/var/cache/sre-harness/stacks/{:016x}", hasher.finish()))
    }
}

/// A checkout of the project: where manifests are found and services can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    /// Directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
}

impl Checkout {
    /// The checkout that the harness was built in, else the one around the current directory.
    pub fn find() -> Option<Self> {
        let cwd = std::env::current_dir().ok();
        [own_exe()].into_iter().chain(cwd.as_deref()).find_map(Self::around)
    }

    /// The checkout around a path.
    pub fn around(path: &Path) -> Option<Self> {
        path.ancestors().find(|directory| is_workspace(directory)).map(|root| Self { root: root.to_owned() })
    }

    /// Sources of the services.
    pub fn services(&self) -> PathBuf {
        self.root.join("services")
    }

    /// Manifests of the embedded stack.
    pub fn deploy(&self) -> PathBuf {
        self.root.join("deploy")
    }
}

fn is_workspace(directory: &Path) -> bool {
    directory.join("services/Cargo.toml").is_file()
        && directory.join("harness/Cargo.toml").is_file()
        && fs::read_to_string(directory.join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]"))
}

/// The build that the running harness belongs to: a Cargo profile directory, or wherever it was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildDir {
    /// `target/<profile>`; services are built beside the harness, with the same profile.
    Cargo {
        /// `target`.
        target: PathBuf,
        /// Name for `--profile`.
        profile: String,
    },
    /// Some other directory; the services may lie there too.
    Installed(PathBuf),
}

impl BuildDir {
    /// Where an executable lies.
    pub fn of(exe: &Path) -> Self {
        let directory = exe.parent().unwrap_or(Path::new("/"));
        // Cargo marks its target directory.
        let target = directory.parent().filter(|path| path.join("CACHEDIR.TAG").is_file());
        match (target, directory.file_name().and_then(OsStr::to_str)) {
            (Some(target), Some(profile)) => Self::Cargo {
                target: target.to_owned(),
                profile: if profile == "debug" { "dev" } else { profile }.to_owned(),
            },
            _ => Self::Installed(directory.to_owned()),
        }
    }

    /// Where a harness that was installed elsewhere builds services: in the checkout, with the profile it was built with.
    pub fn inside(checkout: &Checkout) -> Self {
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        Self::Cargo { target: checkout.root.join("target"), profile: profile.to_owned() }
    }

    /// The directory of the service binaries.
    pub fn bin_dir(&self) -> PathBuf {
        match self {
            Self::Cargo { target, profile } => target.join(if profile == "dev" { "debug" } else { profile }),
            Self::Installed(directory) => directory.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_is_found_from_a_directory_deep_inside() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let checkout = Checkout::around(&here.join("src/cli")).unwrap();
        assert_eq!(checkout.root, here.parent().unwrap());
        assert_eq!(Checkout::around(Path::new("/usr/bin")), None);
    }

    #[test]
    fn services_are_built_with_the_profile_of_the_harness() {
        let target = tempfile::tempdir().unwrap();
        fs::write(target.path().join("CACHEDIR.TAG"), "").unwrap();
        for (directory, profile) in [("debug", "dev"), ("release", "release"), ("ci", "ci")] {
            let build = BuildDir::of(&target.path().join(directory).join("harness"));
            assert_eq!(
                build,
                BuildDir::Cargo { target: target.path().to_owned(), profile: profile.to_owned() }
            );
            assert_eq!(build.bin_dir(), target.path().join(directory));
        }
        let build = BuildDir::of(Path::new("/opt/bin/harness"));
        assert_eq!(build, BuildDir::Installed("/opt/bin".into()));
    }

    #[test]
    fn a_relative_state_directory_is_made_absolute() {
        let state = StateDir::resolve(Some("some/where".into()));
        assert!(state.root().is_absolute() && state.root().ends_with("some/where"));
    }
}
