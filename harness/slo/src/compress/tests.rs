use serde_json::{Value, json};

use super::*;

const BY_30: Ratio = Ratio::divide_by(30);
const SAMPLED: Sampling =
    Sampling { scrape: Some(Length::from_millis(1000)), evaluation: Some(Length::from_millis(1000)) };

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("test data")
}

fn rules(text: &str) -> (RuleFile, Report) {
    let mut file = RuleFile::parse("rules.yml", text).expect("test data");
    let mut report = Report::default();
    scale_rules(&mut [&mut file], BY_30, SAMPLED, &mut report);
    (file, report)
}

/// Reasons why the thresholds of one expression do not scale.
fn unscaled(expr: &str) -> Vec<String> {
    let rule = json!({ "groups": [{ "name": "g", "rules": [{ "alert": "A", "expr": expr }] }] });
    let (_, report) = rules(&rule.to_string());
    assert_eq!(report.problems, Vec::<String>::new(), "{expr}");
    report.unscaled
}

#[test]
fn every_duration_of_a_rule_file_is_scaled() {
    let (file, report) = rules(
        "groups:\n- name: g\n  interval: 1m\n  query_offset: 30s\n  limit: 10\n  rules:\n  \
         - record: a:ratio_rate5m\n    expr: rate(a[5m])\n    labels: {sloth_window: 5m}\n  \
         - alert: A\n    expr: |\n      # why\n      a:ratio_rate5m > 0.1\n    for: 15m\n    keep_firing_for: 1h\n    \
         labels: {severity: page, level: \"on\"}\n    annotations: {summary: \"for 15m: {{ $value }}\"}\n",
    );
    assert_eq!(report, Report::default());
    let expected = "groups:\n- name: g\n  interval: 2s\n  query_offset: 1s\n  limit: 10\n  rules:\n  \
         - record: a:ratio_rate5m\n    expr: rate(a[10s])\n    labels:\n      sloth_window: 5m\n  \
         - alert: A\n    expr: |\n      # why\n      a:ratio_rate5m > 0.1\n    for: 30s\n    keep_firing_for: 2m\n    \
         labels:\n      level: \"on\"\n      severity: page\n    annotations:\n      summary: \"for 15m: {{ $value }}\"\n";
    // Layout is the writer's business; what is read back is not.
    let written = file.to_yaml("rules.yml").unwrap();
    assert_eq!(yaml(&written), yaml(expected), "{written}");
}

#[test]
fn groups_are_not_evaluated_more_often_than_there_are_samples() {
    let text =
        "groups: [{name: a, interval: 5s}, {name: b, interval: 1s}, {name: c, interval: 1m}, {name: d}]";
    let (file, report) = rules(text);
    let intervals: Vec<_> = file.groups.iter().map(|group| group.interval.map(Length::millis)).collect();
    assert_eq!(intervals, [Some(1000), Some(1000), Some(2000), None]);
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.warnings[0].starts_with("rules: 2 groups have an interval of their own"), "{report:?}");
    // Without knowing how often there are samples, too often is an error.
    let mut report = Report::default();
    scale_rules(&mut [&mut RuleFile::parse("x", text).unwrap()], BY_30, Sampling::default(), &mut report);
    assert_eq!(report.problems, ["group b: evaluating every 33ms is too often, 100ms is the limit"]);
}

#[test]
fn a_field_that_is_not_known_is_refused() {
    let error =
        RuleFile::parse("x.yml", "groups: [{name: g, rules: [{alert: A, expr: up, fore: 5m}]}]").unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(error.to_string().contains("x.yml") && cause.contains("fore"), "{error}: {cause}");
}

