//! The Python `kubernetes` client against the whole cluster. Skipped with a message where it cannot be installed.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use program::{Program, text};

/// The interpreter of a virtual environment that has the client; installed once and kept beside the build.
fn python() -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-kubernetes");
    let python = directory.join("bin/python");
    let works = |python: &Path| {
        Command::new(python)
            .args(["-c", "import kubernetes"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if works(&python) {
        return Some(python);
    }
    let made = Command::new("python3").args(["-m", "venv"]).arg(&directory).output();
    let installed = made.is_ok_and(|output| output.status.success())
        && Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "kubernetes"])
            .output()
            .is_ok_and(|output| output.status.success());
    (installed && works(&python)).then_some(python)
}

#[test]
fn the_python_client_lists_watches_and_scales() {
    let Some(python) = python() else {
        eprintln!("skipped: the Python kubernetes client could not be installed");
        return;
    };
    let program = Program::start();
    let output = program
        .command(python.to_str().unwrap())
        .arg("-c")
        .arg(include_str!("python_client.py"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).ends_with("done\n"), "{}", text(&output));
}
