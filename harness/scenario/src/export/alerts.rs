//! Alerts that were seen: which of them can be expected, and by when.

use std::collections::{BTreeMap, BTreeSet};

use harness_event::{Chronicle, LabelMatcher, Labels, Millis, Plan, SeenAlert, Timestamp};

use super::stimuli::Stimulus;

/// Room beside a measured time: at least so much, and this share of it.
const LEAST_ROOM: Millis = Millis::from_secs(3);
const ROOM_PERCENT: i64 = 30;
/// Where the end of the fault leaves less room than that: at least so much, and this share of it.
const SCANT_ROOM: Millis = Millis::from_secs(1);
const SCANT_PERCENT: i64 = 15;
/// Longest deadline of the format.
const LONGEST: Millis = Millis::from_secs(24 * 3600);
/// Longest name of an alert in the format, in characters.
const MAX_NAME: usize = 200;
/// An alert must have been quiet so long before a fault, beside the baseline, for another run to be sure of it.
const QUIET: Millis = Millis::from_secs(5);

/// A measured time and the deadline made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) measured: Millis,
    pub(super) within: Millis,
}

impl Deadline {
    /// With room, in whole seconds.
    pub(super) fn after(measured: Millis) -> Option<Self> {
        let measured = measured.max(Millis(0));
        let room = LEAST_ROOM.max(Millis(measured.0.saturating_mul(ROOM_PERCENT) / 100));
        let within = Millis((measured + room).0.saturating_add(999) / 1000 * 1000);
        (within <= LONGEST).then_some(Self { measured, within })
    }

    /// The same, before this time. None if that leaves too little room.
    fn before(self, limit: Millis) -> Option<Self> {
        let scant = SCANT_ROOM.max(Millis(self.measured.0 * SCANT_PERCENT / 100));
        let within = self.within.min(limit);
        (self.measured + scant <= within).then_some(Self { within, ..self })
    }
}

/// What is expected of one alert after one fault or load.
#[derive(Debug)]
pub(super) struct Proposal<'c> {
    pub(super) alert: &'c str,
    pub(super) severity: Option<&'c str>,
    /// Of the chronicle.
    pub(super) deed: usize,
    pub(super) pending: Option<Deadline>,
    pub(super) firing: Option<Deadline>,
    pub(super) delivered: Option<(Deadline, &'c str)>,
    pub(super) resolved: Option<Deadline>,
    /// What is not expected, and why.
    pub(super) comments: Vec<String>,
}

impl Proposal<'_> {
    fn is_empty(&self) -> bool {
        self.pending.is_none() && self.firing.is_none() && self.delivered.is_none() && self.resolved.is_none()
    }
}

/// An alert that may become active without being expected, and why.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Allowed {
    pub(super) alert: String,
    pub(super) severity: Option<String>,
    pub(super) why: String,
}

/// What is expected of alerts.
#[derive(Debug, Default)]
pub(super) struct Proposals<'c> {
    pub(super) expected: Vec<Proposal<'c>>,
    pub(super) allowed: BTreeSet<Allowed>,
    too_late: usize,
}

/// Alerts that cannot be told apart by an expectation: one name, one severity.
type Key<'c> = (&'c str, Option<&'c str>);

fn key(labels: &Labels) -> Key<'_> {
    let name = labels.get("alertname").map_or("", String::as_str);
    (name, labels.get("severity").map(String::as_str))
}

