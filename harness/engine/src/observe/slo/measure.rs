//! What a run cost of an error budget: its own errors and requests, not those of whatever the windows reach back to.

use std::collections::{BTreeMap, BTreeSet};

use harness_event::{Labels, Millis, SloSample, SloUsage, Timestamp};

use super::{
    definition::{ERROR_RATIO, Slo},
    expression::{Counted, Ratio, Unit},
    figures::{error_ratio, fill, low_traffic},
};
use crate::monitor::{Error, InstantSample, Prometheus, Target, chain, promql_duration};

/// Fewer scrapes than this share of those that were due are worth a remark.
const SCRAPED: f64 = 0.9;
/// Names in a remark.
const SHOWN: usize = 3;

/// Measures an SLO from `from` to `to`, both on Prometheus' clock and with data up to `to`: the expressions of its shortest window
/// over exactly this time. What could not be read is none, with a caveat.
///
/// `samples` are those that were seen in the run.
pub async fn measure_slo(
    prometheus: &Prometheus,
    slo: &Slo,
    from: Timestamp,
    to: Timestamp,
    samples: &[SloSample],
) -> SloUsage {
    let mut usage = SloUsage {
        slo: slo.id().to_owned(),
        from,
        to,
        total: None,
        errors: None,
        unseen_errors: None,
        known_until: None,
        recorded_until: None,
        blind: None,
        error_ratio: None,
        budget_spent: None,
        spent_time: None,
        exhausted_in: None,
        peaks: vec![None; slo.definition.windows.len()],
        caveats: Vec::new(),
    };
    if to <= from {
        usage.caveats.push("nothing was measured: the run ended before it began".to_owned());
        return usage;
    }
    let read = async {
        let targets = feeding(prometheus, slo, Some(to)).await?;
        Look { prometheus, slo, from, to, targets }.read(&mut usage, samples).await
    };
    if let Err(error) = read.await {
        usage.caveats.push(format!("not everything could be read: {}", chain(&error)));
        // Half of the figures acquit nobody: what was read says nothing without what hides in counters, holes and peaks.
        (usage.total, usage.errors, usage.error_ratio) = (None, None, None);
    }
    fill(&mut usage, slo.budget(), slo.definition.own_time(to - from));
    usage
}

/// The targets that an SLO's series come from; all of them where that cannot be told, as of recorded series.
pub(super) async fn feeding(
    prometheus: &Prometheus,
    slo: &Slo,
    at: Option<Timestamp>,
) -> Result<Vec<Target>, Error> {
    let selectors = match &slo.ratio {
        Ratio::Events { errors, total } => [&errors.selectors[..], &total.selectors].concat(),
        Ratio::Raw(ratio) => ratio.selectors.clone(),
    };
    let sources =
        prometheus.query(&format!("count by (job, instance) ({})", selectors.join(" or ")), at).await?;
    let sources: BTreeSet<_> = sources.iter().map(|sample| place(&sample.labels)).collect();
    let (own, others): (Vec<_>, Vec<_>) =
        prometheus.targets().await?.into_iter().partition(|target| sources.contains(&place(&target.labels)));
    Ok(if own.is_empty() { others } else { own })
}

/// Which target a series is from.
fn place(labels: &Labels) -> (String, String) {
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    (label("job"), label("instance"))
}

struct Look<'l> {
    prometheus: &'l Prometheus,
    slo: &'l Slo,
    from: Timestamp,
    to: Timestamp,
    targets: Vec<Target>,
}

