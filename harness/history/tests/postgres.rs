//! The index in a real PostgreSQL, shared by machines.
#![allow(missing_docs)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use common::{Place, id, ids, on_day};
use harness_history::{Entry, History, HistoryError, Location, Query, Sort, Synced};
use tempfile::TempDir;

const PASSWORD: &str = "secret-of-the-history";
/// Debian's unprivileged user: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// A server on a loopback address of its own. It ends with the thread that started it.
struct Postgres {
    directory: TempDir,
    address: Ipv4Addr,
    server: Child,
}

/// A program of PostgreSQL and, if it is from the tools cache, its libraries.
fn program(name: &str) -> (PathBuf, Option<PathBuf>) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<(PathBuf, Option<PathBuf>)> =
        std::env::split_paths(&path).map(|directory| (directory, None)).collect();
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let given = std::env::var_os("SRE_HARNESS_TOOLS").map(PathBuf::from);
    let caches =
        [given, Some("/var/cache/sre-harness/tools".into()), Some(home.join(".cache/sre-harness/tools"))];
    for root in [Some(PathBuf::from("/"))].into_iter().chain(caches).flatten() {
        let libraries = (root != Path::new("/")).then(|| root.join("usr/lib/x86_64-linux-gnu"));
        let versions = fs::read_dir(root.join("usr/lib/postgresql")).into_iter().flatten().flatten();
        places.extend(versions.map(|version| (version.path().join("bin"), libraries.clone())));
    }
    let found = places.into_iter().map(|(directory, libraries)| (directory.join(name), libraries));
    found
        .into_iter()
        .find(|(path, _)| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run `make tools`"))
}

