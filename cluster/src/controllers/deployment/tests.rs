//! Tables and properties of the pure rules.
