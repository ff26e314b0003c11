//! The long repetitions of `make campaign`: interrupted and killed at points that nobody chose.

use std::{
    env,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    scenarios::portal_lost,
    support::{Stack, until},
};

/// How often, by `CAMPAIGN_ROUNDS`.
fn rounds() -> u32 {
    env::var("CAMPAIGN_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

/// Starts a run and sends the signal at a random point of it. Returns how it ended and when the signal came.
fn hit(stack: &Stack, length: Duration, signal: Signal) -> (crate::support::Run, Duration) {
    let point = length.mul_f64(rand::random());
    let started = Instant::now();
    let mut running = stack.start(&portal_lost("1s"));
    until("the point", || (started.elapsed() >= point).then_some(()));
    running.signal(signal);
    (running.finish(), point)
}

/// The length of a run that nothing happens to. The first one on a stack proves more and takes longer.
fn length(stack: &Stack) -> Duration {
    stack.run(&portal_lost("1s")).ended(stack, 0);
    let started = Instant::now();
    stack.run(&portal_lost("1s")).ended(stack, 0);
    started.elapsed()
}

#[test]
#[ignore = "campaign"]
fn sigkill_at_random_points_is_recovered_from() {
    let stack = Stack::up();
    let before = stack.world();
    let length = length(&stack);
    for round in 1..=rounds() {
        let (run, point) = hit(&stack, length, Signal::KILL);
        let recovered = stack.place.run(&["recover"]).expect(0);
        println!(
            "{round}: SIGKILL after {point:.2?}, {} facts: {}",
            run.events.len(),
            recovered.out.trim_end()
        );
        assert_eq!(stack.world(), before, "killed after {point:?}\n{run}\n{recovered:?}");
        assert!(stack.ledger().is_none(), "killed after {point:?}\n{run}\n{recovered:?}");
    }
    stack.run(&portal_lost("1s")).ended(&stack, 0);
}

#[test]
#[ignore = "campaign"]
fn signals_at_random_points_are_rolled_back() {
    let stack = Stack::up();
    let before = stack.world();
    let length = length(&stack);
    for round in 1..=rounds() {
        let signal = if round % 2 == 0 { Signal::INT } else { Signal::TERM };
        let (run, point) = hit(&stack, length, signal);
        println!(
            "{round}: {signal:?} after {point:.2?}, {} facts: exit code {:?}",
            run.events.len(),
            run.ran.code
        );
        // Before the process listens to signals, they end it as any other; nothing was touched then.
        if run.ran.code.is_some() {
            assert!(matches!(run.ran.code, Some(0 | 5)), "{run}");
        } else {
            run.touched_nothing();
        }
        assert_eq!(stack.world(), before, "{signal:?} after {point:?}\n{run}");
        assert!(stack.ledger().is_none(), "{signal:?} after {point:?}\n{run}");
    }
    stack.run(&portal_lost("1s")).ended(&stack, 0);
}
