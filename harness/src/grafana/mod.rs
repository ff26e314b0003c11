//! Grafana: the rules that dashboards in the repository are held to, and how they get into a Grafana.
//!
//! A dashboard is Grafana's classic JSON model, written by hand. Nothing generates it, so what a generator would guarantee is
//! checked: [`check`] looks at the files alone, [`live`] asks a Prometheus for everything that a dashboard would ask it for.
//! [`install`] brings them into a Grafana, [`annotations`] marks runs in one.

pub mod annotations;
pub mod check;
pub mod install;
mod layout;
pub mod live;
mod model;
mod queries;
mod variables;

pub use check::{Dashboards, Problem};
