//! Lists, sorted and filtered: made when data or order changed, never while drawing.

use std::{borrow::Cow, cmp::Ordering};

use harness_event::{
    CheckOutcome, Labels, RunState,
    state::{AlertKind, AlertPhase, AlertView, ExpectationView, FaultStage, PodView, Progress},
};

use super::{List, Lists};

/// Namespace and name.
pub type PodKey = (String, String);

/// What is shown, in the order in which it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    /// Pods.
    pub pods: Vec<PodKey>,
    /// Alerts.
    pub alerts: Vec<Labels>,
    /// Places in [`RunState::expectations`].
    pub expectations: Vec<usize>,
    /// Places in [`RunState::loads`].
    pub loads: Vec<usize>,
    /// Places in [`RunState::faults`].
    pub faults: Vec<usize>,
    /// Places in [`RunState::log`].
    pub log: Vec<usize>,
    /// Pods that are not gone, and of them those that are ready.
    pub ready: (usize, usize),
    /// Restarts of all of them.
    pub restarts: i64,
    /// Alerts that fire, and of them those that are unexpected.
    pub firing: (usize, usize),
    /// Alerts that are pending.
    pub pending: usize,
}

/// Which lists have to be made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stale([bool; List::ALL.len()]);

impl Stale {
    /// All.
    pub const ALL: Self = Self([true; List::ALL.len()]);

    /// One.
    pub fn mark(&mut self, list: List) {
        self.0[list as usize] = true;
    }

    /// Is there any?
    pub fn any(self) -> bool {
        self.0.contains(&true)
    }

    fn has(self, list: List) -> bool {
        self.0[list as usize]
    }
}

impl Index {
    /// Number of rows of a list.
    pub fn rows(&self, list: List) -> usize {
        match list {
            List::Pods => self.pods.len(),
            List::Alerts => self.alerts.len(),
            List::Expectations => self.expectations.len(),
            List::Loads => self.loads.len(),
            List::Faults => self.faults.len(),
            List::Log => self.log.len(),
        }
    }

    /// Makes lists anew. Cursors that somebody placed stay with their rows.
    pub fn rebuild(&mut self, state: &RunState, lists: &mut Lists, stale: Stale) {
        if stale.has(List::Pods) {
            let held = self.pods.get(lists[List::Pods].cursor).cloned();
            self.pods(state, lists);
            place(lists, List::Pods, held.as_ref(), &self.pods);
        }
        if stale.has(List::Alerts) {
            let held = self.alerts.get(lists[List::Alerts].cursor).cloned();
            self.alerts(state, lists);
            place(lists, List::Alerts, held.as_ref(), &self.alerts);
        }
        for list in [List::Expectations, List::Loads, List::Faults, List::Log] {
            if !stale.has(list) {
                continue;
            }
            let made = match list {
                List::Expectations => expectations(state, lists),
                List::Loads => loads(state, lists),
                List::Faults => faults(state, lists),
                _ => log(state, lists),
            };
            let shown = match list {
                List::Expectations => &mut self.expectations,
                List::Loads => &mut self.loads,
                List::Faults => &mut self.faults,
                _ => &mut self.log,
            };
            let held = shown.get(lists[list].cursor).copied();
            *shown = made;
            place(lists, list, held.as_ref(), shown);
        }
    }

    fn pods(&mut self, state: &RunState, lists: &Lists) {
        let order = &lists[List::Pods];
        let filter = Filter::new(&order.filter);
        let (mut all, mut ready, mut restarts) = (0, 0, 0);
        let mut rows = Vec::with_capacity(state.pods.len());
        // There may be thousands: once through, and what is sorted by is looked up once for each.
        for (key, pod) in &state.pods {
            let is_ready = is_ready(pod);
            if !pod.seen.gone {
                all += 1;
                ready += usize::from(is_ready);
                restarts += i64::from(pod.seen.restarts);
            }
            let owner = pod.seen.owner.as_deref().unwrap_or_default();
            if filter.is_in(&[&key.1, &key.0, &pod.seen.status, owner]) {
                rows.push((rank(order.column, pod, is_ready), key, pod));
            }
        }
        (self.ready, self.restarts) = ((all, ready), restarts);
        // They come sorted by namespace and name, and the sort is stable.
        match order.column {
            1 => rows.sort_by(|(_, a, _), (_, b, _)| a.1.cmp(&b.1)),
            2 => rows.sort_by(|(_, _, a), (_, _, b)| a.seen.status.cmp(&b.seen.status)),
            _ => rows.sort_by_key(|(rank, ..)| *rank),
        }
        if order.reverse {
            rows.reverse();
        }
        // Names go where names were: most frames change few of them.
        self.pods.truncate(rows.len());
        let known = self.pods.len();
        for (shown, (_, key, _)) in self.pods.iter_mut().zip(&rows) {
            if shown != *key {
                shown.0.clone_from(&key.0);
                shown.1.clone_from(&key.1);
            }
        }
        self.pods.extend(rows[known..].iter().map(|(_, key, _)| (*key).clone()));
    }

