//! Faults and loads as they really were: when, and for how long.

use harness_event::{Chronicle, Deed, DeedKind, FaultAction, FaultSpec, Millis, Timestamp, WorkloadRef};

use super::{
    ExportOptions,
    alerts::Proposals,
    write::{Document, duration},
};

/// Times of faults and loads are given in steps of this: nothing here is exact to the millisecond.
const STEP: Millis = Millis(100);
/// Longest time from the baseline to the end of the last fault or load that the format takes.
const MAX_END: Millis = Millis::from_secs(24 * 3600);
/// After the last deadline the fault goes on so long.
const AFTER_DEADLINE: Millis = Millis::from_secs(1);

/// A fault or a load that begins after the baseline.
pub(super) struct Stimulus<'c> {
    /// Its index in the chronicle.
    pub(super) deed_index: usize,
    pub(super) deed: &'c Deed,
    /// From the end of the baseline.
    pub(super) start: Millis,
    /// None for a load that ends with its requests.
    pub(super) duration: Option<Millis>,
    /// How long it really was.
    pub(super) really: Millis,
    /// It is longer now.
    pub(super) lengthened: bool,
}

impl Stimulus<'_> {
    pub(super) fn name(&self) -> &str {
        self.deed.name()
    }

    fn end(&self) -> Option<Millis> {
        Some(self.start + self.duration?)
    }

    /// Nothing of the system depends on how long it is: it only says how long is looked.
    fn is_one_shot(&self) -> bool {
        self.deed.fault().is_some_and(|fault| changed(fault).is_none_or(|_| is_restart(fault)))
    }
}

fn is_restart(fault: &FaultSpec) -> bool {
    matches!(fault.action, FaultAction::Restart { .. })
}

/// The workload that a fault changes, of which no other may change it at the same time.
fn changed(fault: &FaultSpec) -> Option<&WorkloadRef> {
    match &fault.action {
        FaultAction::Scale { workload, .. } | FaultAction::Restart { workload } => Some(workload),
        FaultAction::DeletePods { .. } => None,
    }
}

fn rounded_up(length: Millis) -> Millis {
    Millis((length.0.max(1) + STEP.0 - 1) / STEP.0 * STEP.0)
}

/// All that can be done again, in order of their start. What cannot is remarked upon.
pub(super) fn of<'c>(chronicle: &'c Chronicle, remarks: &mut Vec<String>) -> Vec<Stimulus<'c>> {
    let mut found: Vec<Stimulus<'c>> = Vec::new();
    let mut zero: Option<Timestamp> = None;
    for (deed_index, deed) in chronicle.deeds.iter().enumerate() {
        let (began, length, really) = match times(deed) {
            Ok(times) => times,
            Err(reason) => {
                remarks.push(format!("{:?} is left out: {reason}", deed.name()));
                continue;
            }
        };
        let zero = *zero.get_or_insert(began);
        let start = Millis((began - zero).0.max(0) / STEP.0 * STEP.0);
        let mut stimulus = Stimulus { deed_index, deed, start, duration: length, really, lengthened: false };
        after_others(&mut stimulus, &found);
        if stimulus.end().unwrap_or(stimulus.start) > MAX_END {
            remarks.push(format!("{:?} is left out: it ended more than a day after the first", deed.name()));
            continue;
        }
        found.push(stimulus);
    }
    found.sort_by_key(|stimulus| stimulus.start);
    found
}

/// Rounding must not make two faults of one workload overlap.
fn after_others(stimulus: &mut Stimulus<'_>, others: &[Stimulus<'_>]) {
    let workload = stimulus.deed.fault().and_then(changed);
    let Some(workload) = workload else { return };
    let same = others.iter().filter(|other| other.deed.fault().and_then(changed) == Some(workload));
    if let Some(free) = same.filter_map(Stimulus::end).max() {
        stimulus.start = stimulus.start.max(free);
    }
}

