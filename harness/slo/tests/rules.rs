//! From specification files to rule files.
#![allow(missing_docs)]

use std::{fs, path::Path};

use harness_slo::{
    rules::{FileProblem, Options, Source, make},
    windows::Windows,
};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn texts(problems: &[FileProblem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn spec(objective: &str) -> String {
    format!(
        "version: prometheus/v1\nservice: web\nslos:\n- name: up\n  objective: {objective}\n  sli: {{ raw: {{ \
         error_ratio_query: 'x[{{{{.window}}}}]' }} }}\n  alerting: {{ name: WebUp }}\n"
    )
}

fn make_one(text: &str, options: &Options) -> Result<String, Vec<String>> {
    match make(&[Source { name: "x.yml", text }], "", options) {
        Ok(made) => Ok(texts(&made.warnings).join("\n")),
        Err(problems) => Err(texts(&problems)),
    }
}

#[test]
fn the_rules_of_a_specification() {
    let text = read("tests/specs/two-services.yml");
    let made = make(&[Source { name: "two-services.yml", text: &text }], "Header.", &Options::default());
    let made = made.map_err(|problems| texts(&problems)).expect("valid");
    assert_eq!(made.slos, ["shop-web-availability", "shop-web-freshness", "shop-mail-delivery"]);
    assert_eq!(made.warnings, []);
    insta::assert_snapshot!(made.yaml);
}

#[test]
fn every_problem_of_a_file_at_once() {
    let text = read("tests/specs/wrong.yml");
    let problems = make(&[Source { name: "wrong.yml", text: &text }], "", &Options::default()).unwrap_err();
    insta::assert_snapshot!(texts(&problems).join("\n"));
}

#[test]
fn other_files_are_told_apart() {
    for (text, reason) in [
        ("", "x.yml:1:1: error: the file is empty"),
        ("---\n---\n", "x.yml:1:1: error: the file is empty"),
        ("- a\n", "x.yml:1:1: error: the specification must be a table, not a list"),
        ("a: [1\n", "error: no valid YAML: "),
        (
            "version: prometheus/v2\nslos: []\n",
            "x.yml:1:10: error: version \"prometheus/v2\" is not supported",
        ),
        (
            "apiVersion: sloth.slok.dev/v1\nkind: PrometheusServiceLevel\n",
            "x.yml:1:1: error: apiVersion \"sloth.slok.dev/v1\" is not supported",
        ),
        ("apiVersion: openslo/v1alpha\nkind: SLO\n", "apiVersion \"openslo/v1alpha\" is not supported"),
        ("service: x\n", "the specification has no version"),
        ("version: prometheus/v1\nservice: web\n", "the specification has no slos"),
        ("version: prometheus/v1\nservice: web\nslos: []\n", "x.yml:3:7: error: slos is empty"),
    ] {
        let problems = make_one(text, &Options::default()).expect_err(text);
        assert!(problems[0].contains(reason), "{text}: {problems:?}");
    }
}

#[test]
fn an_slo_is_known_once_in_all_files() {
    let text = spec("99");
    let sources = [Source { name: "a.yml", text: &text }, Source { name: "b.yml", text: &text }];
    let problems = make(&sources, "", &Options::default()).unwrap_err();
    assert_eq!(texts(&problems), ["b.yml:4:1: error: the SLO \"web-up\" is here twice: first in a.yml"]);
}

#[test]
fn alerts_that_can_never_fire_are_refused_by_name() {
    // 14.4 times 6.9 % is an error ratio of 0.9936, 14.4 times 7 % is more than all requests.
    assert_eq!(make_one(&spec("93.1"), &Options::default()), Ok(String::new()));
    let problems = make_one(&spec("93"), &Options::default()).unwrap_err();
    assert_eq!(
        problems,
        [
            "x.yml:5:14: error: the page alert \"WebUp\" of web-up can't fire by its windows 5m/1h: that takes an error ratio above \
          1.008 (14.4 times the error budget of 7 %), and none is above 1\nhint: disable the page alert, or give its windows a \
          smaller errorBudgetPercent or a longer long window"
        ]
    );
    assert_eq!(make_one(&spec("50"), &Options::default()).unwrap_err().len(), 3);
    // On demand it is a warning.
    let allowed = Options { allow_unreachable: true, ..Options::default() };
    let warning = make_one(&spec("93"), &allowed).unwrap();
    assert!(warning.starts_with("x.yml:5:14: warning: the page alert"), "{warning}");
    // Four weeks have other factors.
    let windows = Windows::for_period("28d".parse().unwrap()).unwrap();
    assert_eq!(make_one(&spec("93"), &Options { windows, ..Options::default() }), Ok(String::new()));
}

#[test]
fn the_projects_own_rules_are_up_to_date() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../alerts/slo");
    let mut names: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yml"))
        .collect();
    names.sort();
    let texts: Vec<String> = names.iter().map(|name| read(&format!("../../alerts/slo/{name}"))).collect();
    let sources: Vec<Source<'_>> =
        names.iter().zip(&texts).map(|(name, text)| Source { name, text }).collect();
    let found = read("../../alerts/rules/slo.yml");
    let header = found.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a header");
    let made = make(&sources, header, &Options::default())
        .map_err(|problems| self::texts(&problems))
        .expect("valid");
    assert!(made.yaml == found, "alerts/rules/slo.yml is stale: run `make slo`");
    assert!(names.iter().all(|name| header.contains(name.as_str())), "{header}");
}
