//! How service writes reach the tables: a run of them as a few statements, a single one too.

use std::collections::BTreeMap;

use serde::Serialize;
use service_core::{OrganizationId, Service, StoreError};
use sqlx::SqliteConnection;
use store_sql::change::{Change, Place, TermWrites};
use store_sql::row;
use store_sql::term::TermName;

use crate::error::store_error;
use crate::json;

/// Writes a run of changes within a transaction that holds the write lock, but not the organization's counter.
pub(crate) async fn write(
    transaction: &mut SqliteConnection,
    organization: &OrganizationId,
    changes: &[Change],
) -> Result<(), StoreError> {
    let rows =
        changes.iter().map(|Change { after, .. }| Ok((after.revision.get(), after.id, row::body(after)?)));
    let rows: Vec<_> = rows.collect::<Result<_, StoreError>>()?;
    run(transaction, HISTORY, organization, &rows).await?;
    // The columns that indexes have are written only where they change: each costs four trees.
    let (kept, placed): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| change.keeps_its_place());
    run(transaction, KEEP, organization, &columns(&kept)).await?;
    run(transaction, PLACE, organization, &columns(&placed)).await?;

    let terms = TermWrites::of(changes);
    run(transaction, UNTAG, organization, &places(&terms.left)).await?;
    let (fewer, more): (Vec<_>, Vec<_>) = terms.counts.iter().partition(|(_, change)| **change < 0);
    run_fewer(transaction, organization, &fewer).await?;
    let more: Vec<_> =
        more.iter().map(|((kind, key, value), services)| (kind, key, value, services)).collect();
    run(transaction, MORE, organization, &more).await?;
    run(transaction, TAG, organization, &places(&terms.taken)).await
}

/// Runs a statement on the rows that it is given as a JSON array; nothing if there are none.
async fn run(
    transaction: &mut SqliteConnection,
    statement: &'static str,
    organization: &OrganizationId,
    rows: &[impl Serialize],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(statement)
        .bind(organization.as_str())
        .bind(json::of(&rows)?)
        .execute(transaction)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// Counts terms down, and drops those that no service has any more.
async fn run_fewer(
    transaction: &mut SqliteConnection,
    organization: &OrganizationId,
    fewer: &[(&TermName, &i64)],
) -> Result<(), StoreError> {
    // There are few different numbers, most often just one.
    let mut terms: BTreeMap<i64, Vec<&TermName>> = BTreeMap::new();
    for (term, change) in fewer {
        terms.entry(**change).or_default().push(term);
    }
    for (change, terms) in terms {
        sqlx::query(FEWER)
            .bind(organization.as_str())
            .bind(json::of(&terms)?)
            .bind(change)
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        run(transaction, DROP_UNUSED, organization, &terms).await?;
    }
    Ok(())
}

/// Services as [`KEEP`] and [`PLACE`] want them.
fn columns<'a>(changes: &[&'a Change]) -> Vec<impl Serialize + use<'a>> {
    let rows = changes.iter().map(|change| {
        let Service { id, name, is_active, agent_id, state_machine_id, revision, .. } = &*change.after;
        (id, name, is_active, agent_id, state_machine_id, revision.get())
    });
    rows.collect()
}

