//! Listings: a statement that finds the position and how rare terms are, and one that reads the page.
//!
//! The first is left out where there is neither a token nor a term. What it finds need not be of the page's snapshot: rows of
//! history never change, and the numbers of services are used to choose what is read first, never what is right. The
//! second looks up the terms by their names, so whether one is there at all is decided by the snapshot of the page.

mod dialect;
mod sql;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use service_core::{Listed, Listing, OrganizationId, Revision, Service, StoreError};
use store_sql::facets::{self, FacetCache};
use store_sql::list::{InvalidToken, Restricted, Term, Terms, page, position};
use store_sql::row;
use store_sql::term::{self, TermName};

use crate::error::store_error;
use crate::transaction::{Connections, Transaction};

/// The page of a listing.
pub(crate) async fn list(
    connections: &Connections,
    cache: &FacetCache,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Listed, StoreError> {
    let mut reader = connections.statements().await?;
    let listed = read(&mut reader, cache, organization, listing).await?;
    reader.end().await?;
    Ok(listed)
}

async fn read(
    reader: &mut Transaction,
    cache: &FacetCache,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Listed, StoreError> {
    let names: Vec<TermName> = term::of_listing(listing).into_iter().collect();
    let (mut named, mut terms) = (None, Terms::default());
    if listing.token.get() != 0 || !names.is_empty() {
        let Some(found) = bearings(reader, organization, listing.token.get(), &names).await? else {
            return Ok(Listed::UnknownOrganization);
        };
        (named, terms) = found;
    }
    let after = match position(listing, named) {
        Ok(after) => after,
        Err(InvalidToken) => return Ok(Listed::InvalidToken),
    };
    let restricted = Restricted::of(listing, after.as_deref(), &terms);
    let kept = if after.is_none() { cache.last(organization) } else { None };
    let wanted = match (&after, &kept) {
        (Some(_), _) => sql::Facets::None,
        (None, Some((revision, _))) => sql::Facets::UnlessOf(*revision),
        (None, None) => sql::Facets::Any,
    };
    let statement = sql::page(organization, listing, &names, &restricted, wanted);
    let rows: Vec<sql::PageRow> = statement
        .query(reader.prepared)
        .map_err(store_error)?
        .fetch_all(&mut **reader)
        .await
        .map_err(store_error)?;
    let (mut header, mut services) = (None, Vec::new());
    for row in rows {
        match row.last_revision {
            Some(revision) => header = Some((revision, row.facets)),
            None => services.push(row.service.named_service(organization)?),
        }
    }
    let Some((revision, json)) = header else { return Ok(Listed::UnknownOrganization) };
    let facets = match (after, json, kept) {
        (Some(_), ..) => None,
        (None, Some(json), _) => {
            let facets = facets::parse(organization, &json)?;
            let revision: Revision = row::number("the revision of an organization", revision)?;
            cache.keep(organization, revision, &facets);
            Some(facets)
        }
        (None, None, kept) => kept.map(|(_, facets)| facets),
    };
    Ok(Listed::Page(page(listing, services, facets)))
}

/// What the history has at a token, and how many services have each of some terms, numbered from 1. `None` if there is no
/// such organization.
async fn bearings(
    reader: &mut Transaction,
    organization: &OrganizationId,
    token: i64,
    names: &[TermName],
) -> Result<Option<(Option<Arc<Service>>, Terms)>, StoreError> {
    type Row = (Option<Vec<u8>>, Option<String>, Vec<i64>);
    let row: Option<Row> = sqlx::query_as(
        "SELECT h.id, h.body,
             ARRAY(
                 SELECT coalesce(t.services, 0)
                 FROM unnest($3, $4, $5) WITH ORDINALITY AS w (kind, key, value, number)
                 LEFT JOIN service_registry.tag_terms AS t
                     ON t.organization = $1 AND t.key = w.key AND t.kind = w.kind AND t.value = w.value
                 ORDER BY w.number) AS services
         FROM service_registry.organizations AS o
         LEFT JOIN service_registry.history AS h ON h.organization = $1 AND h.revision = $2
         WHERE o.organization = $1",
    )
    .persistent(reader.prepared)
    .bind(organization.as_str())
    .bind(token)
    .bind(names.iter().map(|(kind, _, _)| *kind).collect::<Vec<_>>())
    .bind(names.iter().map(|(_, key, _)| key.as_str()).collect::<Vec<_>>())
    .bind(names.iter().map(|(_, _, value)| value.as_str()).collect::<Vec<_>>())
    .fetch_optional(&mut **reader)
    .await
    .map_err(store_error)?;
    let Some((id, body, services)) = row else { return Ok(None) };
    let named = match (id, body) {
        (Some(id), Some(body)) => Some(row::service(organization, &(token, id, body))?),
        _ => None,
    };
    // A term that no service has may have one by the time the page is read.
    let terms = names.iter().zip(services).zip(1..);
    let terms = terms.map(|((name, services), number)| (name.clone(), Term { number, services }));
    Ok(Some((named, terms.collect())))
}
