//! Data to measure and to test with, and what the registry is measured beside.
//!
//! * [`DataSet`]: organizations with their services and their history, the same for the same numbers every time. The
//!   [realistic](Profile::Realistic) ones are what measurements are made of, the [adversarial](Profile::Adversarial) ones what
//!   makes an index wrong or slow.
//! * [`fill`]: puts them into any store, by the store's own bulk path.
//! * [`naive`]: the same listings as one would write them with sqlx in an afternoon.
//!
//! Nothing here asks for the time or for randomness.

mod adversarial;
mod catalog;
mod changes;
pub mod chart;
mod dataset;
mod fill;
mod machine;
pub mod naive;
mod numbers;
mod realistic;

use std::sync::Arc;

use service_core::{OrganizationId, Service};

pub use catalog::{caller, catalog, llms};
pub use dataset::{DataSet, Organization, Profile};
pub use fill::fill;
pub use machine::{processor, resident};
pub use numbers::{Numbers, Permutation, count};

/// What went wrong while data were made or measured.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The organization that is measured.
///
/// # Errors
/// Never: the id is well-formed.
pub fn organization() -> Result<OrganizationId, Error> {
    Ok("acme".parse()?)
}

/// The services of a realistic organization of this size.
///
/// # Errors
/// Never: every value is well-formed.
pub fn services(count: usize) -> Result<Vec<Arc<Service>>, Error> {
    let organization = Organization::new(organization()?, Profile::Realistic, u64::try_from(count)?)?;
    organization.rows().map(|row| row.map(Arc::new)).collect()
}
