//! How far back the data of an error ratio goes (rule C19), found by a few cheap questions.

use harness_event::{Millis, Timestamp};

use super::{definition::Slo, expression::Ratio};
use crate::monitor::{Error, Prometheus, promql_duration};

/// The beginning is known this well.
const RESOLUTION: Millis = Millis(500);

/// When the first sample that a ratio needs was taken; none if there is none at `now` (Prometheus' clock). Samples before the
/// longest window do not count: the answer is then its beginning.
///
/// Each question is whether there is any sample at one time, which costs one sample of each series: the first time at which there
/// is one is found by halving.
///
/// # Errors
/// If Prometheus gives no usable answer.
pub(super) async fn first_sample(
    prometheus: &Prometheus,
    slo: &Slo,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let is_there = async |back: Millis| {
        let answer = prometheus.query(&presence(&slo.ratio, back), Some(now)).await;
        answer.map(|samples| !samples.is_empty())
    };
    if !is_there(Millis(0)).await? {
        return Ok(None);
    }
    let longest = slo.longest_window();
    let (mut there, mut not_there) = (Millis(0), None);
    // From far to near, so that older data behind a hole is found: a window reaches over a hole, too.
    let mut back = longest;
    while back > RESOLUTION {
        if is_there(back).await? {
            there = back;
            break;
        }
        not_there = Some(back);
        back = Millis(back.0 / 2);
    }
    let Some(mut not_there) = not_there else { return Ok(Some(now - longest)) };
    while (not_there - there) > RESOLUTION {
        let middle = Millis(there.0.midpoint(not_there.0));
        if is_there(middle).await? {
            there = middle;
        } else {
            not_there = middle;
        }
    }
    Ok(Some(now - there))
}

/// Returns something if there was a sample so long ago of what makes a window long: all events. Series of errors may begin with
/// the first error, and were none before.
fn presence(ratio: &Ratio, back: Millis) -> String {
    let offset = match back {
        Millis(0) => String::new(),
        back => format!(" offset {}", promql_duration(back)),
    };
    let selectors = match ratio {
        Ratio::Events { total, .. } => &total.selectors,
        Ratio::Raw(ratio) => &ratio.selectors,
    };
    let each: Vec<String> = selectors.iter().map(|one| format!("{one}{offset}")).collect();
    format!("count({})", each.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_events_decide() {
        let ratio = Ratio::parse("sum(rate(c[5m])) / (sum(rate(a[5m])) + sum(rate(b[5m])))").unwrap();
        assert_eq!(presence(&ratio, Millis(0)), "count(a or b)");
        assert_eq!(presence(&ratio, Millis(60_000)), "count(a offset 60000ms or b offset 60000ms)");
        let raw = Ratio::parse("avg_over_time(x[5m])").unwrap();
        assert_eq!(presence(&raw, Millis(1)), "count(x offset 1ms)");
    }
}
