//! Parts of HTTP requests: method, headers, bodies, placeholders.

use std::collections::BTreeMap;

use harness_event::{HttpStep, LoadSpec};
use serde_json::Value as Json;
use toml::de::DeValue;

use super::{basic, load::extraction_name};
use crate::{
    problems::{Issue, Span},
    suggest::{self, quoted},
    syntax::type_name,
};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Headers that follow from the body or the connection.
const OWN_HEADERS: [&str; 4] = ["content-length", "transfer-encoding", "connection", "host"];
/// Bytes of an answer's body that a run records, see `EventKind::ProbeAnswered`.
const RECORDED_BODY: usize = 512;

/// An HTTP method, upper case.
pub(crate) fn method(value: &DeValue<'_>, _: &Span) -> Result<String, Issue> {
    basic::one_of(value, &METHODS.map(|method| (method, method))).map(str::to_owned)
}

/// Text that an answer's recorded body must contain.
pub(crate) fn body_part(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let text = basic::text(value, span)?;
    if text.len() > RECORDED_BODY {
        let message = format!("is longer than the {RECORDED_BODY} bytes of a body that are looked at");
        return Err(Issue::new(message));
    }
    Ok(text)
}

/// Where placeholders are replaced: which ones are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A step of a probe.
    Probe,
    /// A step of a load.
    Load,
}

/// What stands before the name of an extracted value.
const VALUE: &str = "value.";

impl Scope {
    fn known(self) -> &'static [&'static str] {
        match self {
            Self::Probe => &HttpStep::PLACEHOLDERS,
            Self::Load => &LoadSpec::PLACEHOLDERS,
        }
    }

    /// All that may stand here, for hints.
    pub(super) fn list(self) -> String {
        let mut known: Vec<_> = self.known().iter().map(|name| format!("${{{name}}}")).collect();
        if self == Self::Load {
            known.push("${value.NAME} (an extracted value)".to_owned());
        }
        known.join(", ")
    }
}

/// A text with known placeholders only. Whether an extracted value is there is checked later: [`extracted_values`].
pub(crate) fn placeholder_text(text: String, scope: Scope) -> Result<String, Issue> {
    let mut rest = text.as_str();
    while let Some(at) = rest.find("${") {
        let inner = &rest[at + 2..];
        let Some(end) = inner.find('}') else {
            let hint = format!("the placeholders are {}", scope.list());
            return Err(Issue::new("a placeholder `${` has no `}`").hint(hint));
        };
        check_placeholder(&inner[..end], scope)?;
        rest = &inner[end + 1..];
    }
    Ok(text)
}

fn check_placeholder(name: &str, scope: Scope) -> Result<(), Issue> {
    if scope.known().contains(&name) {
        return Ok(());
    }
    if let Some(value) = name.strip_prefix(VALUE).filter(|_| scope == Scope::Load) {
        return extraction_name(value);
    }
    let issue = Issue::new(format!("unknown placeholder {}", quoted(&format!("${{{name}}}"))));
    let near = suggest::nearest(name, scope.known().iter().copied());
    let (prefix, rest) = name.split_at(name.find('.').map_or(name.len(), |dot| dot + 1));
    Err(issue.hint(match near {
        Some(near) => format!("did you mean ${{{near}}}?"),
        None if scope == Scope::Load && !rest.is_empty() && suggest::nearest(prefix, [VALUE]).is_some() => {
            format!("did you mean ${{{VALUE}{rest}}}?")
        }
        None => format!("the placeholders are {}", scope.list()),
    }))
}

/// Names of the extracted values that a text asks for.
pub(crate) fn extracted_values(text: &str) -> impl Iterator<Item = &str> {
    let placeholders = text.split("${").skip(1).filter_map(|part| part.split_once('}'));
    let names = placeholders.filter_map(|(name, _)| name.strip_prefix(VALUE));
    names.filter(|name| extraction_name(name).is_ok())
}

