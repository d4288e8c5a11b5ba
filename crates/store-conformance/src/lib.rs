//! The test suite that every store of the service registry must pass, for the built-in ones and for yours.
//!
//! A store passes when it keeps each promise in the documentation of [`Repository`](service_core::Repository),
//! [`Access`](service_core::Access) and [`Operations`](service_core::Operations). Each promise there names the cases that look after it.
//!
//! # Running it
//!
//! The suite wants one thing: an asynchronous function that makes a fresh [`Store`], empty and migrated.
//!
//! ```
//! use store_conformance::reference::ModelStore;
//! use store_conformance::{Store, conformance_tests};
//!
//! async fn fresh() -> Store {
//!     Store::new(ModelStore::default()) // yours goes here
//! }
//!
//! conformance_tests!(fresh); // one `#[test]` for each case, in a module for each topic
//! # fn main() {}
//! ```
//!
//! * A case calls the function as often as it needs a store, from its own runtime with two threads, and several cases run at once. What
//!   happens in one store must not be seen in another: each wants its own directory, its own database, its own schema.
//! * What must live as long as a store, such as its directory, is handed to [`Store::keeping`] and dropped with it.
//! * A store whose traits are implemented by different things is put together by [`Store::of_parts`]. Pointers do: an
//!   `Arc<dyn Repository>` is a repository itself.
//! * Calls are made at the same time, left half way and abandoned, and read beside: a store wants more than one connection.
//! * [`run_all`] runs every case and returns the names of those that failed, [`run_case`] runs one, and [`CASES`] is the table of them.
//!
//! # Random histories
//!
//! One case puts [`state_machine::CASES`] random histories to the store and to the model beside it; what differs is shrunk to the fewest
//! steps, which are printed. The environment variable `PROPTEST_CASES` sets another number, `PROPTEST_RNG_SEED` repeats a run, and
//! [`state_machine::run`] runs as many as a test of your own asks for. The randomness of all other cases is the same in every run.
//!
//! # What it takes
//!
//! On two cores, the suite takes a few seconds in memory, a quarter of a minute on SQLite, and about one on PostgreSQL. A case that does not end
//! within five minutes fails.
//!
//! # What else is here
//!
//! * [`reference`](mod@reference) is the model store. `docs/embedding.md` has one like it to begin with.
//! * [`generate`] has strategies for everything a store is given, [`question`] puts the same questions to several stores, and [`world`]
//!   is the model to compare with, step by step: for tests of your own.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test suite fails by panicking"
)]

pub mod cases;
pub mod environment;
pub mod generate;
pub mod question;
pub mod reference;
pub mod state_machine;
mod store;
pub mod suite;
pub mod world;

pub use store::{Fresh, Store};
pub use suite::{CASES, Case, run_all, run_case};
