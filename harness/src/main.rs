//! The `harness` command.

use std::process;

fn main() {
    // Both are dispatched before anything else is set up, a runtime above all.
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        // It stands between the control plane and a pod's process and must stay small and single-threaded.
        Some(command) if command == harness::POD_SHIM => cluster::kubelet::shim::main(args.collect()),
        // Its standard output belongs to a protocol, and its signals and its runtime are its own.
        Some(command) if command == harness::LOAD_WORKER => {
            process::exit(harness_load::worker::main().into())
        }
        _ => {}
    }
    process::exit(harness::main_impl().into());
}
