//! The HTTP side of `auth`.

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::time::Instant;

use super::{
    credentials::Credentials,
    database::{self, Database, DatabaseError},
    model::{LoginBody, UserBody},
    passwords::{PasswordConfig, PasswordError, Passwords},
    sessions::{SessionError, Sessions},
    users,
};
use crate::{
    config::{ConfigError, Env},
    downstream::Chain,
    error::ApiError,
    extract::{Json, SessionToken},
    health::{Dependency, Health},
    metrics::Metrics,
    request::Route,
    service::{Listen, Service, background},
};

/// Time after which a request that still waits for its password hash is told to come back. Together with opening
/// the session it stays below the time that `api` waits.
const HASH_DEADLINE: Duration = Duration::from_millis(1100);
/// Longest JSON body in bytes.
const MAX_BODY: usize = 16 * 1024;
const ROUTES: &[Route] =
    &[("POST", "/register"), ("POST", "/login"), ("GET", "/session"), ("DELETE", "/session")];
const FAILURES: &str = "auth_failures_total";
/// Reasons of failed authentications, the values of the label `reason`.
const REASONS: &[&str] = &["unknown_user", "wrong_password", "invalid_session", "throttled"];

#[derive(Clone)]
struct Auth {
    database: Database,
    sessions: Sessions,
    passwords: Passwords,
    metrics: Metrics,
}

/// The service, configured from the environment.
pub fn service(env: &Env) -> Result<Service, ConfigError> {
    let metrics = Metrics::new("auth");
    let max_connections = env.number("DB_MAX_CONNECTIONS", 4, 1, 100)?;
    let database = Database::new(database::options(env)?, max_connections as u32, &metrics);
    let sessions = Sessions::from_env(env)?;
    let passwords = passwords(env)?;
    let listen = Listen::from_env(env, 18082, 18092)?;
    users::register_metrics(&metrics);
    metrics.describe_counter(FAILURES, "Failed authentications, by reason.");
    for reason in REASONS {
        let _ = metrics.counter(FAILURES, &[("reason", reason)]);
    }

    let (postgres, redis) = (database.clone(), sessions.clone());
    let health = Health::new(vec![
        Dependency::required("postgres", move || {
            let postgres = postgres.clone();
            async move { postgres.check().await }
        }),
        Dependency::required("redis", move || {
            let redis = redis.clone();
            async move { redis.check().await }
        }),
    ]);
    let migrations = database.clone();
    let state = Auth { database, sessions, passwords, metrics: metrics.clone() };
    let router = Router::new()
        .route("/register", post(register))
        .route("/login", post(login))
        .route("/session", get(session).delete(end_session))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state);
    let background = vec![background(move |stop| migrations.keep_migrated(stop))];
    Ok(Service { listen, metrics, health, routes: ROUTES.to_vec(), router, background })
}

fn passwords(env: &Env) -> Result<Passwords, ConfigError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
    // OWASP's minimum for argon2id: 19 MiB and 2 passes.
    let memory_kib = env.number("PASSWORD_HASH_MEMORY_KIB", 19 * 1024, 64, 1 << 20)? as u32;
    let iterations = env.number("PASSWORD_HASH_ITERATIONS", 2, 1, 100)? as u32;
    let threads = env.number("PASSWORD_HASH_THREADS", cores as u64, 1, 64)? as usize;
    let queue = env.number("PASSWORD_HASH_QUEUE", 64, 1, 10_000)? as usize;
    Passwords::start(PasswordConfig { memory_kib, iterations, threads, queue })
        .map_err(|error| ConfigError::new("PASSWORD_HASH_MEMORY_KIB", Chain(&error).to_string()))
}

async fn register(State(auth): State<Auth>, Json(input): Json<Credentials>) -> Result<Response, ApiError> {
    let deadline = Instant::now() + HASH_DEADLINE;
    let input = input.checked()?;
    let taken = || ApiError::new(StatusCode::CONFLICT, "This username is already taken");
    // Hashing is expensive: look first. The insert decides.
    if users::find(&auth.database, &input.username).await?.is_some() {
        return Err(taken());
    }
    let hash =
        auth.passwords.hash(input.password, deadline).await.map_err(|error| auth.password_error(&error))?;
    let user = users::insert(&auth.database, &input.username, &hash).await?.ok_or_else(taken)?;
    tracing::info!(user_id = user.id, "user registered");
    Ok((StatusCode::CREATED, axum::Json(UserBody { user })).into_response())
}

async fn login(State(auth): State<Auth>, Json(input): Json<Credentials>) -> Result<Response, ApiError> {
    let deadline = Instant::now() + HASH_DEADLINE;
    let input = input.checked()?;
    let (user, hash) = users::find(&auth.database, &input.username).await?.unzip();
    // The same work and the same answer whether the name is unknown or the password is wrong.
    let verified = auth.passwords.verify(input.password, hash, deadline).await;
    let verified = verified.map_err(|error| auth.password_error(&error))?;
    let user = match user {
        Some(user) if verified => user,
        user => {
            auth.failure(if user.is_some() { "wrong_password" } else { "unknown_user" });
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "Invalid username or password"));
        }
    };
    let token = auth.sessions.create(&user).await?;
    tracing::info!(user_id = user.id, "user logged in");
    Ok(axum::Json(LoginBody { user, token, expires_in: auth.sessions.ttl().as_secs() }).into_response())
}

async fn session(State(auth): State<Auth>, SessionToken(token): SessionToken) -> Result<Response, ApiError> {
    let user = match token {
        Some(token) => auth.sessions.find(&token).await?,
        None => None,
    };
    match user {
        Some(user) => Ok(axum::Json(UserBody { user }).into_response()),
        None => {
            auth.failure("invalid_session");
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "Not logged in, or the session has ended"))
        }
    }
}

async fn end_session(
    State(auth): State<Auth>,
    SessionToken(token): SessionToken,
) -> Result<StatusCode, ApiError> {
    if let Some(token) = token {
        auth.sessions.delete(&token).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

impl Auth {
    fn failure(&self, reason: &'static str) {
        self.metrics.counter(FAILURES, &[("reason", reason)]).increment(1);
    }

    fn password_error(&self, error: &PasswordError) -> ApiError {
        match error {
            PasswordError::Busy => {
                self.failure("throttled");
                let message = "Too many login attempts at the moment, please try again";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(1)
            }
            _ => ApiError::internal(&Chain(error)),
        }
    }
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Query(_) => Self::internal(&Chain(&error)),
            _ => {
                tracing::warn!(error = %Chain(&error), "database failure");
                Self::unavailable("The user database is not available")
            }
        }
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        tracing::warn!(error = %Chain(&error), "session store failure");
        Self::unavailable("The session store is not available")
    }
}
