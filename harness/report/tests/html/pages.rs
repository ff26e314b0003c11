//! What the page says, and that nothing gets out of its place.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use harness_event::{Event, EventKind, Verdict};
use harness_report::{HtmlError, HtmlOptions, Link, html};
use sha2::{Digest as _, Sha256};

use crate::{logs, long, markup};

/// Text between two marks.
fn between<'p>(page: &'p str, from: &str, to: &str) -> &'p str {
    let start = page.find(from).unwrap_or_else(|| panic!("no {from}")) + from.len();
    &page[start..start + page[start..].find(to).unwrap()]
}

fn sentence(page: &str) -> &str {
    between(page, "<p class=\"sentence\">", "</p>")
}

#[test]
fn every_kind_of_run_has_a_sound_page() {
    for (name, events) in logs::all() {
        let page = logs::page(&events);
        let elements = markup::read(&page);
        markup::check_references(&page, &elements);
        markup::check_structure(&elements);
        assert!(page.len() < 300_000, "{name}: {} bytes", page.len());
        assert_eq!(page, logs::page(&events), "{name}: the same log, the same page");
    }
}

#[test]
fn the_first_sentence_says_why() {
    let expected = [
        ("passing", "Passed", "All 9 checks passed: everything that the scenario expects was seen."),
        (
            "failing",
            "Failed",
            "Expected: alert/APIServiceDown/firing is seen. Measured: firing only after 12s, 2s too late.",
        ),
        ("inconclusive", "Inconclusive", "remote read answered 503."),
        ("refused", "Refused", "Nothing was touched: no rule is called APIServiceDown."),
        ("not-ready", "Not ready", "not everything was ready: Prometheus: connection refused."),
        ("cancelled", "Aborted", "Cancelled by SIGINT; everything is rolled back."),
        (
            "left-behind",
            "Rollback incomplete",
            "A fault could not be undone: database-down: connection refused.",
        ),
        ("unfinished", "Rollback incomplete", "A fault could not be undone: database-down: not reverted."),
        (
            "game-day",
            "Game day",
            "People injected 1 fault by hand, started 0 loads, saw 0 alerts fire and wrote 1 note.",
        ),
    ];
    let logs = logs::all();
    for (name, word, text) in expected {
        let (_, events) = logs.iter().find(|(known, _)| *known == name).unwrap();
        let page = logs::page(events);
        let title = between(&page, "<h1 ", "</h1>");
        assert!(title.contains(&format!("</span> {word}</span>")), "{name}: {title}: {}", sentence(&page));
        assert!(sentence(&page).contains(text), "{name}: {}", sentence(&page));
    }
}

#[test]
fn a_failure_has_its_evidence() {
    let page = logs::page(&logs::failing());
    let check = between(&page, "id=\"alert/APIServiceDown/firing\"", "</article>");
    for part in [
        "measured 12s, 2s after the deadline of 10s",
        "the configuration allows 5s to 8s: scrape interval 0..1s + for 5s",
        "up{job=&quot;api&quot;} == 0 and on () vector(1) &gt; 0",
        "pending after 1s, firing after 12s, delivered never",
        "<details open><summary>Evidence",
        "line 1 of the scenario",
    ] {
        assert!(check.contains(part), "{part}: {check}");
    }
    assert!(sentence(&page).contains("<a href=\"#alert/APIServiceDown/firing\">Evidence</a>"));
    assert!(between(&page, "id=\"alerts\"", "</section>").contains("DiskFull"));
    let pods = between(&page, "id=\"pods\"", "</section>");
    assert!(
        pods.contains(
            "<div class=\"on\"><span class=\"t\">+6s</span><span class=\"x\">received fast shutdown request"
        ),
        "{pods}"
    );
    assert!(pods.contains("<div><span class=\"t\">+1s</span>"), "before the fault nothing is marked: {pods}");
    assert!(pods.contains("BackOff"));
    let run = between(&page, "id=\"environment\"", "</section>");
    assert!(
        run.contains("harness run scenarios/db-failure.toml")
            && run.contains("harness replay 20261121-100000-abcd")
    );
}

#[test]
fn what_is_left_behind_comes_with_the_command_that_undoes_it() {
    let events = logs::left_behind();
    let options = HtmlOptions { state_dir: Some("/var/lib/my runs".into()), ..HtmlOptions::default() };
    let page = html(&events, &Verdict::of(&events), &options).unwrap();
    let head = between(&page, "id=\"verdict\"", "</section>");
    assert!(head.contains("harness --state-dir &#39;/var/lib/my runs&#39; recover"), "{head}");
    assert!(head.contains("database-down: connection refused"), "{head}");
}

