//! The service `auth`: users in PostgreSQL, sessions in Redis. Internal: only `api` talks to it.
//!
//! | route | |
//! |---|---|
//! | `POST /register` | creates a user: 201 with it, 409 when the name is taken |
//! | `POST /login` | checks a password and opens a session: 200 with user and token, 401 |
//! | `GET /session` | the user of `Authorization: Bearer TOKEN`: 200, 401 |
//! | `DELETE /session` | ends that session: 204, also when there is none |
//!
//! With PostgreSQL or Redis away, what needs them is answered 503 within the limits of [`database`] and
//! [`sessions`]; nothing is remembered about the failure, so the first request after their return succeeds.

pub mod credentials;
pub mod database;
pub mod model;
pub mod passwords;
pub mod routes;
pub mod sessions;
pub mod users;

pub use routes::service;
