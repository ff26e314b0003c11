//! `docs/cli.md`: the commands in it are those of `--help`. `UPDATE_DOCS=1` writes them anew.

use std::fs;

use super::common::Place;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
const BEGIN: &str = "<!-- commands: made by UPDATE_DOCS=1 cargo test -p harness --test cli docs -->\n";
const END: &str = "<!-- end of commands -->\n";

/// Names below `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.trim().is_empty());
    // A description that is wrapped goes on further to the right.
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn help(place: &Place, path: &[String]) -> String {
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    place.run(&args).expect(0).out
}

/// The text without what is the same for all.
fn own(help: &str) -> String {
    let mut sections = Vec::new();
    for section in help.split("\n\n") {
        let last = sections.len().saturating_sub(1);
        // Options are paragraphs below a heading that ends with a colon.
        if section.starts_with(' ') && !sections.is_empty() {
            let joined = format!("{}\n\n{section}", sections[last]);
            sections[last] = joined;
        } else {
            sections.push(section.to_owned());
        }
    }
    sections.retain(|section| !section.starts_with("Global options:") && !section.starts_with("Exit codes:"));
    let text = sections.join("\n\n");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn add(place: &Place, path: &[String], text: &mut String) {
    let help = help(place, path);
    let section = format!("\n### harness {}\n\n```text\n{}\n```\n", path.join(" "), own(&help));
    text.push_str(&section);
    for name in commands(&help) {
        add(place, &[path, &[name]].concat(), text);
    }
}

#[test]
fn the_commands_in_the_docs_are_those_of_the_program() {
    let place = Place::new();
    let mut text = String::new();
    for name in commands(&place.run(&["--help"]).expect(0).out) {
        add(&place, &[name], &mut text);
    }
    assert!(text.contains("### harness slo rules") && text.contains("### harness report"), "{text}");
    let file = fs::read_to_string(FILE).unwrap();
    let (before, rest) = file.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{text}\n{END}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(FILE, &wanted).unwrap();
        return;
    }
    assert!(file == wanted, "docs/cli.md is not up to date: run this test with UPDATE_DOCS=1");
}
