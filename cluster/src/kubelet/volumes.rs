//! Volumes as directories below the data directory.
//!
//! `pods/<uid>/volumes/<volume>` holds an emptyDir; ConfigMap, Secret, downward API and projected volumes are written once
//! per container (`pods/<uid>/containers/<container>/volumes/<volume>`), because the paths inside their text files are
//! rewritten for that container's mounts. Claims and host paths are used where they are. Every container also gets a `/tmp`
//! of its own and the anonymous volumes that its image declares; both are emptied at each start, as a container's file system
//! is new after a restart.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Component, Path, PathBuf},
};

use k8s_openapi::api::core::v1::{Container, Pod, Volume, VolumeMount};

use super::{
    env::{ConfigError, ConfigObjects, DownwardContext},
    rewrite::{Mount, Rewriter},
    volume_files::{Files, files},
};

/// Others may pass through, not look around.
const DIRECTORY_MODE: u32 = 0o711;

/// Why a container's volumes could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// A reference does not resolve; the text is the one of the `FailedMount` event.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {source}")]
    Config {
        /// Name of the volume in the pod.
        volume: String,
        /// What is missing.
        #[source]
        source: ConfigError,
    },
    /// A claim that is missing or not bound.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {message}")]
    Claim {
        /// Name of the volume in the pod.
        volume: String,
        /// What is wrong with the claim.
        message: String,
    },
    /// A mount that names no volume, or leaves it.
    #[error("volumeMounts[{mount_path}]: {message}")]
    Mount {
        /// The path in the container.
        mount_path: String,
        /// What is wrong with it.
        message: String,
    },
    /// The file system said no.
    #[error("volume path {path}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl VolumeError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// User and group that a container runs as, if they differ from the kubelet's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
}

/// Where the volumes of one pod live.
#[derive(Clone, Debug)]
pub struct PodDirectory {
    root: PathBuf,
}

impl PodDirectory {
    /// The directory of a pod below the data directory.
    pub fn new(data_dir: &Path, uid: &str) -> Self {
        Self { root: data_dir.join("pods").join(uid) }
    }

    /// The directory of a container.
    pub fn container(&self, name: &str) -> PathBuf {
        self.root.join("containers").join(name)
    }

    /// The file that stands for the container's termination message path.
    pub fn termination_log(&self, container: &str) -> PathBuf {
        self.container(container).join("termination-log")
    }

    /// Removes everything of the pod.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Creates the directories behind a container's mounts and returns the mounts, those of the image included. `fresh`
    /// empties what belongs to the container's own file system.
    pub fn mounts(
        &self,
        pod: &Pod,
        container: &Container,
        claims: &HashMap<String, PathBuf>,
        image_volumes: &[String],
        identity: Identity,
        expand: impl Fn(&str) -> String,
    ) -> Result<Vec<Mount>, VolumeError> {
        let own = self.container(&container.name);
        make_directory(&own, DIRECTORY_MODE)?;
        give(&own, identity)?;
        let mut mounts = Vec::new();
        for mount in container.volume_mounts.iter().flatten() {
            let volume = pod
                .spec
                .iter()
                .flat_map(|spec| spec.volumes.iter().flatten())
                .find(|volume| volume.name == mount.name)
                .ok_or_else(|| mount_error(mount, format!("volume \"{}\" is not in the pod", mount.name)))?;
            let base = self.volume_path(volume, container, claims, identity)?;
            let host_path = sub_path(mount, &base, &expand, volume, identity)?;
            mounts.push(Mount { mount_path: mount.mount_path.clone(), host_path });
        }
        let covered = |path: &str, mounts: &[Mount]| {
            mounts.iter().any(|mount| mount.mount_path.trim_end_matches('/') == path)
        };
        for (index, path) in image_volumes.iter().map(String::as_str).chain(["/tmp"]).enumerate() {
            if covered(path, &mounts) {
                continue;
            }
            let name = if path == "/tmp" { "tmp".to_owned() } else { format!("image-volume-{index}") };
            let host_path = own.join(name);
            empty_directory(&host_path)?;
            make_directory(&host_path, 0o700)?;
            give(&host_path, identity)?;
            mounts.push(Mount { mount_path: path.to_owned(), host_path });
        }
        let message_path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
        let log = self.termination_log(&container.name);
        fs::write(&log, b"").map_err(VolumeError::io(&log))?;
        give(&log, identity)?;
        if !covered(message_path, &mounts) {
            mounts.push(Mount { mount_path: message_path.to_owned(), host_path: log });
        }
        Ok(mounts)
    }

