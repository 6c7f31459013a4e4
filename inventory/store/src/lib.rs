//! The only SQL: SQLite. Reads go through a pool, writes through one connection and `BEGIN IMMEDIATE`, so
//! that no other writer makes a [`Change`] fail half-way. Each query is written once, in [`Reader`].

mod change;
mod conflicts;
mod delivery;
mod documents;
mod forget;
mod identity;
mod lists;
mod loaders;
mod machines;
mod parts;
mod reader;
mod rechecks;
mod rescue;
mod sql;
mod tasks;
mod tokens;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inventory_api::problem::server_failed;
use inventory_api::text::with_causes;
use inventory_api::{Problem, UnixMs};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use reader::Source;

pub use change::Change;
pub use conflicts::{ConflictRow, OpenConflicts, Resolved, SharedValues};
pub use delivery::{PlacedRow, Written};
pub use documents::{ReportRow, StoredReport};
pub use identity::{CertificateRow, TicketRow};
pub use lists::{Cursor, MachineCounts};
pub use machines::{HistoryRow, MachineRow, SmbiosNames};
pub use parts::OtherPlace;
pub use reader::Reader;
pub use rechecks::RecheckRow;
pub use rescue::{RescuePasswordRow, RescueRow};
pub use tokens::TokenRow;

/// Reports that are kept whole for each machine.
pub const KEPT_REPORTS: i64 = 10;
/// Nonces that are kept for each machine; older reports are refused by their time.
pub const KEPT_NONCES: i64 = 500;
/// Tickets that are kept for each machine.
pub const KEPT_TICKETS: i64 = 16;
/// Plans that are kept for each machine.
pub const KEPT_PLANS: i64 = 20;

/// Result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database file cannot be opened.
    #[error("cannot open the store {path}{}", next_step(source))]
    Open {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: sqlx::Error,
    },
    /// The database file cannot be created.
    #[error("cannot create the store {path}")]
    File {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the store {path} up to date")]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: sqlx::migrate::MigrateError,
    },
    /// A statement failed, or a row has a value that this version cannot read.
    #[error("the store failed")]
    Sql(#[from] sqlx::Error),
}

/// The cause goes to the log: the caller is told only that the server failed.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        tracing::error!(error = with_causes(&error), "a request failed");
        server_failed()
    }
}

/// What to do about a damaged database.
fn next_step(error: &sqlx::Error) -> &'static str {
    /// SQLITE_CORRUPT and SQLITE_NOTADB.
    const BROKEN: [&str; 2] = ["11", "26"];
    let code = error.as_database_error().and_then(|e| e.code());
    if code.is_some_and(|code| BROKEN.contains(&code.as_ref())) {
        " (the file is damaged: keep a copy of it, and put a backup in its place (docs/backup.md), or save what can be read with \
         `sqlite3 FILE .recover`)"
    } else {
        ""
    }
}

/// The store. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    read: Arc<Reader>,
    write: SqlitePool,
}

impl Deref for Store {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.read
    }
}

impl Store {
    /// Opens the database file; creates and migrates it as needed.
    pub async fn open(path: &Path) -> Result<Store> {
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
        let read = Arc::new(Reader(Source::Pool(read)));
        let store = Store { read, write };
        // No write without need: `slipway token` opens the store beside a running server.
        while store.count(lists::UNFILLED, &[]).await? > 0 {
            let mut change = store.begin().await?;
            change.fill_list_columns().await?;
            change.commit().await?;
        }
        Ok(store)
    }

    /// Begins a transaction; dropped without [`Change::commit`] it is rolled back.
    pub async fn begin(&self) -> Result<Change> {
        Change::begin(self.write.acquire().await?).await
    }

    /// Writes one row, to find out whether the disk is full or broken.
    ///
    /// # Errors
    /// The store cannot be written now.
    pub async fn probe_write(&self, now: UnixMs) -> Result<()> {
        let mut change = self.begin().await?;
        let sql = "INSERT INTO write_probe (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = $1";
        change.run(sql, &[&now]).await?;
        change.commit().await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        if let Source::Pool(pool) = &self.read.0 {
            pool.close().await;
        }
        self.write.close().await;
    }
}

/// Plans hold password hashes: only the owner may read the file, whatever the mode of the directory. SQLite
/// gives its side files the mode of the database.
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
