//! The catalog: read whole, written with one statement for each kind of entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use service_core::catalog::OrganizationChanges;
use service_core::{
    CatalogChanges, CatalogDocument, CatalogRefusal, Llms, OrganizationCatalog, OrganizationId,
    OrganizationRecord, Service, ServiceId, StoreError,
};
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use store_sql::row::{self, CatalogRows, LlmRow, ServiceRow};

use crate::error::store_error;
use crate::row::ids;
use crate::transaction::{Connections, Transaction};

/// The LLMs that the store knows.
pub(crate) async fn llms(connections: &Connections) -> Result<Llms, StoreError> {
    let mut reader = connections.statements().await?;
    let llms = known_llms(&mut reader).await?;
    reader.end().await?;
    Ok(llms)
}

/// The same within a transaction.
pub(crate) async fn known_llms(reader: &mut Transaction) -> Result<Llms, StoreError> {
    let rows: Vec<LlmRow> = sqlx::query_as("SELECT name, deprecated FROM service_registry.llms")
        .persistent(reader.prepared)
        .fetch_all(&mut **reader)
        .await
        .map_err(store_error)?;
    rows.iter().map(row::llm).collect()
}

/// The guard and the whole catalog of an organization, as one snapshot; `None` if there is no such organization.
pub(crate) async fn organization(
    connections: &Connections,
    organization: &OrganizationId,
) -> Result<Option<OrganizationRecord>, StoreError> {
    let mut snapshot = connections.snapshot().await?;
    let record = record(&mut snapshot, organization).await?;
    snapshot.end().await?;
    Ok(record)
}

/// The same within a transaction that sees one state.
pub(crate) async fn record(
    snapshot: &mut Transaction,
    organization: &OrganizationId,
) -> Result<Option<OrganizationRecord>, StoreError> {
    let guard: Option<(i64, i64)> = sqlx::query_as(
        "SELECT revision, catalog_revision FROM service_registry.organizations WHERE organization = $1",
    )
    .persistent(snapshot.prepared)
    .bind(organization.as_str())
    .fetch_optional(&mut **snapshot)
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
    reader: &mut Transaction,
    organization: &OrganizationId,
) -> Result<OrganizationCatalog, StoreError> {
    CatalogRows {
        agents: entries(
            reader,
            organization,
            "SELECT id, name, latest_version, deprecated FROM service_registry.agents WHERE organization = $1",
        )
        .await?,
        state_machines: entries(
            reader,
            organization,
            "SELECT id, name, latest_version, deprecated FROM service_registry.state_machines
             WHERE organization = $1",
        )
        .await?,
        simulation_unit_tests: entries(
            reader,
            organization,
            "SELECT id, service_id, version_set_name, deleted FROM service_registry.simulation_unit_tests
             WHERE organization = $1",
        )
        .await?,
        roles: entries(
            reader,
            organization,
            "SELECT name, grants FROM service_registry.roles WHERE organization = $1",
        )
        .await?,
        users: entries(
            reader,
            organization,
            "SELECT user_organization, user_id, roles FROM service_registry.users WHERE organization = $1",
        )
        .await?,
    }
    .catalog()
}

async fn entries<Row>(
    reader: &mut Transaction,
    organization: &OrganizationId,
    statement: &'static str,
) -> Result<Vec<Row>, StoreError>
where
    Row: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    sqlx::query_as(statement)
        .persistent(reader.prepared)
        .bind(organization.as_str())
        .fetch_all(&mut **reader)
        .await
        .map_err(store_error)
}

/// Decides a document on what is there, and writes what changes.
pub(crate) async fn apply(
    connections: &Connections,
    document: &CatalogDocument,
) -> Result<Result<CatalogChanges, CatalogRefusal>, StoreError> {
    let mut transaction = connections.write().await?;
    match decide(&mut transaction, document).await? {
        Ok(changes) => {
            write(&mut transaction, &changes).await?;
            transaction.commit().await?;
            Ok(Ok(changes))
        }
        Err(refusal) => {
            transaction.end().await?;
            Ok(Err(refusal))
        }
    }
}

