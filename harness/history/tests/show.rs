//! Tables on terminals of several widths.
#![allow(missing_docs)]

use harness_event::{Outcome, verdict::testkit};
use harness_history::{Ending, Entry, Run, Sort, Whereabouts, show};
use harness_report::Style;

fn run(id: &str, outcome: Ending) -> Run {
    let place = Whereabouts { id: id.into(), origin: "local".into(), log_bytes: 1, written: false };
    let mut run = Entry::of(&testkit::log(testkit::passing_run()), place).unwrap().run;
    run.outcome = outcome;
    run.title = "The gallery's database fails while users register and log in".into();
    run
}

fn rows() -> Vec<(Run, Option<f64>)> {
    let mut left = run("20261121-100000-efgh", Ending::Interrupted);
    left.left_behind = 1;
    let mut elsewhere = run("20261121-090000-ijkl", Ending::Verdict(Outcome::RollbackIncomplete));
    elsewhere.context = Some("kind-a-cluster-with-a-long-name".into());
    elsewhere.compress = Some(30);
    let mut day = run("20261121-080000-mnop", Ending::Verdict(Outcome::Ended));
    day.mode = "game_day".into();
    let passed = run("20261121-110000-abcd", Ending::Verdict(Outcome::Passed));
    vec![(passed, Some(6000.0)), (left, None), (elsewhere, Some(9e5)), (day, None)]
}

#[test]
fn a_list_fits_its_terminal() {
    let sort = Sort::parse("alert_firing/APIServiceDown");
    let style = Style { color: false, unicode: true };
    for width in [110, 140, 200] {
        let lines = show::runs(&rows(), &sort, Some(width), style);
        insta::assert_snapshot!(format!("list_{width}"), lines.join("\n"));
        assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}");
    }
    // What says which run it is, and how it ended, is never cut.
    for width in [0, 1, 40, 80] {
        let lines = show::runs(&rows(), &Sort::Started, Some(width), style);
        assert!(
            lines[2].starts_with("20261121-100000-efgh") && lines[2].contains("interrupted, faults left")
        );
    }
    assert_eq!(show::runs(&rows(), &sort, None, style)[1].matches("register and log in").count(), 1);
    assert_eq!(show::runs(&[], &sort, Some(80), style).len(), 1);
}

#[test]
fn meaning_is_in_the_words_and_colours_only_add_to_them() {
    let strip = |text: &str| {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain += before;
            rest = after.split_once('m').map_or("", |(_, after)| after);
        }
        plain + rest
    };
    let lines = |color| show::runs(&rows(), &Sort::Started, None, Style { color, unicode: true });
    let coloured = lines(true);
    assert!(
        coloured[1].contains("\u{1b}[32mpassed\u{1b}[0m")
            && coloured[3].contains("\u{1b}[31mrollback incomplete")
    );
    assert_eq!(
        coloured.iter().map(|line| strip(line).trim_end().to_owned()).collect::<Vec<_>>(),
        lines(false)
    );
}

#[test]
fn no_run_commands_the_terminal() {
    let evil = "\u{1b}[2J\u{1b}]8;;http://e.example\u{1b}\\x\u{7}\r\u{9b}31m\u{202e}\n";
    let mut rows = rows();
    for (run, _) in &mut rows {
        run.title = evil.into();
        run.scenario = evil.into();
        run.context = Some(evil.into());
        run.id += evil;
    }
    let style = Style { color: false, unicode: true };
    for line in show::runs(&rows, &Sort::Started, None, style) {
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
}
