//! Starting one container: image, configuration, volumes, process, `postStart`.

use std::{
    collections::HashMap,
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Service};
use kube::{Api, api::ListParams};
use sha2::{Digest, Sha256};

use super::{
    Node,
    catalog::{ResolvedImage, hex},
    cgroup::{ContainerGroup, Limits},
    env::{self, ConfigError, ConfigObjects, DownwardContext},
    events::{EventType, reference},
    exec::{ExecContext, resolve_program},
    identity,
    logs::{self, LogWriter},
    process::{ContainerProcess, Exit, Owner, StartError},
    rewrite::Rewriter,
    shim::ProcessSpec,
    storage,
    usage::Account,
    volume_files,
    volumes::{Identity, PodDirectory, VolumeError},
};

/// What to start.
#[derive(Clone, Debug)]
pub struct StartRequest {
    /// The pod as last seen.
    pub pod: Arc<Pod>,
    /// The container's specification.
    pub container: Container,
    /// The pod's address.
    pub pod_ip: Ipv4Addr,
    /// Restart count of this attempt.
    pub restart_count: i32,
}

/// A container that runs.
#[derive(Debug)]
pub struct Started {
    /// Its process.
    pub process: ContainerProcess,
    /// How to run something beside it.
    pub exec: Arc<ExecContext>,
    /// When it was started.
    pub at: Timestamp,
    /// Its id.
    pub container_id: String,
    /// Its image.
    pub image_id: String,
    /// Set when the `postStart` hook failed: the container is to be killed.
    pub hook_error: Option<String>,
}

/// Why a container could not be started: the waiting reason of its status.
#[derive(Debug)]
pub enum StartFailure {
    /// `ErrImagePull`.
    Image(String),
    /// `CreateContainerConfigError`.
    Config(String),
    /// `CreateContainerError`.
    Create(String),
    /// `RunContainerError`: counts as an end of the container.
    Run {
        /// What went wrong.
        message: String,
        /// The id it would have had.
        container_id: String,
        /// Its image.
        image_id: String,
    },
}

/// Starts a container and writes the events on the way. `on_exit` is called once, at its end.
pub async fn start(
    node: &Arc<Node>,
    request: &StartRequest,
    on_exit: impl FnOnce(Exit) + Send + 'static,
) -> Result<Started, StartFailure> {
    let StartRequest { pod, container, .. } = request;
    let event = |kind, reason: &str, message: String| {
        node.container_event(pod, &container.name, kind, reason, message)
    };
    let image_name = container.image.as_deref().unwrap_or_default();
    let image = node.catalog.resolve(image_name).map_err(|error| {
        let message = error.to_string();
        event(EventType::Normal, "Pulling", format!("Pulling image \"{image_name}\""));
        event(EventType::Warning, "Failed", format!("Failed to pull image \"{image_name}\": {message}"));
        event(EventType::Warning, "Failed", "Error: ErrImagePull".to_owned());
        StartFailure::Image(message)
    })?;
    let pulled =
        format!("Container image \"{image_name}\" already present on machine and can be accessed by the pod");
    event(EventType::Normal, "Pulled", pulled);
    let failed = |failure: StartFailure| {
        let (StartFailure::Config(message)
        | StartFailure::Create(message)
        | StartFailure::Run { message, .. }) = &failure
        else {
            return failure;
        };
        event(EventType::Warning, "Failed", format!("Error: {message}"));
        failure
    };
    let prepared = prepare(node, request, &image).await.map_err(failed)?;
    for warning in &prepared.warnings {
        event(EventType::Warning, "UnsupportedField", warning.clone());
    }
    let directory = logs::pod_directory(
        &node.data_dir,
        pod.metadata.namespace.as_deref().unwrap_or_default(),
        pod.metadata.name.as_deref().unwrap_or_default(),
        pod.metadata.uid.as_deref().unwrap_or_default(),
    );
    let log = LogWriter::open(&directory, &container.name, request.restart_count).map_err(|error| {
        failed(StartFailure::Create(format!("log directory {}: {error}", directory.display())))
    })?;
    event(EventType::Normal, "Created", "Container created".to_owned());

    let container_id = container_id(&prepared.exec.owner, request.restart_count);
    let run_failed = |message: String| {
        let (container_id, image_id) = (container_id.clone(), image.image_id.clone());
        failed(StartFailure::Run { message, container_id, image_id })
    };
    let spec = prepared.spec.map_err(run_failed)?;
    let open =
        node.accounts.open(Account::new(pod, container, &container_id, prepared.limits, prepared.group));
    let account = open.account();
    let on_exit = move |exit: Exit| {
        let oom_killed = open.account().oom_killed();
        // First the end of the accounting, then of the container: who sees the end finds nothing of it any more.
        drop(open);
        on_exit(Exit { oom_killed, ..exit });
    };
    let process = node
        .launcher
        .start(&prepared.exec.owner, &spec, log, on_exit)
        .await
        .map_err(|error: StartError| run_failed(error_chain(&error)))?;
    account.runs_below(process.shim);
    let at = Timestamp::now();
    event(EventType::Normal, "Started", "Container started".to_owned());

    let mut hook_error = None;
    if let Some(hook) = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref())
        && let Err(message) = prepared.exec.hook(&node.launcher, hook, super::HOOK_PATIENCE).await
    {
        event(EventType::Warning, "FailedPostStartHook", format!("PostStartHook failed: {message}"));
        hook_error = Some(message);
    }
    Ok(Started { process, exec: prepared.exec, at, container_id, image_id: image.image_id, hook_error })
}

