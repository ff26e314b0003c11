//! What holds a change back: stabilization windows, scaling policies, minimum and maximum.

use k8s_openapi::{
    api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerSpec},
    jiff::{SignedDuration, Timestamp},
};

use super::AutoscalerOptions;

/// Longest window and period that the API allows; what is older has no effect.
const LONGEST: SignedDuration = SignedDuration::from_secs(3600);
/// Without a behavior: pods at most doubled by one step, or brought to four.
const UP_FACTOR: i32 = 2;
const UP_MINIMUM: i32 = 4;

/// What is remembered of an autoscaler between two looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// What the metrics asked for, before anything held it back.
    recommendations: Vec<(Timestamp, i32)>,
    /// Pods added.
    ups: Vec<(Timestamp, i32)>,
    /// Pods removed.
    downs: Vec<(Timestamp, i32)>,
}

impl Memory {
    /// The size that was found first counts as the first recommendation, so that a new autoscaler is not hasty.
    pub fn begin(&mut self, replicas: i32, now: Timestamp) {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, replicas));
        }
    }

    /// Remembers a change that was carried out.
    pub fn scaled(&mut self, from: i32, to: i32, now: Timestamp) {
        if to > from {
            self.ups.push((now, to.saturating_sub(from)));
        } else {
            self.downs.push((now, from.saturating_sub(to)));
        }
    }

    fn recommend(&mut self, replicas: i32, now: Timestamp) {
        let cutoff = before(now, LONGEST);
        for past in [&mut self.recommendations, &mut self.ups, &mut self.downs] {
            past.retain(|(time, _)| *time >= cutoff);
        }
        self.recommendations.push((now, replicas));
    }
}

fn before(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

/// Reason and message of a condition.
pub type Why = (&'static str, &'static str);

/// A recommendation after everything that holds it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Replicas.
    pub replicas: i32,
    /// Condition `AbleToScale`.
    pub able: Why,
    /// Condition `ScalingLimited`: whether it is true.
    pub limited: bool,
    /// Condition `ScalingLimited`: why.
    pub limit: Why,
}

const READY: Why = ("ReadyForNewScale", "recommended size matches current size");
const UP_STABILIZED: Why = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);
const DOWN_STABILIZED: Why = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const WITHIN: Why = ("DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_MANY: Why = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: Why = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const UP_LIMIT: Why =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const DOWN_LIMIT: Why =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");

/// Holds a recommendation back, and remembers it.
pub fn hold(
    spec: &HorizontalPodAutoscalerSpec,
    options: &AutoscalerOptions,
    memory: &mut Memory,
    current: i32,
    wanted: i32,
    now: Timestamp,
) -> Held {
    let minimum = spec.min_replicas.unwrap_or(1);
    let rules = spec
        .behavior
        .as_ref()
        .and_then(|behavior| Some((behavior.scale_up.as_ref()?, behavior.scale_down.as_ref()?)));
    let Some((up, down)) = rules else {
        let stable = stabilize_down(memory, options, wanted, now);
        let able = if stable == wanted { READY } else { DOWN_STABILIZED };
        let (replicas, limit) = within_defaults(current, stable, minimum, spec.max_replicas);
        return Held { replicas, able, limited: replicas != stable, limit };
    };
    let stable = stabilize(memory, options, up, down, current, wanted, now);
    let able = match stable == wanted {
        true => READY,
        false if wanted >= current => UP_STABILIZED,
        false => DOWN_STABILIZED,
    };
    let (replicas, limit) =
        within_rules(memory, up, down, current, stable, (minimum, spec.max_replicas), now);
    Held { replicas, able, limited: replicas != stable, limit }
}

/// The highest recommendation of the cluster-wide window.
fn stabilize_down(memory: &mut Memory, options: &AutoscalerOptions, wanted: i32, now: Timestamp) -> i32 {
    let window = SignedDuration::try_from(options.downscale_stabilization).unwrap_or(LONGEST);
    let cutoff = before(now, window);
    let recent = memory.recommendations.iter().filter(|(time, _)| *time >= cutoff);
    let highest = recent.map(|(_, replicas)| *replicas).chain([wanted]).max().unwrap_or(wanted);
    memory.recommend(wanted, now);
    highest
}

