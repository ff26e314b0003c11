//! A surge: a load that an autoscaler follows, and what it costs of an error budget.

use std::collections::BTreeMap;

use super::common::{at, observed, run_started};
use crate::{
    AutoscalerExpectation, AutoscalerGoal, CompareOp, Comparison, EventKind, Expectation, ExpectationKind,
    Latency, LoadExpectation, LoadMeasure, LoadPhase, LoadSample, LoadSpec, LoadStart, LoadStats, LoadStep,
    Millis, ObservedAutoscaler, ObservedBudget, ObservedWorkload, Phase, Plan, SloDefinition, SloExpectation,
    SloGoal, SloSample, SloUsage, SloWindow, WorkloadRef,
};

/// The timed load, from 4 s to 16 s.
pub const SURGE: &str = "surge";
/// The load in the background, from 1 s to the end.
pub const VISITORS: &str = "visitors";
/// The autoscaler, its target and its disruption budget.
pub const AUTOSCALER: &str = "images";
/// The SLO.
pub const SLO: &str = "gallery-images-availability";

/// What the autoscaler scales.
pub fn scaled_workload() -> WorkloadRef {
    WorkloadRef { kind: "Deployment".into(), name: AUTOSCALER.into() }
}

/// A load of one step, `image`.
pub fn load_spec(name: &str, start: LoadStart) -> LoadSpec {
    let step = LoadStep {
        name: "image".into(),
        method: "GET".into(),
        url: "service://gallery/images:18083/images/1".into(),
        headers: BTreeMap::new(),
        body: None,
        extract: vec![],
        status: 200,
        weight: 1,
        think: None,
        timeout: Millis(5000),
    };
    LoadSpec {
        name: name.into(),
        start,
        duration: None,
        users: 100,
        ramp: Millis(0),
        warm_up: Millis(0),
        requests: None,
        stages: vec![],
        requests_per_connection: None,
        ca_file: None,
        setup: vec![],
        in_order: false,
        steps: vec![step],
    }
}

/// A condition on the surge's requests.
pub fn load_expected(
    load: &str,
    phase: LoadPhase,
    measure: LoadMeasure,
    op: CompareOp,
    value: f64,
) -> Expectation {
    let kind =
        LoadExpectation { load: load.into(), step: None, phase, measure, is: Comparison { op, value } };
    surge_expectation(&format!("load/{load}/{phase}/{measure}"), ExpectationKind::Load(kind))
}

/// What is expected of the autoscaler.
pub fn autoscaler_expected(id: &str, goal: AutoscalerGoal) -> Expectation {
    let kind = AutoscalerExpectation { autoscaler: AUTOSCALER.into(), goal };
    surge_expectation(&format!("autoscaler/{AUTOSCALER}/{id}"), ExpectationKind::Autoscaler(kind))
}

/// What is expected of the error budget.
pub fn slo_expected(id: &str, goal: SloGoal) -> Expectation {
    let kind = SloExpectation { slo: SLO.into(), goal, min_requests: 1000 };
    surge_expectation(&format!("slo/{SLO}/{id}"), ExpectationKind::Slo(kind))
}

/// An expectation that counts from the surge.
pub fn surge_expectation(id: &str, kind: ExpectationKind) -> Expectation {
    Expectation { id: id.into(), title: format!("{id} is seen"), line: 1, fault: SURGE.into(), kind }
}

/// A timed load of 12,000 requests, visitors in the background, and what is expected of load, autoscaler, disruption budget and SLO.
pub fn surge_plan() -> Plan {
    let mut surge = load_spec(SURGE, LoadStart::After(Millis(0)));
    surge.requests = Some(12_000);
    let mut visitors = load_spec(VISITORS, LoadStart::Background);
    visitors.stages = vec![crate::RateStage { rate: 100.0, to: None, length: None }];
    let minutes = |minutes: i64| Millis(minutes * 60_000);
    Plan {
        title: "Image surge".into(),
        loads: vec![visitors, surge],
        slos: vec![SLO.into()],
        faults: vec![],
        expectations: vec![
            surge_expectation("alerts/none-unexpected", ExpectationKind::NoUnexpectedAlert),
            load_expected(SURGE, LoadPhase::During, LoadMeasure::P99, CompareOp::LessOrEqual, 500.0),
            load_expected(SURGE, LoadPhase::During, LoadMeasure::ErrorRatio, CompareOp::LessOrEqual, 0.001),
            load_expected(VISITORS, LoadPhase::After, LoadMeasure::P95, CompareOp::Less, 100.0),
            autoscaler_expected(
                "up",
                AutoscalerGoal::ScalesUpTo { replicas: Some(6), within: Millis(10_000) },
            ),
            autoscaler_expected("lag", AutoscalerGoal::ReadyLag { at_most: Millis(4000) }),
            autoscaler_expected("turns", AutoscalerGoal::DirectionChanges { at_most: 1 }),
            autoscaler_expected(
                "down",
                AutoscalerGoal::ScalesDownTo { replicas: None, within: Millis(15_000) },
            ),
            autoscaler_expected("budget", AutoscalerGoal::KeepsBudget { budget: AUTOSCALER.into() }),
            slo_expected("burn", SloGoal::BurnStaysBelow { window: minutes(60), rate: 14.4 }),
            slo_expected("budget", SloGoal::BudgetSpentBelow { share: 0.01 }),
        ],
        ..super::failure::plan()
    }
}

