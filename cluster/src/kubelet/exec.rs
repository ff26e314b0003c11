//! Running something beside a container: exec probes and lifecycle hooks, in the container's environment.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Probe};

use super::{
    catalog::is_executable,
    probes,
    process::{Exit, Launcher, Owner},
    rewrite::Rewriter,
    shim::ProcessSpec,
};

/// What a container was started with, for whatever is run beside it.
#[derive(Debug)]
pub struct ExecContext {
    /// Whose process it is.
    pub owner: Owner,
    /// The container as written in the pod.
    pub container: Container,
    /// The pod's address.
    pub pod_ip: Ipv4Addr,
    /// Environment, working directory and user; program and arguments are those of the main process.
    pub base: ProcessSpec,
    /// The container's paths and names.
    pub rewriter: Rewriter,
    /// Programs of the real image and what stands for them.
    pub aliases: Vec<(String, PathBuf)>,
    /// Number of the signal that asks for a clean stop.
    pub stop_signal: i32,
}

impl ExecContext {
    /// The specification of a command in this container.
    pub fn command(&self, command: &[String]) -> Result<ProcessSpec, String> {
        let command: Vec<String> = command.iter().map(|word| self.rewriter.text(word).into_owned()).collect();
        let (first, arguments) = command.split_first().ok_or("no command specified")?;
        Ok(ProcessSpec {
            program: resolve_program(first, &self.base.env, &self.base.cwd, &self.aliases)?,
            arg0: first.clone(),
            args: arguments.to_vec(),
            ..self.base.clone()
        })
    }

    /// Runs a command; the error is the text for an event.
    async fn exec(&self, launcher: &Launcher, command: &[String], timeout: Duration) -> Result<(), String> {
        let spec = self.command(command)?;
        match tokio::time::timeout(timeout, launcher.exec(&self.owner, &spec)).await {
            Ok(Ok((Exit { code: 0, .. }, _))) => Ok(()),
            Ok(Ok((_, output))) => Err(output),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "command timed out: \"{}\" timed out after {}",
                command.join(" "),
                super::backoff::go_duration(timeout)
            )),
        }
    }

    /// Runs one check of a probe.
    pub async fn probe(&self, launcher: &Launcher, probe: &Probe, timeout: Duration) -> Result<(), String> {
        if let Some(action) = &probe.exec {
            self.exec(launcher, action.command.as_deref().unwrap_or_default(), timeout).await
        } else if let Some(action) = &probe.http_get {
            probes::http_get(action, &self.container, self.pod_ip, timeout).await
        } else if let Some(action) = &probe.tcp_socket {
            probes::tcp_socket(action, &self.container, self.pod_ip, timeout).await
        } else {
            Err("this type of probe is not supported by the embedded cluster".to_owned())
        }
    }

    /// Runs a lifecycle hook; it may take as long as `timeout`.
    pub async fn hook(
        &self,
        launcher: &Launcher,
        hook: &LifecycleHandler,
        timeout: Duration,
    ) -> Result<(), String> {
        if let Some(action) = &hook.exec {
            self.exec(launcher, action.command.as_deref().unwrap_or_default(), timeout).await
        } else if let Some(action) = &hook.http_get {
            probes::http_get(action, &self.container, self.pod_ip, timeout).await
        } else if let Some(action) = &hook.sleep {
            let wanted = Duration::from_secs(action.seconds.try_into().unwrap_or(0));
            tokio::time::sleep(wanted.min(timeout)).await;
            Ok(())
        } else {
            Err("invalid handler: no action is given".to_owned())
        }
    }
}

/// The path of a program as the container's `PATH` finds it; the error has the words of a container runtime.
pub fn resolve_program(
    name: &str,
    env: &[(String, String)],
    cwd: &Path,
    aliases: &[(String, PathBuf)],
) -> Result<PathBuf, String> {
    if let Some((_, program)) = aliases.iter().find(|(alias, _)| alias == name) {
        return Ok(program.clone());
    }
    if name.contains('/') {
        let path = cwd.join(name);
        return match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                Err(format!("failed to start process: exec: \"{name}\": is a directory"))
            }
            Ok(_) => Ok(path),
            Err(_) => Err(format!(
                "failed to start process: exec: \"{name}\": stat {name}: no such file or directory"
            )),
        };
    }
    let path =
        env.iter().rev().find(|(variable, _)| variable == "PATH").map_or("", |(_, value)| value.as_str());
    path.split(':')
        .filter(|directory| !directory.is_empty())
        .map(|directory| Path::new(directory).join(name))
        .find(|path| is_executable(path))
        .ok_or_else(|| {
            format!("failed to start process: exec: \"{name}\": executable file not found in $PATH")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_in_a_container() {
        let env = [("PATH".to_owned(), "/no/such:/usr/bin:/bin".to_owned())];
        let cwd = Path::new("/");
        let aliases = [("/bin/prometheus".to_owned(), PathBuf::from("/usr/bin/prometheus"))];
        let find = |name: &str| resolve_program(name, &env, cwd, &aliases);
        assert!(find("sh").unwrap().ends_with("bin/sh"));
        assert_eq!(find("/bin/prometheus").unwrap(), Path::new("/usr/bin/prometheus"));
        let error = find("no-such-program").unwrap_err();
        assert!(error.ends_with("exec: \"no-such-program\": executable file not found in $PATH"), "{error}");
        let error = find("/bin/absent").unwrap_err();
        assert!(
            error.ends_with("exec: \"/bin/absent\": stat /bin/absent: no such file or directory"),
            "{error}"
        );
        assert!(find("/usr").is_err());
    }
}
