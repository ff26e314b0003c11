//! Compressed rules through the real promtool: with compressed input, alerts come and go at compressed times.
//!
//! Needs promtool on the PATH or in the tools cache (`make tools`); without it these tests fail and say so.
#![allow(missing_docs)]

mod tools;

use std::fs;

use harness_slo::compress::{Length, Ratio, Report, RuleFile, Sampling, scale_rules};

/// A page alert on the error budget of 99.9 %, as Sloth makes it, with everything else that has a duration.
const RULES: &str = r#"groups:
- name: slo
  rules:
  - record: slo:sli_error:ratio_rate5m
    expr: sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))
    labels: {sloth_window: 5m}
  - record: slo:sli_error:ratio_rate1h
    expr: sum(rate(errors_total[1h])) / sum(rate(requests_total[1h]))
    labels: {sloth_window: 1h}
  - alert: Burn
    expr: |
      max(slo:sli_error:ratio_rate5m > (14.4 * 0.001)) without (sloth_window)
      and
      max(slo:sli_error:ratio_rate1h > (14.4 * 0.001)) without (sloth_window)
    labels: {severity: page}
  - alert: Held
    expr: gauge > 0
    for: 10m
    keep_firing_for: 5m
  - alert: Earlier
    expr: gauge offset 20m > 0
  - alert: Peak
    expr: max_over_time((gauge > bool 0)[30m:1m]) > 0
"#;

fn promtool(args: &[&str]) -> (bool, String) {
    let output = tools::command("promtool").args(args).output().expect("promtool can be started");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Seconds of production as a time of the compressed test.
fn at(seconds: u64, factor: u64) -> String {
    Length::from_millis(seconds * 1000 / factor).to_string()
}

/// A test file: 10 requests a second, from 65 minutes on 5 % of them errors; a gauge that is 1 from minute 30 to 45. Each `(time,
/// alert, fires)` is checked.
fn test_file(rules: &str, factor: u64, checks: &[(u64, &str, bool)]) -> String {
    let expected = |alert: &str, fires: bool| match (fires, alert) {
        (false, _) => "[]".to_owned(),
        (true, "Burn") => "[{exp_labels: {severity: page}}]".to_owned(),
        (true, _) => "[{exp_labels: {}}]".to_owned(),
    };
    let checks: Vec<String> = checks
        .iter()
        .map(|(time, alert, fires)| {
            let time = at(*time, factor);
            format!(
                "  - {{eval_time: {time}, alertname: {alert}, exp_alerts: {}}}\n",
                expected(alert, *fires)
            )
        })
        .collect();
    // Rates stay the same in real seconds: what comes together between two samples shrinks with the interval.
    let (per_sample, errors) = (300.0 / factor as f64, 15.0 / factor as f64);
    format!(
        "rule_files: [{rules}]\nevaluation_interval: {interval}\ntests:\n- interval: {interval}\n  input_series:\n  \
         - {{series: requests_total, values: '0+{per_sample}x300'}}\n  \
         - {{series: errors_total, values: '0x129 0+{errors}x170'}}\n  \
         - {{series: gauge, values: '0x59 1x29 0x210'}}\n  alert_rule_test:\n{}",
        checks.concat(),
        interval = at(30, factor),
    )
}

/// From an error ratio of 5 % on at 65 min, a burn rate of 14.4 over an hour takes 14.4 * 0.001 * 3600 s / 0.05 = 1037 s.
const ONSET: u64 = 65 * 60;
const CHECKS: &[(u64, &str, bool)] = &[
    (ONSET + 1020, "Burn", false),
    (ONSET + 1080, "Burn", true),
    // The gauge is up from minute 30 to the sample before minute 45.
    (30 * 60 + 570, "Held", false),
    (30 * 60 + 600, "Held", true),
    (45 * 60 + 270, "Held", true),
    (45 * 60 + 330, "Held", false),
    (30 * 60 + 1170, "Earlier", false),
    (30 * 60 + 1200, "Earlier", true),
    (30 * 60 - 30, "Peak", false),
    (30 * 60, "Peak", true),
    (44 * 60 + 29 * 60, "Peak", true),
    (44 * 60 + 32 * 60, "Peak", false),
];

#[test]
fn alerts_come_and_go_at_compressed_times() {
    for factor in [1, 5, 30, 60] {
        let dir = tempfile::tempdir().unwrap();
        let mut file = RuleFile::parse("rules.yml", RULES).unwrap();
        let mut report = Report::default();
        let scrape = Length::from_millis(30_000).scaled(Ratio::divide_by(factor));
        let sampling = Sampling { scrape, evaluation: scrape };
        scale_rules(&mut [&mut file], Ratio::divide_by(factor), sampling, &mut report);
        assert_eq!(report, Report::default());
        fs::write(dir.path().join("rules.yml"), file.to_yaml("rules.yml").unwrap()).unwrap();
        let test = dir.path().join("test.yml");
        fs::write(&test, test_file("rules.yml", u64::from(factor), CHECKS)).unwrap();
        let (passed, text) = promtool(&["test", "rules", test.to_str().unwrap()]);
        assert!(passed, "x{factor}: {text}");

        // The test can fail: rules that were not compressed do not come in time.
        if factor > 1 {
            fs::write(dir.path().join("rules.yml"), RULES).unwrap();
            let (passed, text) = promtool(&["test", "rules", test.to_str().unwrap()]);
            assert!(!passed, "x{factor}: {text}");
        }
    }
}

/// What is written is what Prometheus reads, whatever strings a rule has.
#[test]
fn prometheus_reads_what_is_written() {
    let rules = r##"groups:
- name: "yes"
  interval: 1m
  rules:
  - alert: A
    expr: "sum by (a) (rate(x{a=\"#[5m]\", b='its'}[5m])) > 0 # why"
    for: 1h
    labels: {on: "off", number: "012", time: "12:30", empty: "", tilde: "~"}
    annotations:
      colon: "a: b"
      lines: "one\n  two\n\n"
      long: "a text that is far longer than eighty characters, so that a writer may want to fold it, with {{ $value }} in it"
      unicode: "größer ✓"
      trailing: "ends with a space "
"##;
    let mut file = RuleFile::parse("rules.yml", rules).unwrap();
    let mut report = Report::default();
    scale_rules(&mut [&mut file], Ratio::divide_by(30), Sampling::default(), &mut report);
    assert_eq!(report, Report::default());
    let written = file.to_yaml("rules.yml").unwrap();
    assert_eq!(RuleFile::parse("rules.yml", &written).unwrap(), file);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rules.yml"), &written).unwrap();
    let test = dir.path().join("test.yml");
    let group = &file.groups[0].rules[0];
    let tests = serde_json::json!({ "rule_files": ["rules.yml"], "evaluation_interval": "2s", "tests": [{
        "interval": "2s", "input_series": [{ "series": "x{a=\"#[5m]\", b=\"its\"}", "values": "0+1x100" }],
        "alert_rule_test": [{ "eval_time": "140s", "alertname": "A", "exp_alerts": [{
            "exp_labels": { "a": "#[5m]", "on": "off", "number": "012", "time": "12:30", "tilde": "~" },
            "exp_annotations": group.annotations.iter().map(|(key, text)| (key.clone(), text.replace("{{ $value }}", "0.5"))).collect::<std::collections::BTreeMap<_, _>>(),
        }] }] }] });
    fs::write(&test, tests.to_string()).unwrap();
    let (passed, text) = promtool(&["test", "rules", test.to_str().unwrap()]);
    assert!(passed, "{text}\n{written}");
}
