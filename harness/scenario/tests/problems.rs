//! Each kind of problem, as people see it.

/// A scenario without problems, small: each test breaks one thing.
const GOOD: &str = r#"title = "Database failure"
namespace = "gallery"

[[steady_state.http]]
name = "portal"
url = "service://gallery/portal:18080/"

[[probe]]
name = "user"
[[probe.setup]]
name = "register"
method = "POST"
url = "service://gallery/portal:18080/api/register"
[[probe.step]]
name = "login"
url = "service://gallery/portal:18080/api/login"

[[fault]]
name = "database-down"
duration = "25s"
scale = { workload = "deployment/postgres", replicas = 0 }

[[expect.alert]]
alert = "APIServiceDown"
firing_within = "12s"

[[expect.http]]
name = "login"
probe = "user"
step = "login"
window = "during"
status = 503

[[expect.promql]]
name = "up"
query = "up"
is = "== 1"
window = "after"
within = "10s"
"#;

fn problems_of(text: &str) -> String {
    match harness_scenario::parse("x.toml", text) {
        Ok(scenario) if scenario.warnings.is_empty() => "no problem".to_owned(),
        Ok(scenario) => scenario.warnings.iter().map(|warning| format!("{warning}\n")).collect(),
        Err(problems) => problems.to_string(),
    }
}

/// Problems of the good scenario with one piece of text replaced.
#[track_caller]
fn broken(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old:?} is not in the good scenario");
    problems_of(&GOOD.replacen(old, new, 1))
}

/// The problems of each case: the good scenario with one piece of text replaced.
#[track_caller]
fn all(cases: &[(&str, &str, &str)]) -> String {
    cases.iter().map(|(name, old, new)| format!("# {name}\n\n{}\n\n", broken(old, new))).collect()
}

#[test]
fn the_good_scenario_is_good() {
    assert_eq!(problems_of(GOOD), "no problem");
}