/// Request headers.
pub(crate) fn headers(value: &DeValue<'_>, scope: Scope) -> Result<BTreeMap<String, String>, Issue> {
    let Some(table) = value.as_table() else {
        return Err(Issue::new(format!("expected a table of headers, this is {}", type_name(value)))
            .hint("write { Accept = \"application/json\" }"));
    };
    let (mut headers, mut wrong) = (BTreeMap::<String, String>::new(), Vec::new());
    for (name, value) in table.iter() {
        let (name_span, value_span) = (name.span(), value.span());
        let name = name.get_ref().as_ref();
        if let Some(twice) = headers.keys().find(|other| other.eq_ignore_ascii_case(name)) {
            let issue = Issue::new(format!("the headers {twice} and {} are the same one", quoted(name)));
            wrong.push(issue.at(&name_span));
        }
        if let Err(issue) = header_name(name) {
            wrong.push(issue.at(&name_span));
        }
        match header_value(value.get_ref(), scope) {
            Ok(text) => {
                headers.insert(name.to_owned(), text);
            }
            Err(issue) => wrong.push(issue.at(&value_span)),
        }
    }
    Issue::all(wrong)?;
    Ok(headers)
}

/// RFC 9110 token: names of headers, of cookies, and the parts of media types.
pub(super) fn is_token(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    (1..=200).contains(&text.len()) && text.chars().all(inner)
}

fn header_name(name: &str) -> Result<(), Issue> {
    if !is_token(name) {
        return Err(Issue::new(format!("{} is not the name of a header", quoted(name))));
    }
    if OWN_HEADERS.contains(&name.to_lowercase().as_str()) {
        return Err(
            Issue::new(format!("the header {} follows from the request", quoted(name))).hint("remove it")
        );
    }
    Ok(())
}

fn header_value(value: &DeValue<'_>, scope: Scope) -> Result<String, Issue> {
    let Some(text) = value.as_str() else {
        return Err(Issue::new(format!("a header must be a text, this is {}", type_name(value))));
    };
    if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return Err(Issue::new("a header must be printable ASCII"));
    }
    placeholder_text(text.to_owned(), scope)
}

/// A JSON body.
pub(crate) fn json(value: &DeValue<'_>, span: &Span, scope: Scope) -> Result<Json, Issue> {
    Ok(match value {
        DeValue::String(text) => {
            Json::String(placeholder_text(text.to_string(), scope).map_err(|issue| issue.at(span))?)
        }
        DeValue::Boolean(value) => Json::Bool(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Json::from)
            .map_err(|_| Issue::new("the number is too large").at(span))?,
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Json::Number)
            .ok_or_else(|| Issue::new("JSON has no infinity and no NaN").at(span))?,
        DeValue::Datetime(_) => {
            return Err(Issue::new("JSON has no dates").hint("write it as a text, in quotes").at(span));
        }
        DeValue::Array(items) => {
            let (mut list, mut wrong) = (Vec::new(), Vec::new());
            for item in items.iter() {
                match json(item.get_ref(), &item.span(), scope) {
                    Ok(item) => list.push(item),
                    Err(issue) => wrong.push(issue),
                }
            }
            Issue::all(wrong)?;
            Json::Array(list)
        }
        DeValue::Table(table) => {
            let (mut object, mut wrong) = (serde_json::Map::new(), Vec::new());
            for (key, value) in table.iter() {
                match json(value.get_ref(), &value.span(), scope) {
                    Ok(value) => drop(object.insert(key.get_ref().to_string(), value)),
                    Err(issue) => wrong.push(issue),
                }
            }
            Issue::all(wrong)?;
            Json::Object(object)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_known_or_refused() {
        for good in ["", "a", "${run.id}", "u-${probe.round}-${random}", "$5", "{x}", "$ {x}"] {
            assert!(placeholder_text(good.to_owned(), Scope::Probe).is_ok(), "{good}");
        }
        for bad in ["${", "${}", "${run_id}", "${run.id}${x}", "${ run.id }"] {
            assert!(placeholder_text(bad.to_owned(), Scope::Probe).is_err(), "{bad}");
        }
    }
}
