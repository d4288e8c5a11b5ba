//! How values become columns and columns values. What does not parse is corrupt, and says where it stands.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use service_core::catalog::{Llm, SimulationUnitTest, Versioned};
use service_core::{
    AgentId, Grant, Grants, LlmName, OrganizationCatalog, OrganizationId, Principal, Revision, RoleName,
    Service, ServiceId, SimulationUnitTestId, Standing, StateMachineId, StoreError, StoreErrorKind, TagFacet,
    VersionNumber,
};
use service_index::Keys;

/// The row of a service in the history: revision, id, body.
pub type HistoryRow = (i64, Vec<u8>, String);

/// How long the body of a row is.
pub(crate) fn bytes((_, _, body): &HistoryRow) -> usize {
    body.len()
}

/// What the history keeps of a service.
///
/// # Errors
/// Never, for a service that is well-formed.
pub fn body(service: &Service) -> Result<String, StoreError> {
    json(service)
}

/// A value as JSON, for a column or a list of parameters.
///
/// # Errors
/// When it has no JSON form.
pub fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::new(StoreErrorKind::Internal, error))
}

/// The service that a row of history holds.
///
/// # Errors
/// When it does not parse, or is another service or revision than the row says.
pub fn service(
    organization: &OrganizationId,
    (revision, id, body): &HistoryRow,
) -> Result<Arc<Service>, StoreError> {
    let place = || format!("revision {revision} of organization `{organization}`");
    let service: Service = serde_json::from_str(body).map_err(|fault| StoreError::corrupt(place(), fault))?;
    if service.organization != *organization
        || service.revision.get() != *revision
        || service.id.as_bytes()[..] != id[..]
    {
        return Err(StoreError::corrupt(place(), "it holds another service or revision"));
    }
    Ok(Arc::new(service))
}

/// A row of history, and what it repeats of its service, where listings go on.
#[derive(Debug, sqlx::FromRow)]
pub struct PlacedRow {
    #[sqlx(flatten)]
    pub(crate) row: HistoryRow,
    name: String,
    is_active: bool,
}

impl PlacedRow {
    /// The service. What the row repeats of it must agree.
    ///
    /// # Errors
    /// When it does not parse, or does not agree.
    pub(crate) fn service(&self, organization: &OrganizationId) -> Result<Arc<Service>, StoreError> {
        let service = service(organization, &self.row)?;
        if self.name != service.name.as_str() || self.is_active != service.is_active {
            let (revision, ..) = self.row;
            let place = format!("revision {revision} of organization `{organization}`");
            return Err(StoreError::corrupt(place, "what is kept to go on after it is not what it holds"));
        }
        Ok(service)
    }
}

/// The row of a service, beside the row of history that it names: empty if there is no such service.
#[derive(Debug, sqlx::FromRow)]
pub struct ServiceRow {
    service_id: Option<Vec<u8>>,
    name: Option<String>,
    is_active: Option<bool>,
    agent_id: Option<Vec<u8>>,
    state_machine_id: Option<Vec<u8>>,
    tags: Option<String>,
    revision: Option<i64>,
    body: Option<String>,
}

impl ServiceRow {
    /// The id, as it is kept; empty if there is no service.
    pub fn id(&self) -> &[u8] {
        self.service_id.as_deref().unwrap_or_default()
    }

    /// The service as the history has it, if there is one. What its row repeats, listings have found it by: it must agree.
    ///
    /// # Errors
    /// When its history is missing, does not parse, or does not agree.
    pub fn service(self, organization: &OrganizationId) -> Result<Option<Arc<Service>>, StoreError> {
        let (Some(id), Some(revision)) = (self.service_id, self.revision) else { return Ok(None) };
        let place = || format!("the service of revision {revision} of organization `{organization}`");
        let Some(body) = self.body else {
            return Err(StoreError::corrupt(place(), "its history is missing"));
        };
        let service = service(organization, &(revision, id, body))?;
        let agrees = self.name.as_deref() == Some(service.name.as_str())
            && self.is_active == Some(service.is_active)
            && self.agent_id.as_deref() == Some(service.agent_id.as_bytes().as_slice())
            && self.state_machine_id.as_deref() == Some(service.state_machine_id.as_bytes().as_slice())
            && self.tags == Some(json(&service.tags)?);
        if agrees {
            Ok(Some(service))
        } else {
            Err(StoreError::corrupt(place(), "what is kept to find it is not what it holds"))
        }
    }
}

