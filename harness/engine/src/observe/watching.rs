//! Watching a cluster without a scenario.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use harness_event::{EventKind, FORMAT_VERSION, Monitoring, Plan, RunMode, RunTarget};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Scope,
    slo::{find_slos, known_slos, watch_slos},
    system::watch_system,
};
use crate::{
    Target,
    log::Log,
    monitor::{ALERT_WATCH, Prometheus, Upstreams, chain, clock_offset, rules, watch_alerts},
};

/// Pause between two looks at the alerts.
const ALERT_POLL: Duration = Duration::from_millis(500);
/// Pause between two looks at the rules, which change seldom,
const RULES_POLL: Duration = Duration::from_secs(30);
/// and while Prometheus does not answer.
const AWAY_POLL: Duration = Duration::from_secs(3);
/// Measurements of the clock's offset; the best counts.
const CLOCK_ROUNDS: u32 = 2;
/// Time limit of the first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// What stands for the version of something that does not answer,
const AWAY: &str = "not reachable";
/// and of something that was not asked.
const NOT_ASKED: &str = "not watched";
/// Name of the observer of rules and SLOs. No verdict looks at it.
const RULES_OBSERVER: &str = "rules of Prometheus";

/// What is watched.
pub struct WatchOptions {
    /// Whose pods, autoscalers, budgets, Events.
    pub scope: Scope,
    /// Address of Prometheus; none if there is none, and then there are no alerts, rules and SLOs.
    pub prometheus: Option<String>,
    /// Version of the harness.
    pub version: String,
    /// Version that the API server gave.
    pub kubernetes: String,
}

/// Reports what happens in a cluster until told to stop. Nothing is changed, and no part of it is needed: what cannot be watched is
/// reported as an outage, and the rest goes on.
pub async fn watch_cluster(options: WatchOptions, target: &Target, log: &Log, stop: &CancellationToken) {
    log.record(EventKind::RunStarted {
        format: FORMAT_VERSION,
        run: "watch".to_owned(),
        harness: options.version.clone(),
        scenario: String::new(),
        scenario_sha256: String::new(),
        mode: RunMode::Watch,
        plan: plan(&options),
    });
    let connected = |prometheus: String| {
        log.record(EventKind::TargetConnected(RunTarget {
            context: target.context.clone(),
            server: target.server.clone(),
            kubernetes: options.kubernetes.clone(),
            prometheus,
            alertmanager: NOT_ASKED.to_owned(),
        }));
    };
    let mut observers = JoinSet::new();
    stop.run_until_cancelled(watch_system(&target.client, &options.scope, log, stop, &mut observers)).await;
    match prometheus(&options, target).await {
        Ok(Some(prometheus)) => {
            let (alerts, log_of_alerts, stop_alerts) = (prometheus.clone(), log.clone(), stop.clone());
            observers.spawn(async move {
                let mut alerts = Box::pin(watch_alerts(alerts, ALERT_POLL));
                while let Some(Some(kind)) = stop_alerts.run_until_cancelled(alerts.next()).await {
                    log_of_alerts.record(kind);
                }
            });
            let version = timeout(FIRST_ANSWER, prometheus.version());
            match stop.run_until_cancelled(version).await {
                Some(Ok(Ok(version))) => connected(version),
                _ => connected(AWAY.to_owned()),
            }
            let (log, stop) = (log.clone(), stop.clone());
            observers.spawn(async move {
                stop.run_until_cancelled(watch_rules(prometheus, log, &stop)).await;
            });
        }
        Ok(None) => {
            connected(NOT_ASKED.to_owned());
            let error = "no Prometheus was named (--prometheus): alerts and SLOs are not watched".to_owned();
            log.record(EventKind::ObserverFailed { observer: ALERT_WATCH.to_owned(), error });
        }
        Err(error) => {
            connected(AWAY.to_owned());
            log.record(EventKind::ObserverFailed { observer: ALERT_WATCH.to_owned(), error });
        }
    }
    stop.cancelled().await;
    observers.join_all().await;
}

