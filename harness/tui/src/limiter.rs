//! When to draw: on demand, at most so often, and once a second for the clocks.

use std::time::Duration;

/// Decides when a frame is due. All times are since the view's start.
#[derive(Clone, Copy, Debug)]
pub struct FrameLimiter {
    gap: Duration,
    idle: Duration,
    last: Option<Duration>,
    wanted: bool,
}

impl FrameLimiter {
    /// Shortest time between two frames: 20 a second.
    pub const GAP: Duration = Duration::from_millis(50);
    /// Longest time between two frames: clocks go on.
    pub const IDLE: Duration = Duration::from_secs(1);

    /// With these times between frames.
    pub const fn new(gap: Duration, idle: Duration) -> Self {
        Self { gap, idle, last: None, wanted: true }
    }

    /// Something changed.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// Is a frame due?
    pub fn due(&self, now: Duration) -> bool {
        self.wait(now).is_zero()
    }

    /// Time until one is due if nothing more happens.
    pub fn wait(&self, now: Duration) -> Duration {
        let Some(last) = self.last else { return Duration::ZERO };
        let after = if self.wanted { self.gap } else { self.idle };
        (last + after).saturating_sub(now)
    }

    /// A frame was drawn.
    pub fn drawn(&mut self, now: Duration) {
        self.last = Some(now);
        self.wanted = false;
    }
}

impl Default for FrameLimiter {
    fn default() -> Self {
        Self::new(Self::GAP, Self::IDLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_frame_is_due_at_once() {
        assert!(FrameLimiter::default().due(ms(0)));
    }

    #[test]
    fn a_change_is_drawn_at_once_after_a_rest_and_not_before_the_gap_is_over() {
        let mut limiter = FrameLimiter::default();
        limiter.drawn(ms(0));
        limiter.want();
        assert_eq!(limiter.wait(ms(20)), ms(30));
        assert!(!limiter.due(ms(49)));
        assert!(limiter.due(ms(50)));
        limiter.drawn(ms(50));
        limiter.want();
        assert!(limiter.due(ms(500)));
    }

    #[test]
    fn without_changes_there_is_one_frame_a_second() {
        let mut limiter = FrameLimiter::default();
        limiter.drawn(ms(100));
        assert_eq!(limiter.wait(ms(100)), ms(1000));
        assert!(!limiter.due(ms(1099)));
        assert!(limiter.due(ms(1100)));
    }

    #[test]
    fn a_flood_of_changes_makes_twenty_frames_a_second() {
        let mut limiter = FrameLimiter::default();
        let mut frames = 0;
        for now in 0..10_000 {
            limiter.want();
            if limiter.due(ms(now)) {
                limiter.drawn(ms(now));
                frames += 1;
            }
        }
        assert_eq!(frames, 200);
    }
}