/// What a service is found by, and the revision that it is read by.
#[derive(Debug, sqlx::FromRow)]
pub struct KeysRow {
    pub(crate) id: Vec<u8>,
    pub(crate) name: String,
    pub(crate) is_active: bool,
    pub(crate) agent_id: Vec<u8>,
    pub(crate) state_machine_id: Vec<u8>,
    pub(crate) tags: String,
    pub(crate) revision: i64,
}

/// The keys that a row holds, and the revision.
///
/// # Errors
/// When a column is ill-formed.
pub fn keys(organization: &OrganizationId, row: &KeysRow) -> Result<(Keys, Revision), StoreError> {
    // The place costs more than the rest of the row, so it is told only where it matters.
    let keys = || -> Result<(Keys, Revision), StoreError> {
        let place = "a service";
        let keys = Keys {
            id: id(place, &row.id, ServiceId::from_bytes)?,
            name: text(place, &row.name)?,
            is_active: row.is_active,
            agent_id: id(place, &row.agent_id, AgentId::from_bytes)?,
            state_machine_id: id(place, &row.state_machine_id, StateMachineId::from_bytes)?,
            tags: serde_json::from_str(&row.tags).map_err(|fault| StoreError::corrupt(place, fault))?,
        };
        Ok((keys, number("a service", row.revision)?))
    };
    keys().map_err(|fault| {
        let place = format!("the service of revision {} of organization `{organization}`", row.revision);
        StoreError::corrupt(place, fault)
    })
}

/// The row of a facet: key, whether there is a value, the value, how many services have it.
pub type FacetRow = (String, bool, String, i64);

/// The facet that a row holds, and its count.
///
/// # Errors
/// When a column is ill-formed.
pub fn facet(
    organization: &OrganizationId,
    (key, has_value, value, services): &FacetRow,
) -> Result<(TagFacet, usize), StoreError> {
    let place = format!("a facet of organization `{organization}`");
    let value = has_value.then(|| text(&place, value)).transpose()?;
    let facet = TagFacet { key: text(&place, key)?, value };
    let services = usize::try_from(*services).map_err(|fault| StoreError::corrupt(place, fault))?;
    Ok((facet, services))
}

/// A value kept as text.
///
/// # Errors
/// When it is ill-formed; `place` says where it stands.
pub fn text<T: FromStr<Err: fmt::Display>>(place: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|fault| StoreError::corrupt(place, fault))
}

/// A value kept as a number.
///
/// # Errors
/// When it is ill-formed; `place` says where it stands.
pub fn number<T: TryFrom<i64, Error: fmt::Display>>(place: &str, number: i64) -> Result<T, StoreError> {
    T::try_from(number).map_err(|fault| StoreError::corrupt(place, fault))
}

/// An id kept as its bytes.
///
/// # Errors
/// When it is ill-formed; `place` says where it stands.
pub fn id<T>(place: &str, bytes: &[u8], from_bytes: fn([u8; 12]) -> T) -> Result<T, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::corrupt(place, "an id has 12 bytes"))?;
    Ok(from_bytes(bytes))
}

/// The row of an agent or a state machine: id, name, latest version, deprecated.
pub type VersionedRow = (Vec<u8>, String, Option<i64>, bool);

/// The agent that a row holds.
///
/// # Errors
/// When a column is ill-formed.
pub fn agent(row: &VersionedRow) -> Result<(AgentId, Versioned), StoreError> {
    versioned("an agent", row, AgentId::from_bytes)
}

/// The state machine that a row holds.
///
/// # Errors
/// When a column is ill-formed.
pub fn state_machine(row: &VersionedRow) -> Result<(StateMachineId, Versioned), StoreError> {
    versioned("a state machine", row, StateMachineId::from_bytes)
}

fn versioned<Id>(
    place: &str,
    (bytes, name, latest_version, deprecated): &VersionedRow,
    from_bytes: fn([u8; 12]) -> Id,
) -> Result<(Id, Versioned), StoreError> {
    let latest_version = latest_version.map(|version| number::<VersionNumber>(place, version)).transpose()?;
    let versioned = Versioned { name: text(place, name)?, latest_version, deprecated: *deprecated };
    Ok((id(place, bytes, from_bytes)?, versioned))
}

/// The row of a simulation unit test: id, service, version set, deleted.
pub type TestRow = (Vec<u8>, Vec<u8>, String, bool);

/// The simulation unit test that a row holds.
///
/// # Errors
/// When a column is ill-formed.
pub fn simulation_unit_test(
    (bytes, service_id, version_set_name, deleted): &TestRow,
) -> Result<(SimulationUnitTestId, SimulationUnitTest), StoreError> {
    let place = "a simulation unit test";
    let test = SimulationUnitTest {
        service_id: id(place, service_id, ServiceId::from_bytes)?,
        version_set_name: text(place, version_set_name)?,
        deleted: *deleted,
    };
    Ok((id(place, bytes, SimulationUnitTestId::from_bytes)?, test))
}

