//! Answers of another service passed on as ours.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};

/// Headers that belong to one connection and are never passed on (RFC 9110, section 7.6.1).
static HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Copies the named headers.
pub fn copy_headers(from: &HeaderMap, to: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        for value in from.get_all(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

/// The answer of another service as ours: its status, its end-to-end headers, its body as a stream.
pub fn relay(upstream: reqwest::Response) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = upstream.status();
    for (name, value) in upstream.headers() {
        if !HOP_BY_HOP.contains(name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    *response.body_mut() = Body::from_stream(upstream.bytes_stream());
    response
}

/// Headers that keep a browser from guessing content types.
pub fn no_sniff(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
