//! `metadata.managedFields`: which manager wrote which field.

use serde_json::{Value, json};

use super::{
    patch::{
        apply,
        fields::{FieldSet, compare},
    },
    status::ApiError,
    verbs::now,
};

/// Who writes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Name of the manager.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: &'static str,
    /// Version of the API that the write used.
    pub api_version: String,
    /// Subresource that the write used; empty for the object itself.
    pub subresource: String,
}

#[derive(Debug, Clone)]
struct Entry {
    writer: Writer,
    time: String,
    set: FieldSet,
}

impl Entry {
    fn read(entry: &Value) -> Self {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let operation = if entry["operation"] == "Apply" { "Apply" } else { "Update" };
        Self {
            writer: Writer {
                manager: text("manager"),
                operation,
                api_version: text("apiVersion"),
                subresource: text("subresource"),
            },
            time: text("time"),
            set: FieldSet::parse(&entry["fieldsV1"]),
        }
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.writer.manager, "operation": self.writer.operation, "apiVersion": self.writer.api_version,
            "time": self.time, "fieldsType": "FieldsV1", "fieldsV1": self.set.to_value(),
        });
        if !self.writer.subresource.is_empty() {
            entry["subresource"] = self.writer.subresource.as_str().into();
        }
        entry
    }

    /// As conflict messages name it.
    fn describe(&self) -> String {
        let Writer { manager, operation, api_version, subresource } = &self.writer;
        let through =
            if subresource.is_empty() { String::new() } else { format!(" with subresource {subresource:?}") };
        let version = if *operation == "Update" { format!(" using {api_version}") } else { String::new() };
        format!("{manager:?}{through}{version}")
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    object["metadata"]["managedFields"].as_array().into_iter().flatten().map(Entry::read).collect()
}

fn store(object: &mut Value, entries: &[Entry]) {
    let list: Vec<Value> = entries.iter().filter(|entry| !entry.set.is_empty()).map(Entry::write).collect();
    if list.is_empty() {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
    } else {
        object["metadata"]["managedFields"] = list.into();
    }
}

/// Follows a write other than an apply: the writer takes what it changed, what is gone belongs to nobody.
pub fn after_update(old: &Value, new: &mut Value, writer: &Writer) {
    let changes = compare(old, new);
    // A client may write the list itself: to take over what another manager had (as kubectl does when it goes over to
    // server-side apply), or to start anew with a single empty entry.
    let given = new["metadata"]["managedFields"].as_array();
    let reset = given.is_some_and(|list| matches!(list.as_slice(), [Value::Object(only)] if only.is_empty()));
    let mut all = match given {
        _ if reset => Vec::new(),
        Some(list) if !list.is_empty() => entries(new),
        _ => entries(old),
    };
    let nothing = changes.written.is_empty() && changes.removed.is_empty();
    if nothing {
        store(new, &all);
        return;
    }
    for entry in &mut all {
        entry.set.subtract_trees(&changes.removed);
        if entry.writer != *writer {
            entry.set.subtract(&changes.written);
        }
    }
    if !changes.written.is_empty() {
        match all.iter_mut().find(|entry| entry.writer == *writer) {
            Some(entry) => {
                let before = entry.set.clone();
                entry.set.add(&changes.written);
                if entry.set != before || entry.time.is_empty() {
                    entry.time = now();
                }
            }
            None => all.push(Entry { writer: writer.clone(), time: now(), set: changes.written }),
        }
    }
    store(new, &all);
}

