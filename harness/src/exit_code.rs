//! Exit codes: part of the interface, shown by `--help` from [`TABLE`].

/// The run passed, or the command did what it was asked to.
pub const PASSED: u8 = 0;
/// At least one expectation was not met.
pub const FAILED: u8 = 1;
/// The command line, the set-up or the scenario is wrong. Nothing was touched.
pub const USAGE: u8 = 2;
/// The run could neither be called passed nor failed: data were missing, or the fault's effect was not seen.
pub const INCONCLUSIVE: u8 = 3;
/// The cluster, Prometheus or Alertmanager could not be reached or never got ready.
pub const UNREACHABLE: u8 = 4;
/// Stopped by a signal or a guard; everything is rolled back.
pub const ABORTED: u8 = 5;
/// A fault could not be taken back completely.
pub const ROLLBACK_INCOMPLETE: u8 = 6;
/// `harness compare --fail-on-regression` found one. No run ends with it.
pub const REGRESSION: u8 = 7;
/// A bug in the harness.
pub const INTERNAL: u8 = 70;

/// Every code with its meaning, in the order in which `--help` shows them.
pub const TABLE: &[(u8, &str)] = &[
    (PASSED, "passed, or a game day has ended; other commands: done"),
    (FAILED, "failed: at least one expectation was not met"),
    (USAGE, "usage, set-up or scenario error: nothing was touched"),
    (INCONCLUSIVE, "inconclusive: no verdict could be trusted; the reason is given"),
    (UNREACHABLE, "the cluster or its monitoring could not be reached or never got ready"),
    (ABORTED, "aborted by a signal or a guard, everything rolled back"),
    (ROLLBACK_INCOMPLETE, "rollback incomplete: what is left and how to recover is said"),
    (REGRESSION, "compare --fail-on-regression: worse than before by more than noise and tolerance"),
    (INTERNAL, "internal error"),
];

/// [`TABLE`] as the section of a help text.
pub fn help() -> String {
    let rows: Vec<String> = TABLE.iter().map(|(code, meaning)| format!("{code:>4}  {meaning}")).collect();
    format!("Exit codes:\n{}", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_sorted() {
        let codes: Vec<u8> = TABLE.iter().map(|(code, _)| *code).collect();
        assert!(codes.is_sorted_by(|one, two| one < two), "{codes:?}");
    }
}
