//! The service registry on SQLite.
//!
//! [`SqliteStore`] keeps a whole registry in one file and implements [`Repository`], [`Access`] and [`Operations`]:
//!
//! ```
//! use service_core::{CatalogDocument, FactsQuery, Operations, Repository};
//! use store_sqlite::SqliteStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("services.db");
//! let store = SqliteStore::open(&path).await?; // the file is created if it is not there
//! store.migrate().await?; // and so is the schema
//!
//! let catalog = CatalogDocument::parse(br#"{"organizations": [{"id": "acme"}]}"#)?;
//! store.apply_catalog(&catalog).await?;
//! assert!(store.facts(&"acme".parse()?, &FactsQuery::default()).await?.is_some());
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! * **One file, many readers, one writer.** The file is in write-ahead-log mode. Reads have connections of their own and see
//!   the last state that was committed; they wait for no write. Writes queue for one connection, so that those of one process
//!   never find the file busy; those of other processes are waited for, for five seconds.
//! * **Acknowledged is durable.** `synchronous=FULL`: a commit is on disk before the caller hears of it. Commits that wait at the same
//!   time are flushed together.
//! * **A service is stored once**, as the row of history that has its revision. The table of services holds what finds it.
//! * **A page costs its own length.** Every sort and every position is a range of an index, begun where the page begins. What is asked
//!   of tags, names, agents and state machines is found by an index of the organization in memory, built when it is first
//!   needed and kept exact by the history, whoever writes it; see [`store_sql::list`].

mod access;
mod catalog;
mod commit;
mod error;
mod facts;
mod json;
mod list;
mod migration;
mod operations;
mod queue;
mod repository;
mod store;
mod transaction;
mod transfer;
mod write;

pub use store::SqliteStore;
pub use store_sql::pool::PoolUse;

#[cfg(doc)]
use service_core::{Access, Operations, Repository};