    fn alerts(&mut self, state: &RunState, lists: &Lists) {
        let order = &lists[List::Alerts];
        let filter = Filter::new(&order.filter);
        let count = |phase| state.alerts.values().filter(|alert| alert.state == phase).count();
        let unexpected =
            |alert: &&AlertView| alert.state == AlertPhase::Firing && alert.kind == AlertKind::Unexpected;
        self.firing = (count(AlertPhase::Firing), state.alerts.values().filter(unexpected).count());
        self.pending = count(AlertPhase::Pending);
        let mut rows: Vec<_> =
            state.alerts.iter().filter(|(labels, _)| filter.is_in_any(labels.values())).collect();
        match order.column {
            1 => {}
            2 => rows.sort_by_key(|(_, alert)| std::cmp::Reverse(alert.since)),
            _ => rows.sort_by_key(|(_, alert)| urgency(alert)),
        }
        if order.reverse {
            rows.reverse();
        }
        self.alerts = rows.into_iter().map(|(labels, _)| labels.clone()).collect();
    }
}

/// Running, with all containers ready, or done for good.
pub(crate) fn is_ready(pod: &PodView) -> bool {
    pod.seen.ready || pod.seen.status == "Completed" || pod.seen.status == "Succeeded"
}

/// What a pod is sorted by in a column of numbers: the smallest first.
fn rank(column: usize, pod: &PodView, is_ready: bool) -> (i64, i64) {
    let restarts = -i64::from(pod.seen.restarts);
    let most = |value: Option<u64>| value.map_or(1, |value| -i64::try_from(value).unwrap_or(i64::MAX));
    match column {
        3 => (restarts, 0),
        4 => (most(pod.usage.as_ref().map(|usage| usage.cpu_millicores)), 0),
        5 => (most(pod.usage.as_ref().map(|usage| usage.memory_bytes)), 0),
        // The youngest first; without a time at the end.
        6 => (pod.seen.created_at.map_or(i64::MAX, |at| -at.0), 0),
        _ => {
            let class = match (pod.seen.gone, is_ready) {
                (false, false) => 0,
                (true, _) => 1,
                (false, true) if pod.seen.restarts > 0 => 2,
                (false, true) => 3,
            };
            (class, restarts)
        }
    }
}

/// What asks for attention first. What may be active anyway (a watchdog) does not, and what never fired least of all.
fn urgency(alert: &AlertView) -> u8 {
    match (alert.state, alert.kind) {
        (AlertPhase::Firing, AlertKind::Unexpected) => 0,
        (AlertPhase::Firing, AlertKind::Expected | AlertKind::Unjudged) => 1,
        (AlertPhase::Pending, AlertKind::Unexpected) => 2,
        (AlertPhase::Pending, AlertKind::Expected | AlertKind::Unjudged) => 3,
        (AlertPhase::Inactive, AlertKind::Unexpected) if has_fired(alert) => 4,
        (AlertPhase::Firing | AlertPhase::Pending, AlertKind::Allowed) => 5,
        (AlertPhase::Inactive, _) if has_fired(alert) => 6,
        (AlertPhase::Inactive, _) => 7,
    }
}

/// It fires, or did: an alert that was only pending has told nobody.
pub(crate) fn has_fired(alert: &AlertView) -> bool {
    alert.state == AlertPhase::Firing || alert.history.iter().any(|(_, state)| *state == AlertPhase::Firing)
}

fn concern(expectation: &ExpectationView) -> u8 {
    match &expectation.progress {
        Progress::Missed { .. } => 0,
        Progress::Judged { outcome: CheckOutcome::Failed, .. } => 0,
        Progress::Judged { outcome: CheckOutcome::Inconclusive, .. } => 1,
        Progress::Late { .. } => 1,
        Progress::Waiting { .. } => 2,
        Progress::NotStarted => 3,
        Progress::Met { .. } | Progress::Judged { outcome: CheckOutcome::Passed, .. } => 4,
    }
}

