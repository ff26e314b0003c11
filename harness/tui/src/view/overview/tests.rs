//! The overview at the sizes that matter, in the states that matter.

use crate::testkit::{app, script, text};

#[test]
fn look() {
    for (w, h) in [(120, 40), (80, 24), (200, 50), (60, 15)] {
        for at in [8_000, 33_000, 48_000] {
            println!("{}\n{}", "=".repeat(w as usize), text(&mut app(script::until(at)), w, h));
        }
    }
}