/// What was seen, as what must be seen.
pub(super) fn propose<'c>(chronicle: &'c Chronicle, plan: &Plan, stimuli: &[Stimulus<'c>]) -> Proposals<'c> {
    let mut proposals = Proposals::default();
    let mut groups = BTreeMap::<(usize, Key<'c>), Vec<&'c SeenAlert>>::new();
    let allowed = |labels: &Labels| plan.allowed_alerts.iter().any(|one| LabelMatcher::all(one, labels));
    for alert in &chronicle.active_before {
        if !allowed(&alert.labels) {
            proposals.allow(key(&alert.labels), &format!("{} before anything was done", alert.state));
        }
    }
    for alert in chronicle.alerts.iter().filter(|alert| !allowed(&alert.labels)) {
        let of = alert.after.filter(|deed| stimuli.iter().any(|stimulus| stimulus.deed_index == *deed));
        match (alert.firing_at, of) {
            (None, _) => proposals.allow(key(&alert.labels), "was pending, and did not fire"),
            (Some(_), None) => proposals.allow(key(&alert.labels), "belongs to nothing that is done here"),
            (Some(_), Some(deed)) => groups.entry((deed, key(&alert.labels))).or_default().push(alert),
        }
    }
    for ((deed, key), episodes) in groups {
        match proposal(chronicle, plan, deed, key, &episodes) {
            Ok(proposal) => proposals.expected.push(proposal),
            Err(why) => proposals.allow(key, &why),
        }
    }
    proposals
}

fn proposal<'c>(
    chronicle: &'c Chronicle,
    plan: &Plan,
    deed: usize,
    key: Key<'c>,
    episodes: &[&'c SeenAlert],
) -> Result<Proposal<'c>, String> {
    let (alert, severity) = key;
    let readable = !alert.trim().is_empty()
        && alert.chars().count() <= MAX_NAME
        && !alert.chars().any(char::is_control)
        && !["=~", "!=", "!~"].iter().any(|operator| alert.starts_with(operator));
    if !readable {
        return Err("fired; its name is none that can be expected".to_owned());
    }
    let done = &chronicle.deeds[deed];
    let (Some(began), Some(effect)) = (done.began_at, done.effect_at) else {
        return Err("fired; the effect of its cause was not seen".to_owned());
    };
    quiet_before(chronicle, plan, key, began)?;
    let mut comments = Vec::new();
    let after = |at: Timestamp| Deadline::after(at - effect);
    let began = episodes.iter().map(|episode| episode.began_at).min();
    let firing = episodes.iter().filter_map(|episode| episode.firing_at).min();
    let delivered = episodes.iter().filter_map(|episode| episode.delivered.as_ref()).min();
    if delivered.is_none() {
        comments.push("No notification of it arrived at the alert receiver.".to_owned());
    }
    let firing = firing.and_then(after);
    let not_before = |deadline: Deadline, earlier: Option<Deadline>| Deadline {
        within: deadline.within.max(earlier.map_or(Millis(0), |earlier| earlier.within)),
        ..deadline
    };
    let receiver = delivered.filter(|(_, receiver)| {
        !receiver.trim().is_empty()
            && receiver.chars().count() <= MAX_NAME
            && !receiver.chars().any(char::is_control)
    });
    let resolved = resolved(chronicle, deed, key, episodes).map_err(|why| comments.push(why)).ok();
    Ok(Proposal {
        alert,
        severity,
        deed,
        pending: began.and_then(after),
        firing,
        delivered: receiver
            .and_then(|(at, receiver)| Some((not_before(after(*at)?, firing), receiver.as_str()))),
        resolved,
        comments,
    })
}

/// All episodes of these alerts.
fn episodes_of<'c>(chronicle: &'c Chronicle, wanted: Key<'c>) -> impl Iterator<Item = &'c SeenAlert> {
    chronicle.alerts.iter().filter(move |alert| key(&alert.labels) == wanted)
}

/// An alert that was active shortly before tells nothing about what was done.
fn quiet_before(chronicle: &Chronicle, plan: &Plan, wanted: Key<'_>, began: Timestamp) -> Result<(), String> {
    let since = began - plan.baseline - QUIET;
    let active = episodes_of(chronicle, wanted)
        .any(|alert| alert.began_at < began && alert.ended_at.is_none_or(|ended| ended >= since));
    let before = chronicle.active_before.iter().any(|alert| key(&alert.labels) == wanted);
    if active || before {
        return Err("fired, but was active shortly before its cause".to_owned());
    }
    Ok(())
}

fn resolved(
    chronicle: &Chronicle,
    deed: usize,
    wanted: Key<'_>,
    episodes: &[&SeenAlert],
) -> Result<Deadline, String> {
    let done = &chronicle.deeds[deed];
    let (Some(ending), Some(over)) = (done.ending_at, done.over_at) else {
        return Err("The end of its cause was not seen, so it is not expected to resolve.".to_owned());
    };
    let ends: Option<Vec<Timestamp>> = episodes.iter().map(|episode| episode.ended_at).collect();
    let Some(ends) = ends else {
        return Err("It had not resolved when the recording ended.".to_owned());
    };
    if ends.iter().any(|end| *end < ending) {
        return Err("It resolved before its cause was over, so that is not expected of it.".to_owned());
    }
    if chronicle.resolved_by_absence.contains(wanted.0) {
        return Err("Its data was gone when it resolved, so that is not expected of it.".to_owned());
    }
    let again = episodes_of(chronicle, wanted)
        .any(|alert| alert.began_at > episodes[0].began_at && alert.after != Some(deed));
    if again {
        return Err("It was active again later, so it is not expected to stay resolved.".to_owned());
    }
    let last = ends.into_iter().max().unwrap_or(over);
    Deadline::after(last - over).ok_or_else(|| "It took more than a day to resolve.".to_owned())
}

impl<'c> Proposals<'c> {
    fn allow(&mut self, (alert, severity): Key<'_>, why: &str) {
        // Of one alert, one reason is enough.
        let same = |one: &Allowed| one.alert == alert && one.severity.as_deref() == severity;
        if !alert.is_empty() && !self.allowed.iter().any(same) {
            let (alert, severity) = (alert.to_owned(), severity.map(str::to_owned));
            self.allowed.insert(Allowed { alert, severity, why: why.to_owned() });
        }
    }

    /// The latest deadline that lies within this fault or load.
    pub(super) fn needed(&self, deed: usize) -> Option<Millis> {
        let of_it = self.expected.iter().filter(|proposal| proposal.deed == deed);
        let deadlines = of_it.flat_map(|proposal| {
            let delivered = proposal.delivered.map(|(deadline, _)| deadline);
            [proposal.pending, proposal.firing, delivered].into_iter().flatten()
        });
        deadlines.map(|deadline| deadline.within).max()
    }

    /// Takes away what lies after the end of this fault or load.
    pub(super) fn fit(&mut self, deed: usize, length: Option<Millis>) {
        let Some(length) = length else { return };
        let too_late = |state: &str, measured: Millis| {
            format!(
                "It was {state} after {measured}, too close to the end of its cause to be expected; make that longer to do so."
            )
        };
        for proposal in self.expected.iter_mut().filter(|proposal| proposal.deed == deed) {
            for (state, deadline) in [("pending", &mut proposal.pending), ("firing", &mut proposal.firing)] {
                if let Some(found) = *deadline {
                    *deadline = found.before(length);
                    if deadline.is_none() {
                        self.too_late += 1;
                        proposal.comments.push(too_late(state, found.measured));
                    }
                }
            }
            if let Some((found, receiver)) = proposal.delivered {
                proposal.delivered = found.before(length).map(|deadline| (deadline, receiver));
                if proposal.delivered.is_none() {
                    self.too_late += 1;
                    proposal.comments.push(too_late("delivered", found.measured));
                }
            }
            // It may resolve only after it has fired; whether it does so in time is not known then.
            if proposal.firing.is_none() {
                proposal.resolved = None;
            }
        }
        let (kept, empty) = std::mem::take(&mut self.expected).into_iter().partition(|one| !one.is_empty());
        self.expected = kept;
        let empty: Vec<Proposal<'c>> = empty;
        for proposal in empty {
            self.allow((proposal.alert, proposal.severity), "fired, but too close to the end of its cause");
        }
    }

    /// Steps of alerts that came too late to be expected.
    pub(super) fn too_late(&self) -> usize {
        self.too_late
    }

    /// Alerts that are allowed and not expected.
    pub(super) fn only_allowed(&self) -> impl Iterator<Item = &Allowed> {
        self.allowed.iter().filter(|allowed| {
            !self
                .expected
                .iter()
                .any(|one| one.alert == allowed.alert && one.severity == allowed.severity.as_deref())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_have_room_and_end_with_the_fault() {
        let of = |ms: i64| Deadline::after(Millis(ms)).unwrap();
        assert_eq!(of(7400).within, Millis(11_000));
        assert_eq!(of(-50), Deadline { measured: Millis(0), within: Millis(3000) });
        assert_eq!(of(60_000).within, Millis(78_000));
        assert_eq!(Deadline::after(Millis(i64::MAX / 100)), None);
        assert_eq!(of(7400).before(Millis(10_200)).unwrap().within, Millis(10_200));
        assert_eq!(of(9300).before(Millis(10_200)), None, "less than 15 % of room");
    }
}
