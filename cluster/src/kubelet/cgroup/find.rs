//! Which hierarchies there are, and where in them a parent can be made.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Controller, Version};

/// Why limits on CPU or memory have no effect here; none where they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unavailable {
    /// About CPU.
    pub cpu: Option<String>,
    /// About memory.
    pub memory: Option<String>,
}

/// The group of this process in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    /// Directory of the hierarchy's root, as far as it is visible.
    pub(super) root: PathBuf,
    /// Directory of the group in which this process is.
    pub(super) directory: PathBuf,
}

/// A directory in which containers get their groups.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    /// Directory of the hierarchy's root, as far as it is visible.
    pub(super) root: PathBuf,
    pub(super) directory: PathBuf,
    /// `cgroup.procs` of the group in which this process is.
    pub(super) home: PathBuf,
}

/// The hierarchies of this process that control something here, from `/proc/self/cgroup` and `/proc/self/mountinfo`.
pub(super) fn own() -> Vec<Own> {
    let read = |name: &str| fs::read_to_string(Path::new("/proc/self").join(name)).unwrap_or_default();
    hierarchies(&read("cgroup"), &read("mountinfo"))
}

struct Mount<'a> {
    root: &'a str,
    target: &'a str,
    kind: &'a str,
    options: Vec<&'a str>,
}

/// `36 35 98:0 /root /target rw,relatime shared:1 - cgroup cgroup rw,cpu`.
fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let mut after = after.split(' ');
    Some(Mount {
        root: before.next()?,
        target: before.next()?,
        kind: after.next()?,
        options: after.nth(1)?.split(',').collect(),
    })
}

fn hierarchies(membership: &str, mountinfo: &str) -> Vec<Own> {
    let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(parse_mount).collect();
    let mut found: Vec<Own> = Vec::new();
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(names), Some(path)) = (fields.next(), fields.next()) else { continue };
        let names: Vec<&str> = names.split(',').collect();
        let (version, controllers) = if names == [""] {
            (Version::Two, Controller::ALL.to_vec())
        } else {
            let known = Controller::ALL.into_iter().filter(|controller| names.contains(&controller.name()));
            (Version::One, known.collect())
        };
        let mount = mounts.iter().find(|mount| match version {
            Version::One => mount.kind == "cgroup" && names.iter().all(|name| mount.options.contains(name)),
            Version::Two => mount.kind == "cgroup2",
        });
        let Some(mount) = mount.filter(|_| !controllers.is_empty()) else { continue };
        let root = PathBuf::from(mount.target);
        // A path outside of what is mounted belongs to another namespace: what is mounted is all there is.
        let below = Path::new(path).strip_prefix(mount.root).unwrap_or(Path::new(""));
        found.push(Own { version, controllers, directory: root.join(below), root });
    }
    found
}

/// Makes a parent in each hierarchy, and says what cannot be limited and why.
pub(super) fn parents(own: &[Own], name: &str) -> (Vec<Parent>, Unavailable) {
    let mut parents: Vec<Parent> = Vec::new();
    let mut reasons: Vec<(Controller, String)> = Vec::new();
    // A controller is in one version at a time: what version 1 has is not in version 2.
    for hierarchy in own.iter().filter(|own| own.version == Version::One) {
        match parent_v1(hierarchy, name) {
            Ok(parent) => parents.push(parent),
            Err(why) => {
                reasons.extend(hierarchy.controllers.iter().map(|controller| (*controller, why.clone())))
            }
        }
    }
    let taken = |parents: &[Parent], controller| parents.iter().any(|p| p.controllers.contains(&controller));
    for hierarchy in own.iter().filter(|own| own.version == Version::Two) {
        match parent_v2(hierarchy, name) {
            Ok(parent) => parents.push(parent),
            Err(why) => reasons.extend(Controller::ALL.map(|controller| (controller, why.clone()))),
        }
    }
    let why = |controller: Controller| {
        let reason = reasons.iter().find(|(about, _)| *about == controller).map(|(_, why)| why.clone());
        let general =
            || format!("no control group hierarchy with the {} controller is available", controller.name());
        (!taken(&parents, controller)).then(|| reason.unwrap_or_else(general))
    };
    let unavailable = Unavailable { cpu: why(Controller::Cpu), memory: why(Controller::Memory) };
    (parents, unavailable)
}

