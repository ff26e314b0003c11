//! Routes as `amtool config routes test` gives them.

use std::process::Command;

use harness_engine::monitor::Routing;
use harness_event::Labels;

use crate::support::program;

const CONFIG: &str = r#"
route:
  receiver: default
  routes:
    - { receiver: canary, matchers: [harness_canary="true"] }
    - { receiver: audit, continue: true, match: { team: db } }
    - receiver: db
      match_re: { service: "postgres|redis" }
      routes:
        - { receiver: db-page, continue: true, matchers: ['{severity=~"page|critical", env!=test}'] }
        - { receiver: db-team, matchers: [team=db] }
    - { receiver: silent, matchers: ['service = portal', 'severity!~"page|.+cal"'] }
    - { receiver: last, continue: true, matchers: [env=~"t.*"] }
    - { receiver: last2, matchers: ['team!=""'] }
receivers: [{ name: default }, { name: canary }, { name: audit }, { name: db }, { name: db-page }, { name: db-team }, { name: silent }, { name: last }, { name: last2 }]
"#;

#[test]
fn routes_agree_with_amtool() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alertmanager.yml");
    std::fs::write(&file, CONFIG).unwrap();
    let routing = Routing::parse(CONFIG).unwrap();
    let values: [(&str, &[&str]); 5] = [
        ("harness_canary", &["", "true"]),
        ("team", &["", "db"]),
        ("service", &["", "postgres", "portal"]),
        ("severity", &["", "page", "critical"]),
        ("env", &["", "test"]),
    ];
    let mut sets = vec![Labels::new()];
    for (name, choices) in values {
        let with = |labels: &Labels, value: &str| {
            let mut labels = labels.clone();
            // An absent label and an empty one are the same.
            if !value.is_empty() {
                labels.insert(name.to_owned(), value.to_owned());
            }
            labels
        };
        sets = sets.iter().flat_map(|labels| choices.iter().map(move |value| with(labels, value))).collect();
    }
    let amtool = program(&["amtool"]);
    let mut receivers = std::collections::BTreeSet::new();
    for labels in &sets {
        let ours =
            routing.route_for(labels).into_iter().map(|route| route.receiver).collect::<Vec<_>>().join(",");
        let pairs = labels.iter().map(|(name, value)| format!("{name}={value}"));
        let output = Command::new(&amtool)
            .args(["config", "routes", "test", "--config.file"])
            .arg(&file)
            .args(pairs)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(ours, String::from_utf8(output.stdout).unwrap().trim(), "{labels:?}");
        receivers.insert(ours);
    }
    assert!(receivers.len() >= 10, "the sets take different routes: {receivers:?}");
}
