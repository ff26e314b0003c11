//! Structured logs: one JSON object a line on standard output.
//!
//! Fields of the surrounding request span (`request_id`) are part of every line that is written while the
//! request is handled. Passwords, session tokens and connection strings are never given to a log call.

use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, Env};

/// Sets up logging for the process from `LOG_LEVEL` (`error`, `warn`, `info`, `debug`, `trace`, or a
/// `tracing` filter such as `info,services=debug`; default `info`).
pub fn init(env: &Env) -> Result<(), ConfigError> {
    let level = env.text("LOG_LEVEL", "info")?;
    let filter = filter(&level)?;
    // A second call (services started in one process by tests) keeps the first subscriber.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stdout)
        .try_init();
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, ConfigError> {
    let known = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    // A lone word that is no level would be taken for the name of a crate, and silence everything else.
    let plausible = level.split(',').all(|part| part.contains('=') || known(&part.to_ascii_lowercase()));
    match EnvFilter::try_new(level) {
        Ok(filter) if plausible => Ok(filter),
        _ => Err(ConfigError::new(
            "LOG_LEVEL",
            format!("{level:?} is not a log level (error, warn, info, debug, trace) or filter"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn levels() {
        assert!(filter("info").is_ok());
        assert!(filter("DEBUG").is_ok());
        assert!(filter("info,services=debug").is_ok());
        let error = filter("loud").unwrap_err().to_string();
        assert_eq!(
            error,
            "LOG_LEVEL: \"loud\" is not a log level (error, warn, info, debug, trace) or filter"
        );
        assert!(filter("services=loud").is_err());
    }
}
