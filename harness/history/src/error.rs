//! Why the history cannot be used.

use std::{io, path::PathBuf};

/// An error of the index.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The URL is none of PostgreSQL. It is not repeated: it may hold a password.
    #[error(
        "the history's URL is not one of PostgreSQL: it must be postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE"
    )]
    Url,
    /// A file of the index cannot be used.
    #[error("can't use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process keeps the index to itself.
    #[error("{} is in use by another process for too long", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// The database does not answer.
    #[error("{at} does not answer within {seconds} s")]
    Silent {
        /// Which, without its password.
        at: String,
        /// Time limit.
        seconds: u64,
    },
    /// The index was made by a newer harness.
    #[error("the history in {at} has version {found}; this harness knows versions up to {known}")]
    Newer {
        /// Which, without its password.
        at: String,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// The database said no.
    #[error("{at} failed")]
    Database {
        /// Which, without its password.
        at: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
}

const TLS: &str = "sslmode and sslrootcert in the URL say whether the connection must be encrypted, and whose certificates are known";

impl HistoryError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Newer { .. } => Some(
                "use that harness, or another --history-url; an index in a file may also be moved away: it is \
                 made again from the runs",
            ),
            Self::Database { source: sqlx::Error::Tls(_), .. } => Some(TLS),
            // What is wrong with a certificate is said so.
            Self::Database { source: sqlx::Error::Io(error), .. }
                if error.kind() == io::ErrorKind::InvalidData =>
            {
                Some(TLS)
            }
            Self::Silent { .. } | Self::Database { source: sqlx::Error::Io(_), .. } => {
                Some("is the server of --history-url (HARNESS_HISTORY_URL) up?")
            }
            Self::Url | Self::File { .. } | Self::Busy { .. } | Self::Database { .. } => None,
        }
    }

    /// The index itself is broken, so that making it again helps.
    pub(crate) fn is_damage(&self) -> bool {
        /// Primary result codes of SQLite: SQL error (a table or column is missing), corrupt, not a database.
        const DAMAGE: [i64; 3] = [1, 11, 26];
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else {
            return matches!(
                self,
                Self::Database {
                    source: sqlx::Error::ColumnNotFound(_)
                        | sqlx::Error::ColumnDecode { .. }
                        | sqlx::Error::Decode(_),
                    ..
                }
            );
        };
        // The extended code has the primary one in its low byte.
        error
            .code()
            .and_then(|code| code.parse::<i64>().ok())
            .is_some_and(|code| DAMAGE.contains(&(code & 0xff)))
    }
}
