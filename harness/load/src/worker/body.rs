//! Bodies of requests: made once as far as they are the same for all, the rest for every request.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use harness_event::{LoadBody, LoadPart};
use serde_json::Value;
use thiserror::Error;

use super::template::{Escape, Fill, Known, Missing, Template, TemplateError};

/// Contents of files by their path as written in the scenario.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<String, Vec<u8>>);

/// A body that cannot be made.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    /// Not Base64.
    #[error("the contents of {path} are not Base64")]
    Encoding {
        /// The file.
        path: String,
        /// Where.
        source: base64::DecodeError,
    },
    /// The sender did not send it along.
    #[error("the contents of {0} are missing")]
    NoFile(String),
    /// Neither a text nor a file, or both.
    #[error("part {0:?} needs either a text or a file")]
    Part(String),
    /// A placeholder is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl Files {
    /// Decodes them.
    pub(super) fn new(encoded: &BTreeMap<String, String>) -> Result<Self, BodyError> {
        let decoded = encoded.iter().map(|(path, contents)| {
            let contents = STANDARD
                .decode(contents)
                .map_err(|source| BodyError::Encoding { path: path.clone(), source })?;
            Ok((path.clone(), contents))
        });
        decoded.collect::<Result<_, _>>().map(Self)
    }

    fn get(&self, path: &str) -> Result<&[u8], BodyError> {
        self.0.get(path).map(Vec::as_slice).ok_or_else(|| BodyError::NoFile(path.to_owned()))
    }
}

/// A body, ready to be sent.
#[derive(Debug)]
pub(super) enum Body {
    /// The same for every request.
    Constant(Bytes),
    /// Made for each.
    Template(Template),
}

impl Body {
    /// The body and its media type.
    pub(super) fn new(body: &LoadBody, files: &Files, known: Known<'_>) -> Result<(Self, String), BodyError> {
        let mut template = Template::default();
        let media_type = match body {
            LoadBody::Json(value) => {
                json(value, &mut template, known)?;
                "application/json".to_owned()
            }
            LoadBody::Form(fields) => {
                for (place, (name, value)) in fields.iter().enumerate() {
                    if place > 0 {
                        template.raw(b"&");
                    }
                    template.push(name, Escape::Form, known)?;
                    template.raw(b"=");
                    template.push(value, Escape::Form, known)?;
                }
                "application/x-www-form-urlencoded".to_owned()
            }
            LoadBody::Text(text) => {
                template.push(text, Escape::None, known)?;
                "text/plain".to_owned()
            }
            LoadBody::File(path) => {
                template.raw(files.get(path)?);
                "application/octet-stream".to_owned()
            }
            LoadBody::Multipart(parts) => {
                let boundary =
                    format!("harness-{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
                multipart(parts, &boundary, files, &mut template, known)?;
                format!("multipart/form-data; boundary={boundary}")
            }
        };
        let body = match template.constant() {
            Some(bytes) => Self::Constant(bytes),
            None => Self::Template(template),
        };
        Ok((body, media_type))
    }

    /// The bytes to send.
    pub(super) fn render(&self, fill: Fill<'_>) -> Result<Bytes, Missing> {
        match self {
            Self::Constant(bytes) => Ok(bytes.clone()),
            Self::Template(template) => {
                let mut bytes = Vec::new();
                template.render(fill, &mut bytes)?;
                Ok(bytes.into())
            }
        }
    }
}

fn json(value: &Value, out: &mut Template, known: Known<'_>) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => {
            out.raw(b"\"");
            out.push(text, Escape::Json, known)?;
            out.raw(b"\"");
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                out.raw(if place == 0 { b"[" } else { b"," });
                json(value, out, known)?;
            }
            out.raw(if values.is_empty() { b"[]" } else { b"]" });
        }
        Value::Object(fields) => {
            for (place, (name, value)) in fields.iter().enumerate() {
                out.raw(if place == 0 { b"{\"" } else { b",\"" });
                out.push(name, Escape::Json, known)?;
                out.raw(b"\":");
                json(value, out, known)?;
            }
            out.raw(if fields.is_empty() { b"{}" } else { b"}" });
        }
        other => out.raw(other.to_string().as_bytes()),
    }
    Ok(())
}

