//! What `auth` says over HTTP, shared with its client in `api`.

use serde::{Deserialize, Serialize};

/// A registered user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Number of the user, never reused.
    pub id: i64,
    /// Name in lower case.
    pub username: String,
    /// When the user registered, RFC 3339 in UTC.
    pub created_at: String,
}

/// Answer of `POST /register` and `GET /session`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserBody {
    /// The user.
    pub user: User,
}

/// Answer of `POST /login`. Its token is a secret: no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct LoginBody {
    /// The user.
    pub user: User,
    /// The session token.
    pub token: String,
    /// Seconds until the session ends.
    pub expires_in: u64,
}
