//! The environment of a container: `env`, `envFrom`, the downward API, Service variables and `$(VAR)` expansion.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVarSource, ObjectFieldSelector, Pod, ResourceFieldSelector, Secret, Service,
};

use super::quantity;

/// A reference that cannot be resolved: the container waits with `CreateContainerConfigError`. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A ConfigMap that is not optional does not exist.
    #[error("configmap \"{0}\" not found")]
    ConfigMapNotFound(String),
    /// A Secret that is not optional does not exist.
    #[error("secret \"{0}\" not found")]
    SecretNotFound(String),
    /// The object exists, the key does not.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    KeyNotFound {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Namespace of the object.
        namespace: String,
        /// Name of the object.
        name: String,
        /// The missing key.
        key: String,
    },
    /// A `fieldRef` or `resourceFieldRef` that the downward API does not have.
    #[error("unsupported fieldPath: {0}")]
    Field(String),
    /// A source this kubelet does not implement.
    #[error("{0} is not supported by the embedded cluster")]
    Unsupported(String),
}

/// ConfigMaps and Secrets that a pod refers to; a missing object is `None`.
#[derive(Clone, Debug, Default)]
pub struct ConfigObjects {
    /// By name.
    pub config_maps: HashMap<String, Option<ConfigMap>>,
    /// By name.
    pub secrets: HashMap<String, Option<Secret>>,
}

impl ConfigObjects {
    /// The ConfigMap, if it exists.
    pub fn config_map(&self, name: &str) -> Result<&ConfigMap, ConfigError> {
        self.config_maps
            .get(name)
            .and_then(Option::as_ref)
            .ok_or_else(|| ConfigError::ConfigMapNotFound(name.to_owned()))
    }

    /// The Secret, if it exists.
    pub fn secret(&self, name: &str) -> Result<&Secret, ConfigError> {
        self.secrets
            .get(name)
            .and_then(Option::as_ref)
            .ok_or_else(|| ConfigError::SecretNotFound(name.to_owned()))
    }
}

/// What the downward API knows beside the pod itself.
#[derive(Clone, Debug)]
pub struct DownwardContext {
    /// `status.podIP`.
    pub pod_ip: Ipv4Addr,
    /// `status.hostIP`.
    pub host_ip: Ipv4Addr,
    /// `spec.nodeName`.
    pub node_name: String,
    /// What `limits.*` are when none is set: the node's allocatable amounts.
    pub allocatable: BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
}

