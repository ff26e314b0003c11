//! The web pages, part of the program.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// Scripts, styles and pictures come from here alone; nothing is inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// One file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Path in URLs.
    pub path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

/// All files.
pub const ASSETS: &[Asset] = &[
    Asset {
        path: "/",
        media_type: "text/html; charset=utf-8",
        content: include_str!("../../assets/index.html"),
    },
    Asset {
        path: "/app.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_str!("../../assets/app.js"),
    },
    Asset {
        path: "/style.css",
        media_type: "text/css; charset=utf-8",
        content: include_str!("../../assets/style.css"),
    },
    Asset {
        path: "/favicon.svg",
        media_type: "image/svg+xml",
        content: include_str!("../../assets/favicon.svg"),
    },
];

impl Asset {
    /// The answer for a request with these headers.
    pub fn response(self, request: &HeaderMap) -> Response {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.content.as_bytes()));
        let tag = format!("\"{digest}\"");
        let known =
            request.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
        let mut response = match known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.content.into_response(),
        };
        let headers = response.headers_mut();
        let fixed = [
            (header::CONTENT_TYPE, self.media_type),
            // Always asked again, so that a new version is seen at once; the tag makes that cheap.
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}
