//! The statements that write changes of services.

use std::collections::BTreeMap;

use service_core::{CatalogRevision, OrganizationId, Revision, StoreError, TagFacet, TagValue};
use store_sql::change::Change;
use store_sql::row;

use crate::error::is_name_taken;
use crate::row::ids;
use crate::transaction::Transaction;

/// What becomes of the guard row with changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// It stays as it is: whoever writes has locked it, and writes more.
    Stays,
    /// It names this revision, of changes that were made before.
    Names(Revision),
    /// It moves on by one, if it is still what this says, and nobody else has locked it; if not, nothing is changed, and nothing is
    /// waited for.
    MovesOn { from: Revision, catalog: CatalogRevision },
}

/// What became of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// They are made.
    Done,
    /// Nothing was done: the guard has moved, or somebody else has locked it.
    Nothing,
    /// The database refused them, because of a name that two active services would have had.
    NameTaken,
}

/// Makes changes of an organization's services, a run that may happen at once, counts facets, and does with the guard what is to
/// become of it.
pub(crate) async fn write(
    transaction: &mut Transaction,
    organization: &OrganizationId,
    changes: &[Change],
    facets: &BTreeMap<TagFacet, i64>,
    guard: Guard,
    failure: fn(sqlx::Error) -> StoreError,
) -> Result<Written, StoreError> {
    let (revision, from) = match guard {
        Guard::Stays => (None, None),
        Guard::Names(revision) => (Some(revision), None),
        Guard::MovesOn { from, catalog } => (Some(from.next()), Some((from, catalog))),
    };
    let services = || changes.iter().map(|change| &*change.after);
    let was_active = |change: &Change| change.before.as_ref().map(|before| before.is_active);
    let was_called = |change: &Change| change.before.as_ref().map(|before| before.name.as_str().to_owned());
    let bodies: Vec<String> = services().map(row::body).collect::<Result<_, _>>()?;
    let tags: Vec<String> = services().map(|service| row::json(&service.tags)).collect::<Result<_, _>>()?;
    let values = || facets.keys().map(|facet| facet.value.as_ref().map(TagValue::as_str));
    let all_are_new = changes.iter().all(|change| change.before.is_none());
    let mut query = sqlx::query_scalar(if all_are_new { ADD } else { CHANGE })
        .persistent(transaction.prepared)
        .bind(organization.as_str())
        .bind(revision.map(Revision::get))
        .bind(from.map(|(from, _)| from.get()))
        .bind(from.map(|(_, catalog)| catalog.get()))
        .bind(services().map(|service| service.revision.get()).collect::<Vec<_>>())
        .bind(ids(services().map(|service| service.id.as_bytes())))
        .bind(bodies)
        .bind(services().map(|service| service.name.as_str()).collect::<Vec<_>>())
        .bind(services().map(|service| service.is_active).collect::<Vec<_>>())
        .bind(ids(services().map(|service| service.agent_id.as_bytes())))
        .bind(ids(services().map(|service| service.state_machine_id.as_bytes())))
        .bind(tags)
        .bind(facets.keys().map(|facet| facet.key.as_str()).collect::<Vec<_>>())
        .bind(values().map(|value| value.is_some()).collect::<Vec<_>>())
        .bind(values().map(Option::unwrap_or_default).collect::<Vec<_>>())
        .bind(facets.values().copied().collect::<Vec<_>>());
    if !all_are_new {
        query = query
            .bind(changes.iter().map(was_active).collect::<Vec<_>>())
            .bind(changes.iter().map(was_called).collect::<Vec<_>>());
    }
    let outcome: Result<bool, sqlx::Error> = query.fetch_one(&mut **transaction).await;
    match outcome {
        Ok(has_moved) if revision.is_some() && !has_moved => Ok(Written::Nothing),
        Ok(_) => Ok(Written::Done),
        Err(fault) if is_name_taken(&fault) => Ok(Written::NameTaken),
        Err(fault) => Err(failure(fault)),
    }
}

/// How a statement that writes begins. The guard comes first, and each other part asks whether it has moved. If it has, what the
/// statement sees is what was there when the guard was read: nothing can have been written in between.
macro_rules! guard {
    () => {
        "WITH
 guard AS (
     UPDATE service_registry.organizations SET revision = $2
     WHERE organization = $1 AND $2 IS NOT NULL AND EXISTS (
         SELECT FROM service_registry.organizations
         WHERE organization = $1 AND ($3 IS NULL OR revision = $3 AND catalog_revision = $4)
         FOR NO KEY UPDATE SKIP LOCKED)
     RETURNING TRUE),
 "
    };
}

/// Writes history, services that are new, their facets, and the guard.
const ADD: &str = concat!(
    guard!(),
    "written AS (
     SELECT * FROM unnest($5, $6, $7, $8, $9, $10, $11, $12)
         AS w (revision, id, body, name, is_active, agent_id, state_machine_id, tags)
     WHERE $3 IS NULL OR EXISTS (SELECT FROM guard)),
 history AS (
     INSERT INTO service_registry.history (organization, revision, id, name, is_active, body)
     SELECT $1, revision, id, name, is_active, body FROM written),
 added_services AS (
     INSERT INTO service_registry.services
         (organization, id, name, is_active, agent_id, state_machine_id, tags, revision)
     SELECT $1, id, name, is_active, agent_id, state_machine_id, tags, revision FROM written),
 counted AS (
     INSERT INTO service_registry.facets AS f (organization, key, has_value, value, services)
     SELECT $1, w.key, w.has_value, w.value, w.change
     FROM unnest($13, $14, $15, $16) AS w (key, has_value, value, change)
     WHERE $3 IS NULL OR EXISTS (SELECT FROM guard)
     ON CONFLICT (organization, key, has_value, value) DO UPDATE SET services = f.services + excluded.services)
 SELECT EXISTS (SELECT FROM guard)"
);

