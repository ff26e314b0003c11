//! Parts of loads: what is taken from answers, forms, pauses, files.

use std::collections::BTreeMap;

use harness_event::{ExtractFrom, Extraction, Millis};
use toml::de::DeValue;

use super::{
    basic,
    request::{Scope, is_token, placeholder_text},
};
use crate::{
    problems::{Issue, Span},
    suggest::{self, quoted},
    syntax::type_name,
};

/// The name of an extracted value.
pub(super) fn extraction_name(name: &str) -> Result<(), Issue> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 63 || !name.chars().all(known) {
        let issue = Issue::new(format!("{} is not the name of a value", quoted(name)));
        return Err(issue.hint("up to 63 letters, digits, `-`, `_`"));
    }
    Ok(())
}

/// Values to take from an answer: `{ picture = { json = "/id" } }`.
pub(crate) fn extractions(value: &DeValue<'_>, _: &Span) -> Result<Vec<Extraction>, Issue> {
    const HINT: &str = "write { id = { json = \"/id\" } }, { token = { header = \"X-Token\" } } or { sid = { cookie = \"session\" } }";
    let Some(table) = value.as_table() else {
        return Err(
            Issue::new(format!("expected a table of places, this is {}", type_name(value))).hint(HINT)
        );
    };
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (name, place) in table.iter() {
        let (name_span, place_span) = (name.span(), place.span());
        wrong.extend(extraction_name(name.get_ref()).err().map(|issue| issue.at(&name_span)));
        let from = match place.get_ref() {
            DeValue::Table(place) if place.len() == 1 => place.iter().next().map(|(kind, at)| {
                let (kind_span, at_span) = (kind.span(), at.span());
                extract_from(kind.get_ref(), at.get_ref(), &at_span).map_err(|issue| match issue.span {
                    Some(_) => issue,
                    None => issue.at(&kind_span),
                })
            }),
            _ => None,
        };
        match from {
            Some(Ok(from)) => found.push(Extraction { name: name.get_ref().to_string(), from }),
            Some(Err(issue)) => wrong.push(issue),
            None => {
                let issue = Issue::new(format!("{} does not say its place", quoted(name.get_ref())));
                wrong.push(issue.hint(HINT).at(&place_span));
            }
        }
    }
    Issue::all(wrong)?;
    Ok(found)
}

fn extract_from(kind: &str, at: &DeValue<'_>, span: &Span) -> Result<ExtractFrom, Issue> {
    const KINDS: [&str; 3] = ["json", "header", "cookie"];
    if !KINDS.contains(&kind) {
        let issue = Issue::new(format!("values are not taken from {}", quoted(kind)));
        return Err(issue.maybe_hint(suggest::hint(kind, &KINDS, "one of")));
    }
    let Some(text) = at.as_str() else {
        return Err(Issue::new(format!("expected a text, this is {}", type_name(at))).at(span));
    };
    match kind {
        "json" => json_pointer(text).map(|()| ExtractFrom::Json(text.to_owned())),
        "header" if is_token(text) => Ok(ExtractFrom::Header(text.to_owned())),
        "cookie" if is_token(text) => Ok(ExtractFrom::Cookie(text.to_owned())),
        _ => Err(Issue::new(format!("{} is not the name of a {kind}", quoted(text)))),
    }
    .map_err(|issue| issue.at(span))
}

/// RFC 6901.
fn json_pointer(text: &str) -> Result<(), Issue> {
    let escapes = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if text.len() <= 500 && escapes && (text.is_empty() || text.starts_with('/')) {
        return Ok(());
    }
    let path = !text.starts_with(['/', '$']) && escapes && !text.contains(char::is_whitespace);
    let hint = match path {
        true => format!("did you mean {}?", quoted(&format!("/{}", text.replace('.', "/")))),
        false => "such as \"/id\" or \"/items/0/name\"; in it, ~1 stands for / and ~0 for ~".to_owned(),
    };
    Err(Issue::new(format!("{} is not a JSON pointer", quoted(text))).hint(hint))
}

