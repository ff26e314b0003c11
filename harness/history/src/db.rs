//! The database: the same statements for SQLite and PostgreSQL.

use std::{collections::BTreeMap, path::Path, time::Duration};

use harness_event::{Millis, Timestamp};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, QueryBuilder, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    error::HistoryError,
    location::Location,
    measure::{Better, Measure, Unit},
    query::{Query, Sort},
    run::{Ending, Entry, Run},
};

/// One script per version of the schema, in order: the first makes version 1. What was released is never changed.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_runs.sql")];
/// The newest version.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// A writer waits so long for others.
const BUSY: Duration = Duration::from_secs(30);
/// A server has so long to take a connection.
const CONNECT_SECONDS: u64 = 10;
/// Advisory lock of PostgreSQL: writers of single runs share it, who writes all has it alone. Any number of our own.
const ADVISORY: i64 = 0x5352_4548; // "SREH"

/// An open connection.
pub(crate) struct Db {
    connection: Connected,
    at: String,
}

enum Connected {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// The same code over either kind of connection.
macro_rules! either {
    ($db:expr, $connection:ident => $body:expr) => {{
        let at = &$db.at;
        let result: sqlx::Result<_> = match &mut $db.connection {
            Connected::Sqlite($connection) => $body,
            Connected::Postgres($connection) => $body,
        };
        result.map_err(|source| HistoryError::Database { at: at.clone(), source })
    }};
}

/// Who else may write during a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writers {
    /// Those of other runs.
    Others,
    /// Nobody.
    Alone,
}

impl Db {
    /// Connects. A database file that is not there is made if `create`.
    pub(crate) async fn connect(location: &Location, create: bool) -> Result<Self, HistoryError> {
        let at = location.describe();
        let failed = |source| HistoryError::Database { at: at.clone(), source };
        let connection = match location {
            Location::Sqlite(path) => Connected::Sqlite(sqlite(path, create).await.map_err(failed)?),
            Location::Postgres(options) => {
                let limit = Duration::from_secs(CONNECT_SECONDS);
                let options = options.clone().disable_statement_logging();
                let connect = tokio::time::timeout(limit, options.connect());
                let silent = |_| HistoryError::Silent { at: at.clone(), seconds: CONNECT_SECONDS };
                Connected::Postgres(connect.await.map_err(silent)?.map_err(failed)?)
            }
        };
        Ok(Self { connection, at })
    }

    /// Ends the connection in order. Nothing is lost if it cannot be: whatever was written is committed.
    pub(crate) async fn close(self) {
        let closed = match self.connection {
            Connected::Sqlite(connection) => connection.close().await,
            Connected::Postgres(connection) => connection.close().await,
        };
        drop(closed);
    }

    /// Version of the schema; 0 for an empty database.
    pub(crate) async fn version(&mut self) -> Result<i64, HistoryError> {
        // Not `to_regclass`: it may answer from a cache that does not know yet what another session made while this one waited.
        let is_there = "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                        WHERE c.relname = 'harness_schema' AND n.nspname = ANY (current_schemas(false)))";
        let version: sqlx::Result<i64> = match &mut self.connection {
            Connected::Sqlite(connection) => {
                sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await
            }
            Connected::Postgres(connection) => {
                match sqlx::query_scalar(is_there).fetch_one(&mut *connection).await {
                    Ok(true) => {
                        let max = "SELECT COALESCE(MAX(version), 0) FROM harness_schema";
                        sqlx::query_scalar(max).fetch_one(&mut *connection).await
                    }
                    Ok(false) => Ok(0),
                    Err(error) => Err(error),
                }
            }
        };
        let found = version.map_err(|source| HistoryError::Database { at: self.at.clone(), source })?;
        match found > VERSION {
            true => Err(HistoryError::Newer { at: self.at.clone(), found, known: VERSION }),
            false => Ok(found),
        }
    }

    /// Brings the schema to the newest version. Processes that do so at the same time wait for each other.
    pub(crate) async fn migrate(&mut self) -> Result<(), HistoryError> {
        self.begin(Writers::Alone).await?;
        let migrated = self.migrate_within().await;
        self.end(migrated).await
    }

