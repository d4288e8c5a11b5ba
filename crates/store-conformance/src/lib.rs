//! The test suite that every store of the service registry must pass, for the built-in ones and for yours.
//!
//! A store passes when it keeps each promise in the documentation of [`Repository`](service_core::Repository),
//! [`Access`](service_core::Access) and [`Operations`](service_core::Operations). The suite wants one thing: a function that makes a
//! fresh store, empty and migrated.
//!
//! ```
//! use store_conformance::reference::ModelStore;
//! use store_conformance::{Store, conformance_tests};
//!
//! async fn fresh() -> Store {
//!     Store::new(ModelStore::default()) // yours goes here
//! }
//!
//! conformance_tests!(fresh); // one `#[test]` for each promise
//! # fn main() {}
//! ```
//!
//! * [`suite`] is the one table of cases; [`conformance_tests!`] and [`run_all`] run it, [`cases`] holds it.
//! * [`reference`](mod@reference) is the model store, which is also the shortest example of how to write one.
//! * [`generate`] has strategies for everything a store is given, for property tests of your own; [`world`] is the model to compare
//!   with, step by step.

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
