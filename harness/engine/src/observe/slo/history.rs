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

/// Returns something if there was a sample of every part of the ratio so long ago.
fn presence(ratio: &Ratio, back: Millis) -> String {
    let offset = match back {
        Millis(0) => String::new(),
        back => format!(" offset {}", promql_duration(back)),
    };
    let any = |selectors: &[String]| {
        let each: Vec<String> = selectors.iter().map(|one| format!("{one}{offset}")).collect();
        format!("count({})", each.join(" or "))
    };
    match ratio {
        Ratio::Events { errors, total } => {
            format!("{} and {}", any(&errors.selectors), any(&total.selectors))
        }
        Ratio::Raw(ratio) => any(&ratio.selectors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_must_have_been_there() {
        let ratio = Ratio::parse("(sum(rate(a[5m])) - sum(rate(b[5m]))) / (sum(rate(a[5m])))").unwrap();
        assert_eq!(presence(&ratio, Millis(0)), "count(a or b) and count(a)");
        assert_eq!(
            presence(&ratio, Millis(60_000)),
            "count(a offset 60000ms or b offset 60000ms) and count(a offset 60000ms)"
        );
    }
}
