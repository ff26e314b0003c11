//! SLOs against a real Prometheus: rules made by `harness slo rules`, counters whose values a test sets.

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use harness_engine::{
    Log,
    slo::{Slo, SloError, check_slos, find_slos, measure_slo, watch_slos},
};
use harness_event::{
    EventKind, ExpectationKind, Millis, Plan, SloDefinition, SloExpectation, SloGoal, SloSample, SloUsage,
    Timestamp, verdict::testkit,
};
use harness_slo::{
    compress::Ratio,
    promql,
    rules::{Options, Source, generate, make, to_yaml},
    spec::SpecFile,
    windows::Windows,
};
use support::{Stack, StackConfig, eventually};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);
const SPEC: &str = r#"
version: prometheus/v1
service: demo
slos:
  - name: availability
    objective: 99
    sli:
      events:
        error_query: sum(rate(demo_requests_total{status="500"}[{{.window}}]))
        total_query: sum(rate(demo_requests_total[{{.window}}])) > 0
    alerting: { name: DemoBurn }
  - name: raw
    objective: 90
    sli:
      raw:
        error_ratio_query: 1 - sum(rate(demo_requests_total{status="200"}[{{.window}}])) / sum(rate(demo_requests_total[{{.window}}]))
    alerting: { name: DemoRawBurn, page_alert: { disable: true }, ticket_alert: { disable: true } }
  - name: dark
    objective: 90
    sli:
      events:
        error_query: sum(rate(demo_dark_errors_total[{{.window}}]))
        total_query: sum(rate(demo_dark_total[{{.window}}]))
    alerting: { name: DemoDarkBurn, page_alert: { disable: true }, ticket_alert: { disable: true } }
"#;
const AVAILABILITY: &str = "demo-availability";
const OK: &str = "demo_requests_total{status=\"200\",pod=\"a\"}";
const BAD: &str = "demo_requests_total{status=\"500\",pod=\"a\"}";

fn rules() -> String {
    make(&[Source { name: "demo.yml", text: SPEC }], "", &Options::default()).expect("valid").yaml
}

/// A stack whose counters start at zero and were scraped.
async fn start(rules: &str) -> Stack {
    let stack = Stack::start(StackConfig { rules, ..StackConfig::default() }).await;
    stack.metrics.set(OK, 0.0);
    stack.metrics.set(BAD, 0.0);
    shows(&stack, "count(demo_requests_total)", |value| value == 2.0).await;
    stack
}

/// Waits until a query has a value that fits. Gives the server's time just after.
async fn shows(stack: &Stack, query: &str, fits: impl Fn(f64) -> bool) -> Timestamp {
    let look = async || {
        let answer = stack.prometheus.query(query, None).await.ok()?;
        answer.first().filter(|sample| fits(sample.value)).map(|_| ())
    };
    eventually(query, LIMIT, look).await;
    Timestamp::now()
}

/// Waits until both counters were scraped so often with these values.
async fn scraped(stack: &Stack, ok: f64, bad: f64) -> Timestamp {
    stack.metrics.set(OK, ok);
    stack.metrics.set(BAD, bad);
    let (ok, bad) = (format!("{OK} == {ok}"), format!("{BAD} == {bad}"));
    shows(stack, &format!("({ok}) and ignoring (status) ({bad})"), |_| true).await
}

async fn find(stack: &Stack, id: &str) -> Slo {
    let look = async || {
        let found = find_slos(&stack.prometheus, &[id.to_owned()]).await.ok()?;
        found.into_iter().next()?.1.ok()
    };
    eventually("the SLO's rules", LIMIT, look).await
}

/// Lets a time pass in which Prometheus scrapes, by Prometheus' own samples.
async fn pass(stack: &Stack, from: Timestamp, length: Millis) -> Timestamp {
    shows(stack, &format!("timestamp({OK}) >= {}", (from + length).as_seconds()), |_| true).await
}

fn near(value: Option<f64>, wanted: f64, share: f64) -> bool {
    value.is_some_and(|value| (value - wanted).abs() <= wanted * share)
}

fn says(usage: &SloUsage, text: &str) -> bool {
    usage.caveats.iter().any(|caveat| caveat.contains(text))
}

