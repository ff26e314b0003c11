//! A dashboard that keeps all rules, and what is said when it breaks one.

use serde_json::json;

use super::*;
use crate::stack::Checkout;

fn good() -> Value {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    json!({
        "uid": "good", "title": "Good", "description": "Keeps all rules.", "tags": ["test"], "schemaVersion": 42,
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus", "current": { "value": "default" } },
            { "name": "service", "type": "query", "datasource": source, "multi": true, "includeAll": true,
              "allValue": ".+", "query": { "query": "label_values(up, service)" }, "current": { "value": ["$__all"] } },
        ]},
        "annotations": { "list": [
            { "name": "built in", "datasource": { "type": "grafana", "uid": "-- Grafana --" } },
            { "name": "Alerts", "datasource": source, "target": { "expr": "ALERTS == 1" } },
        ]},
        "panels": [
            { "type": "row", "id": 1, "title": "Row", "gridPos": { "x": 0, "y": 0, "w": 24, "h": 1 } },
            { "type": "stat", "id": 2, "title": "Up", "description": "Whether it is up.", "datasource": source,
              "gridPos": { "x": 0, "y": 1, "w": 12, "h": 4 }, "fieldConfig": { "defaults": { "unit": "short" } },
              "targets": [{ "refId": "A", "expr": "rate(up{service=~\"$service\"}[$__rate_interval])" }] },
        ],
    })
}

/// What is said about this dashboard.
fn said(dashboard: &Value) -> Vec<String> {
    let mut found = Dashboards::default();
    found.add("a.json", &dashboard.to_string());
    found.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_dashboard_that_keeps_the_rules_has_no_problem() {
    assert_eq!(said(&good()), Vec::<String>::new());
}

#[test]
fn every_rule_is_told_when_it_is_broken() {
    let panel = "/panels/1";
    let cases: &[(&str, Value, &str)] = &[
        ("/uid", json!(null), "no uid"),
        ("/uid", json!("a b"), "uid \"a b\""),
        ("/title", json!(" "), "no title"),
        ("/description", json!(null), "dashboard: it has no description"),
        ("/id", json!(7), "it has an id"),
        ("/__inputs", json!([]), "__inputs"),
        ("/tags", json!([]), "no tag"),
        ("/schemaVersion", json!(38), "schemaVersion is 38, the current one is 42"),
        ("/templating/list/0/query", json!("loki"), "not of data sources of type prometheus"),
        ("/templating/list/0/current/value", json!("P1809F7CD0C75ACF3"), "the data source of one Grafana"),
        ("/templating/list/1/allValue", json!(null), "give allValue"),
        ("/templating/list/1/regex", json!("/x/"), "regex"),
        ("/templating/list/1/query", json!(""), "no query"),
        ("/templating/list/1/current", json!({}), "no current value"),
        ("/templating/list/1/name", json!("other"), "$service is used, and there is no such variable"),
        ("/templating/list/1/name", json!("other"), "variable other: nothing uses it"),
        ("/annotations/list/1/datasource", json!({ "type": "prometheus", "uid": "P1" }), "hard-coded"),
        ("/annotations/list/1/target/expr", json!("ALERTS =="), "annotation \"Alerts\": it is no PromQL"),
        ("/panels/1/id", json!(1), "another panel has this id"),
        ("/panels/1/title", json!(""), "no title"),
        ("/panels/1/description", json!(""), "panel \"Up\" (id 2): it has no description"),
        ("/panels/1/fieldConfig/defaults/unit", json!(""), "no unit"),
        ("/panels/1/datasource", json!(null), "the default one of each Grafana"),
        ("/panels/1/datasource", json!("Prometheus"), "not of the form"),
        ("/panels/1/datasource", json!({ "type": "loki", "uid": "$datasource" }), "not prometheus"),
        ("/panels/1/gridPos", json!({ "x": 13, "y": 1, "w": 12, "h": 4 }), "does not fit into 24 columns"),
        (
            "/panels/1/gridPos",
            json!({ "x": 0, "y": 0, "w": 12, "h": 4 }),
            "it lies over panel \"Row\" (id 1)",
        ),
        ("/panels/1/targets", json!([]), "no query"),
        ("/panels/1/targets/0/refId", json!(""), "without refId"),
        ("/panels/1/targets/0/expr", json!(""), "query A is empty"),
        ("/panels/1/targets/0/expr", json!("sum(up{service=~\"$service\"}"), "query A: it is no PromQL"),
        (
            "/panels/1/targets/0/expr",
            json!("up{service=\"$service\"}"),
            "service must be matched by =~ or !~",
        ),
        ("/panels/1/type", json!("row"), "no panel that shows data"),
    ];
    assert!(good().pointer(panel).is_some());
    for (pointer, value, expected) in cases {
        let mut dashboard = good();
        match dashboard.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => {
                let (parent, field) = pointer.rsplit_once('/').unwrap();
                dashboard.pointer_mut(parent).unwrap()[field] = value.clone();
            }
        }
        let said = said(&dashboard);
        assert!(said.iter().any(|one| one.contains(expected)), "{pointer} = {value}: {said:#?}");
    }
}

#[test]
fn uids_and_titles_are_unique_over_all_files() {
    let mut found = Dashboards::default();
    found.add("a.json", &good().to_string());
    found.add("b.json", &good().to_string());
    found.unique();
    let said: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "dashboard: its uid \"good\" is that of a.json, too",
            "dashboard: its title \"Good\" is that of a.json, too"
        ]
    );
}

#[test]
fn what_is_no_dashboard_is_a_problem_of_that_file() {
    let mut found = Dashboards::default();
    found.add("a.json", "{");
    found.add("b.json", "{\"panels\": 1}");
    found.add("c.json", &good().to_string());
    let said: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
    assert!(said[0].starts_with("dashboard: it is no JSON"), "{said:?}");
    assert!(said[1].starts_with("dashboard: it is no dashboard"), "{said:?}");
    assert_eq!((said.len(), found.read.len()), (2, 1));
    assert!(Dashboards::read(&["/nowhere/x.json".into()]).is_err());
}

#[test]
fn the_project_s_dashboards_keep_the_rules() {
    let root = Checkout::around(std::path::Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap().root;
    let found = Dashboards::read(&[root.join("dashboards")]).unwrap();
    assert!(found.read.len() >= 16, "{}", found.read.len());
    let said: Vec<_> = found.problems.iter().map(|one| format!("{}: {one}", one.file)).collect();
    assert_eq!(said, Vec::<String>::new());
}
