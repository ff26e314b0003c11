//! Every file in `scenarios/` is a scenario.

use std::path::Path;

#[test]
fn every_scenario_of_the_project_parses_without_a_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let scenario = harness_scenario::parse(&name, &text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(scenario.warnings, [], "{name}");
        assert!(!scenario.plan.expectations.is_empty(), "{name}");
        seen += 1;
    }
    assert!(seen >= 3, "{seen} scenarios in {}", folder.display());
}
