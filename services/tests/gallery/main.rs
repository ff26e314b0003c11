//! The four services against a real PostgreSQL, a real Redis and a real directory.

mod bad_input;
mod binaries;
mod browser;
mod fixture;
mod flow;
mod outage;
mod webdriver;