impl Look<'_> {
    fn length(&self) -> Millis {
        self.to - self.from
    }

    async fn query(&self, expression: &str) -> Result<Vec<InstantSample>, Error> {
        self.prometheus.query(expression, Some(self.to)).await
    }

    /// Over which time expressions are evaluated: one scrape longer than the measured time. What was counted between the last
    /// scrape before `from` and the first one after it belongs to this time, and `rate()` sees it only with both. It relates what
    /// it sees to the time between its first and last sample, which is the measured time, give or take a scrape.
    fn evaluated(&self) -> Millis {
        let longest = self.targets.iter().map(|target| target.scrape_interval).max();
        self.length() + longest.unwrap_or_default().min(self.length())
    }

    async fn read(&self, usage: &mut SloUsage, samples: &[SloSample]) -> Result<(), Error> {
        match &self.slo.ratio {
            Ratio::Events { errors, total } => {
                usage.total = self.events(total, "requests", &mut usage.caveats).await?;
                usage.errors = self.events(errors, "errors", &mut usage.caveats).await?;
                usage.error_ratio = match (errors.unit, total.unit) {
                    // The factor between a value and a number of events is not known, but it is the same in both.
                    (Unit::Unknown, Unit::Unknown) => {
                        error_ratio(self.value(errors).await?, self.value(total).await?)
                    }
                    _ => error_ratio(usage.errors, usage.total),
                };
            }
            Ratio::Raw(ratio) => {
                usage.error_ratio = self.worst(ratio, &mut usage.caveats).await?;
                let why =
                    "its expression is no division of errors by requests: how many there were is not known";
                usage.caveats.push(why.to_owned());
            }
        }
        if let Some(total) = usage.total.filter(|total| *total > 0.0) {
            usage.caveats.extend(low_traffic(self.slo.budget(), total));
        }
        usage.peaks = self.peaks(samples).await?;
        usage.caveats.extend(burning_before(self.slo, self.from, samples));
        let (began_above_zero, unseen_errors) = self.began_above_zero().await?;
        usage.unseen_errors = unseen_errors;
        usage.caveats.extend(began_above_zero);
        usage.caveats.extend(self.missed_scrapes().await?);
        usage.known_until = self.known_until().await?;
        usage.recorded_until = self.recorded_until().await?;
        usage.blind = self.blind().await?;
        Ok(())
    }

    /// Selectors of all events.
    fn selectors(&self) -> &[String] {
        match &self.slo.ratio {
            Ratio::Events { total, .. } => &total.selectors,
            Ratio::Raw(ratio) => &ratio.selectors,
        }
    }

    /// The newest sample of the target whose data is oldest. Targets that are gone are not in it: their series are stale.
    async fn known_until(&self) -> Result<Option<Timestamp>, Error> {
        let mut known: Option<Timestamp> = None;
        for selector in self.selectors() {
            let newest = format!("min(max by (job, instance) (timestamp({selector})))");
            let Some(found) = self.query(&newest).await?.first().map(|sample| sample.value) else {
                return Ok(None);
            };
            let at = Timestamp::from_seconds(found);
            known = Some(known.map_or(at, |known| known.min(at)));
        }
        Ok(known)
    }

    /// What was scraped until then is in the newest recorded error ratio of every window: the evaluation's time less a scrape.
    async fn recorded_until(&self) -> Result<Option<Timestamp>, Error> {
        let names = format!("{{__name__=~{:?}, sloth_id={:?}}}", format!("{ERROR_RATIO}.+"), self.slo.id());
        let newest = self.query(&format!("min(timestamp({names}))")).await?;
        let scrape = self.targets.iter().map(|target| target.scrape_interval).max().unwrap_or_default();
        Ok(newest.first().map(|sample| Timestamp::from_seconds(sample.value) - scrape))
    }

    /// For how long there was not a single series of all events: nobody counted, and nothing says that nothing happened.
    async fn blind(&self) -> Result<Option<Millis>, Error> {
        let mut longest = None;
        for selector in self.selectors() {
            let holes = format!("count_over_time(absent({selector})[{}:1s])", self.range());
            let seconds = self.query(&holes).await?.first().map_or(0.0, |sample| sample.value);
            longest = longest.max(Some(Millis::from_secs_f64(seconds)));
        }
        Ok(longest)
    }

    /// How many events an expression counts over the measured time.
    async fn events(
        &self,
        counted: &Counted,
        what: &str,
        caveats: &mut Vec<String>,
    ) -> Result<Option<f64>, Error> {
        let factor = match counted.unit {
            Unit::PerSecond => self.length().as_secs_f64(),
            Unit::Events => self.length().as_secs_f64() / self.evaluated().as_secs_f64(),
            Unit::Unknown => {
                caveats.push(format!(
                    "the number of {what} is not known: they are counted by other than rate() or increase()"
                ));
                return Ok(None);
            }
        };
        let expression = match counted.over(self.evaluated()) {
            Ok(expression) => expression,
            Err(error) => {
                caveats.push(format!("the number of {what} is not known: {error}"));
                return Ok(None);
            }
        };
        let values = self.query(&expression).await?;
        let values: Vec<f64> =
            values.iter().map(|sample| sample.value).filter(|value| value.is_finite()).collect();
        if !values.is_empty() {
            // A difference of two rates may be a little below zero.
            return Ok(Some((values.iter().sum::<f64>() * factor).max(0.0)));
        }
        // `… > 0` returns nothing where nothing was asked; without series nobody knows.
        let any: Vec<String> = counted
            .selectors
            .iter()
            .map(|one| format!("count(count_over_time({one}[{}]) > 1)", self.range()))
            .collect();
        if !any.is_empty() && !self.query(&any.join(" or ")).await?.is_empty() {
            return Ok(Some(0.0));
        }
        caveats.push(format!("there are no series to count {what}: {}", counted.selectors.join(", ")));
        Ok(None)
    }

    fn range(&self) -> String {
        promql_duration(self.length())
    }

    async fn value(&self, counted: &Counted) -> Result<Option<f64>, Error> {
        let Ok(expression) = counted.over(self.evaluated()) else { return Ok(None) };
        let values = self.query(&expression).await?;
        Ok(values.iter().map(|sample| sample.value).filter(|value| value.is_finite()).reduce(|a, b| a + b))
    }

    async fn worst(&self, ratio: &Counted, caveats: &mut Vec<String>) -> Result<Option<f64>, Error> {
        match ratio.over(self.evaluated()) {
            Ok(expression) => {
                let values = self.query(&expression).await?;
                let values = values.iter().map(|sample| sample.value).filter(|value| value.is_finite());
                Ok(values.max_by(f64::total_cmp))
            }
            Err(error) => {
                caveats.push(format!("the error ratio of this time is not known: {error}"));
                Ok(None)
            }
        }
    }

    /// The highest burn rate that Prometheus recorded of each window, which may lie between two samples of ours.
    async fn peaks(&self, samples: &[SloSample]) -> Result<Vec<Option<f64>>, Error> {
        let windows = &self.slo.definition.windows;
        let (range, budget) = (self.range(), self.slo.budget());
        let mut peaks = Vec::new();
        for (at, window) in windows.iter().enumerate() {
            let series = format!("{}{{sloth_id={:?}}}", window.record, self.slo.id());
            let recorded = self.query(&format!("max(max_over_time({series}[{range}]))")).await?;
            let recorded = recorded.first().and_then(|sample| budget.burn_rate(sample.value));
            let seen = samples
                .iter()
                .filter(|sample| sample.sampled_at >= self.from && sample.sampled_at <= self.to)
                .filter_map(|sample| sample.burn_rates.get(at).copied().flatten());
            peaks.push(recorded.into_iter().chain(seen).max_by(f64::total_cmp));
        }
        debug_assert!(windows.iter().all(|window| window.record.starts_with(ERROR_RATIO)));
        Ok(peaks)
    }

    /// Counters that were new in this time and had counted before their first sample: `rate()` does not see that (rule C19).
    /// For people, and how many errors that may be.
    async fn began_above_zero(&self) -> Result<(Option<String>, Option<f64>), Error> {
        let (parts, of_errors) = match &self.slo.ratio {
            Ratio::Events { errors, total } => ([Some(total), Some(errors)], Some(errors)),
            Ratio::Raw(ratio) => ([Some(ratio), None], None),
        };
        let (mut unseen, mut metrics, mut places) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let mut unseen_errors = None;
        for part in parts.into_iter().flatten().filter(|part| part.counters) {
            let mut events = 0.0;
            for selector in &part.selectors {
                let range = self.range();
                // Where there was no reset, the least value is the first one. Where there was, the first one is somewhere below
                // the greatest: rather too many than too few.
                let new = format!(
                    "(((max_over_time({selector}[{range}]) and resets({selector}[{range}]) > 0) \
                     or min_over_time({selector}[{range}])) unless ({selector} offset {range})) > 0"
                );
                for sample in self.query(&new).await? {
                    events += sample.value;
                    metrics.insert(selector.split('{').next().unwrap_or(selector).to_owned());
                    let place = ["pod", "instance", "job"].iter().find_map(|name| sample.labels.get(*name));
                    places.insert(place.cloned().unwrap_or_else(|| "?".to_owned()));
                }
            }
            if of_errors.is_some_and(|errors| std::ptr::eq(errors, part)) {
                unseen_errors = Some(events);
            }
            unseen.push(events);
        }
        if places.is_empty() {
            return Ok((None, unseen_errors));
        }
        let most = unseen.into_iter().fold(0.0, f64::max);
        let text = format!(
            "counters began above zero ({} of {}): at least {most:.0} events before their first sample are not counted",
            few(&metrics),
            few(&places),
        );
        Ok((Some(text), unseen_errors))
    }

    /// Targets that were there all the time and were not scraped as often as they should have been.
    async fn missed_scrapes(&self) -> Result<Option<String>, Error> {
        let range = self.range();
        let mut scrapes: BTreeMap<(String, String), f64> = BTreeMap::new();
        for selector in self.selectors() {
            let counts = format!(
                "min by (job, instance) (count_over_time({selector}[{range}]) and ({selector} offset {range}))"
            );
            for sample in self.query(&counts).await? {
                let known = scrapes.entry(place(&sample.labels)).or_insert(sample.value);
                *known = known.min(sample.value);
            }
        }
        if scrapes.is_empty() {
            return Ok(None);
        }
        Ok(missed(&scrapes, &self.targets, self.length()))
    }
}

