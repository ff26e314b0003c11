//! Server-side apply: merging an applied configuration into an object, and removing what is no longer applied.

use serde_json::{Map, Value};

use super::{
    fields::{FieldSet, items_by_key},
    lists::{is_atomic_map, list_type, merged_order},
};

/// The object with the configuration merged in.
pub fn merge(object: &Value, config: &Value) -> Value {
    merge_at(object, config, &mut Vec::new())
}

fn merge_at<'v>(old: &'v Value, config: &'v Value, path: &mut Vec<&'v str>) -> Value {
    match (old, config) {
        (Value::Object(before), Value::Object(wanted)) if !is_atomic_map(path) => {
            let mut merged = before.clone();
            for (key, value) in wanted {
                path.push(key);
                let value = match before.get(key) {
                    Some(old) => merge_at(old, value, path),
                    None => value.clone(),
                };
                path.pop();
                merged.insert(key.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(before), Value::Array(wanted)) => {
            let kind = list_type(path);
            let (Some(before), Some(wanted)) = (items_by_key(before, kind), items_by_key(wanted, kind))
            else {
                return config.clone();
            };
            let keys =
                |items: &[(String, &Value)]| items.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
            let order = merged_order(&keys(&before), &keys(&wanted));
            let find = |items: &[(String, &'v Value)], key: &str| {
                items.iter().find(|(other, _)| other == key).map(|(_, item)| *item)
            };
            let merged = order.iter().filter_map(|key| match (find(&before, key), find(&wanted, key)) {
                (Some(old), Some(new)) => Some(merge_at(old, new, path)),
                (old, new) => new.or(old).cloned(),
            });
            Value::Array(merged.collect())
        }
        _ => config.clone(),
    }
}

/// Removes the members of `set` from an object. An item of a list that others still hold a part of (`held`) stays.
pub fn remove(object: &mut Value, set: &FieldSet, held: &FieldSet) {
    remove_at(object, set, Some(held), &mut Vec::new());
}

fn remove_at(value: &mut Value, set: &FieldSet, held: Option<&FieldSet>, path: &mut Vec<String>) {
    match value {
        Value::Object(fields) => remove_fields(fields, set, held, path),
        Value::Array(items) => {
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some(keyed) = items_by_key(items, list_type(&names)) else { return };
            let keys: Vec<String> = keyed.into_iter().map(|(key, _)| key).collect();
            let mut kept = Vec::with_capacity(items.len());
            for (key, mut item) in keys.into_iter().zip(std::mem::take(items)) {
                if let Some(child) = set.children.get(&key) {
                    let held = held.and_then(|held| held.children.get(&key));
                    if child.member && held.is_none() {
                        continue;
                    }
                    remove_at(&mut item, child, held, path);
                }
                kept.push(item);
            }
            *items = kept;
        }
        _ => {}
    }
}

fn remove_fields(
    fields: &mut Map<String, Value>,
    set: &FieldSet,
    held: Option<&FieldSet>,
    path: &mut Vec<String>,
) {
    for (element, child) in &set.children {
        let Some(name) = element.strip_prefix("f:") else { continue };
        let Some(value) = fields.get_mut(name) else { continue };
        let held = held.and_then(|held| held.children.get(element));
        path.push(name.to_owned());
        let gone = if child.member && held.is_none() {
            true
        } else {
            remove_at(value, child, held, path);
            // What became empty by the removal goes too: an empty map says nothing.
            held.is_none()
                && (value.as_object().is_some_and(Map::is_empty)
                    || value.as_array().is_some_and(Vec::is_empty))
        };
        path.pop();
        if gone {
            fields.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keyed_items_merge_and_atomic_lists_are_replaced() {
        let object = json!({"spec": {"replicas": 1, "template": {"spec": {
            "containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}]}}}});
        let config =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "args": ["y", "z"]}]}}}});
        let expected = json!({"spec": {"replicas": 1, "template": {"spec": {
            "containers": [{"name": "a", "image": "1", "args": ["y", "z"]}, {"name": "b", "image": "1"}]}}}});
        assert_eq!(merge(&object, &config), expected);
    }

    #[test]
    fn removal_takes_items_and_fields_but_leaves_what_others_hold() {
        let mut object = json!({"metadata": {"name": "x", "labels": {"a": "1"}}, "spec": {"containers": [
            {"name": "a", "image": "1"}, {"name": "b", "image": "1", "tty": true}]}});
        let set = FieldSet::of(&json!({"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [
            {"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}}));
        let held = FieldSet::of(&json!({"spec": {"containers": [{"name": "b", "tty": true}]}}));
        let mut set = set;
        set.subtract(&held);
        remove(&mut object, &set, &held);
        assert_eq!(
            object,
            json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "b", "tty": true}]}})
        );
    }
}
