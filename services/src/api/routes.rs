//! The HTTP side of `api`.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;

use super::{auth_client::AuthClient, images_client::ImagesClient};
use crate::{
    auth::{credentials::Credentials, model::UserBody},
    body,
    config::{ConfigError, Env},
    downstream::Chain,
    error::ApiError,
    extract::{Json, PathText, SessionToken},
    health::{Dependency, Health},
    images::{self, model::StoredImage},
    metrics::Metrics,
    request::Route,
    service::{Listen, Service},
};

/// Longest JSON body in bytes.
const MAX_BODY: usize = 16 * 1024;
const ROUTES: &[Route] = &[
    ("POST", "/register"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/profile"),
    ("POST", "/images/upload"),
    ("GET", "/images/{id}"),
];

#[derive(Clone)]
struct Gateway {
    auth: AuthClient,
    images: ImagesClient,
    max_upload: u64,
    secure_cookie: bool,
}

/// The service, configured from the environment.
pub fn service(env: &Env) -> Result<Service, ConfigError> {
    let client = |variable: &'static str| move |error| ConfigError::new(variable, Chain(&error).to_string());
    let auth_url = env.http_url("AUTH_URL", "http://127.0.0.1:18082")?;
    let images_url = env.http_url("IMAGES_URL", "http://127.0.0.1:18083")?;
    let auth = AuthClient::new(auth_url).map_err(client("AUTH_URL"))?;
    let images = ImagesClient::new(images_url).map_err(client("IMAGES_URL"))?;
    let max_upload = images::max_upload(env)?;
    let secure_cookie = env.boolean("COOKIE_SECURE", false)?;
    let listen = Listen::from_env(env, 18081, 18091)?;
    let metrics = Metrics::new("api");

    let (check_auth, check_images) = (auth.clone(), images.clone());
    let health = Health::new(vec![
        Dependency::soft("auth", move || {
            let auth = check_auth.clone();
            async move { auth.check().await }
        }),
        Dependency::soft("images", move || {
            let images = check_images.clone();
            async move { images.check().await }
        }),
    ]);
    let router = Router::new()
        .route("/register", post(register))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/profile", get(profile))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route("/images/upload", post(upload))
        .route("/images/{id}", get(image))
        .with_state(Gateway { auth, images, max_upload, secure_cookie });
    Ok(Service { listen, metrics, health, routes: ROUTES.to_vec(), router, background: Vec::new() })
}

async fn register(
    State(gateway): State<Gateway>,
    Json(input): Json<Credentials>,
) -> Result<Response, ApiError> {
    let user = gateway.auth.register(&input).await?;
    Ok((StatusCode::CREATED, axum::Json(UserBody { user })).into_response())
}

async fn login(State(gateway): State<Gateway>, Json(input): Json<Credentials>) -> Result<Response, ApiError> {
    let login = gateway.auth.login(&input).await?;
    let mut response = axum::Json(UserBody { user: login.user }).into_response();
    let cookie = gateway.cookie(&login.token, login.expires_in)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

async fn logout(
    State(gateway): State<Gateway>,
    SessionToken(token): SessionToken,
) -> Result<Response, ApiError> {
    let result = match &token {
        Some(token) => gateway.auth.end_session(token).await,
        None => Ok(()),
    };
    let mut response = match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error.into_response(),
    };
    // The browser forgets the session even if it could not be ended: nobody else at that desk gets it.
    response.headers_mut().insert(header::SET_COOKIE, gateway.cookie("", 0)?);
    Ok(response)
}

async fn profile(
    State(gateway): State<Gateway>,
    SessionToken(token): SessionToken,
) -> Result<Response, ApiError> {
    let user = gateway.auth.user(token.as_deref()).await?;
    // A profile without its pictures is better than none.
    let (images, warning) = match gateway.images.list(user.id).await {
        Ok(images) => (images, None),
        Err(error) => (Vec::new(), Some(error.message)),
    };
    let images: Vec<_> = images.iter().map(public).collect();
    Ok(axum::Json(json!({ "user": user, "images": images, "warning": warning })).into_response())
}

async fn upload(
    State(gateway): State<Gateway>,
    SessionToken(token): SessionToken,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let refusal = match gateway.auth.user(token.as_deref()).await {
        Err(error) => error.closing(),
        Ok(_) if body::announced_length(&parts.headers).is_some_and(|n| n > gateway.max_upload) => {
            body::too_large(gateway.max_upload)
        }
        Ok(user) => {
            let image = gateway.images.upload(user.id, &parts.headers, body, gateway.max_upload).await?;
            return Ok((StatusCode::CREATED, axum::Json(public(&image))).into_response());
        }
    };
    body::discard(body).await;
    Err(refusal)
}

async fn image(
    State(gateway): State<Gateway>,
    PathText(id): PathText,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    gateway.images.get(&id, &headers).await
}

/// A picture as users see it: with the address under which this gateway serves it.
fn public(image: &StoredImage) -> serde_json::Value {
    let mut value = json!(image);
    value["url"] = json!(format!("/images/{}", image.id));
    value
}

impl Gateway {
    fn cookie(&self, token: &str, max_age: u64) -> Result<HeaderValue, ApiError> {
        let secure = if self.secure_cookie { "; Secure" } else { "" };
        let cookie = format!("session={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}");
        HeaderValue::from_str(&cookie).map_err(|error| ApiError::internal(&error))
    }
}