/// Brings the current size no further than recent recommendations agree: up to the lowest, down to the highest.
fn stabilize(
    memory: &mut Memory,
    options: &AutoscalerOptions,
    up: &HPAScalingRules,
    down: &HPAScalingRules,
    current: i32,
    wanted: i32,
    now: Timestamp,
) -> i32 {
    let seconds = |rules: &HPAScalingRules| rules.stabilization_window_seconds.map(i64::from);
    let up_window = SignedDuration::from_secs(seconds(up).unwrap_or(0));
    let down_window = match seconds(down) {
        Some(seconds) => SignedDuration::from_secs(seconds),
        None => SignedDuration::from_secs(
            i64::try_from(options.downscale_stabilization.as_secs()).unwrap_or(LONGEST.as_secs()),
        ),
    };
    let recent = |window: SignedDuration| {
        let cutoff = before(now, window);
        memory.recommendations.iter().filter(move |(time, _)| *time > cutoff).map(|(_, replicas)| *replicas)
    };
    let lowest = recent(up_window).chain([wanted]).min().unwrap_or(wanted);
    let highest = recent(down_window).chain([wanted]).max().unwrap_or(wanted);
    memory.recommend(wanted, now);
    current.max(lowest).min(highest)
}

fn within_defaults(current: i32, wanted: i32, minimum: i32, maximum: i32) -> (i32, Why) {
    let limit = current.saturating_mul(UP_FACTOR).max(UP_MINIMUM);
    let (highest, why) = if maximum > limit { (limit, UP_LIMIT) } else { (maximum, TOO_MANY) };
    if wanted < minimum {
        (minimum, TOO_FEW)
    } else if wanted > highest {
        (highest, why)
    } else {
        (wanted, WITHIN)
    }
}

fn within_rules(
    memory: &Memory,
    up: &HPAScalingRules,
    down: &HPAScalingRules,
    current: i32,
    wanted: i32,
    (minimum, maximum): (i32, i32),
    now: Timestamp,
) -> (i32, Why) {
    if wanted > current {
        let limit = rate_limit(memory, up, current, now, true).max(current);
        let (highest, why) = if maximum > limit { (limit, UP_LIMIT) } else { (maximum, TOO_MANY) };
        if wanted > highest {
            return (highest, why);
        }
    } else if wanted < current {
        let limit = rate_limit(memory, down, current, now, false).min(current);
        let (lowest, why) = if minimum < limit { (limit, DOWN_LIMIT) } else { (minimum, TOO_FEW) };
        if wanted < lowest {
            return (lowest, why);
        }
    }
    (wanted, WITHIN)
}

/// Furthest size that the policies of one direction allow now.
fn rate_limit(memory: &Memory, rules: &HPAScalingRules, current: i32, now: Timestamp, up: bool) -> i32 {
    let select = rules.select_policy.as_deref().unwrap_or("Max");
    if select == "Disabled" {
        return current;
    }
    let changed = |events: &[(Timestamp, i32)], seconds: i32| {
        let cutoff = before(now, SignedDuration::from_secs(i64::from(seconds)));
        events
            .iter()
            .filter(|(time, _)| *time > cutoff)
            .fold(0_i32, |sum, (_, pods)| sum.saturating_add(*pods))
    };
    let proposed = rules.policies.iter().flatten().map(|policy| {
        let added = changed(&memory.ups, policy.period_seconds);
        let removed = changed(&memory.downs, policy.period_seconds);
        let start = current.saturating_sub(added).saturating_add(removed);
        let percent = f64::from(policy.value) / 100.0;
        match (policy.type_.as_str(), up) {
            ("Percent", true) => (f64::from(start) * (1.0 + percent)).ceil() as i32,
            ("Percent", false) => (f64::from(start) * (1.0 - percent)) as i32,
            (_, true) => start.saturating_add(policy.value),
            (_, false) => start.saturating_sub(policy.value),
        }
    });
    // The greatest change is the highest size on the way up and the lowest on the way down.
    let furthest = if up == (select != "Min") { proposed.max() } else { proposed.min() };
    furthest.unwrap_or(current)
}