/// Places as [`TAG`] and [`UNTAG`] want them: a term, and the columns that tell its services apart.
pub(crate) fn places<'a>(places: &'a [Place<'_>]) -> Vec<impl Serialize + use<'a>> {
    let rows = places.iter().map(|((kind, key, value), service)| {
        (kind, key, value, service.is_active, &service.name, service.id)
    });
    rows.collect()
}

const HISTORY: &str = "INSERT INTO history (organization, revision, id, body)
     SELECT ?1, value ->> 0, unhex(value ->> 1), value ->> 2 FROM json_each(?2)";

// Both are given all columns. Of `UPDATE … FROM`, SQLite might take the services for the outer loop, all of them.

const KEEP: &str = "INSERT INTO services (organization, id, name, is_active, agent_id, state_machine_id, revision)
     SELECT ?1, unhex(value ->> 0), value ->> 1, value ->> 2, unhex(value ->> 3), unhex(value ->> 4), value ->> 5
     FROM json_each(?2)
     WHERE true
     ON CONFLICT (organization, id) DO UPDATE
     SET agent_id = excluded.agent_id, state_machine_id = excluded.state_machine_id, revision = excluded.revision";

const PLACE: &str = "INSERT INTO services (organization, id, name, is_active, agent_id, state_machine_id, revision)
     SELECT ?1, unhex(value ->> 0), value ->> 1, value ->> 2, unhex(value ->> 3), unhex(value ->> 4), value ->> 5
     FROM json_each(?2)
     WHERE true
     ON CONFLICT (organization, id) DO UPDATE
     SET name = excluded.name, is_active = excluded.is_active, agent_id = excluded.agent_id,
         state_machine_id = excluded.state_machine_id, revision = excluded.revision";

const TAG: &str = "INSERT INTO tagged_services (organization, term, is_active, name, id)
     SELECT ?1, t.term, place.value ->> 3, place.value ->> 4, unhex(place.value ->> 5)
     FROM json_each(?2) AS place
     CROSS JOIN tag_terms AS t
     WHERE t.organization = ?1 AND t.kind = place.value ->> 0 AND t.key = place.value ->> 1
         AND t.value = place.value ->> 2";

const UNTAG: &str = "DELETE FROM tagged_services
     WHERE organization = ?1 AND (term, is_active, name, id) IN (
         SELECT t.term, place.value ->> 3, place.value ->> 4, unhex(place.value ->> 5)
         FROM json_each(?2) AS place
         CROSS JOIN tag_terms AS t
         WHERE t.organization = ?1 AND t.kind = place.value ->> 0 AND t.key = place.value ->> 1
             AND t.value = place.value ->> 2)";

/// Given terms, and of how many services more. Terms that are new take the numbers after the highest.
const MORE: &str = "INSERT INTO tag_terms (organization, kind, key, value, term, services)
     SELECT ?1, more.value ->> 0, more.value ->> 1, more.value ->> 2,
         (SELECT coalesce(max(term), 0) FROM tag_terms WHERE organization = ?1) + row_number() OVER (),
         more.value ->> 3
     FROM json_each(?2) AS more
     WHERE true
     ON CONFLICT (organization, key, kind, value) DO UPDATE SET services = services + excluded.services";

const FEWER: &str = "UPDATE tag_terms SET services = services + ?3
     WHERE organization = ?1 AND (kind, key, value) IN (
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2))";

const DROP_UNUSED: &str = "DELETE FROM tag_terms
     WHERE organization = ?1 AND (kind, key, value) IN (
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2)) AND services = 0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;

    /// An organization may have any number of services and terms: none but those of the writes may be read.
    #[tokio::test]
    async fn what_a_write_changes_is_found_by_its_whole_key() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
        service_core::Operations::migrate(&store).await.unwrap();
        let term = "USING PRIMARY KEY (organization=? AND key=? AND kind=? AND value=?)";
        for (statement, searches) in [
            (FEWER, vec![format!("SEARCH tag_terms {term}")]),
            (DROP_UNUSED, vec![format!("SEARCH tag_terms {term}")]),
            (TAG, vec![format!("SEARCH t {term}")]),
            (UNTAG, vec![
                "SEARCH tagged_services USING COVERING INDEX tagged_services_by_id (organization=? AND term=? AND is_active=? AND id=? AND name=?)".to_owned(),
                format!("SEARCH t {term}"),
            ]),
        ] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).bind("acme").bind("[]").fetch_all(&store.reader).await.unwrap();
            let found: Vec<&String> =
                plan.iter().map(|line| &line.3).filter(|line| line.starts_with("SEARCH")).collect();
            assert_eq!(found, searches.iter().collect::<Vec<_>>(), "{plan:?}");
            let scanned = plan.iter().map(|line| &line.3).filter(|line| line.starts_with("SCAN"));
            assert!(scanned.clone().all(|line| line.contains("VIRTUAL TABLE")), "{plan:?}");
        }
    }
}