fn multipart(
    parts: &[LoadPart],
    boundary: &str,
    files: &Files,
    out: &mut Template,
    known: Known<'_>,
) -> Result<(), BodyError> {
    for part in parts {
        out.raw(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"").as_bytes());
        out.push(&quoted(&part.name), Escape::None, known)?;
        out.raw(b"\"");
        let own_name =
            part.file.as_deref().and_then(|path| Path::new(path).file_name()).and_then(|name| name.to_str());
        if let Some(name) = part.filename.as_deref().or(own_name) {
            out.raw(b"; filename=\"");
            out.push(&quoted(name), Escape::None, known)?;
            out.raw(b"\"");
        }
        let of_file = part.file.is_some().then_some("application/octet-stream");
        if let Some(media_type) = part.content_type.as_deref().or(of_file) {
            out.raw(format!("\r\nContent-Type: {media_type}").as_bytes());
        }
        out.raw(b"\r\n\r\n");
        match (&part.text, &part.file) {
            (Some(text), None) => out.push(text, Escape::None, known)?,
            (None, Some(path)) => out.raw(files.get(path)?),
            _ => return Err(BodyError::Part(part.name.clone())),
        }
        out.raw(b"\r\n");
    }
    out.raw(format!("--{boundary}--\r\n").as_bytes());
    Ok(())
}

/// As browsers write field and file names (HTML standard, "multipart/form-data encoding algorithm").
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::template::Names, *};

    fn made(body: &LoadBody, files: &[(&str, &[u8])]) -> (Vec<u8>, String, bool) {
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), STANDARD.encode(bytes))).collect();
        let names = Names::default();
        let known = Known { run: "run-1", values: &names };
        let (body, media_type) = Body::new(body, &Files::new(&files).unwrap(), known).unwrap();
        let constant = matches!(body, Body::Constant(_));
        (body.render(Fill { user: 3, round: 4, values: &[] }).unwrap().to_vec(), media_type, constant)
    }

    #[test]
    fn json_stays_json_whatever_is_put_in() {
        let value = json!({ "a": ["${user.id}", 1, null, { }], "${run.id}": "\"q\"\n", "e": [], "n": 1.5 });
        let (bytes, media_type, constant) = made(&LoadBody::Json(value), &[]);
        assert_eq!(
            serde_json::from_slice::<Value>(&bytes).unwrap(),
            json!({ "a": ["3", 1, null, { }], "run-1": "\"q\"\n", "e": [], "n": 1.5 })
        );
        assert_eq!((media_type.as_str(), constant), ("application/json", false));
    }

    #[test]
    fn forms_are_encoded() {
        let fields = BTreeMap::from([
            ("a b".to_owned(), "1&2".to_owned()),
            ("u".to_owned(), "${user.round}".to_owned()),
        ]);
        assert_eq!(made(&LoadBody::Form(fields), &[]).0, b"a+b=1%262&u=4");
    }

    #[test]
    fn a_multipart_body_without_placeholders_is_made_once() {
        let file: Vec<u8> = (0..=255).collect();
        let part = LoadPart {
            name: "im\"age".to_owned(),
            text: None,
            file: Some("data/cat.png".to_owned()),
            filename: None,
            content_type: Some("image/png".to_owned()),
        };
        let (bytes, media_type, constant) =
            made(&LoadBody::Multipart(vec![part]), &[("data/cat.png", &file)]);
        assert!(constant);
        let boundary = media_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let mut expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"im%22age\"; filename=\"cat.png\"\r\nContent-Type: image/png\r\n\r\n"
        )
        .into_bytes();
        expected.extend_from_slice(&file);
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        let names = Names::default();
        let known = Known { run: "r", values: &names };
        let error = Body::new(&LoadBody::File("x.bin".to_owned()), &Files::default(), known).unwrap_err();
        assert_eq!(error.to_string(), "the contents of x.bin are missing");
    }
}
