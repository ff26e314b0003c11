//! The service `images`: stores and serves pictures. Internal: only `api` talks to it.
//!
//! | route | |
//! |---|---|
//! | `POST /owners/{owner}/images` | stores the body: 201, 413 when it is too large, 415 when it is no picture |
//! | `GET /owners/{owner}/images` | the owner's pictures, newest first |
//! | `GET /images/{id}` | a picture, 404 |

pub mod model;
pub mod routes;
pub mod sniff;
pub mod storage;

pub use routes::{max_upload, service};
