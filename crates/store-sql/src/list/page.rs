//! The statement of a plain page.

use std::sync::Arc;

use service_core::{ContinuationToken, Listing, OrganizationId, Revision, Service, ServiceId, StoreError};

use super::keys::keys;
use super::plain::Plain;
use super::statement::{Dialect, ORGANIZATION, Statement, Value};
use crate::facets::READ;
use crate::row;

/// What is said of the organization and of the position, in one row, or one service of the page.
#[derive(Debug, sqlx::FromRow)]
pub struct PageRow {
    pub(super) last_revision: Option<i64>,
    pub(super) facets: Option<String>,
    revision: Option<i64>,
    id: Option<Vec<u8>>,
    body: Option<String>,
    #[sqlx(default)]
    is_active: Option<bool>,
}

impl PageRow {
    /// The id and the activeness that the service had which the token names, if it is looked up; `None` if it names none.
    pub(super) fn position(&self) -> Result<Option<(ServiceId, bool)>, StoreError> {
        let Some((id, is_active)) = self.id.as_deref().zip(self.is_active) else { return Ok(None) };
        Ok(Some((row::id("a row of history", id, ServiceId::from_bytes)?, is_active)))
    }

    /// The service, as the history has it.
    pub(super) fn service(self, organization: &OrganizationId) -> Result<Arc<Service>, StoreError> {
        match (self.revision, self.id, self.body) {
            (Some(revision), Some(id), Some(body)) => row::service(organization, &(revision, id, body)),
            _ => {
                let place = format!("an index of organization `{organization}`");
                Err(StoreError::corrupt(place, "a service that it names, or its history, is missing"))
            }
        }
    }
}

/// Which facets are read with a page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Facets {
    /// None.
    None,
    /// Those of the organization.
    Any,
    /// The same, unless it is still at this revision.
    UnlessOf(Revision),
}

/// A statement that reads a page. One row, in no particular place, has the revision of the organization and its facets, or what
/// the token names if it is looked up; where there is none, there is no such organization. The services are the first of some ranges, and one more
/// than fit on the page if there are as many; they come in no order.
#[derive(Debug)]
pub struct PageStatement(Statement);

impl PageStatement {
    /// The statement for a listing that [`Plain`] suits, after what its token names, which is looked up if it is not given.
    pub(super) fn new(
        dialect: &'static Dialect,
        organization: &OrganizationId,
        listing: &Listing,
        after: Option<&Service>,
        facets: Facets,
    ) -> Self {
        let mut statement = Statement::new(dialect, organization);
        let [organizations, services, history] = dialect.tables;
        let looks_up = listing.token != ContinuationToken::START && after.is_none();
        statement.push("WITH ");
        if looks_up {
            statement
                .push(
                    "position (id, name, is_active) AS MATERIALIZED (SELECT t.id, t.name, t.is_active FROM ",
                )
                .push(history)
                .push(" AS t WHERE t.organization = ")
                .mark(ORGANIZATION)
                .push(" AND t.revision = ")
                .bind(listing.token.get())
                .push("), ");
        }
        let plain = Plain::of(listing, after.map(|after| after.is_active));
        keys(&mut statement, &listing.sort, &plain, super::count(listing.limit), after);
        statement.push(" SELECT o.revision AS last_revision, ");
        match facets {
            Facets::None => {
                statement.push("NULL");
            }
            Facets::Any => read_facets(&mut statement),
            Facets::UnlessOf(revision) => {
                statement.push("CASE WHEN o.revision <> ").bind(revision.get()).push(" THEN ");
                read_facets(&mut statement);
                statement.push(" END");
            }
        }
        statement
            .push(if looks_up {
                " AS facets, NULL AS revision, p.id AS id, NULL AS body, p.is_active AS is_active FROM "
            } else {
                " AS facets, NULL AS revision, NULL AS id, NULL AS body FROM "
            })
            .push(organizations)
            .push(if looks_up { " AS o LEFT JOIN position AS p ON true" } else { " AS o" })
            .push(" WHERE o.organization = ")
            .mark(ORGANIZATION)
            // Only the services of the page are looked up, and read from the history.
            .push(" UNION ALL SELECT NULL, NULL, s.revision, s.id, h.body")
            .push(if looks_up { ", NULL" } else { "" })
            .push(" FROM page LEFT JOIN ")
            .push(services)
            .push(" AS s ON s.organization = ")
            .mark(ORGANIZATION)
            .push(" AND s.id = page.id LEFT JOIN ")
            .push(history)
            .push(" AS h ON h.organization = ")
            .mark(ORGANIZATION)
            .push(" AND h.revision = s.revision AND h.id = s.id");
        Self(statement)
    }

    /// The same, with all facets where it is the first page: to look at.
    pub fn of(
        dialect: &'static Dialect,
        organization: &OrganizationId,
        listing: &Listing,
        after: Option<&Service>,
    ) -> Self {
        let is_first = listing.token == ContinuationToken::START;
        Self::new(dialect, organization, listing, after, if is_first { Facets::Any } else { Facets::None })
    }

    /// The SQL, and the values in the order of their numbers, which begin at 1.
    pub fn into_parts(self) -> (String, Vec<Value>) {
        self.0.into_parts()
    }
}

fn read_facets(statement: &mut Statement) {
    let Dialect { facets: [before, table], at_most, .. } = *statement.dialect();
    let count = statement.add(i64::try_from(READ).unwrap_or(i64::MAX));
    statement
        .push("(SELECT ")
        .push(before)
        .push(" FROM (SELECT key, has_value, value FROM ")
        .push(table)
        .push(" WHERE organization = ")
        .mark(ORGANIZATION)
        .push(" ORDER BY key, has_value, value LIMIT ")
        .fill(at_most, count)
        .push(") AS facet)");
}