#[test]
fn thresholds_that_depend_on_the_length_of_time_are_found() {
    let cases = [
        ("increase(x[1h]) > 10", "increase() > 10"),
        ("10 < sum by (a) (increase(x[1h]))", "increase() < 10"),
        ("delta(x[1h]) > 10", "delta()"),
        ("changes(process_start_time_seconds[10m]) >= 2", "changes() >= 2"),
        ("resets(x[1h]) > 3", "resets()"),
        ("increase(x[1h]) - 100 > 0", "increase() - 100"),
        ("sum(increase(x[1h])) / 3600 > 1", "increase() > 1"),
        ("increase(x[1h]) > limit", "a value that does not change with the range"),
        ("count_over_time(x[1h]) > 10", "a number of samples"),
        ("sum_over_time(up[1h]) < 5", "a number of samples"),
        ("time() - x > 300", "real seconds"),
        ("(x_expiry - time()) < 86400", "real seconds"),
        ("time() - timestamp(x) > 60", "real seconds"),
        ("time() - 3600 > x", "real seconds"),
        ("predict_linear(x[1h], 4 * 3600) < 0", "predict_linear() looks 14400 real seconds ahead"),
        ("predict_linear(x[1h], scalar(y)) < 0", "predict_linear() looks ahead by a value"),
        ("up == 0 and on () hour() > 8", "hour() follows the clock on the wall"),
        ("vector(time()) % 86400 < 3600", "the time of day"),
        ("up and increase(x[1h]) > 10", "increase() > 10"),
        ("max_over_time(increase(x[1h])[1d:1m]) > 5", "increase() > 5"),
        ("label_replace(increase(x[1h]), \"a\", \"b\", \"c\", \"d\") > 5", "increase() > 5"),
    ];
    for (expr, reason) in cases {
        let found = unscaled(expr);
        assert!(found.iter().any(|one| one.contains(reason)), "{expr}: {found:?}");
        assert!(found.iter().all(|one| one.starts_with("alert A (group g): ")), "{found:?}");
    }
}

#[test]
fn thresholds_that_scale_are_not_reported() {
    for expr in [
        "rate(x[5m]) > 5",
        "irate(x[5m]) > 5",
        "deriv(x[5m]) > 5",
        "increase(x[1h]) > 0",
        "changes(x[1h]) == 0",
        "increase(a[1h]) / increase(b[1h]) > 0.1",
        "sum_over_time(a[1h]) / count_over_time(a[1h]) > 0.1",
        "increase(a[1h]) > increase(b[1h])",
        "increase(a[1h]) > 2 * increase(b[1h])",
        "histogram_quantile(0.99, sum by (le) (increase(x_bucket[5m]))) > 0.5",
        "count(increase(x[1h]) > 0) > 3",
        "(increase(x[1h]) > bool 0) == 1",
        "avg_over_time(up[1h]) < 0.5",
        "max_over_time(x[1h]) > 5 and x offset 1h > 5",
        "absent_over_time(x[1h]) == 1",
        "up == 0",
        "time() > x_deadline_seconds",
        "x - x offset 1h > 5 * 2",
        "increase(x[1h])",
        "vector(1) > 0.5",
    ] {
        assert_eq!(unscaled(expr), Vec::<String>::new(), "{expr}");
    }
}

#[test]
fn what_a_rule_records_is_known_where_it_is_used() {
    let (_, report) = rules(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: x:sum > 5\n  - record: x:sum\n    expr: sum(x:increase1h)\n  \
         - record: x:increase1h\n    expr: increase(x[1h])\n  - alert: B\n    expr: x:ratio > 5\n  \
         - record: x:ratio\n    expr: x:increase1h / x:sum\n",
    );
    let [only] = report.unscaled.as_slice() else { panic!("{:?}", report.unscaled) };
    assert!(only.starts_with("alert A (group g): x:sum > 5: "), "{only}");
}

