//! The facts that decisions rest on.

use service_core::{Facts, FactsQuery, OrganizationId, ServiceId, StoreError};
use store_sql::row::{self, LlmRow, ServiceRow};

use crate::error::store_error;
use crate::row::{agents, ids, rows, state_machines};
use crate::transaction::Connections;

#[derive(Debug, sqlx::FromRow)]
struct FactsRow {
    catalog_revision: i64,
    #[sqlx(flatten)]
    service: ServiceRow,
    holder: Option<Vec<u8>>,
    agents: String,
    state_machines: String,
    llms: String,
    tested: Vec<String>,
}

/// One statement, hence one snapshot. What there are several of comes as an array, or as JSON: one row in all.
///
/// The agent, the state machine and the LLMs of the service itself are looked up like those asked for; the names of the
/// LLMs stand in its body.
const FACTS: &str = "SELECT o.catalog_revision,
     s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.tags, s.revision, h.body,
     (SELECT a.id FROM service_registry.services AS a
         WHERE a.organization = $1 AND a.name = coalesce($3, s.name) AND a.is_active) AS holder,
     (SELECT coalesce(json_agg(json_build_array(encode(a.id, 'hex'), a.name, a.latest_version, a.deprecated)), '[]')::text
         FROM service_registry.agents AS a
         WHERE a.organization = $1 AND a.id = ANY (array_append($4, s.agent_id))) AS agents,
     (SELECT coalesce(json_agg(json_build_array(encode(m.id, 'hex'), m.name, m.latest_version, m.deprecated)), '[]')::text
         FROM service_registry.state_machines AS m
         WHERE m.organization = $1 AND m.id = ANY (array_append($5, s.state_machine_id))) AS state_machines,
     (SELECT coalesce(json_agg(json_build_array(l.name, l.deprecated)), '[]')::text
         FROM service_registry.llms AS l
         WHERE l.name = ANY ($6 || ARRAY(
             SELECT preferred #>> '{}'
             FROM jsonb_path_query(h.body::jsonb, '$.version_sets.*.llm_model_preferences.*.llm_name') AS preferred))) AS llms,
     ARRAY(SELECT DISTINCT t.version_set_name FROM service_registry.simulation_unit_tests AS t
         WHERE t.organization = $1 AND t.service_id = s.id AND NOT t.deleted) AS tested
 FROM service_registry.organizations AS o
 LEFT JOIN service_registry.services AS s ON s.organization = $1 AND s.id = $2
 LEFT JOIN service_registry.history AS h ON h.organization = $1 AND h.revision = s.revision AND h.id = s.id
 WHERE o.organization = $1";

/// The facts asked for; `None` if there is no such organization.
pub(crate) async fn facts(
    connections: &Connections,
    organization: &OrganizationId,
    query: &FactsQuery,
) -> Result<Option<Facts>, StoreError> {
    let mut reader = connections.statements().await?;
    let llms: Vec<&str> = query.llms.iter().map(|name| name.as_str()).collect();
    let row: Option<FactsRow> = sqlx::query_as(FACTS)
        .persistent(reader.prepared)
        .bind(organization.as_str())
        .bind(query.service.as_ref().map(|id| id.as_bytes().as_slice()))
        .bind(query.name.as_ref().map(|name| name.as_str()))
        .bind(ids(query.agents.iter().map(|id| id.as_bytes())))
        .bind(ids(query.state_machines.iter().map(|id| id.as_bytes())))
        .bind(llms)
        .fetch_optional(&mut *reader)
        .await
        .map_err(store_error)?;
    reader.end().await?;
    let Some(row) = row else { return Ok(None) };
    let mut facts = Facts {
        service: row.service.service(organization)?,
        active_holder: row
            .holder
            .map(|holder| row::id("the holder of a name", &holder, ServiceId::from_bytes))
            .transpose()?,
        catalog_revision: row::number("the catalog revision", row.catalog_revision)?,
        ..Facts::default()
    };
    for agent in agents(&row.agents)? {
        facts.agents.extend([row::agent(&agent)?]);
    }
    for machine in state_machines(&row.state_machines)? {
        facts.state_machines.extend([row::state_machine(&machine)?]);
    }
    for llm in rows::<LlmRow>("an LLM", &row.llms)? {
        facts.llms.extend([row::llm(&llm)?]);
    }
    for name in &row.tested {
        facts.tested_version_sets.insert(row::text("a simulation unit test", name)?);
    }
    Ok(Some(facts))
}
