//! The catalog: read whole, written entry by entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use service_core::catalog::OrganizationChanges;
use service_core::{
    CatalogChanges, CatalogDocument, CatalogError, Llms, OrganizationCatalog, OrganizationId,
    OrganizationRecord, Service, ServiceId, StoreError,
};
use sqlx::SqliteConnection;
use store_sql::row::{self, CatalogRows, LlmRow, ServiceRow};

use crate::error::store_error;
use crate::json;

/// The LLMs that the store knows.
pub(crate) async fn llms(snapshot: &mut SqliteConnection) -> Result<Llms, StoreError> {
    let rows: Vec<LlmRow> =
        sqlx::query_as("SELECT name, deprecated FROM llms").fetch_all(snapshot).await.map_err(store_error)?;
    rows.iter().map(row::llm).collect()
}

/// The guard and the whole catalog of an organization; `None` if there is no such organization.
pub(crate) async fn organization(
    snapshot: &mut SqliteConnection,
    organization: &OrganizationId,
) -> Result<Option<OrganizationRecord>, StoreError> {
    let guard: Option<(i64, i64)> =
        sqlx::query_as("SELECT revision, catalog_revision FROM organizations WHERE organization = ?1")
            .bind(organization.as_str())
            .fetch_optional(&mut *snapshot)
            .await
            .map_err(store_error)?;
    let Some((revision, catalog_revision)) = guard else { return Ok(None) };
    Ok(Some(OrganizationRecord {
        revision: row::number("the revision of an organization", revision)?,
        catalog_revision: row::number("the catalog revision of an organization", catalog_revision)?,
        catalog: catalog(snapshot, organization).await?,
    }))
}

async fn catalog(
    snapshot: &mut SqliteConnection,
    organization: &OrganizationId,
) -> Result<OrganizationCatalog, StoreError> {
    let organization = organization.as_str();
    let agents =
        sqlx::query_as("SELECT id, name, latest_version, deprecated FROM agents WHERE organization = ?1")
            .bind(organization)
            .fetch_all(&mut *snapshot)
            .await
            .map_err(store_error)?;
    let state_machines = sqlx::query_as(
        "SELECT id, name, latest_version, deprecated FROM state_machines WHERE organization = ?1",
    )
    .bind(organization)
    .fetch_all(&mut *snapshot)
    .await
    .map_err(store_error)?;
    let simulation_unit_tests = sqlx::query_as(
        "SELECT id, service_id, version_set_name, deleted FROM simulation_unit_tests WHERE organization = ?1",
    )
    .bind(organization)
    .fetch_all(&mut *snapshot)
    .await
    .map_err(store_error)?;
    let roles = sqlx::query_as("SELECT name, grants FROM roles WHERE organization = ?1")
        .bind(organization)
        .fetch_all(&mut *snapshot)
        .await
        .map_err(store_error)?;
    let users = sqlx::query_as("SELECT user_organization, user_id, roles FROM users WHERE organization = ?1")
        .bind(organization)
        .fetch_all(snapshot)
        .await
        .map_err(store_error)?;
    CatalogRows { agents, state_machines, simulation_unit_tests, roles, users }.catalog()
}

/// Decides a document on what is there, and writes what changes, within a transaction that holds the write lock.
pub(crate) async fn apply(
    transaction: &mut SqliteConnection,
    document: &CatalogDocument,
) -> Result<CatalogChanges, CatalogError> {
    let known_llms = llms(transaction).await?;
    let mut catalogs: BTreeMap<&OrganizationId, OrganizationCatalog> = BTreeMap::new();
    let mut services: BTreeMap<(&OrganizationId, ServiceId), Arc<Service>> = BTreeMap::new();
    for entry in &document.organizations {
        if let Some(record) = organization(transaction, &entry.id).await? {
            catalogs.insert(&entry.id, record.catalog);
        }
        let tested: BTreeSet<ServiceId> =
            entry.simulation_unit_tests.iter().map(|test| test.service_id).collect();
        for service in services_of(transaction, &entry.id, &tested).await? {
            services.insert((&entry.id, service.id), service);
        }
    }
    let changes = CatalogChanges::decide(
        document,
        &known_llms,
        |organization| catalogs.get(organization),
        |organization, id| services.get(&(organization, *id)).cloned(),
    )?;
    write(transaction, &changes).await?;
    Ok(changes)
}

