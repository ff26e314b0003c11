use harness_event::{Outcome, verdict::testkit};
use proptest::prelude::*;

use super::*;
use crate::run::{Ending, Whereabouts};

/// A run of the scripted failure.
fn entry(id: &str, values: &[(&str, f64)]) -> Entry {
    let place = Whereabouts { id: id.to_owned(), origin: "local".to_owned(), log_bytes: 1, written: false };
    let mut entry = Entry::of(&testkit::log(testkit::passing_run()), place).unwrap();
    entry.measures = values.iter().map(|(name, value)| measure(name, *value)).collect();
    entry
}

fn measure(name: &str, value: f64) -> Measure {
    let better = match name {
        "request_rate" => Better::Higher,
        "replicas_max" => Better::None,
        _ => Better::Lower,
    };
    let (name, subject) = (name.to_owned(), "x".to_owned());
    Measure { name, subject, unit: Unit::Ms, better, value, resolution: 10.0, deadline: None }
}

fn others(name: &str, values: &[f64]) -> Vec<Entry> {
    values.iter().enumerate().map(|(at, value)| entry(&format!("other-{at}"), &[(name, *value)])).collect()
}

fn word(comparison: &Comparison) -> Word {
    comparison.rows[0].word
}

#[test]
fn beyond_the_noise_is_better_or_worse_by_direction() {
    let steady = |name| others(name, &[1000.0, 1010.0, 1020.0, 1030.0, 1040.0]);
    for (name, more, less) in [
        ("alert_firing", Word::Worse, Word::Better),
        ("request_rate", Word::Better, Word::Worse),
        ("replicas_max", Word::Changed, Word::Changed),
    ] {
        let (low, high) = (entry("low", &[(name, 1000.0)]), entry("high", &[(name, 2000.0)]));
        let up = pair(&low, &high, &steady(name), 0.0).unwrap();
        assert_eq!((word(&up), up.rows[0].regression), (more, more == Word::Worse), "{name}");
        let down = pair(&high, &low, &steady(name), 0.0).unwrap();
        assert_eq!((word(&down), down.rows[0].regression), (less, less == Word::Worse), "{name}");
        assert_eq!(word(&last(&high, &steady(name), 0.0)), more, "{name}");
    }
}

#[test]
fn with_too_few_runs_nothing_is_a_regression() {
    let (a, b) = (entry("a", &[("recovery", 1.0)]), entry("b", &[("recovery", 9e9)]));
    for few in 0..FEWEST {
        let others = others("recovery", &vec![1.0; few]);
        for comparison in [pair(&a, &b, &others, 0.0).unwrap(), last(&b, &others, 0.0)] {
            assert!(matches!(word(&comparison), Word::Unjudged | Word::Missing));
            assert_eq!(comparison.regressions(), Vec::<String>::new());
            assert!(too_few(&comparison).unwrap().contains("no measure can be called a regression"));
        }
    }
    let enough = pair(&a, &b, &others("recovery", &[1.0; FEWEST]), 0.0).unwrap();
    assert_eq!((word(&enough), too_few(&enough)), (Word::Worse, None));
}

#[test]
fn runs_that_did_not_pass_say_nothing_of_noise_but_are_regressions_themselves() {
    let mut failed = entry("failed", &[("recovery", 1.0)]);
    failed.run.outcome = Ending::Verdict(Outcome::Failed);
    let mut before = others("recovery", &[1.0, 2.0, 3.0]);
    before.push(failed.clone());
    let comparison = last(&failed, &before, 0.0);
    assert_eq!(comparison.noise_from.len(), 3);
    assert!(
        comparison.warnings.iter().any(|text| text == "1 of the 4 runs before did not pass and do not count")
    );
    assert_eq!(comparison.regressions(), ["run failed ended as failed, and 3 of the runs before passed"]);
    let passed = entry("passed", &[]);
    assert_eq!(pair(&passed, &failed, &[], 0.0).unwrap().regressions().len(), 1);
    assert_eq!(pair(&failed, &passed, &[], 0.0).unwrap().regressions().len(), 0);
    // Nothing to be worse than.
    assert_eq!(last(&failed, &[failed.clone()], 0.0).regressions().len(), 0);
    let mut game_day = failed.clone();
    (game_day.run.mode, game_day.run.outcome) = ("game_day".into(), Ending::Verdict(Outcome::Ended));
    let compared = pair(&passed, &game_day, &[], 0.0).unwrap();
    assert_eq!(compared.regressions().len(), 0);
    assert!(compared.warnings.contains(&"one of the runs is a game day".to_owned()));
    for ending in [Ending::Interrupted, Ending::Verdict(Outcome::Inconclusive), Ending::Running] {
        failed.run.outcome = ending;
        assert_eq!(pair(&passed, &failed, &[], 0.0).unwrap().regressions().len(), 1, "{ending:?}");
    }
}