    async fn migrate_within(&mut self) -> Result<(), HistoryError> {
        let from = usize::try_from(self.version().await?).unwrap_or_default();
        for (number, script) in MIGRATIONS.iter().enumerate().skip(from) {
            either!(self, connection => sqlx::raw_sql(*script).execute(&mut *connection).await.map(drop))?;
            let version = number + 1;
            let note = match &self.connection {
                // A part of the file's header: it is changed by the same transaction.
                Connected::Sqlite(_) => format!("PRAGMA user_version = {version}"),
                Connected::Postgres(_) => format!(
                    "CREATE TABLE IF NOT EXISTS harness_schema (version BIGINT PRIMARY KEY);
                     INSERT INTO harness_schema (version) VALUES ({version})"
                ),
            };
            either!(self, connection =>
                sqlx::raw_sql(AssertSqlSafe(note)).execute(&mut *connection).await.map(drop))?;
        }
        Ok(())
    }

    /// Reads the whole file.
    pub(crate) async fn check(&mut self) -> Result<(), HistoryError> {
        self.version().await?;
        let Connected::Sqlite(connection) = &mut self.connection else { return Ok(()) };
        let found: sqlx::Result<String> =
            sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut *connection).await;
        let problem = match found {
            Ok(word) if word == "ok" => {
                // The tables are there, with their columns.
                self.runs(&Query { limit: Some(1), ..Query::default() }).await?;
                return self.measures(&[String::new()]).await.map(drop);
            }
            Ok(problem) => sqlx::Error::Decode(problem.into()),
            Err(error) => error,
        };
        Err(HistoryError::Database { at: self.at.clone(), source: problem })
    }

    /// Begins a transaction that is going to write.
    pub(crate) async fn begin(&mut self, writers: Writers) -> Result<(), HistoryError> {
        let begin = match (&self.connection, writers) {
            // SQLite has one writer at a time. Taking its place at once is what makes the others wait instead of fail.
            (Connected::Sqlite(_), _) => "BEGIN IMMEDIATE".to_owned(),
            (Connected::Postgres(_), Writers::Others) => {
                format!("BEGIN; SELECT pg_advisory_xact_lock_shared({ADVISORY})")
            }
            (Connected::Postgres(_), Writers::Alone) => {
                format!("BEGIN; SELECT pg_advisory_xact_lock({ADVISORY})")
            }
        };
        either!(self, connection => sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *connection).await.map(drop))
    }

    /// Commits if all went well, else takes everything back.
    pub(crate) async fn end<T>(&mut self, result: Result<T, HistoryError>) -> Result<T, HistoryError> {
        let word = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended =
            either!(self, connection => sqlx::raw_sql(word).execute(&mut *connection).await.map(drop));
        match (result, ended) {
            (Ok(value), Ok(())) => Ok(value),
            // The first error is the one that says something.
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        }
    }

    /// Writes a run, in place of what is known of it.
    pub(crate) async fn put(&mut self, entry: &Entry) -> Result<(), HistoryError> {
        let Entry { run, measures } = entry;
        either!(self, connection => put!(connection, run, measures))
    }

    /// Forgets runs.
    pub(crate) async fn delete(&mut self, ids: &[String]) -> Result<(), HistoryError> {
        for id in ids {
            for sql in
                ["DELETE FROM harness_measures WHERE run = $1", "DELETE FROM harness_runs WHERE id = $1"]
            {
                either!(self, connection =>
                    sqlx::query(sql).bind(id.as_str()).execute(&mut *connection).await.map(drop))?;
            }
        }
        Ok(())
    }

    /// Id, ending and length of the log of every run of an origin.
    pub(crate) async fn known(&mut self, origin: &str) -> Result<Vec<(String, Ending, i64)>, HistoryError> {
        let sql = "SELECT id, outcome, log_bytes FROM harness_runs WHERE origin = $1 ORDER BY id";
        let rows: Vec<(String, String, i64)> =
            either!(self, connection => sqlx::query_as(sql).bind(origin).fetch_all(&mut *connection).await)?;
        Ok(rows.into_iter().map(|(id, outcome, bytes)| (id, outcome.into(), bytes)).collect())
    }

    /// Different values of a column of text, with scenario and title: few, even with many runs.
    pub(crate) async fn scenarios(&mut self) -> Result<Vec<(String, String)>, HistoryError> {
        let sql = "SELECT DISTINCT scenario, title FROM harness_runs";
        either!(self, connection => sqlx::query_as(sql).fetch_all(&mut *connection).await)
    }

    /// Different names and subjects of measures.
    pub(crate) async fn measure_names(&mut self) -> Result<Vec<(String, String)>, HistoryError> {
        let sql = "SELECT DISTINCT name, subject FROM harness_measures ORDER BY name, subject";
        either!(self, connection => sqlx::query_as(sql).fetch_all(&mut *connection).await)
    }

    /// Runs that a query wants, each with the value that it is sorted by.
    pub(crate) async fn runs(&mut self, query: &Query) -> Result<Vec<(Run, Option<f64>)>, HistoryError> {
        either!(self, connection => runs!(connection, query))
    }

    /// Measures of runs.
    pub(crate) async fn measures(
        &mut self,
        ids: &[String],
    ) -> Result<BTreeMap<String, Vec<Measure>>, HistoryError> {
        let mut all: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), Vec::new())).collect();
        for ids in ids.chunks(500) {
            let rows: Vec<(String, Measure)> = either!(self, connection => measures!(connection, ids))?;
            for (run, measure) in rows {
                all.entry(run).or_default().push(measure);
            }
        }
        Ok(all)
    }
}

