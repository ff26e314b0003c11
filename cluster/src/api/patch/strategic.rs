//! Strategic merge patch: a merge patch that knows which lists have keys
//! (`k8s.io/apimachinery/pkg/util/strategicpatch`).

use serde_json::{Map, Value};

use super::lists::{PatchStrategy, merged_order, patch_strategy};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder/";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";

/// Why a patch could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategicError {
    /// A directive that does not exist.
    #[error("unknown patch type found: {0}")]
    UnknownDirective(String),
    /// A list item without the key that tells which item it is.
    #[error("map: {item} does not contain declared merge key: {key}")]
    NoMergeKey {
        /// The item, as JSON.
        item: String,
        /// The missing key.
        key: &'static str,
    },
    /// A value of the wrong kind.
    #[error("expected a list at {0}")]
    NoList(String),
}

/// Applies a strategic merge patch to an object.
pub fn apply(object: &Value, patch: &Value) -> Result<Value, StrategicError> {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            Ok(Value::Object(merge_map(object, patch, &mut Vec::new())?))
        }
        _ => Ok(patch.clone()),
    }
}

fn merge_map<'p>(
    original: &Map<String, Value>,
    patch: &'p Map<String, Value>,
    path: &mut Vec<&'p str>,
) -> Result<Map<String, Value>, StrategicError> {
    match directive(patch)? {
        Directive::Replace => {
            let mut replaced = patch.clone();
            replaced.remove(DIRECTIVE);
            return Ok(replaced);
        }
        Directive::Delete => return Ok(Map::new()),
        Directive::Merge => {}
    }
    let mut merged = original.clone();
    if let Some(Value::Array(kept)) = patch.get(RETAIN_KEYS) {
        merged.retain(|key, _| kept.iter().any(|kept| kept == key));
    }
    for (key, values) in patch.iter().filter(|(key, _)| key.starts_with(DELETE_PRIMITIVES)) {
        let field = &key[DELETE_PRIMITIVES.len()..];
        if let (Some(Value::Array(list)), Value::Array(unwanted)) = (merged.get_mut(field), values) {
            list.retain(|value| !unwanted.contains(value));
        }
    }
    for (key, change) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        path.push(key);
        let order = patch.get(&format!("{SET_ORDER}{key}")).and_then(Value::as_array);
        let value = match (merged.remove(key), change) {
            (_, Value::Null) => None,
            (Some(Value::Object(old)), Value::Object(change)) => match directive(change)? {
                Directive::Delete => None,
                _ => Some(Value::Object(merge_map(&old, change, path)?)),
            },
            (None | Some(_), Value::Object(change)) => match directive(change)? {
                Directive::Delete => None,
                _ => Some(Value::Object(merge_map(&Map::new(), change, path)?)),
            },
            (old, Value::Array(change)) => {
                let old = old.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                Some(Value::Array(merge_list(old, change, order, path)?))
            }
            (_, scalar) => Some(scalar.clone()),
        };
        path.pop();
        if let Some(value) = value {
            merged.insert(key.clone(), value);
        }
    }
    // An order without a change of the list itself.
    for (key, order) in
        patch.iter().filter_map(|(key, order)| Some((key.strip_prefix(SET_ORDER)?, order.as_array()?)))
    {
        if !patch.contains_key(key)
            && let Some(Value::Array(list)) = merged.get(key)
        {
            path.push(key);
            let list = merge_list(list, &[], Some(order), path)?;
            path.pop();
            merged.insert(key.to_owned(), Value::Array(list));
        }
    }
    Ok(merged)
}

fn merge_list<'p>(
    original: &[Value],
    patch: &'p [Value],
    order: Option<&'p Vec<Value>>,
    path: &mut Vec<&'p str>,
) -> Result<Vec<Value>, StrategicError> {
    match patch_strategy(path) {
        PatchStrategy::Replace => {
            Ok(patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).cloned().collect())
        }
        PatchStrategy::MergePrimitives => {
            let added = patch.iter().filter(|value| !original.contains(value)).cloned();
            let merged: Vec<Value> = original.iter().cloned().chain(added).collect();
            Ok(match order {
                Some(order) => {
                    let wanted: Vec<Value> =
                        order.iter().filter(|value| merged.contains(value)).cloned().collect();
                    merged_order(&merged, &wanted)
                }
                None => merged,
            })
        }
        PatchStrategy::MergeByKey(key) => merge_keyed(original, patch, order, key, path),
    }
}

