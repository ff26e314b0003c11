//! The demo system's binaries: found, or built when the harness runs from a checkout.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::SystemTime,
};

use crate::own_exe;

use super::{
    paths::{BuildDir, Checkout},
    progress::Progress,
};

/// The binaries that the manifests refer to as `gallery/NAME`.
pub const BINARIES: [&str; 4] = ["portal", "api", "auth", "images"];

/// Why the services cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// Not built, and there is no checkout to build them in.
    #[error("the demo system is not built: {} not found in {}", missing.join(", "), directory.display())]
    Missing {
        /// Names of the binaries.
        missing: Vec<String>,
        /// Where they were looked for.
        directory: PathBuf,
    },
    /// cargo could not be started.
    #[error("can't start cargo to build the demo system in {}", checkout.display())]
    Cargo {
        /// Root of the checkout.
        checkout: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// cargo ended with an error, which it has printed.
    #[error("`cargo build -p services` failed ({status})")]
    Build {
        /// How it ended.
        status: ExitStatus,
    },
}

/// Makes sure that the services which the manifests need are built and no older than their sources. Gives the directory of the
/// binaries.
pub async fn ensure(needed: &[&'static str], progress: &dyn Progress) -> Result<PathBuf, ServicesError> {
    let exe = BuildDir::of(own_exe());
    let checkout = Checkout::find();
    let directory = exe.bin_dir();
    let stale = outdated(needed, &directory, checkout.as_ref());
    if stale.is_empty() {
        return Ok(directory);
    }
    let Some(checkout) = checkout else {
        let missing = stale.into_iter().map(str::to_owned).collect();
        return Err(ServicesError::Missing { missing, directory });
    };
    let build = match exe {
        BuildDir::Cargo { .. } => exe,
        BuildDir::Installed(_) => BuildDir::inside(&checkout),
    };
    run_cargo(&build, &checkout, &outdated(needed, &build.bin_dir(), Some(&checkout)), progress).await?;
    let missing: Vec<_> = outdated(needed, &build.bin_dir(), None).into_iter().map(str::to_owned).collect();
    if missing.is_empty() {
        Ok(build.bin_dir())
    } else {
        Err(ServicesError::Missing { missing, directory: build.bin_dir() })
    }
}

async fn run_cargo(
    build: &BuildDir,
    checkout: &Checkout,
    stale: &[&str],
    progress: &dyn Progress,
) -> Result<(), ServicesError> {
    let BuildDir::Cargo { target, profile } = build else { return Ok(()) };
    if stale.is_empty() {
        return Ok(());
    }
    progress.done(&format!("building the demo system ({}): cargo build -p services", stale.join(", ")));
    progress.yield_terminal();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Its progress goes straight to the terminal.
    let status = tokio::process::Command::new(cargo)
        .args(["build", "--package", "services", "--bins", "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(&checkout.root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|source| ServicesError::Cargo { checkout: checkout.root.clone(), source })?;
    if !status.success() {
        return Err(ServicesError::Build { status });
    }
    progress.done("the demo system is built");
    Ok(())
}

/// Each binary with its path, if it is built.
pub fn service_binaries() -> Vec<(&'static str, Option<PathBuf>)> {
    let directory = BuildDir::of(own_exe()).bin_dir();
    BINARIES
        .into_iter()
        .map(|name| (name, Some(directory.join(name)).filter(|path| path.is_file())))
        .collect()
}

/// Binaries that are not there, or older than a source of theirs in the checkout.
fn outdated(needed: &[&'static str], directory: &Path, checkout: Option<&Checkout>) -> Vec<&'static str> {
    needed
        .iter()
        .copied()
        .filter(|name| {
            let Ok(built) = fs::metadata(directory.join(name)).and_then(|meta| meta.modified()) else {
                return true;
            };
            checkout.is_some_and(|checkout| newest_source(&checkout.services(), name) > Some(built))
        })
        .collect()
}

/// Time of the newest file that goes into a binary: all of the package but the other binaries' own files.
fn newest_source(services: &Path, binary: &str) -> Option<SystemTime> {
    let mut newest = None;
    let mut open = vec![services.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if directory.ends_with("src/bin") && path.file_stem().is_some_and(|stem| stem != binary) {
                continue;
            }
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                if path.strip_prefix(services).is_ok_and(|inside| !inside.starts_with("tests")) {
                    open.push(path);
                }
            } else {
                newest = newest.max(meta.modified().ok());
            }
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use super::*;

    fn write(path: &Path, age: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }

    #[test]
    fn a_binary_is_outdated_if_it_is_missing_or_older_than_a_source_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let checkout = Checkout { root: dir.path().to_owned() };
        let built = dir.path().join("out");
        write(&checkout.services().join("src/lib.rs"), 100);
        write(&checkout.services().join("src/bin/api.rs"), 10);
        write(&checkout.services().join("src/bin/auth.rs"), 100);
        write(&checkout.services().join("tests/auth.rs"), 1);
        for name in ["api", "auth", "portal"] {
            write(&built.join(name), 50);
        }
        assert_eq!(outdated(&BINARIES, &built, Some(&checkout)), ["api", "images"]);
        assert_eq!(outdated(&BINARIES, &built, None), ["images"]);
        write(&checkout.services().join("src/lib.rs"), 20);
        assert_eq!(outdated(&BINARIES, &built, Some(&checkout)), BINARIES);
    }
}
