//! Metric families and the lines of one object.

use k8s_openapi::{
    api::core::v1::ObjectReference,
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, OwnerReference, Time},
    },
};

use crate::{
    kubelet::quantity,
    metrics::{Kind, exposition},
};

/// A metric family.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it tells.
    pub help: &'static str,
}

/// A family of gauges.
pub const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

/// A family of counters.
pub const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help }
}

/// The lines of one object, by family.
#[derive(Debug)]
pub struct Lines {
    families: &'static [Family],
    identity: Vec<(&'static str, String)>,
    by_family: Vec<String>,
}

impl Lines {
    /// No lines yet. `identity` are the labels that all lines of the object have.
    pub fn new(families: &'static [Family], identity: Vec<(&'static str, String)>) -> Self {
        Self { families, identity, by_family: vec![String::new(); families.len()] }
    }

    /// Adds a line.
    pub fn add(&mut self, name: &str, labels: &[(&str, &str)], value: impl Into<f64>) {
        let Some(index) = self.families.iter().position(|family| family.name == name) else {
            debug_assert!(false, "{name} is not declared");
            return;
        };
        let identity = self.identity.iter().map(|(label, content)| (*label, content.as_str()));
        let all: Vec<(&str, &str)> = identity.chain(labels.iter().copied()).collect();
        exposition::sample(&mut self.by_family[index], name, &all, value.into());
    }

    /// Adds a line for a number that may be absent.
    pub fn add_some(&mut self, name: &str, value: Option<impl Into<f64>>) {
        if let Some(value) = value {
            self.add(name, &[], value);
        }
    }

    /// Adds a line for a point in time, in seconds since 1970.
    pub fn add_time(&mut self, name: &str, labels: &[(&str, &str)], time: Option<&Time>) {
        if let Some(time) = time {
            self.add(name, labels, seconds(time));
        }
    }

    /// Adds a line for each value that a condition can have; the last label says which.
    pub fn add_condition(&mut self, name: &str, labels: &[(&str, &str)], last: &str, status: &str) {
        for (value, text) in [("True", "true"), ("False", "false"), ("Unknown", "unknown")] {
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([(last, text)]).collect();
            self.add(name, &labels, status == value);
        }
    }

    /// Adds a line for each of the values, 1 for the one that holds.
    pub fn add_states(&mut self, name: &str, label: &str, states: &[&str], state: &str) {
        for one in states {
            self.add(name, &[(label, one)], *one == state);
        }
    }

    /// Adds a line for each owner, or one with empty labels for an object without.
    pub fn add_owners(&mut self, name: &str, metadata: &ObjectMeta, with_controller: bool) {
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        let mut line = |kind: &str, owner: &str, controller: &str| {
            let mut labels = vec![("owner_kind", kind), ("owner_name", owner)];
            if with_controller {
                labels.push(("owner_is_controller", controller));
            }
            self.add(name, &labels, 1);
        };
        if owners.is_empty() {
            line("", "", "");
        }
        for OwnerReference { kind, name, controller, .. } in owners {
            line(kind, name, if *controller == Some(true) { "true" } else { "false" });
        }
    }

    /// The lines of each family.
    pub fn finish(self) -> Box<[Box<str>]> {
        self.by_family.into_iter().map(String::into_boxed_str).collect()
    }
}

/// Seconds since 1970, as all times are shown.
pub fn seconds(time: &Time) -> f64 {
    time.0.as_second() as f64
}

/// A number from a quantity.
pub fn amount(quantity: &Quantity) -> Option<f64> {
    quantity::milli(quantity).map(|milli| milli as f64 / 1000.0)
}

/// A resource's name as a label's value, and its unit; none for resources that are not shown.
pub fn resource(name: &str) -> Option<(String, &'static str)> {
    let unit = match name {
        "cpu" => "core",
        "pods" => "integer",
        "memory" | "storage" | "ephemeral-storage" => "byte",
        name if name.starts_with("hugepages-") || name.starts_with("attachable-volumes-") => "byte",
        name if name.contains('/') && !name.contains("kubernetes.io/") => "integer",
        _ => return None,
    };
    Some((name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"), unit))
}

/// A text that may be absent.
pub fn text<'a>(value: impl Into<Option<&'a String>>) -> &'a str {
    value.into().map(String::as_str).unwrap_or_default()
}

/// Namespace and name under the given label, as nearly all kinds identify themselves.
pub fn identity(label: &'static str, metadata: &ObjectMeta) -> Vec<(&'static str, String)> {
    vec![("namespace", text(&metadata.namespace).to_owned()), (label, text(&metadata.name).to_owned())]
}

/// Name and namespace of what a reference points at.
pub fn referent(reference: &ObjectReference) -> (&str, &str) {
    (text(&reference.name), text(&reference.namespace))
}
