//! Burn rates, second by second.

use std::{collections::BTreeMap, time::Duration};

use harness_event::{EventKind, Millis, SloSample, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    definition::{ERROR_RATIO, Slo},
    history::first_sample,
};
use crate::{
    log::Log,
    monitor::{Error, InstantSample, Prometheus, chain},
};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Name of this observer.
const OBSERVER: &str = "burn rates of SLOs";

/// Reports the burn rates of SLOs every second, until told to stop. `offset` is how far Prometheus' clock is ahead of ours.
pub async fn watch_slos(
    prometheus: Prometheus,
    slos: Vec<Slo>,
    offset: Millis,
    log: Log,
    stop: CancellationToken,
) {
    if slos.is_empty() {
        return;
    }
    let query = query(&slos);
    let mut first = vec![None; slos.len()];
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let look = look(&prometheus, &slos, &query, offset, &mut first);
        let Some(seen) = stop.run_until_cancelled(look).await else { return };
        match seen {
            Ok(samples) => {
                if std::mem::take(&mut failing) {
                    log.record(EventKind::ObserverRecovered { observer: OBSERVER.to_owned() });
                }
                samples.into_iter().for_each(|sample| log.record(EventKind::SloSampled(sample)));
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    let error = chain(&error);
                    log.record(EventKind::ObserverFailed { observer: OBSERVER.to_owned(), error });
                }
            }
        }
    }
}

/// The burn rates of SLOs at this moment. `offset` is how far Prometheus' clock is ahead of ours.
///
/// # Errors
/// If Prometheus gives no usable answer.
pub async fn sample_slos(
    prometheus: &Prometheus,
    slos: &[Slo],
    offset: Millis,
) -> Result<Vec<SloSample>, Error> {
    match slos.is_empty() {
        true => Ok(Vec::new()),
        false => look(prometheus, slos, &query(slos), offset, &mut vec![None; slos.len()]).await,
    }
}

/// The recorded error ratios of all of them.
fn query(slos: &[Slo]) -> String {
    let ids: Vec<String> = slos.iter().map(|slo| escaped(slo.id())).collect();
    format!("{{__name__=~\"{ERROR_RATIO}.+\", sloth_id=~\"{}\"}}", ids.join("|"))
}

/// A name as a regular expression in a PromQL string. Names of SLOs hold letters, digits, `-`, `_` and `.`; others are escaped as
/// well as they can be.
fn escaped(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if !c.is_alphanumeric() && !"-_".contains(c) {
            text.push_str("\\\\");
        }
        if c == '"' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
        text
    })
}

async fn look(
    prometheus: &Prometheus,
    slos: &[Slo],
    query: &str,
    offset: Millis,
    first: &mut [Option<Timestamp>],
) -> Result<Vec<SloSample>, Error> {
    for (slo, first) in slos.iter().zip(first.iter_mut()) {
        if first.is_none() {
            *first = first_sample(prometheus, slo, Timestamp::now() + offset).await?;
        }
    }
    let sampled_at = Timestamp::now() + offset;
    let seen = prometheus.query(query, Some(sampled_at)).await?;
    let ratios = highest(&seen);
    let sample = |(slo, first): (&Slo, &Option<Timestamp>)| SloSample {
        slo: slo.id().to_owned(),
        sampled_at,
        burn_rates: burn_rates(slo, &ratios),
        history: first.map_or(Millis(0), |first| (sampled_at - first).min(slo.longest_window())),
    };
    Ok(slos.iter().zip(first.iter()).map(sample).collect())
}

/// The highest ratio by SLO and recorded series: an SLO may have a ratio for each value of some label, and burns where it is worst.
fn highest(seen: &[InstantSample]) -> BTreeMap<(&str, &str), f64> {
    let mut all = BTreeMap::new();
    for sample in seen.iter().filter(|sample| sample.value.is_finite()) {
        let label = |name: &str| sample.labels.get(name).map_or("", String::as_str);
        let known = all.entry((label("sloth_id"), label("__name__"))).or_insert(sample.value);
        *known = f64::max(*known, sample.value);
    }
    all
}

fn burn_rates(slo: &Slo, ratios: &BTreeMap<(&str, &str), f64>) -> Vec<Option<f64>> {
    let of = |record: &str| ratios.get(&(slo.id(), record)).and_then(|ratio| slo.budget().burn_rate(*ratio));
    slo.definition.windows.iter().map(|window| of(&window.record)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_regular_expressions() {
        assert_eq!(escaped("a-b_c"), "a-b_c");
        assert_eq!(escaped("v1.2"), "v1\\\\.2");
        assert_eq!(escaped("a|b\""), "a\\\\|b\\\\\\\"");
    }
}
