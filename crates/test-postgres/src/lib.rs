//! A PostgreSQL for tests: the one at `DATABASE_URL` if that is given, else a private one of installed programs.
//!
//! ```no_run
//! # async fn migrate(url: String) {}
//! # async fn test() {
//! use test_postgres::{Database, Template};
//!
//! let template = Template { name: "registry", version: "a hash of the migrations" };
//! let database = Database::migrated(template, |url| migrate(url)).await; // migrated once, then cloned
//! println!("{}", database.url());
//! drop(database); // and dropped on the server
//! # }
//! ```
//!
//! * A test never passes because there is no PostgreSQL: where there is none, it fails with one line that says what to install.
//! * A private server listens on loopback alone, wants a password, and keeps its files in a directory of its own: in
//!   `TMPDIR` if that is given, else in `/dev/shm` if that has room, else where temporary files usually are. Tests that run as root run it as the user `postgres`, or `nobody`. It ends, and its
//!   directory goes, when the process that started it ends, however that comes about.
//! * A process starts one at most for all its databases; a [`Cluster`] is one more, to be crashed. `cargo xtask test` starts one for all the tests, by way of this package's program:
//!   `cargo run -p test-postgres -- COMMAND [ARG]…` runs a command with `DATABASE_URL` set.
//! * [`PgBouncer::start`] puts the real PgBouncer in transaction mode before a server.
//! * Databases sort as people expect, not by code points, wherever the server can: a forgotten `COLLATE "C"` shows.
//!
//! Programs are looked for in `PATH`, in what `pg_config --bindir` says, and where distributions put them. `TEST_POSTGRES_BIN`
//! names the one directory to look in instead; an empty one makes a machine look as if nothing were installed.

#![expect(clippy::panic, reason = "a test fails by panicking, also when what it stands on is missing")]

mod account;
mod cluster;
mod database;
mod pgbouncer;
mod programs;
mod server;
mod supervised;

pub use cluster::{Cluster, Crash, Durability};
pub use database::{Database, Template};
pub use pgbouncer::PgBouncer;
pub use programs::missing_packages;
pub use server::Server;