    fn rendered(&self, container: &str, volume: &str) -> PathBuf {
        self.container(container).join("volumes").join(volume)
    }

    fn volume_path(
        &self,
        volume: &Volume,
        container: &Container,
        claims: &HashMap<String, PathBuf>,
        identity: Identity,
    ) -> Result<PathBuf, VolumeError> {
        let unsupported = |what: &str| VolumeError::Config {
            volume: volume.name.clone(),
            source: ConfigError::Unsupported(format!("a volume of type {what}")),
        };
        if volume.empty_dir.is_some() {
            let path = self.root.join("volumes").join(&volume.name);
            make_directory(&path, 0o777)?;
            give(&path, identity)?;
            Ok(path)
        } else if is_rendered(volume) {
            let path = self.rendered(&container.name, &volume.name);
            make_directory(&path, DIRECTORY_MODE)?;
            give(&path, identity)?;
            Ok(path)
        } else if let Some(claim) = &volume.persistent_volume_claim {
            let path = claims.get(&claim.claim_name).cloned().ok_or_else(|| VolumeError::Claim {
                volume: volume.name.clone(),
                message: format!("persistentvolumeclaim \"{}\" not found", claim.claim_name),
            })?;
            make_directory(&path, 0o700)?;
            give_tree(&path, identity)?;
            Ok(path)
        } else if let Some(host) = &volume.host_path {
            let path = PathBuf::from(&host.path);
            let kind = host.type_.as_deref().unwrap_or_default();
            if kind == "DirectoryOrCreate" {
                make_directory(&path, 0o755)?;
            } else if !kind.is_empty() && !path.exists() {
                return Err(VolumeError::Claim {
                    volume: volume.name.clone(),
                    message: format!("hostPath type check failed: {} is not a {kind}", host.path),
                });
            }
            Ok(path)
        } else {
            Err(unsupported("that the embedded cluster lacks"))
        }
    }

    /// Writes the configuration volumes that a container mounts. Called at its start and when an object changed; only files
    /// whose content differs are replaced, each at once.
    pub fn render(
        &self,
        pod: &Pod,
        container: &Container,
        objects: &ConfigObjects,
        context: &DownwardContext,
        rewriter: &Rewriter,
        identity: Identity,
    ) -> Result<(), VolumeError> {
        let mounted: BTreeSet<&str> =
            container.volume_mounts.iter().flatten().map(|m| m.name.as_str()).collect();
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        for volume in volumes.filter(|volume| mounted.contains(volume.name.as_str()) && is_rendered(volume)) {
            let config = |source| VolumeError::Config { volume: volume.name.clone(), source };
            let Some(files) = files(pod, container, volume, objects, context).map_err(config)? else {
                continue;
            };
            write_files(&self.rendered(&container.name, &volume.name), &files, rewriter, identity)?;
        }
        Ok(())
    }
}

fn is_rendered(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

fn mount_error(mount: &VolumeMount, message: String) -> VolumeError {
    VolumeError::Mount { mount_path: mount.mount_path.clone(), message }
}

fn sub_path(
    mount: &VolumeMount,
    base: &Path,
    expand: impl Fn(&str) -> String,
    volume: &Volume,
    identity: Identity,
) -> Result<PathBuf, VolumeError> {
    let sub = match (&mount.sub_path_expr, &mount.sub_path) {
        (Some(expression), _) if !expression.is_empty() => expand(expression),
        (_, Some(path)) if !path.is_empty() => path.clone(),
        _ => return Ok(base.to_owned()),
    };
    if !Path::new(&sub).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(mount_error(mount, format!("subPath \"{sub}\" must stay inside the volume")));
    }
    let path = base.join(sub);
    if !is_rendered(volume) && !path.exists() {
        make_directory(&path, 0o750)?;
        give(&path, identity)?;
    }
    Ok(path)
}

fn make_directory(path: &Path, mode: u32) -> Result<(), VolumeError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(VolumeError::io(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(VolumeError::io(path))
}

fn empty_directory(path: &Path) -> Result<(), VolumeError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(VolumeError::io(path)(error)),
        _ => Ok(()),
    }
}

fn give(path: &Path, identity: Identity) -> Result<(), VolumeError> {
    if identity == Identity::default() {
        return Ok(());
    }
    chown(path, identity.uid, identity.gid).map_err(VolumeError::io(path))
}

