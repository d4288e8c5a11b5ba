//! How a service write happens.

use std::sync::Arc;

use service_core::{Commit, CommitOutcome, Revision, Service, StoreError};
use sqlx::SqliteConnection;
use store_sql::row::{self, ServiceRow};
use store_sql::term::{TermChanges, TermName};

use crate::error::store_error;
use crate::json;

/// Writes a commit within a transaction that holds the write lock; `Stale` if nothing was written.
pub(crate) async fn commit(
    transaction: &mut SqliteConnection,
    commit: Commit,
) -> Result<CommitOutcome, StoreError> {
    let wanted = commit.draft.service();
    let organization = wanted.organization.clone();
    let Some(guard) = guard(transaction, wanted).await? else { return Ok(CommitOutcome::Stale) };
    let present = guard.before.as_ref().map(|service| service.revision);
    if guard.catalog_revision != commit.catalog_revision.get()
        || present != commit.expected
        || (wanted.is_active && guard.name_is_held)
    {
        return Ok(CommitOutcome::Stale);
    }
    let service = commit.draft.stamped(guard.revision.next());
    insert_history(transaction, &service).await?;
    match guard.before.as_deref() {
        None => insert_service(transaction, &service).await?,
        Some(before) => update_service(transaction, before, &service).await?,
    }
    write_terms(transaction, guard.before.as_deref(), &service).await?;
    sqlx::query("UPDATE organizations SET revision = ?2 WHERE organization = ?1")
        .bind(organization.as_str())
        .bind(service.revision.get())
        .execute(transaction)
        .await
        .map_err(store_error)?;
    Ok(CommitOutcome::Committed(service.revision))
}

/// What a commit is compared with.
struct Guard {
    revision: Revision,
    catalog_revision: i64,
    before: Option<Arc<Service>>,
    /// Whether another active service has the name.
    name_is_held: bool,
}

#[derive(Debug, sqlx::FromRow)]
struct GuardRow {
    last_revision: i64,
    catalog_revision: i64,
    #[sqlx(flatten)]
    service: ServiceRow,
    name_is_held: bool,
}

async fn guard(transaction: &mut SqliteConnection, wanted: &Service) -> Result<Option<Guard>, StoreError> {
    let row: Option<GuardRow> = sqlx::query_as(
        "SELECT o.revision AS last_revision, o.catalog_revision,
             s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.revision, h.body,
             EXISTS (SELECT 1 FROM services AS a
                 WHERE a.organization = o.organization AND a.name = ?3 AND a.is_active = 1 AND a.id <> ?2) AS name_is_held
         FROM organizations AS o
         LEFT JOIN services AS s ON s.organization = o.organization AND s.id = ?2
         LEFT JOIN history AS h ON h.organization = o.organization AND h.revision = s.revision AND h.id = s.id
         WHERE o.organization = ?1",
    )
    .bind(wanted.organization.as_str())
    .bind(wanted.id.as_bytes().as_slice())
    .bind(wanted.name.as_str())
    .fetch_optional(transaction)
    .await
    .map_err(store_error)?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Guard {
        revision: row::number("the revision of an organization", row.last_revision)?,
        catalog_revision: row.catalog_revision,
        before: row.service.service(&wanted.organization)?,
        name_is_held: row.name_is_held,
    }))
}

async fn insert_history(transaction: &mut SqliteConnection, service: &Service) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO history (organization, revision, id, body) VALUES (?1, ?2, ?3, ?4)")
        .bind(service.organization.as_str())
        .bind(service.revision.get())
        .bind(service.id.as_bytes().as_slice())
        .bind(row::body(service)?)
        .execute(transaction)
        .await
        .map_err(store_error)?;
    Ok(())
}

async fn insert_service(transaction: &mut SqliteConnection, service: &Service) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO services (organization, id, name, is_active, agent_id, state_machine_id, revision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(service.organization.as_str())
    .bind(service.id.as_bytes().as_slice())
    .bind(service.name.as_str())
    .bind(service.is_active)
    .bind(service.agent_id.as_bytes().as_slice())
    .bind(service.state_machine_id.as_bytes().as_slice())
    .bind(service.revision.get())
    .execute(transaction)
    .await
    .map_err(store_error)?;
    Ok(())
}

/// Writes the columns that no index has, and the others only if they change: each costs four trees.
async fn update_service(
    transaction: &mut SqliteConnection,
    before: &Service,
    service: &Service,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE services SET agent_id = ?3, state_machine_id = ?4, revision = ?5
         WHERE organization = ?1 AND id = ?2",
    )
    .bind(service.organization.as_str())
    .bind(service.id.as_bytes().as_slice())
    .bind(service.agent_id.as_bytes().as_slice())
    .bind(service.state_machine_id.as_bytes().as_slice())
    .bind(service.revision.get())
    .execute(&mut *transaction)
    .await
    .map_err(store_error)?;
    if before.name != service.name || before.is_active != service.is_active {
        sqlx::query("UPDATE services SET name = ?3, is_active = ?4 WHERE organization = ?1 AND id = ?2")
            .bind(service.organization.as_str())
            .bind(service.id.as_bytes().as_slice())
            .bind(service.name.as_str())
            .bind(service.is_active)
            .execute(transaction)
            .await
            .map_err(store_error)?;
    }
    Ok(())
}