#[tokio::test]
async fn the_cost_of_a_run_is_counted_from_its_own_requests() {
    let stack = start(&rules()).await;
    // Errors before the run belong to somebody else.
    let before = scraped(&stack, 1000.0, 1000.0).await;
    let from = pass(&stack, before, Millis(1000)).await;
    scraped(&stack, 1300.0, 1006.0).await;
    scraped(&stack, 1600.0, 1012.0).await;
    let last = scraped(&stack, 1950.0, 1050.0).await;
    let to = pass(&stack, last, Millis(1500)).await;

    let slo = find(&stack, AVAILABILITY).await;
    let usage = measure_slo(&stack.prometheus, &slo, from, to, &[]).await;
    // 1000 requests, 50 of them errors. `rate()` extends what it saw to both ends of the time.
    assert!(near(usage.total, 1000.0, 0.2), "{usage:?}");
    assert!(near(usage.errors, 50.0, 0.2), "{usage:?}");
    assert!(near(usage.error_ratio, 0.05, 0.001), "{usage:?}");
    // A burn rate of 5.
    let seconds = (to - from).as_secs_f64();
    assert!(near(usage.budget_spent, 5.0 * seconds / (30.0 * 86_400.0), 0.01), "{usage:?}");
    assert!(near(usage.spent_time.map(|time| time.as_secs_f64()), 0.05 * seconds, 0.02), "{usage:?}");
    assert!(near(usage.exhausted_in.map(|time| time.as_secs_f64()), 6.0 * 86_400.0, 0.01), "{usage:?}");
    // The windows remember the errors of before: a burn rate of 100, and that is what Prometheus recorded.
    assert_eq!(usage.peaks.len(), 8);
    assert!(usage.peaks[..7].iter().all(|peak| peak.is_some_and(|peak| peak > 20.0)), "{usage:?}");
    assert!(!says(&usage, "began above zero") && !says(&usage, "low traffic"), "{usage:?}");

    // The same as a ratio that nobody can take apart: 5 % of 10 % allowed.
    let raw = find(&stack, "demo-raw").await;
    let usage = measure_slo(&stack.prometheus, &raw, from, to, &[]).await;
    assert_eq!((usage.total, usage.errors), (None, None));
    assert!(near(usage.error_ratio, 0.05, 0.001), "{usage:?}");
    assert!(near(usage.budget_spent, 0.5 * seconds / (30.0 * 86_400.0), 0.01), "{usage:?}");
    assert!(says(&usage, "how many there were is not known"), "{usage:?}");
}

#[tokio::test]
async fn nothing_is_made_of_nothing() {
    let stack = start(&rules()).await;
    let from = scraped(&stack, 5.0, 5.0).await;
    let from = pass(&stack, from, Millis(1000)).await;
    let to = pass(&stack, from, Millis(2000)).await;
    // Nobody asked: no ratio, and no budget that was kept.
    let availability = find(&stack, AVAILABILITY).await;
    let usage = measure_slo(&stack.prometheus, &availability, from, to, &[]).await;
    assert_eq!((usage.total, usage.errors), (Some(0.0), Some(0.0)), "{usage:?}");
    assert_eq!((usage.error_ratio, usage.budget_spent, usage.spent_time), (None, None, None));
    // No series at all is not known, not zero.
    let dark = find(&stack, "demo-dark").await;
    let usage = measure_slo(&stack.prometheus, &dark, from, to, &[]).await;
    assert_eq!((usage.total, usage.errors, usage.budget_spent), (None, None, None), "{usage:?}");
    assert!(says(&usage, "no series to count requests: demo_dark_total"), "{usage:?}");
    // Neither is what lies before the beginning.
    let usage = measure_slo(&stack.prometheus, &availability, to, from, &[]).await;
    assert_eq!((usage.total, usage.budget_spent), (None, None));
    assert!(says(&usage, "nothing was measured"), "{usage:?}");
}

