//! The load worker as a program of its own, for tests and benchmarks. `harness load-worker` is the same.

fn main() {
    std::process::exit(harness_load::worker::main().into());
}