fn missed(scrapes: &BTreeMap<(String, String), f64>, targets: &[Target], length: Millis) -> Option<String> {
    let mut texts = BTreeSet::new();
    for target in targets {
        let Some(found) = scrapes.get(&place(&target.labels)) else { continue };
        let due = length.as_secs_f64() / target.scrape_interval.as_secs_f64().max(0.001);
        // The first and the last may lie just outside.
        if *found < due * SCRAPED - 1.0 {
            texts.insert(format!("{} {found:.0} of {due:.0}", target.name()));
        }
    }
    (!texts.is_empty()).then(|| format!("missed samples: {} scrapes", few(&texts)))
}

/// Windows reach back to before the run: what burned there is in them.
fn burning_before(slo: &Slo, from: Timestamp, samples: &[SloSample]) -> Option<String> {
    let first =
        samples.iter().filter(|sample| sample.sampled_at <= from).max_by_key(|sample| sample.sampled_at)?;
    let windows = slo.definition.windows.iter().zip(&first.burn_rates);
    // Only windows that alerts look at: the period's own burns as long as it remembers.
    let burning = windows
        .filter(|(window, _)| window.window < slo.definition.period)
        .filter_map(|(window, rate)| Some((window, rate.filter(|rate| *rate >= 1.0)?)));
    let texts: BTreeSet<String> =
        burning.map(|(window, rate)| format!("{rate:.1} over {}", name_of(window))).collect();
    (!texts.is_empty()).then(|| format!("the budget was burning before: {}", few(&texts)))
}

