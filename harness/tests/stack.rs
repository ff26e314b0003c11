//! The embedded stack through the real binary: up, status, down, and what goes wrong on the way.
//!
//! These tests need the programs that `make tools` provides; where one is missing they fail and say so.
#![allow(missing_docs)]

mod common;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use common::{Place, Ran};
use rustix::process::{Pid, Signal, kill_process};

/// A deploy directory with one trivial Deployment in each part, whose container runs a shell command.
fn deploy(place: &Place, image: &str, command: &str) -> String {
    deploy_with(place, image, command, "")
}

/// The same with a readiness probe that always fails: the Deployment is never available, not even for a moment.
fn deploy_never_ready(place: &Place, command: &str) -> String {
    deploy_with(place, "busybox", command, ", readinessProbe: {exec: {command: [\"false\"]}}")
}

fn deploy_with(place: &Place, image: &str, command: &str, more: &str) -> String {
    let root = place.path().join("deploy");
    for part in ["monitoring", "gallery"] {
        let directory = root.join(part);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("kustomization.yaml"), "resources: [objects.yaml]\n").unwrap();
        let objects = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {part}}}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: {part}}}\nspec:\n  replicas: 1\n  \
             selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
             spec:\n      terminationGracePeriodSeconds: 1\n      containers:\n      \
             - {{name: web, image: {image}, command: [sh, -c, {command:?}]{more}}}\n"
        );
        fs::write(directory.join("objects.yaml"), objects).unwrap();
    }
    root.to_str().unwrap().to_owned()
}

fn pid_in(text: &str) -> Pid {
    let digits = text.split("(pid ").nth(1).unwrap().chars().take_while(char::is_ascii_digit);
    Pid::from_raw(digits.collect::<String>().parse().unwrap()).unwrap()
}

/// Processes that have this text in their environment or arguments.
fn processes_with(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    arguments
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        .filter(|line| line.contains(text))
        .collect()
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn up_and_down_can_be_repeated() {
    let place = Place::new();
    let deploy = deploy(&place, "busybox", "sleep 987001");
    let up = ["up", "--deploy-dir", &deploy];
    let first = place.run(&up).expect(0);
    assert!(first.out.starts_with("The embedded stack is up in "), "{}", first.out);
    assert!(first.out.contains("export KUBECONFIG="), "{}", first.out);
    let second = place.run(&up).expect(0);
    assert!(second.out.starts_with("The embedded stack was up already\n"), "{}", second.out);

    let status = place.run(&["status"]).expect(0);
    let pods: Vec<&str> = status.out.lines().filter(|line| line.contains(" web-")).collect();
    assert_eq!(pods.len(), 2, "{}", status.out);
    assert!(pods.iter().all(|line| line.contains("1/1") && line.contains("Running")), "{pods:?}");

    let down = place.run(&["down"]).expect(0);
    assert!(down.out.starts_with("Stopped the embedded stack (pid "), "{}", down.out);
    assert_eq!(processes_with("sleep 987001"), Vec::<String>::new());
    assert!(!place.path().join("state/stack/kubeconfig").exists());
    assert!(place.run(&["down"]).expect(0).out.contains("nothing to do"));
    assert!(place.run(&["status"]).expect(0).out.starts_with("No embedded stack"));
}

#[test]
fn two_stacks_do_not_know_of_each_other() {
    let (one, two) = (Place::new(), Place::new());
    let (deploy_one, deploy_two) =
        (deploy(&one, "busybox", "sleep 987002"), deploy(&two, "busybox", "sleep 987003"));
    std::thread::scope(|scope| {
        scope.spawn(|| one.run(&["up", "--deploy-dir", &deploy_one]).expect(0));
        scope.spawn(|| two.run(&["up", "--deploy-dir", &deploy_two]).expect(0));
    });
    one.run(&["down"]).expect(0);
    assert!(!processes_with("sleep 987003").is_empty());
    assert!(two.run(&["status"]).expect(0).out.starts_with("The embedded stack is up"));
}

#[test]
fn two_at_once_start_one_stack() {
    let place = Place::new();
    let deploy = deploy(&place, "busybox", "sleep 987004");
    let up = ["up", "--deploy-dir", &deploy];
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| place.run(&up).expect(0));
        let two = scope.spawn(|| place.run(&up).expect(0));
        (one.join().unwrap(), two.join().unwrap())
    });
    let started =
        [&one, &two].iter().filter(|ran| ran.out.starts_with("The embedded stack is up in")).count();
    assert_eq!(started, 1, "{one:?}\n{two:?}");
}

