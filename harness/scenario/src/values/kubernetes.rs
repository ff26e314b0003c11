//! Names and selectors of Kubernetes, by its own rules.

use harness_event::WorkloadRef;
use toml::de::DeValue;

use super::basic;
use crate::{
    problems::{Issue, Span},
    suggest::{self, quoted},
};

/// RFC 1123 label: namespaces and Services.
pub(crate) fn is_dns_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// RFC 1123 subdomain: most other objects, and prefixes of label names.
fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// A namespace.
pub(crate) fn namespace(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let name = basic::text(value, span)?;
    if is_dns_label(&name) {
        return Ok(name);
    }
    Err(Issue::new(format!("{} is not a namespace", quoted(&name)))
        .hint("lower-case letters, digits and `-`, at most 63 characters"))
}

/// `deployment/NAME`.
pub(crate) fn workload(value: &DeValue<'_>, span: &Span) -> Result<WorkloadRef, Issue> {
    let text = basic::text(value, span)?;
    let Some((kind, name)) = text.split_once('/') else {
        let hint = if is_dns_subdomain(&text) {
            format!("did you mean \"deployment/{text}\"?")
        } else {
            "write \"deployment/NAME\"".into()
        };
        return Err(Issue::new(format!("{} does not say its kind", quoted(&text))).hint(hint));
    };
    if kind != "deployment" {
        let near = suggest::nearest(kind, ["deployment", "deployments", "deploy"]).is_some();
        let hint = if near {
            format!("did you mean \"deployment/{name}\"?")
        } else {
            "Deployments are the only kind of this version".into()
        };
        return Err(Issue::new(format!("workloads of kind {} are not known", quoted(kind))).hint(hint));
    }
    if !is_dns_subdomain(name) {
        return Err(Issue::new(format!("{} is not the name of a Deployment", quoted(name))));
    }
    Ok(WorkloadRef { kind: "Deployment".to_owned(), name: name.to_owned() })
}

/// The name of an object, without its kind.
pub(crate) fn object_name(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let name = basic::text(value, span)?;
    if is_dns_subdomain(&name) {
        return Ok(name);
    }
    let bare = name.rsplit_once('/').map(|(_, bare)| bare).filter(|bare| is_dns_subdomain(bare));
    let hint = bare.map_or_else(
        || "lower-case letters, digits, `-` and `.`, at most 253 characters".to_owned(),
        |bare| format!("write the name alone: {bare:?}"),
    );
    Err(Issue::new(format!("{} is not the name of an object", quoted(&name))).hint(hint))
}

/// A label selector, as `kubectl -l` takes it.
pub(crate) fn selector(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let text = basic::text(value, span)?;
    match requirements(&text) {
        Ok(()) => Ok(text),
        Err(part) => Err(Issue::new(format!("{} is not a label selector", quoted(&part)))
            .hint("as in kubectl: \"app.kubernetes.io/name=api,tier!=cache,env in (a,b),canary,!old\"")),
    }
}

/// Checks each requirement; gives the wrong one back.
fn requirements(text: &str) -> Result<(), String> {
    // Commas inside of `in (a,b)` do not separate requirements.
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    match parts.into_iter().map(str::trim).find(|part| !requirement(part)) {
        None => Ok(()),
        Some(wrong) => Err(if wrong.is_empty() { text.to_owned() } else { wrong.to_owned() }),
    }
}

fn requirement(text: &str) -> bool {
    if let Some(key) = text.strip_prefix('!') {
        return is_label_key(key.trim());
    }
    for operator in ["!=", "==", "="] {
        if let Some((key, value)) = text.split_once(operator) {
            return is_label_key(key.trim()) && is_label_value(value.trim());
        }
    }
    let Some(list) = text.strip_suffix(')') else { return is_label_key(text) };
    let Some((head, values)) = list.split_once('(') else { return false };
    let mut words = head.split_whitespace();
    let (key, operator) = (words.next(), words.next());
    key.is_some_and(is_label_key)
        && matches!(operator, Some("in" | "notin"))
        && words.next().is_none()
        && values.split(',').all(|value| is_label_value(value.trim()))
}

fn is_label_key(key: &str) -> bool {
    let name = match key.split_once('/') {
        Some((prefix, name)) if is_dns_subdomain(prefix) => name,
        Some(_) => return false,
        None => key,
    };
    !name.is_empty() && is_label_value(name)
}

fn is_label_value(value: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: char| c.is_ascii_alphanumeric();
    value.is_empty()
        || value.len() <= 63 && value.chars().all(inner) && value.starts_with(outer) && value.ends_with(outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_follow_kubectl() {
        for good in [
            "app=api",
            "app.kubernetes.io/name=api,tier!=cache",
            "env in (a, b),x",
            "!old",
            "a==b",
            "env notin (a)",
            "a=",
        ] {
            assert_eq!(requirements(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ",",
            "app=api,",
            "=x",
            "app=a b",
            "app=-x",
            "env in a",
            "env of (a)",
            "(a)",
            "a/b/c=d",
            "app=api)",
            "!",
        ] {
            assert!(requirements(bad).is_err(), "{bad}");
        }
    }
}
