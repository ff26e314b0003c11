//! Faults that hit nothing, change nothing, or do not bite.

use crate::{
    scenarios::{faulted, portal_lost},
    support::Stack,
};

const SOME_ALERT: &str = r#"
alert = "APIServiceDown"
pending_within = "5s"
"#;

fn fault(action: &str) -> String {
    faulted(&format!("name = \"fault\"\nduration = \"6s\"\n{action}"), SOME_ALERT)
}

#[track_caller]
fn refused(stack: &Stack, action: &str, reason: &str) {
    let before = stack.world();
    let run = stack.run(&fault(action));
    run.ended(stack, 2).touched_nothing().because(reason);
    assert_eq!(stack.world(), before);
    assert!(stack.ledger().is_none());
}

#[test]
fn a_fault_that_proves_nothing_is_refused_or_inconclusive() {
    let stack = Stack::up();
    refused(
        &stack,
        r#"scale = { workload = "deployment/postgress", replicas = 0 }"#,
        "fault \"fault\": deployment/postgress does not exist in namespace gallery",
    );
    refused(
        &stack,
        r#"delete_pods = { selector = "app.kubernetes.io/name=nothing" }"#,
        "a ready pod with labels app.kubernetes.io/name=nothing does not exist in namespace gallery",
    );
    refused(
        &stack,
        r#"delete_pods = { selector = "app.kubernetes.io/name=api", count = 3 }"#,
        "3 pods of app.kubernetes.io/name=api should be deleted, but only 2 are ready",
    );
    the_effect_is_taken_back_at_once(&stack);
    // Somebody has scaled it down already.
    stack.scale("gallery", "images", 0);
    refused(
        &stack,
        r#"scale = { workload = "deployment/images", replicas = 0 }"#,
        "deployment/images already has 0 replicas, so scaling it to 0 changes nothing",
    );
    refused(
        &stack,
        r#"restart = { workload = "deployment/images" }"#,
        "deployment/images has no ready pods to restart",
    );
}

/// Something else (an operator, an autoscaler) undoes the fault before it has any effect.
fn the_effect_is_taken_back_at_once(stack: &Stack) {
    let before = stack.world();
    let scenario = portal_lost("30s")
        .replace("replicas = 0", "replicas = 3")
        .replace("30s", "5s")
        .replace("duration = ", "effect_within = \"2s\"\nduration = ");
    let run = std::thread::scope(|scope| {
        let run = stack.start(&scenario);
        scope.spawn(|| stack.undo_scaling("portal", 3, 2));
        run.finish()
    });
    run.ended(stack, 3).because(
        "the effect of fault \"portal-lost\" was not seen: deployment/portal has 2 of 2 replicas ready",
    );
    assert_eq!(stack.world(), before);
    assert!(stack.ledger().is_none());
}