#[test]
fn ranges_that_would_hold_too_few_samples_are_refused_or_doubted() {
    let report = |expr: &str| {
        let rule = json!({ "groups": [{ "name": "g", "rules": [
            { "record": "r", "expr": "rate(x[5m])" }, { "alert": "A", "expr": expr }] }] });
        rules(&rule.to_string()).1
    };
    let refused = report("rate(x[30s]) > 0");
    assert_eq!(
        refused.problems,
        [
            "alert A (group g): rate() over 1s needs 2 samples, and a scrape every 1s gives 1: it can never fire"
        ]
    );
    assert!(refused.clone().checked().is_err());
    assert_eq!(report("rate(x[1m]) > 0").warnings.len(), 1);
    assert_eq!(report("rate(x[2m]) > 0"), Report::default());
    assert_eq!(report("max_over_time(x[15s]) > 0").problems.len(), 1);
    assert_eq!(report("max_over_time(x[30s]) > 0"), Report::default());
    assert_eq!(report("delta(r[30s]) > 0").problems.len(), 1);
    assert!(report("delta(r[30s]) > 0").problems[0].contains("an evaluation every 1s"));
    assert_eq!(report("max_over_time(rate(x[5m])[10m:20m]) > 0").problems.len(), 1);
    assert_eq!(report("max_over_time(rate(x[5m])[10m:1m]) > 0"), Report::default());
    let short = report("rate(x[5m] offset 10ms) > 0");
    assert_eq!(short.problems, ["alert A (group g): 10ms becomes less than a millisecond"]);
}

#[test]
fn prometheus_configuration_is_scaled_with_its_defaults() {
    let mut config = yaml(
        "global: {scrape_interval: 30s, scrape_timeout: 10s, rule_query_offset: 1m}\nremote_write: [{url: http://x, remote_timeout: 30s}]\n\
         scrape_configs:\n- job_name: a\n  scrape_interval: 15s\n  http_sd_configs: [{url: http://x, refresh_interval: 1m}]\n  relabel_configs:\n  \
         - {source_labels: [x], regex: (.+), target_label: __scrape_interval__}\n  - {target_label: __scrape_timeout__, replacement: 3s}\n- job_name: b\n",
    );
    let mut report = Report::default();
    let sampling = scale_prometheus(&mut config, BY_30, 30, "prometheus.yml", &mut report);
    assert_eq!(report, Report::default());
    let expected = yaml(
        "global: {scrape_interval: 1s, scrape_timeout: 333ms, rule_query_offset: 2s, evaluation_interval: 2s}\nremote_write: [{url: http://x, remote_timeout: 30s}]\n\
         scrape_configs:\n- job_name: a\n  scrape_interval: 500ms\n  http_sd_configs: [{url: http://x, refresh_interval: 1m}]\n  relabel_configs:\n  \
         - {source_labels: [x], regex: (.+), target_label: __scrape_interval__}\n  - {target_label: __scrape_timeout__, replacement: 100ms}\n- job_name: b\n",
    );
    assert_eq!(config, expected);
    assert_eq!(sampling.scrape, Some(Length::from_millis(500)));
    assert_eq!(sampling.evaluation, Some(Length::from_millis(2000)));
}

#[test]
fn scraping_too_often_and_nonsense_are_refused() {
    for (text, problem) in [
        ("global: {scrape_interval: 1s}", "p: scraping every 33ms is too often, 100ms is the limit"),
        ("global: {evaluation_interval: 1s}", "p: evaluating every 33ms is too often, 100ms is the limit"),
        ("global: {scrape_interval: often}", "p: scrape_interval: \"often\" is not a duration"),
    ] {
        let mut report = Report::default();
        scale_prometheus(&mut yaml(text), BY_30, 30, "p", &mut report);
        assert_eq!(report.problems, [problem]);
    }
}