fn command(name: &str) -> Command {
    let (path, libraries) = program(name);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if rustix::process::geteuid().is_root() {
        let id = NOBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    }
    command.arg("--").arg(path).stdin(Stdio::null());
    if let Some(libraries) = libraries {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

impl Postgres {
    fn start() -> Self {
        let directory = TempDir::with_prefix("history-pg-").unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let (data, password) = (directory.path().join("data"), directory.path().join("password"));
        fs::write(&password, PASSWORD).unwrap();
        let made = command("initdb")
            .args(["-U", "history", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"])
            .arg("--pwfile")
            .arg(&password)
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // Addresses 127.70.0.0 to 127.99.255.255 by the process, which is unique while it lives.
        let [_, a, b, c] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 70 + a % 30, b, 2 + c % 250);
        let certified = rcgen::generate_simple_self_signed([address.to_string()]).unwrap();
        for (name, text) in
            [("server.crt", certified.cert.pem()), ("server.key", certified.signing_key.serialize_pem())]
        {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            // The server reads a key only if nobody else may, and runs as another user than root.
            if name == "server.key" {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            }
            if rustix::process::geteuid().is_root() {
                std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let file = |name: &str| directory.path().join(name).display().to_string();
        let server = command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={}", file("server.crt"))])
            .args(["-c", &format!("ssl_key_file={}", file("server.key"))])
            .args(["-h", &address.to_string(), "-p", "15433", "-F", "-k"])
            .arg(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let pid_file = data.join("postmaster.pid");
        let ready = || {
            fs::read_to_string(&pid_file).is_ok_and(|text| text.lines().any(|line| line.trim() == "ready"))
        };
        while !ready() {
            assert!(start.elapsed() < Duration::from_secs(60), "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { directory, address, server }
    }

    fn url(&self) -> String {
        format!("postgres://history:{PASSWORD}@{}:15433/postgres", self.address)
    }

    fn location(&self) -> Location {
        Location::new(Some(&self.url()), Path::new("unused")).unwrap()
    }

    async fn open(&self, place: &Place) -> History {
        History::open(self.location(), &place.runs()).await.unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = i32::try_from(self.server.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // Immediate shutdown, with its children.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        }
        let _ = self.server.wait();
        assert!(self.directory.path().exists());
    }
}

/// One server for all: it takes longer to start than everything that is asked of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_index_in_postgres() {
    let postgres = Arc::new(Postgres::start());
    many_machines_make_it_at_once(&postgres).await;
    it_is_asked_like_the_file(&postgres).await;
    what_is_not_here_stays(&postgres).await;
    versions_and_passwords(&postgres).await;
}

/// All of them on an empty database, where each would make the tables.
async fn many_machines_make_it_at_once(postgres: &Arc<Postgres>) {
    let machine = |number: u32| {
        let postgres = postgres.clone();
        tokio::spawn(async move {
            let place = Place::new();
            for round in 0..4 {
                let id = format!("machine-{number}-{round}");
                place.run(&id, &on_day(1 + round, number));
                let mut history = postgres.open(&place).await;
                match (number + round) % 3 {
                    0 => drop(history.sync().await.unwrap()),
                    1 => drop(history.reindex(false).await.unwrap()),
                    _ => history.index(&id).await.unwrap(),
                }
                history.close().await;
            }
            let mut history = postgres.open(&place).await;
            history.sync().await.unwrap();
            let query = Query { origins: Some(vec![history.origin().to_owned()]), ..Query::default() };
            assert_eq!(history.runs(&query).await.unwrap().len(), 4);
        })
    };
    let machines: Vec<_> = (0..8).map(machine).collect();
    for machine in machines {
        machine.await.unwrap();
    }
    let mut history = postgres.open(&Place::new()).await;
    let all: BTreeSet<String> = ids(&mut history).await.into_iter().collect();
    assert_eq!(all.len(), 32);
    let all: Vec<String> = all.into_iter().collect();
    assert!(history.measures(&all).await.unwrap().values().all(|measures| measures.len() > 8));
    history.forget(&all).await.unwrap();
    assert!(ids(&mut history).await.is_empty());
}

/// The same answers from both.
async fn it_is_asked_like_the_file(postgres: &Postgres) {
    let place = Place::new();
    for day in 1..8 {
        place.run(&id(day), &on_day(day, day * 130));
    }
    let (mut file, mut server) = (place.open().await, postgres.open(&place).await);
    assert_eq!(server.sync().await.unwrap().read, 7);
    let queries = [
        Query::default(),
        Query { limit: Some(3), ..Query::default() },
        Query { sort: Sort::parse("alert_firing"), reverse: true, ..Query::default() },
        Query { sort: Sort::parse("alert_firing/APIServiceDown"), ..Query::default() },
        Query { sort: Sort::Outcome, ..Query::default() },
        Query { sort: Sort::Duration, ..Query::default() },
        Query { outcomes: Some(vec!["passed".into(), "failed".into()]), ..Query::default() },
        Query { ids: Some(vec![]), ..Query::default() },
        Query { since: harness_event::Timestamp::parse("2025-11-04T00:00:00Z"), ..Query::default() },
    ];
    for query in queries {
        let mut runs = [file.runs(&query).await.unwrap(), server.runs(&query).await.unwrap()];
        for (run, _) in runs.iter_mut().flatten() {
            run.origin.clear();
        }
        assert_eq!(runs[0], runs[1], "{query:?}");
    }
    let all = ids(&mut file).await;
    let by_name = |mut measures: Vec<harness_history::Measure>| {
        measures.sort_by_key(|one| (one.name.clone(), one.subject.clone()));
        measures
    };
    let (one, other) = (file.measures(&all).await.unwrap(), server.measures(&all).await.unwrap());
    for (id, measures) in one {
        assert_eq!(by_name(measures), by_name(other[&id].clone()));
    }
    assert_eq!(
        file.matching(Some("db-*"), Some("*")).await.unwrap(),
        server.matching(Some("db-*"), Some("*")).await.unwrap()
    );
}

/// Folders on machines of CI are gone soon, and nobody forgets the runs of others.
async fn what_is_not_here_stays(postgres: &Postgres) {
    let place = Place::with_days([10, 11]);
    let mut history = postgres.open(&place).await;
    history.sync().await.unwrap();
    let before = ids(&mut history).await;
    fs::remove_dir_all(place.runs().join(id(10))).unwrap();
    assert_eq!(history.sync().await.unwrap(), Synced { read: 0, forgotten: 0, without_folder: 1 });
    assert_eq!(history.reindex(false).await.unwrap(), Synced { read: 1, forgotten: 0, without_folder: 1 });
    assert_eq!(ids(&mut history).await, before);
    assert_eq!(history.reindex(true).await.unwrap(), Synced { read: 1, forgotten: 1, without_folder: 0 });
    assert_eq!(ids(&mut history).await.len(), before.len() - 1);
    // Quotes and the characters of patterns are data.
    let run = history.runs(&Query { limit: Some(1), ..Query::default() }).await.unwrap().remove(0).0;
    let odd = harness_history::Run { id: "o'dd\"%_\\;--".into(), title: "Ünï 'x'".into(), ..run };
    history.put(&Entry { run: odd.clone(), measures: vec![] }).await.unwrap();
    let query = Query { ids: Some(vec![odd.id.clone()]), ..Query::default() };
    assert_eq!(history.runs(&query).await.unwrap()[0].0, odd);
}

async fn versions_and_passwords(postgres: &Postgres) {
    let place = Place::new();
    // With its own certificate it is known; with those of the world's authorities it is not.
    let certificate = postgres.directory.path().join("server.crt");
    let known = format!("{}?sslmode=verify-full&sslrootcert={}", postgres.url(), certificate.display());
    let history = History::open(Location::new(Some(&known), Path::new("x")).unwrap(), &place.runs()).await;
    history.unwrap().close().await;
    let unknown = format!("{}?sslmode=verify-full", postgres.url());
    let refused = History::open(Location::new(Some(&unknown), Path::new("x")).unwrap(), &place.runs()).await;
    let error = refused.err().expect("nobody vouches for it");
    assert!(error.hint().is_some_and(|hint| hint.contains("sslrootcert")), "{error:?}");
    let wrong = postgres.url().replace(PASSWORD, "hunter2");
    let refused = History::open(Location::new(Some(&wrong), Path::new("x")).unwrap(), &place.runs()).await;
    let error = refused.err().expect("the password is wrong");
    let text = format!("{error} {error:?} {:?}", std::error::Error::source(&error).map(ToString::to_string));
    assert!(text.contains("password authentication failed") && !text.contains("hunter2"), "{text}");
    let nobody = format!("postgres://x:hunter2@{}:15434/x", postgres.address);
    let refused = History::open(Location::new(Some(&nobody), Path::new("x")).unwrap(), &place.runs()).await;
    let error = refused.err().expect("nobody listens there");
    assert!(
        matches!(error, HistoryError::Database { .. }) && !format!("{error:?}").contains("hunter2"),
        "{error:?}"
    );
    // A newer harness was here.
    let newer = "INSERT INTO harness_schema (version) VALUES (99)";
    let options: sqlx::postgres::PgConnectOptions = postgres.url().parse().unwrap();
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    let refused = History::open(postgres.location(), &place.runs()).await;
    assert!(matches!(refused.err(), Some(HistoryError::Newer { found: 99, .. })));
}