async fn prometheus(options: &WatchOptions, target: &Target) -> Result<Option<Prometheus>, String> {
    let Some(address) = &options.prometheus else { return Ok(None) };
    let upstreams = Upstreams::new(target.client.clone()).map_err(|error| chain(&error))?;
    let upstream = upstreams.connect(address).await.map_err(|error| chain(&error))?;
    Ok(Some(Prometheus::new(upstream)))
}

/// A plan that does nothing.
fn plan(options: &WatchOptions) -> Plan {
    let (namespace, title) = match &options.scope {
        Scope::Namespace(namespace) => (namespace.clone(), format!("Watch of {namespace}")),
        Scope::All => (String::new(), "Watch of all namespaces".to_owned()),
    };
    let prometheus = options.prometheus.clone().unwrap_or_default();
    Plan {
        title,
        description: String::new(),
        namespace,
        monitoring: Monitoring { prometheus, alertmanager: String::new(), receiver: String::new() },
        baseline: harness_event::Millis(0),
        steady_state: Vec::new(),
        probes: Vec::new(),
        loads: Vec::new(),
        slos: Vec::new(),
        compress: None,
        history: None,
        faults: Vec::new(),
        expectations: Vec::new(),
        allowed_alerts: Vec::new(),
    }
}

/// Reports the alerting rules when they have changed, and the burn rates of the SLOs that there are.
async fn watch_rules(prometheus: Prometheus, log: Log, stop: &CancellationToken) {
    let (mut told, mut failing) = (None, false);
    let mut watched = Watched::default();
    loop {
        let pause = match look(&prometheus, &mut told, &mut watched, &log, stop).await {
            Ok(()) => {
                if std::mem::take(&mut failing) {
                    log.record(EventKind::ObserverRecovered { observer: RULES_OBSERVER.to_owned() });
                }
                RULES_POLL
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    let (observer, error) = (RULES_OBSERVER.to_owned(), chain(&error));
                    log.record(EventKind::ObserverFailed { observer, error });
                }
                AWAY_POLL
            }
        };
        sleep(pause).await;
    }
}

/// The SLOs whose burn rates are being reported.
#[derive(Default)]
struct Watched {
    known: Vec<String>,
    /// What was said of each.
    told: BTreeMap<String, EventKind>,
    task: Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
}

async fn look(
    prometheus: &Prometheus,
    told: &mut Option<EventKind>,
    watched: &mut Watched,
    log: &Log,
    stop: &CancellationToken,
) -> Result<(), crate::monitor::Error> {
    let read = rules::rules_read(&prometheus.rules().await?);
    if told.as_ref() != Some(&read) {
        log.record(read.clone());
        *told = Some(read);
    }
    let known = known_slos(prometheus).await?;
    if known == watched.known {
        return Ok(());
    }
    let clock = clock_offset(prometheus, CLOCK_ROUNDS).await?;
    let mut slos = Vec::new();
    for (slo, found) in find_slos(prometheus, &known).await? {
        let fact = match found {
            Ok(found) => {
                let fact = EventKind::SloDefined(found.definition.clone());
                slos.push(found);
                fact
            }
            Err(error) => EventKind::SloMissing { slo: slo.clone(), error: error.to_string() },
        };
        if watched.told.get(&slo) != Some(&fact) {
            log.record(fact.clone());
            watched.told.insert(slo, fact);
        }
    }
    watched.told.retain(|slo, _| known.contains(slo));
    if let Some((stop, task)) = watched.task.take() {
        stop.cancel();
        let _ = task.await;
    }
    let stop = stop.child_token();
    let task = tokio::spawn(watch_slos(prometheus.clone(), slos, clock.offset, log.clone(), stop.clone()));
    *watched = Watched { known, told: std::mem::take(&mut watched.told), task: Some((stop, task)) };
    Ok(())
}
