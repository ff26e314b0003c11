//! How lists and maps are merged: the `patchStrategy`, `listType` and `mapType` marks of the Kubernetes API types.

/// Merging of a list by server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    /// Replaced as a whole.
    Atomic,
    /// Distinct scalars, each owned for itself.
    Set,
    /// Items with these keys, each owned for itself.
    Map(&'static [&'static str]),
}

/// Merging of a list by a strategic merge patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchStrategy {
    /// Replaced as a whole.
    Replace,
    /// Scalars, united.
    MergePrimitives,
    /// Items matched by this key.
    MergeByKey(&'static str),
}

/// Merging of the list at a path of field names (without indexes) by server-side apply.
pub fn list_type(path: &[&str]) -> ListType {
    let (parent, field) = parent_and_field(path);
    match (parent, field) {
        (
            _,
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "env"
            | "volumes"
            | "schedulingGates"
            | "claims",
        ) => ListType::Map(&["name"]),
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => {
            ListType::Map(&["containerPort", "protocol"])
        }
        ("spec", "ports") => ListType::Map(&["port", "protocol"]),
        (_, "volumeMounts") => ListType::Map(&["mountPath"]),
        (_, "volumeDevices") => ListType::Map(&["devicePath"]),
        ("spec", "imagePullSecrets") | ("", "secrets") => ListType::Map(&["name"]),
        (_, "hostAliases") => ListType::Map(&["ip"]),
        (_, "topologySpreadConstraints") => ListType::Map(&["topologyKey", "whenUnsatisfiable"]),
        ("status", "conditions" | "addresses") => ListType::Map(&["type"]),
        ("status", "podIPs") => ListType::Map(&["ip"]),
        ("metadata", "ownerReferences") => ListType::Map(&["uid"]),
        ("metadata", "finalizers") | ("spec", "podCIDRs") => ListType::Set,
        _ => ListType::Atomic,
    }
}

/// Merging of the list at a path of field names (without indexes) by a strategic merge patch.
pub fn patch_strategy(path: &[&str]) -> PatchStrategy {
    let (parent, field) = parent_and_field(path);
    match (parent, field) {
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => {
            PatchStrategy::MergeByKey("containerPort")
        }
        ("spec", "ports") => PatchStrategy::MergeByKey("port"),
        (_, "topologySpreadConstraints") => PatchStrategy::MergeByKey("topologyKey"),
        ("status", "hostIPs") => PatchStrategy::MergeByKey("ip"),
        ("", "imagePullSecrets") => PatchStrategy::MergeByKey("name"),
        _ => match list_type(path) {
            ListType::Atomic => PatchStrategy::Replace,
            ListType::Set => PatchStrategy::MergePrimitives,
            ListType::Map(keys) => PatchStrategy::MergeByKey(keys[0]),
        },
    }
}

/// True for maps that server-side apply replaces as a whole.
pub fn is_atomic_map(path: &[&str]) -> bool {
    let (parent, field) = parent_and_field(path);
    matches!(
        (parent, field),
        ("spec", "selector" | "nodeSelector")
            | ("metadata", "ownerReferences")
            | (_, "labelSelector" | "involvedObject" | "targetRef" | "dataSource" | "claimRef")
    )
}

fn parent_and_field<'a>(path: &[&'a str]) -> (&'a str, &'a str) {
    match path {
        [] => ("", ""),
        [field] => ("", field),
        [.., parent, field] => (parent, field),
    }
}

/// Order of a merged list: wanted items in their order, others where they were among them.
///
/// `present` are the keys of the items that were there, in their order; `wanted` the keys in the order that the client asks
/// for. The result has each key of both once.
pub fn merged_order<K: PartialEq + Clone>(present: &[K], wanted: &[K]) -> Vec<K> {
    let position = |key: &K| present.iter().position(|other| other == key);
    let mut others = present.iter().filter(|key| !wanted.contains(key)).peekable();
    let mut order = Vec::with_capacity(present.len() + wanted.len());
    for key in wanted {
        if let Some(at) = position(key) {
            while let Some(other) = others.next_if(|other| position(other).is_some_and(|other| other < at)) {
                order.push(other.clone());
            }
        }
        order.push(key.clone());
    }
    order.extend(others.cloned());
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_told_apart_by_where_they_are() {
        let pod = ["spec", "template", "spec", "containers"];
        assert_eq!(list_type(&pod), ListType::Map(&["name"]));
        assert_eq!(
            list_type(&["spec", "containers", "ports"]),
            ListType::Map(&["containerPort", "protocol"])
        );
        assert_eq!(patch_strategy(&["spec", "ports"]), PatchStrategy::MergeByKey("port"));
        assert_eq!(list_type(&["subsets"]), ListType::Atomic);
        assert_eq!(list_type(&["spec", "tolerations"]), ListType::Atomic);
        assert_eq!(patch_strategy(&["metadata", "finalizers"]), PatchStrategy::MergePrimitives);
    }

    #[test]
    fn items_that_the_client_does_not_name_stay_where_they_were() {
        assert_eq!(merged_order(&["x", "a", "b"], &["b", "a"]), ["x", "b", "a"]);
        assert_eq!(merged_order(&["a", "x", "b"], &["a", "new", "b"]), ["a", "new", "x", "b"]);
    }
}
