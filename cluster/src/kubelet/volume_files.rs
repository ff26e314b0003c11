//! The files of ConfigMap, Secret, downward API and projected volumes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, Volume,
};

use super::env::{self, ConfigError, ConfigObjects, DownwardContext};

/// Kubernetes' default mode of files in volumes.
const DEFAULT_MODE: i32 = 0o644;

/// One file of a configuration volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFile {
    /// Content before rewriting.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// Files of a configuration volume by relative path.
pub type Files = BTreeMap<String, VolumeFile>;

/// Names of the ConfigMaps and Secrets that a pod's volumes and environments refer to.
pub fn referenced_objects(pod: &Pod) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut maps, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    let Some(spec) = &pod.spec else { return (maps, secrets) };
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        for source in container.env_from.iter().flatten() {
            maps.extend(source.config_map_ref.iter().map(|r| r.name.clone()));
            secrets.extend(source.secret_ref.iter().map(|r| r.name.clone()));
        }
        for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            maps.extend(source.config_map_key_ref.iter().map(|r| r.name.clone()));
            secrets.extend(source.secret_key_ref.iter().map(|r| r.name.clone()));
        }
    }
    for volume in spec.volumes.iter().flatten() {
        maps.extend(volume.config_map.iter().map(|source| source.name.clone()));
        secrets.extend(volume.secret.iter().filter_map(|source| source.secret_name.clone()));
        for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
            maps.extend(source.config_map.iter().map(|source| source.name.clone()));
            secrets.extend(source.secret.iter().map(|source| source.name.clone()));
        }
    }
    (maps, secrets)
}

/// Names of the claims that a pod mounts.
pub fn referenced_claims(pod: &Pod) -> BTreeSet<String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes
        .filter_map(|volume| volume.persistent_volume_claim.as_ref())
        .map(|claim| claim.claim_name.clone())
        .collect()
}

/// The files of a ConfigMap, Secret, downward API or projected volume; `None` for other kinds of volume.
pub fn files(
    pod: &Pod,
    container: &Container,
    volume: &Volume,
    objects: &ConfigObjects,
    context: &DownwardContext,
) -> Result<Option<Files>, ConfigError> {
    if let Some(source) = &volume.config_map {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let files = match objects.config_map(&source.name) {
            Ok(map) => config_map_files(map, source.items.as_deref(), mode, source.optional == Some(true))?,
            Err(_) if source.optional == Some(true) => Files::new(),
            Err(error) => return Err(error),
        };
        return Ok(Some(files));
    }
    if let Some(source) = &volume.secret {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let name = source.secret_name.as_deref().unwrap_or_default();
        let files = match objects.secret(name) {
            Ok(secret) => secret_files(secret, source.items.as_deref(), mode, source.optional == Some(true))?,
            Err(_) if source.optional == Some(true) => Files::new(),
            Err(error) => return Err(error),
        };
        return Ok(Some(files));
    }
    if let Some(source) = &volume.downward_api {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        return downward_files(pod, container, source.items.as_deref().unwrap_or_default(), mode, context)
            .map(Some);
    }
    let Some(projected) = &volume.projected else { return Ok(None) };
    let mode = projected.default_mode.unwrap_or(DEFAULT_MODE);
    let mut all = Files::new();
    for source in projected.sources.iter().flatten() {
        if let Some(source) = &source.config_map {
            let optional = source.optional == Some(true);
            match objects.config_map(&source.name) {
                Ok(map) => all.extend(config_map_files(map, source.items.as_deref(), mode, optional)?),
                Err(_) if optional => {}
                Err(error) => return Err(error),
            }
        } else if let Some(source) = &source.secret {
            let optional = source.optional == Some(true);
            match objects.secret(&source.name) {
                Ok(secret) => all.extend(secret_files(secret, source.items.as_deref(), mode, optional)?),
                Err(_) if optional => {}
                Err(error) => return Err(error),
            }
        } else if let Some(source) = &source.downward_api {
            let items = source.items.as_deref().unwrap_or_default();
            all.extend(downward_files(pod, container, items, mode, context)?);
        } else if source.service_account_token.is_some() {
            return Err(ConfigError::Unsupported("a serviceAccountToken volume source".to_owned()));
        } else {
            return Err(ConfigError::Unsupported("this projected volume source".to_owned()));
        }
    }
    Ok(Some(all))
}

fn mode_bits(item: Option<i32>, default: i32) -> u32 {
    u32::try_from(item.unwrap_or(default)).unwrap_or(0o644) & 0o777
}

fn pick(
    items: Option<&[KeyToPath]>,
    keys: impl Iterator<Item = (String, Vec<u8>)>,
    mode: i32,
    optional: bool,
    what: &str,
) -> Result<Files, ConfigError> {
    let all: BTreeMap<String, Vec<u8>> = keys.collect();
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        let file = |content| VolumeFile { content, mode: mode_bits(None, mode) };
        return Ok(all.into_iter().map(|(key, content)| (key, file(content))).collect());
    };
    let mut files = Files::new();
    for item in items {
        match all.get(&item.key) {
            Some(content) => {
                let file = VolumeFile { content: content.clone(), mode: mode_bits(item.mode, mode) };
                files.insert(item.path.clone(), file);
            }
            None if optional => {}
            None => {
                return Err(ConfigError::Field(format!(
                    "{what} references non-existent {what} key: {}",
                    item.key
                )));
            }
        }
    }
    Ok(files)
}

fn config_map_files(
    map: &ConfigMap,
    items: Option<&[KeyToPath]>,
    mode: i32,
    optional: bool,
) -> Result<Files, ConfigError> {
    let text = map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    pick(items, text.chain(binary), mode, optional, "configmap")
}

fn secret_files(
    secret: &Secret,
    items: Option<&[KeyToPath]>,
    mode: i32,
    optional: bool,
) -> Result<Files, ConfigError> {
    let data = secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    let mut files = pick(items, data, mode, optional, "secret")?;
    // In a container only its own users see the file; on the shared machine that takes owner-only permissions.
    for file in files.values_mut() {
        file.mode &= 0o700;
    }
    Ok(files)
}

fn downward_files(
    pod: &Pod,
    container: &Container,
    items: &[DownwardAPIVolumeFile],
    mode: i32,
    context: &DownwardContext,
) -> Result<Files, ConfigError> {
    let mut files = Files::new();
    for item in items {
        let content = match (&item.field_ref, &item.resource_field_ref) {
            (Some(reference), _) => env::field(pod, reference, context)?,
            (None, Some(reference)) => env::resource(pod, container, reference, context)?,
            (None, None) => continue,
        };
        let file = VolumeFile { content: content.into_bytes(), mode: mode_bits(item.mode, mode) };
        files.insert(item.path.clone(), file);
    }
    Ok(files)
}
