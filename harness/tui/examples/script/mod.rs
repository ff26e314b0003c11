//! A scripted run for tests, the example and the benchmark: a database fails under visitors and a surge, an alert that is expected and
//! one that is not fire, an autoscaler follows, an error budget burns, and all is well again.

use harness_event::{
    AlertExpectation, AlertState, Event, EventKind, Expectation, ExpectationKind, FaultAction, FaultSpec,
    LabelMatcher, Labels, LoadSample, LoadStart, Millis, ObservedPod, Phase, PodUsage, RateStage, RunMode,
    RunTarget, SloDefinition, SloSample, SloWindow, Timestamp, WorkloadRef,
    verdict::testkit::{self as kit, START},
};

/// Length of the run.
pub const END: i64 = 70_000;

/// The facts up to a time since the start, in milliseconds.
pub fn until(ms: i64) -> Vec<Event> {
    let mut kinds = kinds();
    kinds.sort_by_key(|(at, _)| *at);
    let kept = kinds.into_iter().take_while(|(at, _)| *at <= ms).enumerate();
    kept.map(|(seq, (at, kind))| Event { seq: seq as u64, at: START + Millis(at), elapsed: Millis(at), kind })
        .collect()
}

pub fn plan() -> harness_event::Plan {
    let mut plan = kit::plan();
    plan.title = "The database fails while people use the gallery".into();
    plan.baseline = Millis(10_000);
    let mut visitors = kit::load_spec("visitors", LoadStart::Background);
    visitors.stages = vec![RateStage { rate: 100.0, to: None, length: None }];
    let mut surge = kit::load_spec("surge", LoadStart::After(Millis(5_000)));
    surge.duration = Some(Millis(25_000));
    plan.loads = vec![visitors, surge];
    plan.steady_state.clear();
    plan.slos = vec!["gallery-portal-availability".into()];
    plan.faults = vec![FaultSpec {
        name: kit::FAULT.into(),
        action: FaultAction::Scale {
            workload: WorkloadRef { kind: "Deployment".into(), name: "postgres".into() },
            replicas: 0,
        },
        start: Millis(0),
        duration: Millis(30_000),
        effect_within: Millis(5_000),
    }];
    let titles = [
        "APIServiceDown is pending 8 s after the effect",
        "APIServiceDown fires 20 s after the effect",
        "APIServiceDown is delivered to the receiver in 22 s",
        "APIServiceDown resolves 15 s after the database is back",
        "no other alert fires",
        "login answers 503 while the database is away",
        "login answers 200 again",
        "postgres has a ready replica again",
        "the steady state holds again",
    ];
    for (expectation, title) in plan.expectations.iter_mut().zip(titles) {
        expectation.title = title.into();
        if let ExpectationKind::Alert(alert) = &mut expectation.kind {
            alert.within = match alert.state {
                AlertState::Pending => Millis(8_000),
                AlertState::Firing => Millis(20_000),
                AlertState::Delivered => Millis(22_000),
                AlertState::Resolved => Millis(15_000),
            };
        }
    }
    let surge = AlertExpectation {
        alert: "ImageLatencyHigh".into(),
        labels: vec![LabelMatcher::equal("severity", "ticket")],
        state: AlertState::Firing,
        within: Millis(40_000),
        receiver: None,
    };
    plan.expectations.push(Expectation {
        id: "alert/ImageLatencyHigh/firing".into(),
        title: "ImageLatencyHigh fires in the surge".into(),
        line: 1,
        fault: "surge".into(),
        kind: ExpectationKind::Alert(surge),
    });
    plan
}

