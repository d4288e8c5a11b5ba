//! Listings on SQLite; what they are made of stands in [`store_sql::list`].

mod dialect;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use service_core::{
    Listed, Listing, OrganizationId, Revision, Service, ServiceId, Sort, StoreError, TagFacets, Visibility,
};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};
use store_sql::facets::{self, FacetCache};
use store_sql::list::{self, ORGANIZATION, Restricted, Statement, Term, Terms, Value};
use store_sql::row::{self, ServiceRow};
use store_sql::term;

use crate::error::store_error;
use crate::json;
use dialect::DIALECT;

/// The page of a listing, all of it as one snapshot shows it.
pub(crate) async fn list(
    snapshot: &mut SqliteConnection,
    cache: &FacetCache,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Listed, StoreError> {
    let Some((revision, named)) = position(snapshot, organization, listing.token.get()).await? else {
        return Ok(Listed::UnknownOrganization);
    };
    let Ok(after) = list::position(listing, named) else { return Ok(Listed::InvalidToken) };
    let services = services(snapshot, organization, listing, after.as_deref()).await?;
    let facets = match after {
        None => Some(facets_of(snapshot, cache, organization, revision).await?),
        Some(_) => None,
    };
    Ok(Listed::Page(list::page(listing, services, facets)))
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

/// The services of a page and the one after it, in no order.
async fn services(
    snapshot: &mut SqliteConnection,
    organization: &OrganizationId,
    listing: &Listing,
    after: Option<&Service>,
) -> Result<Vec<Arc<Service>>, StoreError> {
    if listing.visibility == Visibility::Nothing {
        return Ok(Vec::new());
    }
    let terms = terms(snapshot, organization, listing).await?;
    let restricted = Restricted::of(listing, after, &terms);
    if restricted.ranges.is_empty() {
        return Ok(Vec::new());
    }
    let statement = statement(organization, &listing.sort, &restricted, list::count(listing.limit));
    let (sql, values) = statement.into_parts();
    let rows: Vec<ServiceRow> = sqlx::query_as_with(AssertSqlSafe(sql), arguments(values)?)
        .fetch_all(snapshot)
        .await
        .map_err(store_error)?;
    rows.into_iter().map(|row| row.named_service(organization)).collect()
}

/// Those of the terms a listing speaks of that some service has.
async fn terms(
    snapshot: &mut SqliteConnection,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Terms, StoreError> {
    let names = term::of_listing(listing);
    if names.is_empty() {
        return Ok(Terms::default());
    }
    let rows: Vec<(i64, String, String, i64, i64)> = sqlx::query_as(
        "SELECT t.kind, t.key, t.value, t.term, t.services
         FROM json_each(?2) AS wanted
         CROSS JOIN tag_terms AS t
         WHERE t.organization = ?1 AND t.kind = wanted.value ->> 0 AND t.key = wanted.value ->> 1
             AND t.value = wanted.value ->> 2",
    )
    .bind(organization.as_str())
    .bind(json::of(&names)?)
    .fetch_all(snapshot)
    .await
    .map_err(store_error)?;
    let terms = rows
        .into_iter()
        .map(|(kind, key, value, number, services)| ((kind, key, value), Term { number, services }));
    Ok(terms.collect())
}

/// What reads the first `count` services of some ranges: their keys are found first, and only theirs are read from the
/// history. The rows come in no order.
fn statement(organization: &OrganizationId, sort: &Sort, restricted: &Restricted, count: i64) -> Statement {
    let mut statement = Statement::new(&DIALECT, organization);
    statement.push("WITH ");
    list::keys(&mut statement, sort, restricted, count);
    statement
        .push(
            " SELECT s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.revision, h.body \
             FROM page \
             LEFT JOIN services AS s ON s.organization = ",
        )
        .mark(ORGANIZATION)
        .push(" AND s.id = page.id LEFT JOIN history AS h ON h.organization = ")
        .mark(ORGANIZATION)
        .push(" AND h.revision = s.revision AND h.id = s.id");
    statement
}

/// The values of a statement, as SQLite takes them.
fn arguments(values: Vec<Value>) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Text(text) => arguments.add(text),
            Value::Integer(number) => arguments.add(number),
            Value::Boolean(truth) => arguments.add(truth),
            Value::Id(id) => arguments.add(id.to_vec()),
            Value::Texts(texts) => arguments.add(json::of(&texts)?),
            Value::Integers(numbers) => arguments.add(json::of(&numbers)?),
            Value::Ids(ids) => arguments.add(json::ids(ids.into_iter().map(ServiceId::from_bytes))),
        }
        .map_err(|error| store_error(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}

/// The facets of an organization whose revision, in this snapshot, is the one given.
async fn facets_of(
    snapshot: &mut SqliteConnection,
    cache: &FacetCache,
    organization: &OrganizationId,
    revision: Revision,
) -> Result<TagFacets, StoreError> {
    if let Some(facets) = cache.kept(organization, revision) {
        return Ok(facets);
    }
    let json: String = sqlx::query_scalar(
        "SELECT json_group_array(json_array(key, CASE kind WHEN 2 THEN value END))
         FROM (
             SELECT key, kind, value FROM tag_terms
             WHERE organization = ?1 AND key > '' AND kind <> 0
             ORDER BY key, kind, value LIMIT ?2
         )",
    )
    .bind(organization.as_str())
    .bind(i64::try_from(facets::READ).unwrap_or(i64::MAX))
    .fetch_one(snapshot)
    .await
    .map_err(store_error)?;
    let facets = facets::parse(organization, &json)?;
    cache.keep(organization, revision, &facets);
    Ok(facets)
}
