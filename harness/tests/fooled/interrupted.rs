//! SIGINT and SIGTERM at each phase: rolled back, and exit code 5.

use harness_event::Phase;
use rustix::process::Signal;

use crate::{
    scenarios::portal_lost,
    support::{Stack, until},
};

const PHASES: [Phase; 5] = [Phase::Prepare, Phase::Baseline, Phase::Fault, Phase::Heal, Phase::Recovery];

#[test]
fn a_signal_at_any_phase_rolls_back() {
    let stack = Stack::up();
    let before = stack.world();
    for (signal, name) in [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM")] {
        for phase in PHASES {
            let mut running = stack.start(&portal_lost(duration(phase)));
            running.until_phase(phase);
            if phase == Phase::Fault {
                running.until_effect();
            }
            running.signal(signal);
            let run = running.finish();
            run.ended(&stack, 5).because(&format!("cancelled by {name}"));
            assert_eq!(stack.world(), before, "after {name} in phase {phase}\n{run}");
            assert!(stack.ledger().is_none(), "after {name} in phase {phase}\n{run}");
        }
    }
    // Impatience changes nothing: the rollback goes on.
    let mut running = stack.start(&portal_lost("30s"));
    running.until_effect().signal(Signal::INT).until_phase(Phase::Heal).signal(Signal::INT);
    let run = running.finish();
    run.ended(&stack, 5);
    assert_eq!(stack.world(), before);
    assert!(stack.ledger().is_none());
}

/// Long where the signal must end the fault, short where the phase comes after it.
fn duration(phase: Phase) -> &'static str {
    if phase == Phase::Fault { "30s" } else { "1s" }
}

#[test]
fn a_signal_while_the_stack_comes_up_leaves_nothing_behind() {
    let stack = Stack::down();
    let running = stack.start(&portal_lost("1s"));
    let kubeconfig = stack.state().join("stack/kubeconfig");
    until("the start of the control plane", || kubeconfig.exists().then_some(()));
    let mut running = running;
    running.signal(Signal::INT);
    let run = running.finish();
    run.ended(&stack, 5).touched_nothing();
    assert!(!kubeconfig.exists(), "{run}");
    assert!(stack.place.run(&["status"]).expect(0).out.starts_with("No embedded stack"));
}