#[test]
fn a_game_day_has_no_expectations_but_faults_and_notes() {
    let page = logs::page(&logs::game_day());
    assert!(!page.contains("id=\"expectations\"") && !page.contains("Nobody can tell"));
    let told = between(&page, "id=\"faults\"", "</section>");
    assert!(told.contains("the pager rang") && told.contains("scales deployment/postgres to 0"), "{told}");
    let run = between(&page, "id=\"environment\"", "</section>");
    assert!(run.contains("harness export-scenario") && !run.contains("harness judge"), "{run}");
}

#[test]
fn the_scenario_is_shown_only_if_it_is_the_one_that_ran() {
    let mut events = logs::passing();
    let text = "title = \"<b>\"\n";
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let options = HtmlOptions { scenario: Some(text.into()), ..HtmlOptions::default() };
    let page = |events: &[Event]| html(events, &Verdict::of(events), &options).unwrap();
    assert!(!page(&events).contains("title = "));
    let EventKind::RunStarted { scenario_sha256, .. } = &mut events[0].kind else {
        unreachable!("a run starts")
    };
    *scenario_sha256 = digest;
    assert!(page(&events).contains("<mark>   1 ▸ title = &quot;&lt;b&gt;&quot;</mark>"));
}

#[test]
fn a_torn_log_says_so_and_none_is_no_page() {
    let events = logs::unfinished();
    let options = HtmlOptions { torn: true, ..HtmlOptions::default() };
    assert!(
        html(&events, &Verdict::of(&events), &options)
            .unwrap()
            .contains("The last line of the log was incomplete")
    );
    assert!(matches!(html(&[], &Verdict::of(&[]), &options), Err(HtmlError::NoStart)));
    let events = &events[1..];
    assert!(matches!(html(events, &Verdict::of(events), &options), Err(HtmlError::NoStart)));
}

#[test]
fn nothing_of_a_log_gets_out_of_its_place() {
    for (name, events) in logs::all() {
        let page = logs::page(&logs::hostile(&events));
        let elements = markup::read(&page);
        assert_eq!(elements.iter().filter(|element| element.name == "script").count(), 1, "{name}");
        assert!(!elements.iter().any(|element| element.name == "img"), "{name}");
        assert!(page.contains("&lt;script&gt;pwned=1"), "{name}: the texts are there");
        assert!(
            page.contains("{{ 7*7 }}{% raw %}") && !page.contains("49{%"),
            "{name}: no text is a template"
        );
        assert!(!page.contains(['\u{202e}', '\u{0}']) && page.contains("⟨U+202E⟩⟨U+0000⟩"), "{name}");
    }
}

#[test]
fn the_policy_names_the_script_and_nothing_else() {
    let page = logs::page(&logs::surge());
    let script = between(&page, "<script>", "</script>");
    let hash = BASE64_STANDARD.encode(Sha256::digest(script));
    let policy = between(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
        )
    );
    assert!(!page.contains("http://www") && !page.contains("//cdn"));
}

#[test]
fn a_long_run_stays_a_small_page() {
    let events = long::long_run(20_000);
    let verdict = Verdict::of(&events);
    let page = html(&events, &verdict, &HtmlOptions::default()).unwrap();
    markup::read(&page);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[test]
fn links_to_dashboards_lead_to_the_web_alone() {
    let events = logs::passing();
    let link = |title: &str, url: &str| Link { title: title.into(), url: url.into() };
    let links =
        vec![link("Overview", "https://grafana.example/d/x?from=1&to=2"), link("Bad", "javascript:pwned=1")];
    let options = HtmlOptions { links, ..HtmlOptions::default() };
    let page = html(&events, &Verdict::of(&events), &options).unwrap();
    assert!(page.contains("href=\"https://grafana.example/d/x?from=1&amp;to=2\">Overview</a>"));
    assert!(!page.contains("javascript:"));
}

#[test]
fn what_nobody_looked_at_is_not_told_as_quiet() {
    let page = logs::page(&logs::refused());
    assert!(page.contains("nobody looked") && !page.contains("never active"));
    assert!(page.contains("did not get so far") && !page.contains("class=\"counts\""));
    let page = logs::page(&logs::inconclusive());
    assert!(page.contains("record of its alerts could not be read: remote read answered 503"));
    assert!(!page.contains("never active"));
    assert!(!page.contains("did not get so far") && page.contains("class=\"counts\""));
}

#[test]
fn evidence_that_several_checks_share_is_shown_once() {
    let page = logs::page(&logs::failing());
    let check = between(&page, "id=\"alert/APIServiceDown/pending\"", "</article>");
    assert!(
        check.contains("are with <a href=\"#alert/APIServiceDown/firing\">alert/APIServiceDown/firing</a>"),
        "{check}"
    );
    assert!(check.contains("Where the time went") && !check.contains("<table>"), "{check}");
    let also = between(&page, "Also not met", "</ul>");
    assert!(also.contains("href=\"#alerts/none-unexpected\"") && also.contains("DiskFull"), "{also}");
}
