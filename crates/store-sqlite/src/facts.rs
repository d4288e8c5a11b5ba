//! The facts that decisions rest on.

use std::collections::BTreeSet;

use service_core::{Facts, FactsQuery, LlmName, OrganizationId, Service, ServiceId, StoreError};
use sqlx::SqliteConnection;
use store_sql::row::{self, LlmRow, ServiceRow, VersionedRow};

use crate::error::store_error;
use crate::json;

#[derive(Debug, sqlx::FromRow)]
struct Guard {
    catalog_revision: i64,
    #[sqlx(flatten)]
    service: ServiceRow,
    holder: Option<Vec<u8>>,
}

/// What a snapshot has of the facts asked for; `None` if there is no such organization.
pub(crate) async fn facts(
    snapshot: &mut SqliteConnection,
    organization: &OrganizationId,
    query: &FactsQuery,
) -> Result<Option<Facts>, StoreError> {
    let guard: Option<Guard> = sqlx::query_as(
        "SELECT o.catalog_revision,
             s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.tags, s.revision, h.body,
             (SELECT a.id FROM services AS a
                 WHERE a.organization = o.organization AND a.name = coalesce(?3, s.name) AND a.is_active = 1) AS holder
         FROM organizations AS o
         LEFT JOIN services AS s ON s.organization = o.organization AND s.id = ?2
         LEFT JOIN history AS h ON h.organization = o.organization AND h.revision = s.revision AND h.id = s.id
         WHERE o.organization = ?1",
    )
    .bind(organization.as_str())
    .bind(query.service.as_ref().map(|id| id.as_bytes().as_slice()))
    .bind(query.name.as_ref().map(|name| name.as_str()))
    .fetch_optional(&mut *snapshot)
    .await
    .map_err(store_error)?;
    let Some(Guard { catalog_revision, service, holder }) = guard else { return Ok(None) };
    let service = service.service(organization)?;
    let own = service.as_deref();
    let agents = query.agents.iter().copied().chain(own.map(|service| service.agent_id));
    let state_machines =
        query.state_machines.iter().copied().chain(own.map(|service| service.state_machine_id));
    let llms: BTreeSet<&LlmName> =
        query.llms.iter().chain(own.into_iter().flat_map(Service::llm_names)).collect();

    let mut facts = Facts {
        active_holder: holder
            .map(|holder| row::id("the holder of a name", &holder, ServiceId::from_bytes))
            .transpose()?,
        catalog_revision: row::number("the catalog revision", catalog_revision)?,
        ..Facts::default()
    };
    let agent_rows: Vec<VersionedRow> = sqlx::query_as(
        "SELECT id, name, latest_version, deprecated FROM agents
         WHERE organization = ?1 AND id IN (SELECT unhex(value) FROM json_each(?2))",
    )
    .bind(organization.as_str())
    .bind(json::ids(agents))
    .fetch_all(&mut *snapshot)
    .await
    .map_err(store_error)?;
    for agent in &agent_rows {
        facts.agents.extend([row::agent(agent)?]);
    }
    let machine_rows: Vec<VersionedRow> = sqlx::query_as(
        "SELECT id, name, latest_version, deprecated FROM state_machines
         WHERE organization = ?1 AND id IN (SELECT unhex(value) FROM json_each(?2))",
    )
    .bind(organization.as_str())
    .bind(json::ids(state_machines))
    .fetch_all(&mut *snapshot)
    .await
    .map_err(store_error)?;
    for machine in &machine_rows {
        facts.state_machines.extend([row::state_machine(machine)?]);
    }
    if !llms.is_empty() {
        let llm_rows: Vec<LlmRow> = sqlx::query_as(
            "SELECT name, deprecated FROM llms WHERE name IN (SELECT value FROM json_each(?1))",
        )
        .bind(json::of(&llms)?)
        .fetch_all(&mut *snapshot)
        .await
        .map_err(store_error)?;
        for llm in &llm_rows {
            facts.llms.extend([row::llm(llm)?]);
        }
    }
    if let Some(service) = own {
        let tested: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT version_set_name FROM simulation_unit_tests
             WHERE organization = ?1 AND service_id = ?2 AND deleted = 0",
        )
        .bind(organization.as_str())
        .bind(service.id.as_bytes().as_slice())
        .fetch_all(snapshot)
        .await
        .map_err(store_error)?;
        for name in &tested {
            facts.tested_version_sets.insert(row::text("a simulation unit test", name)?);
        }
    }
    facts.service = service;
    Ok(Some(facts))
}
