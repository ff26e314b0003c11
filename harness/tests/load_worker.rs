//! `harness load-worker` is the load worker, before anything else is set up.

use std::{
    io::Write,
    process::{Command, Stdio},
};

#[test]
fn the_hidden_command_speaks_the_protocol_and_nothing_else() -> anyhow::Result<()> {
    let mut worker = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args([harness::LOAD_WORKER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = worker.stdin.take().expect("it is piped");
    input.write_all(b"{\"protocol\":0}\n")?;
    let output = worker.wait_with_output()?;
    drop(input);
    let lines: Vec<serde_json::Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0]["message"], "hello");
    assert_eq!(lines[1]["message"], "failed");
    assert!(lines[1]["error"].as_str().is_some_and(|error| error.contains("version 0")), "{lines:?}");
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}