#[tokio::test]
async fn what_makes_the_figures_less_than_they_seem_is_named() {
    let stack = start(&rules()).await;
    let from = scraped(&stack, 10.0, 0.0).await;
    let from = pass(&stack, from, Millis(600)).await;
    // A new pod answered 40 requests, 7 of them with errors, before it was scraped for the first time.
    stack.metrics.set("demo_requests_total{status=\"200\",pod=\"b\"}", 33.0);
    stack.metrics.set("demo_requests_total{status=\"500\",pod=\"b\"}", 7.0);
    shows(&stack, "count(demo_requests_total)", |value| value == 4.0).await;
    let last = scraped(&stack, 20.0, 0.0).await;
    // Scrapes fail for a while.
    stack.metrics.healthy(false);
    shows(&stack, &format!("sum(sum_over_time(up{{job=\"demo\"}}[{}ms]) < bool 1)", 2000), |down| {
        down == 1.0
    })
    .await;
    stack.metrics.healthy(true);
    let last = pass(&stack, last, Millis(600)).await;
    let to = pass(&stack, last, Millis(600)).await;

    let slo = find(&stack, AVAILABILITY).await;
    let sample = |at: Timestamp, rate| SloSample {
        slo: AVAILABILITY.to_owned(),
        sampled_at: at,
        burn_rates: vec![Some(rate), Some(0.5), None, None, None, None, None, Some(9.0)],
        history: Millis(1000),
    };
    let samples = [sample(from - Millis(500), 3.0), sample(from + Millis(500), 30.0)];
    let usage = measure_slo(&stack.prometheus, &slo, from, to, &samples).await;
    assert!(
        says(&usage, "counters began above zero (demo_requests_total of b): at least 40 events"),
        "{usage:?}"
    );
    assert!(says(&usage, "low traffic: in "), "{usage:?}");
    assert!(says(&usage, "missed samples: demo/"), "{usage:?}");
    assert!(says(&usage, "the budget was burning before: 3.0 over 5m"), "{usage:?}");
    // Seen by us, higher than anything that was recorded.
    assert!(usage.peaks[0] >= Some(30.0), "{usage:?}");
}

#[tokio::test]
async fn burn_rates_are_sampled_with_the_age_of_their_data() {
    let stack = start(&rules()).await;
    let begun = Timestamp::now();
    let slos = vec![find(&stack, AVAILABILITY).await, find(&stack, "demo-dark").await];
    let (log, stop) = (Log::unrecorded(), CancellationToken::new());
    let watch =
        tokio::spawn(watch_slos(stack.prometheus.clone(), slos, Millis(0), log.clone(), stop.clone()));
    let seen = |id: &'static str, fits: fn(&SloSample) -> bool| {
        let log = log.clone();
        eventually("a sample", LIMIT, move || {
            let events = log.events();
            let found = events.iter().rev().find_map(|event| match &event.kind {
                EventKind::SloSampled(sample) if sample.slo == id && fits(sample) => Some(sample.clone()),
                _ => None,
            });
            async move { found }
        })
    };
    // No requests: no ratio. The data's age grows from the first scrape on.
    let quiet =
        seen(AVAILABILITY, |sample| sample.burn_rates[0].is_none() && sample.history > Millis(0)).await;
    assert!(quiet.history <= (quiet.sampled_at - begun) + Millis(30_000), "{quiet:?}");
    assert_eq!(quiet.burn_rates.len(), 8);
    // One request in ten fails, one in a hundred may.
    scraped(&stack, 90.0, 10.0).await;
    let burning = seen(AVAILABILITY, |sample| sample.burn_rates[0].is_some()).await;
    assert!(near(burning.burn_rates[0], 10.0, 0.05), "{burning:?}");
    let (older, later) = (quiet.history - burning.history, quiet.sampled_at - burning.sampled_at);
    assert_eq!(older, later, "the beginning of the data does not move");
    // What has no data has no age and no burn rate.
    let dark = seen("demo-dark", |_| true).await;
    assert_eq!((dark.history, dark.burn_rates), (Millis(0), vec![None; 8]));
    stop.cancel();
    tokio::time::timeout(LIMIT, watch).await.expect("it stops").expect("it does not panic");
}

