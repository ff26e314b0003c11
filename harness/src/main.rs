//! harness.
fn main() {}