/// Expands `$(NAME)`; `$$` is a dollar sign, an unknown name stays as it is written. The rule is the kubelet's.
pub fn expand<'t>(text: &'t str, lookup: impl Fn(&str) -> Option<String>) -> Cow<'t, str> {
    if !text.contains('$') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        rest = match after.chars().next() {
            None => {
                out.push('$');
                after
            }
            Some('$') => {
                out.push('$');
                &after[1..]
            }
            Some('(') => match after.find(')') {
                Some(end) => {
                    match lookup(&after[1..end]) {
                        Some(value) => out.push_str(&value),
                        None => {
                            out.push('$');
                            out.push_str(&after[..=end]);
                        }
                    }
                    &after[end + 1..]
                }
                None => {
                    out.push_str("$(");
                    &after[1..]
                }
            },
            Some(other) => {
                out.push('$');
                out.push(other);
                &after[other.len_utf8()..]
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The environment of a container, in order, without Service variables that it overrides.
pub fn container_env(
    pod: &Pod,
    container: &Container,
    objects: &ConfigObjects,
    services: &[(String, String)],
    context: &DownwardContext,
) -> Result<Vec<(String, String)>, ConfigError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut result = Environment::default();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &source.config_map_ref {
            match objects.config_map(&reference.name) {
                Ok(map) => {
                    for (key, value) in map.data.iter().flatten() {
                        result.set(format!("{prefix}{key}"), value.clone());
                    }
                }
                Err(_) if reference.optional == Some(true) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(reference) = &source.secret_ref {
            match objects.secret(&reference.name) {
                Ok(secret) => {
                    for (key, value) in secret.data.iter().flatten() {
                        result.set(format!("{prefix}{key}"), String::from_utf8_lossy(&value.0).into_owned());
                    }
                }
                Err(_) if reference.optional == Some(true) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let service_values: HashMap<&str, &str> =
        services.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    for variable in container.env.iter().flatten() {
        let value = if let Some(value) = &variable.value {
            let lookup = |name: &str| {
                result.get(name).or_else(|| service_values.get(name).copied()).map(str::to_owned)
            };
            Some(expand(value, lookup).into_owned())
        } else if let Some(source) = &variable.value_from {
            from_source(pod, container, source, objects, context, namespace)?
        } else {
            Some(String::new())
        };
        if let Some(value) = value {
            result.set(variable.name.clone(), value);
        }
    }
    let mut all: Vec<(String, String)> =
        services.iter().filter(|(name, _)| result.get(name).is_none()).cloned().collect();
    all.extend(result.variables);
    Ok(all)
}

/// Insertion order is kept, a later value replaces an earlier one in place.
#[derive(Default)]
struct Environment {
    variables: Vec<(String, String)>,
    index: HashMap<String, usize>,
}

impl Environment {
    fn set(&mut self, name: String, value: String) {
        match self.index.get(&name) {
            Some(at) => self.variables[*at].1 = value,
            None => {
                self.index.insert(name.clone(), self.variables.len());
                self.variables.push((name, value));
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.index.get(name).map(|at| self.variables[*at].1.as_str())
    }
}

/// `None`: an optional key that is missing leaves the variable unset.
fn from_source(
    pod: &Pod,
    container: &Container,
    source: &EnvVarSource,
    objects: &ConfigObjects,
    context: &DownwardContext,
    namespace: &str,
) -> Result<Option<String>, ConfigError> {
    let key_error = |kind, name: &str, key: &str| ConfigError::KeyNotFound {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        key: key.to_owned(),
    };
    let (found, optional) = if let Some(selector) = &source.config_map_key_ref {
        let found = objects.config_map(&selector.name).and_then(|map| {
            let value = map.data.as_ref().and_then(|data| data.get(&selector.key)).cloned();
            value.ok_or_else(|| key_error("ConfigMap", &selector.name, &selector.key))
        });
        (found, selector.optional == Some(true))
    } else if let Some(selector) = &source.secret_key_ref {
        let found = objects.secret(&selector.name).and_then(|secret| {
            let value = secret.data.as_ref().and_then(|data| data.get(&selector.key));
            value
                .map(|value| String::from_utf8_lossy(&value.0).into_owned())
                .ok_or_else(|| key_error("Secret", &selector.name, &selector.key))
        });
        (found, selector.optional == Some(true))
    } else if let Some(reference) = &source.field_ref {
        (field(pod, reference, context), false)
    } else if let Some(reference) = &source.resource_field_ref {
        (resource(pod, container, reference, context), false)
    } else {
        (Err(ConfigError::Unsupported("this source of an environment variable".to_owned())), false)
    };
    match found {
        Ok(value) => Ok(Some(value)),
        Err(_) if optional => Ok(None),
        Err(error) => Err(error),
    }
}

/// A field of the pod for the downward API.
pub fn field(
    pod: &Pod,
    reference: &ObjectFieldSelector,
    context: &DownwardContext,
) -> Result<String, ConfigError> {
    let metadata = &pod.metadata;
    let path = reference.field_path.as_str();
    let unknown = || ConfigError::Field(path.to_owned());
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let map = match map {
            "metadata.labels" => &metadata.labels,
            "metadata.annotations" => &metadata.annotations,
            _ => return Err(unknown()),
        };
        return Ok(map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => metadata.name.clone().unwrap_or_default(),
        "metadata.namespace" => metadata.namespace.clone().unwrap_or_default(),
        "metadata.uid" => metadata.uid.clone().unwrap_or_default(),
        "metadata.labels" => format_map(metadata.labels.as_ref()),
        "metadata.annotations" => format_map(metadata.annotations.as_ref()),
        "spec.nodeName" => context.node_name.clone(),
        "spec.serviceAccountName" => pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_else(|| "default".to_owned()),
        "status.podIP" | "status.podIPs" => context.pod_ip.to_string(),
        "status.hostIP" | "status.hostIPs" => context.host_ip.to_string(),
        _ => return Err(unknown()),
    })
}

/// Labels as a downward API file has them: `key="value"` lines.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join("\n")
}

/// A resource of a container for the downward API.
pub fn resource(
    pod: &Pod,
    own: &Container,
    reference: &ResourceFieldSelector,
    context: &DownwardContext,
) -> Result<String, ConfigError> {
    let unknown = || ConfigError::Field(reference.resource.clone());
    let container = match &reference.container_name {
        Some(name) => {
            let spec = pod.spec.as_ref().ok_or_else(unknown)?;
            spec.containers.iter().find(|container| &container.name == name).ok_or_else(unknown)?
        }
        None => own,
    };
    let resources = container.resources.as_ref();
    let (list, name) = reference.resource.split_once('.').ok_or_else(unknown)?;
    let limit = resources.and_then(|r| r.limits.as_ref()).and_then(|limits| limits.get(name));
    let request = resources.and_then(|r| r.requests.as_ref()).and_then(|requests| requests.get(name));
    let value = match list {
        "limits" => limit.or_else(|| context.allocatable.get(name)),
        "requests" => request.or(limit),
        _ => return Err(unknown()),
    };
    match value {
        Some(value) => quantity::divided(value, reference.divisor.as_ref()).ok_or_else(unknown),
        None => Ok("0".to_owned()),
    }
}

/// Kubernetes' own variables for the Services of a namespace (`FOO_SERVICE_HOST` and the older link variables).
pub fn service_env(services: &[Service]) -> Vec<(String, String)> {
    let mut result = Vec::new();
    for service in services {
        let Some(spec) = &service.spec else { continue };
        let ip = match spec.cluster_ip.as_deref() {
            Some(ip) if !ip.is_empty() && ip != "None" => ip,
            _ => continue,
        };
        let ports = spec.ports.as_deref().unwrap_or_default();
        let (Some(name), Some(first)) = (&service.metadata.name, ports.first()) else { continue };
        let prefix = variable_name(name);
        result.push((format!("{prefix}_SERVICE_HOST"), ip.to_owned()));
        result.push((format!("{prefix}_SERVICE_PORT"), first.port.to_string()));
        for port in ports {
            if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
                result
                    .push((format!("{prefix}_SERVICE_PORT_{}", variable_name(name)), port.port.to_string()));
            }
        }
        for (index, port) in ports.iter().enumerate() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let lower = protocol.to_ascii_lowercase();
            let url = format!("{lower}://{ip}:{}", port.port);
            let link = format!("{prefix}_PORT_{}_{protocol}", port.port);
            if index == 0 {
                result.push((format!("{prefix}_PORT"), url.clone()));
            }
            result.push((link.clone(), url));
            result.push((format!("{link}_PROTO"), lower));
            result.push((format!("{link}_PORT"), port.port.to_string()));
            result.push((format!("{link}_ADDR"), ip.to_owned()));
        }
    }
    result
}

fn variable_name(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn from_json<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn context() -> DownwardContext {
        let quantity = |text: &str| k8s_openapi::apimachinery::pkg::api::resource::Quantity(text.to_owned());
        DownwardContext {
            pod_ip: Ipv4Addr::new(127, 70, 1, 1),
            host_ip: Ipv4Addr::new(127, 70, 0, 1),
            node_name: "node-1".to_owned(),
            allocatable: BTreeMap::from([("cpu".to_owned(), quantity("4"))]),
        }
    }

    #[test]
    fn expansion_follows_the_kubelet() {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let cases = [
            ("plain", "plain"),
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$$$$(A)", "$$(A)"),
            ("$(MISSING)", "$(MISSING)"),
            ("[$(EMPTY)]", "[]"),
            ("$A", "$A"),
            ("$", "$"),
            ("100$", "100$"),
            ("$(A", "$(A"),
            ("$((A))", "$((A))"),
            ("$é$(A)", "$é1"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, lookup), expected, "{text}");
        }
    }

    #[test]
    fn sources_are_merged_in_order() {
        let pod: Pod = from_json(
            json!({"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"}}}),
        );
        let container: Container = from_json(json!({
            "name": "main",
            "resources": {"requests": {"memory": "64Mi"}},
            "envFrom": [
                {"prefix": "P_", "configMapRef": {"name": "cm"}},
                {"secretRef": {"name": "absent", "optional": true}},
            ],
            "env": [
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "URL", "value": "http://$(IP):$(P_port)/$(DB_SERVICE_HOST)"},
                {"name": "P_port", "value": "2"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
                {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "no", "optional": true}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}},
            ],
        }));
        let objects = ConfigObjects {
            config_maps: HashMap::from([("cm".to_owned(), Some(from_json(json!({"data": {"port": "1"}}))))]),
            secrets: HashMap::from([(
                "s".to_owned(),
                Some(from_json(json!({"data": {"password": "c2VjcmV0"}}))),
            )]),
        };
        let services =
            [("DB_SERVICE_HOST".to_owned(), "127.70.128.9".to_owned()), ("IP".to_owned(), "x".to_owned())];
        let env = container_env(&pod, &container, &objects, &services, &context()).unwrap();
        let env: Vec<(&str, &str)> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = [
            ("DB_SERVICE_HOST", "127.70.128.9"),
            ("P_port", "2"),
            ("IP", "127.70.1.1"),
            ("URL", "http://127.70.1.1:1/127.70.128.9"),
            ("PASSWORD", "secret"),
            ("APP", "web"),
            ("CPU", "4"),
            ("MEM", "64"),
        ];
        assert_eq!(env, expected);
    }

    #[test]
    fn missing_objects_and_keys_are_named() {
        let pod: Pod = from_json(json!({"metadata": {"name": "p", "namespace": "n"}}));
        let objects = ConfigObjects {
            config_maps: HashMap::from([
                ("cm".to_owned(), Some(ConfigMap::default())),
                ("absent".to_owned(), None),
            ]),
            ..ConfigObjects::default()
        };
        let cases = [
            (
                json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "A"}}}]),
                "configmap \"absent\" not found",
            ),
            (
                json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "A"}}}]),
                "couldn't find key A in ConfigMap n/cm",
            ),
            (
                json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "A"}}}]),
                "secret \"s\" not found",
            ),
            (
                json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]),
                "unsupported fieldPath: spec.x",
            ),
        ];
        for (env, expected) in cases {
            let container: Container = from_json(json!({"name": "main", "env": env}));
            let error = container_env(&pod, &container, &objects, &[], &context()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn service_variables_are_those_of_kubernetes() {
        let service: Service = from_json(json!({
            "metadata": {"name": "my-db"},
            "spec": {"clusterIP": "127.70.128.9", "ports": [{"name": "sql", "port": 15432}]},
        }));
        let headless: Service = from_json(
            json!({"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}),
        );
        let env = service_env(&[service, headless]);
        let env: Vec<String> = env.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            "MY_DB_SERVICE_HOST=127.70.128.9",
            "MY_DB_SERVICE_PORT=15432",
            "MY_DB_SERVICE_PORT_SQL=15432",
            "MY_DB_PORT=tcp://127.70.128.9:15432",
            "MY_DB_PORT_15432_TCP=tcp://127.70.128.9:15432",
            "MY_DB_PORT_15432_TCP_PROTO=tcp",
            "MY_DB_PORT_15432_TCP_PORT=15432",
            "MY_DB_PORT_15432_TCP_ADDR=127.70.128.9",
        ];
        assert_eq!(env, expected);
    }
}
