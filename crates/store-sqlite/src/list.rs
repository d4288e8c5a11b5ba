//! Listings: a position, the ranges that follow it, and what restricts them.
//!
//! 1. The token is looked up in the history: it names a position in every order.
//! 2. The core says which ranges of an index hold what follows, one for each activeness ([`service_core::range`]).
//! 3. For each range, [`conditions`] finds what drives it (ids, the rarest tag, or all services) and what is left to test.
//! 4. [`sql`] turns them into a statement, which finds the keys of a page first and then reads just those services.

mod conditions;
mod facets;
mod sql;
#[cfg(test)]
mod tests;

pub(crate) use facets::FacetCache;

use std::sync::Arc;

use service_core::range::{Range, ranges};
use service_core::{
    Listed, Listing, OrganizationId, Page, Revision, Service, StoreError, Visibility, admits, compare,
};
use sqlx::SqliteConnection;

use crate::error::store_error;
use crate::row::{self, ServiceRow};
use conditions::{Conditions, Terms};

/// The page of a listing, all of it as one snapshot shows it.
pub(crate) async fn list(
    snapshot: &mut SqliteConnection,
    facets: &FacetCache,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Listed, StoreError> {
    let Some((revision, named)) = position(snapshot, organization, listing.token.get()).await? else {
        return Ok(Listed::UnknownOrganization);
    };
    let after = match listing.token.position() {
        Ok(None) => None,
        Ok(Some(_)) => match named {
            Some(service) if admits(&listing.visibility, &service) => Some(service),
            _ => return Ok(Listed::InvalidToken),
        },
        Err(_) => return Ok(Listed::InvalidToken),
    };
    let services = services(snapshot, organization, listing, after.as_deref()).await?;
    let facets = match after {
        None => Some(facets.of(snapshot, organization, revision).await?),
        Some(_) => None,
    };
    Ok(Listed::Page(Page::of(services, listing.limit, facets)))
}

/// The revision of the organization, and the service as the revision that a token names left it.
async fn position(
    snapshot: &mut SqliteConnection,
    organization: &OrganizationId,
    token: i64,
) -> Result<Option<(Revision, Option<Arc<Service>>)>, StoreError> {
    let row: Option<(i64, Option<Vec<u8>>, Option<String>)> = sqlx::query_as(
        "SELECT o.revision, h.id, h.body
         FROM organizations AS o
         LEFT JOIN history AS h ON h.organization = o.organization AND h.revision = ?2
         WHERE o.organization = ?1",
    )
    .bind(organization.as_str())
    .bind(token)
    .fetch_optional(snapshot)
    .await
    .map_err(store_error)?;
    let Some((revision, id, body)) = row else { return Ok(None) };
    let named = match (id, body) {
        (Some(id), Some(body)) => Some(row::service(organization, &(token, id, body))?),
        _ => None,
    };
    Ok(Some((row::number("the revision of an organization", revision)?, named)))
}

/// The services of a page and the one after it, in order.
async fn services(
    snapshot: &mut SqliteConnection,
    organization: &OrganizationId,
    listing: &Listing,
    after: Option<&Service>,
) -> Result<Vec<Arc<Service>>, StoreError> {
    if listing.visibility == Visibility::Nothing {
        return Ok(Vec::new());
    }
    let terms = Terms::load(snapshot, organization, listing).await?;
    let ranges = ranges(&listing.sort, listing.filter.is_active(), after);
    let restricted = ranges.ranges.into_iter().filter_map(|range| {
        let conditions = Conditions::of(listing, range.is_active, &terms)?;
        Some((range, conditions))
    });
    let restricted: Vec<(Range, Conditions)> = restricted.collect();
    let count = listing.limit.get().saturating_add(1);
    // Ranges that follow each other are read in turn, the second only if the first does not fill the page; ranges that
    // interleave are read as one.
    let steps: Vec<&[(Range, Conditions)]> =
        if ranges.consecutive { restricted.chunks(1).collect() } else { vec![&restricted] };
    let mut services: Vec<Arc<Service>> = Vec::new();
    for step in steps {
        let missing = count - services.len();
        if step.is_empty() || missing == 0 {
            continue;
        }
        let statement = sql::page(organization, &listing.sort, step, missing)?;
        let rows: Vec<ServiceRow> = statement.query().fetch_all(&mut *snapshot).await.map_err(store_error)?;
        for row in rows {
            services.push(row.named_service(organization)?);
        }
    }
    // The keys were found in order; their services come as the join gives them.
    services.sort_by(|left, right| compare(&listing.sort, left, right));
    Ok(services)
}