#[test]
fn syntax() {
    let shown = all(&[
        (
            "syntax errors are all reported",
            "title = \"Database failure\"\nnamespace = \"gallery\"",
            "title = Database failure\nnamespace = \"gallery\ncolour = \"red\"\n",
        ),
        ("a key twice", "namespace = \"gallery\"", "namespace = \"gallery\"\nnamespace = \"b\""),
        ("bare duration", "\"25s\"", "25s"),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn keys() {
    let shown = all(&[
        ("unknown key", "firing_within", "fireing_within"),
        (
            "unknown key of another table",
            "namespace = \"gallery\"",
            "namespace = \"gallery\"\nduration = \"3s\"",
        ),
        ("unknown key of nothing", "namespace = \"gallery\"", "namespace = \"gallery\"\ncolour = \"red\""),
        ("missing key", "duration = \"25s\"\n", ""),
        ("table instead of list", "[[fault]]", "[fault]"),
        ("wrong type", "title = \"Database failure\"", "title = 5"),
        ("number in quotes", "status = 503", "status = \"503\""),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn values() {
    let shown = all(&[
        ("duration without unit", "duration = \"25s\"", "duration = 25"),
        ("bad duration", "duration = \"25s\"", "duration = \"25 seconds\""),
        ("zero duration", "duration = \"25s\"", "duration = \"0s\""),
        ("too long duration", "duration = \"25s\"", "duration = \"25h\""),
        ("too fast probe", "name = \"user\"", "name = \"user\"\nevery = \"10ms\""),
        ("too long timeout", "[[probe.step]]", "[[probe.step]]\ntimeout = \"61s\""),
        ("bad namespace", "namespace = \"gallery\"", "namespace = \"Gallery!\""),
        ("bad name", "name = \"database-down\"", "name = \"database down\""),
        ("url without port", "gallery/portal:18080/\"", "gallery/portal/\""),
        ("url with typo", "service://gallery/portal:18080/\"", "servcie://gallery/portal:18080/\""),
        ("bad method", "\"POST\"", "\"post\""),
        ("bad status", "status = 503", "status = 50"),
        ("bad window", "\"during\"", "\"before\""),
        ("bad workload", "deployment/postgres", "statefulset/postgres"),
        ("workload without kind", "deployment/postgres", "postgres"),
        (
            "bad selector",
            "scale = { workload = \"deployment/postgres\", replicas = 0 }",
            "delete_pods = { selector = \"app=api,tier in cache\", count = 0 }",
        ),
        ("bad promql", "query = \"up\"", "query = \"sum(up\""),
        ("promql of a range", "query = \"up\"", "query = \"up[5m]\""),
        ("bad comparison", "\"== 1\"", "\"=> 1\""),
        ("unknown placeholder", "/api/login\"", "/api/login?u=${run.ids}\""),
        ("placeholder outside of a probe", "portal:18080/\"", "portal:18080/${random}\""),
        (
            "bad matchers",
            "firing_within",
            "labels = { severity = \"=~(\", alertname = \"x\", n = 5, a-b = \"\" }\nfiring_within",
        ),
        (
            "bad headers",
            "[[probe.step]]",
            "[[probe.step]]\nheaders = { \"Content-Length\" = \"5\", \"a b\" = \"x\", Accept = 5, X = \"${y}\" }",
        ),
        (
            "bad json",
            "[[probe.step]]",
            "[[probe.step]]\njson = { a = nan, b = [1979-05-27, \"${run}\"], c = 99999999999999999999 }",
        ),
        ("two bodies", "[[probe.step]]", "[[probe.step]]\njson = 5\nbody = \"x\""),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn references() {
    let shown = all(&[
        (
            "two faults with one name",
            "[[expect.alert]]",
            "[[fault]]\nname = \"database-down\"\nduration = \"1s\"\nrestart = { workload = \"deployment/api\" }\n[[expect.alert]]\nfault = \"database-down\"",
        ),
        (
            "two steps with one name",
            "[[probe.step]]",
            "[[probe.step]]\nname = \"login\"\nurl = \"http://x\"\n[[probe.step]]",
        ),
        (
            "which fault",
            "[[expect.alert]]",
            "[[fault]]\nname = \"second\"\nstart = \"30s\"\nduration = \"1s\"\nrestart = { workload = \"deployment/api\" }\n[[expect.alert]]",
        ),
        (
            "overlapping faults",
            "[[expect.alert]]",
            "[[fault]]\nname = \"second\"\nstart = \"24s\"\nduration = \"1s\"\nrestart = { workload = \"deployment/postgres\" }\n[[expect.alert]]\nfault = \"database-down\"",
        ),
        ("unknown fault", "[[expect.alert]]", "[[expect.alert]]\nfault = \"databse-down\""),
        ("unknown probe", "probe = \"user\"", "probe = \"visitor\""),
        ("unknown step", "step = \"login\"", "step = \"logon\""),
        ("setup step", "step = \"login\"", "step = \"register\""),
        ("fault without action", "scale = { workload = \"deployment/postgres\", replicas = 0 }", ""),
        ("fault with two actions", "scale =", "restart = { workload = \"deployment/api\" }\nscale ="),
        ("alert without deadline", "firing_within = \"12s\"", ""),
        ("delivered to nobody", "firing_within", "delivered_within"),
        ("receiver of nothing", "firing_within", "receiver = \"harness\"\nfiring_within"),
        ("two modes", "within = \"10s\"\n", "within = \"10s\"\nstays = \"5s\"\n"),
        ("no mode", "within = \"10s\"\n", ""),
        (
            "recovery to nothing",
            "[[steady_state.http]]\nname = \"portal\"\nurl = \"service://gallery/portal:18080/\"",
            "[expect]\nrecovery_within = \"5s\"",
        ),
        (
            "allowed alerts",
            "[[expect.alert]]",
            "[expect]\nallow_alerts = [{ severity = \"page\" }, { alert = \"=~(\" }, 5, { alert = \"\" }]\n[[expect.alert]]",
        ),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn timing() {
    let shown = all(&[
        ("deadline after the fault", "firing_within = \"12s\"", "firing_within = \"30s\""),
        (
            "deadlines out of order",
            "firing_within = \"12s\"",
            "pending_within = \"13s\"\nfiring_within = \"12s\"\ndelivered_within = \"11s\"\nreceiver = \"harness\"",
        ),
        (
            "resolved may be later than the fault",
            "firing_within = \"12s\"",
            "firing_within = \"12s\"\nresolved_within = \"60s\"",
        ),
        ("nothing left of the window", "status = 503", "status = 503\nwithin = \"25s\""),
        ("probe too slow for the window", "name = \"user\"", "name = \"user\"\nevery = \"26s\""),
        (
            "stays longer than the fault",
            "window = \"after\"\nwithin = \"10s\"",
            "window = \"during\"\nstays = \"26s\"",
        ),
        (
            "until the end of the fault",
            "window = \"after\"\nwithin = \"10s\"",
            "window = \"during\"\nuntil = \"25s\"",
        ),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn warnings() {
    let shown = all(&[
        (
            "exact value that looks like a pattern",
            "[[expect.alert]]",
            "[expect]\nallow_alerts = [{ alert = \"Gallery.*\" }]\n[[expect.alert]]",
        ),
        (
            "every alert allowed",
            "[[expect.alert]]",
            "[expect]\nallow_alerts = [{ alert = \"=~.*\" }]\n[[expect.alert]]",
        ),
        (
            "no steady state",
            "[[steady_state.http]]\nname = \"portal\"\nurl = \"service://gallery/portal:18080/\"",
            "",
        ),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn missing_parts() {
    let part = |name: &str| GOOD.find(name).unwrap();
    let without_fault = format!("{}{}", &GOOD[..part("[[fault]]")], &GOOD[part("[[expect.alert]]")..]);
    let without_expect = &GOOD[..part("[[expect.alert]]")];
    let cases = [
        ("empty file", String::new()),
        ("no fault", without_fault),
        ("no expect table", without_expect.to_owned()),
        ("no expectation", format!("{without_expect}[expect]\nallow_alerts = []\n")),
    ];
    let all: String =
        cases.iter().map(|(name, text)| format!("# {name}\n\n{}\n\n", problems_of(text))).collect();
    insta::assert_snapshot!(all);
}

#[test]
fn too_many_expectations() {
    let more =
        "[[expect.workload]]\nworkload = \"deployment/api\"\nready = 1\nwithin = \"1s\"\n".repeat(1000);
    assert!(problems_of(&format!("{GOOD}{more}")).contains("a scenario has at most 1000"));
}

#[test]
fn long_lines_tabs_and_control_characters_stay_readable() {
    let long = format!("{GOOD}\t\tx = {{ a = \"{}\", b = 5 }}\t\n", "y".repeat(300));
    let deep = "a = ".to_owned() + &"[".repeat(200);
    let cases = [long, "title = \"\u{1b}[31mred\"\n".to_owned(), "\u{feff}title = \"x\"".to_owned(), deep];
    let shown = cases.map(|text| problems_of(&text)).join("\n\n");
    insta::assert_snapshot!(shown);
}
