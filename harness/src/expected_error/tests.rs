use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use cluster::kubelet::catalog::ImageError;

use super::*;
use crate::{
    output::ColorArg,
    stack::{ApplyError, ManifestError, NotReady},
};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn shown(error: &ExpectedError) -> String {
    let sink = Sink::default();
    error.display(&Output::new(Box::new(sink.clone()), false, ColorArg::Never));
    String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
}

fn denied() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

/// One of each, as far as it can be made without the system that it is about.
fn samples() -> Vec<ExpectedError> {
    let file =
        |verb, kind: io::ErrorKind| ExpectedError::File { verb, path: "x.toml".into(), source: kind.into() };
    let died = ControlPlaneError::Died {
        status: "exit status: 101".to_owned(),
        log: "/state/log".into(),
        tail: "  one\n  two\n".to_owned(),
    };
    let late = ControlPlaneError::Late { log: "/state/log".into(), tail: "  one\n".to_owned() };
    let start = ControlPlaneError::Start { program: "/bin/harness".into(), source: denied() };
    let not_ready = NotReady {
        waited: Duration::from_secs(90),
        missing: vec!["auth (CrashLoopBackOff)".to_owned()],
        evidence: "Warning BackOff pod/auth-1: restarting".to_owned(),
    };
    let image = || ImageError::Unknown { image: "acme/web".to_owned(), known: "postgres".to_owned() };
    let impossible =
        CompressError::Impossible { problems: vec!["a: too short".to_owned(), "b: too short".to_owned()] };
    let manifests = ManifestError::Invalid { path: "deploy/x.yaml".into(), problem: "no kind".to_owned() };
    let foreign = serde_json::from_str::<u8>("x").unwrap_err();
    let services = ServicesError::Missing { missing: vec!["api".to_owned()], directory: "/opt".into() };
    let cargo = ServicesError::Cargo { checkout: "/src".into(), source: io::ErrorKind::NotFound.into() };
    let stack = [
        StackError::State { path: "/x".into(), source: denied() },
        StackError::MissingPrograms(Vec::new()),
        StackError::Image(image()),
        StackError::Ports(Vec::new()),
        StackError::Record(RecordError::Foreign { path: "/state/record".into(), source: foreign }),
        StackError::Record(RecordError::Held { path: "/state/record".into() }),
        StackError::Version { running: "0.0.9".to_owned() },
        StackError::NoManifests,
        StackError::Manifests(manifests),
        StackError::Services(services),
        StackError::Services(cargo),
        StackError::ControlPlane(start),
        StackError::ControlPlane(died),
        StackError::ControlPlane(late),
        StackError::Target(Box::new(TargetError::Silent { server: "https://127.0.0.1:6443".to_owned() })),
        StackError::Apply(ApplyError::Timeout { object: "Deployment api".to_owned() }),
        StackError::NotReady(Box::new(not_ready)),
        StackError::Compress { factor: 600, source: impossible },
        StackError::History(NoHistory::Up),
        StackError::History(NoHistory::Promtool { output: "no space".to_owned() }),
        StackError::Stop { pid: 7, source: denied() },
    ];
    let own = [
        ExpectedError::Target(TargetError::Silent { server: "https://10.0.0.1:6443".to_owned() }),
        ExpectedError::Scenario { files: 1, found: 3 },
        file("read", io::ErrorKind::NotFound),
        file("read", io::ErrorKind::InvalidData),
        file("write", io::ErrorKind::StorageFull),
        file("write", io::ErrorKind::NotADirectory),
        ExpectedError::Usage { message: "there is no run yet".to_owned(), hint: None },
        ExpectedError::Unreachable {
            what: "Prometheus can't be asked".to_owned(),
            source: Some(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
        },
        ExpectedError::Interrupted { signal: "SIGINT", state: "nothing was started".to_owned() },
        ExpectedError::RollbackIncomplete {
            left: "Deployment gallery/postgres has 0 replicas instead of 1".to_owned(),
            recover: "harness recover 20261121-120102-k3f".to_owned(),
        },
        ExpectedError::Unreported { source: Box::new(file("write", io::ErrorKind::PermissionDenied)) },
        ExpectedError::Internal { what: "it broke".to_owned(), source: "a bug".into() },
    ];
    stack.into_iter().map(ExpectedError::from).chain(own).collect()
}

#[test]
fn every_error_has_a_cause_and_a_next_step() {
    let all = samples();
    let mut texts = Vec::new();
    for error in &all {
        let text = shown(error);
        assert!(text.starts_with("error: "), "{text}");
        assert_eq!(text.matches("hint: ").count(), 1, "{text}");
        assert!(error.hint().len() > 20, "{text}");
        texts.push(format!("[{}] {text}", error.exit_code()));
    }
    // All kinds of our own are there: a new one stands at the end of this list or the numbers differ.
    let kinds: BTreeSet<_> = all.iter().map(std::mem::discriminant).map(|kind| format!("{kind:?}")).collect();
    let count = match &all[0] {
        ExpectedError::Stack(_)
        | ExpectedError::Target(_)
        | ExpectedError::Scenario { .. }
        | ExpectedError::File { .. }
        | ExpectedError::Usage { .. }
        | ExpectedError::Unreachable { .. }
        | ExpectedError::Interrupted { .. }
        | ExpectedError::RollbackIncomplete { .. }
        | ExpectedError::Unreported { .. }
        | ExpectedError::Internal { .. } => 10,
    };
    assert_eq!(kinds.len(), count);
    insta::assert_snapshot!(texts.join("\n"));
}

/// What the hints tell people to type must be there.
#[test]
fn hints_name_commands_that_exist() {
    use clap::CommandFactory;
    let app = crate::cli::App::command();
    let names: BTreeSet<_> = app.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    for error in samples() {
        for command in error.hint().split('`').skip(1).step_by(2) {
            let mut words = command.split_whitespace();
            if words.next() != Some("harness") {
                continue;
            }
            let name = words.find(|word| !word.starts_with('-')).unwrap_or_default();
            assert!(names.contains(name), "{command:?}");
        }
    }
}

#[test]
fn problems_are_counted_in_words() {
    assert_eq!(problems(1, 1), "1 problem in 1 file");
    assert_eq!(problems(2, 7), "7 problems in 2 files");
}
