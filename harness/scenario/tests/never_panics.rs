//! Whatever the bytes: an answer, in bounded time, and never a panic.

use std::time::{Duration, Instant};

use harness_scenario::{Severity, parse};
use proptest::{prelude::*, sample::Index};

const SCENARIOS: [&str; 3] = [
    include_str!("../../../scenarios/db-failure.toml"),
    include_str!("../../../scenarios/pod-kill.toml"),
    include_str!("../../../scenarios/rollout-restart.toml"),
];

/// Pieces that are likely to hit an edge of the reader.
const PIECES: [&str; 36] = [
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
];

/// Parses, and checks what must hold for every answer.
fn check(text: &str) {
    let lines = text.matches('\n').count() + 1;
    let problems = match parse("x.toml", text) {
        Ok(scenario) => {
            assert!(!scenario.plan.faults.is_empty() && !scenario.plan.expectations.is_empty());
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