#[test]
fn a_control_plane_that_was_killed_is_noticed_and_replaced() {
    let place = Place::new();
    let deploy = deploy(&place, "busybox", "sleep 987005");
    let up = ["up", "--deploy-dir", &deploy];
    place.run(&up).expect(0);
    kill_process(pid_in(&place.run(&["status"]).expect(0).out), Signal::KILL).unwrap();
    wait_until("the end of the pods", || processes_with("sleep 987005").is_empty());
    assert!(place.run(&["status"]).expect(0).out.contains("has ended by itself"));
    let again = place.run(&up).expect(0);
    assert!(again.out.starts_with("The embedded stack is up in "), "{}", again.out);

    kill_process(pid_in(&place.run(&["status"]).expect(0).out), Signal::KILL).unwrap();
    wait_until("the end of the pods", || processes_with("sleep 987005").is_empty());
    assert!(place.run(&["down"]).expect(0).out.contains("had ended by itself"));
}

#[test]
fn a_stack_that_does_not_get_ready_says_what_is_wrong() {
    let place = Place::new();
    let deploy = deploy_never_ready(&place, "echo the disk is on fire; exit 3");
    let ran = place.run(&["up", "--deploy-dir", &deploy, "--ready-timeout", "3s"]).expect(4);
    assert!(ran.err.contains("error: the embedded stack did not get ready"), "{}", ran.err);
    assert!(ran.err.contains("web (CrashLoopBackOff)") || ran.err.contains("web (Error)"), "{}", ran.err);
    assert!(ran.err.contains("log of web: the disk is on fire"), "{}", ran.err);
    assert!(ran.err.contains("event: BackOff "), "{}", ran.err);
    assert!(ran.err.contains("pod gallery/web-") && ran.err.contains("pod monitoring/web-"), "{}", ran.err);
    // It stays for a look into it.
    assert!(place.run(&["status"]).expect(0).out.starts_with("The embedded stack is coming up"));
}

#[test]
fn an_image_that_nothing_stands_for_is_refused_before_anything_starts() {
    let place = Place::new();
    let deploy = deploy(&place, "acme/web:1", "true");
    let ran = place.run(&["up", "--deploy-dir", &deploy]).expect(2);
    assert!(ran.err.contains("acme/web:1"), "{}", ran.err);
    assert!(place.run(&["status"]).expect(0).out.starts_with("No embedded stack"));
}

#[test]
fn a_listener_on_a_port_that_is_needed_is_named_before_anything_starts() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let deploy =
        deploy_with(&place, "busybox", "sleep 987008", &format!(", ports: [{{containerPort: {port}}}]"));
    let ran = place.run(&["up", "--deploy-dir", &deploy]).expect(2);
    assert!(ran.err.contains(&format!("port {port} is held by")), "{}", ran.err);
    assert!(ran.err.contains(&std::process::id().to_string()), "{}", ran.err);
    assert!(place.run(&["status"]).expect(0).out.starts_with("No embedded stack"));
}

#[test]
fn an_interrupted_up_leaves_nothing_behind() {
    for signal in [Signal::INT, Signal::TERM] {
        let place = Place::new();
        let deploy = deploy_never_ready(&place, "sleep 987006");
        let child = place
            .command(&["up", "--deploy-dir", &deploy])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let kubeconfig = place.path().join("state/stack/kubeconfig");
        wait_until("the start of the control plane", || kubeconfig.exists());
        kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), None, "{signal:?} ended it");
        let ran = Ran::from(output).expect(5);
        assert!(ran.err.contains("what had been started is stopped"), "{}", ran.err);
        assert!(!kubeconfig.exists());
        assert_eq!(processes_with("sleep 987006"), Vec::<String>::new());
        assert!(place.run(&["status"]).expect(0).out.starts_with("No embedded stack"));
    }
}

