//! The HTML report: what it says of every kind of run, that its markup is sound, that nothing of a log gets out of its place,
//! and how it behaves in a browser.

mod browser;
mod driver;
mod logs;
mod long;
mod markup;
mod pages;
