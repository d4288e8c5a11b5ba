//! The test suite that every store of the service registry must pass.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test suite fails by panicking")]

pub mod environment;
pub mod generate;
pub mod reference;
pub mod world;
