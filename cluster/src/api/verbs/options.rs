//! Options that all writes share.

use serde_json::{Value, json};

use crate::api::{
    request::{Call, Query},
    status::{ApiError, FieldError},
};

/// What to do about unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them and say so in a `Warning` header.
    Warn,
    /// Refuse the request.
    Strict,
}

/// Options of a write.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Do everything but store the result.
    pub dry_run: bool,
    /// Unknown fields.
    pub field_validation: FieldValidation,
    /// Name for `managedFields`.
    pub manager: String,
}

impl WriteOptions {
    /// Reads the query; `kind` names the options in errors (`CreateOptions`, …).
    pub fn parse(call: &Call, kind: &str) -> Result<Self, ApiError> {
        let field_validation = match call.query.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let errors = [FieldError::unsupported(
                    "fieldValidation",
                    &json!(other),
                    &["", "Ignore", "Strict", "Warn"],
                )];
                return Err(ApiError::invalid("meta.k8s.io", kind, "", &errors));
            }
        };
        Ok(Self { dry_run: dry_run(&call.query, kind)?, field_validation, manager: call.manager() })
    }
}

/// Reads `dryRun`, whose only value is `All`.
pub fn dry_run(query: &Query, kind: &str) -> Result<bool, ApiError> {
    let values: Vec<&str> = query.all("dryRun").filter(|value| !value.is_empty()).collect();
    check_dry_run(&values, kind)
}

/// Checks values of `dryRun` from a query or a body.
pub fn check_dry_run(values: &[&str], kind: &str) -> Result<bool, ApiError> {
    if values.iter().any(|value| *value != "All") {
        let errors = [FieldError::unsupported("dryRun", &Value::from(values.to_vec()), &["All"])];
        return Err(ApiError::invalid("meta.k8s.io", kind, "", &errors));
    }
    Ok(!values.is_empty())
}
