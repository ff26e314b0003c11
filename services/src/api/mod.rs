//! The service `api`: the gateway in front of `auth` and `images`.
//!
//! | route | |
//! |---|---|
//! | `POST /register` | `{"username", "password"}`: 201 with the user, 409 when the name is taken |
//! | `POST /login` | `{"username", "password"}`: 200 with the user and the cookie `session`, 401 |
//! | `POST /logout` | ends the session and removes the cookie: 204 |
//! | `GET /profile` | the user and the pictures: 200, 401 |
//! | `POST /images/upload` | a picture as the body: 201 with its address, 401, 413, 415 |
//! | `GET /images/{id}` | a picture |
//!
//! The two backends are soft dependencies: with `auth` away, pictures are still served and a login is answered
//! 503 "Failed to communicate with Auth service" by a gateway that stays in its Kubernetes Service.

pub mod auth_client;
pub mod images_client;
pub mod routes;

pub use routes::service;