/// A state of the autoscaler.
pub fn autoscaled(ms: i64, current: i32, desired: i32, last_scale_at: Option<i64>, cpu: u32) -> EventKind {
    let active = ["AbleToScale=True(ReadyForNewScale)", "ScalingActive=True(ValidMetricFound)"];
    EventKind::AutoscalerObserved(ObservedAutoscaler {
        autoscaler: AUTOSCALER.into(),
        seen_at: at(ms),
        exists: true,
        target: scaled_workload(),
        min: 2,
        max: 10,
        current,
        desired,
        last_scale_at: last_scale_at.map(at),
        metrics: vec![format!("cpu: {cpu}%/50%")],
        conditions: active.map(str::to_owned).to_vec(),
    })
}

/// A state of the autoscaler's target.
pub fn scaled(ms: i64, desired: i32, ready: i32) -> EventKind {
    EventKind::WorkloadObserved(ObservedWorkload {
        workload: scaled_workload(),
        seen_at: at(ms),
        desired,
        ready,
        available: ready,
    })
}

/// A state of the disruption budget.
pub fn budgeted(ms: i64, healthy: i32, demanded: i32) -> EventKind {
    EventKind::BudgetObserved(ObservedBudget {
        budget: AUTOSCALER.into(),
        seen_at: at(ms),
        exists: true,
        healthy,
        demanded,
        up_to_date: true,
    })
}

/// One second of a load.
pub fn load_sample(load: &str, ms: i64, requests: u64, failed: u64) -> EventKind {
    let sample = LoadSample {
        from: at(ms),
        length: Millis(1000),
        users: 100,
        requests,
        failed,
        behind: Millis(0),
        p50_us: 20_000,
        p95_us: 60_000,
        p99_us: 200_000,
    };
    EventKind::LoadSampled { load: load.into(), sample }
}

/// Statistics of a phase, of one step or of all.
pub fn load_measured(
    load: &str,
    phase: LoadPhase,
    step: Option<&str>,
    (from, to): (i64, i64),
    (requests, failed): (u64, u64),
) -> EventKind {
    let statuses = [(200, requests - failed), (503, failed)].into_iter().filter(|(_, count)| *count > 0);
    let latency = Latency {
        mean: 31_000.0,
        p50: 20_000,
        p90: 50_000,
        p95: 60_000,
        p99: 200_000,
        p999: 400_000,
        max: 900_000,
    };
    let stats = LoadStats {
        from: at(from),
        to: at(to),
        requests,
        failed,
        statuses: statuses.collect(),
        errors: BTreeMap::new(),
        bytes: requests * 1024,
        latency,
    };
    EventKind::LoadMeasured { load: load.into(), phase, step: step.map(str::to_owned), stats }
}

/// The SLO's rules: 99.9 % over 30 days, over windows from 5 minutes to 6 hours.
pub fn slo_defined() -> EventKind {
    let window = |(minutes, name): (i64, &str)| {
        let window = Millis(minutes * 60_000);
        SloWindow { window, length: window, record: format!("slo:sli_error:ratio_rate{name}") }
    };
    EventKind::SloDefined(SloDefinition {
        slo: SLO.into(),
        service: "gallery".into(),
        objective: 0.999,
        period: Millis(30 * 86_400_000),
        windows: [(5, "5m"), (30, "30m"), (60, "1h"), (360, "6h")].map(window).to_vec(),
        expression: "sum(rate(errors[5m])) / sum(rate(requests[5m]))".into(),
    })
}