fn kinds() -> Vec<(i64, EventKind)> {
    let phase = |phase| EventKind::PhaseStarted { phase };
    let fault = || kit::FAULT.to_owned();
    let scale = plan().faults[0].action.clone();
    let mut kinds = vec![
        (0, started(RunMode::Scenario)),
        (100, phase(Phase::Prepare)),
        (300, connected()),
        (1_500, EventKind::ReadinessProven { what: "every target was scraped twice".into() }),
        (2_500, EventKind::ClockMeasured { offset: Millis(3), bound: Millis(1) }),
        (2_600, slo_defined()),
        (3_000, phase(Phase::Baseline)),
        (3_100, EventKind::LoadStarted { load: "visitors".into(), started_at: kit::at(3_050) }),
        (3_200, scaler(3_200, 2, 2, 31)),
        (3_300, kit::budgeted(3_300, 2, 1)),
        (12_900, EventKind::BaselineTaken { alerts: vec![] }),
        (12_950, kit::observed()),
        (13_000, phase(Phase::Fault)),
        (
            13_050,
            EventKind::FaultPlanned {
                fault: fault(),
                action: scale,
                targets: vec!["deployment/postgres".into()],
                inverse: "scale deployment/postgres to 1".into(),
            },
        ),
        (13_200, EventKind::FaultApplied { fault: fault(), sent_at: kit::at(13_100) }),
        (14_000, pod("postgres-5f4", "Terminating", (0, 1), 0)),
        (
            14_200,
            EventKind::FaultEffectObserved {
                fault: fault(),
                effect_at: kit::at(14_150),
                detail: "deployment/postgres has 0 ready replicas".into(),
            },
        ),
        (15_000, gone("postgres-5f4")),
        (18_000, EventKind::LoadStarted { load: "surge".into(), started_at: kit::at(18_000) }),
        (19_000, alert(kit::ALERT, "page", "pending", 19_000)),
        (22_000, pod("api-7d9c", "CrashLoopBackOff", (0, 1), 2)),
        (23_000, scaler(23_000, 2, 6, 152)),
        (24_000, scaler(24_000, 4, 6, 140)),
        (24_100, pod("images-2c", "ContainerCreating", (0, 1), 0)),
        (25_500, pod("images-2c", "Running", (1, 1), 0)),
        (26_000, scaler(26_000, 6, 6, 71)),
        (29_000, alert(kit::ALERT, "page", "firing", 19_000)),
        (30_000, notification(30_000, "firing")),
        (31_000, alert("RedisQueueStuck", "page", "pending", 31_000)),
        (36_000, alert("RedisQueueStuck", "page", "firing", 31_000)),
        (
            38_000,
            EventKind::ObserverFailed { observer: "alertmanager".into(), error: "connection refused".into() },
        ),
        (41_500, EventKind::ObserverRecovered { observer: "alertmanager".into() }),
        (
            43_000,
            EventKind::LoadFinished {
                load: "surge".into(),
                ended_at: kit::at(43_000),
                reason: "duration".into(),
                begun: 25_000,
                due: 0,
                most_behind: Millis(0),
            },
        ),
        (44_100, phase(Phase::Heal)),
        (44_200, EventKind::FaultRevertStarted { fault: fault(), sent_at: kit::at(44_200) }),
        (46_000, pod("postgres-9a1", "Running", (1, 1), 0)),
        (
            46_100,
            EventKind::FaultRevertVerified {
                fault: fault(),
                effect_at: kit::at(46_050),
                detail: "deployment/postgres has 1 ready replica".into(),
            },
        ),
        (46_200, phase(Phase::Recovery)),
        (47_000, pod("api-7d9c", "Running", (1, 1), 3)),
        (49_000, alert(kit::ALERT, "page", "inactive", 19_000)),
        (51_000, alert("RedisQueueStuck", "page", "inactive", 31_000)),
        (52_000, notification(52_000, "resolved")),
        (55_000, scaler(55_000, 6, 2, 12)),
        (57_000, scaler(57_000, 2, 2, 30)),
        (65_900, kit::observed()),
        (
            65_950,
            EventKind::LoadFinished {
                load: "visitors".into(),
                ended_at: kit::at(65_900),
                reason: "stopped".into(),
                begun: 6_000,
                due: 6_000,
                most_behind: Millis(20),
            },
        ),
        (66_000, phase(Phase::Verdict)),
        (66_500, recorded()),
        (
            66_600,
            EventKind::AlertInputsChecked {
                alert: kit::ALERT.into(),
                resolved_at: kit::at(49_000),
                present: true,
                detail: "up: 1 of 1".into(),
            },
        ),
        (70_000, EventKind::RunFinished { demanded: Millis(50_000), bring_up: Millis(0) }),
    ];
    for (name, restarts) in
        [("api-7d9c", 0), ("auth-66b", 1), ("images-1b", 0), ("portal-8fd", 0), ("postgres-5f4", 0)]
    {
        kinds.push((400, pod(name, "Running", (1, 1), restarts)));
    }
    kinds.push((410, pod("redis-0", "Running", (2, 2), 0)));
    for second in 3..66 {
        let ms = second * 1000 + 500;
        // The worker is silent for three seconds: samples are missing, not zero.
        if !(33..36).contains(&second) {
            let broken = (14..46).contains(&second);
            kinds.push((
                ms,
                sampled("visitors", ms, 100, if broken { 37 } else { 0 }, if broken { 900 } else { 40 }),
            ));
        }
        if (18..43).contains(&second) {
            kinds.push((
                ms,
                sampled("surge", ms, 800 + 40 * (second as u64 % 7), 0, 120 + 20 * (second as u64 - 18)),
            ));
        }
        let burn = if (16..48).contains(&second) { 370.0 * (second - 15) as f64 / 33.0 } else { 0.0 };
        kinds.push((ms + 60, burned(ms, burn)));
        let healthy = !(14..46).contains(&second);
        let body = if healthy { "ok" } else { "database away" };
        kinds.push((
            ms + 100,
            EventKind::ProbeAnswered {
                probe: "user".into(),
                step: "login".into(),
                round: second as u64,
                sent_at: kit::at(ms),
                latency_us: 20_000,
                status: Some(if healthy { 200 } else { 503 }),
                body: body.into(),
                error: None,
                healthy,
            },
        ));
    }
    for second in (0..66).step_by(15) {
        kinds.push((second * 1000 + 900, measured(second)));
    }
    kinds
}

pub fn started(mode: RunMode) -> EventKind {
    match kit::run_started(plan()).kind {
        EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, plan, .. } => {
            EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, mode, plan }
        }
        other => other,
    }
}