/// Locks what a document speaks of, and decides it. Everybody locks in the same order: the settings, which stand for the LLMs,
/// then the organizations by their ids.
async fn decide(
    transaction: &mut Transaction,
    document: &CatalogDocument,
) -> Result<Result<CatalogChanges, CatalogRefusal>, StoreError> {
    if !document.llms.is_empty() {
        let lock = "SELECT one FROM service_registry.settings FOR NO KEY UPDATE";
        sqlx::query(lock)
            .persistent(transaction.prepared)
            .execute(&mut **transaction)
            .await
            .map_err(store_error)?;
    }
    let mentioned: BTreeSet<&OrganizationId> = document.organizations.iter().map(|entry| &entry.id).collect();
    let new = lock(transaction, &mentioned).await?;
    let known_llms = known_llms(transaction).await?;
    let mut catalogs: BTreeMap<&OrganizationId, OrganizationCatalog> = BTreeMap::new();
    let mut services: BTreeMap<(&OrganizationId, ServiceId), Arc<Service>> = BTreeMap::new();
    for id in mentioned {
        if !new.contains(id) {
            catalogs.insert(id, catalog(transaction, id).await?);
        }
        let entries = document.organizations.iter().filter(|entry| entry.id == *id);
        let tests = entries.flat_map(|entry| &entry.simulation_unit_tests);
        let tested: BTreeSet<ServiceId> = tests.map(|test| test.service_id).collect();
        for service in services_of(transaction, id, &tested).await? {
            services.insert((id, service.id), service);
        }
    }
    Ok(CatalogChanges::decide(
        document,
        &known_llms,
        |organization| catalogs.get(organization),
        |organization, id| services.get(&(organization, *id)).cloned(),
    ))
}

/// Locks the guards of organizations, and makes those that are missing; the answer says which. Of several that make one, the
/// others wait here and find it.
async fn lock(
    transaction: &mut Transaction,
    organizations: &BTreeSet<&OrganizationId>,
) -> Result<BTreeSet<OrganizationId>, StoreError> {
    let ids: Vec<&str> = organizations.iter().map(|id| id.as_str()).collect();
    let new: Vec<String> = sqlx::query_scalar(
        "INSERT INTO service_registry.organizations (organization)
         SELECT id FROM unnest($1) AS wanted (id) ORDER BY id COLLATE \"C\"
         ON CONFLICT (organization) DO NOTHING RETURNING organization",
    )
    .persistent(transaction.prepared)
    .bind(&ids)
    .fetch_all(&mut **transaction)
    .await
    .map_err(store_error)?;
    sqlx::query(
        "SELECT organization FROM service_registry.organizations WHERE organization = ANY ($1)
         ORDER BY organization FOR NO KEY UPDATE",
    )
    .persistent(transaction.prepared)
    .bind(&ids)
    .execute(&mut **transaction)
    .await
    .map_err(store_error)?;
    new.iter().map(|id| row::text("an organization", id)).collect()
}

/// Those of some services that are there.
pub(crate) async fn services_of(
    transaction: &mut Transaction,
    organization: &OrganizationId,
    wanted: &BTreeSet<ServiceId>,
) -> Result<Vec<Arc<Service>>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<ServiceRow> = sqlx::query_as(
        "SELECT s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.tags, s.revision, h.body
         FROM unnest($2) AS wanted (id)
         CROSS JOIN LATERAL (
             SELECT * FROM service_registry.services AS s
             WHERE s.organization = $1 AND s.id = wanted.id
             OFFSET 0) AS s
         LEFT JOIN LATERAL (
             SELECT h.body FROM service_registry.history AS h
             WHERE h.organization = $1 AND h.revision = s.revision AND h.id = s.id
             OFFSET 0) AS h ON TRUE",
    )
    .persistent(transaction.prepared)
    .bind(organization.as_str())
    .bind(ids(wanted.iter().map(|id| id.as_bytes())))
    .fetch_all(&mut **transaction)
    .await
    .map_err(store_error)?;
    rows.into_iter().filter_map(|row| row.service(organization).transpose()).collect()
}

