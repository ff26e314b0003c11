//! User names and passwords as clients send them.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

/// Body of `POST /register` and `POST /login`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// Name, in any case.
    pub username: String,
    /// Password.
    pub password: String,
}

/// Shows nothing: people type their password into the wrong field.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// Checks form and length, and makes the name lower-case.
    pub fn checked(mut self) -> Result<Self, ApiError> {
        let refuse = |message| Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message));
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !(3..=32).contains(&self.username.len()) || !self.username.bytes().all(allowed) {
            return refuse("A username has 3 to 32 characters: letters, digits, '.', '_' and '-'");
        }
        // Bytes are compared first, so that the cost of counting characters is bounded.
        if self.password.len() > 512 || !(8..=128).contains(&self.password.chars().count()) {
            return refuse("A password has 8 to 128 characters");
        }
        if self.password.contains('\0') {
            return refuse("A password must not contain NUL characters");
        }
        self.username.make_ascii_lowercase();
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(username: &str, password: &str) -> Result<String, String> {
        let credentials = Credentials { username: username.to_owned(), password: password.to_owned() };
        credentials.checked().map(|c| c.username).map_err(|e| e.message.into_owned())
    }

    #[test]
    fn names_and_passwords() {
        assert_eq!(check("Ann.B-1_c", "correct horse"), Ok("ann.b-1_c".to_owned()));
        assert_eq!(check("ann", "ünïcödé ✓"), Ok("ann".to_owned()));
        let long = "a".repeat(33);
        for name in
            ["", "ab", long.as_str(), "ann'; DROP TABLE users; --", "ann\0x", "änn", "a b", "../x", "ann\n"]
        {
            assert!(check(name, "correct horse").is_err(), "{name:?}");
        }
        let (long, huge) = ("x".repeat(129), "✓".repeat(200));
        for password in ["", "short", long.as_str(), huge.as_str(), "correct\0horse"] {
            assert!(check("ann", password).is_err(), "{password:?}");
        }
    }
}