fn connected() -> EventKind {
    EventKind::TargetConnected(RunTarget {
        context: "embedded".into(),
        server: "https://127.0.0.1:6443".into(),
        kubernetes: "v1.34.0".into(),
        prometheus: "2.42.0".into(),
        alertmanager: "0.25.0".into(),
    })
}

pub fn pod(name: &str, status: &str, (ready, all): (u32, u32), restarts: i32) -> EventKind {
    EventKind::PodObserved(ObservedPod {
        namespace: "gallery".into(),
        pod: name.into(),
        status: status.into(),
        ready: ready == all,
        restarts,
        gone: false,
        ready_containers: ready,
        containers: all,
        owner: name.split('-').next().map(|owner| format!("deployment/{owner}")),
        node: Some("node-1".into()),
        created_at: Some(START - Millis::from_secs(3_600)),
        message: None,
    })
}

fn gone(name: &str) -> EventKind {
    match pod(name, "Terminating", (0, 1), 0) {
        EventKind::PodObserved(pod) => EventKind::PodObserved(ObservedPod { gone: true, ..pod }),
        other => other,
    }
}

fn measured(second: i64) -> EventKind {
    let usage = |(place, pod): (usize, &str)| PodUsage {
        namespace: "gallery".into(),
        pod: pod.into(),
        cpu_millicores: 20 + 35 * place as u64 + second as u64,
        memory_bytes: (48 + 17 * place as u64) << 20,
    };
    let pods = ["api-7d9c", "auth-66b", "images-1b", "portal-8fd", "redis-0"];
    EventKind::PodsMeasured {
        sampled_at: kit::at(second * 1000),
        pods: pods.into_iter().enumerate().map(usage).collect(),
    }
}

fn scaler(ms: i64, current: i32, desired: i32, cpu: u32) -> EventKind {
    kit::autoscaled(ms, current, desired, None, cpu)
}

fn sampled(load: &str, ms: i64, requests: u64, failed: u64, p50_ms: u64) -> EventKind {
    let sample = LoadSample {
        from: kit::at(ms - 1000),
        length: Millis(1000),
        users: 20,
        requests,
        failed,
        behind: Millis(0),
        p50_us: p50_ms * 1000,
        p95_us: p50_ms * 2_500,
        p99_us: p50_ms * 4_000,
    };
    EventKind::LoadSampled { load: load.into(), sample }
}

pub fn alert(name: &str, severity: &str, state: &str, active_ms: i64) -> EventKind {
    let labels = [("alertname", name), ("namespace", "gallery"), ("severity", severity)];
    let labels: Labels =
        labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // The scripted notification has no namespace.
    let labels = if name == kit::ALERT { kit::alert_labels() } else { labels };
    EventKind::AlertSeen {
        labels,
        state: state.into(),
        active_at: Some(kit::at(active_ms)),
        value: Some("0".into()),
    }
}

/// What Prometheus recorded about the alerts.
fn recorded() -> EventKind {
    let mut unexpected = [kit::series("pending", 31_000, 36_000), kit::series("firing", 36_000, 51_000)];
    for series in &mut unexpected {
        series.labels.insert("alertname".into(), "RedisQueueStuck".into());
        series.labels.insert("namespace".into(), "gallery".into());
    }
    let expected = [kit::series("pending", 19_000, 29_000), kit::series("firing", 29_000, 49_000)];
    match kit::history(expected.into_iter().chain(unexpected).collect()) {
        EventKind::AlertHistoryRead { from, series, sha256, .. } => {
            EventKind::AlertHistoryRead { from, to: kit::at(67_000), series, sha256 }
        }
        other => other,
    }
}

fn notification(ms: i64, status: &str) -> EventKind {
    let EventKind::NotificationReceived(mut notification) = kit::notification(ms, status) else {
        unreachable!()
    };
    for alert in &mut notification.alerts {
        alert.starts_at = kit::at(29_000);
        alert.ends_at = (status == "resolved").then(|| kit::at(49_000));
    }
    EventKind::NotificationReceived(notification)
}

fn slo_defined() -> EventKind {
    let window = |minutes: i64, name: &str| SloWindow {
        window: Millis(minutes * 60_000),
        length: Millis(minutes * 60_000),
        record: format!("slo:sli_error:ratio_rate{name}"),
    };
    EventKind::SloDefined(SloDefinition {
        slo: "gallery-portal-availability".into(),
        service: "gallery-portal".into(),
        objective: 0.999,
        period: Millis(30 * 86_400_000),
        windows: vec![
            window(5, "5m"),
            window(30, "30m"),
            window(60, "1h"),
            window(360, "6h"),
            window(43_200, "30d"),
        ],
        expression: "x".into(),
    })
}

fn burned(ms: i64, burn: f64) -> EventKind {
    let rates = [burn, burn / 6.0, burn / 12.0, burn / 72.0, burn / 8_640.0];
    EventKind::SloSampled(SloSample {
        slo: "gallery-portal-availability".into(),
        sampled_at: Timestamp(START.0 + ms),
        burn_rates: rates.map(Some).into(),
        history: Millis(7 * 86_400_000),
    })
}