fn merge_keyed<'p>(
    original: &[Value],
    patch: &'p [Value],
    order: Option<&'p Vec<Value>>,
    key: &'static str,
    path: &mut Vec<&'p str>,
) -> Result<Vec<Value>, StrategicError> {
    let mut merged: Vec<Value> = original.to_vec();
    if patch
        .iter()
        .any(|item| item.as_object().is_some_and(|item| matches!(directive(item), Ok(Directive::Replace))))
    {
        return Ok(patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).cloned().collect());
    }
    for item in patch {
        let Some(fields) = item.as_object() else { return Err(StrategicError::NoList(path.join("."))) };
        let wanted =
            fields.get(key).ok_or_else(|| StrategicError::NoMergeKey { item: item.to_string(), key })?;
        let found = merged.iter().position(|old| old.get(key) == Some(wanted));
        match (directive(fields)?, found) {
            (Directive::Delete, _) => merged.retain(|old| old.get(key) != Some(wanted)),
            (_, Some(at)) => {
                let old = merged[at].as_object().cloned().unwrap_or_default();
                merged[at] = Value::Object(merge_map(&old, fields, path)?);
            }
            (_, None) => merged.push(Value::Object(merge_map(&Map::new(), fields, path)?)),
        }
    }
    let Some(order) = order else { return Ok(merged) };
    let keys: Vec<Value> = merged.iter().map(|item| item[key].clone()).collect();
    let wanted: Vec<Value> =
        order.iter().map(|item| item[key].clone()).filter(|item| keys.contains(item)).collect();
    let order = merged_order(&keys, &wanted);
    merged.sort_by_key(|item| order.iter().position(|key_value| *key_value == item[key]));
    Ok(merged)
}

enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map<String, Value>) -> Result<Directive, StrategicError> {
    match patch.get(DIRECTIVE) {
        None => Ok(Directive::Merge),
        Some(Value::String(text)) => match text.as_str() {
            "merge" => Ok(Directive::Merge),
            "replace" => Ok(Directive::Replace),
            "delete" => Ok(Directive::Delete),
            other => Err(StrategicError::UnknownDirective(other.to_owned())),
        },
        Some(other) => Err(StrategicError::UnknownDirective(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(containers: Value) -> Value {
        json!({"spec": {"containers": containers}})
    }

    #[test]
    fn containers_merge_by_name_and_their_env_too() {
        let object = pod(json!([
            {"name": "a", "image": "a:1", "args": ["x", "y"], "env": [{"name": "K", "value": "1"}, {"name": "L", "value": "2"}]},
            {"name": "b", "image": "b:1"},
        ]));
        let patch = pod(json!([
            {"name": "a", "args": ["z"], "env": [{"name": "L", "value": "3"}, {"$patch": "delete", "name": "K"}]},
            {"name": "c", "image": "c:1"},
        ]));
        let expected = pod(json!([
            {"name": "a", "image": "a:1", "args": ["z"], "env": [{"name": "L", "value": "3"}]},
            {"name": "b", "image": "b:1"},
            {"name": "c", "image": "c:1"},
        ]));
        assert_eq!(apply(&object, &patch), Ok(expected));
    }

    #[test]
    fn directives_replace_delete_retain_and_order() {
        let object = json!({"spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "containers": [{"name": "a"}, {"name": "b"}],
            "volumes": [{"name": "v", "emptyDir": {}}],
        }, "metadata": {"finalizers": ["x", "y"], "labels": {"a": "1", "b": "2"}}});
        let patch = json!({"spec": {
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
            "volumes": [{"$patch": "replace"}, {"name": "w", "emptyDir": {}}],
        }, "metadata": {
            "$deleteFromPrimitiveList/finalizers": ["x"], "finalizers": ["z"],
            "labels": {"$patch": "replace", "c": "3"},
        }});
        let expected = json!({"spec": {
            "strategy": {"type": "Recreate"},
            "containers": [{"name": "b"}, {"name": "a"}],
            "volumes": [{"name": "w", "emptyDir": {}}],
        }, "metadata": {"finalizers": ["y", "z"], "labels": {"c": "3"}}});
        assert_eq!(apply(&object, &patch), Ok(expected));
    }

    #[test]
    fn an_item_without_its_merge_key_is_refused() {
        let refused = apply(&pod(json!([])), &pod(json!([{"image": "x"}])));
        assert!(matches!(refused, Err(StrategicError::NoMergeKey { key: "name", .. })));
    }
}
