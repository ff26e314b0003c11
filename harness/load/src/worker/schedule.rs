//! When the requests of an open model start: a function of the time since the load's start, and of nothing else.
//!
//! The rate's integral is the number of starts that are due. Start `k`, counted from 0, is due when the integral gets larger
//! than `k`: with 10 requests per second at 0, 0.1, 0.2, ... seconds. All times are seconds since the start of the load.

use std::collections::VecDeque;

use harness_event::RateStage;

/// Below this a difference of two integrals is rounding.
const EPSILON: f64 = 1e-7;

/// The rate over time, as the scenario gives it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Profile(Vec<Stage>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stage {
    from: f64,
    /// Starts before it.
    before: f64,
    rate: f64,
    /// Change of the rate per second.
    slope: f64,
    length: f64,
}

impl Stage {
    fn starts(&self, since: f64) -> f64 {
        self.rate * since + self.slope * since * since / 2.0
    }

    /// The time after its beginning at which so many starts were due.
    fn time_of(&self, starts: f64) -> f64 {
        if starts <= 0.0 {
            return 0.0;
        }
        // This form of the quadratic's root has no difference of nearly equal numbers, and holds without a slope too.
        let root = (self.rate * self.rate + 2.0 * self.slope * starts).max(0.0).sqrt();
        2.0 * starts / (self.rate + root)
    }
}

impl Profile {
    /// Stages one after another.
    pub(super) fn new(stages: &[RateStage]) -> Self {
        let (mut from, mut before) = (0.0, 0.0);
        let stages = stages.iter().map(|stage| {
            let length = stage.length.map_or(f64::INFINITY, |length| length.as_secs_f64());
            let slope = match stage.to {
                Some(to) if length.is_finite() && length > 0.0 => (to - stage.rate) / length,
                _ => 0.0,
            };
            let stage = Stage { from, before, rate: stage.rate, slope, length };
            from += length;
            before += if length.is_finite() { stage.starts(length) } else { 0.0 };
            stage
        });
        Self(stages.collect())
    }

    /// When its last stage ends; none if that goes on.
    pub(super) fn end(&self) -> Option<f64> {
        self.0.last().map(|last| last.from + last.length).filter(|end| end.is_finite())
    }

    /// The integral of the rate.
    fn starts(&self, time: f64) -> f64 {
        let stage = self.0.iter().rev().find(|stage| stage.from <= time);
        stage.map_or(0.0, |stage| stage.before + stage.starts((time - stage.from).min(stage.length)))
    }

    /// When the integral gets larger than this.
    fn time_of(&self, starts: f64) -> Option<f64> {
        let stage = self.0.iter().find(|stage| {
            if stage.length.is_finite() {
                stage.before + stage.starts(stage.length) > starts + EPSILON
            } else {
                stage.rate > 0.0
            }
        })?;
        Some(stage.from + stage.time_of(starts - stage.before))
    }
}

/// The profile with what was done to it: its rate multiplied, the load paused.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    profile: Profile,
    factor: f64,
    /// When the present pause began.
    paused: Option<f64>,
    /// In the order of time, never empty; older ones are dropped when all their starts are taken.
    pieces: VecDeque<Piece>,
}

/// A time in which the factor was the same.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: f64,
    to: f64,
    /// Its beginning in the profile's time.
    position: f64,
    /// Starts before it.
    before: f64,
    factor: f64,
}

impl Schedule {
    /// A schedule that follows the profile.
    pub(super) fn new(profile: Profile) -> Self {
        let piece = Piece { from: 0.0, to: f64::INFINITY, position: 0.0, before: 0.0, factor: 1.0 };
        Self { profile, factor: 1.0, paused: None, pieces: VecDeque::from([piece]) }
    }

    /// When the start with this number is due; none if it never is.
    pub(super) fn time_of(&self, number: u64) -> Option<f64> {
        let number = number as f64;
        self.pieces.iter().find_map(|piece| {
            if piece.factor <= 0.0 || number < piece.before - EPSILON {
                return None;
            }
            let wanted =
                self.profile.starts(piece.position) + (number - piece.before).max(0.0) / piece.factor;
            let time = piece.from + (self.profile.time_of(wanted)? - piece.position).max(0.0);
            (time < piece.to).then_some(time)
        })
    }

    /// Multiplies the rate from now on.
    pub(super) fn set_factor(&mut self, now: f64, factor: f64) {
        self.factor = factor;
        if self.paused.is_none() {
            self.change(now, factor);
        }
    }

    /// No starts from now on.
    pub(super) fn pause(&mut self, now: f64) {
        if self.paused.is_none() {
            self.paused = Some(now);
            self.change(now, 0.0);
        }
    }

    /// Starts again. What would have been due in the pause is not made up for; what was due before it and has not started is
    /// due as much later as the pause was long, for the system under test has not caused that wait.
    pub(super) fn resume(&mut self, now: f64) {
        if let Some(since) = self.paused.take() {
            for piece in self.pieces.iter_mut().filter(|piece| piece.to <= since) {
                piece.from += now - since;
                piece.to += now - since;
            }
            self.change(now, self.factor);
        }
    }

    /// Forgets what is only needed for starts before this one.
    pub(super) fn taken(&mut self, number: u64) {
        while self.pieces.len() > 1 && self.pieces[1].before + EPSILON < number as f64 {
            self.pieces.pop_front();
        }
    }

    fn change(&mut self, now: f64, factor: f64) {
        let Some(last) = self.pieces.back_mut() else { return };
        let position = last.position + (now - last.from).max(0.0);
        let starts = self.profile.starts(position) - self.profile.starts(last.position);
        // A start that is due now or was due is a whole one; the next one keeps its share of the way.
        let before = last.before + last.factor * starts;
        last.to = now.max(last.from);
        let piece = Piece { from: last.to, to: f64::INFINITY, position, before, factor };
        self.pieces.push_back(piece);
    }
}

