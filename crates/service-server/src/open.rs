//! Opens stores by their URLs.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use service_core::{Access, Operations, Repository};
use service_http::Observed;
use store_memory::MemoryStore;
use store_postgres::{PoolUse, PostgresOptions, PostgresStore};
use store_sqlite::SqliteStore;

use crate::failure::Failure;
use crate::store_url::StoreUrl;

/// A store, as the three things it is.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// Keeps services and the catalog.
    pub(crate) repository: Arc<dyn Repository>,
    /// Knows who may do what.
    pub(crate) access: Arc<dyn Access>,
    /// Is what operators work with.
    pub(crate) operations: Arc<dyn Operations>,
    connections: Connections,
}

/// What must be closed in the end.
#[derive(Debug, Clone)]
enum Connections {
    None,
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Store {
    fn new<S: Repository + Access + Operations>(store: S, connections: Connections) -> Self {
        let store = Arc::new(store);
        Self { repository: store.clone(), access: store.clone(), operations: store, connections }
    }

    /// Opens a store, which is created if there is none, whatever its schema.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) async fn open(url: &StoreUrl) -> Result<Self, Failure> {
        let opened = match url {
            StoreUrl::Memory => Ok(Self::new(MemoryStore::new(), Connections::None)),
            StoreUrl::Sqlite(path) => {
                let store = SqliteStore::open(path).await;
                store.map(|store| Self::new(store.clone(), Connections::Sqlite(store)))
            }
            StoreUrl::Postgres(options) => {
                let store = PostgresStore::connect(PostgresOptions::clone(options)).await;
                store.map(|store| Self::new(store.clone(), Connections::Postgres(store)))
            }
        };
        opened.map_err(|error| Failure::failed(&format!("cannot open `{url}`"), &error))
    }

    /// What kind of store it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self.connections {
            Connections::None => "memory",
            Connections::Sqlite(_) => "sqlite",
            Connections::Postgres(_) => "postgres",
        }
    }

    /// Whether it works in this process.
    pub(crate) fn is_local(&self) -> bool {
        !matches!(self.connections, Connections::Postgres(_))
    }

    /// How busy its connections are.
    pub(crate) fn pool_use(&self) -> Vec<PoolUse> {
        match &self.connections {
            Connections::None => Vec::new(),
            Connections::Sqlite(store) => store.pool_use().into(),
            Connections::Postgres(store) => vec![store.pool_use()],
        }
    }

    /// The same store, which tells operators of every call.
    pub(crate) fn observed(&self, cluster: &str) -> Self {
        let kind = self.kind();
        let Self { repository, access, operations, connections } = self.clone();
        Self {
            repository: Arc::new(Observed::new(repository, kind, cluster)),
            access: Arc::new(Observed::new(access, kind, cluster)),
            operations: Arc::new(Observed::new(operations, kind, cluster)),
            connections,
        }
    }

    /// Closes the store: nothing is left beside a file, and no connection to a database.
    pub(crate) async fn close(self) {
        match self.connections {
            Connections::None => {}
            Connections::Sqlite(store) => store.close().await,
            Connections::Postgres(store) => store.close().await,
        }
    }

    /// Opens a store, which is created if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened or written, or its schema is newer than this program.
    pub(crate) async fn open_migrated(url: &StoreUrl) -> Result<Self, Failure> {
        check_writable(url)?;
        let store = Self::open(url).await?;
        let migrated = store.operations.migrate().await;
        migrated.map_err(|error| Failure::failed(&format!("cannot migrate `{url}`"), &error))?;
        Ok(store)
    }

    /// Opens a store for a command that works beside servers: it must be there and have its schema, because changing that under
    /// running servers is for `migrate` and `serve` alone.
    ///
    /// # Errors
    /// When there is none, it cannot be opened, or has another schema.
    pub(crate) async fn open_current(url: &StoreUrl) -> Result<Self, Failure> {
        if !exists(url).await? {
            return Err(Failure::Failed(format!("there is no store at `{url}`")));
        }
        let store = Self::open(url).await?;
        let ready = store.operations.ready().await;
        ready.map_err(|error| Failure::failed(&format!("`{url}` is not ready (see `migrate`)"), &error))?;
        Ok(store)
    }

    /// Like [`open_current`](Self::open_current), but creates a store where there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or has another schema.
    pub(crate) async fn open_current_or_new(url: &StoreUrl) -> Result<Self, Failure> {
        if exists(url).await? { Self::open_current(url).await } else { Self::open_migrated(url).await }
    }
}

/// Whether there is a store at a URL. An empty file is none yet, nor is a database without the registry's schema.
///
/// # Errors
/// When a database cannot be asked.
pub(crate) async fn exists(url: &StoreUrl) -> Result<bool, Failure> {
    match url {
        StoreUrl::Memory => Ok(false),
        // Whatever else keeps the file from being looked at, opening it will say.
        StoreUrl::Sqlite(path) => Ok(match fs::metadata(path) {
            Ok(metadata) => metadata.len() > 0,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }),
        StoreUrl::Postgres(options) => {
            let failed = |error| Failure::failed(&format!("cannot open `{url}`"), &error);
            let store = PostgresStore::connect(PostgresOptions::clone(options)).await.map_err(failed)?;
            let has_schema = store.has_schema().await;
            store.close().await;
            has_schema.map_err(failed)
        }
    }
}

/// Checks, without touching it, that there can be a store at a URL.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn check(url: &StoreUrl) -> Result<(), Failure> {
    let StoreUrl::Sqlite(path) = url else { return Ok(()) };
    if path.is_dir() {
        return Err(Failure::configuration(format!("the store `{url}` is a directory")));
    }
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(Failure::configuration(format!(
            "the store `{url}` is in a directory that does not exist"
        )));
    }
    Ok(())
}

/// Checks that a file may be written, where there is one: SQLite opens it for reading if it may not, and says so at the first write.
///
/// It is not opened for that: a process that closes a file gives up all locks that it holds on it, those of SQLite too if another store
/// of the process is on the same file.
///
/// # Errors
/// Why it may not.
fn check_writable(url: &StoreUrl) -> Result<(), Failure> {
    let StoreUrl::Sqlite(path) = url else { return Ok(()) };
    match rustix::fs::access(path, rustix::fs::Access::WRITE_OK).map_err(io::Error::from) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::failed(&format!("cannot write to `{url}`"), &error))
        }
        _ => Ok(()),
    }
}

/// Checks that a store outlives the command, for commands whose effect would otherwise be lost.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn check_lasting(url: &StoreUrl) -> Result<(), Failure> {
    match url {
        StoreUrl::Memory => Err(Failure::configuration(
            "a store in memory ends with the command, so that nothing would come of it; use `sqlite:PATH` or `postgres://…`",
        )),
        StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => check(url),
    }
}