/// The window as its series names it.
fn name_of(window: &harness_event::SloWindow) -> &str {
    window.record.strip_prefix(ERROR_RATIO).unwrap_or(&window.record)
}

fn few(names: &BTreeSet<String>) -> String {
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_scrapes_are_counted_against_each_targets_interval() {
        let target = |instance: &str, interval: i64| Target {
            labels: Labels::from([
                ("job".to_owned(), "a".to_owned()),
                ("instance".to_owned(), instance.to_owned()),
            ]),
            scrape_pool: String::new(),
            scrape_url: String::new(),
            health: "up".to_owned(),
            last_error: String::new(),
            last_scrape: None,
            last_scrape_duration: Millis(0),
            scrape_interval: Millis(interval),
            scrape_timeout: Millis(interval),
        };
        let scrapes = |counts: [f64; 3]| {
            let keys = ["1", "2", "gone"].map(|instance| ("a".to_owned(), instance.to_owned()));
            keys.into_iter().zip(counts).collect::<BTreeMap<_, _>>()
        };
        let targets = [target("1", 1000), target("2", 1500)];
        let remark = |counts| missed(&scrapes(counts), &targets, Millis(60_000));
        // A target that is not there any more was not scraped to the end, and that is no miss.
        assert_eq!(remark([60.0, 40.0, 5.0]), None);
        assert_eq!(remark([53.0, 35.0, 5.0]), None);
        assert_eq!(
            remark([52.0, 34.0, 5.0]),
            Some("missed samples: a/1 52 of 60, a/2 34 of 40 scrapes".to_owned())
        );
    }

    #[test]
    fn lists_are_short() {
        let names = |count: u32| (0..count).map(|n| n.to_string()).collect::<BTreeSet<_>>();
        assert_eq!((few(&names(3)).as_str(), few(&names(5)).as_str()), ("0, 1, 2", "0, 1, 2 and 2 more"));
    }
}
