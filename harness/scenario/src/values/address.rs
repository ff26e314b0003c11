//! Addresses.

use toml::de::DeValue;

use super::{basic, kubernetes::is_dns_label, request::Scope};
use crate::{
    problems::{Issue, Span},
    suggest::{self, quoted},
};

/// `http(s)://HOST[:PORT][/path]` or `service://NAMESPACE/NAME:PORT[/path]`.
pub(crate) fn url(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let url = basic::text(value, span)?;
    check(&url).map_err(|reason| {
        Issue::new(format!("{} is not an address: {}", quoted(&url), reason.message)).maybe_hint(reason.hint)
    })?;
    Ok(url)
}

fn check(url: &str) -> Result<(), Issue> {
    const SCHEMES: &str = "service://NAMESPACE/NAME:PORT/path, http://… or https://…";
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Issue::new("it has a blank in it").hint("write %20 for a blank"));
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Issue::new("it has no scheme").hint(format!("write {SCHEMES}")));
    };
    match scheme {
        "service" => service(rest),
        "http" | "https" => host_and_port(rest),
        other => {
            let known = ["service", "http", "https"];
            Err(Issue::new(format!("the scheme {} is not known", quoted(other)))
                .maybe_hint(suggest::nearest(other, known).map(|near| format!("did you mean {near}://?")))
                .or_hint(format!("write {SCHEMES}")))
        }
    }
}

/// Namespace, name, port and path after `service://`.
fn service(rest: &str) -> Result<(), Issue> {
    const FORM: &str = "the form is service://NAMESPACE/NAME:PORT/path";
    let (namespace, rest) =
        rest.split_once('/').ok_or_else(|| Issue::new("the Service's name is missing").hint(FORM))?;
    let (authority, _path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (name, service_port) =
        authority.split_once(':').ok_or_else(|| Issue::new("the port is missing").hint(FORM))?;
    if !is_dns_label(namespace) {
        return Err(Issue::new(format!("{} is not a namespace", quoted(namespace))).hint(FORM));
    }
    if !is_dns_label(name) {
        return Err(Issue::new(format!("{} is not the name of a Service", quoted(name))).hint(FORM));
    }
    port(service_port)
}

fn host_and_port(rest: &str) -> Result<(), Issue> {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return Err(Issue::new("it has a user name in it")
            .hint("credentials do not belong into a scenario; send a header"));
    }
    let (host, after) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, after)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (address, after),
        Some(_) => return Err(Issue::new("the IPv6 address is wrong")),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let good_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(good_host) {
        return Err(Issue::new(format!("{} is not a host", quoted(host))));
    }
    match after.strip_prefix(':') {
        Some(number) => port(number),
        None if after.is_empty() => Ok(()),
        None => Err(Issue::new(format!("{} is not a port", quoted(after)))),
    }
}

fn port(text: &str) -> Result<(), Issue> {
    match text.parse::<u16>() {
        Ok(1..) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
        _ => Err(Issue::new(format!("{} is not a port", quoted(text))).hint("a number between 1 and 65535")),
    }
}

/// Places where no step is being made have nothing to put into a placeholder.
pub(crate) fn without_placeholders(url: String) -> Result<String, Issue> {
    if url.contains("${") {
        return Err(Issue::new("placeholders are replaced in the steps of probes and loads only")
            .hint(format!("of probes: {}; of loads: {}", Scope::Probe.list(), Scope::Load.list())));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            "http://localhost",
            "https://example.org:8443/a?b=c#d",
            "http://[::1]:80/",
            "service://gallery/portal:18080",
            "service://gallery/portal:18080/api/login?x=1",
            "http://127.0.0.1:1",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "localhost",
            "ftp://x",
            "http://",
            "http://x:0",
            "http://x:70000",
            "http://x:+80",
            "http://a b",
            "service://gallery",
            "service://gallery/portal",
            "service://Gallery/portal:1",
            "service:///portal:1",
            "service://gallery/portal:http",
            "http://user:pass@host",
            "http://[::1",
            "http://[x]:1",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
