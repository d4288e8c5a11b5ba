//! The stores that are measured, with services in them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use service_core::{Operations, OrganizationId, Repository};
use service_registry_benches::{DataSet, Error, Organization, fill, organization, resident};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store_memory::MemoryStore;
use store_postgres::PostgresStore;
use store_sqlite::SqliteStore;
use tempfile::TempDir;
use test_postgres::{Cluster, Durability};

use crate::options::Kind;

/// What a server in use is given, and one for tests is not: room for the rows that are read, and time between checkpoints.
pub(crate) const SETTINGS: [&str; 2] = ["shared_buffers=1GB", "max_wal_size=2GB"];

/// Where stores live while they are measured.
pub(crate) struct Stage {
    directory: TempDir,
    cluster: Option<Cluster>,
}

/// A store that holds an organization of some size, beside the small ones.
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) repository: Arc<dyn Repository>,
    /// Another store on the same database, which is never asked for tags and so has no index in memory; none if there is no database.
    pub(crate) without_index: Option<Arc<dyn Repository>>,
    pub(crate) place: Place,
    pub(crate) data: DataSet,
    pub(crate) main: Organization,
    /// How long it took to put everything in.
    pub(crate) loaded: Duration,
    /// By how many kilobytes the process has grown meanwhile.
    pub(crate) grown: i64,
}

/// Where the data of a store are, for those who go there without it.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Nowhere,
    File(PathBuf),
    Url(String),
}

impl Stage {
    pub(crate) fn new() -> Result<Self, Error> {
        let directory = tempfile::Builder::new().prefix("measure-").tempdir()?;
        Ok(Self { directory, cluster: None })
    }

    /// A new store of a kind, filled.
    pub(crate) async fn subject(&mut self, kind: Kind, size: u64) -> Result<Subject, Error> {
        let (repository, operations, place) = self.open(kind, size).await?;
        operations.migrate().await?;
        let data = DataSet::realistic(size)?;
        let id = organization()?;
        let main = data.organizations().iter().find(|organization| *organization.id() == id);
        let main = main.ok_or("the organization that is measured is missing")?.clone();
        let (before, start) = (resident("self")?, Instant::now());
        fill(&*operations, &data).await?;
        let (loaded, grown) = (start.elapsed(), resident("self")? - before);
        let without_index: Option<Arc<dyn Repository>> = match &place {
            Place::Nowhere => None,
            Place::File(file) => Some(Arc::new(SqliteStore::open(file).await?)),
            Place::Url(url) => Some(Arc::new(PostgresStore::open(url).await?)),
        };
        Ok(Subject { kind, size, repository, without_index, place, data, main, loaded, grown })
    }

    async fn open(
        &mut self,
        kind: Kind,
        size: u64,
    ) -> Result<(Arc<dyn Repository>, Arc<dyn Operations>, Place), Error> {
        Ok(match kind {
            Kind::Memory => {
                let store = MemoryStore::new();
                (Arc::new(store.clone()), Arc::new(store), Place::Nowhere)
            }
            Kind::Sqlite => {
                let file = self.file(&format!("registry-{size}.sqlite"));
                let store = SqliteStore::open(&file).await?;
                (Arc::new(store.clone()), Arc::new(store), Place::File(file))
            }
            Kind::Postgres => {
                let url = self.database(&format!("registry_{size}")).await?;
                let store = PostgresStore::open(&url).await?;
                (Arc::new(store.clone()), Arc::new(store), Place::Url(url))
            }
        })
    }

    /// The address of the PostgreSQL server, if one was started.
    pub(crate) fn server(&self) -> Option<&str> {
        self.cluster.as_ref().map(Cluster::url)
    }

    /// A file that is not there yet.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The address of a new database, on a server that keeps what was committed.
    pub(crate) async fn database(&mut self, name: &str) -> Result<String, Error> {
        let cluster = match &mut self.cluster {
            Some(cluster) => cluster,
            none => none.insert(Cluster::start_with(Durability::Kept, &SETTINGS)?),
        };
        let mut connection = PgConnection::connect(cluster.url()).await?;
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await?;
        connection.close().await?;
        let (server, _) = cluster.url().rsplit_once('/').ok_or("the server's address has no database")?;
        Ok(format!("{server}/{name}"))
    }
}

impl Subject {
    /// A small organization of five hundred services.
    pub(crate) fn small(&self) -> Result<OrganizationId, Error> {
        Ok("small-00".parse()?)
    }
}
