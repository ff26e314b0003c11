//! Proof that an alert can be seen at all, before any clock starts (rule C20). `/-/ready` alone says it seconds too early:
//! targets and Alertmanagers are discovered later, and an alert that is sent before that is lost for a resend delay.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use harness_event::{Millis, Timestamp};

use super::{
    Alertmanager, Error, Prometheus, ReceiverClient, canary, chain,
    duration::promql_duration,
    exposition::Metrics,
    prometheus::Target,
    rules::{Rule, RuleGroup},
    text::{counted, listed},
};

/// Pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ReadinessOptions {
    /// Time for everything together.
    pub deadline: Duration,
    /// Every scrape job must have a target, every target be up and every rule healthy. Right for a stack of our own; a
    /// cluster in production has targets that are down for reasons of its own: there they are only reported.
    pub strict: bool,
}

/// A part that did not get ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{component} did not get ready within {waited}: {reason}")]
pub struct NotReady {
    /// Which part, for people.
    pub component: String,
    /// Why, as seen last.
    pub reason: String,
    /// How long it was waited for.
    pub waited: Millis,
}

/// Proves that targets are scraped, rules evaluated, Alertmanager connected and notifications delivered; all at the same time,
/// each reported as soon as it is proven.
///
/// # Errors
/// [`NotReady`] for the first part (in the order of the pipeline) that was not proven by the deadline.
pub async fn prove_ready(
    prometheus: &Prometheus,
    alertmanager: &Alertmanager,
    receiver: &ReceiverClient,
    run_id: &str,
    options: ReadinessOptions,
    proven: &mut (dyn FnMut(String) + Send),
) -> Result<(), NotReady> {
    let report = Report(Mutex::new(proven));
    let proof = Proof {
        prometheus,
        alertmanager,
        strict: options.strict,
        report: &report,
        scraped: Mutex::default(),
        evaluations: Mutex::default(),
    };
    let steps = [
        "Prometheus' targets",
        "Prometheus' rules",
        "Prometheus' connection to Alertmanager",
        canary::COMPONENT,
    ]
    .map(Step::new);
    let [targets, rules, connection, delivery] = &steps;
    let all = async {
        tokio::join!(
            proof.targets(targets),
            proof.rules(rules),
            proof.connection(connection),
            canary::prove_delivery(alertmanager, receiver, run_id, delivery, &report),
        )
    };
    let started = Instant::now();
    tokio::select! {
        _ = all => return Ok(()),
        () = tokio::time::sleep(options.deadline) => {}
        // The rest is there, and Alertmanager itself says that it cannot deliver: waiting longer changes nothing.
        () = canary::hopeless(alertmanager, || [targets, rules, connection].iter().all(|step| step.is_proven())) => {}
    }
    canary::resolve(alertmanager, run_id).await;
    let unproven = steps.iter().find_map(|step| Some((step.component, step.reason()?)));
    let (component, reason) = unproven.unwrap_or(("monitoring", "the deadline passed".to_owned()));
    let reason = match component {
        // A delivery may have failed for a reason that Prometheus' side cannot know.
        canary::COMPONENT => canary::explain(alertmanager, run_id, reason).await,
        _ => reason,
    };
    Err(NotReady { component: component.to_owned(), reason, waited: started.elapsed().into() })
}

/// Where a condition is: the reason why it does not hold yet.
pub(super) struct Step {
    pub(super) component: &'static str,
    reason: Mutex<Option<String>>,
}

impl Step {
    fn new(component: &'static str) -> Self {
        Self { component, reason: Mutex::new(Some("it was not asked yet".to_owned())) }
    }

    pub(super) fn set(&self, reason: Option<String>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn is_proven(&self) -> bool {
        self.reason().is_none()
    }

    fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A condition once looked at: proven with a text for people, or not yet and why.
type Look = Result<Result<String, String>, Error>;

struct Proof<'a> {
    prometheus: &'a Prometheus,
    alertmanager: &'a Alertmanager,
    strict: bool,
    report: &'a Report<'a>,
    /// When every target had been scraped once, by Prometheus' clock.
    scraped: Mutex<Option<Timestamp>>,
    /// Evaluation times that were seen, by file and name of the group.
    evaluations: Mutex<BTreeMap<(String, String), BTreeSet<Timestamp>>>,
}

/// Where proven conditions are told.
pub(super) struct Report<'a>(Mutex<&'a mut (dyn FnMut(String) + Send)>);

