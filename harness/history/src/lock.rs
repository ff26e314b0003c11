//! Who may use the index's file. SQLite keeps writers apart; this is for making the file, and for making it again.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::error::HistoryError;

/// So long is waited for others.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is tried.
const EVERY: Duration = Duration::from_millis(10);

/// A lock on the index. It ends with the process, or when it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// With others that use the index as it is.
    pub(crate) async fn shared(path: &Path) -> Result<Self, HistoryError> {
        Self::take(path, |file| file.try_lock_shared()).await
    }

    /// Alone: nobody has the index open.
    pub(crate) async fn alone(path: &Path) -> Result<Self, HistoryError> {
        Self::take(path, |file| file.try_lock()).await
    }

    async fn take(path: &Path, lock: fn(&File) -> Result<(), TryLockError>) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError::File { path: path.to_owned(), source };
        // Never removed: a lock on a file that is gone keeps nobody out.
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        let start = Instant::now();
        loop {
            match lock(&file) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    tokio::time::sleep(EVERY).await
                }
                Err(TryLockError::WouldBlock) => return Err(HistoryError::Busy { path: path.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }
}

/// The lock's file, beside the index.
pub(crate) fn file(index: &Path) -> PathBuf {
    index.with_extension("lock")
}
