//! Reading manifests: a directory with a `kustomization.yaml`, as `kubectl apply -k` takes it.
//!
//! The subset of kustomize that the project's own manifests use. A field outside it is refused by name rather than ignored:
//! an ignored one would make the embedded stack differ from what kubectl applies on a real cluster.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// Why manifests could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file or directory could not be read.
    #[error("can't read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Not YAML, or not of the expected shape.
    #[error("{} is not understood", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Cause.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// Understood, but not something that can be applied.
    #[error("{}: {problem}", path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kustomization {
    #[serde(default, rename = "apiVersion")]
    _api_version: Option<String>,
    #[serde(default, rename = "kind")]
    _kind: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    config_map_generator: Vec<Generator>,
    #[serde(default)]
    secret_generator: Vec<Generator>,
    #[serde(default)]
    generator_options: GeneratorOptions,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Generator {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    /// `path` or `key=path`.
    #[serde(default)]
    files: Vec<String>,
    /// `key=value`.
    #[serde(default)]
    literals: Vec<String>,
    /// Secrets only.
    #[serde(default, rename = "type")]
    secret_type: Option<String>,
    #[serde(default)]
    options: GeneratorOptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GeneratorOptions {
    #[serde(default)]
    disable_name_suffix_hash: bool,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// All objects of a kustomization, in its order.
pub fn read(directory: &Path) -> Result<Vec<Value>, ManifestError> {
    let path = directory.join("kustomization.yaml");
    let kustomization: Kustomization = parse(&path)?
        .into_iter()
        .next()
        .ok_or_else(|| ManifestError::Invalid { path: path.clone(), problem: "it is empty".to_owned() })?;
    let mut objects = Vec::new();
    for resource in &kustomization.resources {
        let resource = directory.join(resource);
        if resource.is_dir() {
            objects.extend(read(&resource)?);
        } else {
            objects.extend(file(&resource)?);
        }
    }
    let generators =
        [("ConfigMap", &kustomization.config_map_generator), ("Secret", &kustomization.secret_generator)];
    for (kind, generators) in generators {
        for generator in generators {
            objects.push(generate(kind, generator, &kustomization.generator_options, directory, &path)?);
        }
    }
    if let Some(namespace) = &kustomization.namespace {
        for object in &mut objects {
            if !CLUSTER_SCOPED.contains(&object["kind"].as_str().unwrap_or_default()) {
                object["metadata"]["namespace"] = json!(namespace);
            }
        }
    }
    Ok(objects)
}

/// Kinds that a kustomization's `namespace` leaves alone.
const CLUSTER_SCOPED: [&str; 6] =
    ["Namespace", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "StorageClass", "PriorityClass"];

/// All objects of one file.
fn file(path: &Path) -> Result<Vec<Value>, ManifestError> {
    let objects: Vec<Value> = parse(path)?.into_iter().filter(|object: &Value| !object.is_null()).collect();
    for (at, object) in objects.iter().enumerate() {
        for pointer in ["/apiVersion", "/kind", "/metadata/name"] {
            if !object.pointer(pointer).is_some_and(Value::is_string) {
                let problem = format!("document {} has no {}", at + 1, pointer[1..].replace('/', "."));
                return Err(ManifestError::Invalid { path: path.to_owned(), problem });
            }
        }
    }
    Ok(objects)
}

fn generate(
    kind: &str,
    generator: &Generator,
    options: &GeneratorOptions,
    directory: &Path,
    kustomization: &Path,
) -> Result<Value, ManifestError> {
    let invalid = |problem| ManifestError::Invalid { path: kustomization.to_owned(), problem };
    let name = &generator.name;
    if !options.disable_name_suffix_hash && !generator.options.disable_name_suffix_hash {
        return Err(invalid(format!(
            "{name}: only generators with disableNameSuffixHash: true are supported"
        )));
    }
    let mut data = Map::new();
    for entry in &generator.files {
        let (key, path) = match entry.split_once('=') {
            Some((key, path)) => (key.to_owned(), directory.join(path)),
            None => {
                let path = directory.join(entry);
                let key =
                    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                (key, path)
            }
        };
        data.insert(key, text(&path)?.into());
    }
    for literal in &generator.literals {
        let (key, value) = literal
            .split_once('=')
            .ok_or_else(|| invalid(format!("{name}: literal {literal:?} has no \"=\"")))?;
        data.insert(key.to_owned(), value.into());
    }
    let mut object = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
    // The API server encodes stringData.
    object[if kind == "Secret" { "stringData" } else { "data" }] = data.into();
    if let Some(namespace) = &generator.namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    if let Some(secret_type) = &generator.secret_type {
        object["type"] = json!(secret_type);
    }
    for (field, common, own) in [
        ("labels", &options.labels, &generator.options.labels),
        ("annotations", &options.annotations, &generator.options.annotations),
    ] {
        let mut all = common.clone();
        all.extend(own.clone());
        if !all.is_empty() {
            object["metadata"][field] = json!(all);
        }
    }
    Ok(object)
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, ManifestError> {
    // Kubernetes' YAML is 1.1: `defaultMode: 0644` is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_multiple_with_options(&text(path)?, options)
        .map_err(|source| ManifestError::Parse { path: path.to_owned(), source: Box::new(source) })
}

fn text(path: &Path) -> Result<String, ManifestError> {
    fs::read_to_string(path).map_err(|source| ManifestError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn resources_generators_and_namespace_are_put_together() {
        let dir = directory(&[
            ("alerts/rules.yml", "groups: []\n"),
            (
                "deploy/kustomization.yaml",
                "namespace: monitoring\nresources: [objects.yaml, more]\ngeneratorOptions: {disableNameSuffixHash: true}\n\
                 configMapGenerator:\n- name: rules\n  files: [../alerts/rules.yml, other=../alerts/rules.yml]\n\
                 secretGenerator:\n- name: slack\n  literals: ['url=http://x/?a=b']\n",
            ),
            (
                "deploy/objects.yaml",
                "# only a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: monitoring}\n---\n\
                 apiVersion: v1\nkind: Secret\nmetadata: {name: mode}\ndefaultMode: 0644\n",
            ),
            ("deploy/more/kustomization.yaml", "resources: [service.yaml]\n"),
            ("deploy/more/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"),
        ]);
        let objects = read(&dir.path().join("deploy")).unwrap();
        let expected = json!([
            { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "monitoring" } },
            { "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "mode", "namespace": "monitoring" }, "defaultMode": 420 },
            { "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web", "namespace": "monitoring" } },
            { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "rules", "namespace": "monitoring" },
              "data": { "rules.yml": "groups: []\n", "other": "groups: []\n" } },
            { "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "slack", "namespace": "monitoring" },
              "stringData": { "url": "http://x/?a=b" } },
        ]);
        assert_eq!(Value::from(objects), expected);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let cases = [
            ("patches: [{path: x.yaml}]", "patches"),
            ("configMapGenerator: [{name: rules, files: []}]", "disableNameSuffixHash"),
            ("configMapGenerator: [{name: rules, behavior: merge}]", "behavior"),
            ("resources: [absent.yaml]", "absent.yaml"),
            ("resources: [unnamed.yaml]", "document 1 has no metadata.name"),
        ];
        for (text, reason) in cases {
            let dir = directory(&[
                ("kustomization.yaml", text),
                ("unnamed.yaml", "apiVersion: v1\nkind: Service\n"),
            ]);
            let error = read(dir.path()).unwrap_err();
            let whole = format!(
                "{error}: {}",
                std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
            );
            assert!(whole.contains(reason), "{whole}");
        }
    }
}
