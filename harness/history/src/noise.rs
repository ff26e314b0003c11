//! How much a measure differs from run to run when nothing changed.
//!
//! The band is a prediction interval (Hahn & Meeker, "Statistical Intervals"): if nothing has changed, the next run lies in it in
//! 99 of 100 cases. It goes from `median - c(n) * S` to `median + c(n) * S`. With three to seven runs the spread S is their
//! range, which is what few values tell most by (as control charts of small samples have it). From eight on it is the median
//! absolute deviation from the median (MAD), which odd runs do not move, even if they are nearly half (Rousseeuw & Croux,
//! "Alternatives to the Median Absolute Deviation", JASA 88, 1993).
//!
//! The factors c(n) are those of normal data, found by simulation; a test here simulates them again. They are large for few runs:
//! three values say little about how far a fourth may be off. A limit of three estimated standard deviations, as is often used,
//! would call one of ten unchanged values odd with five runs, and one of 25 with ten.
//!
//! No band is narrower than the resolution of the measurement.

use serde::Serialize;

/// Fewer runs than this say nothing about noise.
pub const FEWEST: usize = 3;
/// From here on the deviation is told by the MAD.
const ROBUST: usize = 8;
/// c(3) to c(7), of the range.
const OF_RANGE: [f64; 5] = [6.06, 2.94, 2.09, 1.65, 1.45];
/// c(8) to c(20), of the MAD.
const OF_MAD: [f64; 13] = [8.76, 8.63, 7.30, 7.23, 6.57, 6.52, 6.03, 6.06, 5.65, 5.71, 5.52, 5.43, 5.24];
/// c of endlessly many runs: the 99.5 % quantile of the normal distribution over its 75 % quantile, which the MAD is.
const ENDLESS: f64 = 2.5758 * 1.4826;
/// How c approaches it.
const APPROACH: f64 = 7.5;

/// The noise of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Noise {
    /// Runs that it was taken from.
    pub runs: usize,
    /// Their median.
    pub median: f64,
    /// A run that is this far from the median is noise.
    pub single: f64,
    /// Two runs that differ by this are noise.
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
        let spread = if runs < ROBUST {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low
        } else {
            self::median(values.iter().map(|value| (value - median).abs()).collect())
        };
        let half = factor(runs) * spread;
        // Both ends of a difference are noisy. That the median is nearly not would allow for a little less.
        let pair = std::f64::consts::SQRT_2 * half;
        Some(Self { runs, median, single: half.max(resolution), pair: pair.max(resolution) })
    }
}

/// c(n).
fn factor(runs: usize) -> f64 {
    let few = OF_RANGE.get(runs.saturating_sub(FEWEST));
    let some = OF_MAD.get(runs.saturating_sub(ROBUST));
    match (runs < ROBUST, few, some) {
        (true, Some(factor), _) | (false, _, Some(factor)) => *factor,
        _ => ENDLESS * (1.0 + APPROACH / runs as f64),
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
    fn with_few_runs_the_range_counts() {
        let noise = Noise::of(&[400.0, 100.0, 300.0], 10.0).unwrap();
        assert_eq!((noise.median, noise.single), (300.0, 6.06 * 300.0));
        assert!((noise.pair - 6.06 * 300.0 * 2_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn odd_runs_do_not_move_the_band_of_many() {
        let steady = Noise::of(&[10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0], 0.1).unwrap();
        let odd = Noise::of(&[10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 9e9, 9e9], 0.1).unwrap();
        assert_eq!(steady, odd);
        assert_eq!((steady.median, steady.single), (14.0, 2.0 * 8.63));
    }

    #[test]
    fn no_band_is_narrower_than_the_resolution() {
        for runs in [3, 5, 8, 20] {
            let noise = Noise::of(&vec![1000.0; runs], 250.0).unwrap();
            assert_eq!((noise.single, noise.pair), (250.0, 250.0));
        }
    }

    /// Numbers of a normal distribution, always the same ones: xorshift, and Box and Muller's transform.
    struct Normal(u64);

    impl Normal {
        fn uniform(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }

        fn next(&mut self) -> f64 {
            (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
        }
    }

    /// What the factors promise: of unchanged runs one in a hundred is outside, and no more differences of two.
    #[test]
    fn one_unchanged_run_in_a_hundred_is_called_odd() {
        const TRIALS: u32 = 10_000;
        let mut normal = Normal(0x5eed_cafe);
        for runs in [3, 4, 5, 6, 7, 8, 9, 10, 13, 16, 20, 21, 30, 50] {
            let (mut odd, mut different) = (0, 0);
            for _ in 0..TRIALS {
                let values: Vec<f64> = (0..runs).map(|_| normal.next()).collect();
                let noise = Noise::of(&values, 0.0).unwrap();
                let (one, other) = (normal.next(), normal.next());
                odd += u32::from((one - noise.median).abs() > noise.single);
                different += u32::from((one - other).abs() > noise.pair);
            }
            // Three standard deviations of the count are 30.
            assert!((60..140).contains(&odd), "{runs} runs: {odd} of {TRIALS}");
            assert!(different < 140, "{runs} runs: {different} of {TRIALS}");
        }
    }

    proptest! {
        #[test]
        fn a_band_moves_with_the_values(
            values in prop::collection::vec(-1e6..1e6f64, 3..20),
            resolution in 0.0..1e3f64,
            shift in -1e6..1e6f64,
        ) {
            let noise = Noise::of(&values, resolution).unwrap();
            prop_assert!(noise.single >= resolution && noise.pair >= noise.single);
            let moved: Vec<f64> = values.iter().map(|value| value + shift).collect();
            let moved = Noise::of(&moved, resolution).unwrap();
            prop_assert!((moved.median - noise.median - shift).abs() < 1e-6);
            prop_assert!((moved.single - noise.single).abs() < 1e-6);
        }
    }
}