fn expectations(state: &RunState, lists: &Lists) -> Vec<usize> {
    let order = &lists[List::Expectations];
    let filter = Filter::new(&order.filter);
    let view = |place: &usize| &state.expectations[*place];
    let by = |a: &usize, b: &usize| match order.column {
        1 => concern(view(a)).cmp(&concern(view(b))),
        _ => Ordering::Equal,
    };
    places(
        state.expectations.len(),
        |place| filter.is_in(&[&view(place).id, &view(place).title]),
        by,
        order.reverse,
    )
}

fn loads(state: &RunState, lists: &Lists) -> Vec<usize> {
    let order = &lists[List::Loads];
    let filter = Filter::new(&order.filter);
    let view = |place: &usize| &state.loads[*place];
    let by = |a: &usize, b: &usize| match order.column {
        1 => view(a).spec.name.cmp(&view(b).spec.name),
        2 => view(b).failed.cmp(&view(a).failed),
        _ => Ordering::Equal,
    };
    places(state.loads.len(), |place| filter.is_in(&[&view(place).spec.name]), by, order.reverse)
}

fn faults(state: &RunState, lists: &Lists) -> Vec<usize> {
    let order = &lists[List::Faults];
    let filter = Filter::new(&order.filter);
    let view = |place: &usize| &state.faults[*place];
    let stage = |place: &usize| match view(place).stage {
        FaultStage::LeftBehind(_) => 0,
        FaultStage::Failed(_) => 1,
        FaultStage::Applying | FaultStage::Applied | FaultStage::Active | FaultStage::Reverting => 2,
        FaultStage::Waiting => 3,
        FaultStage::Reverted => 4,
    };
    let by = |a: &usize, b: &usize| match order.column {
        1 => view(a).spec.name.cmp(&view(b).spec.name),
        2 => stage(a).cmp(&stage(b)),
        _ => Ordering::Equal,
    };
    let kept =
        |place: &usize| filter.is_in(&[&view(place).spec.name]) || filter.is_in_any(&view(place).targets);
    places(state.faults.len(), kept, by, order.reverse)
}

fn log(state: &RunState, lists: &Lists) -> Vec<usize> {
    let order = &lists[List::Log];
    if order.filter.is_empty() && !order.reverse && order.column == 0 {
        return (0..state.log.len()).collect();
    }
    let filter = Filter::new(&order.filter);
    let subject = List::Log.columns().get(order.column).copied().filter(|_| order.column > 0);
    let kept = |place: &usize| {
        let line = &state.log[*place];
        subject.is_none_or(|subject| crate::view::log::name(line.subject) == subject)
            && filter.is_in(&[&line.text])
    };
    places(state.log.len(), kept, |_, _| Ordering::Equal, order.reverse)
}

fn places(
    length: usize,
    kept: impl Fn(&usize) -> bool,
    by: impl FnMut(&usize, &usize) -> Ordering,
    reverse: bool,
) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..length).filter(kept).collect();
    rows.sort_by(by);
    if reverse {
        rows.reverse();
    }
    rows
}

fn place<T: PartialEq>(lists: &mut Lists, list: List, held: Option<&T>, rows: &[T]) {
    let order = &mut lists[list];
    let last = rows.len().saturating_sub(1);
    if order.follow {
        order.cursor = if order.reverse { 0 } else { last };
    } else if order.held
        && let Some(held) = held
        && let Some(row) = rows.iter().position(|row| row == held)
    {
        order.cursor = row;
    }
    order.cursor = order.cursor.min(last);
}

/// Text that a row must contain, in any case; `!` before it turns it around.
struct Filter {
    text: String,
    inverse: bool,
}

impl Filter {
    fn new(filter: &str) -> Self {
        let (text, inverse) = filter.strip_prefix('!').map_or((filter, false), |text| (text, true));
        Self { text: text.to_lowercase(), inverse: inverse && !text.is_empty() }
    }

    fn is_in(&self, texts: &[&str]) -> bool {
        self.text.is_empty() || texts.iter().any(|text| self.in_text(text)) != self.inverse
    }

    fn is_in_any<'a>(&self, texts: impl IntoIterator<Item = &'a String>) -> bool {
        self.text.is_empty() || texts.into_iter().any(|text| self.in_text(text)) != self.inverse
    }

    fn in_text(&self, text: &str) -> bool {
        let text = match text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Borrowed(text),
            false => Cow::Owned(text.to_lowercase()),
        };
        text.contains(&self.text)
    }
}
