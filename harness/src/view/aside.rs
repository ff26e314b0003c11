//! Standard error while a view has the screen: what is written to it goes to a file, and is shown afterwards.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Read, Seek, SeekFrom, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

/// So much of the file's end is shown.
const SHOWN: u64 = 16 << 10;

/// Standard error as it was before, as long as this lives. Whatever this process and its children print goes to the file: log lines,
/// panics, the complaints of libraries.
pub(super) struct Aside {
    before: OwnedFd,
    file: File,
    path: PathBuf,
}

impl Aside {
    /// Nothing if standard error does not go to a terminal: then it disturbs nobody.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        if !io::stderr().is_terminal() {
            return Ok(None);
        }
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let before = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
        rustix::stdio::dup2_stderr(&file)?;
        Ok(Some(Self { before, file, path: path.to_owned() }))
    }

    fn give_back(&mut self) -> io::Result<()> {
        rustix::stdio::dup2_stderr(&self.before)?;
        let length = self.file.metadata()?.len();
        if length == 0 {
            return std::fs::remove_file(&self.path);
        }
        let mut text = Vec::new();
        self.file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
        self.file.read_to_end(&mut text)?;
        if length > SHOWN {
            writeln!(io::stderr(), "… the beginning is in {}", self.path.display())?;
        }
        io::stderr().write_all(&text)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What cannot be shown is in the file.
        let _ = self.give_back();
    }
}
