//! What happens to an error budget.

use super::{
    alerts::Judged,
    facts::{Facts, SloFacts},
    monitoring,
    outcome::CheckOutcome,
};
use crate::{Millis, SloDefinition, SloExpectation, SloGoal, SloSample, SloUsage, SloWindow, Timestamp};

/// Evaluations may be so far apart, or three times their usual distance if that is more: what burned between them is in the windows
/// of the next one, which are longer than this, but how high it rose is not known.
const GAP: Millis = Millis::from_secs(5);

/// Judges an expectation on an error budget.
pub(super) fn judge(facts: &Facts<'_>, fault: &str, expected: &SloExpectation) -> Judged {
    let judged = look(facts, fault, expected).and_then(|look| match expected.goal {
        SloGoal::BurnStaysBelow { window, rate } => look.burn_stays_below(window, rate),
        SloGoal::BudgetSpentBelow { share } => look.budget_spent_below(share),
    });
    judged.unwrap_or_else(|reason| (CheckOutcome::Inconclusive, reason, None))
}

struct Look<'f> {
    facts: &'f Facts<'f>,
    effect: Timestamp,
    definition: &'f SloDefinition,
    usage: &'f SloUsage,
    /// The last evaluation before the effect; the first of all if there is none.
    before: Option<&'f SloSample>,
    /// Evaluations from the effect to the end of the run.
    samples: Vec<&'f SloSample>,
    requests: f64,
}

/// Everything that both goals need.
fn look<'f>(facts: &'f Facts<'f>, fault: &str, expected: &SloExpectation) -> Result<Look<'f>, String> {
    let name = &expected.slo;
    let (stimulus, effect) = facts.effect(fault)?;
    // What the call itself breaks before its effect is seen is paid for as well.
    let effect = stimulus.applied_at.map_or(effect, |applied| applied.min(effect));
    let disturbed = monitoring::prometheus_disturbances(facts);
    if !disturbed.is_empty() {
        return Err(disturbed.join("; "));
    }
    let unknown = || format!("nothing is known of SLO {name:?}");
    let SloFacts { definition, missing, samples, usage } =
        facts.slos.get(name.as_str()).ok_or_else(unknown)?;
    if let Some(error) = missing {
        return Err(format!("SLO {name:?} is not known to Prometheus: {error}"));
    }
    let definition = definition.ok_or_else(unknown)?;
    let usage = usage.ok_or_else(|| format!("it was not measured what SLO {name:?} lost in the run"))?;
    let requests =
        known(usage.total).ok_or_else(|| format!("the number of requests of SLO {name:?} is not known"))?;
    if requests < expected.min_requests as f64 {
        return Err(format!(
            "low traffic: {} requests in the run, at least {} are needed to speak of a ratio",
            rounded(requests),
            expected.min_requests
        ));
    }
    let inside = |sample: &&&SloSample| {
        let at = facts.corrected(sample.sampled_at);
        at >= effect - facts.clock_bound() && at <= facts.end() + facts.clock_bound()
    };
    let before = samples.iter().rfind(|sample| facts.corrected(sample.sampled_at) <= effect);
    let before = before.or(samples.first()).copied();
    let samples: Vec<_> = samples.iter().filter(inside).copied().collect();
    let interval = interval(&samples);
    if facts.corrected(usage.from) > effect + interval
        || facts.corrected(usage.to) < facts.end() - interval - GAP
    {
        return Err(format!(
            "SLO {name:?} was measured from {} to {}, which is not the whole time since the start",
            facts.corrected(usage.from).clock(),
            facts.corrected(usage.to).clock()
        ));
    }
    reaches_the_end(facts, name, "the data", usage.known_until)?;
    let look = Look { facts, effect, definition, usage, before, samples, requests };
    look.without_gaps(|_| true, "was not evaluated")?;
    Ok(look)
}

/// # Errors
/// If what is known of an SLO ends before the last fault or timed load did: its last errors are not in it.
fn reaches_the_end(facts: &Facts<'_>, slo: &str, what: &str, until: Option<Timestamp>) -> Result<(), String> {
    let Some(over) = facts.faults.values().filter_map(|one| one.reverted.as_ref()).map(|(at, _)| *at).max()
    else {
        return Ok(());
    };
    match until.map(|at| facts.corrected(at)) {
        Some(at) if at >= over - facts.clock_bound() => Ok(()),
        Some(at) => {
            Err(format!("{what} of SLO {slo:?} ends at {}, before the faults and loads did", at.clock()))
        }
        None => Err(format!("it is not known how far {what} of SLO {slo:?} reaches")),
    }
}

