//! The connection to PostgreSQL: a small pool, a time limit on everything, migrations in the background.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use sqlx::{
    PgConnection, PgPool, Postgres, SqlStr,
    migrate::{Migration, MigrationType, Migrator},
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{ConfigError, Env},
    downstream::Chain,
    metrics::Metrics,
};

/// Longest time for one query, waiting for a connection included.
pub const QUERY_LIMIT: Duration = Duration::from_secs(1);
/// Longest time of that for getting a connection.
const ACQUIRE_LIMIT: Duration = Duration::from_millis(800);
/// Longest time for one attempt at the migrations.
const MIGRATE_LIMIT: Duration = Duration::from_secs(30);
/// Pause between attempts at the migrations.
const MIGRATE_PAUSE: Duration = Duration::from_millis(250);
/// Histogram of query durations, by name of the query.
pub const QUERY_METRIC: &str = "db_query_duration_seconds";

const MIGRATIONS: &[(i64, &str, &str)] = &[(1, "users", include_str!("../../migrations/0001_users.sql"))];

/// A query that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Not within [`QUERY_LIMIT`].
    #[error("the database did not answer within {QUERY_LIMIT:?}")]
    Timeout,
    /// The connection could not be made or broke, or the server is starting up or shutting down.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The tables are not there yet.
    #[error("the database has not been migrated yet")]
    NotMigrated,
    /// The server refused the query.
    #[error("the database refused the query")]
    Query(#[source] sqlx::Error),
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else { return Self::Unavailable(error) };
        let code = database.code().unwrap_or_default();
        match code.as_ref() {
            "42P01" => Self::NotMigrated,
            // connection exceptions, insufficient resources, operator intervention (shutdown, starting up)
            code if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => {
                Self::Unavailable(error)
            }
            _ => Self::Query(error),
        }
    }
}

/// Where the database is, from `DATABASE_URL`, or from `DB_HOST`, `DB_PORT`, `DB_USER`, `DB_PASSWORD` and
/// `DB_NAME`.
pub fn options(env: &Env) -> Result<PgConnectOptions, ConfigError> {
    let options = match env.get("DATABASE_URL")? {
        // sqlx's error would quote the URL, password included.
        Some(url) => url.parse().map_err(|_| {
            ConfigError::new("DATABASE_URL", "is not of the form postgres://USER:PASSWORD@HOST:PORT/NAME")
        })?,
        None => {
            let port = env.number("DB_PORT", 5432, 1, 65535)?;
            PgConnectOptions::new_without_pgpass()
                .host(&env.required("DB_HOST", "the host of PostgreSQL (or set DATABASE_URL)")?)
                .port(u16::try_from(port).unwrap_or(5432))
                .username(&env.required("DB_USER", "the PostgreSQL user")?)
                .password(&env.required("DB_PASSWORD", "the PostgreSQL user's password")?)
                .database(&env.required("DB_NAME", "the name of the database")?)
        }
    };
    Ok(options.application_name("auth"))
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    metrics: Metrics,
    migrated: AtomicBool,
    /// Wakes the migration task when the tables turn out to be gone.
    wanted: Notify,
}

impl Database {
    /// A pool that connects when it is used, so that the service starts without the database, too.
    pub fn new(options: PgConnectOptions, max_connections: u32, metrics: &Metrics) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_LIMIT)
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(options);
        metrics
            .describe_histogram(QUERY_METRIC, "Time of database queries, waiting for a connection included.");
        Self(Arc::new(Inner {
            pool,
            metrics: metrics.clone(),
            migrated: AtomicBool::new(false),
            wanted: Notify::new(),
        }))
    }

    /// Runs `query` on a connection within [`QUERY_LIMIT`]. `name` is the label of its duration.
    pub async fn run<T, F>(&self, name: &'static str, query: F) -> Result<T, DatabaseError>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        if !self.0.migrated.load(Ordering::Acquire) {
            return Err(DatabaseError::NotMigrated);
        }
        let start = Instant::now();
        let result = self.run_within(start + QUERY_LIMIT, query).await;
        let histogram = self.0.metrics.histogram(QUERY_METRIC, &[("query", name)]);
        histogram.record(start.elapsed().as_secs_f64());
        if matches!(result, Err(DatabaseError::NotMigrated)) {
            self.0.migrated.store(false, Ordering::Release);
            self.0.wanted.notify_one();
        }
        result
    }

    async fn run_within<T, F>(&self, deadline: Instant, query: F) -> Result<T, DatabaseError>
    where
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        let acquired = timeout_at(deadline, self.0.pool.acquire()).await;
        let mut connection = Guard(Some(acquired.map_err(|_| DatabaseError::Timeout)??));
        let Some(inner) = connection.0.as_mut() else { return Err(DatabaseError::Timeout) };
        match timeout_at(deadline, query(inner)).await {
            Err(_) => Err(DatabaseError::Timeout),
            Ok(Err(error)) => {
                let error = DatabaseError::from(error);
                if !matches!(error, DatabaseError::Unavailable(_)) {
                    connection.release();
                }
                Err(error)
            }
            Ok(Ok(value)) => {
                connection.release();
                Ok(value)
            }
        }
    }

    /// Whether the database answers and its tables are there.
    pub async fn check(&self) -> Result<(), String> {
        let exists = self.run("ping", |connection| {
            Box::pin(
                sqlx::query_scalar::<_, bool>("SELECT to_regclass('users') IS NOT NULL")
                    .fetch_one(connection),
            )
        });
        match exists.await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.0.migrated.store(false, Ordering::Release);
                self.0.wanted.notify_one();
                Err(DatabaseError::NotMigrated.to_string())
            }
            Err(error) => Err(Chain(&error).to_string()),
        }
    }

    /// Keeps the tables migrated: at the start, as soon as the database answers, and again whenever they turn
    /// out to be gone (a database that came back without its volume).
    pub async fn keep_migrated(self, stop: CancellationToken) {
        let mut reported = String::new();
        loop {
            let attempt = tokio::select! {
                () = stop.cancelled() => break,
                attempt = self.migrate() => attempt,
            };
            let pause = match attempt {
                Ok(()) => {
                    tracing::info!("database migrations are applied");
                    reported.clear();
                    self.0.migrated.store(true, Ordering::Release);
                    None
                }
                Err(error) => {
                    if error != reported {
                        tracing::warn!(error, "database migrations are not applied yet, trying again");
                        reported = error;
                    }
                    Some(MIGRATE_PAUSE)
                }
            };
            let next = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => self.0.wanted.notified().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = next => {}
            }
        }
        // Connections that a hung server does not close must not hold up the end.
        let _ = timeout(Duration::from_millis(500), self.0.pool.close()).await;
    }

    async fn migrate(&self) -> Result<(), String> {
        // A server that hangs is found out here, in a short time, and not within the long one of a migration.
        let ping = self.run_within(Instant::now() + QUERY_LIMIT, |connection| {
            Box::pin(sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(connection))
        });
        ping.await.map_err(|error| Chain(&error).to_string())?;
        let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
            let sql = SqlStr::from_static(sql);
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
        });
        let migrator = Migrator::with_migrations(migrations.collect());
        match timeout(MIGRATE_LIMIT, migrator.run(&self.0.pool)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Chain(&error).to_string()),
            Err(_) => Err(format!("not done within {MIGRATE_LIMIT:?}")),
        }
    }
}

/// A pooled connection that is closed, not reused, unless it is released: after a time-out, or when the request
/// is dropped in the middle of a query, it would block the pool for as long as the server hangs.
struct Guard(Option<PoolConnection<Postgres>>);

impl Guard {
    fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