/// Writes what changes.
pub(crate) async fn write(
    transaction: &mut SqliteConnection,
    changes: &CatalogChanges,
) -> Result<(), StoreError> {
    for (name, (_, llm)) in &changes.llms {
        sqlx::query(
            "INSERT INTO llms (name, deprecated) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET deprecated = excluded.deprecated",
        )
        .bind(name.as_str())
        .bind(llm.deprecated)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    }
    for (organization, changes) in &changes.organizations {
        write_organization(transaction, organization, changes).await?;
    }
    Ok(())
}

/// Those of some services that are there.
pub(crate) async fn services_of(
    transaction: &mut SqliteConnection,
    organization: &OrganizationId,
    ids: &BTreeSet<ServiceId>,
) -> Result<Vec<Arc<Service>>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<ServiceRow> = sqlx::query_as(
        "SELECT s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.tags, s.revision, h.body
         FROM json_each(?2) AS wanted
         CROSS JOIN services AS s
         LEFT JOIN history AS h ON h.organization = ?1 AND h.revision = s.revision AND h.id = s.id
         WHERE s.organization = ?1 AND s.id = unhex(wanted.value)",
    )
    .bind(organization.as_str())
    .bind(json::ids(ids))
    .fetch_all(transaction)
    .await
    .map_err(store_error)?;
    rows.into_iter().filter_map(|row| row.service(organization).transpose()).collect()
}

async fn write_organization(
    transaction: &mut SqliteConnection,
    organization: &OrganizationId,
    changes: &OrganizationChanges,
) -> Result<(), StoreError> {
    let organization = organization.as_str();
    sqlx::query(
        "INSERT INTO organizations (organization, revision, catalog_revision) VALUES (?1, 0, 1)
         ON CONFLICT (organization) DO UPDATE SET catalog_revision = catalog_revision + 1",
    )
    .bind(organization)
    .execute(&mut *transaction)
    .await
    .map_err(store_error)?;
    for (id, (_, agent)) in &changes.agents {
        sqlx::query(
            "INSERT INTO agents (organization, id, name, latest_version, deprecated) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (organization, id) DO UPDATE
             SET name = excluded.name, latest_version = excluded.latest_version, deprecated = excluded.deprecated",
        )
        .bind(organization)
        .bind(id.as_bytes().as_slice())
        .bind(agent.name.as_str())
        .bind(agent.latest_version.map(i64::from))
        .bind(agent.deprecated)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    }
    for (id, (_, machine)) in &changes.state_machines {
        sqlx::query(
            "INSERT INTO state_machines (organization, id, name, latest_version, deprecated)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (organization, id) DO UPDATE
             SET name = excluded.name, latest_version = excluded.latest_version, deprecated = excluded.deprecated",
        )
        .bind(organization)
        .bind(id.as_bytes().as_slice())
        .bind(machine.name.as_str())
        .bind(machine.latest_version.map(i64::from))
        .bind(machine.deprecated)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    }
    for (id, (_, test)) in &changes.simulation_unit_tests {
        sqlx::query(
            "INSERT INTO simulation_unit_tests (organization, id, service_id, version_set_name, deleted)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (organization, id) DO UPDATE
             SET service_id = excluded.service_id, version_set_name = excluded.version_set_name,
                 deleted = excluded.deleted",
        )
        .bind(organization)
        .bind(id.as_bytes().as_slice())
        .bind(test.service_id.as_bytes().as_slice())
        .bind(test.version_set_name.as_str())
        .bind(test.deleted)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    }
    for (name, (_, grants)) in &changes.roles {
        sqlx::query(
            "INSERT INTO roles (organization, name, grants) VALUES (?1, ?2, ?3)
             ON CONFLICT (organization, name) DO UPDATE SET grants = excluded.grants",
        )
        .bind(organization)
        .bind(name.as_str())
        .bind(json::of(grants)?)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    }
    for (user, (_, roles)) in &changes.users {
        sqlx::query(
            "INSERT INTO users (organization, user_organization, user_id, roles) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (organization, user_organization, user_id) DO UPDATE SET roles = excluded.roles",
        )
        .bind(organization)
        .bind(user.organization.as_str())
        .bind(user.user.as_str())
        .bind(json::of(roles)?)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    }
    Ok(())
}