/// The object after an apply of `config`, with its managed fields; 409 if others own what the configuration would change.
pub fn applied(live: &Value, config: &Value, writer: &Writer, force: bool) -> Result<Value, ApiError> {
    let mut all = entries(live);
    let wanted = FieldSet::of(config);
    let mut merged = apply::merge(live, config);
    let before =
        all.iter().find(|entry| entry.writer == *writer).map(|entry| entry.set.clone()).unwrap_or_default();
    let mut others = FieldSet::default();
    for entry in all.iter().filter(|entry| entry.writer != *writer) {
        others.add(&entry.set);
    }

    let changed = compare(live, &merged).written;
    let mut conflicts = Vec::new();
    for entry in all.iter_mut().filter(|entry| entry.writer != *writer) {
        let lost = entry.set.common(&changed).common(&wanted);
        if lost.is_empty() {
            continue;
        }
        let description = entry.describe();
        conflicts.extend(lost.paths().into_iter().map(|path| (description.clone(), path)));
        entry.set.subtract(&lost);
    }
    if !conflicts.is_empty() && !force {
        return Err(ApiError::apply_conflict(&conflicts));
    }

    let mut abandoned = before.clone();
    abandoned.subtract(&wanted);
    abandoned.subtract(&others);
    let mut held = others;
    held.add(&wanted);
    apply::remove(&mut merged, &abandoned, &held);

    let gone = compare(live, &merged).removed;
    for entry in &mut all {
        entry.set.subtract_trees(&gone);
    }
    match all.iter_mut().find(|entry| entry.writer == *writer) {
        Some(entry) if before != wanted => {
            entry.set = wanted;
            entry.time = now();
        }
        Some(entry) => entry.set = wanted,
        None => all.push(Entry { writer: writer.clone(), time: now(), set: wanted }),
    }
    store(&mut merged, &all);
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(manager: &str, operation: &'static str) -> Writer {
        Writer { manager: manager.into(), operation, api_version: "v1".into(), subresource: String::new() }
    }

    #[test]
    fn a_conflict_names_manager_and_field_and_force_takes_it() {
        let (one, two) = (writer("one", "Apply"), writer("two", "Apply"));
        let live =
            applied(&json!({"metadata": {}}), &json!({"data": {"a": "1", "b": "1"}}), &one, false).unwrap();
        let error = applied(&live, &json!({"data": {"a": "2"}}), &two, false).unwrap_err();
        assert_eq!(error.to_string(), "Apply failed with 1 conflict: conflict with \"one\": .data.a");
        let forced = applied(&live, &json!({"data": {"a": "2"}}), &two, true).unwrap();
        assert_eq!(forced["data"], json!({"a": "2", "b": "1"}));
        assert_eq!(forced["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:data": {"f:b": {}}}));
    }

    #[test]
    fn what_is_no_longer_applied_goes_unless_another_manager_has_it() {
        let (one, two) = (writer("one", "Apply"), writer("two", "Apply"));
        let live =
            applied(&json!({"metadata": {}}), &json!({"data": {"a": "1", "b": "1"}}), &one, false).unwrap();
        let live = applied(&live, &json!({"data": {"b": "1"}}), &two, false).unwrap();
        let live = applied(&live, &json!({"data": {}}), &one, false).unwrap();
        assert_eq!(live["data"], json!({"b": "1"}));
    }

    #[test]
    fn a_client_may_write_the_list_itself() {
        let (one, two) = (writer("one", "Update"), writer("two", "Apply"));
        let mut live = json!({"metadata": {}, "data": {"a": "1"}});
        after_update(&json!({"metadata": {}}), &mut live, &one);
        let mut new = live.clone();
        new["metadata"]["managedFields"][0]["manager"] = json!("two");
        new["metadata"]["managedFields"][0]["operation"] = json!("Apply");
        after_update(&live, &mut new, &writer("kubectl", "Update"));
        let changed = applied(&new, &json!({"data": {"a": "2"}}), &two, false).unwrap();
        assert_eq!(changed["data"]["a"], "2", "what was one's is two's");
        let mut reset = live.clone();
        reset["metadata"]["managedFields"] = json!([{}]);
        after_update(&live, &mut reset, &one);
        assert_eq!(reset["metadata"], json!({}));
    }

    #[test]
    fn an_update_takes_the_changed_fields_from_their_owners() {
        let (apply, update) = (writer("one", "Apply"), writer("two", "Update"));
        let live =
            applied(&json!({"metadata": {}}), &json!({"data": {"a": "1", "b": "1"}}), &apply, false).unwrap();
        let mut new = live.clone();
        new["data"] = json!({"a": "2"});
        after_update(&live, &mut new, &update);
        let managed = new["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(managed.len(), 1, "{managed:?}");
        assert_eq!(
            (&managed[0]["manager"], &managed[0]["fieldsV1"]),
            (&json!("two"), &json!({"f:data": {"f:a": {}}}))
        );
    }
}
