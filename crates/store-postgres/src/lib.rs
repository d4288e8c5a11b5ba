//! The service registry on PostgreSQL.
//!
//! [`PostgresStore`] keeps a whole registry in one database, for as many processes as like, and implements [`Repository`],
//! [`Access`] and [`Operations`]:
//!
//! ```no_run
//! use service_core::{CatalogDocument, FactsQuery, Operations, Repository};
//! use store_postgres::PostgresStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = PostgresStore::open("postgres://registry@localhost/registry").await?;
//! store.migrate().await?; // creates the schema if it is not there
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
//! * **A schema of its own.** All tables are in the schema `service_registry`, and every statement says so: neither the search
//!   path nor tables of others in the same database matter.
//! * **Writes of one organization take turns**, those of several do not meet. A write is two round trips: it reads what it is
//!   compared with, and one statement writes everything and commits, if the organization's guard row has not moved since and
//!   nobody else has locked it. A write that is overtaken is made again in a transaction that locks the guard first. A process that
//!   hangs in one holds the guard for fifteen seconds at most.
//! * **A read is one statement**, hence one snapshot, and takes no lock that a write waits for. A page is at most two: the
//!   first finds the position, what was written since the last page, and the page itself if it can be told before.
//! * **A service is stored once**, as the row of history that has its revision. The table of services holds what finds it.
//! * **A page costs its own length.** Every sort and every position is a range of an index, begun where the page begins. What is
//!   asked by tag, or through grants that name tags, names, agents or state machines, is found by an index of the organization
//!   that each process keeps in memory, and that it brings up to date from the history for each page.
//! * **Nothing depends on settings.** Text that is compared has the collation `C`, transactions say how they are isolated, and
//!   results do not depend on time zones or locales. The database must have the encoding UTF-8.
//! * **Poolers.** Behind one that gives each transaction another connection, no statement stays prepared and each call is one
//!   transaction ([`PostgresOptions`], [`PostgresStore::with_transaction_pool`]).
//! * **Failures say what happened.** What the server asks to have repeated is repeated, five times at most. A connection that
//!   is lost before what commits was prepared and sent means that nothing happened; after that, that nobody knows. So it is with
//!   a caller who drops the future of a write.

mod access;
mod catalog;
mod commit;
mod error;
mod facts;
mod list;
mod migration;
mod operations;
mod options;
mod reach;
mod repository;
mod row;
mod store;
mod transaction;
mod transfer;
mod write;

pub use options::{InvalidPostgresUrl, PostgresOptions};
pub use store::PostgresStore;
pub use store_sql::pool::PoolUse;

#[cfg(doc)]
use service_core::{Access, Operations, Repository};