#[test]
fn a_tolerance_is_a_share_of_what_it_was() {
    // The band is 990 to 1010.
    let before = others("recovery", &[1000.0, 1000.0, 1000.0]);
    let b = entry("b", &[("recovery", 1100.0)]);
    let worse = |tolerance| {
        let comparison = last(&b, &before, tolerance);
        (word(&comparison), comparison.rows[0].regression)
    };
    assert_eq!(worse(0.08), (Word::Worse, true));
    assert_eq!(worse(0.10), (Word::Worse, false));
}

#[test]
fn a_measure_of_one_side_is_missing_and_said() {
    let comparison =
        pair(&entry("a", &[("recovery", 1.0)]), &entry("b", &[("bring_up", 1.0)]), &[], 0.0).unwrap();
    assert!(comparison.rows.iter().all(|row| row.word == Word::Missing && !row.regression));
    assert_eq!(comparison.rows.len(), 2);
}

#[test]
fn what_is_not_alike_is_said_and_different_paces_are_refused() {
    let (a, mut b) = (entry("a", &[]), entry("b", &[]));
    b.run.context = Some("kind-dev".into());
    b.run.sha256 = "ff".into();
    b.run.prometheus = Some("3.0".into());
    let mut one = a.clone();
    one.run.context = Some("embedded".into());
    one.run.prometheus = Some("2.42".into());
    assert_eq!(
        pair(&one, &b, &[], 0.0).unwrap().warnings,
        [
            "scenarios/db-failure.toml has changed between the runs",
            "the runs were made in different clusters: embedded and kind-dev",
            "Prometheus has another version: 2.42 and 3.0",
        ]
    );
    b.run.compress = Some(30);
    let error = pair(&a, &b, &[], 0.0).unwrap_err().to_string();
    assert!(error.contains("real time") && error.contains("×30"), "{error}");
    assert!(!fits(&b.run, &a.run));
    // The embedded cluster has another address every time.
    let mut two = one.clone();
    two.run.server = Some("https://127.9.0.1:1".into());
    assert_eq!(pair(&one, &two, &[], 0.0).unwrap().warnings, Vec::<String>::new());
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.0..1e5f64, 0..12)
}

proptest! {
    #[test]
    fn comparison_is_antisymmetric(one in 0.0..1e5f64, other in 0.0..1e5f64, noise in values(), name in prop::sample::select(vec!["recovery", "request_rate", "replicas_max"])) {
        let (a, b) = (entry("a", &[(name, one)]), entry("b", &[(name, other)]));
        let others = others(name, &noise);
        let there = pair(&a, &b, &others, 0.0).unwrap();
        let back = pair(&b, &a, &others, 0.0).unwrap();
        let (there, back) = (&there.rows[0], &back.rows[0]);
        prop_assert_eq!(there.difference.unwrap(), -back.difference.unwrap());
        prop_assert_eq!(there.band, back.band);
        let opposite = match there.word {
            Word::Worse => Word::Better,
            Word::Better => Word::Worse,
            other => other,
        };
        prop_assert_eq!(back.word, opposite);
    }

    /// Neither itself nor what never changes is a change.
    #[test]
    fn identical_runs_are_noise(value in 0.0..1e5f64, runs in 3..12_usize) {
        let one = entry("one", &[("recovery", value)]);
        let others = others("recovery", &vec![value; runs]);
        for comparison in [pair(&one, &entry("two", &[("recovery", value)]), &others, 0.0).unwrap(), last(&one, &others, 0.0)] {
            prop_assert_eq!(word(&comparison), Word::WithinNoise);
            prop_assert!(comparison.regressions().is_empty());
        }
    }

    /// What was seen before in few runs is no regression now, and more of the same cannot become better.
    #[test]
    fn worse_is_monotonous(noise in prop::collection::vec(0.0..1e5f64, 3..12), value in 0.0..1e5f64, more in 0.0..1e5f64) {
        let before = others("recovery", &noise);
        let rank = |word: Word| match word { Word::Better => 0, Word::WithinNoise => 1, Word::Worse => 2, _ => 9 };
        let at = |value: f64| rank(word(&last(&entry("b", &[("recovery", value)]), &before, 0.0)));
        prop_assert!(at(value) <= at(value + more));
        prop_assert_eq!(at(crate::noise::median(noise.clone())), 1);
        if noise.len() < 8 {
            prop_assert!(noise.iter().all(|value| at(*value) == 1));
        }
    }
}