/// The fields of a form.
pub(crate) fn form(value: &DeValue<'_>, _: &Span) -> Result<BTreeMap<String, String>, Issue> {
    let Some(table) = value.as_table() else {
        let issue = Issue::new(format!("expected a table of texts, this is {}", type_name(value)));
        return Err(issue.hint("write { username = \"u-${user.id}\" }"));
    };
    let (mut fields, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, value) in table.iter() {
        let span = value.span();
        let text = match value.get_ref().as_str() {
            Some(text) => placeholder_text(text.to_owned(), Scope::Load),
            None => {
                let kind = type_name(value.get_ref());
                Err(Issue::new(format!("a form's field must be a text, this is {kind}")))
            }
        };
        match text {
            Ok(text) => drop(fields.insert(name.get_ref().to_string(), text)),
            Err(issue) => wrong.push(issue.at(&span)),
        }
    }
    Issue::all(wrong)?;
    Ok(fields)
}

/// Pause of a user: a length, or the limits of a random one.
pub(crate) fn think(value: &DeValue<'_>, min: i64, max: i64) -> Result<(Millis, Millis), Issue> {
    const HINT: &str = "write \"100ms\", or { min = \"50ms\", max = \"200ms\" }";
    let Some(table) = value.as_table() else {
        return basic::duration(value, min, max).map(|length| (length, length));
    };
    let (mut least, mut most, mut wrong) = (None, None, Vec::new());
    for (name, value) in table.iter() {
        let (name_span, value_span) = (name.span(), value.span());
        let target = match name.get_ref().as_ref() {
            "min" => &mut least,
            "max" => &mut most,
            other => {
                wrong.push(Issue::new(format!("unknown key {}", quoted(other))).hint(HINT).at(&name_span));
                continue;
            }
        };
        match basic::duration(value.get_ref(), min, max) {
            Ok(length) => *target = Some(length),
            Err(issue) => wrong.push(issue.at(&value_span)),
        }
    }
    Issue::all(wrong)?;
    match (least, most) {
        (Some(least), Some(most)) if least <= most => Ok((least, most)),
        (Some(least), Some(most)) => Err(Issue::new(format!("min = {least} is more than max = {most}"))),
        _ => Err(Issue::new("`min` or `max` is missing").hint(HINT)),
    }
}

/// A file, relative to the scenario file.
pub(crate) fn path(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let path = basic::line(value, span)?;
    if path.ends_with('/') {
        return Err(Issue::new(format!("{} is a directory", quoted(&path))));
    }
    if path.contains("${") {
        return Err(Issue::new("the name of a file has no placeholders"));
    }
    Ok(path)
}

/// A media type: `image/png`.
pub(crate) fn media_type(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let text = basic::line(value, span)?;
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let good = essence.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    if good && text.is_ascii() {
        return Ok(text);
    }
    Err(Issue::new(format!("{} is not a media type", quoted(&text))).hint("such as \"image/png\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_pointers_are_those_of_rfc_6901() {
        for good in ["", "/", "/id", "/items/0/a~1b", "/~0", "/a b"] {
            assert!(json_pointer(good).is_ok(), "{good}");
        }
        for bad in ["id", "$.id", "/~", "/~2", "a/b"] {
            assert!(json_pointer(bad).is_err(), "{bad}");
        }
        assert_eq!(json_pointer("data.id").unwrap_err().hint.as_deref(), Some("did you mean \"/data/id\"?"));
    }

    #[test]
    fn media_types() {
        let read = |text: &str| media_type(&DeValue::String(text.into()), &(0..0));
        for good in ["image/png", "text/plain; charset=utf-8", "application/vnd.api+json"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in ["png", "image/", "/png", "image/png x", "a b/c"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