#[cfg(test)]
mod tests {
    use harness_event::Millis;
    use proptest::prelude::*;

    use super::*;

    fn stage(rate: f64, to: Option<f64>, seconds: Option<f64>) -> RateStage {
        RateStage { rate, to, length: seconds.map(Millis::from_secs_f64) }
    }

    fn times(schedule: &Schedule, count: u64) -> Vec<Option<f64>> {
        (0..count).map(|number| schedule.time_of(number).map(|time| (time * 1e6).round() / 1e6)).collect()
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let schedule = Schedule::new(Profile::new(&[stage(10.0, None, None)]));
        assert_eq!(times(&schedule, 4), [Some(0.0), Some(0.1), Some(0.2), Some(0.3)]);
        assert_eq!(schedule.time_of(1_000_000), Some(100_000.0));
    }

    #[test]
    fn steps_follow_each_other_without_loss() {
        let schedule = Schedule::new(Profile::new(&[
            stage(2.0, None, Some(1.0)),
            stage(0.0, None, Some(5.0)),
            stage(4.0, None, Some(0.5)),
        ]));
        assert_eq!(times(&schedule, 5), [Some(0.0), Some(0.5), Some(6.0), Some(6.25), None]);
    }

    #[test]
    fn a_ramp_from_nothing_has_the_right_number_of_starts() {
        let schedule = Schedule::new(Profile::new(&[stage(0.0, Some(10.0), Some(10.0))]));
        let due: Vec<f64> = (0..).map_while(|number| schedule.time_of(number)).collect();
        assert_eq!(due.len(), 50);
        // The integral is t²/2.
        assert!((due[8] - 4.0).abs() < 1e-9, "{}", due[8]);
    }

    #[test]
    fn the_factor_counts_from_its_time() {
        let mut schedule = Schedule::new(Profile::new(&[stage(10.0, None, None)]));
        schedule.set_factor(1.0, 2.0);
        assert_eq!(times(&schedule, 12)[9..], [Some(0.9), Some(1.0), Some(1.05)]);
        schedule.set_factor(2.0, 0.0);
        assert_eq!(schedule.time_of(29).map(|time| (time * 1e6).round() / 1e6), Some(1.95));
        assert_eq!(schedule.time_of(30), None);
        schedule.set_factor(3.0, 1.0);
        assert_eq!(schedule.time_of(30), Some(3.0));
    }

    #[test]
    fn a_pause_is_not_made_up_for_and_delays_what_waits() {
        let mut schedule = Schedule::new(Profile::new(&[stage(10.0, None, None)]));
        schedule.pause(1.0);
        schedule.pause(2.0);
        assert_eq!(schedule.time_of(10), None);
        assert_eq!(schedule.time_of(9), Some(0.9));
        schedule.set_factor(3.0, 2.0);
        assert_eq!(schedule.time_of(10), None);
        schedule.resume(5.0);
        assert_eq!(schedule.time_of(9).map(|time| (time * 1e6).round() / 1e6), Some(4.9));
        assert_eq!(times(&schedule, 12)[10..], [Some(5.0), Some(5.05)]);
    }

    #[test]
    fn what_is_taken_is_forgotten() {
        let mut schedule = Schedule::new(Profile::new(&[stage(10.0, None, None)]));
        for second in 1..1000u32 {
            schedule.set_factor(f64::from(second), 1.0);
            schedule.taken(u64::from(second) * 10);
        }
        assert!(schedule.pieces.len() <= 2, "{}", schedule.pieces.len());
        assert!((schedule.time_of(20_000).unwrap() - 2000.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn starts_come_in_order_and_as_many_as_the_integral(
            stages in prop::collection::vec((0.0..50.0, prop::option::of(0.0..50.0), 0.1..5.0), 1..6),
        ) {
            let stages: Vec<RateStage> =
                stages.into_iter().map(|(rate, to, length): (f64, Option<f64>, f64)| stage(rate, to, Some(length))).collect();
            // An independent sum of the trapezoids.
            let integral: f64 = stages.iter().map(|stage| {
                (stage.rate + stage.to.unwrap_or(stage.rate)) / 2.0 * stage.length.unwrap().as_secs_f64()
            }).sum();
            let profile = Profile::new(&stages);
            let end = profile.end().unwrap();
            let schedule = Schedule::new(profile);
            let due: Vec<f64> = (0..).map_while(|number| schedule.time_of(number)).collect();
            prop_assert!(due.is_sorted());
            prop_assert!(due.iter().all(|time| (0.0..=end + 1e-6).contains(time)));
            prop_assert!((due.len() as f64 - integral.ceil()).abs() <= 1.0, "{} {}", due.len(), integral);
        }

        #[test]
        fn the_order_survives_every_command(
            commands in prop::collection::vec((0u8..3, 0.0..2.0, 0.0..4.0), 0..12),
        ) {
            let mut schedule = Schedule::new(Profile::new(&[stage(5.0, Some(40.0), Some(20.0)), stage(10.0, None, None)]));
            let mut now = 0.0;
            for (kind, wait, factor) in commands {
                now += wait;
                match kind {
                    0 => schedule.set_factor(now, factor),
                    1 => schedule.pause(now),
                    _ => schedule.resume(now),
                }
            }
            schedule.resume(now + 1.0);
            schedule.set_factor(now + 1.0, 1.0);
            let due: Vec<f64> = (0..300).map_while(|number| schedule.time_of(number)).collect();
            prop_assert_eq!(due.len(), 300, "no start is lost");
            prop_assert!(due.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6), "{:?}", due);
        }
    }
}
