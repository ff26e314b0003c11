//! `docs/terminal-view.md` says what the table of keys says, and shows what is drawn.

use std::{fs, path::PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares what stands between two markers, or writes it with `UPDATE_DOCS=1`.
fn is_up_to_date(part: &str, expected: &str) {
    let path = root().join("docs/terminal-view.md");
    let begin = format!("<!-- {part}: begin (written by the tests of harness-tui with UPDATE_DOCS=1) -->\n");
    let end = format!("<!-- {part}: end -->");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("no begin marker of {part}"));
    let (shown, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no end marker of {part}"));
    if shown != expected && std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
        return;
    }
    assert!(
        shown == expected,
        "docs/terminal-view.md is out of date ({part}): run UPDATE_DOCS=1 cargo test -p harness-tui --test document"
    );
}

/// The text of a snapshot.
fn snapshot(name: &str) -> String {
    let directory = "src/view/overview/snapshots/harness_tui__view__overview__tests__";
    let path = format!("{}/{directory}{name}.snap", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap();
    let shown = text.splitn(3, "---\n").nth(2).unwrap().trim_end();
    format!("\n```text\n{shown}\n```\n\n")
}

#[test]
fn the_document_shows_the_keys_and_the_screens() {
    // One test: they write the same file.
    is_up_to_date("keys", &format!("\n{}\n", harness_tui::keys::markdown()));
    is_up_to_date("overview", &snapshot("fault_120x40"));
    is_up_to_date("small", &snapshot("fault_80x24"));
    is_up_to_date("ascii", &snapshot("recovery_ascii_120x40"));
}