/// Makes terms and tagged services follow a write.
async fn write_terms(
    transaction: &mut SqliteConnection,
    before: Option<&Service>,
    service: &Service,
) -> Result<(), StoreError> {
    let changes = TermChanges::of(before, service);
    if let Some(before) = before {
        run(transaction, UNTAG, before, changes.left()).await?;
    }
    run_counting(transaction, ONE_LESS, service, &changes.gone).await?;
    run_counting(transaction, DROP_UNUSED, service, &changes.gone).await?;
    run_counting(transaction, ONE_MORE, service, &changes.new).await?;
    run(transaction, TAG, service, changes.taken()).await
}

/// Runs a statement on the rows of a service under some terms.
async fn run(
    transaction: &mut SqliteConnection,
    statement: &'static str,
    service: &Service,
    terms: impl IntoIterator<Item = &TermName>,
) -> Result<(), StoreError> {
    let terms: Vec<&TermName> = terms.into_iter().collect();
    if terms.is_empty() {
        return Ok(());
    }
    sqlx::query(statement)
        .bind(service.organization.as_str())
        .bind(json::of(&terms)?)
        .bind(service.is_active)
        .bind(service.name.as_str())
        .bind(service.id.as_bytes().as_slice())
        .execute(transaction)
        .await
        .map_err(store_error)?;
    Ok(())
}

/// Runs a statement on some terms themselves.
async fn run_counting(
    transaction: &mut SqliteConnection,
    statement: &'static str,
    service: &Service,
    terms: impl IntoIterator<Item = &TermName>,
) -> Result<(), StoreError> {
    let terms: Vec<&TermName> = terms.into_iter().collect();
    if terms.is_empty() {
        return Ok(());
    }
    sqlx::query(statement)
        .bind(service.organization.as_str())
        .bind(json::of(&terms)?)
        .execute(transaction)
        .await
        .map_err(store_error)?;
    Ok(())
}

// Each of these statements is given the terms as a JSON array of kind, key and value.

const TAG: &str = "INSERT INTO tagged_services (organization, term, is_active, name, id)
     SELECT t.organization, t.term, ?3, ?4, ?5
     FROM json_each(?2) AS wanted
     CROSS JOIN tag_terms AS t
     WHERE t.organization = ?1 AND t.kind = wanted.value ->> 0 AND t.key = wanted.value ->> 1
         AND t.value = wanted.value ->> 2";

const UNTAG: &str = "DELETE FROM tagged_services
     WHERE organization = ?1 AND is_active = ?3 AND name = ?4 AND id = ?5
         AND term IN (
             SELECT t.term
             FROM json_each(?2) AS wanted
             CROSS JOIN tag_terms AS t
             WHERE t.organization = ?1 AND t.kind = wanted.value ->> 0 AND t.key = wanted.value ->> 1
                 AND t.value = wanted.value ->> 2)";

/// Terms that are new take the numbers after the highest.
const ONE_MORE: &str = "INSERT INTO tag_terms (organization, kind, key, value, term, services)
     SELECT ?1, wanted.value ->> 0, wanted.value ->> 1, wanted.value ->> 2,
         (SELECT coalesce(max(term), 0) FROM tag_terms WHERE organization = ?1) + row_number() OVER (),
         1
     FROM json_each(?2) AS wanted
     WHERE true
     ON CONFLICT (organization, key, kind, value) DO UPDATE SET services = services + 1";

const ONE_LESS: &str = "UPDATE tag_terms SET services = services - 1
     WHERE organization = ?1 AND (kind, key, value) IN (
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2))";

const DROP_UNUSED: &str = "DELETE FROM tag_terms
     WHERE organization = ?1 AND (kind, key, value) IN (
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2)) AND services = 0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;

    /// A key may have a value of its own for every service: none but those of the write may be read.
    #[tokio::test]
    async fn terms_are_counted_down_and_dropped_by_their_whole_key() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
        service_core::Operations::migrate(&store).await.unwrap();
        for statement in [ONE_LESS, DROP_UNUSED] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
                .bind("acme")
                .bind(r#"[[2, "team", "red"]]"#)
                .fetch_all(&store.reader)
                .await
                .unwrap();
            let search =
                "SEARCH tag_terms USING PRIMARY KEY (organization=? AND key=? AND kind=? AND value=?)";
            assert_eq!(plan[0].3, search, "{plan:?}");
        }
    }
}
