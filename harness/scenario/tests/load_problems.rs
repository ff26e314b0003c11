//! Each kind of problem with loads and with what is expected of them, as people see it.

/// A scenario without problems: each test breaks one thing.
const GOOD: &str = r#"title = "Surge"
namespace = "gallery"
compress = 30
slos = ["gallery-requests-availability"]

[[steady_state.http]]
name = "portal"
url = "service://gallery/portal:18080/"

[[load]]
name = "visitors"
background = true
users = 5
warm_up = "1s"

[[load.step]]
name = "page"
url = "service://gallery/portal:18080/"

[[load]]
name = "surge"
duration = "30s"
requests = 100_000
users = 100

[[load.setup]]
name = "upload"
method = "POST"
url = "service://gallery/images:18083/owners/1/images"
file = "picture.png"
status = 201
extract = { picture = { json = "/id" } }

[[load.step]]
name = "get"
url = "service://gallery/images:18083/images/${value.picture}"

[[load.step]]
name = "list"
url = "service://gallery/images:18083/owners/1/images"

[[expect.load]]
load = "surge"
error_ratio = "< 0.01"
p99 = "< 500ms"

[[expect.autoscaler]]
autoscaler = "images"
scales_up = { to = 6, within = "30s" }
scales_down = { to = 2, within = "60s" }
keeps_budget = "images"

[[expect.slo]]
slo = "gallery-requests-latency"
burn = { window = "1h", below = 14.4 }
budget_spent_below = "2%"
"#;

fn problems_of(text: &str) -> String {
    match harness_scenario::parse("x.toml", text) {
        Ok(scenario) if scenario.warnings.is_empty() => "no problem".to_owned(),
        Ok(scenario) => scenario.warnings.iter().map(|warning| format!("{warning}\n")).collect(),
        Err(problems) => problems.to_string(),
    }
}

/// The problems of each case: the good scenario with one piece of text replaced. Every case has one.
#[track_caller]
fn all(cases: &[(&str, &str, &str)]) -> String {
    let one = |(name, old, new): &(&str, &str, &str)| {
        assert!(GOOD.contains(old), "{name}: {old:?} is not in the good scenario");
        let found = problems_of(&GOOD.replacen(old, new, 1));
        assert_ne!(found, "no problem", "{name}");
        format!("# {name}\n\n{found}\n\n")
    };
    cases.iter().map(one).collect()
}

#[test]
fn the_good_scenario_is_good() {
    assert_eq!(problems_of(GOOD), "no problem");
}

