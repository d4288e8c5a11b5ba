//! Listings: a position, the ranges that follow it, and what restricts them.
//!
//! 1. The token is looked up in the history: it names a position in every order ([`position`]).
//! 2. The core says which ranges of an index hold what follows, one for each activeness ([`service_core::range`]).
//! 3. For each range, [`conditions`] finds what drives it (ids, the rarest tag, or all services) and what is left to test.
//! 4. [`keys`] makes of them the part of a statement that finds the keys of a page. The store puts around it what reads
//!    just those services.
//! 5. [`page`] is made of the services, in whatever order they came.

pub mod conditions;
mod keys;
mod statement;

pub use conditions::{Conditions, Term, Terms};
pub use keys::{count, keys};
pub use statement::{Dialect, List, Marker, ORGANIZATION, Statement, Template, Value};

use std::sync::Arc;

use service_core::range::{Range, ranges};
use service_core::{Listing, Page, Service, TagFacets, admits, compare};

/// A listing's token names no position that its caller may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidToken;

/// The service after which a page begins, as its revision left it; `None` for the first page. `named` is what the history
/// has at the revision that the token names.
///
/// # Errors
/// When the token is no revision's, or one of a service that the visibility does not admit.
pub fn position(
    listing: &Listing,
    named: Option<Arc<Service>>,
) -> Result<Option<Arc<Service>>, InvalidToken> {
    match listing.token.position() {
        Ok(None) => Ok(None),
        Ok(Some(_)) => match named {
            Some(service) if admits(&listing.visibility, &service) => Ok(Some(service)),
            _ => Err(InvalidToken),
        },
        Err(_) => Err(InvalidToken),
    }
}

/// The ranges that hold what a page may have, each with its conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct Restricted {
    /// The ranges in which there can be services that satisfy all conditions, in the order of the sort.
    pub ranges: Vec<(Range, Conditions)>,
    /// Whether everything in the first range comes before anything in the others. If not, they interleave.
    pub consecutive: bool,
}

impl Restricted {
    /// The ranges of a listing after a position.
    pub fn of(listing: &Listing, after: Option<&Service>, terms: &Terms) -> Self {
        let ranges = ranges(&listing.sort, listing.filter.is_active(), after);
        let restricted = ranges.ranges.into_iter().filter_map(|range| {
            let conditions = Conditions::of(listing, range.is_active, terms)?;
            Some((range, conditions))
        });
        Self { ranges: restricted.collect(), consecutive: ranges.consecutive }
    }
}

/// The page that these services are, of which there may be one more than its limit. They come as a join gives them.
pub fn page(listing: &Listing, mut services: Vec<Arc<Service>>, facets: Option<TagFacets>) -> Page {
    services.sort_by(|left, right| compare(&listing.sort, left, right));
    Page::of(services, listing.limit, facets)
}
