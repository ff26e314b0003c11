use proptest::prelude::*;

use super::*;

const BY_30: Ratio = Ratio::divide_by(30);

fn by_30(expression: &str) -> String {
    scale(expression, BY_30).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

#[test]
fn every_kind_of_duration_is_scaled_and_nothing_else() {
    let cases = [
        ("rate(x[5m])", "rate(x[10s])"),
        ("rate(x[1h30m])", "rate(x[3m])"),
        ("rate(x[ 5m ])", "rate(x[ 10s ])"),
        ("x offset 1h", "x offset 2m"),
        ("x OFFSET -1h", "x OFFSET -2m"),
        ("x offset - 1h", "x offset - 2m"),
        ("rate(x[1h] offset 30m)", "rate(x[2m] offset 1m)"),
        ("max_over_time(rate(x[5m])[1h:1m])", "max_over_time(rate(x[10s])[2m:2s])"),
        ("max_over_time(x[1h:])", "max_over_time(x[2m:])"),
        ("max_over_time((a + b)[1h:30s] offset 5m)", "max_over_time((a + b)[2m:1s] offset 10s)"),
        // A point in time is no duration.
        ("x @ 1609746000 offset 5m", "x @ 1609746000 offset 10s"),
        ("rate(x[5m] @ end())", "rate(x[10s] @ end())"),
        // Numbers, names and strings that look like durations.
        ("x > 300 and on (offset) y", "x > 300 and on (offset) y"),
        ("offset offset 5m", "offset offset 10s"),
        (
            r#"rate(x{window="[5m]", b='offset 5m'}[5m]) > 5e3"#,
            r#"rate(x{window="[5m]", b='offset 5m'}[10s]) > 5e3"#,
        ),
        (r#"rate(x{a="\"[5m]"}[5m])"#, r#"rate(x{a="\"[5m]"}[10s])"#),
        ("rate(x{a=`\\d[5m]`}[5m])", "rate(x{a=`\\d[5m]`}[10s])"),
        ("slo:sli_error:ratio_rate5m > (14.4 * 0.001)", "slo:sli_error:ratio_rate5m > (14.4 * 0.001)"),
        // Comments and layout stay.
        (
            "# over [5m] don't\nsum(rate(x[5m])) # offset 5m\n  > 0",
            "# over [5m] don't\nsum(rate(x[10s])) # offset 5m\n  > 0",
        ),
        // What promql-parser cannot print.
        ("sum by () (rate(x[5m]))", "sum by () (rate(x[10s]))"),
        ("rate(x[5m]) / ignoring () group_left () y", "rate(x[10s]) / ignoring () group_left () y"),
        ("-rate(x[5m]) ^ -2", "-rate(x[10s]) ^ -2"),
        ("count_values(\"v\", rate(x[5m]))", "count_values(\"v\", rate(x[10s]))"),
    ];
    for (expression, expected) in cases {
        assert_eq!(by_30(expression), expected, "{expression}");
    }
}

#[test]
fn what_cannot_be_scaled_is_refused() {
    assert!(matches!(scale("rate(x[5m]", BY_30), Err(PromqlError::Parse { .. })));
    let error = scale("rate(x[10ms])", BY_30).unwrap_err();
    assert_eq!(error, PromqlError::TooShort { duration: "10ms".to_owned() });
    // Unchanged expressions are checked as well.
    assert!(matches!(scale("rate(x)", Ratio::ONE), Err(PromqlError::Parse { .. })));
}

#[test]
fn the_range_of_an_expression_is_replaced() {
    let cases = [
        ("sum(rate(x[5m])) / sum(rate(y[5m]))", "sum(rate(x[37s])) / sum(rate(y[37s]))"),
        ("1 - avg_over_time(up[5m])", "1 - avg_over_time(up[37s])"),
        ("rate(x[5m] offset 1m)", "rate(x[37s] offset 1m)"),
        ("max_over_time(rate(x[1m])[5m:10s])", "max_over_time(rate(x[1m])[37s:10s])"),
        (
            "max_over_time(sum by (a) (rate(x[1m]))[5m:10s])",
            "max_over_time(sum by (a) (rate(x[1m]))[37s:10s])",
        ),
        (
            "avg_over_time((rate(x[1m]) / rate(y[1m]))[5m:])",
            "avg_over_time((rate(x[1m]) / rate(y[1m]))[37s:])",
        ),
        (
            "rate(z[5m]) + max_over_time(rate(x[1m])[5m:10s])",
            "rate(z[37s]) + max_over_time(rate(x[1m])[37s:10s])",
        ),
        ("up == 0", "up == 0"),
    ];
    for (expression, expected) in cases {
        let replaced = replace_ranges(expression, Length::from_millis(37_000));
        assert_eq!(replaced.as_deref(), Ok(expected), "{expression}");
    }
    let error = replace_ranges("rate(x[5m]) > rate(x[1h])", Length::from_millis(1000)).unwrap_err();
    assert_eq!(error.to_string(), "`rate(x[5m]) > rate(x[1h])` has ranges of different lengths (5m, 1h)");
    // The subquery's operand ends with the labels: refused rather than replaced at the wrong place.
    let trailing = "max_over_time(sum(rate(x[1m])) by (a)[5m:10s])";
    assert!(matches!(replace_ranges(trailing, Length::from_millis(1000)), Err(PromqlError::Form { .. })));
}

/// Expressions of the kinds that published rule sets consist of: Sloth's, the kubernetes and node mixins', Pyrra's.
const CORPUS: &[&str] = &[
    "(sum(rate(http_requests_total{job=\"api\",code=~\"(5..|429)\"}[5m])))\n/\n(sum(rate(http_requests_total{job=\"api\"}[5m])))",
    "sum_over_time(slo:sli_error:ratio_rate5m{sloth_id=\"a-b\", sloth_service=\"a\", sloth_slo=\"b\"}[30d])\n/ ignoring (sloth_window)\ncount_over_time(slo:sli_error:ratio_rate5m{sloth_id=\"a-b\"}[30d])",
    "(\n    max(slo:sli_error:ratio_rate5m{sloth_id=\"a-b\"} > (14.4 * 0.001)) without (sloth_window)\n    and\n    max(slo:sli_error:ratio_rate1h{sloth_id=\"a-b\"} > (14.4 * 0.001)) without (sloth_window)\n)\nor\n(\n    max(slo:sli_error:ratio_rate30m > (6 * 0.001)) without (sloth_window)\n)",
    "1 - slo:period_burn_rate:ratio{sloth_id=\"a\"}",
    "slo:current_burn_rate:ratio\n/ on(sloth_id, sloth_slo, sloth_service) group_left\nslo:error_budget:ratio",
    "max_over_time(kube_pod_container_status_waiting_reason{reason=\"CrashLoopBackOff\", namespace=~\".*\"}[5m]) >= 1",
    "sum by (namespace, pod, cluster) (max by(namespace, pod, cluster) (kube_pod_status_phase{phase=~\"Pending|Unknown\"}) * on(namespace, pod, cluster) group_left(owner_kind) topk by(namespace, pod, cluster) (1, max by(namespace, pod, owner_kind, cluster) (kube_pod_owner{owner_kind!=\"Job\"}))) > 0",
    "(kube_deployment_spec_replicas > kube_deployment_status_replicas_available) and (changes(kube_deployment_status_replicas_updated[10m]) == 0)",
    "sum(rate(container_cpu_cfs_throttled_periods_total{container!=\"\"}[5m])) without (id, metrics_path, name, image, endpoint, job, node) / on (cluster, namespace, pod, container, instance) group_left sum(rate(container_cpu_cfs_periods_total[5m])) without (id) > ( 25 / 100 )",
    "time() - max by(namespace, job_name) (kube_job_status_start_time{} and kube_job_status_active > 0) > 43200",
    "predict_linear(node_filesystem_avail_bytes{fstype!=\"\"}[6h], 24*60*60) < 0 and node_filesystem_readonly == 0",
    "(kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes) < 0.15 unless on(cluster, namespace, persistentvolumeclaim) kube_persistentvolumeclaim_access_mode{ access_mode=\"ReadOnlyMany\"} == 1",
    "histogram_quantile(0.99, sum(rate(apiserver_request_sli_duration_seconds_bucket{verb=~\"LIST|GET\"}[5m])) without (instance, pod)) > 0",
    "sum by(cluster) (apiserver_request:burnrate1h) > (14.40 * 0.01000) and on(cluster) sum by(cluster) (apiserver_request:burnrate5m) > (14.40 * 0.01000)",
    "absent(up{job=\"kubelet\"} == 1)",
    "histogram_quantile(0.01, sum by (job, le) (rate(apiserver_client_certificate_expiration_seconds_bucket[5m]))) < 604800",
    "node_timex_offset_seconds > 0.05 and deriv(node_timex_offset_seconds[5m]) >= 0",
    "avg by (instance) (rate(node_cpu_seconds_total{mode!=\"idle\"}[2m] offset 1w)) * 100 > bool 90",
    "quantile_over_time(0.95, rate(x_total[1m])[1h:30s] offset 1d) unless on () (hour() < 8 or hour() > 18)",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\") == 0",
    "min_over_time(probe_success[10m]) == 0 and count by (x) (y) > 2",
    "increase(errors_total[1h]) > 10 or rate(errors_total[1h] @ start()) > 0.1",
    "(x atan2 y) % 2 == bool 1",
    "sum without () (rate(x[4w])) > clamp_max(y, 1e+9) != Inf",
    "stdvar_over_time(x[1y:1d]) < -0x1F",
];

#[test]
fn a_corpus_of_published_rules_is_scaled_there_and_back() {
    let there = Ratio::between(1, 30);
    let back = Ratio::between(30, 1);
    for expression in CORPUS {
        let scaled = scale(expression, there).unwrap_or_else(|error| panic!("{expression}: {error}"));
        let returned = scale(&scaled, back).unwrap_or_else(|error| panic!("{scaled}: {error}"));
        assert_eq!(parse(&returned).unwrap(), parse(expression).unwrap(), "{expression}");
    }
}

fn length() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u64..500).prop_map(|n| format!("{n}m")),
        (1_u64..90).prop_map(|n| format!("{n}d")),
        (600_u64..9_000_000).prop_map(|n| Length::from_millis(n * 60).to_string())
    ]
}