/// Gives a whole tree away, unless its top belongs to the user already (`fsGroupChangePolicy: OnRootMismatch`).
fn give_tree(path: &Path, identity: Identity) -> Result<(), VolumeError> {
    let Some(uid) = identity.uid else { return Ok(()) };
    let metadata = fs::symlink_metadata(path).map_err(VolumeError::io(path))?;
    if metadata.uid() == uid {
        return Ok(());
    }
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        std::os::unix::fs::lchown(&path, identity.uid, identity.gid).map_err(VolumeError::io(&path))?;
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            open.extend(
                fs::read_dir(&path).map_err(VolumeError::io(&path))?.flatten().map(|entry| entry.path()),
            );
        }
    }
    Ok(())
}

fn write_files(
    directory: &Path,
    files: &Files,
    rewriter: &Rewriter,
    identity: Identity,
) -> Result<(), VolumeError> {
    make_directory(directory, DIRECTORY_MODE)?;
    for (name, file) in files {
        if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "the path leaves the volume");
            return Err(VolumeError::io(Path::new(name))(source));
        }
        let path = directory.join(name);
        if let Some(parent) = path.parent().filter(|parent| *parent != directory) {
            make_directory(parent, DIRECTORY_MODE)?;
            give(parent, identity)?;
        }
        let content = rewriter.bytes(&file.content);
        if fs::read(&path).is_ok_and(|present| present == *content) {
            continue;
        }
        let mut temporary = path.clone().into_os_string();
        temporary.push("..new");
        let temporary = PathBuf::from(temporary);
        // Never readable by others, not even for a moment.
        let _ = fs::remove_file(&temporary);
        let mut options = fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
        let mut handle = options.open(&temporary).map_err(VolumeError::io(&temporary))?;
        io::Write::write_all(&mut handle, &content).map_err(VolumeError::io(&temporary))?;
        give(&temporary, identity)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(file.mode))
            .map_err(VolumeError::io(&temporary))?;
        fs::rename(&temporary, &path).map_err(VolumeError::io(&path))?;
    }
    remove_stale(directory, directory, files)
}

