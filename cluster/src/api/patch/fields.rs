//! Sets of fields, as `managedFields` writes them (FieldsV1), and the comparison of objects field by field.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::lists::{ListType, is_atomic_map, list_type};

/// Fields that nobody owns: the server sets them, or they identify the object.
const UNOWNED: [&[&str]; 13] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "uid"],
    &["metadata", "resourceVersion"],
    &["metadata", "creationTimestamp"],
    &["metadata", "generation"],
    &["metadata", "selfLink"],
    &["metadata", "managedFields"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "deletionGracePeriodSeconds"],
    &["metadata", "generateName"],
];

/// A tree of fields. Keys are path elements: `f:name`, `k:{"key":…}` for list items, `v:…` for values of sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// The element itself belongs to the set.
    pub member: bool,
    /// What belongs to the set below it.
    pub children: BTreeMap<String, FieldSet>,
}

/// How an object changed, field by field.
#[derive(Debug, Default)]
pub struct Changes {
    /// New fields and fields with a new value.
    pub written: FieldSet,
    /// Fields that are gone.
    pub removed: FieldSet,
}

impl FieldSet {
    fn leaf() -> Self {
        Self { member: true, children: BTreeMap::new() }
    }

    /// Reads FieldsV1.
    pub fn parse(value: &Value) -> Self {
        let Some(fields) = value.as_object() else { return Self::default() };
        if fields.is_empty() {
            return Self::leaf();
        }
        let children = fields
            .iter()
            .filter(|(key, _)| *key != ".")
            .map(|(key, value)| (key.clone(), Self::parse(value)));
        Self { member: fields.contains_key("."), children: children.collect() }
    }

    /// Writes FieldsV1.
    pub fn to_value(&self) -> Value {
        let mut fields: Map<String, Value> =
            self.children.iter().map(|(key, child)| (key.clone(), child.to_value())).collect();
        if self.member && !fields.is_empty() {
            fields.insert(".".to_owned(), json!({}));
        }
        Value::Object(fields)
    }

    /// All fields of an object that can be owned.
    pub fn of(object: &Value) -> Self {
        let mut set = below(object, &mut Vec::new());
        set.member = false;
        set
    }

    /// True if nothing belongs to the set.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Adds another set.
    pub fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (key, child) in &other.children {
            self.children.entry(key.clone()).or_default().add(child);
        }
    }

    /// Takes another set away.
    pub fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (key, child) in &other.children {
            if let Some(own) = self.children.get_mut(key) {
                own.subtract(child);
                if own.is_empty() {
                    self.children.remove(key);
                }
            }
        }
    }

    /// What belongs to both sets.
    pub fn common(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(key, child)| {
            let common = child.common(other.children.get(key)?);
            (!common.is_empty()).then(|| (key.clone(), common))
        });
        Self { member: self.member && other.member, children: children.collect() }
    }

    /// Takes away a set with everything below its members.
    pub fn subtract_trees(&mut self, other: &Self) {
        for (key, child) in &other.children {
            if child.member {
                self.children.remove(key);
            } else if let Some(own) = self.children.get_mut(key) {
                own.subtract_trees(child);
                if own.is_empty() {
                    self.children.remove(key);
                }
            }
        }
    }

    /// The members' paths as conflict messages show them: `.spec.containers[name="a"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        if self.member {
            paths.push(prefix.to_owned());
        }
        for (key, child) in &self.children {
            let step = match key.split_once(':') {
                Some(("f", name)) => format!(".{name}"),
                Some(("k", keys)) => {
                    let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                    let keys: Vec<String> =
                        keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                    format!("[{}]", keys.join(","))
                }
                Some((_, value)) => format!("[={value}]"),
                None => key.clone(),
            };
            child.collect_paths(&format!("{prefix}{step}"), paths);
        }
    }
}

/// The path element of an item in a keyed list; none if it lacks a key.
pub fn item_key(item: &Value, keys: &[&str]) -> Option<String> {
    let mut element = Map::new();
    for key in keys {
        match item.get(*key) {
            Some(value) => element.insert((*key).to_owned(), value.clone()),
            // The only key with a default in the API.
            None if *key == "protocol" => element.insert((*key).to_owned(), "TCP".into()),
            None => return None,
        };
    }
    Some(format!("k:{}", Value::Object(element)))
}

/// The path element of a value in a set.
pub fn value_key(value: &Value) -> String {
    format!("v:{value}")
}

/// Items by their path element; none if the list does not have the form that its type promises.
pub fn items_by_key(list: &[Value], kind: ListType) -> Option<Vec<(String, &Value)>> {
    match kind {
        ListType::Atomic => None,
        ListType::Set => Some(list.iter().map(|value| (value_key(value), value)).collect()),
        ListType::Map(keys) => list.iter().map(|item| Some((item_key(item, keys)?, item))).collect(),
    }
}