fn expression() -> impl Strategy<Value = String> {
    let selector = prop_oneof![
        Just("up".to_owned()),
        Just("offset".to_owned()),
        Just("{__name__=~\"a.*\", b='[5m]'}".to_owned()),
        Just("m{a=\"offset 5m\", c!=\"\\\"]\"}".to_owned()),
    ];
    let instant = prop_oneof![
        selector.clone(),
        (selector.clone(), length()).prop_map(|(s, l)| format!("{s} offset {l}")),
        (selector.clone(), length()).prop_map(|(s, l)| format!("{s} @ 1600000000.5 offset -{l}")),
        (selector.clone(), length()).prop_map(|(s, l)| format!("rate({s}[{l}])")),
        (selector, length(), length())
            .prop_map(|(s, l, o)| format!("avg_over_time({s}[{l}] offset {o}) # [1m]\n")),
        Just("vector(300)".to_owned()),
        Just("time()".to_owned()),
    ];
    instant.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) / on () ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) unless ignoring (offset) ({b})")),
            inner.clone().prop_map(|a| format!("sum by (offset, job) ({a})")),
            inner.clone().prop_map(|a| format!("-({a}) > 5")),
            inner.clone().prop_map(|a| format!("topk(3, {a})")),
            (inner.clone(), length()).prop_map(|(a, l)| format!("max_over_time(({a})[{l}:])")),
            (inner, length(), length())
                .prop_map(|(a, l, s)| format!("max_over_time(({a})[{l}:{s}] offset {l})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_tree_of_the_new_text_is_the_scaled_tree(expression in expression()) {
        // Some combinations are not typed right (an instant vector of a scalar): Prometheus would refuse those, too.
        prop_assume!(parse(&expression).is_ok());
        let scaled = scale(&expression, BY_30).expect("what parses is scaled");
        let mut expected = parse(&expression).unwrap();
        each(&mut expected, &mut |_, duration| {
            let length = Length::from_millis(u64::try_from(duration.as_millis()).unwrap());
            Ok(Duration::from_millis(length.scaled(BY_30).unwrap().millis()))
        }).unwrap();
        prop_assert_eq!(parse(&scaled).unwrap(), expected);
    }

    #[test]
    fn two_exact_steps_are_one_step(expression in expression()) {
        prop_assume!(parse(&expression).is_ok());
        let steps = scale(&scale(&expression, Ratio::divide_by(3)).unwrap(), Ratio::divide_by(10)).unwrap();
        prop_assert_eq!(parse(&steps).unwrap(), parse(&scale(&expression, BY_30).unwrap()).unwrap());
    }

    #[test]
    fn replaced_ranges_are_all_of_the_new_length(expression in expression(), millis in 1_u64..10_000_000) {
        prop_assume!(parse(&expression).is_ok());
        if let Ok(replaced) = replace_ranges(&expression, Length::from_millis(millis)) {
            let before = ranges(&expression).unwrap();
            prop_assert_eq!(ranges(&replaced).unwrap(), vec![Length::from_millis(millis); before.len()]);
        }
    }
}
