//! What stands around the keys of a page: the terms they are found by, and the services that they are of.

use service_core::{Listing, OrganizationId, Revision};
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::QueryAs;
use sqlx::{Arguments, AssertSqlSafe};
use store_sql::facets::READ;
use store_sql::list::{ORGANIZATION, Restricted, Statement, Value, count, keys};
use store_sql::row::ServiceRow;
use store_sql::term::TermName;

use super::dialect::DIALECT;

/// What is said of the organization, in one row, or one service of the page.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct PageRow {
    pub(super) last_revision: Option<i64>,
    pub(super) facets: Option<String>,
    #[sqlx(flatten)]
    pub(super) service: ServiceRow,
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

/// A statement that reads a page.
#[derive(Debug)]
pub(super) struct PageStatement(Statement);

/// The statement for the services of some ranges. One row, in no particular place, has the revision of the organization and its
/// facets; where there is none, there is no such organization.
pub(super) fn page(
    organization: &OrganizationId,
    listing: &Listing,
    names: &[TermName],
    restricted: &Restricted,
    facets: Facets,
) -> PageStatement {
    let mut statement = Statement::new(&DIALECT, organization);
    statement.push("WITH ");
    if !names.is_empty() {
        terms(&mut statement, names);
    }
    keys(&mut statement, &listing.sort, restricted, count(listing.limit));
    statement.push(" SELECT o.revision AS last_revision, ");
    match facets {
        Facets::None => {
            statement.push("NULL::text");
        }
        Facets::Any => read_facets(&mut statement),
        Facets::UnlessOf(revision) => {
            statement.push("CASE WHEN o.revision <> ").bind(revision.get()).push(" THEN ");
            read_facets(&mut statement);
            statement.push(" END");
        }
    }
    statement
        .push(
            " AS facets, NULL::bytea AS service_id, NULL::text AS name, NULL::boolean AS is_active, \
             NULL::bytea AS agent_id, NULL::bytea AS state_machine_id, NULL::bigint AS revision, NULL::text AS body \
             FROM service_registry.organizations AS o WHERE o.organization = ",
        )
        .mark(ORGANIZATION)
        .push(
            " UNION ALL SELECT NULL, NULL, s.id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.revision, h.body \
             FROM page LEFT JOIN service_registry.services AS s ON s.organization = ",
        )
        .mark(ORGANIZATION)
        .push(" AND s.id = page.id LEFT JOIN service_registry.history AS h ON h.organization = ")
        .mark(ORGANIZATION)
        .push(" AND h.revision = s.revision AND h.id = s.id");
    PageStatement(statement)
}

/// The numbers of terms, by their places among the names.
fn terms(statement: &mut Statement, names: &[TermName]) {
    statement
        .push("terms (number, term) AS MATERIALIZED (SELECT w.number, t.term FROM unnest(")
        .bind(Value::Integers(names.iter().map(|(kind, _, _)| *kind).collect()))
        .push(", ")
        .bind(Value::Texts(names.iter().map(|(_, key, _)| key.clone()).collect()))
        .push(", ")
        .bind(Value::Texts(names.iter().map(|(_, _, value)| value.clone()).collect()))
        .push(") WITH ORDINALITY AS w (kind, key, value, number) CROSS JOIN LATERAL ")
        // Looked up one by one, however many terms there are beside them.
        .push("(SELECT t.term FROM service_registry.tag_terms AS t WHERE t.organization = ")
        .mark(ORGANIZATION)
        .push(" AND t.key = w.key AND t.kind = w.kind AND t.value = w.value OFFSET 0) AS t), ");
}

fn read_facets(statement: &mut Statement) {
    statement
        .push(
            "(SELECT coalesce(json_agg(json_build_array(key, CASE kind WHEN 2 THEN value END)), '[]')::text \
             FROM (SELECT key, kind, value FROM service_registry.tag_terms WHERE organization = ",
        )
        .mark(ORGANIZATION)
        .push(" AND key > '' AND kind <> 0 ORDER BY key, kind, value LIMIT ")
        .bind(i64::try_from(READ).unwrap_or(i64::MAX))
        .push(") AS facet)");
}

type PageQuery = QueryAs<'static, Postgres, PageRow, PgArguments>;

impl PageStatement {
    /// The statement, ready to run.
    pub(super) fn query(self, prepared: bool) -> Result<PageQuery, sqlx::Error> {
        let (sql, arguments) = self.parts()?;
        Ok(sqlx::query_as_with(AssertSqlSafe(sql), arguments).persistent(prepared))
    }

    fn parts(self) -> Result<(String, PgArguments), sqlx::Error> {
        let (sql, values) = self.0.into_parts();
        let mut arguments = PgArguments::default();
        for value in values {
            match value {
                Value::Text(text) => arguments.add(text),
                Value::Integer(number) => arguments.add(number),
                Value::Boolean(truth) => arguments.add(truth),
                Value::Id(id) => arguments.add(id.to_vec()),
                Value::Texts(texts) => arguments.add(texts),
                Value::Integers(numbers) => arguments.add(numbers),
                Value::Ids(ids) => arguments.add(ids.iter().map(|id| id.to_vec()).collect::<Vec<_>>()),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok((sql, arguments))
    }

    /// How PostgreSQL would run the statement.
    #[cfg(test)]
    pub(super) async fn explain(
        self,
        connection: &mut sqlx::PgConnection,
    ) -> sqlx::Result<serde_json::Value> {
        let (sql, arguments) = self.parts()?;
        let sql = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {sql}"));
        let row = sqlx::query_with(sql, arguments).persistent(false).fetch_one(connection).await?;
        let plan: String = sqlx::Row::try_get_unchecked(&row, 0)?;
        serde_json::from_str(&plan).map_err(|error| sqlx::Error::Decode(error.into()))
    }
}