/// Writes history, services, facets and guard.
///
/// All parts see the state before the statement and run in no order, so no row is written by two of them: a facet is counted,
/// dropped or added. One that fewer services have than lose it, or that is lost and not there, breaks a check of its table.
///
/// It is planned once and for all sizes, perhaps while the tables are empty. So nothing is left to the planner: rows of tables
/// are looked up one by one (`OFFSET 0` keeps that from becoming a join), with conditions on all columns of whichever index it
/// takes, and written where they were found.
const CHANGE: &str = concat!(
    guard!(),
    "written AS (
     SELECT * FROM unnest($5, $6, $7, $8, $9, $10, $11, $12, $17, $18)
         AS w (revision, id, body, name, is_active, agent_id, state_machine_id, tags, was_active, was_name)
     WHERE $3 IS NULL OR EXISTS (SELECT FROM guard)),
 history AS (
     INSERT INTO service_registry.history (organization, revision, id, name, is_active, body)
     SELECT $1, revision, id, name, is_active, body FROM written),
 added_services AS (
     INSERT INTO service_registry.services
         (organization, id, name, is_active, agent_id, state_machine_id, tags, revision)
     SELECT $1, id, name, is_active, agent_id, state_machine_id, tags, revision FROM written
     WHERE was_active IS NULL),
 changed_services AS (
     UPDATE service_registry.services AS s
     SET name = w.name, is_active = w.is_active, agent_id = w.agent_id, state_machine_id = w.state_machine_id,
         tags = w.tags, revision = w.revision
     FROM written AS w
     CROSS JOIN LATERAL (
         SELECT f.ctid AS place FROM service_registry.services AS f
         WHERE f.organization = $1 AND f.id = w.id AND f.is_active = w.was_active AND f.name = w.was_name
         OFFSET 0) AS found
     WHERE s.ctid = found.place),
 known AS MATERIALIZED (
     SELECT w.key, w.has_value, w.value, w.change, f.place, f.services
     FROM unnest($13, $14, $15, $16) AS w (key, has_value, value, change)
     LEFT JOIN LATERAL (
         SELECT f.ctid AS place, f.services FROM service_registry.facets AS f
         WHERE f.organization = $1 AND f.key = w.key AND f.has_value = w.has_value AND f.value = w.value
         OFFSET 0) AS f ON TRUE
     WHERE $3 IS NULL OR EXISTS (SELECT FROM guard)),
 counted AS (
     UPDATE service_registry.facets AS f SET services = f.services + k.change
     FROM known AS k
     WHERE f.ctid = k.place AND k.services + k.change <> 0),
 dropped AS (
     DELETE FROM service_registry.facets AS f
     USING known AS k
     WHERE f.ctid = k.place AND k.services + k.change = 0),
 added AS (
     INSERT INTO service_registry.facets (organization, key, has_value, value, services)
     SELECT $1, key, has_value, value, change FROM known WHERE services IS NULL)
 SELECT EXISTS (SELECT FROM guard)"
);

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection, PgConnection};
    use test_postgres::Database;

    use super::*;
    use crate::PostgresStore;

    /// The plan of the statement, as a connection that met it first on an empty database keeps it.
    async fn plan() -> Vec<String> {
        let database = Database::empty().await;
        let store = PostgresStore::open(database.url()).await.unwrap();
        service_core::Operations::migrate(&store).await.unwrap();
        store.close().await;
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        sqlx::raw_sql(crate::transaction::WRITE.anywhere).execute(&mut connection).await.unwrap();
        let types = "text, bigint, bigint, bigint, bigint[], bytea[], text[], text[], boolean[], bytea[], bytea[], text[], \
                     text[], boolean[], text[], bigint[], boolean[], text[]";
        let prepare = AssertSqlSafe(format!("PREPARE write ({types}) AS {CHANGE}"));
        sqlx::raw_sql(prepare).execute(&mut connection).await.unwrap();
        let nothing = vec!["'{}'"; types.split(',').count() - 4].join(", ");
        let explain =
            AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE write ('acme', 2, 1, 1, {nothing})"));
        let lines: Vec<sqlx::postgres::PgRow> =
            sqlx::raw_sql(explain).fetch_all(&mut connection).await.unwrap();
        lines.iter().map(|line| sqlx::Row::get::<String, _>(line, 0).trim().to_owned()).collect()
    }

    #[tokio::test]
    async fn what_a_write_changes_is_found_by_whole_keys_even_if_that_was_planned_while_there_was_nothing() {
        let plan = plan().await;
        let conditions: Vec<&str> =
            plan.iter().filter_map(|line| line.strip_prefix("Index Cond: ")).collect();
        let keys = [
            ["(id = w", "(name = w", "(is_active = w"].as_slice(),
            &["(key = w", "(has_value = w", "(value = w"],
        ];
        for key in keys {
            // An index of services has no more columns than it needs; what it lacks is tested on the one row that it gives.
            let is_whole = |condition: &&&str| {
                key.iter().filter(|part| condition.contains(**part)).count() + 1 >= key.len()
            };
            assert_eq!(conditions.iter().filter(is_whole).count(), 1, "{key:?} in {plan:#?}");
        }
        assert_eq!(plan.iter().filter(|line| line.starts_with("TID Cond: ")).count(), 3, "{plan:#?}");
        let others = ["Seq Scan", "Bitmap", "Hash", "Merge", "Materialize"];
        assert!(!plan.iter().any(|line| others.iter().any(|other| line.contains(other))), "{plan:#?}");
    }
}