#[test]
fn alertmanager_routes_are_scaled_with_the_defaults_of_the_root() {
    let mut config = yaml(
        "route:\n  receiver: a\n  group_wait: 1m\n  routes:\n  - receiver: a\n    group_wait: 0s\n    group_interval: 10m\n    routes: [{repeat_interval: 12h}]\n\
         receivers: [{name: a}]\ntime_intervals: [{name: night}]\n",
    );
    let mut report = Report::default();
    scale_alertmanager(&mut config, BY_30, 30, "alertmanager.yml", &mut report);
    let expected = yaml(
        "global: {resolve_timeout: 10s}\nroute:\n  receiver: a\n  group_wait: 2s\n  group_interval: 10s\n  repeat_interval: 8m\n  routes:\n  \
         - receiver: a\n    group_wait: 0s\n    group_interval: 20s\n    routes: [{repeat_interval: 24m}]\n\
         receivers: [{name: a}]\ntime_intervals: [{name: night}]\n",
    );
    assert_eq!(config, expected);
    assert_eq!(report.unscaled, ["alertmanager.yml: time interval night follows the clock on the wall"]);
    let mut tiny = yaml("route: {group_wait: 10ms}\nreceivers: []\n");
    let mut report = Report::default();
    scale_alertmanager(&mut tiny, BY_30, 30, "a", &mut report);
    assert_eq!(report.problems, ["a, group_wait: 10ms becomes less than a millisecond"]);
}

/// A monitoring system: fast files of scale 30, production rules beside them.
fn system() -> Vec<Value> {
    let map = |name: &str, scale: Option<&str>, data: Value| {
        let mut object =
            json!({ "kind": "ConfigMap", "metadata": { "name": name, "namespace": "m" }, "data": data });
        if let Some(scale) = scale {
            object["metadata"]["annotations"] = json!({ TIME_SCALE: scale });
        }
        object
    };
    let deployment = |name: &str, args: Value, mounted: &str| {
        json!({ "kind": "Deployment", "metadata": { "name": name, "annotations": { TIME_SCALE: "30" } },
            "spec": { "template": { "metadata": { "labels": { "app": name } }, "spec": {
                "containers": [{ "image": format!("prom/{name}:v1"), "args": args }],
                "volumes": [{ "projected": { "sources": [{ "configMap": { "name": mounted } }] } }] } } } })
    };
    vec![
        map(
            "config",
            Some("30"),
            json!({ "prometheus.yml": "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [x]\n" }),
        ),
        map(
            "fast",
            Some("30"),
            json!({ "a.yml": "groups: [{name: fast, rules: [{alert: F, expr: 'rate(x[10s]) > 1', for: 5s}]}]\n" }),
        ),
        map(
            "slo",
            None,
            json!({ "b.yml": "groups: [{name: slo, rules: [{alert: S, expr: 'rate(x[5m]) > 1', for: 2m}]}]\n", "README": "for: 5m" }),
        ),
        map(
            "am",
            Some("30"),
            json!({ "alertmanager.yml": "route: {receiver: r, group_wait: 1s, group_interval: 1s, repeat_interval: 4h}\nreceivers: [{name: r}]\n" }),
        ),
        deployment(
            "prometheus",
            json!(["--config.file=x", "--rules.alert.resend-delay=2s", "--query.lookback-delta", "10s"]),
            "slo",
        ),
        deployment("alertmanager", json!(["--config.file=x"]), "am"),
        deployment("api", json!(["--query.lookback-delta=5m"]), "other"),
        json!({ "kind": "Service", "metadata": { "name": "exporter", "annotations": {
            TIME_SCALE: FIXED, "prometheus.io/scrape-interval": "1500ms", "prometheus.io/scrape-timeout": "1500ms" } } }),
        json!({ "kind": "Service", "metadata": { "name": "slow", "annotations": { "prometheus.io/scrape-interval": "1m" } } }),
    ]
}

fn data<'a>(objects: &'a [Value], name: &str, key: &str) -> &'a str {
    let object = objects.iter().find(|object| object["metadata"]["name"] == name).expect("it is there");
    object["data"][key].as_str().expect("a file")
}

