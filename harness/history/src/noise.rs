//! How much a measure differs from run to run when nothing changed.
//!
//! From five runs on, the spread is estimated by the median absolute deviation from the median (MAD), which a few odd runs do
//! not move. `σ̂ = b(n) · 1.4826 · MAD` estimates the standard deviation of normal data: 1.4826 = 1/Φ⁻¹(3/4) (Rousseeuw &
//! Croux, "Alternatives to the Median Absolute Deviation", JASA 88, 1993); b(n) corrects for few values (Croux & Rousseeuw,
//! "Time-efficient algorithms for two highly robust estimators of scale", Computational Statistics 1, 1992). The band is three
//! of them wide on both sides, as control charts have it (Shewhart 1931; Leys et al., J. Exp. Soc. Psychol. 49, 2013, for the
//! same limit with the MAD). With three or four runs there is nothing to estimate a deviation from: the band goes from the
//! smallest to the largest. Below three there is none.
//!
//! No band is narrower than the resolution of the measurement.

use serde::Serialize;

/// Fewer runs than this say nothing about noise.
pub const FEWEST: usize = 3;
/// From here on the deviation is estimated.
const ROBUST: usize = 5;
/// Half the band's width, in standard deviations.
const DEVIATIONS: f64 = 3.0;
/// 1/Φ⁻¹(3/4).
const NORMAL: f64 = 1.4826;

/// The noise of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Noise {
    /// Runs that it was taken from.
    pub runs: usize,
    /// Their median.
    pub median: f64,
    /// Values of one run from here ...
    pub low: f64,
    /// ... to here are noise.
    pub high: f64,
    /// Differences of two runs up to this are noise.
    pub pair: f64,
}

impl Noise {
    /// The noise of the values of several runs. `None` if they are too few.
    pub fn of(values: &[f64], resolution: f64) -> Option<Self> {
        let runs = values.len();
        if runs < FEWEST {
            return None;
        }
        let median = median(values.to_vec());
        if runs < ROBUST {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let pair = (high - low).max(resolution);
            return Some(Self { runs, median, low: low - resolution, high: high + resolution, pair });
        }
        let deviations = values.iter().map(|value| (value - median).abs());
        let sigma = correction(runs) * NORMAL * self::median(deviations.collect());
        let half = (DEVIATIONS * sigma).max(resolution);
        // The difference of two independent values deviates by the root of two more than each of them.
        let pair = (DEVIATIONS * std::f64::consts::SQRT_2 * sigma).max(resolution);
        Some(Self { runs, median, low: median - half, high: median + half, pair })
    }
}

/// The median. Of an even number of values the mean of the middle two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(values[half - 1], values[half]),
        _ => values[half],
    }
}

/// b(n) of Croux & Rousseeuw.
fn correction(runs: usize) -> f64 {
    match runs {
        5 => 1.206,
        6 => 1.200,
        7 => 1.140,
        8 => 1.129,
        9 => 1.107,
        _ => runs as f64 / (runs as f64 - 0.8),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_runs_have_no_noise_that_could_be_told() {
        assert_eq!(Noise::of(&[], 1.0), None);
        assert_eq!(Noise::of(&[1.0, 2.0], 1.0), None);
    }

    #[test]
    fn three_and_four_runs_give_their_range() {
        let noise = Noise::of(&[400.0, 100.0, 300.0], 10.0).unwrap();
        assert_eq!((noise.low, noise.high, noise.median, noise.pair), (90.0, 410.0, 300.0, 300.0));
    }

    #[test]
    fn one_odd_run_does_not_move_the_band() {
        let steady = Noise::of(&[10.0, 11.0, 12.0, 13.0, 14.0], 0.1).unwrap();
        let odd = Noise::of(&[10.0, 11.0, 12.0, 13.0, 9000.0], 0.1).unwrap();
        assert_eq!((steady.low, steady.high), (odd.low, odd.high));
        // MAD 1, so 3 · 1.206 · 1.4826.
        assert!((steady.high - 12.0 - 5.364).abs() < 1e-3, "{steady:?}");
    }

    #[test]
    fn no_band_is_narrower_than_the_resolution() {
        let noise = Noise::of(&[1000.0; 8], 250.0).unwrap();
        assert_eq!((noise.low, noise.high, noise.pair), (750.0, 1250.0, 250.0));
    }

    /// The sample is of a normal distribution by its quantiles: σ is known.
    #[test]
    fn the_deviation_of_normal_data_is_found() {
        // Φ⁻¹ at (i - 1/2) / 20.
        let half = [0.0627, 0.1891, 0.3186, 0.4538, 0.5978, 0.7554, 0.9346, 1.1503, 1.4395, 1.9600];
        let values: Vec<f64> = half.iter().flat_map(|one| [100.0 + 10.0 * one, 100.0 - 10.0 * one]).collect();
        let noise = Noise::of(&values, 0.0).unwrap();
        let sigma = (noise.high - noise.median) / DEVIATIONS;
        assert!((9.5..11.0).contains(&sigma), "{sigma}");
    }

    proptest! {
        #[test]
        fn a_band_holds_its_median_and_moves_with_the_values(
            values in prop::collection::vec(-1e6..1e6f64, 3..20),
            resolution in 0.0..1e3f64,
            shift in -1e6..1e6f64,
        ) {
            let noise = Noise::of(&values, resolution).unwrap();
            prop_assert!(noise.low <= noise.median && noise.median <= noise.high);
            prop_assert!(noise.high - noise.low >= 2.0 * resolution - 1e-6);
            let moved: Vec<f64> = values.iter().map(|value| value + shift).collect();
            let moved = Noise::of(&moved, resolution).unwrap();
            prop_assert!((moved.low - noise.low - shift).abs() < 1e-6);
            prop_assert!((moved.pair - noise.pair).abs() < 1e-6);
        }
    }
}
