//! The tables for people.

use std::fmt::Write as _;

use super::{Key, Need, SCENARIO};

/// The reference of all keys, as Markdown: what `docs/scenario-format.md` holds between its markers.
pub fn reference() -> String {
    let mut out = String::new();
    for table in SCENARIO.walk() {
        let title =
            if table.header.is_empty() { "Top level".to_owned() } else { format!("`{}`", table.header) };
        let doc = table.doc;
        // Writing to a String cannot fail.
        let _ =
            writeln!(out, "### {title}\n\n{doc}\n\n| Key | Type | Default | Meaning |\n|---|---|---|---|");
        for Key { name, kind, need, doc } in table.keys {
            let default = match need {
                Need::Required => "**required**".to_owned(),
                Need::Optional(text) => (*text).to_owned(),
                Need::Default(value) => format!("`{value}`"),
            };
            let _ = writeln!(out, "| `{name}` | {kind} | {default} | {doc} |");
        }
        out.push('\n');
    }
    out
}