#[test]
fn who_is_interrupted_while_another_starts_the_stack_leaves_it_alone() {
    let place = Place::new();
    let deploy = deploy_never_ready(&place, "sleep 987007");
    let spawn = |timeout: &str| {
        let mut command = place.command(&["up", "--deploy-dir", &deploy, "--ready-timeout", timeout]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let kubeconfig = place.path().join("state/stack/kubeconfig");
    let first = spawn("5s");
    wait_until("the start of the control plane", || kubeconfig.exists());
    let second = spawn("60s");
    // It has the lock file open: it waits for the first one.
    let descriptors = format!("/proc/{}/fd", second.id());
    let opened = || fs::read_dir(&descriptors).into_iter().flatten().flatten();
    wait_until("the wait for the lock", || {
        opened().any(|entry| fs::read_link(entry.path()).is_ok_and(|path| path.ends_with("stack/lock")))
    });
    kill_process(Pid::from_raw(second.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let ran = Ran::from(second.wait_with_output().unwrap()).expect(5);
    assert!(ran.err.contains("nothing was started"), "{}", ran.err);
    assert!(kubeconfig.exists());
    Ran::from(first.wait_with_output().unwrap()).expect(4);
    assert!(place.run(&["status"]).expect(0).out.starts_with("The embedded stack is coming up"));
}

#[test]
fn a_stack_of_another_version_is_refused_by_name() {
    let place = Place::new();
    let stack = place.path().join("state/stack");
    fs::create_dir_all(&stack).unwrap();
    let record = r#"{"version":"9.9.9","build":"","pid":999999999,"starter":0,"data_dir":"/x","started_at":"2026-01-01T00:00:00Z"}"#;
    hold(&stack.join("control-plane.json"), record, || {
        let deploy = deploy(&place, "busybox", "true");
        let ran = place.run(&["up", "--deploy-dir", &deploy]).expect(2);
        assert!(ran.err.contains("9.9.9") && ran.err.contains("`harness down`"), "{}", ran.err);
    });
}

/// Runs something while a file with this content is locked as a living control plane locks its record.
fn hold(path: &Path, content: &str, work: impl FnOnce()) {
    fs::write(path, content).unwrap();
    let file = fs::File::open(path).unwrap();
    file.lock().unwrap();
    work();
}

#[test]
fn the_project_s_own_stack_comes_up_beside_programs_of_the_user() {
    // Somebody's Prometheus and PostgreSQL, on all addresses. If the ports are taken already, all the better.
    let _listeners = [9090, 5432].map(|port| std::net::TcpListener::bind(("0.0.0.0", port)));
    let place = Place::new();
    let up = place.run(&["up"]).expect(0);
    for title in ["portal", "Prometheus", "Alertmanager"] {
        let line = up.out.lines().find(|line| line.trim_start().starts_with(title));
        let url = line.and_then(|line| line.split_whitespace().last()).unwrap();
        assert!(get(url).starts_with("HTTP/1.1 200"), "{title} at {url}: {}", get(url));
    }
    let status = place.run(&["status"]).expect(0);
    let pods: Vec<&str> =
        status.out.lines().skip_while(|line| !line.starts_with("NAMESPACE")).skip(1).collect();
    assert!(pods.len() >= 10 && pods.iter().all(|line| line.contains("1/1")), "{}", status.out);
    let again = place.run(&["up"]).expect(0);
    assert!(again.out.starts_with("The embedded stack was up already\n"), "{}", again.out);
    let record = fs::read_to_string(place.path().join("state/stack/control-plane.json")).unwrap();
    let data = record.split("\"data_dir\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(Path::new(data).exists());
    place.run(&["down"]).expect(0);
    assert!(!Path::new(data).exists());
    assert_eq!(processes_with(place.path().to_str().unwrap()), Vec::<String>::new());
}

/// First bytes of the answer to a GET, redirects followed by hand: monitoring pages redirect to their start page.
fn get(url: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut path = "/".to_owned();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.take(2000).read_to_string(&mut answer).unwrap();
        match answer.lines().find_map(|line| line.strip_prefix("Location: ")) {
            Some(location) => location.clone_into(&mut path),
            None => return answer,
        }
    }
    panic!("{url} redirects for ever");
}
