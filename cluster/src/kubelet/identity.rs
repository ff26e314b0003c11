//! Which user a container runs as.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{catalog::ResolvedImage, volumes::Identity};

/// What came out of a container's security context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The user and group to become.
    pub identity: Identity,
    /// The user has no account and the program needs one: the library that pretends it.
    pub account_wrapper: Option<PathBuf>,
    /// Fields that could not be honoured, for a warning.
    pub warnings: Vec<String>,
}

/// Decides about the user. `root` says whether this process may become somebody else; the error is the text of
/// `CreateContainerConfigError`.
pub fn decide(
    pod: &Pod,
    container: &Container,
    image: &ResolvedImage,
    root: bool,
) -> Result<Decision, String> {
    let own = container.security_context.as_ref();
    let shared = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let pick =
        |container: Option<i64>, pod: Option<i64>| container.or(pod).and_then(|id| u32::try_from(id).ok());
    let uid = pick(own.and_then(|c| c.run_as_user), shared.and_then(|c| c.run_as_user));
    let gid = pick(own.and_then(|c| c.run_as_group), shared.and_then(|c| c.run_as_group));
    let fs_group = shared.and_then(|c| c.fs_group).and_then(|id| u32::try_from(id).ok());
    let non_root =
        own.and_then(|c| c.run_as_non_root).or(shared.and_then(|c| c.run_as_non_root)) == Some(true);
    let name = &container.name;
    if !root {
        let current = rustix::process::geteuid().as_raw();
        let mut warnings = Vec::new();
        if let Some(uid) = uid.filter(|uid| *uid != current) {
            warnings.push(format!(
                "securityContext.runAsUser {uid} of container {name} is ignored: this cluster does not run as root, the \
                 container runs as uid {current}"
            ));
        }
        let wrapper = image.account_wrapper.clone().filter(|_| account_by_uid(current).is_none());
        return Ok(Decision { identity: Identity::default(), account_wrapper: wrapper, warnings });
    }
    let default =
        if uid.is_none() { image.users.iter().find_map(|user| account_by_name(user)) } else { None };
    let uid_wanted = uid.or(default.map(|(uid, _)| uid));
    if non_root && uid_wanted.unwrap_or(0) == 0 {
        return Err(format!(
            "container has runAsNonRoot and image will run as root (pod: \"{}\", container: {name})",
            super::pod_title(pod)
        ));
    }
    let mut warnings = Vec::new();
    let mut account_wrapper = None;
    let mut identity = Identity {
        uid: uid_wanted.filter(|uid| *uid != 0),
        gid: gid.or(fs_group).or(default.map(|(_, gid)| gid)).filter(|gid| *gid != 0),
    };
    if let Some(uid) = identity.uid {
        identity.gid = identity.gid.or_else(|| account_by_uid(uid)).or(Some(uid));
        if image.needs_account && account_by_uid(uid).is_none() {
            if image.account_wrapper.is_some() {
                account_wrapper.clone_from(&image.account_wrapper);
            } else if let Some((instead, group)) = image.users.iter().find_map(|user| account_by_name(user)) {
                warnings.push(format!(
                    "securityContext.runAsUser {uid} of container {name} has no account on this machine and the program \
                     needs one: it runs as uid {instead}"
                ));
                identity = Identity { uid: Some(instead), gid: Some(group) };
            }
        }
    }
    Ok(Decision { identity, account_wrapper, warnings })
}

/// uid and primary group of an account.
fn account_by_name(name: &str) -> Option<(u32, u32)> {
    accounts().find(|(account, _, _)| account == name).map(|(_, uid, gid)| (uid, gid))
}

/// Primary group of a uid that has an account.
fn account_by_uid(uid: u32) -> Option<u32> {
    accounts().find(|(_, account, _)| *account == uid).map(|(_, _, gid)| gid)
}

