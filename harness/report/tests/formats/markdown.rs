use harness_event::{Event, EventKind, Expectation, Outcome, Verdict, verdict::testkit};
use harness_report::{Dashboard, MARKDOWN_LIMIT, MarkdownOptions, dashboard_links, markdown};
use pulldown_cmark::{Event as Md, Options, Parser, Tag, TagEnd};

use super::runs;

fn of(events: &[Event]) -> String {
    markdown(events, &Verdict::of(events), &MarkdownOptions::default())
}

fn with_links(events: &[Event]) -> String {
    let dashboards = [Dashboard { uid: "sre-run".into(), title: "A run".into() }];
    let links = dashboard_links("http://grafana.example:3000/g/", &dashboards, events);
    markdown(events, &Verdict::of(events), &MarkdownOptions { links })
}

#[test]
fn a_run_that_failed() {
    insta::assert_snapshot!(of(&runs::failing()));
}

#[test]
fn a_surge() {
    insta::assert_snapshot!(with_links(&runs::surging()));
}

#[test]
fn a_game_day() {
    let (_, events) = runs::every_outcome().pop().unwrap();
    insta::assert_snapshot!(of(&events));
}

#[test]
fn the_verdict_and_why_come_first() {
    for (outcome, events) in runs::every_outcome() {
        let text = of(&events);
        let first = text.lines().next().unwrap();
        assert!(first.contains(&outcome.to_string().to_uppercase()), "{text}");
        let why = text.lines().nth(2).unwrap();
        assert!(why.starts_with("**") && why.ends_with(".**"), "{text}");
        for reason in Verdict::of(&events).reasons {
            let words =
                reason.split(|c: char| !c.is_alphanumeric()).find(|word| word.len() > 4).unwrap_or("");
            assert!(text.contains(words), "{reason}: {text}");
        }
        assert!(text.contains("### Again"), "{text}");
        // Of what was stopped half-way, nothing is listed that was never looked at.
        let stopped = matches!(
            outcome,
            Outcome::Refused | Outcome::NotReady | Outcome::Aborted | Outcome::InternalError
        );
        assert_eq!(text.contains("expectations were not judged"), stopped, "{text}");
        assert_eq!(text.contains("### Expectations"), !stopped && outcome != Outcome::Ended, "{text}");
    }
}

/// What a Markdown reader makes of it.
#[derive(Debug, Default, PartialEq)]
struct Shape {
    headings: Vec<String>,
    /// Cells of each row of each table.
    tables: Vec<Vec<usize>>,
    links: Vec<String>,
    html: Vec<String>,
    images: usize,
    code_blocks: usize,
    /// Texts that are no code, apart.
    prose: String,
}

fn shape(text: &str) -> Shape {
    let mut shape = Shape::default();
    let (mut heading, mut in_block) = (None, false);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    for event in Parser::new_ext(text, options) {
        match event {
            Md::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Md::End(TagEnd::Heading(_)) => shape.headings.extend(heading.take()),
            Md::Start(Tag::Table(_)) => shape.tables.push(Vec::new()),
            Md::Start(Tag::TableHead | Tag::TableRow) => shape.tables.last_mut().unwrap().push(0),
            Md::Start(Tag::TableCell) => *shape.tables.last_mut().unwrap().last_mut().unwrap() += 1,
            Md::Start(Tag::Link { dest_url, .. }) => shape.links.push(dest_url.to_string()),
            Md::Start(Tag::Image { .. }) => shape.images += 1,
            Md::Start(Tag::CodeBlock(_)) => (shape.code_blocks, in_block) = (shape.code_blocks + 1, true),
            Md::Html(text) | Md::InlineHtml(text) => {
                shape.prose += "\n";
                shape.html.push(text.to_string());
            }
            Md::End(TagEnd::CodeBlock) => in_block = false,
            Md::Text(text) if !in_block => {
                shape.prose += &text;
                if let Some(heading) = &mut heading {
                    *heading += &text;
                }
            }
            Md::Code(text) => {
                if let Some(heading) = &mut heading {
                    *heading += &text;
                }
            }
            _ => {}
        }
    }
    shape
}

#[test]
fn nothing_in_a_log_becomes_markup() {
    for evil in runs::EVIL {
        let events = runs::hostile(evil);
        let text = with_links(&events);
        let shape = shape(&text);
        assert!(shape.html.iter().all(|html| html == "<!-- -->"), "{evil:?}: {:?}\n{text}", shape.html);
        assert_eq!((shape.images, shape.code_blocks), (0, 1), "{evil:?}: {text}");
        assert_eq!(shape.links.len(), 1, "{evil:?}: {text}");
        assert!(shape.links[0].starts_with("http://grafana.example:3000/g/d/sre-run?from="), "{text}");
        assert!(
            shape.headings.iter().skip(1).all(|heading| heading.len() < 70),
            "{evil:?}: {:?}",
            shape.headings
        );
        for table in &shape.tables {
            assert!(table.iter().all(|cells| *cells == table[0]), "{evil:?}: {table:?}\n{text}");
        }
        // A row that breaks ends its table, and what follows is a paragraph of pipes.
        let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| --- |");
        let rows = text.lines().filter(is_row).count();
        assert_eq!(rows, shape.tables.iter().map(Vec::len).sum::<usize>(), "{evil:?}: {text}");
        assert!(!shape.prose.contains("@everyone"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn it_is_never_longer_than_a_page_of_ci_takes() {
    let long = "x|`*_@".repeat(2000);
    let kinds = testkit::passing_run().into_iter().flat_map(|kind| match kind {
        EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, mode, mut plan } => {
            let one = plan.expectations[0].clone();
            let many = |number: usize| Expectation {
                id: format!("{number}/{long}"),
                title: long.clone(),
                ..one.clone()
            };
            plan.expectations.extend((0..500).map(many));
            plan.title = long.clone();
            vec![EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, mode, plan }]
        }
        EventKind::Note { .. } => vec![EventKind::NoteWritten { text: long.clone() }; 500],
        kind => vec![kind],
    });
    let events = runs::recorded(kinds.collect());
    let text = of(&events);
    assert!(text.len() <= MARKDOWN_LIMIT, "{}", text.len());
    assert!(text.len() > MARKDOWN_LIMIT / 2, "{}", text.len());
    assert!(text.contains("are not shown here; `result.json` has them"), "{text}");
    assert!(text.contains("### Again") && text.contains("### Faults"), "{text}");
    let shape = shape(&text);
    assert_eq!(shape.code_blocks, 1);
}
