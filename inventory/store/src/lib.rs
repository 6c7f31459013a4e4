//! SQLite, the only SQL. Reads go through a pool, writes through one connection and `BEGIN IMMEDIATE`, so that a
//! [`Change`] never fails half-way for another writer.

mod change;
mod conflicts;
mod delivery;
mod documents;
mod forget;
mod identity;
mod loaders;
mod machines;
mod parts;
mod rechecks;
mod rescue;
mod sql;
mod tasks;
mod tokens;

use std::path::{Path, PathBuf};
use std::time::Duration;

use inventory_api::problem::server_failed;
use inventory_api::{Problem, UnixMs};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

pub use change::Change;
pub use conflicts::{ConflictRow, SharedValues};
pub use delivery::{NameRow, Written};
pub use documents::{ReportRow, StoredReport};
pub use identity::{CertificateRow, TicketRow};
pub use machines::{HistoryRow, Identity, MachineRow};
pub use parts::OtherPlace;
pub use rechecks::RecheckRow;
pub use rescue::{RescuePasswordRow, RescueRow};
pub use tokens::TokenRow;

/// Reports that are kept whole for each machine.
pub const KEPT_REPORTS: i64 = 10;
/// Nonces that are kept for each machine; an older report is refused by its time.
pub const KEPT_NONCES: i64 = 500;
/// Tickets that are kept for each machine.
pub const KEPT_TICKETS: i64 = 16;
/// Plans that are kept for each machine.
pub const KEPT_PLANS: i64 = 20;

/// Why the store cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database file cannot be opened.
    #[error("cannot open the store {path}: {source}{}", next_step(source))]
    Open {
        /// The file.
        path: PathBuf,
        /// What came back.
        source: sqlx::Error,
    },
    /// The database file cannot be made.
    #[error("cannot make the store {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What came back.
        source: std::io::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the store {path} up to date: {source}")]
    Migrate {
        /// The file.
        path: PathBuf,
        /// What came back.
        source: sqlx::migrate::MigrateError,
    },
    /// A statement failed.
    #[error("the store failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// A row has a value that this version cannot read.
    #[error("the store has a {what} that cannot be read: {detail}")]
    Content {
        /// Which kind of value.
        what: &'static str,
        /// Why.
        detail: String,
    },
}

/// The cause goes to the log: the caller is told only that the server failed.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        tracing::error!(%error, "a request failed");
        server_failed()
    }
}

impl StoreError {
    fn content(what: &'static str, error: impl std::fmt::Display) -> StoreError {
        let detail = error.to_string();
        StoreError::Content { what, detail }
    }
}

/// What to do about a database that is no longer one.
fn next_step(error: &sqlx::Error) -> &'static str {
    /// SQLITE_CORRUPT and SQLITE_NOTADB.
    const BROKEN: [&str; 2] = ["11", "26"];
    let code = error.as_database_error().and_then(|e| e.code());
    if code.is_some_and(|code| BROKEN.contains(&code.as_ref())) {
        ". The file is damaged: keep a copy of it, and put a backup in its place (docs/backup.md), or save what can be read with \
         `sqlite3 FILE .recover`"
    } else {
        ""
    }
}

/// The store. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Store {
    read: SqlitePool,
    write: SqlitePool,
}

impl Store {
    /// Opens the database file, made and migrated as needed.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        private_file(path).map_err(|source| StoreError::File {
            path: path.to_owned(),
            source,
        })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A machine's next action follows from what was committed: a commit must outlive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true);
        let opened = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(opened)?;
        sqlx::migrate!("src/schema")
            .run(&write)
            .await
            .map_err(|source| StoreError::Migrate {
                path: path.to_owned(),
                source,
            })?;
        let read = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.read_only(true))
            .await
            .map_err(opened)?;
        Ok(Store { read, write })
    }

    /// Begins a transaction; dropped without [`Change::commit`] it leaves nothing.
    pub async fn begin(&self) -> Result<Change, StoreError> {
        Change::begin(self.write.acquire().await?).await
    }

    /// Writes one row, so that a disk that is full or broken is known.
    ///
    /// # Errors
    /// The store takes no write now.
    pub async fn probe_write(&self, now: UnixMs) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let sql = "INSERT INTO write_probe (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = $1";
        change.run(sql, &[&now]).await?;
        change.commit().await
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Plans hold password hashes: the file is for its owner only, whatever the directory's mode is. SQLite gives its
/// side files the mode of the database.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests;
