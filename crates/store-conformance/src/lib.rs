//! The test suite that every store of the service registry must pass.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test suite fails by panicking")]

pub mod cases;
pub mod environment;
pub mod generate;
pub mod reference;
mod store;
pub mod suite;
pub mod world;

pub use store::{Fresh, Store};
pub use suite::{CASES, Case, run_all, run_case};
