//! The configuration that the project ships, as real servers load it.

use std::{fs, path::Path, time::Duration};

use harness_engine::monitor::{Loaded, Routing, bounds, canary_labels, check_inputs, preflight};
use harness_event::{AlertState, Labels, Millis, Timestamp};

use crate::{
    preflight::{delivered, expect, plan},
    support::{Stack, StackConfig, eventually},
};

fn shipped(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../alerts").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All rule files as one.
fn shipped_rules() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../alerts/rules");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts = files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "yml"))
        .map(|path| fs::read_to_string(path).unwrap());
    let groups =
        texts.map(|text| text.split_once("\ngroups:\n").expect("groups at the top level").1.to_owned());
    format!("groups:\n{}", groups.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_canary_is_not_kept_waiting() {
    for file in ["alertmanager.yml", "alertmanager-production.yml"] {
        let routes = Routing::parse(&shipped(file)).unwrap().route_for(&canary_labels("run-1"));
        let [route] = routes.as_slice() else { panic!("{file}: {routes:?}") };
        assert_eq!((route.receiver.as_str(), route.group_wait), ("harness", Millis(0)), "{file}");
        assert!(
            route.group_by.contains(&"run_id".to_owned()),
            "{file}: an earlier canary must not hide this one"
        );
    }
}

#[tokio::test]
async fn every_rule_is_understood() {
    let stack = Stack::start(StackConfig {
        rules: &shipped_rules(),
        alertmanager: &shipped("alertmanager.yml"),
        interval: 1000,
        ..StackConfig::default()
    })
    .await;
    let loaded = eventually("rules and a target are there", Duration::from_secs(20), || async {
        let loaded = Loaded::read(&stack.prometheus, &stack.alertmanager).await.ok()?;
        (!loaded.targets.is_empty()).then_some(loaded)
    })
    .await;
    let now = Timestamp::now();
    let mut alerts = 0;
    for (_, rule) in harness_engine::monitor::rules::alerting(&loaded.groups) {
        let inputs = check_inputs(&stack.prometheus, &rule.query, now, now)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", rule.name));
        assert!(inputs.present, "{}: the same time twice: {inputs:?}", rule.name);
        alerts += 1;
    }
    assert!(alerts >= 6, "{alerts}");

    let expected = plan(vec![
        expect(
            "APIServiceDown",
            &[("severity", "critical"), ("namespace", "gallery")],
            AlertState::Pending,
            60_000,
        ),
        expect("APIServiceDown", &[], AlertState::Firing, 60_000),
        delivered("APIServiceDown", "harness", 60_000),
        expect("PostgresExporterHighScrapeLatency", &[("severity", "warning")], AlertState::Resolved, 60_000),
    ]);
    let found = preflight(&expected, &loaded);
    assert_eq!(found.problems, [""; 0]);
    let bounds = bounds(&expected, &loaded);
    assert_eq!(bounds.len(), 4);
    // One second each: scrape interval, scrape, evaluation; then `for` and group wait.
    let worst: Vec<i64> = bounds.iter().map(|bound| bound.worst.0).collect();
    let waits = |name: &str| {
        harness_engine::monitor::rules::alerting(&loaded.groups)
            .find(|(_, rule)| rule.name == name)
            .unwrap()
            .1
            .duration
            .0
    };
    let wait = waits("APIServiceDown");
    assert_eq!(worst, [3000, 3000 + wait, 4000 + wait, 3000]);

    let wrong = [("instance", "127.0.0.1:1")];
    let found = preflight(&plan(vec![expect("APIServiceDown", &wrong, AlertState::Firing, 60_000)]), &loaded);
    assert!(found.problems[0].contains("the rule's alerts have no label \"instance\""), "{found:?}");
    let database: Labels = [("alertname", "PostgresDown"), ("namespace", "gallery")]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into();
    assert_eq!(loaded.routing.route_for(&database)[0].receiver, "harness");
}
