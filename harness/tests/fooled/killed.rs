//! SIGKILL at each phase: nothing is rolled back then, and `recover` does it. And what else takes the ground from under a run.

use harness_event::Phase;
use rustix::process::{Signal, kill_process};

use crate::{scenarios::portal_lost, support::Stack};

#[test]
#[ignore = "long: part of make test-long"]
fn recover_takes_back_what_a_killed_run_left() {
    let stack = Stack::up();
    let before = stack.world();
    for phase in [Phase::Prepare, Phase::Baseline, Phase::Fault, Phase::Heal, Phase::Recovery] {
        let length = if phase == Phase::Fault { "30s" } else { "1s" };
        let mut running = stack.start(&portal_lost(length));
        running.until_phase(phase);
        if phase == Phase::Fault {
            running.until_effect();
            held_by_the_run(&stack);
        }
        running.signal(Signal::KILL);
        let run = running.finish();
        assert_eq!(run.ran.code, None, "{run}");
        let dir = run.dir.unwrap();
        if phase == Phase::Fault {
            assert_eq!(stack.replicas("portal"), 0);
            held_by_what_is_left(&stack);
            let judged = stack.judge(&dir).expect(6);
            assert!(judged.out.contains("portal-lost: not reverted"), "{judged:?}");
            assert!(judged.out.contains("harness recover"), "{judged:?}");
        }

        let recovered = stack.place.run(&["recover"]).expect(0);
        assert_eq!(stack.world(), before, "after SIGKILL in phase {phase}\n{recovered:?}");
        assert!(stack.ledger().is_none(), "after SIGKILL in phase {phase}\n{recovered:?}");
        if phase == Phase::Fault {
            assert!(
                recovered.out.contains("undone: portal-lost: scale deployment/portal to 2"),
                "{recovered:?}"
            );
            let judged = stack.judge(&dir).expect(5);
            assert!(judged.out.contains("the run was interrupted, and rolled back afterwards"), "{judged:?}");
        }
        let again = stack.place.run(&["recover"]).expect(0);
        assert_eq!(again.out, "nothing to recover\n", "after SIGKILL in phase {phase}");
    }
    // Everything is as if nothing had been.
    stack.run(&portal_lost("1s")).ended(&stack, 0);
}

/// While a run has the namespace, a second one is refused and says which.
fn held_by_the_run(stack: &Stack) {
    let first = stack.ledger().unwrap().data.unwrap().remove("ledger.json").unwrap();
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    let run = stack.run(&portal_lost("1s"));
    run.ended(stack, 2).touched_nothing();
    run.because(&format!("namespace gallery is held by run {}", first["run"].as_str().unwrap()));
    run.because("wait for it to end, or stop it");
    let recovered = stack.place.run(&["recover"]).expect(2);
    assert!(recovered.err.contains("is still going on in process"), "{recovered:?}");
    assert_eq!(stack.replicas("portal"), 0, "the other run's fault is still on");
}

/// A run that was killed left a fault: nothing is broken on top of it.
fn held_by_what_is_left(stack: &Stack) {
    let run = stack.run(&portal_lost("1s"));
    run.ended(stack, 2).touched_nothing();
    run.because("it is dead and has left faults behind: run `harness recover` first");
}

#[test]
fn a_cluster_that_dies_under_a_fault_leaves_a_rollback_that_is_incomplete() {
    let stack = Stack::up();
    let mut running = stack.start(&portal_lost("2s"));
    running.until_effect();
    kill_process(stack.control_plane(), Signal::KILL).unwrap();
    let run = running.finish();
    run.ended(&stack, 6).because("portal-lost: scaling deployment/portal to 2 failed");
    assert!(run.ran.out.contains("harness recover"), "{run}");
    // That cluster is gone for good.
    let recovered = stack.place.run(&["recover"]).expect(0);
    assert!(recovered.out.contains("its embedded cluster is gone, and its faults with it"), "{recovered:?}");
    assert_eq!(stack.place.run(&["recover"]).expect(0).out, "nothing to recover\n");
}
