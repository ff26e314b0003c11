//! Where the index is.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use sqlx::postgres::PgConnectOptions;

use crate::error::HistoryError;

/// A database for the index.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file of the state directory. It belongs to the runs of that directory alone.
    Sqlite(PathBuf),
    /// A server. Runs of several machines may share it.
    Postgres(Box<PgConnectOptions>),
}

impl Location {
    /// PostgreSQL if a URL is given, else the file.
    ///
    /// # Errors
    /// If the URL is not one of PostgreSQL.
    pub fn new(url: Option<&str>, file: &Path) -> Result<Self, HistoryError> {
        let Some(url) = url.filter(|url| !url.is_empty()) else { return Ok(Self::Sqlite(file.to_owned())) };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(HistoryError::Url);
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| HistoryError::Url)?;
        let options = options
            .application_name("sre-harness")
            // A lock that is never given up must not hold up the end of a run.
            .options([("statement_timeout", "60s"), ("idle_in_transaction_session_timeout", "60s")]);
        Ok(Self::Postgres(Box::new(options)))
    }

    /// For people: the file, or the server without user and password.
    pub fn describe(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(options) => {
                let database = options.get_database().unwrap_or(options.get_username());
                format!("PostgreSQL {}:{}/{database}", options.get_host(), options.get_port())
            }
        }
    }

    /// What tells these runs from those of other machines and directories in the same index.
    pub(crate) fn origin(&self, runs: &Path) -> String {
        match self {
            // The directory may be moved with everything in it.
            Self::Sqlite(_) => "local".to_owned(),
            Self::Postgres(_) => {
                let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
                let host = host.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned());
                let runs = std::fs::canonicalize(runs).unwrap_or_else(|_| runs.to_owned());
                format!("{host}:{}", runs.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let file = Path::new("/state/history.db");
        for (url, shown) in [
            ("postgres://me:hunter2@db.example:5433/runs", "PostgreSQL db.example:5433/runs"),
            ("postgresql://me:hunter2@db.example", "PostgreSQL db.example:5432/me"),
        ] {
            let location = Location::new(Some(url), file).unwrap();
            assert_eq!(location.describe(), shown);
        }
        for bad in ["mysql://me:hunter2@db/runs", "hunter2", "postgres://me:hunter2@db:port/runs"] {
            let error = Location::new(Some(bad), file).unwrap_err();
            assert!(!format!("{error}{error:?}").contains("hunter2"), "{error:?}");
        }
        assert_eq!(Location::new(None, file).unwrap().describe(), "/state/history.db");
        assert_eq!(Location::new(Some(""), file).unwrap().describe(), "/state/history.db");
    }
}