fn accounts() -> impl Iterator<Item = (String, u32, u32)> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        Some(((*fields.first()?).to_owned(), fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    text.lines().filter_map(parse).collect::<Vec<_>>().into_iter()
}

/// The first directory on the way to `path` that the user may not pass.
pub fn blocked_at(path: &Path, identity: Identity) -> Option<PathBuf> {
    let uid = identity.uid?;
    let mut ancestors: Vec<&Path> = path.ancestors().skip(1).collect();
    ancestors.reverse();
    let blocked = ancestors.into_iter().find(|directory| {
        fs::metadata(directory).is_ok_and(|metadata| {
            let mode = metadata.permissions().mode();
            let bit = if metadata.uid() == uid {
                0o100
            } else if Some(metadata.gid()) == identity.gid {
                0o010
            } else {
                0o001
            };
            mode & bit == 0
        })
    });
    blocked.map(Path::to_owned)
}

/// A path of the program that the user can reach: the program itself, or a link to it (a copy, across file systems) below
/// `bin`, for programs in a home directory that others may not enter.
pub fn reachable_program(program: &Path, bin: &Path, identity: Identity) -> Result<PathBuf, String> {
    if blocked_at(program, identity).is_none() {
        return Ok(program.to_owned());
    }
    let explain = |error: std::io::Error| {
        format!(
            "program {} cannot be made reachable for uid {}: {error}",
            program.display(),
            identity.uid.unwrap_or(0)
        )
    };
    let metadata = fs::metadata(program).map_err(explain)?;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    // A rebuilt program is another file.
    let target = bin.join(format!("{}-{}-{name}", metadata.ino(), metadata.mtime()));
    if target.exists() {
        return Ok(target);
    }
    fs::create_dir_all(bin).map_err(explain)?;
    fs::set_permissions(bin, fs::Permissions::from_mode(0o711)).map_err(explain)?;
    let temporary = bin.join(format!("new-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    if fs::hard_link(program, &temporary).is_err() {
        fs::copy(program, &temporary).map_err(explain)?;
    }
    fs::rename(&temporary, &target).map_err(explain)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubelet::catalog::Catalog;

    fn decide_for(
        pod_context: serde_json::Value,
        context: serde_json::Value,
        root: bool,
    ) -> Result<Decision, String> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"securityContext": pod_context, "containers": [{"name": "main", "securityContext": context}]},
        }))
        .unwrap();
        let image = Catalog::builtin().resolve("busybox").unwrap();
        decide(&pod, &pod.spec.as_ref().unwrap().containers[0], &image, root)
    }

    #[test]
    fn the_container_overrides_the_pod_and_fs_group_stands_in_for_a_group() {
        let identity = |pod, container| decide_for(pod, container, true).unwrap().identity;
        let id = |uid, gid| Identity { uid: Some(uid), gid: Some(gid) };
        assert_eq!(
            identity(json!({"runAsUser": 54321, "runAsGroup": 7}), json!({"runAsUser": 54322})),
            id(54322, 7)
        );
        assert_eq!(identity(json!({"runAsUser": 54321, "fsGroup": 8}), json!({})), id(54321, 8));
        assert_eq!(identity(json!({"runAsUser": 54321}), json!({})), id(54321, 54321));
        assert_eq!(identity(json!({}), json!({})), Identity::default());
    }

    #[test]
    fn run_as_non_root_refuses_root() {
        let error = decide_for(json!({"runAsNonRoot": true}), json!({}), true).unwrap_err();
        assert!(
            error.starts_with("container has runAsNonRoot and image will run as root (pod: \"p_n(u)\""),
            "{error}"
        );
    }

    #[test]
    fn without_root_another_uid_is_warned_about_by_name() {
        let decision = decide_for(json!({"runAsUser": 54321}), json!({}), false).unwrap();
        assert_eq!(decision.identity, Identity::default());
        assert!(decision.warnings[0].contains("securityContext.runAsUser 54321"), "{:?}", decision.warnings);
    }

    #[test]
    fn a_program_in_a_closed_directory_is_linked_to_an_open_one() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::write(closed.join("tool"), "#!/bin/sh\n").unwrap();
        let other = Identity { uid: Some(54321), gid: Some(54321) };
        let program = closed.join("tool");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(blocked_at(&program, other), None);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(blocked_at(&program, other), Some(closed));
        assert_eq!(blocked_at(&program, Identity::default()), None);
        let linked = reachable_program(&program, &root.path().join("bin"), other).unwrap();
        assert_eq!(blocked_at(&linked, other), None);
        assert_eq!(fs::read_to_string(linked).unwrap(), "#!/bin/sh\n");
    }
}
