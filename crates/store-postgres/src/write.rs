//! The statement that writes changes of services.

use std::collections::BTreeMap;

use service_core::{OrganizationId, Revision, StoreError};
use store_sql::change::Change;
use store_sql::row;
use store_sql::term::{TermChanges, TermName};

use crate::error::{is_name_taken, store_error};
use crate::row::ids;
use crate::transaction::Transaction;

/// What becomes of the place of a service under a term.
#[derive(Debug, Clone, Copy)]
enum Place {
    Left,
    Moved,
    Taken,
}

/// The terms of which places change, and what changes.
#[derive(Debug, Default)]
struct Terms {
    /// Each with how many more services have it.
    counts: BTreeMap<TermName, i64>,
    /// Places: the term, the number of the change, what becomes of it.
    places: Vec<(TermName, i64, Place)>,
}

impl Terms {
    fn of(changes: &[Change]) -> Self {
        let mut terms = Self::default();
        for (Change { before, after }, number) in changes.iter().zip(1..) {
            let TermChanges { gone, new, moved } = TermChanges::of(before.as_deref(), after);
            for (names, place, change) in
                [(gone, Place::Left, -1), (moved, Place::Moved, 0), (new, Place::Taken, 1)]
            {
                for name in names {
                    *terms.counts.entry(name.clone()).or_default() += change;
                    terms.places.push((name, number, place));
                }
            }
        }
        terms
    }
}

/// What became of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// They are made.
    Done,
    /// The database refused them, because of a name that two active services would have had.
    NameTaken,
}

