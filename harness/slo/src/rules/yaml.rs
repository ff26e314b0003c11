//! Writes rule files. By hand, because generated files are compared byte by byte: their layout must not follow a library's.

use super::{Group, Rule, RuleKind};

pub(super) fn write(header: &str, groups: &[Group]) -> String {
    let mut lines: Vec<String> =
        header.lines().map(|line| format!("# {line}").trim_end().to_owned()).collect();
    lines.push("groups:".to_owned());
    for group in groups {
        lines.push(format!("  - name: {}", scalar(&group.name)));
        if let Some(interval) = group.interval {
            lines.push(format!("    interval: {interval}"));
        }
        lines.push("    rules:".to_owned());
        for rule in &group.rules {
            write_rule(rule, &mut lines);
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn write_rule(rule: &Rule, lines: &mut Vec<String>) {
    let kind = match rule.kind {
        RuleKind::Record => "record",
        RuleKind::Alert => "alert",
    };
    lines.push(format!("      - {kind}: {}", scalar(&rule.name)));
    match block(&rule.expr) {
        Some((indicator, body)) => {
            lines.push(format!("        expr: {indicator}"));
            lines.extend(body.map(
                |line| {
                    if line.is_empty() { String::new() } else { format!("          {line}") }
                },
            ));
        }
        None => lines.push(format!("        expr: {}", scalar(&rule.expr))),
    }
    for (key, table) in [("labels", &rule.labels), ("annotations", &rule.annotations)] {
        if !table.is_empty() {
            lines.push(format!("        {key}:"));
            lines.extend(table.iter().map(|(name, value)| format!("          {name}: {}", scalar(value))));
        }
    }
}

/// A text of several lines as a literal block: its indicator and its lines. None where a block could not hold it as it is.
fn block(text: &str) -> Option<(&'static str, std::str::Lines<'_>)> {
    let body = text.trim_end_matches('\n');
    let fits = body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && body.chars().all(|c| c == '\n' || c == '\t' || (!c.is_control() && c != '\u{feff}'))
        // Such a line would be trimmed by editors, and by `lines` above.
        && body.lines().all(|line| line.trim_end() == line)
        && text.len() <= body.len() + 1;
    let indicator = if text.len() == body.len() { "|-" } else { "|" };
    fits.then(|| (indicator, body.lines()))
}

/// A text on one line: bare where no reader could take it for anything else.
fn scalar(text: &str) -> String {
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:".contains(c))
        && !text.ends_with(':')
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if bare {
        text.to_owned()
    } else {
        // JSON is YAML; serde_json can't fail on a string.
        serde_json::to_string(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn file(expr: &str, value: &str) -> Vec<Group> {
        vec![Group {
            name: "one".to_owned(),
            interval: Some("5s".parse().unwrap()),
            rules: vec![Rule {
                kind: RuleKind::Alert,
                name: "A".to_owned(),
                expr: expr.to_owned(),
                labels: BTreeMap::from([("a".to_owned(), value.to_owned())]),
                annotations: BTreeMap::new(),
            }],
        }]
    }

    fn read_back(yaml: &str) -> (String, String) {
        let value: serde_json::Value =
            serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        let rule = &value["groups"][0]["rules"][0];
        let text =
            |at: &serde_json::Value| at.as_str().unwrap_or_else(|| panic!("{at} in {yaml}")).to_owned();
        (text(&rule["expr"]), text(&rule["labels"]["a"]))
    }

    #[test]
    fn layout() {
        insta::assert_snapshot!(write("Made.\n\nDo not edit.", &file("a\n/\nb\n", "1")));
    }

    #[test]
    fn awkward_texts_survive() {
        for text in [
            "1",
            "yes",
            "a: b",
            "#x",
            "it's \"so\"",
            "a\nb",
            "a\nb\n",
            "a\nb\n\n",
            " a\nb",
            "a \nb",
            "a\n\nb",
            "é",
            "",
            "{{ $labels.x }}",
        ] {
            let yaml = write("", &file(text, text));
            assert_eq!(read_back(&yaml), (text.to_owned(), text.to_owned()), "{yaml}");
        }
    }

    proptest! {
        #[test]
        fn every_text_survives(expr in "[ -~\n\té]{0,40}", value in "[ -~\né]{0,20}") {
            let yaml = write("", &file(&expr, &value));
            prop_assert_eq!(read_back(&yaml), (expr, value));
        }
    }
}
