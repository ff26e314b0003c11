//! Choosing the form of an answer from the `Accept` header.

use http::{HeaderMap, header};

use super::status::ApiError;

/// Serialisation of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What the client wants to see of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The object itself.
    Object,
    /// Rows for printing (`as=Table`).
    Table,
    /// Only metadata (`as=PartialObjectMetadata`, or `…List` for lists).
    Metadata,
}

/// Form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Serialisation.
    pub format: Format,
    /// View of the object.
    pub shape: Shape,
}

/// One media range of an `Accept` header.
pub struct MediaRange<'a> {
    /// `type/subtype` in lower case.
    pub media_type: String,
    parameters: Vec<(&'a str, &'a str)>,
}

impl MediaRange<'_> {
    /// Value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

/// The media ranges of a request's `Accept` header in their order; `*/*` if there is none.
pub fn media_ranges(headers: &HeaderMap) -> Vec<MediaRange<'_>> {
    let text = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let text = if text.trim().is_empty() { "*/*" } else { text };
    let range = |part| {
        let mut words = str::split(part, ';').map(str::trim);
        let media_type = words.next().unwrap_or_default().to_ascii_lowercase();
        let parameters =
            words.filter_map(|word| word.split_once('=')).map(|(k, v)| (k.trim(), v.trim())).collect();
        MediaRange { media_type, parameters }
    };
    text.split(',').map(range).collect()
}

/// Chooses the form of an answer for an object or list: the first media range that can be served.
pub fn accepted(headers: &HeaderMap) -> Result<Accepted, ApiError> {
    let mut unknown_transform = false;
    for range in media_ranges(headers) {
        let format = match range.media_type.as_str() {
            "application/json" | "*/*" | "application/*" => Format::Json,
            "application/yaml" => Format::Yaml,
            _ => continue,
        };
        let meta_v1 = range.parameter("v") == Some("v1") && range.parameter("g") == Some("meta.k8s.io");
        let shape = match range.parameter("as") {
            None => Shape::Object,
            Some("Table") if meta_v1 => Shape::Table,
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if meta_v1 => Shape::Metadata,
            Some(_) => {
                unknown_transform = true;
                continue;
            }
        };
        return Ok(Accepted { format, shape });
    }
    Err(if unknown_transform {
        ApiError::not_acceptable_transform()
    } else {
        ApiError::not_acceptable("application/json, application/yaml")
    })
}