#[tokio::test]
async fn compressed_windows_keep_their_own_names_and_time() {
    // The rules of the availability SLO, 60 times as fast.
    let file = SpecFile::parse(SPEC).unwrap();
    let mut groups = generate(&file.services[0].slos[0], &Windows::month(), "test");
    for group in &mut groups {
        for rule in &mut group.rules {
            rule.expr = promql::scale(&rule.expr, Ratio::divide_by(60)).unwrap();
        }
    }
    let text = to_yaml("", &groups);
    let stack = start(&text).await;
    let slo = find(&stack, AVAILABILITY).await;
    let windows: Vec<_> =
        slo.definition.windows.iter().map(|one| (one.window.0 / 1000, one.length.0)).collect();
    let minute = 60 * 1000;
    assert_eq!(windows[0], (300, 5000));
    assert_eq!(windows[6], (3 * 86_400, 72 * minute));
    assert_eq!(slo.definition.period, Millis(30 * 86_400 * 1000));

    let from = scraped(&stack, 0.0, 0.0).await;
    scraped(&stack, 500.0, 0.0).await;
    let last = scraped(&stack, 900.0, 100.0).await;
    let to = pass(&stack, last, Millis(1000)).await;
    let usage = measure_slo(&stack.prometheus, &slo, from, to, &[]).await;
    // A second here is a minute of the SLO's own time: a tenth of the requests failed for that long.
    let own = (to - from).as_secs_f64() * 60.0;
    assert!(near(usage.error_ratio, 0.1, 0.001), "{usage:?}");
    assert!(near(usage.spent_time.map(|time| time.as_secs_f64()), 0.1 * own, 0.01), "{usage:?}");
    assert!(near(usage.budget_spent, 10.0 * own / (30.0 * 86_400.0), 0.01), "{usage:?}");
    assert!(near(usage.exhausted_in.map(|time| time.as_secs_f64()), 3.0 * 86_400.0, 0.01), "{usage:?}");
}

fn plan(slos: &[&str], expected: &[(&str, SloGoal)]) -> Plan {
    let mut plan = testkit::plan();
    plan.slos = slos.iter().map(|slo| (*slo).to_owned()).collect();
    plan.expectations = expected
        .iter()
        .enumerate()
        .map(|(n, (slo, goal))| {
            let kind = SloExpectation { slo: (*slo).to_owned(), goal: *goal, min_requests: 100 };
            testkit::surge_expectation(&format!("slo/{n}"), ExpectationKind::Slo(kind))
        })
        .collect();
    plan
}

#[tokio::test]
async fn what_is_expected_must_be_there_before_anything_is_touched() {
    let stack = start(&rules()).await;
    find(&stack, AVAILABILITY).await;
    let check = async |plan: &Plan| check_slos(plan, &stack.prometheus).await.expect("Prometheus answers");
    let spent = SloGoal::BudgetSpentBelow { share: 0.1 };
    let over = |minutes: i64| SloGoal::BurnStaysBelow { window: Millis(minutes * 60_000), rate: 1.0 };

    let good = check(&plan(&[AVAILABILITY], &[(AVAILABILITY, spent), (AVAILABILITY, over(60))])).await;
    assert_eq!((good.problems, good.slos.len()), (vec![], 1));
    let [EventKind::SloDefined(defined)] = good.facts.as_slice() else { panic!("{:?}", good.facts) };
    let SloDefinition { service, objective, period, windows, expression, .. } = defined;
    assert_eq!((service.as_str(), *objective, *period), ("demo", 0.99, Millis(30 * 86_400_000)));
    assert_eq!(windows.len(), 8);
    assert_eq!(windows[0].record, "slo:sli_error:ratio_rate5m");
    assert!(expression.contains("demo_requests_total{status=\"500\"}[5m]"), "{expression}");

    let bad = check(&plan(
        &[AVAILABILITY, "demo-availabilty", "other"],
        &[(AVAILABILITY, over(7)), ("demo-availabilty", spent)],
    ))
    .await;
    assert_eq!(
        bad.problems,
        [
            "slo/0: SLO \"demo-availability\" has no window of 7m. It has: 5m, 30m, 1h, 2h, 6h, 1d, 3d, 30d",
            "SLO \"demo-availabilty\": Prometheus has no rules of it. It has: demo-availability, demo-dark, demo-raw. Did you \
             mean \"demo-availability\"?",
        ]
    );
    // Nothing is expected of it: it is only said.
    let missing = bad.facts.iter().any(|fact| {
        matches!(fact, EventKind::SloMissing { slo, error } if slo == "other" && error.contains("no rules of it"))
    });
    assert!(missing, "{:?}", bad.facts);
    let unknown = find_slos(&stack.prometheus, &["other".to_owned()]).await.unwrap().remove(0).1.unwrap_err();
    assert!(matches!(unknown, SloError::Unknown { others } if others.len() == 3));
}
