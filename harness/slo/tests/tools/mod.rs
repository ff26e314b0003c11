//! Programs that tests need: on the PATH or in the tools cache (`make tools`).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A command that runs a program, which must be there.
pub fn command(program: &str) -> Command {
    let path = find(program);
    let mut command = Command::new(&path);
    // A program from the cache brings its libraries along.
    if let Some(libraries) = path.parent().and_then(Path::parent).map(|usr| usr.join("lib"))
        && !path.starts_with("/usr")
    {
        let inner = fs::read_dir(&libraries).into_iter().flatten().flatten().map(|entry| entry.path());
        let all = inner.filter(|path| path.is_dir()).chain([libraries.clone()]);
        command.env("LD_LIBRARY_PATH", env::join_paths(all).expect("paths without colons"));
    }
    command
}

fn find(program: &str) -> PathBuf {
    let home = env::var("HOME").unwrap_or_default();
    let tools = env::var("SRE_HARNESS_TOOLS").unwrap_or_default();
    let caches =
        [tools, "/var/cache/sre-harness/tools".to_owned(), format!("{home}/.cache/sre-harness/tools")];
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(caches.iter().filter(|cache| !cache.is_empty()).map(|cache| Path::new(cache).join("usr/bin")))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{program} is not there: `make tools` unpacks it"))
}