/// The row of a role: name, grants.
pub type RoleRow = (String, String);

/// The grants of a role, from the JSON they are kept as.
///
/// # Errors
/// When it does not parse.
pub fn grants(role: &str, grants: &str) -> Result<Vec<Grant>, StoreError> {
    serde_json::from_str(grants).map_err(|fault| StoreError::corrupt(format_args!("role `{role}`"), fault))
}

/// The row of a user: organization and user of the principal, roles.
pub type UserRow = (String, String, String);

/// The user that a row holds.
///
/// # Errors
/// When a column is ill-formed.
pub fn user((organization, user, roles): &UserRow) -> Result<(Principal, BTreeSet<RoleName>), StoreError> {
    let place = "a user of the catalog";
    let principal = Principal { organization: text(place, organization)?, user: text(place, user)? };
    Ok((principal, self::roles(roles)?))
}

/// The names of a user's roles, from the JSON they are kept as.
///
/// # Errors
/// When it does not parse.
pub fn roles(roles: &str) -> Result<BTreeSet<RoleName>, StoreError> {
    serde_json::from_str(roles).map_err(|fault| StoreError::corrupt("the roles of a user", fault))
}

/// A role of a principal in an organization that is there: the principal's roles as they are kept, and name and grants of one
/// of them. A principal that the catalog does not know is one row without roles, one that has none a row without a role.
pub type StandingRow = (Option<String>, Option<String>, Option<String>);

/// What the rows of a principal amount to; without any there is no such organization.
///
/// # Errors
/// When a column is ill-formed, a role is missing, or the grants are too many.
pub fn standing(
    organization: &OrganizationId,
    principal: &Principal,
    rows: &[StandingRow],
) -> Result<Standing, StoreError> {
    let mut missing = match rows.first() {
        None => return Ok(Standing::UnknownOrganization),
        Some((None, ..)) => return Ok(Standing::UnknownPrincipal),
        Some((Some(roles), ..)) => self::roles(roles)?,
    };
    let mut grants = Vec::new();
    for (_, role, json) in rows {
        if let (Some(role), Some(json)) = (role, json) {
            grants.extend(self::grants(role, json)?);
            missing.remove(&text::<RoleName>("a role", role)?);
        }
    }
    let place = || format!("user `{principal}` of `{organization}`");
    if let Some(role) = missing.first() {
        return Err(StoreError::corrupt(place(), format_args!("there is no role `{role}`")));
    }
    let grants = Grants::new(grants).map_err(|fault| StoreError::corrupt(place(), fault))?;
    Ok(Standing::Known(grants))
}

/// The row of an LLM: name, deprecated.
pub type LlmRow = (String, bool);

/// The LLM that a row holds.
///
/// # Errors
/// When a column is ill-formed.
pub fn llm((name, deprecated): &LlmRow) -> Result<(LlmName, Llm), StoreError> {
    Ok((text("an LLM", name)?, Llm { deprecated: *deprecated }))
}

/// The rows of an organization's catalog.
#[derive(Debug, Clone, Default)]
pub struct CatalogRows {
    /// Its agents.
    pub agents: Vec<VersionedRow>,
    /// Its state machines.
    pub state_machines: Vec<VersionedRow>,
    /// Its simulation unit tests.
    pub simulation_unit_tests: Vec<TestRow>,
    /// Its roles.
    pub roles: Vec<RoleRow>,
    /// Its users.
    pub users: Vec<UserRow>,
}

impl CatalogRows {
    /// The catalog that the rows hold.
    ///
    /// # Errors
    /// When a column is ill-formed.
    pub fn catalog(&self) -> Result<OrganizationCatalog, StoreError> {
        Ok(OrganizationCatalog {
            agents: self.agents.iter().map(agent).collect::<Result<_, _>>()?,
            state_machines: self.state_machines.iter().map(state_machine).collect::<Result<_, _>>()?,
            simulation_unit_tests: self
                .simulation_unit_tests
                .iter()
                .map(simulation_unit_test)
                .collect::<Result<_, _>>()?,
            roles: self
                .roles
                .iter()
                .map(|(name, grants)| Ok((text("a role", name)?, self::grants(name, grants)?)))
                .collect::<Result<_, StoreError>>()?,
            users: self.users.iter().map(user).collect::<Result<_, _>>()?,
        })
    }
}