fn below<'v>(value: &'v Value, path: &mut Vec<&'v str>) -> FieldSet {
    match value {
        Value::Object(fields) if !fields.is_empty() && !is_atomic_map(path) => {
            let mut set = FieldSet::default();
            for (key, value) in fields {
                path.push(key);
                if !is_unowned(path) {
                    let child = below(value, path);
                    if !child.is_empty() {
                        set.children.insert(format!("f:{key}"), child);
                    }
                }
                path.pop();
            }
            set
        }
        Value::Array(list) if !list.is_empty() => match items_by_key(list, list_type(path)) {
            None => FieldSet::leaf(),
            Some(items) => {
                let children = items.into_iter().map(|(key, item)| (key, item_set(item, path)));
                FieldSet { member: false, children: children.collect() }
            }
        },
        _ => FieldSet::leaf(),
    }
}

/// An item belongs to the set itself, beside its fields: who put it there keeps it there.
fn item_set<'v>(item: &'v Value, path: &mut Vec<&'v str>) -> FieldSet {
    let mut set = below(item, path);
    set.member = true;
    set
}

fn is_unowned(path: &[&str]) -> bool {
    path.len() <= 2 && UNOWNED.contains(&path)
}

/// Compares two versions of an object.
pub fn compare(old: &Value, new: &Value) -> Changes {
    let mut changes = Changes::default();
    compare_at(old, new, &mut Vec::new(), &mut changes);
    changes
}

fn compare_at<'v>(old: &'v Value, new: &'v Value, path: &mut Vec<&'v str>, changes: &mut Changes) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(before), Value::Object(after)) if !is_atomic_map(path) => {
            for (key, value) in after {
                path.push(key);
                if !is_unowned(path) {
                    let element = format!("f:{key}");
                    match before.get(key) {
                        Some(old) => step(old, value, element, path, changes),
                        None => add_child(&mut changes.written, element, below(value, path)),
                    }
                }
                path.pop();
            }
            for (key, value) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
                path.push(key);
                if !is_unowned(path) {
                    add_child(&mut changes.removed, format!("f:{key}"), below(value, path));
                }
                path.pop();
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            let kind = list_type(path);
            let (Some(before), Some(after)) = (items_by_key(before, kind), items_by_key(after, kind)) else {
                changes.written.member = true;
                return;
            };
            for (key, item) in &after {
                match before.iter().find(|(other, _)| other == key) {
                    Some((_, old)) => step(old, item, key.clone(), path, changes),
                    None => add_child(&mut changes.written, key.clone(), item_set(item, path)),
                }
            }
            for (key, item) in before.iter().filter(|(key, _)| !after.iter().any(|(other, _)| other == key)) {
                add_child(&mut changes.removed, key.clone(), item_set(item, path));
            }
        }
        _ => changes.written.member = true,
    }
}

fn step<'v>(old: &'v Value, new: &'v Value, element: String, path: &mut Vec<&'v str>, changes: &mut Changes) {
    let mut inner = Changes::default();
    compare_at(old, new, path, &mut inner);
    add_child(&mut changes.written, element.clone(), inner.written);
    add_child(&mut changes.removed, element, inner.removed);
}

fn add_child(set: &mut FieldSet, element: String, child: FieldSet) {
    if !child.is_empty() {
        set.children.entry(element).or_default().add(&child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_managed_fields_write_them() {
        let object = json!({"kind": "Pod", "metadata": {"name": "p", "labels": {"app": "x"}, "finalizers": ["a/b"]},
            "spec": {"containers": [{"name": "m", "args": ["1"], "ports": [{"containerPort": 80}]}]}});
        let expected = json!({
            "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {"v:\"a/b\"": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"m\"}": {".": {}, "f:args": {}, "f:name": {},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}},
        });
        let set = FieldSet::of(&object);
        assert_eq!(set.to_value(), expected);
        assert_eq!(FieldSet::parse(&expected), set);
        assert!(set.paths().contains(&".spec.containers[name=\"m\"].args".to_owned()));
    }

    #[test]
    fn a_comparison_tells_written_from_removed() {
        let old =
            json!({"data": {"a": "1", "b": "2"}, "spec": {"containers": [{"name": "x", "image": "1"}]}});
        let new =
            json!({"data": {"a": "1", "c": "3"}, "spec": {"containers": [{"name": "x", "image": "2"}]}});
        let changes = compare(&old, &new);
        assert_eq!(changes.written.paths(), [".data.c", ".spec.containers[name=\"x\"].image"]);
        assert_eq!(changes.removed.paths(), [".data.b"]);
    }

    #[test]
    fn sets_are_added_subtracted_and_intersected() {
        let mut one = FieldSet::of(&json!({"data": {"a": "1", "b": "1"}}));
        let two = FieldSet::of(&json!({"data": {"b": "1", "c": "1"}}));
        assert_eq!(one.common(&two).paths(), [".data.b"]);
        one.subtract(&two);
        assert_eq!(one.paths(), [".data.a"]);
        one.add(&two);
        assert_eq!(one.paths(), [".data.a", ".data.b", ".data.c"]);
    }
}