#[test]
fn values() {
    let shown = all(&[
        ("no users", "users = 100\n", ""),
        ("too many users", "users = 100\n", "users = 100_000\n"),
        ("background in quotes", "background = true", "background = \"true\""),
        ("rate in quotes", "users = 100\n", "users = 100\nrate = \"200\"\n"),
        ("rate zero", "users = 100\n", "users = 100\nrate = 0\n"),
        ("rate of a compressed run", "compress = 30", "compress = 1"),
        ("half a past", "compress = 30", "history = { length = \"2h\" }"),
        ("a past too short and too slow", "compress = 30", "history = { length = \"5s\", rate = 0 }"),
        ("a past as a text", "compress = 30", "history = \"2h\""),
        ("a mistyped past", "compress = 30", "history = { length = \"2h\", rate = 5, rates = 6 }"),
        ("unknown order", "users = 100\n", "users = 100\norder = \"wieghted\"\n"),
        ("bad think", "name = \"list\"", "name = \"list\"\nthink = { min = \"2s\", max = \"1s\" }"),
        (
            "unknown key of think",
            "name = \"list\"",
            "name = \"list\"\nthink = { min = \"2s\", most = \"1s\" }",
        ),
        ("half a think", "name = \"list\"", "name = \"list\"\nthink = { min = \"2s\" }"),
        ("unknown placeholder", "owners/1/images\"\n\n", "owners/${user.ids}/images\"\n\n"),
        ("placeholder of probes", "owners/1/images\"\n\n", "owners/${probe.round}/images\"\n\n"),
        ("mistyped value", "${value.picture}", "${values.picture}"),
        ("bad value", "${value.picture}", "${value.}"),
        ("scheme", "service://gallery/images:18083/images/", "service:/gallery/images:18083/images/"),
        ("bad pointer", "\"/id\"", "\"id\""),
        ("unknown place", "{ json = \"/id\" }", "{ jsn = \"/id\" }"),
        ("no place", "{ json = \"/id\" }", "\"/id\""),
        ("two places", "{ json = \"/id\" }", "{ json = \"/id\", header = \"x\" }"),
        ("bad header", "{ json = \"/id\" }", "{ header = \"x y\" }"),
        ("bad name of a value", "{ picture =", "{ \"pic ture\" ="),
        ("bad form", "name = \"list\"", "name = \"list\"\nform = { a = 5, b = \"${x}\" }"),
        ("a directory", "\"picture.png\"", "\"pictures/\""),
        (
            "bad media type",
            "file = \"picture.png\"",
            "multipart = [{ name = \"f\", file = \"x.png\", content_type = \"png\" }]",
        ),
        ("latency without unit", "\"< 500ms\"", "\"< 500\""),
        ("latency as a number", "\"< 500ms\"", "500"),
        ("exact latency", "\"< 500ms\"", "\"500ms\""),
        ("bad ratio", "\"< 0.01\"", "\"< one%\""),
        ("bad phase", "p99 =", "phase = \"while\"\np99 ="),
        ("bad autoscaler", "autoscaler = \"images\"", "autoscaler = \"hpa/images\""),
        ("bad slo", "slo = \"gallery-requests-latency\"", "slo = \"gallery/latency\""),
        ("bad slos", "[\"gallery-requests-availability\"]", "[\"a-b\", 5, \"a-b\", \"c d\"]"),
        ("bad window", "window = \"1h\"", "window = \"60\""),
        ("bad share", "\"2%\"", "\"2\""),
        ("share above one", "\"2%\"", "2"),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn ends_and_rates() {
    let shown = all(&[
        ("no end", "duration = \"30s\"\nrequests = 100_000\n", ""),
        ("no end, not in the background", "background = true", "background = false"),
        ("background with an end", "background = true", "background = true\nduration = \"5s\"\nrequests = 5"),
        ("background with a start", "background = true", "background = true\nstart = \"5s\""),
        ("ends too late", "duration = \"30s\"", "start = \"23h\"\nduration = \"2h\""),
        ("rate and stages", "users = 100\n", "users = 100\nrate = 5\nstages = [{ rate = 5 }]\n"),
        ("no stages", "users = 100\n", "users = 100\nstages = []\n"),
        (
            "endless stage in the middle",
            "users = 100\n",
            "users = 100\nstages = [{ rate = 5 }, { rate = 7 }]\n",
        ),
        ("ramp without time", "users = 100\n", "users = 100\nstages = [{ rate = 5, to = 10 }]\n"),
        (
            "nothing but zero",
            "users = 100\n",
            "users = 100\nstages = [{ rate = 0, for = \"5s\" }, { rate = 0, to = 0, for = \"25s\" }]\n",
        ),
        ("stages are shorter", "users = 100\n", "users = 100\nstages = [{ rate = 500, for = \"29s\" }]\n"),
        (
            "last stage too late",
            "users = 100\n",
            "users = 100\nstages = [{ rate = 500, for = \"30s\" }, { rate = 5 }]\n",
        ),
        (
            "stages in the background end",
            "background = true",
            "background = true\nstages = [{ rate = 5, for = \"5s\" }]",
        ),
        ("key of nothing", "users = 100\n", "users = 100\nsteps = 1\n"),
        ("all warm-up", "duration = \"30s\"", "duration = \"30s\"\nwarm_up = \"30s\""),
        ("slow ramp", "duration = \"30s\"", "duration = \"30s\"\nramp = \"30s\""),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn steps() {
    let shown = all(&[
        ("no step", "[[load.step]]\nname = \"page\"\nurl = \"service://gallery/portal:18080/\"\n", ""),
        ("two steps with one name", "name = \"list\"", "name = \"get\""),
        ("weight in a sequence", "name = \"list\"", "name = \"list\"\nweight = 5"),
        ("weight of a setup step", "name = \"upload\"", "name = \"upload\"\nweight = 5"),
        (
            "think with a rate",
            "name = \"list\"",
            "name = \"list\"\nthink = \"1s\"\n[[load]]\nname = \"o\"\nusers = 1\nrate = 1\nduration = \"5s\"\n[[load.step]]\nname = \"x\"\nthink = \"1s\"",
        ),
        ("two bodies", "file = \"picture.png\"", "file = \"picture.png\"\njson = 5\nbody = \"x\""),
        (
            "parts",
            "file = \"picture.png\"",
            "headers = { content-type = \"multipart/form-data\" }\nmultipart = [{ name = \"a\" }, { name = \"b\", text = \"x\", file = \"y\" }, { text = \"${x}\" }]",
        ),
        ("no parts", "file = \"picture.png\"", "multipart = []"),
        ("value that nobody extracts", "${value.picture}", "${value.pictrue}"),
        ("value far from any", "${value.picture}", "${value.xyz}"),
        (
            "value of a later step",
            "owners/1/images\"\n\n[[expect",
            "owners/1/images\"\nextract = { n = { json = \"/n\" } }\n[[load.step]]\nname = \"more\"\nurl = \"http://x/${value.m}/${value.n}\"\nextract = { m = { json = \"\" } }\n\n[[expect",
        ),
        (
            "value of another step in weighted order",
            "users = 100\n",
            "users = 100\norder = \"weighted\"\n[[load.step]]\nname = \"token\"\nurl = \"http://x\"\nextract = { token = { header = \"x-token\" } }\n[[load.step]]\nname = \"use\"\nurl = \"http://x\"\nheaders = { Authorization = \"Bearer ${value.token}\" }\n",
        ),
        ("authority without https", "users = 100\n", "users = 100\nca_file = \"ca.pem\"\n"),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn references() {
    let shown = all(&[
        ("two loads with one name", "name = \"surge\"", "name = \"visitors\""),
        (
            "a fault with a load's name",
            "[[expect.load]]",
            "[[fault]]\nname = \"surge\"\nduration = \"1s\"\nrestart = { workload = \"deployment/api\" }\n[[expect.load]]",
        ),
        (
            "which one",
            "[[expect.load]]",
            "[[fault]]\nname = \"rollout\"\nduration = \"1s\"\nrestart = { workload = \"deployment/api\" }\n[[expect.load]]",
        ),
        (
            "clock of the background",
            "autoscaler = \"images\"",
            "autoscaler = \"images\"\nfault = \"visitors\"",
        ),
        ("clock of nothing", "autoscaler = \"images\"", "autoscaler = \"images\"\nload = \"surg\""),
        (
            "two clocks",
            "autoscaler = \"images\"",
            "autoscaler = \"images\"\nload = \"surge\"\nfault = \"surge\"",
        ),
        ("unknown load", "load = \"surge\"", "load = \"serge\""),
        ("unknown step", "load = \"surge\"", "load = \"surge\"\nstep = \"got\""),
        ("setup step", "load = \"surge\"", "load = \"surge\"\nstep = \"upload\""),
        (
            "load is a fault",
            "[[expect.load]]\nload = \"surge\"",
            "[[fault]]\nname = \"rollout\"\nduration = \"1s\"\nrestart = { workload = \"deployment/api\" }\n[[expect.load]]\nload = \"rollout\"",
        ),
        ("nothing expected of the load", "error_ratio = \"< 0.01\"\np99 = \"< 500ms\"\n", ""),
        (
            "nothing expected of the SLO",
            "burn = { window = \"1h\", below = 14.4 }\nbudget_spent_below = \"2%\"\n",
            "",
        ),
        (
            "nothing expected of the autoscaler",
            "scales_up = { to = 6, within = \"30s\" }\nscales_down = { to = 2, within = \"60s\" }\nkeeps_budget = \"images\"\n",
            "",
        ),
        ("no deadline", "to = 6, within = \"30s\"", "to = 6"),
        (
            "the same twice",
            "[[expect.autoscaler]]",
            "[[expect.load]]\nload = \"surge\"\np99 = \"< 500ms\"\n[[expect.autoscaler]]",
        ),
    ]);
    insta::assert_snapshot!(shown);
}

#[test]
fn what_cannot_be_or_always_is() {
    let shown = all(&[
        ("latency below zero", "\"< 500ms\"", "\"<= 0ms\""),
        ("latency of at least nothing", "\"< 500ms\"", "\">= 0s\""),
        ("ratio above one", "\"< 0.01\"", "\"< 5\""),
        ("ratio of more than all", "\"< 0.01\"", "\"> 100%\""),
        ("ratio below zero", "\"< 0.01\"", "\"< 0%\""),
        ("more than are sent", "p99 =", "requests = \"> 100000\"\np99 ="),
        ("any number", "p99 =", "requests = \">= 0\"\np99 ="),
        (
            "faster than offered",
            "users = 100\n\n[[load.setup]]\nname = \"upload\"",
            "users = 100\nrate = 200\n[[expect.load]]\nload = \"surge\"\nrate = \">= 201\"\nrequests = \">= 6002\"\n[[load.setup]]\nname = \"upload\"",
        ),
        ("before the surge", "p99 =", "phase = \"before\"\np99 ="),
        ("after the surge", "p99 =", "phase = \"after\"\np99 ="),
        ("no warm-up", "p99 =", "phase = \"warm_up\"\np99 ="),
        ("too few for the quantile", "requests = 100_000", "requests = 999"),
        ("too few of a step", "error_ratio = \"< 0.01\"", "step = \"get\"\nerror_ratio = \"< 0.001%\""),
        ("scaled after the end", "within = \"30s\"", "within = \"31s\""),
        ("down is up", "to = 2,", "to = 6,"),
    ]);
    insta::assert_snapshot!(shown);
}

/// A surge alone needs no fault; a background load alone is nothing that happens.
#[test]
fn something_happens() {
    let surge = GOOD.find("[[load]]\nname = \"surge\"").unwrap();
    let expect = GOOD.find("[[expect.load]]").unwrap();
    let background = format!("{}[expect]\nrecovery_within = \"5s\"\n", &GOOD[..surge]);
    let none = format!("{}[expect]\nrecovery_within = \"5s\"\n", &GOOD[..GOOD.find("[[load]]").unwrap()]);
    let empty = format!("load = []\nfault = []\n{none}");
    let alone = format!("{}[expect]\nrecovery_within = \"5s\"\n", &GOOD[..expect]);
    assert_eq!(problems_of(&alone), "no problem");
    insta::assert_snapshot!([background, none, empty].map(|text| problems_of(&text)).join("\n\n"));
}
