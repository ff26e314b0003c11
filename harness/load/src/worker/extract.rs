//! Values out of answers.

use harness_event::{ExtractFrom, Extraction};
use http::{HeaderMap, HeaderName, header::SET_COOKIE};
use serde_json::Value;

use super::template::Names;

/// Body of which JSON is read; a longer one has no values.
pub(super) const JSON_LIMIT: usize = 8 << 20;

/// What a step takes from its answer.
#[derive(Debug)]
pub(super) struct Extract {
    value: usize,
    from: From,
}

#[derive(Debug)]
enum From {
    Json(String),
    Header(HeaderName),
    Cookie(String),
}

impl Extract {
    /// None if a header's name is none.
    pub(super) fn new(extraction: &Extraction, names: &mut Names) -> Option<Self> {
        let from = match &extraction.from {
            ExtractFrom::Json(pointer) => From::Json(pointer.clone()),
            ExtractFrom::Header(name) => From::Header(name.parse().ok()?),
            ExtractFrom::Cookie(name) => From::Cookie(name.clone()),
        };
        Some(Self { value: names.add(&extraction.name), from })
    }

    /// True if the body has to be kept.
    pub(super) fn needs_body(&self) -> bool {
        matches!(self.from, From::Json(_))
    }
}

/// Puts what the answer has into the values. What it does not have is unset: a later request must not go on with an old one.
pub(super) fn extract(wanted: &[Extract], headers: &HeaderMap, body: &[u8], values: &mut [Option<String>]) {
    // A body that is no JSON has no values.
    let json = match wanted.iter().any(Extract::needs_body) {
        true => serde_json::from_slice(body).unwrap_or_default(),
        false => Value::Null,
    };
    for extract in wanted {
        values[extract.value] = match &extract.from {
            From::Json(pointer) => json.pointer(pointer).and_then(|value| match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            }),
            From::Header(name) => headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned),
            From::Cookie(name) => cookie(headers, name),
        };
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).find_map(|text| {
        let (found, value) = text.split(';').next()?.split_once('=')?;
        (found.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(from: ExtractFrom, headers: &[(&'static str, &str)], body: &str) -> Option<String> {
        let mut names = Names::default();
        let extract_one = Extract::new(&Extraction { name: "x".to_owned(), from }, &mut names).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let mut values = vec![Some("old".to_owned())];
        extract(&[extract_one], &map, body.as_bytes(), &mut values);
        values.remove(0)
    }

    #[test]
    fn json_pointers() {
        let body = r#"{"a":{"b":[1,"two",null,{"c":true}]}}"#;
        for (pointer, value) in [
            ("/a/b/0", Some("1")),
            ("/a/b/1", Some("two")),
            ("/a/b/2", None),
            ("/a/b/3", Some(r#"{"c":true}"#)),
            ("/a/x", None),
        ] {
            assert_eq!(
                taken(ExtractFrom::Json(pointer.to_owned()), &[], body).as_deref(),
                value,
                "{pointer}"
            );
        }
        assert_eq!(taken(ExtractFrom::Json("/a".to_owned()), &[], "no json"), None);
    }

    #[test]
    fn headers_and_cookies() {
        let headers = [
            ("location", "/images/7"),
            ("set-cookie", "session=abc=1; Path=/; HttpOnly"),
            ("set-cookie", "other=\"q\""),
        ];
        let header = |name: &str| taken(ExtractFrom::Header(name.to_owned()), &headers, "");
        assert_eq!(header("Location").as_deref(), Some("/images/7"));
        assert_eq!(header("etag"), None);
        let cookie = |name: &str| taken(ExtractFrom::Cookie(name.to_owned()), &headers, "");
        assert_eq!(cookie("session").as_deref(), Some("abc=1"));
        assert_eq!(cookie("other").as_deref(), Some("q"));
        assert_eq!(cookie("ses"), None);
    }
}