async fn sqlite(path: &Path, create: bool) -> sqlx::Result<SqliteConnection> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL a crash of the machine may lose the last runs, never the file; they are found again in their folders.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY)
        .disable_statement_logging()
        .connect()
        .await
}

macro_rules! put {
    ($connection:ident, $run:ident, $measures:ident) => {
        async {
            sqlx::query(PUT)
                .bind($run.id.as_str())
                .bind($run.origin.as_str())
                .bind($run.scenario.as_str())
                .bind($run.sha256.as_str())
                .bind($run.title.as_str())
                .bind($run.mode.as_str())
                .bind($run.outcome.word())
                .bind($run.exit_code)
                .bind($run.started_at.0)
                .bind($run.duration.0)
                .bind($run.bring_up.0)
                .bind($run.readiness.0)
                .bind($run.demanded.map(|one| one.0))
                .bind($run.context.as_deref())
                .bind($run.server.as_deref())
                .bind($run.harness.as_str())
                .bind($run.kubernetes.as_deref())
                .bind($run.prometheus.as_deref())
                .bind($run.alertmanager.as_deref())
                .bind($run.compress)
                .bind($run.left_behind)
                .bind($run.log_bytes)
                .execute(&mut *$connection)
                .await?;
            let forget = "DELETE FROM harness_measures WHERE run = $1";
            sqlx::query(forget).bind($run.id.as_str()).execute(&mut *$connection).await?;
            // Eight values each; SQLite takes 32766 at once.
            for some in $measures.chunks(1000) {
                let mut insert = QueryBuilder::new(
                    "INSERT INTO harness_measures (run, name, subject, unit, better, value, resolution, deadline) ",
                );
                insert.push_values(some, |mut row, one: &Measure| {
                    row.push_bind($run.id.as_str())
                        .push_bind(one.name.as_str())
                        .push_bind(one.subject.as_str())
                        .push_bind(unit_word(one.unit))
                        .push_bind(better_word(one.better))
                        .push_bind(one.value)
                        .push_bind(one.resolution)
                        .push_bind(one.deadline);
                });
                insert.build().execute(&mut *$connection).await?;
            }
            Ok(())
        }
        .await
    };
}
use put;

const PUT: &str = "
    INSERT INTO harness_runs
        (id, origin, scenario, sha256, title, mode, outcome, exit_code, started_at_ms, duration_ms, bring_up_ms,
         readiness_ms, demanded_ms, context, server, harness, kubernetes, prometheus, alertmanager, compress,
         left_behind, log_bytes)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
    ON CONFLICT (id) DO UPDATE SET
        origin = excluded.origin, scenario = excluded.scenario, sha256 = excluded.sha256, title = excluded.title,
        mode = excluded.mode, outcome = excluded.outcome, exit_code = excluded.exit_code,
        started_at_ms = excluded.started_at_ms, duration_ms = excluded.duration_ms,
        bring_up_ms = excluded.bring_up_ms, readiness_ms = excluded.readiness_ms,
        demanded_ms = excluded.demanded_ms, context = excluded.context, server = excluded.server,
        harness = excluded.harness, kubernetes = excluded.kubernetes, prometheus = excluded.prometheus,
        alertmanager = excluded.alertmanager, compress = excluded.compress,
        left_behind = excluded.left_behind, log_bytes = excluded.log_bytes";

