//! The table of users.

use sqlx::Row;

use super::{
    database::{Database, DatabaseError, QUERY_METRIC},
    model::User,
};
use crate::metrics::Metrics;

/// Names of all queries, the values of the label `query`.
const QUERIES: &[&str] = &["insert_user", "select_user", "ping"];

/// Creates the duration series of all queries.
pub fn register_metrics(metrics: &Metrics) {
    for query in QUERIES {
        let _ = metrics.histogram(QUERY_METRIC, &[("query", query)]);
    }
}

/// Adds a user. `None`: the name is taken.
pub async fn insert(database: &Database, username: &str, hash: &str) -> Result<Option<User>, DatabaseError> {
    let (username, hash) = (username.to_owned(), hash.to_owned());
    let row = database
        .run("insert_user", |connection| {
            Box::pin(
                sqlx::query(
                    "INSERT INTO users (username, password_hash) VALUES ($1, $2)
                     ON CONFLICT (username) DO NOTHING
                     RETURNING id, username,
                               to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS created_at",
                )
                .bind(username)
                .bind(hash)
                .fetch_optional(connection),
            )
        })
        .await?;
    row.as_ref().map(user).transpose()
}

/// The user with this name and the stored password hash.
pub async fn find(database: &Database, username: &str) -> Result<Option<(User, String)>, DatabaseError> {
    let username = username.to_owned();
    let row = database
        .run("select_user", |connection| {
            Box::pin(
                sqlx::query(
                    "SELECT id, username, password_hash,
                            to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS created_at
                     FROM users WHERE username = $1",
                )
                .bind(username)
                .fetch_optional(connection),
            )
        })
        .await?;
    match row {
        None => Ok(None),
        Some(row) => Ok(Some((user(&row)?, row.try_get("password_hash")?))),
    }
}

fn user(row: &sqlx::postgres::PgRow) -> Result<User, DatabaseError> {
    Ok(User {
        id: row.try_get("id")?,
        username: row.try_get("username")?,
        created_at: row.try_get("created_at")?,
    })
}
