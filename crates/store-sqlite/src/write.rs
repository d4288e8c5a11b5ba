//! How service writes reach the tables: a run of them as a few statements, a single one too.

use std::collections::BTreeMap;

use serde::Serialize;
use service_core::{OrganizationId, Service, StoreError, TagFacet, TagValue};
use sqlx::SqliteConnection;
use store_sql::change::Change;
use store_sql::row;

use crate::error::store_error;
use crate::json;

/// Writes a run of changes within a transaction that holds the write lock: history and services, and nothing else.
pub(crate) async fn write(
    transaction: &mut SqliteConnection,
    organization: &OrganizationId,
    changes: &[Change],
) -> Result<(), StoreError> {
    let rows = changes.iter().map(|Change { after, .. }| {
        Ok((after.revision.get(), after.id, &after.name, after.is_active, row::body(after)?))
    });
    let rows: Vec<_> = rows.collect::<Result<_, StoreError>>()?;
    run(transaction, HISTORY, organization, &rows).await?;
    // The columns that indexes have are written only where they change: each costs four trees.
    let (kept, placed): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| change.keeps_its_place());
    run(transaction, KEEP, organization, &columns(&kept)).await?;
    run(transaction, PLACE, organization, &columns(&placed)).await
}

/// Counts facets: each with of how many services more, or fewer, it is.
pub(crate) async fn count(
    transaction: &mut SqliteConnection,
    organization: &OrganizationId,
    facets: &BTreeMap<TagFacet, i64>,
) -> Result<(), StoreError> {
    // There are few different numbers, most often just one.
    let mut fewer: BTreeMap<i64, Vec<FacetColumns<'_>>> = BTreeMap::new();
    let mut more = Vec::new();
    for (facet, services) in facets {
        let value = facet.value.as_ref().map_or("", TagValue::as_str);
        let columns = (facet.key.as_str(), facet.value.is_some(), value);
        if *services < 0 {
            fewer.entry(*services).or_default().push(columns);
        } else {
            more.push((columns, *services));
        }
    }
    for (services, facets) in fewer {
        sqlx::query(FEWER)
            .bind(organization.as_str())
            .bind(json::of(&facets)?)
            .bind(services)
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        run(transaction, DROP_UNUSED, organization, &facets).await?;
    }
    run(transaction, MORE, organization, &more).await
}

/// Key, whether there is a value, and the value: the key of a facet's row.
type FacetColumns<'a> = (&'a str, bool, &'a str);

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

/// Services as [`KEEP`] and [`PLACE`] want them.
fn columns<'a>(changes: &[&'a Change]) -> Vec<impl Serialize + use<'a>> {
    let rows = changes.iter().map(|change| {
        let Service { id, name, is_active, agent_id, state_machine_id, tags, revision, .. } = &*change.after;
        (id, name, is_active, agent_id, state_machine_id, tags, revision.get())
    });
    rows.collect()
}

const HISTORY: &str = "INSERT INTO history (organization, revision, id, name, is_active, body)
     SELECT ?1, value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4 FROM json_each(?2)";

// Both are given all columns. Of `UPDATE … FROM`, SQLite might take the services for the outer loop, all of them.

const KEEP: &str = "INSERT INTO services (organization, id, name, is_active, agent_id, state_machine_id, tags, revision)
     SELECT ?1, unhex(value ->> 0), value ->> 1, value ->> 2, unhex(value ->> 3), unhex(value ->> 4), value ->> 5,
         value ->> 6
     FROM json_each(?2)
     WHERE true
     ON CONFLICT (organization, id) DO UPDATE
     SET agent_id = excluded.agent_id, state_machine_id = excluded.state_machine_id, tags = excluded.tags,
         revision = excluded.revision";

const PLACE: &str = "INSERT INTO services (organization, id, name, is_active, agent_id, state_machine_id, tags, revision)
     SELECT ?1, unhex(value ->> 0), value ->> 1, value ->> 2, unhex(value ->> 3), unhex(value ->> 4), value ->> 5,
         value ->> 6
     FROM json_each(?2)
     WHERE true
     ON CONFLICT (organization, id) DO UPDATE
     SET name = excluded.name, is_active = excluded.is_active, agent_id = excluded.agent_id,
         state_machine_id = excluded.state_machine_id, tags = excluded.tags, revision = excluded.revision";

/// Given facets, and of how many services more.
const MORE: &str = "INSERT INTO facets (organization, key, has_value, value, services)
     SELECT ?1, value ->> 0 ->> 0, value ->> 0 ->> 1, value ->> 0 ->> 2, value ->> 1 FROM json_each(?2)
     WHERE true
     ON CONFLICT (organization, key, has_value, value) DO UPDATE SET services = services + excluded.services";

/// Given facets, and the number by which their services become fewer.
const FEWER: &str = "UPDATE facets SET services = services + ?3
     WHERE organization = ?1 AND (key, has_value, value) IN (
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2))";

const DROP_UNUSED: &str = "DELETE FROM facets
     WHERE organization = ?1 AND services = 0 AND (key, has_value, value) IN (
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2))";

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
        let whole = "SEARCH facets USING PRIMARY KEY (organization=? AND key=? AND has_value=? AND value=?)";
        for (statement, searches) in [(FEWER, [whole]), (DROP_UNUSED, [whole])] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).bind("acme").bind("[]").fetch_all(&store.reader).await.unwrap();
            let found: Vec<&String> =
                plan.iter().map(|line| &line.3).filter(|line| line.starts_with("SEARCH")).collect();
            assert_eq!(found, searches, "{plan:?}");
            let scanned = plan.iter().map(|line| &line.3).filter(|line| line.starts_with("SCAN"));
            assert!(scanned.clone().all(|line| line.contains("VIRTUAL TABLE")), "{plan:?}");
        }
    }
}