/// A message with its causes.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn container_id(owner: &Owner, restart_count: i32) -> String {
    let text = format!("{}/{}/{restart_count}", owner.pod_uid, owner.container);
    format!("process://{}", hex(&Sha256::digest(text)))
}

struct Prepared {
    exec: Arc<ExecContext>,
    // The main process, or why its program cannot be found: a failure to run, not to create.
    spec: Result<ProcessSpec, String>,
    warnings: Vec<String>,
    limits: Limits,
    group: ContainerGroup,
}

async fn prepare(
    node: &Node,
    request: &StartRequest,
    image: &ResolvedImage,
) -> Result<Prepared, StartFailure> {
    let StartRequest { pod, container, pod_ip, .. } = request;
    let config = |error: ConfigError| StartFailure::Config(error.to_string());
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let context = node.downward_context(*pod_ip);
    let objects = config_objects(node, pod).await.map_err(StartFailure::Create)?;
    let services = service_variables(node, pod).await.map_err(StartFailure::Create)?;
    let own = env::container_env(pod, container, &objects, &services, &context).map_err(config)?;
    let decision = identity::decide(pod, container, image, node.root).map_err(StartFailure::Config)?;
    let identity = decision.identity;
    if let Some(directory) = identity::blocked_at(&node.data_dir.join("pods/x"), identity) {
        return Err(StartFailure::Create(format!(
            "uid {} cannot reach the data directory {}: no permission to pass {}; use one that other users can pass \
             (the default is below /var/tmp)",
            identity.uid.unwrap_or(0),
            node.data_dir.display(),
            directory.display()
        )));
    }

    let expand = |text: &str| {
        let lookup = |name: &str| own.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        env::expand(text, lookup).into_owned()
    };
    let directory = PodDirectory::new(&node.data_dir, uid);
    let claims = storage::claim_paths(node, pod).await.map_err(StartFailure::Create)?;
    let volume_failure = |error: VolumeError| match error {
        VolumeError::Config { .. } => StartFailure::Config(error_chain(&error)),
        _ => StartFailure::Create(error_chain(&error)),
    };
    let mounts = directory
        .mounts(pod, container, &claims, &image.volumes, identity, expand)
        .map_err(volume_failure)?;
    let rewriter = Rewriter::new(mounts, node.addresses.clone());
    directory.render(pod, container, &objects, &context, &rewriter, identity).map_err(volume_failure)?;

    let run_dir = node.run_directory(uid, &container.name);
    let account = make_run_directory(&run_dir, identity)
        .and_then(|()| pretend_account(&decision, &run_dir))
        .map_err(|error| StartFailure::Create(format!("directory {}: {error}", run_dir.display())))?;
    let mut env =
        complete_env(pod, image, &own, &rewriter, *pod_ip, &run_dir, &directory.container(&container.name));
    env.extend(account);
    let cwd = container.working_dir.as_deref().or(image.working_dir.as_deref());
    let cwd = match cwd {
        None => directory.container(&container.name),
        Some(path) => rewriter.path(path).unwrap_or_else(|| PathBuf::from(path)),
    };

    // The pod's command replaces the image's entry point and its arguments.
    let command: Vec<String> = container.command.iter().flatten().map(|word| expand(word)).collect();
    let arguments: Vec<String> = container.args.iter().flatten().map(|word| expand(word)).collect();
    let mut words = Vec::new();
    if command.is_empty() {
        words.extend(image.entrypoint.iter().cloned());
        let defaults = if container.args.is_none() { image.args.as_slice() } else { &[] };
        words.extend(defaults.iter().chain(&arguments).cloned());
    } else {
        words.extend(command.into_iter().chain(arguments));
    }
    let owner = Owner {
        pod_uid: uid.to_owned(),
        container: container.name.clone(),
        title: format!("{namespace}/{}/{}", pod.metadata.name.as_deref().unwrap_or_default(), container.name),
    };
    let limits = Limits::of(container);
    let group_name = format!("{uid}.{}.{}", container.name, request.restart_count);
    let group = node.cgroups.create(&group_name, &limits).map_err(StartFailure::Create)?;
    let base = ProcessSpec {
        env,
        cwd,
        uid: identity.uid,
        gid: identity.gid,
        cgroups: group.memberships().to_vec(),
        ..ProcessSpec::default()
    };
    let exec = ExecContext {
        owner,
        container: container.clone(),
        pod_ip: *pod_ip,
        base,
        rewriter,
        aliases: image.aliases.clone(),
        stop_signal: image.stop_signal,
    };
    let spec = main_process(node, &exec, &words, image, identity);
    Ok(Prepared { exec: Arc::new(exec), spec, warnings: decision.warnings, limits, group })
}

