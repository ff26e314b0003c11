//! The HTTP side of `images`.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    model::{ImageId, ImageList},
    storage::{Storage, StorageError},
};
use crate::{
    body::{self, BodyError, LimitedBody},
    config::{ConfigError, Env},
    downstream::Chain,
    error::ApiError,
    extract::PathText,
    health::{Dependency, Health},
    metrics::Metrics,
    proxy,
    request::Route,
    service::{Listen, Service, background},
};

const ROUTES: &[Route] =
    &[("POST", "/owners/{owner}/images"), ("GET", "/owners/{owner}/images"), ("GET", "/images/{id}")];
/// Uploads handled at the same time, each with up to a few hundred KiB of memory.
const MAX_UPLOADS: usize = 64;
/// Longest time an upload waits for its turn.
const TURN_LIMIT: Duration = Duration::from_secs(1);
const UPLOADED: &str = "images_uploaded_total";
const UPLOADED_BYTES: &str = "images_uploaded_bytes_total";
const REJECTED: &str = "images_rejected_total";
/// Reasons of refused uploads, the values of the label `reason`.
const REASONS: &[&str] = &["too_large", "not_a_picture", "broken_off"];

/// Largest picture in bytes, from `MAX_UPLOAD_BYTES`.
pub fn max_upload(env: &Env) -> Result<u64, ConfigError> {
    env.bytes("MAX_UPLOAD_BYTES", 5 << 20, 1024, 1 << 30)
}

#[derive(Clone)]
struct Images {
    storage: Storage,
    metrics: Metrics,
    max_upload: u64,
    turns: Arc<Semaphore>,
}

/// The service, configured from the environment.
pub fn service(env: &Env) -> Result<Service, ConfigError> {
    let metrics = Metrics::new("images");
    let max_upload = max_upload(env)?;
    let listen = Listen::from_env(env, 18083, 18093)?;
    let storage = Storage::from_env(env)?;
    metrics.describe_counter(UPLOADED, "Pictures stored.");
    metrics.describe_counter(UPLOADED_BYTES, "Bytes of pictures stored.");
    metrics.describe_counter(REJECTED, "Uploads refused, by reason.");
    let _ = (metrics.counter(UPLOADED, &[]), metrics.counter(UPLOADED_BYTES, &[]));
    for reason in REASONS {
        let _ = metrics.counter(REJECTED, &[("reason", reason)]);
    }
    let checked = storage.clone();
    let health = Health::new(vec![Dependency::required("storage", move || {
        let storage = checked.clone();
        async move { storage.check().await }
    })]);
    let probed = storage.clone();
    let turns = Arc::new(Semaphore::new(MAX_UPLOADS));
    let router = Router::new()
        .route("/owners/{owner}/images", post(upload).get(list))
        .route("/images/{id}", get(image))
        .with_state(Images { storage, metrics: metrics.clone(), max_upload, turns });
    let background = vec![background(async move |stop| {
        let cleaned = probed.clone();
        match tokio::task::spawn_blocking(move || cleaned.remove_abandoned()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(files)) => tracing::info!(files, "removed what cut-off uploads left behind"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot look for what cut-off uploads left behind"),
            Err(error) => tracing::error!(%error, "the clean-up failed"),
        }
        stop.cancelled().await;
        probed.remove_probe().await;
    })];
    Ok(Service { listen, metrics, health, routes: ROUTES.to_vec(), router, background })
}

async fn upload(
    State(images): State<Images>,
    PathText(owner): PathText,
    request: Request,
) -> Result<Response, ApiError> {
    let owner = owner_number(&owner)?;
    let (parts, body) = request.into_parts();
    let busy = || ApiError::unavailable("Too many uploads at the moment, please try again").closing();
    let Ok(Ok(_turn)) = timeout(TURN_LIMIT, images.turns.acquire()).await else {
        body::discard(body).await;
        return Err(busy());
    };
    if is_multipart(&parts.headers) {
        images.reject("not_a_picture");
        body::discard(body).await;
        let message = "Send the picture itself as the request's body, not a multipart form";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).closing());
    }
    if body::announced_length(&parts.headers).is_some_and(|length| length > images.max_upload) {
        images.reject("too_large");
        body::discard(body).await;
        return Err(body::too_large(images.max_upload));
    }
    let mut body = LimitedBody::new(body, images.max_upload);
    match images.storage.store(owner, &mut body).await {
        Ok(image) => {
            images.metrics.counter(UPLOADED, &[]).increment(1);
            images.metrics.counter(UPLOADED_BYTES, &[]).increment(image.bytes);
            Ok((StatusCode::CREATED, axum::Json(image)).into_response())
        }
        Err(error) => {
            let answer = images.upload_error(&error);
            body.discard().await;
            Err(answer)
        }
    }
}

async fn list(State(images): State<Images>, PathText(owner): PathText) -> Result<Response, ApiError> {
    let found = images.storage.list(owner_number(&owner)?).await.map_err(|error| storage_error(&error))?;
    Ok(axum::Json(ImageList { images: found }).into_response())
}

async fn image(
    State(images): State<Images>,
    PathText(id): PathText,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "No such picture");
    let id = ImageId::parse(&id).ok_or_else(missing)?;
    let found = images.storage.get(&id).await.map_err(|error| storage_error(&error))?.ok_or_else(missing)?;
    let tag = format!("\"{}\"", id.as_str());
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(found.meta.size));
        *response.body_mut() = Body::from_stream(found.into_stream());
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(id.format().media_type()));
    // A name never gets other content.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    proxy::no_sniff(headers);
    Ok(response)
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

fn owner_number(text: &str) -> Result<i64, ApiError> {
    text.parse::<i64>()
        .ok()
        .filter(|owner| *owner > 0)
        .ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, "No such owner"))
}

fn storage_error(error: &StorageError) -> ApiError {
    tracing::warn!(error = %Chain(error), "storage failure");
    ApiError::unavailable("The picture storage is not available")
}

impl Images {
    fn reject(&self, reason: &'static str) {
        self.metrics.counter(REJECTED, &[("reason", reason)]).increment(1);
    }

    fn upload_error(&self, error: &StorageError) -> ApiError {
        match error {
            StorageError::Refused(status, message) => {
                self.reject("not_a_picture");
                ApiError::new(*status, *message).closing()
            }
            StorageError::Upload(BodyError::TooLong) => {
                self.reject("too_large");
                body::too_large(self.max_upload)
            }
            StorageError::Upload(BodyError::Stalled) => {
                self.reject("broken_off");
                body::stalled()
            }
            StorageError::Upload(BodyError::Broken(_)) => {
                self.reject("broken_off");
                ApiError::new(StatusCode::BAD_REQUEST, "The upload broke off").closing()
            }
            _ => storage_error(error).closing(),
        }
    }
}