/// The longest time between two evaluations that is no gap: three times the usual one.
fn interval(samples: &[&SloSample]) -> Millis {
    let mut steps: Vec<_> = samples.windows(2).map(|two| (two[1].sampled_at - two[0].sampled_at).0).collect();
    steps.sort_unstable();
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(0);
    Millis(usual * 3).max(GAP)
}

impl Look<'_> {
    /// # Errors
    /// If the samples that count leave a part of the time from the effect to the end open.
    fn without_gaps(&self, counts: impl Fn(&SloSample) -> bool, what: &str) -> Result<(), String> {
        let allowed = interval(&self.samples);
        let times = self.samples.iter().filter(|sample| counts(sample));
        let times = times.map(|sample| self.facts.corrected(sample.sampled_at));
        let mut known = self.effect;
        for at in times.chain([self.facts.end()]) {
            if at - known > allowed {
                let (length, name) = (at - known, &self.definition.slo);
                return Err(format!("SLO {name:?} {what} for {length} from {} on", known.clock()));
            }
            known = known.max(at);
        }
        Ok(())
    }

    /// The burn rate over the window at every evaluation, and the highest one that Prometheus recorded.
    ///
    /// # Windows that are longer than the history (C19)
    ///
    /// A window is only as long as its data. With a history `h` shorter than the window `w`, Prometheus' ratio is that of the last
    /// `h`, while the ratio over the whole window would be mixed with what happened in the `w - h` before, which nobody knows.
    ///
    /// - *It stayed below.* As long as `h` reaches back to the effect, every error of this run that the window can hold is in the
    ///   ratio, and it is not diluted by a healthy time before. The run's own contribution is therefore at most what was seen: the
    ///   expectation is met, with a caveat. If `h` does not reach back to the effect, errors of this run are missing: inconclusive.
    /// - *It rose above.* Over a full window, the same errors might have been diluted to less. Only what is above the limit even if
    ///   the unknown time was free of errors, with as much traffic as now (the rate times `h / w`), is a failure; the rest is
    ///   inconclusive.
    fn burn_stays_below(&self, window: Millis, limit: f64) -> Result<Judged, String> {
        let windows = &self.definition.windows;
        let Some(index) = windows.iter().position(|one| one.window == window) else {
            let known: Vec<_> = windows.iter().map(|one| length(one.window)).collect();
            let name = &self.definition.slo;
            return Err(format!(
                "SLO {name:?} has no window of {}, only {}",
                length(window),
                known.join(", ")
            ));
        };
        let value = |sample: &SloSample| sample.burn_rates.get(index).copied().and_then(known);
        let highest = self.samples.iter().filter_map(|sample| Some((value(sample)?, *sample)));
        let highest = highest.max_by(|one, two| one.0.total_cmp(&two.0));
        // Prometheus may have evaluated more often than it was asked.
        let recorded = self.usage.peaks.get(index).copied().and_then(known);
        let peak = highest.map(|(rate, _)| rate).into_iter().chain(recorded).max_by(f64::total_cmp);
        let Some(peak) = peak else {
            return Err(format!("the burn rate over {} has no value", length(window)));
        };
        let shortest = self.samples.iter().min_by_key(|sample| sample.history);
        let history = shortest.map_or(Millis(0), |sample| sample.history);
        let text = format!(
            "burn rate over {} at most {} in {} requests",
            length(window),
            rounded(peak),
            rounded(self.requests)
        );
        let is_short = history < windows[index].length;
        if peak > limit {
            // Windows reach back to before the run.
            if let Some(rate) = self.before.and_then(value).filter(|rate| *rate > limit) {
                let (window, rate) = (length(window), rounded(rate));
                return Err(format!(
                    "the burn rate over {window} was {rate} already before the start, not <= {limit}"
                ));
            }
            let text = format!("{text}, not <= {limit}");
            let full = windows[index].length.as_secs_f64();
            let diluted =
                |(rate, sample): (f64, &SloSample)| rate * (sample.history.as_secs_f64() / full).min(1.0);
            let certain = !is_short || highest.is_some_and(|highest| diluted(highest) > limit);
            return match certain {
                true => Ok((CheckOutcome::Failed, text, None)),
                false => Err(format!(
                    "{text}; but the window rests on {}, over all of it the rate may be lower",
                    self.facts.data(history)
                )),
            };
        }
        reaches_the_end(self.facts, &self.definition.slo, "the record", self.usage.recorded_until)?;
        self.without_gaps(|sample| value(sample).is_some(), "has no error ratio (no traffic, or no data)")?;
        if let Some(sample) = self.samples.iter().find(|sample| self.loses_the_start(sample, &windows[index]))
        {
            return Err(format!(
                "{text}; but at {} its data went back only {}, not to the start of the run's own errors",
                self.facts.corrected(sample.sampled_at).clock(),
                sample.history
            ));
        }
        // With as much traffic in the window as in the same time of the rest of the run.
        let measured = (self.usage.to - self.usage.from).as_secs_f64();
        let requests = self.requests * (windows[index].length.as_secs_f64() / measured).min(1.0);
        let hidden = self.unseen_errors() / requests.max(1.0) / (1.0 - self.definition.objective);
        if peak + hidden > limit {
            return Err(format!("{text}; but {}", self.unseen()));
        }
        let remark = match is_short {
            true => format!("; the window rests on {}", self.facts.data(history)),
            false => String::new(),
        };
        Ok((CheckOutcome::Passed, format!("{text}{remark}"), None))
    }

    /// True if errors of this run should be in the window and cannot be, since the data does not go back so far.
    fn loses_the_start(&self, sample: &SloSample, window: &SloWindow) -> bool {
        let since_effect = self.facts.corrected(sample.sampled_at) - self.effect;
        // Data begins with a scrape: the time of one gap is nobody's loss.
        sample.history + interval(&self.samples) < since_effect.min(window.length)
    }

    /// Errors that were counted before the first sample of a new counter. They would have made everything worse.
    fn unseen_errors(&self) -> f64 {
        known(self.usage.unseen_errors).unwrap_or(0.0)
    }

    fn unseen(&self) -> String {
        format!(
            "up to {} errors are missing in it, as they were counted before their counters were first seen",
            rounded(self.unseen_errors())
        )
    }

    fn budget_spent_below(&self, limit: f64) -> Result<Judged, String> {
        let name = &self.definition.slo;
        let spent = known(self.usage.budget_spent)
            .ok_or_else(|| format!("the budget that SLO {name:?} spent is not known"))?;
        let time = self.usage.spent_time.map_or_else(String::new, |time| format!(" ({time})"));
        let text = format!(
            "{}% of the error budget of {}{time} spent, {} errors in {} requests",
            rounded(spent * 100.0),
            length(self.definition.period),
            known(self.usage.errors).map_or_else(|| "?".to_owned(), rounded),
            rounded(self.requests)
        );
        let allowed = 1.0 - self.definition.objective;
        let own_time = self.definition.own_time(self.usage.to - self.usage.from);
        let share_of_period = own_time.as_secs_f64() / self.definition.period.as_secs_f64();
        let hidden = self.unseen_errors() / self.requests.max(1.0) / allowed * share_of_period;
        if spent <= limit && spent + hidden > limit {
            return Err(format!("{text}; but {}", self.unseen()));
        }
        if spent <= limit {
            match self.usage.blind {
                Some(blind) if blind <= interval(&self.samples) => {}
                Some(blind) => return Err(format!("{text}; but for {blind} there was nothing that counted")),
                None => return Err(format!("{text}; but it is not known whether all of it was counted")),
            }
        }
        Ok(match spent <= limit {
            true => (CheckOutcome::Passed, text, None),
            false => {
                (CheckOutcome::Failed, format!("{text}, at most {}% allowed", rounded(limit * 100.0)), None)
            }
        })
    }
}

/// The log has no infinity: what was written as none must be judged as none before it is written, too.
fn known(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// Up to four significant digits after the point, without zeros at the end.
pub(super) fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 0.1 => 3,
        _ => 6,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A window or a period as Prometheus writes it: `5m`, `6h`, `30d`.
pub(super) fn length(length: Millis) -> String {
    const UNITS: [(i64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let unit = UNITS.iter().find(|(unit, _)| length.0 != 0 && length.0 % unit == 0);
    unit.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", length.0 / unit))
}