fn main_process(
    node: &Node,
    exec: &ExecContext,
    words: &[String],
    image: &ResolvedImage,
    identity: Identity,
) -> Result<ProcessSpec, String> {
    let (first, arguments) = words.split_first().ok_or("no command specified")?;
    // The catalogue's own paths are host paths already.
    let from_catalog =
        image.entrypoint.first() == Some(first) || image.aliases.iter().any(|(alias, _)| alias == first);
    let program = if from_catalog { first.clone() } else { exec.rewriter.text(first).into_owned() };
    let program = resolve_program(&program, &exec.base.env, &exec.base.cwd, &image.aliases)?;
    Ok(ProcessSpec {
        program: identity::reachable_program(&program, &node.data_dir.join("bin"), identity)?,
        arg0: first.clone(),
        args: arguments.iter().map(|word| exec.rewriter.text(word).into_owned()).collect(),
        ..exec.base.clone()
    })
}

fn complete_env(
    pod: &Pod,
    image: &ResolvedImage,
    own: &[(String, String)],
    rewriter: &Rewriter,
    pod_ip: Ipv4Addr,
    run_dir: &Path,
    home: &Path,
) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut all: Vec<(String, String)> = vec![
        ("HOME".to_owned(), text(home)),
        ("HOSTNAME".to_owned(), pod.metadata.name.clone().unwrap_or_default()),
        ("TMPDIR".to_owned(), rewriter.path("/tmp").map(|path| text(&path)).unwrap_or_default()),
        ("SRE_RUN_DIR".to_owned(), text(run_dir)),
        ("SRE_POD_IP".to_owned(), pod_ip.to_string()),
    ];
    let host_paths = ["PATH", "LD_LIBRARY_PATH"];
    for (name, value) in &image.env {
        let value = if host_paths.contains(&name.as_str()) {
            value.clone()
        } else {
            rewriter.text(value).into_owned()
        };
        all.push((name.clone(), value));
    }
    all.extend(own.iter().map(|(name, value)| (name.clone(), rewriter.text(value).into_owned())));
    if let Ok(zone) = std::env::var("TZ") {
        all.insert(0, ("TZ".to_owned(), zone));
    }
    // A later value wins; the environment of a process must not have a name twice.
    let mut last: HashMap<String, usize> = HashMap::new();
    for (index, (name, _)) in all.iter().enumerate() {
        last.insert(name.clone(), index);
    }
    let keep = |index: usize, name: &str| last.get(name) == Some(&index);
    all.into_iter()
        .enumerate()
        .filter(|(index, (name, _))| keep(*index, name))
        .map(|(_, pair)| pair)
        .collect()
}