fn refused(what: &Path, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            " (run as root, or in a delegated group: systemd-run --user --scope -p Delegate=yes)"
        }
        _ => "",
    };
    format!("control group {} could not be used: {error}{hint}", what.display())
}

/// From the process's own group up to the visible root.
fn candidates(own: &Own) -> impl Iterator<Item = &Path> {
    own.directory.ancestors().take_while(|directory| directory.starts_with(&own.root))
}

fn parent_v1(own: &Own, name: &str) -> Result<Parent, String> {
    let mut last = "no group".to_owned();
    for ancestor in candidates(own) {
        let directory = ancestor.join(name);
        match make(&directory) {
            Ok(()) => {
                return Ok(Parent {
                    version: Version::One,
                    controllers: own.controllers.clone(),
                    root: own.root.clone(),
                    directory,
                    home: own.directory.join("cgroup.procs"),
                });
            }
            Err(error) => last = refused(ancestor, &error),
        }
    }
    Err(last)
}

/// In version 2 a group has processes or controlled children, not both, so the kubelet's own group is rarely the place. The
/// nearest ancestor that gives both controllers is, or else the nearest that gives one.
fn parent_v2(own: &Own, name: &str) -> Result<Parent, String> {
    let mut last = format!(
        "the control groups at {} give neither the cpu nor the memory controller",
        own.root.display()
    );
    let mut best: Option<(Vec<Controller>, &Path)> = None;
    for ancestor in candidates(own) {
        match enable(ancestor) {
            Ok(enabled) if enabled.len() > best.as_ref().map_or(0, |(before, _)| before.len()) => {
                let complete = enabled.len() == 2;
                best = Some((enabled, ancestor));
                if complete {
                    break;
                }
            }
            Ok(_) => {}
            Err(error) => last = refused(ancestor, &error),
        }
    }
    let Some((_, ancestor)) = best else { return Err(last) };
    let directory = ancestor.join(name);
    let prepared = make(&directory).and_then(|()| {
        // Moving a process needs the right to write here.
        fs::OpenOptions::new().write(true).open(ancestor.join("cgroup.procs"))?;
        enable(&directory)
    });
    let mut controllers = match prepared {
        Ok(controllers) => controllers,
        Err(error) => {
            let _ = fs::remove_dir(&directory);
            return Err(refused(ancestor, &error));
        }
    };
    if controllers.contains(&Controller::Cpu) {
        controllers.push(Controller::Cpuacct);
    }
    Ok(Parent {
        version: Version::Two,
        controllers,
        root: own.root.clone(),
        directory,
        home: own.directory.join("cgroup.procs"),
    })
}

