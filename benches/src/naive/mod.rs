//! The same listings as one would write them with sqlx in an afternoon.
//!
//! A table of services with a column for each field, JSON where a field is nested, a child table of tags, an index for each
//! column that is filtered or sorted by; `EXISTS` for each tag, `ORDER BY … LIMIT … OFFSET …` for the page, `SELECT DISTINCT` for what
//! can be filtered by. It is right, and it is what measurements stand beside; it is no store.

mod postgres;
mod row;
mod sqlite;

pub use postgres::NaivePostgres;
pub use sqlite::NaiveSqlite;

use std::fmt::Debug;

use async_trait::async_trait;
use service_core::{OrganizationId, Service, Sort, TagFilter};

use crate::{Error, Organization};

/// A naive page.
#[derive(Debug, Clone, PartialEq)]
pub struct NaivePage {
    /// The services, at most twenty.
    pub services: Vec<Service>,
    /// Whether there are more.
    pub has_more: bool,
    /// On the first page: the distinct tags, as filters.
    pub tags: Option<Vec<String>>,
}

/// A naive registry.
#[async_trait]
pub trait Naive: Debug + Send + Sync {
    /// Puts an organization in.
    ///
    /// # Errors
    /// When the database fails.
    async fn fill(&self, organization: &Organization) -> Result<(), Error>;

    /// Makes the database know what it holds, as one does after a large import.
    ///
    /// # Errors
    /// When the database fails.
    async fn analyze(&self) -> Result<(), Error>;

    /// Twenty services after so many others.
    ///
    /// # Errors
    /// When the database fails.
    async fn page(
        &self,
        organization: &OrganizationId,
        tags: &[TagFilter],
        sort: &Sort,
        offset: i64,
    ) -> Result<NaivePage, Error>;
}

/// How many services a page has.
const LIMIT: usize = 20;
/// How many distinct tags are given.
const DISTINCT: i64 = 1000;
/// How many services are put in by one statement.
const ROWS: usize = 200;

/// The order that a sort asks for; without any it is by id.
fn order_by(sort: &Sort) -> String {
    use service_core::{Direction, SortField};
    let mut columns: Vec<&str> = Vec::new();
    for key in sort.keys() {
        columns.push(match (key.field, key.direction) {
            (SortField::Name, Direction::Ascending) => "s.name",
            (SortField::Name, Direction::Descending) => "s.name DESC",
            (SortField::IsActive, Direction::Ascending) => "s.is_active",
            (SortField::IsActive, Direction::Descending) => "s.is_active DESC",
        });
    }
    columns.push("s.id");
    columns.join(", ")
}

/// What a statement of either database begins with.
const SELECT: &str = "SELECT s.id, s.organization, s.name, s.description, s.is_active, s.agent_id, s.state_machine_id, s.tags, \
                      s.keyterms, s.version_sets, s.creator, s.updated_by, s.created_at, s.updated_at, s.revision FROM services AS s WHERE s.organization = ";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use service_core::{ServiceFilter, compare, matches};

    use super::*;
    use crate::organization;

    /// What is measured beside the stores must answer what they answer.
    #[tokio::test]
    async fn naive_pages_are_right() {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = NaiveSqlite::create(&directory.path().join("naive.sqlite")).await.unwrap();
        let database = test_postgres::Database::empty().await;
        let postgres = NaivePostgres::create(database.url()).await.unwrap();
        let organization =
            Organization::new(organization().unwrap(), crate::Profile::Realistic, 300).unwrap();
        let services: Vec<Service> = organization.rows().collect::<Result<_, _>>().unwrap();
        for naive in [Arc::new(sqlite) as Arc<dyn Naive>, Arc::new(postgres)] {
            naive.fill(&organization).await.unwrap();
            naive.analyze().await.unwrap();
            for tags in [&[][..], &["env:prod"], &["flag:*"], &["flag:"], &["left:", "region:region 3"]] {
                let tags: Vec<TagFilter> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
                for keys in [&[][..], &["+name"], &["-is_active", "-name"]] {
                    let sort = Sort::new(keys.iter().map(|key| key.parse().unwrap()).collect()).unwrap();
                    let filter = ServiceFilter::new([], None, tags.clone()).unwrap();
                    let mut wanted: Vec<&Service> =
                        services.iter().filter(|service| matches(&filter, service)).collect();
                    wanted.sort_by(|left, right| compare(&sort, left, right));
                    for offset in [0, 5] {
                        let page = naive.page(organization.id(), &tags, &sort, offset).await.unwrap();
                        let expected = wanted.iter().skip(usize::try_from(offset).unwrap());
                        assert_eq!(page.has_more, expected.len() > LIMIT);
                        assert!(page.services.iter().eq(expected.take(LIMIT).copied()), "{tags:?} {keys:?}");
                        assert_eq!(page.tags.is_some(), offset == 0);
                    }
                }
            }
        }
    }
}
