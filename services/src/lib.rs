//! Shared library of the demo services.
