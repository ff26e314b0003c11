//! Configuration from the environment.
//!
//! Every getter answers with a [`ConfigError`] that names the variable and says what it should have been, so
//! that a bad value ends start-up with one clear line. Values of secrets never appear in these errors.

use std::{collections::HashMap, ffi::OsString, net::SocketAddr, time::Duration};

use reqwest::Url;

/// A variable that is missing or has a value that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigError {
    /// Name of the environment variable.
    pub variable: String,
    /// What is wrong with it, and what it should be.
    pub problem: String,
}

impl ConfigError {
    /// An error about `variable`.
    pub fn new(variable: &str, problem: impl Into<String>) -> Self {
        Self { variable: variable.to_owned(), problem: problem.into() }
    }
}

/// The environment a service is configured from: the process's own, or a given one in tests.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: HashMap<OsString, OsString>,
}

impl Env {
    /// The environment of this process.
    pub fn from_process() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// An environment of exactly these variables.
    pub fn from_pairs<K: Into<OsString>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self { variables: pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect() }
    }

    /// The value of `name`; an empty value counts as not set, as an empty Kubernetes `env` entry does.
    pub fn get(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        match self.variables.get(std::ffi::OsStr::new(name)) {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Some("") => Ok(None),
                Some(text) => Ok(Some(text)),
                None => Err(ConfigError::new(name, "is not valid UTF-8")),
            },
        }
    }

    /// All variables whose names start with one of `prefixes`, for libraries with settings of their own.
    #[cfg(feature = "cloud")]
    pub fn with_prefixes(&self, prefixes: &[&str]) -> Vec<(String, String)> {
        let pairs = self.variables.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        pairs
            .filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The value of `name`, or `default`.
    pub fn text(&self, name: &str, default: &str) -> Result<String, ConfigError> {
        Ok(self.get(name)?.unwrap_or(default).to_owned())
    }

    /// The value of `name`, which has to be set; `what` says what it is for.
    pub fn required(&self, name: &str, what: &str) -> Result<String, ConfigError> {
        match self.get(name)? {
            Some(value) => Ok(value.to_owned()),
            None => Err(ConfigError::new(name, format!("is not set; it must be {what}"))),
        }
    }

    /// An address to listen on, `IP:PORT`; port 0 lets the system choose.
    pub fn address(&self, name: &str, default: &str) -> Result<SocketAddr, ConfigError> {
        let text = self.text(name, default)?;
        text.parse().map_err(|_| {
            ConfigError::new(name, format!("{text:?} is not an address of the form IP:PORT, e.g. {default}"))
        })
    }

    /// A whole number between `min` and `max`.
    pub fn number(&self, name: &str, default: u64, min: u64, max: u64) -> Result<u64, ConfigError> {
        let Some(text) = self.get(name)? else { return Ok(default) };
        match text.parse::<u64>() {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            _ => Err(ConfigError::new(name, format!("{text:?} is not a whole number from {min} to {max}"))),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self, name: &str, default: bool) -> Result<bool, ConfigError> {
        match self.get(name)? {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(text) => Err(ConfigError::new(name, format!("{text:?} is neither true nor false"))),
        }
    }

    /// A duration such as `250ms`, `2s`, `10m` or `24h`, between `min` and `max`.
    pub fn duration(
        &self,
        name: &str,
        default: Duration,
        min: Duration,
        max: Duration,
    ) -> Result<Duration, ConfigError> {
        let Some(text) = self.get(name)? else { return Ok(default) };
        match parse_duration(text) {
            Some(value) if (min..=max).contains(&value) => Ok(value),
            Some(_) => Err(ConfigError::new(
                name,
                format!("{text:?} is out of range, it must be {min:?} to {max:?}"),
            )),
            None => {
                Err(ConfigError::new(name, format!("{text:?} is not a duration, e.g. 250ms, 2s, 10m or 24h")))
            }
        }
    }

    /// A size in bytes, plain or with the suffix `KiB` or `MiB`, between `min` and `max` bytes.
    pub fn bytes(&self, name: &str, default: u64, min: u64, max: u64) -> Result<u64, ConfigError> {
        let Some(text) = self.get(name)? else { return Ok(default) };
        match parse_bytes(text) {
            Some(value) if (min..=max).contains(&value) => Ok(value),
            _ => Err(ConfigError::new(
                name,
                format!("{text:?} is not a size from {min} to {max} bytes, e.g. 5MiB or 5242880"),
            )),
        }
    }

    /// An `http` base URL of another service. The path must be empty or `/`.
    pub fn http_url(&self, name: &str, default: &str) -> Result<Url, ConfigError> {
        let text = self.text(name, default)?;
        let url = Url::parse(&text)
            .map_err(|error| ConfigError::new(name, format!("{text:?} is not a URL ({error})")))?;
        if url.scheme() != "http" || url.host_str().is_none() {
            return Err(ConfigError::new(name, format!("{text:?} must be of the form http://HOST:PORT")));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(ConfigError::new(name, format!("{text:?} must not have a path or a query")));
        }
        Ok(url)
    }
}

/// `250ms`, `2s`, `10m`, `24h` as a duration.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let value: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "ms" => Some(Duration::from_millis(value)),
        "s" => Some(Duration::from_secs(value)),
        "m" => value.checked_mul(60).map(Duration::from_secs),
        "h" => value.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// `5242880`, `512KiB`, `5MiB` as a number of bytes.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let value: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "" => Some(value),
        "KiB" => value.checked_mul(1 << 10),
        "MiB" => value.checked_mul(1 << 20),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn durations_and_sizes() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("24h"), Some(86_400 * S));
        for bad in ["", "5", "s", "5 s", "-5s", "5d", "1.5s", "99999999999999999999s"] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
        assert_eq!(parse_bytes("5MiB"), Some(5 << 20));
        assert_eq!(parse_bytes("17"), Some(17));
        for bad in ["", "MiB", "5MB", "-1", "5 MiB", "18446744073709551615MiB"] {
            assert_eq!(parse_bytes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn errors_name_the_variable_and_the_expectation() {
        let env = Env::from_pairs([("A", "x:y"), ("D", "fast"), ("N", "0"), ("U", "ftp://a"), ("B", "yes")]);
        let errors = [
            env.address("A", "127.0.0.1:1").unwrap_err(),
            env.duration("D", S, S, 9 * S).unwrap_err(),
            env.number("N", 5, 1, 10).unwrap_err(),
            env.http_url("U", "http://a").unwrap_err(),
            env.boolean("B", false).unwrap_err(),
            env.required("MISSING", "the address of Redis").unwrap_err(),
        ];
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        A: "x:y" is not an address of the form IP:PORT, e.g. 127.0.0.1:1
        D: "fast" is not a duration, e.g. 250ms, 2s, 10m or 24h
        N: "0" is not a whole number from 1 to 10
        U: "ftp://a" must be of the form http://HOST:PORT
        B: "yes" is neither true nor false
        MISSING: is not set; it must be the address of Redis
        "#);
    }

    #[test]
    fn empty_counts_as_not_set() {
        let env = Env::from_pairs([("N", "")]);
        assert_eq!(env.number("N", 7, 1, 10).unwrap(), 7);
    }
}
