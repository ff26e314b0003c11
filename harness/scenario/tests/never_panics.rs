//! Whatever the bytes: an answer, in bounded time, and never a panic.

use std::time::{Duration, Instant};

use harness_scenario::{Severity, parse};
use proptest::{prelude::*, sample::Index};

const SCENARIOS: [&str; 7] = [
    include_str!("../../../scenarios/db-failure.toml"),
    include_str!("../../../scenarios/pod-kill.toml"),
    include_str!("../../../scenarios/rollout-restart.toml"),
    include_str!("../../../scenarios/image-surge.toml"),
    include_str!("../../../scenarios/slo-fast-burn.toml"),
    include_str!("../../../scenarios/traffic-spike.toml"),
    LOADS,
];

/// What the scenarios of the project do not use.
const LOADS: &str = r#"
title = "x"
namespace = "x"
slos = ["a-b"]
[[load]]
name = "l"
users = 3
order = "weighted"
stages = [{ rate = 0, to = 5.5, for = "1s" }, { rate = 1e3, for = "2s" }, { rate = 1 }]
duration = "1m"
ca_file = "ca.pem"
[[load.setup]]
name = "a"
url = "https://x/${random}"
multipart = [{ name = "a", text = "${user.id}" }, { name = "b", file = "f", filename = "g", content_type = "a/b" }]
extract = { a = { json = "/a~0/0" }, b = { header = "x" }, c = { cookie = "y" } }
[[load.step]]
name = "b"
url = "http://x/${value.a}"
form = { a = "${value.b}", "b c" = "${value.c}" }
weight = 5
[[load.step]]
name = "c"
url = "http://x/"
body = "${user.round}"
[[expect.load]]
load = "l"
step = "b"
requests = ">= 5"
rate = "< 900"
error_ratio = "<= 5%"
p50 = "< 1.5ms"
max = ">= 200us"
[[expect.autoscaler]]
autoscaler = "a.b"
fault = "l"
scales_up = { within = "5s" }
direction_changes = 0
[[expect.slo]]
slo = "a-b"
burn = { window = "3d", below = 1 }
min_requests = 5
"#;

/// Pieces that are likely to hit an edge of the reader.
const PIECES: [&str; 50] = [
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u{feff}",
    "é",
    "𝄞",
    "${",
    "}",
    "-1",
    "0",
    "99999999999999999999",
    "1e400",
    "nan",
    "inf",
    "true",
    "1979-05-27",
    "=~(",
    "!~",
    "service://",
    "24h1ms",
    "[fault]\n",
    "[[expect.alert]]\n",
    "[[load]]\n",
    "[[load.step]]\n",
    "[[load.setup.multipart]]\n",
    "[[load.stages]]\n",
    "rate = 0\n",
    "${value.",
    "${value.a}",
    "{ json = \"/\" }",
    "extract = { a = 5 }\n",
    "background = true\n",
    "users = 1e9\n",
    "\"< 1%\"",
    "\"< 1µs\"",
    "[expect.slo.burn]\n",
];

/// Parses, and checks what must hold for every answer.
fn check(text: &str) {
    let lines = text.matches('\n').count() + 1;
    let problems = match parse("x.toml", text) {
        Ok(scenario) => {
            let plan = &scenario.plan;
            let stimuli: Vec<_> = plan
                .faults
                .iter()
                .map(|fault| &fault.name)
                .chain(plan.loads.iter().filter(|load| !load.is_background()).map(|load| &load.name))
                .collect();
            assert!(!plan.expectations.is_empty());
            assert!(plan.expectations.iter().all(|expectation| stimuli.contains(&&expectation.fault)));
            for load in &plan.loads {
                let ends = load.duration.is_some() || load.requests.is_some();
                assert!(load.is_background() != ends && !load.steps.is_empty() && load.users > 0);
                let (last, before) = load.stages.split_last().unzip();
                assert!(before.unwrap_or_default().iter().all(|stage| stage.length.is_some()));
                assert!(last.is_none_or(|stage| stage.to.is_none() || stage.length.is_some()));
            }
            assert!(scenario.warnings.iter().all(|warning| warning.severity == Severity::Warning));
            assert_eq!(scenario.sha256.len(), 64);
            scenario.warnings
        }
        Err(problems) => {
            assert!(problems.iter().any(|problem| problem.severity == Severity::Error));
            assert!(problems.to_string().lines().count() >= 3);
            problems.iter().cloned().collect()
        }
    };
    for problem in problems {
        assert!((1..=lines).contains(&(problem.line as usize)), "line {} of {lines}", problem.line);
        let width = problem.excerpt.chars().count();
        assert!(problem.marker.0 <= width && problem.marker.1 >= 1, "{problem}");
        assert!(!problem.excerpt.chars().any(|c| c.is_control() && c != '\t'), "{problem}");
    }
}

