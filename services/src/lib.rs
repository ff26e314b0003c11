//! Shared library of the demo services, and the services themselves.
//!
//! The demo system "gallery" is four small HTTP services: [`portal`] (web pages), [`api`] (gateway),
//! [`auth`] (users and sessions, internal) and [`images`] (pictures, internal). Each binary in `src/bin`
//! only calls [`run::main`] with the module's `service` function. What they share is here: configuration
//! from the environment ([`config`]), logs ([`logging`]), metrics ([`metrics`]), dependency checks
//! ([`health`]), the HTTP server with its graceful end ([`server`]), what happens around every request
//! ([`request`]) and the JSON errors ([`error`]).

pub mod api;
pub mod auth;
pub mod body;
pub mod config;
pub mod downstream;
pub mod error;
pub mod extract;
pub mod health;
pub mod images;
pub mod logging;
pub mod metrics;
pub mod portal;
pub mod process;
pub mod proxy;
pub mod request;
pub mod run;
pub mod server;
pub mod service;
