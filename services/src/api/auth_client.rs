//! The calls to `auth`.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use reqwest::Url;

use crate::{
    auth::{
        credentials::Credentials,
        model::{LoginBody, User, UserBody},
    },
    downstream::Downstream,
    error::ApiError,
};

/// Longest time for an exchange. Above the time after which `auth` itself gives up on its database, so that its
/// answer arrives, and below the 2 s in which users get theirs.
const LIMIT: Duration = Duration::from_millis(1500);

/// Client for `auth`.
#[derive(Clone, Debug)]
pub struct AuthClient(Downstream);

impl AuthClient {
    /// A client for the service at `base`.
    pub fn new(base: Url) -> Result<Self, reqwest::Error> {
        Ok(Self(Downstream::new("Auth", base, LIMIT)?))
    }

    /// Creates a user.
    pub async fn register(&self, credentials: &Credentials) -> Result<User, ApiError> {
        let request = self.0.request(Method::POST, self.0.url(&["register"])).json(credentials);
        Ok(self.0.json::<UserBody>(request).await?.user)
    }

    /// Checks a password and opens a session.
    pub async fn login(&self, credentials: &Credentials) -> Result<LoginBody, ApiError> {
        let request = self.0.request(Method::POST, self.0.url(&["login"])).json(credentials);
        self.0.json(request).await
    }

    /// The user of a session.
    pub async fn user(&self, token: Option<&str>) -> Result<User, ApiError> {
        let Some(token) = token else {
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "Not logged in, or the session has ended"));
        };
        let request = self.0.request(Method::GET, self.0.url(&["session"])).bearer_auth(token);
        Ok(self.0.json::<UserBody>(request).await?.user)
    }

    /// Ends a session.
    pub async fn end_session(&self, token: &str) -> Result<(), ApiError> {
        let request = self.0.request(Method::DELETE, self.0.url(&["session"])).bearer_auth(token);
        self.0.success(request).await.map(drop)
    }

    /// Whether the service is ready.
    pub async fn check(&self) -> Result<(), String> {
        self.0.check("readyz").await
    }
}
