//! The catalogue of faults, and forms that are checked as files are.

use std::collections::BTreeMap;

use harness_event::{FaultAction, Millis, WorkloadRef};
use harness_scenario::{
    catalogue::{self, Choice},
    schema,
};
use proptest::prelude::*;

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_kind_of_the_format_can_be_injected() {
    let kinds: Vec<_> = catalogue::kinds().iter().map(|kind| kind.kind).collect();
    let tables = schema::FAULT.keys.iter().filter(|key| matches!(key.kind, schema::Kind::Table(_)));
    assert_eq!(kinds, tables.map(|key| key.name).collect::<Vec<_>>());
    assert!(kinds.len() >= 3);
}

#[test]
fn a_form_asks_first_for_what_it_needs() {
    let scale = catalogue::kinds().into_iter().find(|kind| kind.kind == "scale").unwrap();
    let fields: Vec<_> = scale
        .fields
        .iter()
        .map(|field| (field.key.as_str(), field.required, field.preset.as_str(), field.choice))
        .collect();
    assert_eq!(
        fields,
        [
            ("workload", true, "", Choice::Workloads),
            ("replicas", true, "", Choice::Typed),
            ("duration", true, "30s", Choice::Typed),
            ("effect_within", false, "10s", Choice::Typed),
            ("name", false, "", Choice::Typed),
        ]
    );
    let delete = catalogue::kinds().into_iter().find(|kind| kind.kind == "delete_pods").unwrap();
    assert_eq!(delete.fields[0].choice, Choice::Selectors);
}

#[test]
fn a_filled_in_form_is_a_fault() {
    let form = values(&[
        ("workload", "deployment/postgres"),
        ("replicas", " 0 "),
        ("duration", "10s"),
        ("name", ""),
    ]);
    let fault = catalogue::fault("scale", &form).unwrap();
    assert_eq!(fault.name, "scale-postgres");
    assert_eq!(
        (fault.start, fault.duration, fault.effect_within),
        (Millis(0), Millis(10_000), Millis(10_000))
    );
    let workload = WorkloadRef { kind: "Deployment".into(), name: "postgres".into() };
    assert_eq!(fault.action, FaultAction::Scale { workload, replicas: 0 });
    let form = values(&[("selector", "app.kubernetes.io/name=api"), ("duration", "5s"), ("count", "1")]);
    let fault = catalogue::fault("delete_pods", &form).unwrap();
    assert_eq!(fault.name, "delete_pods-api".replace('_', "-"));
    let wanted = FaultAction::DeletePods {
        selector: "app.kubernetes.io/name=api".into(),
        count: Some(1),
        grace_period_seconds: None,
    };
    assert_eq!(fault.action, wanted);
}

#[test]
fn problems_are_those_of_a_file() {
    let problems =
        |kind: &str, pairs: &[(&str, &str)]| catalogue::fault(kind, &values(pairs)).unwrap_err().join("; ");
    let found = problems("scale", &[("workload", "postgres"), ("replicas", "none"), ("duration", "10")]);
    for part in ["did you mean \"deployment/postgres\"?", "expected an integer", "duration"] {
        assert!(found.contains(part), "{found}");
    }
    let found = problems("scale", &[]);
    for part in ["workload", "replicas", "duration"] {
        assert!(found.contains(part), "{found}");
    }
    let found = problems("restart", &[("workload", "deployment/api"), ("duration", "5s"), ("replicas", "1")]);
    assert!(found.contains("unknown key \"replicas\""), "{found}");
    assert!(problems("scales", &[]).contains("did you mean \"scale\"?"));
}

proptest! {
    /// What is typed stays a value: it never becomes structure of the file.
    #[test]
    fn nothing_that_is_typed_breaks_out_of_its_value(key in "[a-z_.]{1,12}", value in any::<String>()) {
        let mut form = values(&[("workload", "deployment/postgres"), ("replicas", "0"), ("duration", "10s")]);
        form.insert(key, value.clone());
        form.insert("name".to_owned(), value);
        if let Ok(fault) = catalogue::fault("scale", &form) {
            prop_assert!(fault.name.len() <= 63);
        }
    }

    #[test]
    fn a_name_is_always_one(value in any::<String>()) {
        let form = values(&[("workload", &value), ("selector", &value), ("replicas", "0"), ("duration", "10s")]);
        for kind in catalogue::kinds() {
            let name = catalogue::default_name(kind.kind, &form);
            let mut named = values(&[("workload", "deployment/a"), ("replicas", "0"), ("duration", "10s"), ("name", &name)]);
            named.insert("workload".to_owned(), "deployment/a".to_owned());
            prop_assert!(catalogue::fault("scale", &named).is_ok(), "{name}");
        }
    }
}
