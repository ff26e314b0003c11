//! The `harness` command.

use std::process;

fn main() {
    // The shim that stands between the control plane and a pod's process must stay small and single-threaded: it is
    // dispatched before anything else is set up, a runtime above all.
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|command| command == harness::POD_SHIM) {
        cluster::kubelet::shim::main(args.collect());
    }
    process::exit(harness::main_impl().into());
}