/// Burn rates of the SLO.
pub fn slo_sample(ms: i64, burn_rates: [Option<f64>; 4], history: Millis) -> EventKind {
    EventKind::SloSampled(SloSample {
        slo: SLO.into(),
        sampled_at: at(ms),
        burn_rates: burn_rates.to_vec(),
        history,
    })
}

/// What the surge did to the error budget.
pub fn slo_usage() -> SloUsage {
    SloUsage {
        slo: SLO.into(),
        from: at(4000),
        to: at(34_000),
        total: Some(15_000.0),
        errors: Some(3.0),
        unseen_errors: Some(0.0),
        known_until: Some(at(33_500)),
        recorded_until: Some(at(32_000)),
        blind: Some(Millis(0)),
        error_ratio: Some(0.0002),
        budget_spent: Some(0.2 * 30.0 / 2_592_000.0),
        spent_time: Some(Millis(6)),
        exhausted_in: Some(Millis(150 * 86_400_000)),
        peaks: vec![Some(0.5), Some(0.2), Some(0.1), Some(0.02)],
        caveats: vec![],
    }
}

/// A run of [`surge_plan`] in which all is well: the surge from 4 s to 16 s; wanted 4 at 7 s and 6 at 9 s, ready at 11 s; back to 2 at
/// 24 s, done at 25 s; end at 34 s.
pub fn surge_run() -> Vec<EventKind> {
    let steady = |ms: i64| EventKind::SteadyStateChecked {
        check: "portal answers".into(),
        asked_at: at(ms),
        ok: true,
        detail: "200".into(),
    };
    let started = |load: &str, ms| EventKind::LoadStarted { load: load.into(), started_at: at(ms) };
    let finished = |load: &str, ms, reason: &str, begun, due| EventKind::LoadFinished {
        load: load.into(),
        ended_at: at(ms),
        reason: reason.into(),
        begun,
        due,
        most_behind: Millis(if due > 0 { 12 } else { 0 }),
    };
    let week = Millis(7 * 86_400_000);
    let mut kinds = vec![
        run_started(surge_plan()).kind,
        EventKind::ClockMeasured { offset: Millis(0), bound: Millis(2) },
        slo_defined(),
        scaled(500, 2, 2),
        autoscaled(500, 2, 2, None, 10),
        budgeted(500, 2, 1),
        started(VISITORS, 1000),
        steady(3000),
        EventKind::BaselineTaken { alerts: vec![] },
        observed(),
        started(SURGE, 4000),
    ];
    kinds.extend((1..34).map(|second| load_sample(VISITORS, second * 1000, 100, 0)));
    kinds.extend((4..16).map(|second| load_sample(SURGE, second * 1000, 1000, 0)));
    kinds.extend(
        (2..=34).map(|second| slo_sample(second * 1000, [Some(0.5), Some(0.2), Some(0.1), Some(0.02)], week)),
    );
    kinds.extend([
        scaled(7000, 4, 2),
        autoscaled(7010, 2, 4, Some(7000), 152),
        scaled(8500, 4, 4),
        budgeted(8500, 4, 2),
        scaled(9000, 6, 4),
        autoscaled(9010, 4, 6, Some(9000), 90),
        scaled(11_000, 6, 6),
        budgeted(11_000, 6, 3),
        finished(SURGE, 16_000, "requests", 12_000, 0),
    ]);
    kinds.push(load_measured(SURGE, LoadPhase::During, None, (4000, 16_000), (12_000, 3)));
    kinds.extend([
        scaled(24_000, 2, 6),
        autoscaled(24_010, 6, 2, Some(24_000), 4),
        scaled(25_000, 2, 2),
        budgeted(25_000, 2, 1),
        steady(33_000),
        EventKind::Note { text: "end".into() },
        finished(VISITORS, 34_000, "stopped", 3300, 3300),
    ]);
    kinds.push(load_measured(VISITORS, LoadPhase::Before, None, (1000, 4000), (300, 0)));
    kinds.push(load_measured(VISITORS, LoadPhase::During, None, (4000, 16_000), (1200, 0)));
    kinds.push(load_measured(VISITORS, LoadPhase::After, None, (16_000, 34_000), (1800, 0)));
    kinds.extend([
        observed(),
        EventKind::PhaseStarted { phase: Phase::Verdict },
        super::failure::history(vec![]),
        EventKind::SloMeasured(slo_usage()),
        EventKind::RunFinished { demanded: Millis(30_000), bring_up: Millis(0) },
    ]);
    kinds
}