/// When it began, how long it is to be, and how long it was.
fn times(deed: &Deed) -> Result<(Timestamp, Option<Millis>, Millis), String> {
    let because = |reason: &str| match &deed.error {
        Some(error) => format!("{reason} ({error})"),
        None => reason.to_owned(),
    };
    match &deed.what {
        DeedKind::Fault(_) => {
            let (Some(began), Some(effect)) = (deed.began_at, deed.effect_at) else {
                return Err(because("its effect was not seen"));
            };
            if deed.over_at.is_none() && deed.error.is_some() {
                return Err(because("it could not be undone"));
            }
            let ending = deed.ending_at.ok_or_else(|| because("its end was not seen"))?;
            let really = ending - effect;
            // A fault that was given all its time was meant to have that, and not the milliseconds that its end took.
            let own = deed.fault().map(|fault| fault.duration);
            let whole = own.filter(|own| !deed.stopped && really >= *own && really - *own < Millis(1000));
            Ok((began, Some(whole.unwrap_or_else(|| rounded_up(really))), really))
        }
        DeedKind::Load(spec) => {
            let began = deed.began_at.ok_or_else(|| because("it did not begin"))?;
            let ended = deed.ending_at.ok_or_else(|| because("its end was not seen"))?;
            let really = ended - began;
            // The answers to its last requests may have come after its own end.
            let own = super::loads::own_length(spec);
            let length = match deed.reason.as_deref() {
                Some("stopped") => Some(own.map_or(rounded_up(really), |own| own.min(rounded_up(really)))),
                _ => own,
            };
            if length.is_none() && spec.requests.is_none() {
                return Err("nothing would end it".to_owned());
            }
            if let Some(length) = length
                && super::loads::is_silent(spec, length)
            {
                return Err("it was stopped before it sent anything".to_owned());
            }
            Ok((began, length, really))
        }
    }
}

/// Makes faults longer where the deadlines of their alerts ask for it and that is wanted, or where it changes nothing; alerts
/// that came too late for what remains are not expected.
pub(super) fn give_time(stimuli: &mut [Stimulus<'_>], proposals: &mut Proposals<'_>, options: ExportOptions) {
    for at in 0..stimuli.len() {
        let needed = proposals.needed(stimuli[at].deed_index).map(|needed| needed + AFTER_DEADLINE);
        let longer = needed.filter(|needed| stimuli[at].duration.is_some_and(|length| length < *needed));
        let may = stimuli[at].deed.fault().is_some() && (options.lengthen || stimuli[at].is_one_shot());
        if let (Some(longer), true) = (longer, may)
            && has_room(stimuli, at, longer)
        {
            stimuli[at].duration = Some(longer);
            stimuli[at].lengthened = true;
        }
        proposals.fit(stimuli[at].deed_index, stimuli[at].duration);
    }
}

fn has_room(stimuli: &[Stimulus<'_>], at: usize, length: Millis) -> bool {
    let one = &stimuli[at];
    let workload = one.deed.fault().and_then(changed);
    let end = one.start + length;
    let next = stimuli[at + 1..]
        .iter()
        .find(|other| workload.is_some() && other.deed.fault().and_then(changed) == workload);
    end <= MAX_END && next.is_none_or(|next| end <= next.start)
}

pub(super) fn write_faults(out: &mut Document, stimuli: &[Stimulus<'_>], remarks: &[String]) {
    let faults: Vec<_> =
        stimuli.iter().filter_map(|stimulus| Some((stimulus, stimulus.deed.fault()?))).collect();
    if faults.is_empty() && remarks.is_empty() {
        return;
    }
    out.heading("what breaks");
    remarks.iter().for_each(|remark| out.comment(remark));
    for (stimulus, fault) in faults {
        write_fault(out, stimulus, fault);
    }
}

fn write_fault(out: &mut Document, stimulus: &Stimulus<'_>, fault: &FaultSpec) {
    let length = stimulus.duration.unwrap_or(stimulus.really);
    out.gap();
    if stimulus.deed.stopped {
        out.comment("It was stopped by hand before its time.");
    }
    out.table("[[fault]]");
    out.set("name", fault.name.as_str());
    out.set("start", duration(stimulus.start));
    let comment = match stimulus.lengthened {
        false => String::new(),
        true => format!("it was {}; now as long as the deadlines below need", stimulus.really),
    };
    out.set_noted("duration", duration(length), &comment);
    out.set("effect_within", duration(fault.effect_within));
    match &fault.action {
        FaultAction::Scale { workload, replicas } => {
            out.table("[fault.scale]");
            out.set("workload", workload.to_string());
            out.set("replicas", i64::from(*replicas));
        }
        FaultAction::DeletePods { selector, count, grace_period_seconds } => {
            out.table("[fault.delete_pods]");
            out.set("selector", selector.as_str());
            out.maybe("count", count.map(i64::from));
            out.maybe("grace_period_seconds", grace_period_seconds.map(i64::from));
        }
        FaultAction::Restart { workload } => {
            out.table("[fault.restart]");
            out.set("workload", workload.to_string());
        }
    }
}
