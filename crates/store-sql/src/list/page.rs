//! The statement of a plain page.

use std::sync::Arc;

use service_core::{Listing, OrganizationId, Revision, Service, StoreError};

use super::keys::keys;
use super::plain::Plain;
use super::statement::{Dialect, ORGANIZATION, Statement, Value};
use crate::facets::READ;
use crate::row;

/// What is said of the organization, in one row, or one service of the page.
#[derive(Debug, sqlx::FromRow)]
pub struct PageRow {
    pub(super) last_revision: Option<i64>,
    pub(super) facets: Option<String>,
    revision: Option<i64>,
    id: Option<Vec<u8>>,
    body: Option<String>,
}

impl PageRow {
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

/// A statement that reads a page. One row, in no particular place, has the revision of the organization and its facets; where
/// there is none, there is no such organization. The services are the first of some ranges, and one more than fit on the page if
/// there are as many; they come in no order.
#[derive(Debug)]
pub struct PageStatement(Statement);

impl PageStatement {
    /// The statement for a listing that [`Plain`] suits.
    pub(super) fn new(
        dialect: &'static Dialect,
        organization: &OrganizationId,
        listing: &Listing,
        after: Option<&Service>,
        facets: Facets,
    ) -> Self {
        let mut statement = Statement::new(dialect, organization);
        statement.push("WITH ");
        keys(&mut statement, &listing.sort, &Plain::of(listing, after), super::count(listing.limit));
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
        let [organizations, services, history] = dialect.tables;
        statement
            .push(" AS facets, NULL AS revision, NULL AS id, NULL AS body FROM ")
            .push(organizations)
            .push(" AS o WHERE o.organization = ")
            .mark(ORGANIZATION)
            // Only the services of the page are looked up, and read from the history.
            .push(" UNION ALL SELECT NULL, NULL, s.revision, s.id, h.body FROM page LEFT JOIN ")
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

    /// The statement for the page of a listing, and all facets: to look at.
    pub fn first(dialect: &'static Dialect, organization: &OrganizationId, listing: &Listing) -> Self {
        Self::new(dialect, organization, listing, None, Facets::Any)
    }

    /// The statement for the page after a service: to look at.
    pub fn after(
        dialect: &'static Dialect,
        organization: &OrganizationId,
        listing: &Listing,
        after: &Service,
    ) -> Self {
        Self::new(dialect, organization, listing, Some(after), Facets::None)
    }

    /// The SQL, and the values in the order of their numbers, which begin at 1.
    pub fn into_parts(self) -> (String, Vec<Value>) {
        self.0.into_parts()
    }
}

fn read_facets(statement: &mut Statement) {
    let [before, table] = statement.dialect().facets;
    statement
        .push("(SELECT ")
        .push(before)
        .push(" FROM (SELECT key, has_value, value FROM ")
        .push(table)
        .push(" WHERE organization = ")
        .mark(ORGANIZATION)
        .push(" ORDER BY key, has_value, value LIMIT ")
        .bind(i64::try_from(READ).unwrap_or(i64::MAX))
        .push(") AS facet)");
}
