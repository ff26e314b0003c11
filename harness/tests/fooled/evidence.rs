//! Logs that are torn, damaged or cannot be written.

use std::fs;

use crate::{scenarios::portal_lost, support::Stack};

#[test]
fn a_verdict_needs_a_whole_log() {
    let stack = Stack::up();
    let run = stack.run(&portal_lost("1s"));
    run.ended(&stack, 0);
    let dir = run.dir.as_ref().unwrap();
    let path = dir.join("events.ndjson");
    let whole = fs::read(&path).unwrap();

    // Torn in the last line: it did not finish.
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let judged = stack.judge(dir).expect(3);
    assert!(judged.err.contains("the last line of the log is incomplete"), "{judged:?}");
    assert!(judged.out.contains("the run did not finish"), "{judged:?}");

    // A line in the middle is no event.
    let text = String::from_utf8(whole.clone()).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[7] = "{\"seq\":7,";
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let judged = stack.judge(dir).expect(2);
    assert!(judged.err.contains("events.ndjson") && judged.err.contains("line 8"), "{judged:?}");

    // A line is gone.
    lines.remove(7);
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let judged = stack.judge(dir).expect(2);
    assert!(judged.err.contains("events.ndjson") && judged.err.contains("line 8"), "{judged:?}");

    // Nothing is left.
    fs::write(&path, "").unwrap();
    let judged = stack.judge(dir);
    assert_ne!(judged.code, Some(0), "{judged:?}");
    assert_ne!(judged.code, Some(101), "{judged:?}");

    the_disk_is_full(&stack, &whole);
    the_state_directory_cannot_be_written(&stack);
}

/// No file may grow beyond a few blocks, as on a full disk. Before the fault: it is not injected. While it is on: it is undone,
/// and what could not be recorded is no verdict.
fn the_disk_is_full(stack: &Stack, log: &[u8]) {
    let before = stack.world();
    // Half of what such a run records after it has seen its fault: of blocks of 512 bytes.
    let effect = String::from_utf8_lossy(log).find("fault_effect_observed").unwrap();
    let half = u32::try_from((effect + log.len()) / 2 / 512).unwrap();
    for (blocks, injected) in [(8, false), (half, true)] {
        let run = stack.run_with_file_limit(&portal_lost("1s"), blocks);
        assert_eq!(run.ran.code, Some(70), "{run}");
        assert_eq!(run.result["exit_code"], 70, "{run}");
        run.because("events.ndjson could not be written: File too large");
        assert_eq!(run.ran.out.contains("fault portal-lost: "), injected, "{run}");
        assert_eq!(stack.world(), before);
        assert!(stack.ledger().is_none(), "{run}");
    }
}

fn the_state_directory_cannot_be_written(stack: &Stack) {
    let file = stack.place.path().join("file");
    fs::write(&file, "").unwrap();
    let scenario = stack.place.path().join("scenario.toml");
    let state = file.join("state");
    let args = ["--state-dir", state.to_str().unwrap(), "run", scenario.to_str().unwrap()];
    let ran = stack.place.run(&args).expect(2);
    assert!(ran.err.contains("error: can't write") && ran.err.contains("caused by: "), "{ran:?}");
}
