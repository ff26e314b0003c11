//! JSON patch (RFC 6902).

use serde::Deserialize;
use serde_json::Value;

/// One step of a patch.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Inserts or sets.
    Add {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Removes something that exists.
    Remove {
        /// What.
        path: String,
    },
    /// Replaces something that exists.
    Replace {
        /// Where.
        path: String,
        /// By what.
        value: Value,
    },
    /// Removes and adds.
    Move {
        /// Where from.
        from: String,
        /// Where to.
        path: String,
    },
    /// Adds what is elsewhere.
    Copy {
        /// Where from.
        from: String,
        /// Where to.
        path: String,
    },
    /// Fails unless the value is this one.
    Test {
        /// Where.
        path: String,
        /// Expected value.
        value: Value,
    },
}

/// Why a patch could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonPatchError {
    /// The path does not exist, or leads through something that has no members.
    #[error("no such path: {0}")]
    NoSuchPath(String),
    /// The test operation failed.
    #[error("the value at {0} is not the expected one")]
    TestFailed(String),
}

/// Reads a patch.
pub fn parse(bytes: &[u8]) -> Result<Vec<Operation>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// Applies all operations, or none.
pub fn apply(document: &Value, operations: &[Operation]) -> Result<Value, JsonPatchError> {
    let mut document = document.clone();
    for operation in operations {
        match operation {
            Operation::Add { path, value } => add(&mut document, path, value.clone())?,
            Operation::Remove { path } => {
                remove(&mut document, path)?;
            }
            Operation::Replace { path, value } => *at(&mut document, path)? = value.clone(),
            Operation::Move { from, path } => {
                let value = remove(&mut document, from)?;
                add(&mut document, path, value)?;
            }
            Operation::Copy { from, path } => {
                let value = at(&mut document, from)?.clone();
                add(&mut document, path, value)?;
            }
            Operation::Test { path, value } => {
                // A missing member equals null, as in the library that real servers use.
                let found = document.pointer(path).unwrap_or(&Value::Null);
                if !equal(found, value) {
                    return Err(JsonPatchError::TestFailed(path.clone()));
                }
            }
        }
    }
    Ok(document)
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn at<'a>(document: &'a mut Value, path: &str) -> Result<&'a mut Value, JsonPatchError> {
    document.pointer_mut(path).ok_or_else(|| JsonPatchError::NoSuchPath(path.to_owned()))
}

/// The parent of a path and the last, unescaped, token.
fn parent<'a>(document: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), JsonPatchError> {
    let (head, last) = path.rsplit_once('/').ok_or_else(|| JsonPatchError::NoSuchPath(path.to_owned()))?;
    let last = last.replace("~1", "/").replace("~0", "~");
    Ok((at(document, head)?, last))
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), JsonPatchError> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let missing = || JsonPatchError::NoSuchPath(path.to_owned());
    let (parent, last) = parent(document, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(last, value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let index: usize = last.parse().map_err(|_| missing())?;
            if index > items.len() {
                return Err(missing());
            }
            items.insert(index, value);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, JsonPatchError> {
    let missing = || JsonPatchError::NoSuchPath(path.to_owned());
    let (parent, last) = parent(document, path)?;
    match parent {
        Value::Object(fields) => fields.remove(&last).ok_or_else(missing),
        Value::Array(items) => {
            let index: usize = last.parse().map_err(|_| missing())?;
            if index < items.len() { Ok(items.remove(index)) } else { Err(missing()) }
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(document: Value, patch: Value) -> Result<Value, JsonPatchError> {
        apply(&document, &parse(patch.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn every_operation() {
        let document = json!({"a": [1, 2], "b/c": {"x": 1}});
        let patch = json!([
            {"op": "test", "path": "/a/1", "value": 2.0},
            {"op": "add", "path": "/a/1", "value": 9},
            {"op": "add", "path": "/a/-", "value": 10},
            {"op": "replace", "path": "/b~1c/x", "value": 5},
            {"op": "copy", "from": "/b~1c", "path": "/d"},
            {"op": "move", "from": "/a/0", "path": "/e"},
            {"op": "remove", "path": "/b~1c"},
        ]);
        assert_eq!(run(document, patch), Ok(json!({"a": [9, 2, 10], "d": {"x": 5}, "e": 1})));
    }

    #[test]
    fn what_cannot_be_applied_is_refused() {
        let document = json!({"a": {}});
        assert!(run(document.clone(), json!([{"op": "remove", "path": "/a/x"}])).is_err());
        assert!(run(document.clone(), json!([{"op": "replace", "path": "/z", "value": 1}])).is_err());
        assert!(run(document.clone(), json!([{"op": "test", "path": "/a", "value": 1}])).is_err());
        assert!(run(document, json!([{"op": "add", "path": "/x/y", "value": 1}])).is_err());
        assert!(parse(br#"[{"op":"zap"}]"#).is_err());
    }
}