impl Report<'_> {
    pub(super) fn proven(&self, what: String) {
        (self.0.lock().unwrap_or_else(PoisonError::into_inner))(what);
    }
}

impl Proof<'_> {
    /// Notes the result of a look; true if the condition is proven.
    fn settle(&self, step: &Step, look: Look) -> bool {
        match look {
            Ok(Ok(what)) => {
                step.set(None);
                self.report.proven(what);
                true
            }
            Ok(Err(reason)) => {
                step.set(Some(reason));
                false
            }
            Err(error) => {
                step.set(Some(chain(&error)));
                false
            }
        }
    }

    async fn targets(&self, step: &Step) {
        while !self.settle(step, self.look_at_targets().await) {
            tokio::time::sleep(POLL).await;
        }
    }

    async fn rules(&self, step: &Step) {
        while !self.settle(step, self.look_at_rules().await) {
            tokio::time::sleep(POLL).await;
        }
    }

    async fn connection(&self, step: &Step) {
        while !self.settle(step, self.look_at_connection().await) {
            tokio::time::sleep(POLL).await;
        }
    }

    async fn look_at_targets(&self) -> Look {
        self.prometheus.ready().await?;
        let targets = self.prometheus.targets().await?;
        if targets.is_empty() {
            return Ok(Err("no target is discovered yet".to_owned()));
        }
        let named = |wanted: &dyn Fn(&Target) -> bool| {
            targets.iter().filter(|target| wanted(target)).map(describe).collect::<Vec<_>>()
        };
        let waiting = named(&|target| target.last_scrape.is_none() || target.health == "unknown");
        if !waiting.is_empty() {
            return Ok(Err(format!("not scraped yet: {}", listed(&waiting))));
        }
        let scraped =
            targets.iter().filter_map(|target| Some(target.last_scrape? + target.last_scrape_duration)).max();
        self.scraped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(scraped.unwrap_or_default());
        let down = named(&|target| target.health != "up");
        if self.strict {
            if !down.is_empty() {
                return Ok(Err(format!("down: {}", listed(&down))));
            }
            let jobs = self.prometheus.scrape_jobs().await?;
            let missing: Vec<_> = jobs
                .into_iter()
                .filter(|job| targets.iter().all(|target| target.scrape_pool != *job))
                .collect();
            if !missing.is_empty() {
                return Ok(Err(format!("scrape jobs without a target: {}", listed(&missing))));
            }
        }
        let once = self.scraped_once(&targets).await?;
        if !once.is_empty() {
            return Ok(Err(format!("scraped only once: {}", listed(&once))));
        }
        // Each has an earlier sample than its last: an evaluation since then has seen data.
        let earlier = targets.iter().filter_map(|target| {
            Some(target.last_scrape? - target.scrape_interval + target.last_scrape_duration)
        });
        if let Some(earlier) = earlier.max() {
            let mut scraped = self.scraped.lock().unwrap_or_else(PoisonError::into_inner);
            *scraped = scraped.map(|first| first.min(earlier));
        }
        let jobs: BTreeSet<&str> = targets.iter().map(|target| target.scrape_pool.as_str()).collect();
        let jobs = jobs.into_iter().collect::<Vec<_>>().join(", ");
        Ok(Ok(match down.len() {
            0 => format!("{} up and scraped at least twice ({jobs})", counted(targets.len(), "target")),
            n => {
                let all = counted(targets.len(), "target");
                format!("{all} scraped at least twice ({jobs}); {n} of them down: {}", listed(&down))
            }
        }))
    }

    /// Targets with fewer than two samples of `up` since this process of Prometheus started.
    async fn scraped_once(&self, targets: &[Target]) -> Result<Vec<String>, Error> {
        let metrics = Metrics::parse(&self.prometheus.metrics().await?);
        let started = metrics.sum("process_start_time_seconds").map_or(Timestamp(0), Timestamp::from_seconds);
        let longest = targets.iter().map(|target| target.scrape_interval).max().unwrap_or_default();
        // Samples of an earlier process are no proof for this one, old ones none for now.
        let window = Millis((Timestamp::now() - started).0.min(longest.0 * 3 + 5000));
        let counts =
            self.prometheus.query(&format!("count_over_time(up[{}])", promql_duration(window)), None).await?;
        let twice =
            |target: &Target| counts.iter().any(|count| count.value >= 2.0 && count.labels == target.labels);
        Ok(targets.iter().filter(|target| !twice(target)).map(Target::name).collect())
    }

    async fn look_at_rules(&self) -> Look {
        self.prometheus.ready().await?;
        // Before the rules: an iteration that is counted here has begun when they are read.
        let metrics = Metrics::parse(&self.prometheus.metrics().await?);
        let groups = self.prometheus.rules().await?;
        if groups.is_empty() {
            return Ok(Ok("no rule group is loaded, so there is nothing to wait for".to_owned()));
        }
        // A rule that had no data yet may still fail when it has.
        let Some(scraped) = *self.scraped.lock().unwrap_or_else(PoisonError::into_inner) else {
            return Ok(Err("the targets are not scraped yet, so the rules have no data".to_owned()));
        };
        let unevaluated: Vec<_> = groups
            .iter()
            .filter(|group| !self.evaluated(group, &metrics, scraped))
            .map(|group| group.name.clone())
            .collect();
        if !unevaluated.is_empty() {
            return Ok(Err(format!(
                "rule groups not evaluated yet (with alerts: twice, and once with data): {}",
                listed(&unevaluated)
            )));
        }
        let sick = super::health::sick_rules(&groups);
        if self.strict && !sick.is_empty() {
            return Ok(Err(format!("rules that fail: {}", listed(&sick))));
        }
        let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
        let evaluated = format!(
            "{} in {} evaluated, those with alerts at least twice",
            counted(rules, "rule"),
            counted(groups.len(), "rule group"),
        );
        Ok(Ok(match sick.len() {
            0 => format!("{evaluated}, all healthy"),
            n => format!("{evaluated}; {n} failing: {}", listed(&sick)),
        }))
    }

    /// Alerts are recorded only after the second evaluation of a group in the life of a process; and once with data. A group that
    /// only records is ready with the first: it may have an interval of its own, long beside that of the alerts, and a rule
    /// that fails when it has data is found in the health of all rules, which is looked at before and after the faults.
    fn evaluated(&self, group: &RuleGroup, metrics: &Metrics, scraped: Timestamp) -> bool {
        let Some(last) = group.last_evaluation else { return false };
        if group.rules.iter().any(|rule| rule.health().0 == "unknown") {
            return false;
        }
        if !group.rules.iter().any(|rule| matches!(rule, Rule::Alerting(_))) {
            return true;
        }
        let mut evaluations = self.evaluations.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = evaluations.entry((group.file.clone(), group.name.clone())).or_default();
        seen.insert(last);
        // Iterations are counted when they begin: of three, two are over.
        let key = format!("{};{}", group.file, group.name);
        let begun = metrics.sum_with("prometheus_rule_group_iterations_total", "rule_group", &key);
        last >= scraped && (seen.len() >= 2 || begun.is_some_and(|begun| begun >= 3.0))
    }

    async fn look_at_connection(&self) -> Look {
        self.prometheus.ready().await?;
        let discovered = self.prometheus.alertmanagers().await?;
        if discovered.is_empty() {
            return Ok(Err("Prometheus has not discovered an Alertmanager yet".to_owned()));
        }
        let firing: BTreeSet<String> = self
            .prometheus
            .alerts()
            .await?
            .into_iter()
            .filter(|alert| alert.state == "firing")
            .filter_map(|alert| alert.labels.get("alertname").cloned())
            .collect();
        if firing.is_empty() {
            return Ok(Ok(format!(
                "Prometheus is connected to {} (no alert is firing now, so that one arrives there is not proven yet)",
                listed(&discovered)
            )));
        }
        let known = self.alertmanager.alerts().await?;
        let arrived =
            firing.iter().find(|name| known.iter().any(|alert| alert.labels.get("alertname") == Some(name)));
        if let Some(name) = arrived {
            return Ok(Ok(format!("Prometheus sends alerts to Alertmanager ({name} has arrived there)")));
        }
        let metrics = Metrics::parse(&self.prometheus.metrics().await?);
        let count = |name: &str| metrics.sum(name).unwrap_or_default();
        Ok(Err(format!(
            "{} fires in Prometheus, but Alertmanager does not know it (errors {}, dropped {}; it is sent again after the resend delay)",
            listed(&firing.into_iter().collect::<Vec<_>>()),
            count("prometheus_notifications_errors_total"),
            count("prometheus_notifications_dropped_total"),
        )))
    }
}

fn describe(target: &Target) -> String {
    match target.last_error.as_str() {
        "" => target.name(),
        error => format!("{} ({error})", target.name()),
    }
}