/// A change of a text at a place.
#[derive(Clone, Debug)]
enum Mutation {
    Delete(Index, usize),
    Insert(Index, String),
    DropLine(Index),
    DoubleLine(Index),
    SwapLines(Index, Index),
    CutOff(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let piece = prop_oneof![prop::sample::select(&PIECES[..]).prop_map(str::to_owned), "\\PC{0,3}"];
    prop_oneof![
        (any::<Index>(), 1..20_usize).prop_map(|(at, count)| Mutation::Delete(at, count)),
        (any::<Index>(), piece).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        any::<Index>().prop_map(Mutation::DropLine),
        any::<Index>().prop_map(Mutation::DoubleLine),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Mutation::SwapLines(one, other)),
        any::<Index>().prop_map(Mutation::CutOff),
    ]
}

fn mutated(text: &str, mutation: &Mutation) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if characters.is_empty() {
        return String::new();
    }
    match mutation {
        Mutation::Delete(at, count) => {
            let start = at.index(characters.len());
            let end = characters.len().min(start + count);
            characters.drain(start..end);
            return characters.into_iter().collect();
        }
        Mutation::Insert(at, piece) => {
            let at = at.index(characters.len());
            characters.splice(at..at, piece.chars());
            return characters.into_iter().collect();
        }
        Mutation::CutOff(at) => return characters[..at.index(characters.len())].iter().collect(),
        Mutation::DropLine(at) => drop(lines.remove(at.index(lines.len()))),
        Mutation::DoubleLine(at) => {
            let at = at.index(lines.len());
            lines.insert(at, lines[at]);
        }
        Mutation::SwapLines(one, other) => {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
        }
    }
    lines.concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_scenarios(which in 0..SCENARIOS.len(), mutations in prop::collection::vec(mutation(), 1..6)) {
        let text = mutations.iter().fold(SCENARIOS[which].to_owned(), |text, mutation| mutated(&text, mutation));
        check(&text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        check(&pieces.concat());
    }

    /// A value that is wrong in one key must not hide what is wrong in the others.
    #[test]
    fn every_wrong_duration_is_reported(texts in prop::collection::vec("[a-z ]{0,6}", 4)) {
        let keys = ["pending_within", "firing_within", "delivered_within", "resolved_within"];
        let lines: String = keys.iter().zip(&texts).map(|(key, text)| format!("{key} = \"{text}\"\n")).collect();
        let problems = parse("x.toml", &format!("[[expect.alert]]\n{lines}")).unwrap_err().to_string();
        for key in keys {
            let expected = format!("error: `{key}`: ");
            prop_assert!(problems.contains(&expected), "{key} is not in\n{problems}");
        }
    }
}

#[test]
fn hostile_depth_and_size() {
    let deep_query = format!("{}1{}", "(".repeat(2000), ")".repeat(2000));
    let minus_query = "-".repeat(4000) + "1";
    let sum_query = "1+".repeat(2000) + "1";
    let power_query = "1^".repeat(2000) + "1";
    let query =
        |query: &str| format!("[[steady_state.promql]]\nname = \"q\"\nis = \"1\"\nquery = '{query}'\n");
    for text in [
        "[".repeat(100_000),
        "{".repeat(100_000),
        "a = ".to_owned() + &"[".repeat(500_000),
        "a.".repeat(300_000) + "b = 1",
        format!("[{}b]", "a.".repeat(300_000)),
        "[a.b.c.d.e.f.g.h.i.j.k.l]\n".to_owned() + &"a = {".repeat(100_000),
        "x = 1\n".repeat(100_000),
        "\n".repeat(1 << 21),
        format!("title = \"{}\"", "é".repeat(500_000)),
        "[[fault]]\n".repeat(50_000),
        "[[load]]\n".repeat(50_000),
        "[[load]]\nname = \"x\"\n".to_owned()
            + &"[[load.step]]\nname = \"s\"\nurl = \"http://x/${value.a}\"\n".repeat(20_000),
        "[[load.step]]\nurl = \"".to_owned() + &"${value.a}".repeat(80_000) + "\"",
        "[[expect.load]]\np99 = \"< 5ms\"\n".repeat(20_000),
        format!("slos = [{}]", "\"a\",".repeat(200_000)),
        format!(
            "[[load]]\n[[load.step]]\nheaders = {{ {} }}",
            (0..80_000).map(|n| format!("a{n}=1,")).collect::<String>()
        ),
        format!(
            "[[load]]\n[[load.step]]\nurl = '{}'\nextract = {{ {} }}",
            (0..40_000).map(|n| format!("${{value.x{n}}}")).collect::<String>(),
            (0..40_000).map(|n| format!("a{n}=1,")).collect::<String>()
        ),
        query(&deep_query),
        query(&minus_query),
        query(&sum_query),
        query(&power_query),
        query(&"{a=~\"(((((((((((((((((((((((((((((((((((x*)*)*)*\"}".repeat(50)),
        "[expect]\nallow_alerts = [{ alert = \"=~((((((((((a{100}){100}){100}){100}){100}))))))\" }]"
            .to_owned(),
    ] {
        let start = Instant::now();
        check(&text);
        let beginning: String = text.chars().take(60).collect();
        assert!(start.elapsed() < Duration::from_secs(10), "{:?} for {beginning:?}", start.elapsed());
    }
}