/// Makes changes of an organization's services, a run that may happen at once, and moves the organization on to a revision.
pub(crate) async fn write(
    transaction: &mut Transaction,
    organization: &OrganizationId,
    changes: &[Change],
    revision: Revision,
) -> Result<Written, StoreError> {
    let services = || changes.iter().map(|change| &*change.after);
    let was_active = |change: &Change| change.before.as_ref().map(|before| before.is_active);
    let was_called = |change: &Change| change.before.as_ref().map(|before| before.name.as_str().to_owned());
    let bodies: Vec<String> = services().map(row::body).collect::<Result<_, _>>()?;
    let terms = Terms::of(changes);
    let numbers: BTreeMap<&TermName, i64> = terms.counts.keys().zip(1..).collect();
    let number_of = |(name, ..): &(TermName, i64, Place)| numbers.get(name).copied();
    let outcome = sqlx::query(WRITE)
        .persistent(transaction.prepared)
        .bind(organization.as_str())
        .bind(revision.get())
        .bind(services().map(|service| service.revision.get()).collect::<Vec<_>>())
        .bind(ids(services().map(|service| service.id.as_bytes())))
        .bind(bodies)
        .bind(services().map(|service| service.name.as_str()).collect::<Vec<_>>())
        .bind(services().map(|service| service.is_active).collect::<Vec<_>>())
        .bind(ids(services().map(|service| service.agent_id.as_bytes())))
        .bind(ids(services().map(|service| service.state_machine_id.as_bytes())))
        .bind(changes.iter().map(was_active).collect::<Vec<_>>())
        .bind(changes.iter().map(was_called).collect::<Vec<_>>())
        .bind(terms.counts.keys().map(|(kind, _, _)| *kind).collect::<Vec<_>>())
        .bind(terms.counts.keys().map(|(_, key, _)| key.as_str()).collect::<Vec<_>>())
        .bind(terms.counts.keys().map(|(_, _, value)| value.as_str()).collect::<Vec<_>>())
        .bind(terms.counts.values().copied().collect::<Vec<_>>())
        .bind(terms.places.iter().map(number_of).collect::<Vec<_>>())
        .bind(terms.places.iter().map(|(_, change, _)| *change).collect::<Vec<_>>())
        .bind(terms.places.iter().map(|(_, _, place)| *place as i64).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await;
    match outcome {
        Ok(_) => Ok(Written::Done),
        Err(fault) if is_name_taken(&fault) => Ok(Written::NameTaken),
        Err(fault) => Err(store_error(fault)),
    }
}

/// Writes history, services, terms, tagged services and guard.
///
/// All parts see the state before the statement and run in no order, so no row is written by two of them: a term is counted,
/// dropped or added, and a place is left, moved or taken. New terms take the numbers after the highest, so none takes that of
/// a term that is dropped. A term that fewer services have than leave it, or that is left and not there, breaks a check of
/// its table.
///
/// It is planned once and for all sizes, perhaps while the tables are empty. So nothing is left to the planner: what belongs
/// together is found by its place in an array, rows of tables are looked up one by one (`OFFSET 0` keeps that from becoming a
/// join), with conditions on all columns of whichever index it takes, and written where they were found.
const WRITE: &str = "WITH
 written AS (
     SELECT * FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11)
         AS w (revision, id, body, name, is_active, agent_id, state_machine_id, was_active, was_name)),
 guard AS (
     UPDATE service_registry.organizations SET revision = $2 WHERE organization = $1),
 history AS (
     INSERT INTO service_registry.history (organization, revision, id, body)
     SELECT $1, revision, id, body FROM written),
 added_services AS (
     INSERT INTO service_registry.services (organization, id, name, is_active, agent_id, state_machine_id, revision)
     SELECT $1, id, name, is_active, agent_id, state_machine_id, revision FROM written WHERE was_active IS NULL),
 changed_services AS (
     UPDATE service_registry.services AS s
     SET name = w.name, is_active = w.is_active, agent_id = w.agent_id, state_machine_id = w.state_machine_id,
         revision = w.revision
     FROM written AS w
     CROSS JOIN LATERAL (
         SELECT f.ctid AS place FROM service_registry.services AS f
         WHERE f.organization = $1 AND f.id = w.id AND f.is_active = w.was_active AND f.name = w.was_name
         OFFSET 0) AS found
     WHERE s.ctid = found.place),
 known AS (
     SELECT w.kind, w.key, w.value, w.change, w.number, t.place, t.term, t.services
     FROM unnest($12, $13, $14, $15) WITH ORDINALITY AS w (kind, key, value, change, number)
     LEFT JOIN LATERAL (
         SELECT t.ctid AS place, t.term, t.services FROM service_registry.tag_terms AS t
         WHERE t.organization = $1 AND t.key = w.key AND t.kind = w.kind AND t.value = w.value
         OFFSET 0) AS t ON TRUE),
 terms AS MATERIALIZED (
     SELECT kind, key, value, change, number, place, services,
         coalesce(term,
             (SELECT coalesce(max(term), 0) FROM service_registry.tag_terms WHERE organization = $1)
                 + row_number() OVER (PARTITION BY term IS NULL ORDER BY number)) AS term
     FROM known),
 counted AS (
     UPDATE service_registry.tag_terms AS t SET services = t.services + n.change
     FROM terms AS n
     WHERE t.ctid = n.place AND n.change <> 0 AND n.services + n.change <> 0),
 dropped AS (
     DELETE FROM service_registry.tag_terms AS t
     USING terms AS n
     WHERE t.ctid = n.place AND n.services + n.change = 0),
 added AS (
     INSERT INTO service_registry.tag_terms (organization, kind, key, value, term, services)
     SELECT $1, kind, key, value, term, change FROM terms WHERE services IS NULL),
 numbers AS MATERIALIZED (
     SELECT array_agg(term ORDER BY number) AS terms FROM terms),
 tagged AS MATERIALIZED (
     SELECT p.becomes, (SELECT terms FROM numbers)[p.term] AS term, ($4::bytea[])[p.change] AS id,
         ($6::text[])[p.change] AS name, ($7::boolean[])[p.change] AS is_active,
         ($10::boolean[])[p.change] AS was_active, ($11::text[])[p.change] AS was_name
     FROM unnest($16, $17, $18) AS p (term, change, becomes)),
 before AS MATERIALIZED (
     SELECT g.becomes, g.name, g.is_active, found.place
     FROM tagged AS g
     CROSS JOIN LATERAL (
         SELECT f.ctid AS place FROM service_registry.tagged_services AS f
         WHERE f.organization = $1 AND f.term = g.term AND f.is_active = g.was_active AND f.name = g.was_name
             AND f.id = g.id
         OFFSET 0) AS found
     WHERE g.becomes <> 2),
 left_places AS (
     DELETE FROM service_registry.tagged_services AS t
     USING before AS b
     WHERE t.ctid = b.place AND b.becomes = 0),
 moved AS (
     UPDATE service_registry.tagged_services AS t SET is_active = b.is_active, name = b.name
     FROM before AS b
     WHERE t.ctid = b.place AND b.becomes = 1)
 INSERT INTO service_registry.tagged_services (organization, term, is_active, name, id)
 SELECT $1, term, is_active, name, id FROM tagged WHERE becomes = 2";

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
        sqlx::raw_sql(crate::transaction::WRITE.batch()).execute(&mut connection).await.unwrap();
        let types = "text, bigint, bigint[], bytea[], text[], text[], boolean[], bytea[], bytea[], boolean[], text[], \
                     bigint[], text[], text[], bigint[], bigint[], bigint[], bigint[]";
        let prepare = AssertSqlSafe(format!("PREPARE write ({types}) AS {WRITE}"));
        sqlx::raw_sql(prepare).execute(&mut connection).await.unwrap();
        let nothing = vec!["'{}'"; types.split(',').count() - 2].join(", ");
        let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE write ('acme', 1, {nothing})"));
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
            &["(key = w", "(kind = w", "(value = w"],
            &["(term = g.term)", "(is_active = g.was_active)", "(name = g.was_name)", "(id = g.id)"],
        ];
        for key in keys {
            // An index of services has no more columns than it needs; what it lacks is tested on the one row that it gives.
            let is_whole = |condition: &&&str| {
                key.iter().filter(|part| condition.contains(**part)).count() + 1 >= key.len()
            };
            assert_eq!(conditions.iter().filter(is_whole).count(), 1, "{key:?} in {plan:#?}");
        }
        assert_eq!(plan.iter().filter(|line| line.starts_with("TID Cond: ")).count(), 5, "{plan:#?}");
        let others = ["Seq Scan", "Bitmap", "Hash", "Merge", "Materialize"];
        assert!(!plan.iter().any(|line| others.iter().any(|other| line.contains(other))), "{plan:#?}");
    }
}
