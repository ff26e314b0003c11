//! The service `portal`: the web pages, and `/api/*` passed on to `api` so that a browser needs one origin.

pub mod assets;
pub mod routes;

pub use routes::service;