/// Gives the children of a group the controllers that it has; returns those that they then have.
fn enable(group: &Path) -> io::Result<Vec<Controller>> {
    let words = |file: &str| -> io::Result<Vec<String>> {
        let text = fs::read_to_string(group.join(file))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    let available = words("cgroup.controllers")?;
    let mut error = None;
    for controller in [Controller::Cpu, Controller::Memory] {
        let name = controller.name();
        if available.iter().any(|known| known == name)
            && !words("cgroup.subtree_control")?.iter().any(|known| known == name)
            && let Err(refusal) = fs::write(group.join("cgroup.subtree_control"), format!("+{name}"))
        {
            error = Some(refusal);
        }
    }
    let enabled = words("cgroup.subtree_control")?;
    let enabled: Vec<Controller> = [Controller::Cpu, Controller::Memory]
        .into_iter()
        .filter(|controller| enabled.iter().any(|known| known.trim_start_matches('+') == controller.name()))
        .collect();
    match error {
        Some(error) if enabled.is_empty() => Err(error),
        _ => Ok(enabled),
    }
}

fn make(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_version_1_with_an_empty_version_2_beside() {
        let membership = "9:name=systemd:/\n4:memory:/a/b\n2:cpuacct:/\n1:cpu:/\n0::/\n";
        let mounts = "\
25 24 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
27 25 0:24 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
28 25 0:25 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
29 25 0:26 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
30 25 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
        let found: Vec<(Version, PathBuf)> =
            hierarchies(membership, mounts).into_iter().map(|own| (own.version, own.directory)).collect();
        let expected = [
            (Version::One, "/sys/fs/cgroup/memory/a/b"),
            (Version::One, "/sys/fs/cgroup/cpuacct"),
            (Version::One, "/sys/fs/cgroup/cpu"),
            (Version::Two, "/sys/fs/cgroup/unified"),
        ];
        assert_eq!(found, expected.map(|(version, path)| (version, PathBuf::from(path))));
    }

    #[test]
    fn inside_a_container_the_mount_is_all_there_is() {
        let mounts = "30 25 0:27 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let of = |path: &str| hierarchies(&format!("0::{path}\n"), mounts)[0].directory.clone();
        assert_eq!(of("/docker/x/init.scope"), Path::new("/sys/fs/cgroup/init.scope"));
        assert_eq!(of("/../elsewhere"), Path::new("/sys/fs/cgroup"));
    }

    /// A hierarchy of version 2 made of ordinary files: what is written to `cgroup.subtree_control` stays there.
    fn fake(controllers: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for directory in ["", "user", "user/session"] {
            let directory = root.path().join(directory);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("cgroup.controllers"), controllers).unwrap();
            fs::write(directory.join("cgroup.subtree_control"), "").unwrap();
            fs::write(directory.join("cgroup.procs"), "").unwrap();
        }
        root
    }

    fn own_in(root: &Path) -> Own {
        Own {
            version: Version::Two,
            controllers: Controller::ALL.to_vec(),
            root: root.to_owned(),
            directory: root.join("user/session"),
        }
    }

    #[test]
    fn without_controllers_the_reason_is_named() {
        let root = fake("pids\n");
        let (parents, unavailable) = parents(&[own_in(root.path())], "sre-x");
        assert!(parents.is_empty());
        assert!(unavailable.cpu.unwrap().ends_with("give neither the cpu nor the memory controller"));
        assert!(unavailable.memory.is_some());
        let (_, unavailable) = super::parents(&[], "sre-x");
        assert!(unavailable.cpu.unwrap().contains("with the cpu controller"));
    }

    #[test]
    fn the_nearest_ancestor_whose_children_can_be_controlled_is_taken() {
        let root = fake("cpu memory pids\n");
        // As the kernel refuses it for a group with processes.
        fs::remove_file(root.path().join("user/session/cgroup.subtree_control")).unwrap();
        fs::create_dir(root.path().join("user/session/cgroup.subtree_control")).unwrap();
        fs::write(root.path().join("user/cgroup.subtree_control"), "cpu memory\n").unwrap();
        // The files that the kernel would put into the new group.
        fs::create_dir(root.path().join("user/sre-x")).unwrap();
        fs::write(root.path().join("user/sre-x/cgroup.controllers"), "cpu memory\n").unwrap();
        fs::write(root.path().join("user/sre-x/cgroup.subtree_control"), "cpu memory\n").unwrap();
        let (parents, unavailable) = parents(&[own_in(root.path())], "sre-x");
        assert_eq!(unavailable, Unavailable::default());
        assert_eq!(parents[0].directory, root.path().join("user/sre-x"));
        assert_eq!(parents[0].home, root.path().join("user/session/cgroup.procs"));
    }
}
