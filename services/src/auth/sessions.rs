//! Sessions in Redis.
//!
//! A token is 256 random bits. Redis has only its SHA-256 as the key, so that reading Redis does not give
//! anybody a session. The value is the user, so that a session is checked without PostgreSQL.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, aio::MultiplexedConnection};
use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, time::timeout};

use super::model::User;
use crate::config::{ConfigError, Env};

/// Longest time for one exchange with Redis, connecting included.
const COMMAND_LIMIT: Duration = Duration::from_millis(800);
/// Longest time of that for connecting.
const CONNECT_LIMIT: Duration = Duration::from_millis(400);

/// An exchange with Redis that failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Not within the limit.
    #[error("redis did not answer within {COMMAND_LIMIT:?}")]
    Timeout,
    /// The connection could not be made or broke, or Redis refused the command.
    #[error("redis failed")]
    Redis(#[from] RedisError),
    /// The stored user could not be read or written.
    #[error("the stored session is not readable")]
    Value(#[from] serde_json::Error),
}

/// The sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    client: Client,
    /// One connection for all requests; taken away when it failed, so that the next request makes a new one.
    connection: Arc<Mutex<Slot>>,
    ttl: Duration,
}

#[derive(Default)]
struct Slot {
    connection: Option<MultiplexedConnection>,
    generation: u64,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl Sessions {
    /// From `REDIS_URL` and `SESSION_TTL`; connects when it is used.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let url = env.required("REDIS_URL", "of the form redis://HOST:PORT")?;
        // The client's own error could quote the URL, password included.
        let client = Client::open(url).map_err(|_| {
            ConfigError::new("REDIS_URL", "is not of the form redis://[:PASSWORD@]HOST:PORT[/DB]")
        })?;
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
        let ttl = env.duration("SESSION_TTL", day, second, 365 * day)?;
        Ok(Self { client, connection: Arc::default(), ttl })
    }

    /// How long a session lasts.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Opens a session and returns its token.
    pub async fn create(&self, user: &User) -> Result<String, SessionError> {
        let token = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let value = serde_json::to_string(user)?;
        let mut command = redis::cmd("SET");
        command.arg(key(&token)).arg(value).arg("EX").arg(self.ttl.as_secs());
        self.query::<()>(&command).await?;
        Ok(token)
    }

    /// The user of a session; `None` when it ended or never was.
    pub async fn find(&self, token: &str) -> Result<Option<User>, SessionError> {
        let mut command = redis::cmd("GET");
        command.arg(key(token));
        let value: Option<String> = self.query(&command).await?;
        Ok(value.as_deref().map(serde_json::from_str).transpose()?)
    }

    /// Ends a session.
    pub async fn delete(&self, token: &str) -> Result<(), SessionError> {
        let mut command = redis::cmd("DEL");
        command.arg(key(token));
        self.query(&command).await
    }

    /// Whether Redis answers.
    pub async fn check(&self) -> Result<(), String> {
        match self.query::<String>(&redis::cmd("PING")).await {
            Ok(_) => Ok(()),
            Err(error) => Err(crate::downstream::Chain(&error).to_string()),
        }
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, SessionError> {
        let mut used = None;
        let exchange = async {
            let (mut connection, generation) = self.connect().await?;
            used = Some(generation);
            command.query_async(&mut connection).await
        };
        let result = timeout(COMMAND_LIMIT, exchange).await;
        let broken = match &result {
            Ok(Ok(_)) => false,
            Ok(Err(error)) => error.is_io_error() || error.is_connection_dropped() || error.is_timeout(),
            Err(_) => true,
        };
        if broken && let Some(generation) = used {
            self.forget(generation).await;
        }
        match result {
            Ok(result) => Ok(result?),
            Err(_) => Err(SessionError::Timeout),
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, u64), RedisError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &slot.connection {
            return Ok((connection.clone(), slot.generation));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_response_timeout(Some(COMMAND_LIMIT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        slot.generation += 1;
        slot.connection = Some(connection.clone());
        Ok((connection, slot.generation))
    }

    /// Takes a failed connection away, unless another request has already replaced it.
    async fn forget(&self, generation: u64) {
        let mut slot = self.connection.lock().await;
        if slot.generation == generation {
            slot.connection = None;
        }
    }
}

fn key(token: &str) -> String {
    let hash = Sha256::digest(token.as_bytes());
    format!("session:{}", BASE64_URL_SAFE_NO_PAD.encode(hash))
}