fn remove_stale(root: &Path, directory: &Path, files: &Files) -> Result<(), VolumeError> {
    for entry in fs::read_dir(directory).map_err(VolumeError::io(directory))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            remove_stale(root, &path, files)?;
            continue;
        }
        let name = path.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or_default();
        let wanted = files.keys().any(|wanted| Path::new(wanted) == Path::new(name));
        if !wanted {
            fs::remove_file(&path).map_err(VolumeError::io(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr};

    use serde_json::json;

    use super::*;
    use crate::{
        kubelet::volume_files::{referenced_claims, referenced_objects},
        net::Addresses,
    };

    fn context() -> DownwardContext {
        DownwardContext {
            pod_ip: Ipv4Addr::new(127, 70, 1, 1),
            host_ip: Ipv4Addr::new(127, 70, 0, 1),
            node_name: "node-1".to_owned(),
            allocatable: BTreeMap::new(),
        }
    }

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"}},
            "spec": {
                "containers": [{"name": "main", "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/app"},
                    {"name": "keys", "mountPath": "/etc/keys/", "readOnly": true},
                    {"name": "all", "mountPath": "/all"},
                    {"name": "data", "mountPath": "/data", "subPath": "a/b"},
                    {"name": "config", "mountPath": "/etc/single.conf", "subPath": "sub/one.conf"},
                    {"name": "claim", "mountPath": "/claim"},
                ]}],
                "volumes": [
                    {"name": "config", "configMap": {"name": "cm", "items": [
                        {"key": "one", "path": "sub/one.conf", "mode": 0o600}, {"key": "two", "path": "two"},
                    ]}},
                    {"name": "keys", "secret": {"secretName": "s"}},
                    {"name": "all", "projected": {"sources": [
                        {"configMap": {"name": "cm"}}, {"configMap": {"name": "absent", "optional": true}},
                        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                    ]}},
                    {"name": "data", "emptyDir": {}},
                    {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}},
                ],
            },
        }))
        .unwrap()
    }

    fn objects(two: &str) -> ConfigObjects {
        let map = json!({"data": {"one": "path=/data/x", "two": two}, "binaryData": {"bin": "/w=="}});
        ConfigObjects {
            config_maps: HashMap::from([
                ("cm".to_owned(), Some(serde_json::from_value(map).unwrap())),
                ("absent".to_owned(), None),
            ]),
            secrets: HashMap::from([(
                "s".to_owned(),
                Some(serde_json::from_value(json!({"data": {"token": "c2VjcmV0"}})).unwrap()),
            )]),
        }
    }

    #[test]
    fn references_are_collected_from_volumes() {
        let (maps, secrets) = referenced_objects(&pod());
        assert_eq!(maps.into_iter().collect::<Vec<_>>(), ["absent", "cm"]);
        assert_eq!(secrets.into_iter().collect::<Vec<_>>(), ["s"]);
        assert_eq!(referenced_claims(&pod()).into_iter().collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn volumes_are_written_rewritten_and_updated() {
        let root = tempfile::tempdir().unwrap();
        let directory = PodDirectory::new(root.path(), "u");
        let (pod, identity) = (pod(), Identity::default());
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let claims = HashMap::from([("c".to_owned(), root.path().join("claims/c"))]);
        let image_volumes = ["/data".to_owned(), "/cache".to_owned()];
        let mounts =
            directory.mounts(&pod, container, &claims, &image_volumes, identity, str::to_owned).unwrap();
        let rewriter = Rewriter::new(mounts.clone(), Addresses::claim(11).unwrap());
        directory.render(&pod, container, &objects("2"), &context(), &rewriter, identity).unwrap();
        let read = |path: &str| fs::read_to_string(rewriter.path(path).unwrap()).ok();
        let mode =
            |path: &str| fs::metadata(rewriter.path(path).unwrap()).unwrap().permissions().mode() & 0o777;
        let data = rewriter.path("/data").unwrap();
        assert!(data.ends_with("volumes/data/a/b") && data.is_dir());
        assert_eq!(read("/etc/app/sub/one.conf").unwrap(), format!("path={}/x", data.display()));
        assert_eq!(read("/etc/single.conf"), read("/etc/app/sub/one.conf"));
        assert_eq!(mode("/etc/app/sub/one.conf"), 0o600);
        assert_eq!(mode("/etc/app/two"), 0o644);
        assert_eq!((read("/etc/keys/token").unwrap().as_str(), mode("/etc/keys/token")), ("secret", 0o600));
        assert_eq!(read("/all/labels").unwrap(), "app=\"web\"");
        assert_eq!(fs::read(rewriter.path("/all/bin").unwrap()).unwrap(), [0xff]);
        assert_eq!(rewriter.path("/claim/x"), Some(root.path().join("claims/c/x")));
        assert!(rewriter.path("/cache").unwrap().is_dir() && rewriter.path("/tmp").unwrap().is_dir());

        let mut changed = objects("changed");
        let map = changed.config_maps.get_mut("cm").unwrap().as_mut().unwrap();
        map.binary_data = None;
        directory.render(&pod, container, &changed, &context(), &rewriter, identity).unwrap();
        assert_eq!(read("/etc/app/two").unwrap(), "changed");
        assert_eq!(read("/all/two").unwrap(), "changed");
        assert!(!rewriter.path("/all/bin").unwrap().exists());
        directory.remove().unwrap();
        assert!(root.path().join("claims/c").is_dir());
    }

    #[test]
    fn a_sub_path_cannot_leave_its_volume_and_missing_objects_are_named() {
        let root = tempfile::tempdir().unwrap();
        let directory = PodDirectory::new(root.path(), "u");
        let mut pod = pod();
        let no_claims = HashMap::new();
        let mount = |pod: &Pod| {
            let container = &pod.spec.as_ref().unwrap().containers[0];
            directory.mounts(pod, container, &no_claims, &[], Identity::default(), str::to_owned)
        };
        let message = mount(&pod).unwrap_err().to_string();
        assert_eq!(
            message,
            "MountVolume.SetUp failed for volume \"claim\" : persistentvolumeclaim \"c\" not found"
        );
        let container = &mut pod.spec.as_mut().unwrap().containers[0];
        container.volume_mounts.as_mut().unwrap()[3].sub_path = Some("../../x".to_owned());
        let message = mount(&pod).unwrap_err().to_string();
        assert_eq!(message, "volumeMounts[/data]: subPath \"../../x\" must stay inside the volume");
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let rewriter = Rewriter::new(Vec::new(), Addresses::claim(12).unwrap());
        let error = directory
            .render(&pod, container, &ConfigObjects::default(), &context(), &rewriter, Identity::default())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "MountVolume.SetUp failed for volume \"config\" : configmap \"cm\" not found"
        );
    }
}
