//! The calls to `images`.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, Method, header},
    response::Response,
};
use reqwest::Url;

use crate::{
    body::{self, LimitedBody},
    downstream::Downstream,
    error::ApiError,
    images::model::{ImageList, StoredImage},
    proxy,
};

/// Longest time for a small exchange, and for the head of a picture's answer.
const LIMIT: Duration = Duration::from_millis(1500);
/// Longest time for passing a picture on, in either direction.
const TRANSFER_LIMIT: Duration = Duration::from_secs(30);

/// Client for `images`.
#[derive(Clone, Debug)]
pub struct ImagesClient(Downstream);

impl ImagesClient {
    /// A client for the service at `base`.
    pub fn new(base: Url) -> Result<Self, reqwest::Error> {
        Ok(Self(Downstream::new("Images", base, LIMIT)?))
    }

    /// The pictures of a user, newest first.
    pub async fn list(&self, owner: i64) -> Result<Vec<StoredImage>, ApiError> {
        let url = self.0.url(&["owners", &owner.to_string(), "images"]);
        Ok(self.0.json::<ImageList>(self.0.request(Method::GET, url)).await?.images)
    }

    /// Passes an upload of at most `limit` bytes on.
    pub async fn upload(
        &self,
        owner: i64,
        headers: &HeaderMap,
        body: Body,
        limit: u64,
    ) -> Result<StoredImage, ApiError> {
        let url = self.0.url(&["owners", &owner.to_string(), "images"]);
        let mut request = self.0.request(Method::POST, url).timeout(TRANSFER_LIMIT);
        if let Some(kind) = headers.get(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        if let Some(length) = body::announced_length(headers) {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        let body = LimitedBody::new(body, limit);
        let fate = body.fate();
        let result = self.0.json(request.body(reqwest::Body::wrap_stream(body))).await;
        fate.refusal().map_or(result, Err)
    }

    /// A picture as a streamed answer.
    pub async fn get(&self, id: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
        let mut request = self.0.request(Method::GET, self.0.url(&["images", id])).timeout(TRANSFER_LIMIT);
        if let Some(tag) = headers.get(header::IF_NONE_MATCH) {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        // The transfer may take its time, the head of the answer may not.
        let response = match tokio::time::timeout(LIMIT, self.0.send(request)).await {
            Ok(response) => response?,
            Err(_) => return Err(self.0.failed(&format_args!("no answer within {LIMIT:?}"))),
        };
        if response.status().is_client_error() {
            return Err(self.0.refusal(response).await);
        }
        Ok(proxy::relay(response))
    }

    /// Whether the service is ready.
    pub async fn check(&self) -> Result<(), String> {
        self.0.check("readyz").await
    }
}