macro_rules! runs {
    ($connection:ident, $query:ident) => {
        async {
            let mut sql = QueryBuilder::new("SELECT * FROM (SELECT r.*, ");
            match &$query.sort {
                Sort::Measure { name, subject } => {
                    sql.push("(SELECT MIN(m.value) FROM harness_measures m WHERE m.run = r.id AND m.name = ");
                    sql.push_bind(name.as_str());
                    if let Some(subject) = subject {
                        sql.push(" AND m.subject = ").push_bind(subject.as_str());
                    }
                    sql.push(")");
                }
                _ => {
                    sql.push("CAST(NULL AS DOUBLE PRECISION)");
                }
            }
            sql.push(" AS sort_value FROM harness_runs r WHERE 1 = 1");
            for (column, values) in $query.columns() {
                sql.push(format!(" AND {column} IN ("));
                let mut list = sql.separated(", ");
                for value in values {
                    list.push_bind(value.as_str());
                }
                // `IN ()` is no SQL everywhere; nothing has no value at all.
                list.push("NULL");
                sql.push(")");
            }
            if let Some(since) = $query.since {
                sql.push(" AND r.started_at_ms >= ").push_bind(since.0);
            }
            if let Some(until) = $query.until {
                sql.push(" AND r.started_at_ms <= ").push_bind(until.0);
            }
            if let Some(before) = &$query.before {
                sql.push(" AND r.id <> ").push_bind(before.id.as_str());
                sql.push(" AND r.started_at_ms <= ").push_bind(before.started_at.0);
            }
            // Around it, because an order by an expression knows no alias.
            sql.push(") r").push($query.order());
            if let Some(limit) = $query.limit {
                sql.push(" LIMIT ").push_bind(i64::from(limit));
            }
            let rows = sql.build().fetch_all(&mut *$connection).await?;
            let mut runs = Vec::with_capacity(rows.len());
            for row in rows {
                let outcome: String = row.try_get("outcome")?;
                let demanded: Option<i64> = row.try_get("demanded_ms")?;
                let run = Run {
                    id: row.try_get("id")?,
                    origin: row.try_get("origin")?,
                    scenario: row.try_get("scenario")?,
                    sha256: row.try_get("sha256")?,
                    title: row.try_get("title")?,
                    mode: row.try_get("mode")?,
                    outcome: Ending::from(outcome),
                    exit_code: row.try_get("exit_code")?,
                    started_at: Timestamp(row.try_get("started_at_ms")?),
                    duration: Millis(row.try_get("duration_ms")?),
                    bring_up: Millis(row.try_get("bring_up_ms")?),
                    readiness: Millis(row.try_get("readiness_ms")?),
                    demanded: demanded.map(Millis),
                    context: row.try_get("context")?,
                    server: row.try_get("server")?,
                    harness: row.try_get("harness")?,
                    kubernetes: row.try_get("kubernetes")?,
                    prometheus: row.try_get("prometheus")?,
                    alertmanager: row.try_get("alertmanager")?,
                    compress: row.try_get("compress")?,
                    left_behind: row.try_get("left_behind")?,
                    log_bytes: row.try_get("log_bytes")?,
                };
                runs.push((run, row.try_get("sort_value")?));
            }
            Ok(runs)
        }
        .await
    };
}
use runs;

macro_rules! measures {
    ($connection:ident, $ids:ident) => {
        async {
            let mut sql = QueryBuilder::new(
                "SELECT run, name, subject, unit, better, value, resolution, deadline FROM harness_measures \
                 WHERE run IN (",
            );
            let mut list = sql.separated(", ");
            for id in $ids {
                list.push_bind(id.as_str());
            }
            sql.push(") ORDER BY run, name, subject");
            let rows = sql.build().fetch_all(&mut *$connection).await?;
            let mut all = Vec::with_capacity(rows.len());
            for row in rows {
                let (unit, better): (String, String) = (row.try_get("unit")?, row.try_get("better")?);
                let measure = Measure {
                    name: row.try_get("name")?,
                    subject: row.try_get("subject")?,
                    unit: unit_of(&unit),
                    better: better_of(&better),
                    value: row.try_get("value")?,
                    resolution: row.try_get("resolution")?,
                    deadline: row.try_get("deadline")?,
                };
                all.push((row.try_get("run")?, measure));
            }
            Ok(all)
        }
        .await
    };
}
use measures;

const fn unit_word(unit: Unit) -> &'static str {
    match unit {
        Unit::Ms => "ms",
        Unit::Ratio => "ratio",
        Unit::Burn => "burn",
        Unit::PerSecond => "per_second",
        Unit::Count => "count",
    }
}

fn unit_of(word: &str) -> Unit {
    let all = [Unit::Ms, Unit::Ratio, Unit::Burn, Unit::PerSecond];
    all.into_iter().find(|unit| unit_word(*unit) == word).unwrap_or(Unit::Count)
}

const fn better_word(better: Better) -> &'static str {
    match better {
        Better::Lower => "lower",
        Better::Higher => "higher",
        Better::None => "none",
    }
}

fn better_of(word: &str) -> Better {
    let all = [Better::Lower, Better::Higher];
    all.into_iter().find(|better| better_word(*better) == word).unwrap_or(Better::None)
}
