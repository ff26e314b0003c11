//! The images of the built-in catalogue.

use std::collections::BTreeMap;

use super::catalog::ImageEntry;

/// All built-in images by name.
pub fn builtin_entries() -> BTreeMap<String, ImageEntry> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let pairs = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let debian = |package: &str| format!("Debian package {package}");
    let mut entries = BTreeMap::new();
    let mut add = |names: &[&str], entry: ImageEntry| {
        for name in names {
            entries.insert((*name).to_owned(), entry.clone());
        }
    };
    add(
        &["postgres"],
        ImageEntry {
            program: words(&["postgres"]),
            script: Some(include_str!("entrypoints/postgres.sh").to_owned()),
            args: words(&["postgres"]),
            env: pairs(&[
                ("PGDATA", "/var/lib/postgresql/data"),
                ("SRE_INITDB_DIR", "/docker-entrypoint-initdb.d"),
            ]),
            volumes: words(&["/var/lib/postgresql/data"]),
            // The image's STOPSIGNAL: SIGTERM would wait for every client to leave.
            stop_signal: Some("SIGINT".to_owned()),
            users: words(&["postgres", "nobody"]),
            needs_account: true,
            purpose: "database server of the demo system".to_owned(),
            package: debian("postgresql"),
            ..ImageEntry::default()
        },
    );
    add(
        &["redis"],
        ImageEntry {
            program: words(&["redis-server"]),
            script: Some(include_str!("entrypoints/redis.sh").to_owned()),
            args: words(&["redis-server"]),
            volumes: words(&["/data"]),
            working_dir: Some("/data".to_owned()),
            purpose: "cache of the demo system".to_owned(),
            package: debian("redis-server"),
            ..ImageEntry::default()
        },
    );
    add(
        &["prom/prometheus", "prometheus/prometheus"],
        ImageEntry {
            program: words(&["prometheus"]),
            args: words(&["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]),
            volumes: words(&["/prometheus"]),
            working_dir: Some("/prometheus".to_owned()),
            aliases: words(&["/bin/prometheus"]),
            purpose: "collects metrics, evaluates alert rules".to_owned(),
            package: debian("prometheus"),
            ..ImageEntry::default()
        },
    );
    add(
        &["prom/alertmanager", "prometheus/alertmanager"],
        ImageEntry {
            program: words(&["prometheus-alertmanager", "alertmanager"]),
            args: words(&[
                "--config.file=/etc/alertmanager/alertmanager.yml",
                "--storage.path=/alertmanager",
            ]),
            volumes: words(&["/alertmanager"]),
            working_dir: Some("/alertmanager".to_owned()),
            aliases: words(&["/bin/alertmanager"]),
            purpose: "routes alerts to receivers".to_owned(),
            package: debian("prometheus-alertmanager"),
            ..ImageEntry::default()
        },
    );
    add(
        &["prometheuscommunity/postgres-exporter"],
        ImageEntry {
            program: words(&["prometheus-postgres-exporter", "postgres_exporter"]),
            aliases: words(&["/bin/postgres_exporter"]),
            purpose: "metrics of PostgreSQL".to_owned(),
            package: debian("prometheus-postgres-exporter"),
            ..ImageEntry::default()
        },
    );
    add(
        &["oliver006/redis_exporter"],
        ImageEntry {
            program: words(&["prometheus-redis-exporter", "redis_exporter"]),
            aliases: words(&["/redis_exporter"]),
            purpose: "metrics of Redis".to_owned(),
            package: debian("prometheus-redis-exporter"),
            ..ImageEntry::default()
        },
    );
    add(
        &["grafana/grafana", "grafana/grafana-oss", "grafana/grafana-enterprise"],
        ImageEntry {
            program: words(&["grafana", "/usr/share/grafana/bin/grafana"]),
            // What the image's /run.sh does, with the home of the packages of Grafana Labs.
            entrypoint: words(&["server", "--homepath=/usr/share/grafana"]),
            aliases: words(&["/run.sh", "/usr/share/grafana/bin/grafana"]),
            purpose: "shows the dashboards, only with `harness up --grafana`".to_owned(),
            package: "the package grafana of Grafana Labs; Debian has none".to_owned(),
            optional: true,
            ..ImageEntry::default()
        },
    );
    for name in ["portal", "api", "auth", "images"] {
        let entry = ImageEntry {
            program: words(&[name]),
            purpose: "service of the demo system".to_owned(),
            package: "built by `cargo build -p services`".to_owned(),
            aliases: vec![format!("/usr/local/bin/{name}")],
            ..ImageEntry::default()
        };
        add(&[&format!("gallery/{name}")], entry);
    }
    add(
        &["sre-harness/harness"],
        ImageEntry {
            program: words(&["harness"]),
            purpose: "the harness itself, as alert receiver".to_owned(),
            package: "built by `cargo build -p harness`".to_owned(),
            ..ImageEntry::default()
        },
    );
    // The user says what to run; what exists is what the machine has.
    add(&["busybox"], ImageEntry { args: words(&["sh"]), ..ImageEntry::default() });
    add(
        &["pause", "google_containers/pause"],
        ImageEntry { entrypoint: words(&["sleep", "infinity"]), ..ImageEntry::default() },
    );
    entries
}
