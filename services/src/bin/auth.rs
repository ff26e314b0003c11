//! The service `auth` of the demo system "gallery". Configuration: see the package's README.

fn main() -> std::process::ExitCode {
    services::run::main("auth", services::auth::service)
}