#[test]
fn a_system_is_brought_to_one_time_scale() {
    let original = system();
    let mut objects = original.clone();
    let report = compress(&mut objects, 30).unwrap();
    assert_eq!(data(&objects, "fast", "a.yml"), data(&original, "fast", "a.yml"));
    assert_eq!(data(&objects, "slo", "README"), "for: 5m");
    let slo = yaml(data(&objects, "slo", "b.yml"));
    assert_eq!(
        slo["groups"][0]["rules"][0],
        json!({ "alert": "S", "expr": "rate(x[10s]) > 1", "for": "4s" })
    );
    assert_eq!(yaml(data(&objects, "config", "prometheus.yml"))["global"]["scrape_interval"], "1s");
    assert_eq!(yaml(data(&objects, "am", "alertmanager.yml"))["route"]["repeat_interval"], "4h");
    let args = &objects[4]["spec"]["template"]["spec"]["containers"][0]["args"];
    let expected = json!([
        "--config.file=x",
        "--rules.alert.resend-delay=2s",
        "--query.lookback-delta",
        "10s",
        "--rules.alert.for-outage-tolerance=2m",
        "--rules.alert.for-grace-period=20s"
    ]);
    assert_eq!(*args, expected);
    let mark = |at: usize| objects[at]["spec"]["template"]["metadata"]["annotations"][COMPRESSED].as_str();
    assert_eq!((mark(4), mark(5), mark(6)), (Some("30"), Some("30"), None));
    assert_eq!(objects[6], original[6]);
    assert_eq!(objects[7], original[7]);
    assert_eq!(objects[8]["metadata"]["annotations"]["prometheus.io/scrape-interval"], "2s");
    assert_eq!(
        report.unscaled,
        ["Service exporter: it is scraped every 1s500ms at any compression, which stands for 45s here"]
    );
    let seconds = |text: &str| Length::parse(text).unwrap();
    let loaded = Loaded::of(&objects).unwrap();
    assert_eq!(
        loaded.rules[1],
        LoadedRule {
            group: "slo".to_owned(),
            name: "S".to_owned(),
            hold: seconds("4s"),
            durations: vec![seconds("10s")]
        }
    );
    assert_eq!(loaded.global[0], ("scrape_interval".to_owned(), seconds("1s")));
    assert_eq!(loaded.flags[0], ("query.lookback-delta".to_owned(), seconds("10s")));
    assert_eq!(loaded.route[2], ("repeat_interval".to_owned(), seconds("4h")));
}

#[test]
fn fast_files_are_slowed_down_for_less_and_sped_up_for_more() {
    for (factor, scrape, range, hold, wait) in [
        (15, "2s", "20s", "10s", "2s"),
        (60, "500ms", "5s", "2s500ms", "500ms"),
        (1, "30s", "5m", "2m30s", "30s"),
    ] {
        let mut objects = system();
        compress(&mut objects, factor).unwrap();
        assert_eq!(yaml(data(&objects, "config", "prometheus.yml"))["global"]["scrape_interval"], scrape);
        let rule = &yaml(data(&objects, "fast", "a.yml"))["groups"][0]["rules"][0];
        assert_eq!(*rule, json!({ "alert": "F", "expr": format!("rate(x[{range}]) > 1"), "for": hold }));
        assert_eq!(yaml(data(&objects, "am", "alertmanager.yml"))["route"]["group_wait"], wait);
    }
}

#[test]
fn a_compression_that_cannot_work_is_refused_with_every_reason() {
    let error = |factor| match compress(&mut system(), factor).unwrap_err() {
        CompressError::Impossible { problems } => problems.join("\n"),
        other => panic!("{other}"),
    };
    let much = error(1000);
    for reason in [
        "scraping every 30ms is too often",
        "evaluating every 30ms is too often",
        "longer than an expression looks back",
    ] {
        assert!(much.contains(reason), "{much}");
    }
    assert!(error(0).contains("it must be at least 1"));
    let error = compress(&mut system()[1..], 30).unwrap_err().to_string();
    assert!(error.contains("no configuration of Prometheus"), "{error}");
    let mut objects = system();
    objects[0]["metadata"]["annotations"][TIME_SCALE] = json!("fast");
    let error = compress(&mut objects, 30).unwrap_err().to_string();
    assert!(error.contains("ConfigMap m/config") && error.contains("time-scale"), "{error}");
}
