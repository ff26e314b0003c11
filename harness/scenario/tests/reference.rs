//! `docs/scenario-format.md` says what the reader does.

use std::{collections::BTreeSet, fs, path::PathBuf};

use harness_scenario::schema;

const BEGIN: &str = "<!-- keys: begin (written by the tests of harness-scenario with UPDATE_DOCS=1) -->\n";
const END: &str = "<!-- keys: end -->";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenario-format.md")
}

#[test]
fn the_table_of_keys_is_that_of_the_reader() {
    let document = fs::read_to_string(path()).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the begin marker");
    let (shown, after) = rest.split_once(END).expect("the end marker");
    let expected = schema::reference();
    if shown != expected && std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(), format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert!(
        shown == expected,
        "docs/scenario-format.md is out of date: run UPDATE_DOCS=1 cargo test -p harness-scenario"
    );
}

/// The TOML blocks of the document, in order.
fn blocks(document: &str) -> Vec<String> {
    let parts = document.split("```toml\n").skip(1);
    parts.filter_map(|part| part.split_once("```")).map(|(block, _)| block.to_owned()).collect()
}

#[test]
fn the_complete_example_is_a_scenario_without_a_warning_and_shows_every_key() {
    let document = fs::read_to_string(path()).unwrap();
    let example = blocks(&document).into_iter().max_by_key(String::len).expect("an example");
    let scenario =
        harness_scenario::parse("example.toml", &example).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(scenario.warnings, []);

    let words: BTreeSet<&str> = example
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    for table in schema::SCENARIO.walk() {
        for key in table.keys {
            assert!(
                words.contains(key.name),
                "the example does not show `{}` of {}",
                key.name,
                table.label()
            );
        }
    }
}

#[test]
fn every_default_is_a_value_that_the_reader_takes() {
    // What a default stands for must be what the same text means in a file.
    let minimal = r#"
title = "x"
namespace = "x"
[steady_state]
[[steady_state.http]]
name = "a"
url = "http://a"
[[probe]]
name = "p"
[[probe.step]]
name = "s"
url = "http://a"
[[fault]]
name = "f"
duration = "60s"
restart = { workload = "deployment/x" }
[[load]]
name = "l"
users = 2
duration = "10s"
[[load.step]]
name = "s"
url = "http://a"
[[expect.http]]
name = "h"
probe = "p"
step = "s"
fault = "f"
window = "during"
status = 200
[[expect.load]]
load = "l"
requests = "> 0"
[[expect.slo]]
slo = "a-b"
budget_spent_below = "1%"
"#;
    let implicit =
        harness_scenario::parse("x.toml", minimal).unwrap_or_else(|problems| panic!("{problems}")).plan;
    let mut explicit = minimal.to_owned();
    let mut seen = 0;
    for table in schema::SCENARIO.walk() {
        let defaults: String = table
            .keys
            .iter()
            .filter_map(|key| match key.need {
                schema::Need::Default(value) => Some(format!("{} = {value}\n", key.name)),
                _ => None,
            })
            .collect();
        if defaults.is_empty() {
            continue;
        }
        seen += 1;
        let header = format!("{}\n", table.header);
        explicit = match explicit.contains(&header) {
            true => explicit.replacen(&header, &format!("{header}{defaults}"), 1),
            // Optional tables that the minimal scenario does not have.
            false if table.header == "[monitoring]" => format!("{explicit}{header}{defaults}"),
            false if ["[[probe.setup]]", "[[load.setup]]"].contains(&table.header) => explicit,
            false => panic!("{} has defaults that are not tested", table.header),
        };
    }
    assert!(seen >= 10, "{seen}");
    let explicit =
        harness_scenario::parse("x.toml", &explicit).unwrap_or_else(|problems| panic!("{problems}")).plan;
    let without_lines = |mut plan: harness_event::Plan| {
        plan.expectations.iter_mut().for_each(|expectation| expectation.line = 0);
        plan
    };
    assert_eq!(without_lines(implicit), without_lines(explicit));
}
