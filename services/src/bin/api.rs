//! The service `api` of the demo system "gallery". Configuration: see the package's README.

fn main() -> std::process::ExitCode {
    services::run::main("api", services::api::service)
}