fn make_run_directory(path: &Path, identity: Identity) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    std::os::unix::fs::chown(path, identity.uid, identity.gid)
}

/// Writes an account for a user without one and lets the container's programs see it.
fn pretend_account(decision: &identity::Decision, run_dir: &Path) -> io::Result<Vec<(String, String)>> {
    let Some(library) = &decision.account_wrapper else { return Ok(Vec::new()) };
    let mut env = Vec::new();
    let uid = decision.identity.uid.unwrap_or_else(|| rustix::process::geteuid().as_raw());
    let gid = decision.identity.gid.unwrap_or_else(|| rustix::process::getegid().as_raw());
    let files = [
        ("NSS_WRAPPER_PASSWD", "passwd", format!("pod:x:{uid}:{gid}::/:/bin/false\n")),
        ("NSS_WRAPPER_GROUP", "group", format!("pod:x:{gid}:\n")),
    ];
    for (variable, name, content) in files {
        let path = run_dir.join(name);
        fs::write(&path, content)?;
        std::os::unix::fs::chown(&path, Some(uid), Some(gid))?;
        env.push((variable.to_owned(), path.to_string_lossy().into_owned()));
    }
    env.push(("LD_PRELOAD".to_owned(), library.to_string_lossy().into_owned()));
    Ok(env)
}

/// Fetches the ConfigMaps and Secrets that a pod refers to.
pub async fn config_objects(node: &Node, pod: &Pod) -> Result<ConfigObjects, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let (maps, secrets) = volume_files::referenced_objects(pod);
    let mut objects = ConfigObjects::default();
    for name in maps {
        let api = Api::namespaced(node.client.clone(), namespace);
        let found = api.get_opt(&name).await.map_err(|error| format!("configmap \"{name}\": {error}"))?;
        objects.config_maps.insert(name, found);
    }
    for name in secrets {
        let api = Api::namespaced(node.client.clone(), namespace);
        let found = api.get_opt(&name).await.map_err(|error| format!("secret \"{name}\": {error}"))?;
        objects.secrets.insert(name, found);
    }
    Ok(objects)
}

async fn service_variables(node: &Node, pod: &Pod) -> Result<Vec<(String, String)>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let failed = |error: kube::Error| format!("services could not be listed: {error}");
    let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links) != Some(false);
    let mut services: Vec<Service> = Vec::new();
    if links {
        let api: Api<Service> = Api::namespaced(node.client.clone(), namespace);
        services = api.list(&ListParams::default()).await.map_err(failed)?.items;
    }
    if !services.iter().any(|service| service.metadata.name.as_deref() == Some("kubernetes")) {
        let api: Api<Service> = Api::namespaced(node.client.clone(), "default");
        services.extend(api.get_opt("kubernetes").await.map_err(failed)?);
    }
    Ok(env::service_env(&services))
}

/// Writes the configuration volumes of a running container anew. A reference that went missing keeps the old files.
pub async fn refresh_volumes(node: &Node, pod: &Pod, exec: &ExecContext, objects: &ConfigObjects) {
    let context: DownwardContext = node.downward_context(exec.pod_ip);
    let identity = Identity { uid: exec.base.uid, gid: exec.base.gid };
    let directory = PodDirectory::new(&node.data_dir, &exec.owner.pod_uid);
    if let Err(error) = directory.render(pod, &exec.container, objects, &context, &exec.rewriter, identity) {
        let message = error_chain(&error);
        node.recorder.kubelet(reference(pod, None), EventType::Warning, "FailedMount", message);
    }
}