/// Writes what changes in organizations that are there.
pub(crate) async fn write(transaction: &mut Transaction, changes: &CatalogChanges) -> Result<(), StoreError> {
    if !changes.llms.is_empty() {
        sqlx::query(
            "INSERT INTO service_registry.llms (name, deprecated) SELECT * FROM unnest($1, $2)
             ON CONFLICT (name) DO UPDATE SET deprecated = excluded.deprecated",
        )
        .persistent(transaction.prepared)
        .bind(changes.llms.keys().map(|name| name.as_str()).collect::<Vec<_>>())
        .bind(changes.llms.values().map(|(_, llm)| llm.deprecated).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await
        .map_err(store_error)?;
    }
    let organizations: Vec<&str> = changes.organizations.keys().map(OrganizationId::as_str).collect();
    sqlx::query(
        "UPDATE service_registry.organizations SET catalog_revision = catalog_revision + 1
         WHERE organization = ANY ($1)",
    )
    .persistent(transaction.prepared)
    .bind(organizations)
    .execute(&mut **transaction)
    .await
    .map_err(store_error)?;
    for (organization, changes) in &changes.organizations {
        write_organization(transaction, organization, changes).await?;
    }
    Ok(())
}

const AGENTS: &str =
    "INSERT INTO service_registry.agents (organization, id, name, latest_version, deprecated)
     SELECT $1, * FROM unnest($2, $3, $4, $5)
     ON CONFLICT (organization, id) DO UPDATE
     SET name = excluded.name, latest_version = excluded.latest_version, deprecated = excluded.deprecated";

const STATE_MACHINES: &str =
    "INSERT INTO service_registry.state_machines (organization, id, name, latest_version, deprecated)
     SELECT $1, * FROM unnest($2, $3, $4, $5)
     ON CONFLICT (organization, id) DO UPDATE
     SET name = excluded.name, latest_version = excluded.latest_version, deprecated = excluded.deprecated";

const TESTS: &str =
    "INSERT INTO service_registry.simulation_unit_tests (organization, id, service_id, version_set_name, deleted)
     SELECT $1, * FROM unnest($2, $3, $4, $5)
     ON CONFLICT (organization, id) DO UPDATE
     SET service_id = excluded.service_id, version_set_name = excluded.version_set_name, deleted = excluded.deleted";

const ROLES: &str = "INSERT INTO service_registry.roles (organization, name, grants)
     SELECT $1, * FROM unnest($2, $3)
     ON CONFLICT (organization, name) DO UPDATE SET grants = excluded.grants";

const USERS: &str = "INSERT INTO service_registry.users (organization, user_organization, user_id, roles)
     SELECT $1, * FROM unnest($2, $3, $4)
     ON CONFLICT (organization, user_organization, user_id) DO UPDATE SET roles = excluded.roles";

async fn write_organization(
    transaction: &mut Transaction,
    organization: &OrganizationId,
    changes: &OrganizationChanges,
) -> Result<(), StoreError> {
    let query = |statement| sqlx::query(statement).bind(organization.as_str().to_owned());
    let mut statements = Vec::new();
    let agents = || changes.agents.values().map(|(_, agent)| agent);
    if !changes.agents.is_empty() {
        statements.push(
            query(AGENTS)
                .bind(ids(changes.agents.keys().map(|id| id.as_bytes())))
                .bind(agents().map(|agent| agent.name.as_str()).collect::<Vec<_>>())
                .bind(agents().map(|agent| agent.latest_version.map(i64::from)).collect::<Vec<_>>())
                .bind(agents().map(|agent| agent.deprecated).collect::<Vec<_>>()),
        );
    }
    let machines = || changes.state_machines.values().map(|(_, machine)| machine);
    if !changes.state_machines.is_empty() {
        statements.push(
            query(STATE_MACHINES)
                .bind(ids(changes.state_machines.keys().map(|id| id.as_bytes())))
                .bind(machines().map(|machine| machine.name.as_str()).collect::<Vec<_>>())
                .bind(machines().map(|machine| machine.latest_version.map(i64::from)).collect::<Vec<_>>())
                .bind(machines().map(|machine| machine.deprecated).collect::<Vec<_>>()),
        );
    }
    let tests = || changes.simulation_unit_tests.values().map(|(_, test)| test);
    if !changes.simulation_unit_tests.is_empty() {
        statements.push(
            query(TESTS)
                .bind(ids(changes.simulation_unit_tests.keys().map(|id| id.as_bytes())))
                .bind(ids(tests().map(|test| test.service_id.as_bytes())))
                .bind(tests().map(|test| test.version_set_name.as_str()).collect::<Vec<_>>())
                .bind(tests().map(|test| test.deleted).collect::<Vec<_>>()),
        );
    }
    if !changes.roles.is_empty() {
        let grants = changes.roles.values().map(|(_, grants)| row::json(grants));
        statements.push(
            query(ROLES)
                .bind(changes.roles.keys().map(|name| name.as_str()).collect::<Vec<_>>())
                .bind(grants.collect::<Result<Vec<_>, _>>()?),
        );
    }
    if !changes.users.is_empty() {
        let roles = changes.users.values().map(|(_, roles)| row::json(roles));
        statements.push(
            query(USERS)
                .bind(changes.users.keys().map(|user| user.organization.as_str()).collect::<Vec<_>>())
                .bind(changes.users.keys().map(|user| user.user.as_str()).collect::<Vec<_>>())
                .bind(roles.collect::<Result<Vec<_>, _>>()?),
        );
    }
    for statement in statements {
        statement.persistent(transaction.prepared).execute(&mut **transaction).await.map_err(store_error)?;
    }
    Ok(())
}
