use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::{
    CatalogDocument, Llm, Llms, OrganizationCatalog, OrganizationEntry, SimulationUnitTest, Versioned,
};
use crate::permission::{Grant, Grants, MAX_GRANTS};
use crate::service::Service;
use crate::value::{
    AgentId, LlmName, OrganizationId, Principal, RoleName, ServiceId, SimulationUnitTestId, StateMachineId,
    VersionNumber, VersionSetName,
};

/// Why a catalog document was refused. Nothing of it has been applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogRefusal {
    /// Two entries for one thing, so that the document does not say what it is to be.
    #[error("{kind} `{id}` comes twice")]
    Duplicate {
        /// What kind of entry.
        kind: &'static str,
        /// The thing's id.
        id: String,
    },
    /// Versions never go.
    #[error(
        "the latest version of {kind} `{id}` in organization `{organization}` would fall from {from} to {to}"
    )]
    VersionFalls {
        /// The organization.
        organization: OrganizationId,
        /// What kind of entry.
        kind: &'static str,
        /// The thing's id.
        id: String,
        /// The latest version so far.
        from: VersionNumber,
        /// What the document says, `none` if it says none.
        to: LatestVersion,
    },
    /// A live test uses a version set that is there, of a service that is active.
    #[error(
        "simulation unit test `{test}` in organization `{organization}` must name an existing version set of an active \
         service: {fault}"
    )]
    TestWithoutTarget {
        /// The organization.
        organization: OrganizationId,
        /// The test.
        test: SimulationUnitTestId,
        /// What is missing.
        fault: TestFault,
    },
    /// A user has only roles that the catalog has.
    #[error("user `{user}` in organization `{organization}` has the role `{role}`, which is unknown")]
    UnknownRole {
        /// The organization.
        organization: OrganizationId,
        /// The user.
        user: Principal,
        /// The role.
        role: RoleName,
    },
    /// A role has at most as many grants as a user can hold.
    #[error("role `{role}` in organization `{organization}` would have more than {MAX_GRANTS} grants")]
    TooLargeRole {
        /// The organization.
        organization: OrganizationId,
        /// The role.
        role: RoleName,
    },
    /// A user holds at most [`MAX_GRANTS`] grants.
    #[error("user `{user}` in organization `{organization}` would hold more than {MAX_GRANTS} grants")]
    TooManyGrants {
        /// The organization.
        organization: OrganizationId,
        /// The user.
        user: Principal,
    },
}

/// What a simulation unit test asks for and does not get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestFault {
    /// There is no such service.
    #[error("there is no service `{0}`")]
    NoService(ServiceId),
    /// The service is not active.
    #[error("service `{0}` is not active")]
    Inactive(ServiceId),
    /// The service has no such version set.
    #[error("service `{0}` has no version set `{1}`")]
    NoVersionSet(ServiceId, VersionSetName),
}

/// A latest version, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatestVersion(pub Option<VersionNumber>);

impl fmt::Display for LatestVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => version.fmt(formatter),
            None => formatter.write_str("none"),
        }
    }
}

/// Whether something was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not.
    Added,
    /// It was, and differs now.
    Changed,
}

/// What applying a document changes: only entries that differ from what was there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogChanges {
    /// LLMs.
    pub llms: BTreeMap<LlmName, (ChangeKind, Llm)>,
    /// Organizations, those in which nothing changes left out.
    pub organizations: BTreeMap<OrganizationId, OrganizationChanges>,
}

/// What changes in the catalog of one organization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrganizationChanges {
    /// Whether the organization itself is new.
    pub is_new: bool,
    /// Agents.
    pub agents: BTreeMap<AgentId, (ChangeKind, Versioned)>,
    /// State machines.
    pub state_machines: BTreeMap<StateMachineId, (ChangeKind, Versioned)>,
    /// Simulation unit tests.
    pub simulation_unit_tests: BTreeMap<SimulationUnitTestId, (ChangeKind, SimulationUnitTest)>,
    /// Roles.
    pub roles: BTreeMap<RoleName, (ChangeKind, Vec<Grant>)>,
    /// Users.
    pub users: BTreeMap<Principal, (ChangeKind, BTreeSet<RoleName>)>,
}

impl OrganizationChanges {
    /// What makes an organization that is not there have this catalog.
    pub fn adding(catalog: &OrganizationCatalog) -> Self {
        fn added<Id: Ord + Clone, Entry: Clone>(
            entries: &BTreeMap<Id, Entry>,
        ) -> BTreeMap<Id, (ChangeKind, Entry)> {
            entries.iter().map(|(id, entry)| (id.clone(), (ChangeKind::Added, entry.clone()))).collect()
        }
        Self {
            is_new: true,
            agents: added(&catalog.agents),
            state_machines: added(&catalog.state_machines),
            simulation_unit_tests: added(&catalog.simulation_unit_tests),
            roles: added(&catalog.roles),
            users: added(&catalog.users),
        }
    }

    fn is_empty(&self) -> bool {
        !self.is_new
            && self.agents.is_empty()
            && self.state_machines.is_empty()
            && self.simulation_unit_tests.is_empty()
            && self.roles.is_empty()
            && self.users.is_empty()
    }
}

impl CatalogChanges {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.llms.is_empty() && self.organizations.is_empty()
    }

    /// Decides what a document changes, given what is there: the LLMs, the catalog of each organization that the document
    /// names (`None` for one that does not exist), and the services of each that its tests name.
    ///
    /// # Errors
    /// The first reason to refuse the document, in the order of the document.
    pub fn decide<'a>(
        document: &CatalogDocument,
        llms: &Llms,
        catalog: impl Fn(&OrganizationId) -> Option<&'a OrganizationCatalog>,
        service: impl Fn(&OrganizationId, &ServiceId) -> Option<Arc<Service>>,
    ) -> Result<Self, CatalogRefusal> {
        document.says_everything_once()?;
        let llm_entries =
            document.llms.iter().map(|entry| (entry.name.clone(), Llm { deprecated: entry.deprecated }));
        let mut changes = Self { llms: changed(llm_entries, llms), organizations: BTreeMap::new() };
        for entry in &document.organizations {
            let changed =
                OrganizationChanges::decide(entry, catalog(&entry.id), |id| service(&entry.id, id))?;
            if !changed.is_empty() {
                changes.organizations.insert(entry.id.clone(), changed);
            }
        }
        Ok(changes)
    }
}

impl OrganizationChanges {
    fn decide(
        entry: &OrganizationEntry,
        catalog: Option<&OrganizationCatalog>,
        service: impl Fn(&ServiceId) -> Option<Arc<Service>>,
    ) -> Result<Self, CatalogRefusal> {
        let is_new = catalog.is_none();
        let nothing = OrganizationCatalog::default();
        let catalog = catalog.unwrap_or(&nothing);
        let organization = &entry.id;

        let agents = entry.agents.iter().cloned().map(super::AgentEntry::into_parts);
        let agents = changed(agents, &catalog.agents);
        versions_do_not_fall("agent", organization, &agents, &catalog.agents)?;
        let state_machines = entry.state_machines.iter().cloned().map(super::StateMachineEntry::into_parts);
        let state_machines = changed(state_machines, &catalog.state_machines);
        versions_do_not_fall("state machine", organization, &state_machines, &catalog.state_machines)?;

        let tests =
            entry.simulation_unit_tests.iter().cloned().map(super::SimulationUnitTestEntry::into_parts);
        let simulation_unit_tests = changed(tests, &catalog.simulation_unit_tests);
        for (id, (_, test)) in &simulation_unit_tests {
            has_target(test, &service).map_err(|fault| CatalogRefusal::TestWithoutTarget {
                organization: organization.clone(),
                test: *id,
                fault,
            })?;
        }

        let roles = entry.roles.iter().map(|role| (role.name.clone(), role.grants.clone()));
        let roles = changed(roles, &catalog.roles);
        if let Some((role, _)) = roles.iter().find(|(_, (_, grants))| grants.len() > MAX_GRANTS) {
            let (organization, role) = (organization.clone(), role.clone());
            return Err(CatalogRefusal::TooLargeRole { organization, role });
        }
        let users = entry
            .users
            .iter()
            .map(|user| (user.principal(organization), user.roles.iter().cloned().collect()));
        let users = changed(users, &catalog.users);
        let changes = Self { is_new, agents, state_machines, simulation_unit_tests, roles, users };
        changes.users_can_hold_their_grants(organization, catalog)?;
        Ok(changes)
    }

    /// Checks the users that change, and those that have a role that changes.
    fn users_can_hold_their_grants(
        &self,
        organization: &OrganizationId,
        catalog: &OrganizationCatalog,
    ) -> Result<(), CatalogRefusal> {
        let changed = self.users.iter().map(|(user, (_, roles))| (user, roles));
        let concerned = catalog.users.iter().filter(|(user, roles)| {
            !self.users.contains_key(user) && roles.iter().any(|role| self.roles.contains_key(role))
        });
        for (user, roles) in changed.chain(concerned) {
            let mut grants = Vec::new();
            for role in roles {
                let changed = self.roles.get(role).map(|(_, grants)| grants);
                grants.push(changed.or_else(|| catalog.roles.get(role)).ok_or_else(|| {
                    CatalogRefusal::UnknownRole {
                        organization: organization.clone(),
                        user: user.clone(),
                        role: role.clone(),
                    }
                })?);
            }
            Grants::new(grants.into_iter().flatten().cloned()).map_err(|_| {
                CatalogRefusal::TooManyGrants { organization: organization.clone(), user: user.clone() }
            })?;
        }
        Ok(())
    }
}

/// The entries that differ from what is there.
fn changed<Id: Ord, Entry: PartialEq>(
    entries: impl Iterator<Item = (Id, Entry)>,
    present: &BTreeMap<Id, Entry>,
) -> BTreeMap<Id, (ChangeKind, Entry)> {
    let differing = entries.filter_map(|(id, entry)| match present.get(&id) {
        None => Some((id, (ChangeKind::Added, entry))),
        Some(before) if *before != entry => Some((id, (ChangeKind::Changed, entry))),
        Some(_) => None,
    });
    differing.collect()
}

fn versions_do_not_fall<Id: Ord + fmt::Display>(
    kind: &'static str,
    organization: &OrganizationId,
    changed: &BTreeMap<Id, (ChangeKind, Versioned)>,
    present: &BTreeMap<Id, Versioned>,
) -> Result<(), CatalogRefusal> {
    for (id, (_, after)) in changed {
        let before = present.get(id).and_then(|before| before.latest_version);
        if let Some(from) = before.filter(|_| after.latest_version < before) {
            return Err(CatalogRefusal::VersionFalls {
                organization: organization.clone(),
                kind,
                id: id.to_string(),
                from,
                to: LatestVersion(after.latest_version),
            });
        }
    }
    Ok(())
}

fn has_target(
    test: &SimulationUnitTest,
    service: impl Fn(&ServiceId) -> Option<Arc<Service>>,
) -> Result<(), TestFault> {
    if test.deleted {
        return Ok(());
    }
    let target = service(&test.service_id).ok_or(TestFault::NoService(test.service_id))?;
    if !target.is_active {
        return Err(TestFault::Inactive(test.service_id));
    }
    if target.version_sets.get(&test.version_set_name).is_none() {
        return Err(TestFault::NoVersionSet(test.service_id, test.version_set_name.clone()));
    }
    Ok(())
}

impl OrganizationCatalog {
    /// Takes over changes that were decided on this catalog.
    pub fn apply(&mut self, changes: &OrganizationChanges) {
        fn take<Id: Ord + Clone, Entry: Clone>(
            entries: &mut BTreeMap<Id, Entry>,
            changed: &BTreeMap<Id, (ChangeKind, Entry)>,
        ) {
            entries.extend(changed.iter().map(|(id, (_, entry))| (id.clone(), entry.clone())));
        }
        take(&mut self.agents, &changes.agents);
        take(&mut self.state_machines, &changes.state_machines);
        take(&mut self.simulation_unit_tests, &changes.simulation_unit_tests);
        take(&mut self.roles, &changes.roles);
        take(&mut self.users, &changes.users);
    }
}

impl fmt::Display for CatalogChanges {
    /// One line for each change, or `nothing changed`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn lines<Id: fmt::Display, Entry>(
            formatter: &mut fmt::Formatter<'_>,
            place: &str,
            kind: &str,
            changed: &BTreeMap<Id, (ChangeKind, Entry)>,
        ) -> fmt::Result {
            changed.iter().try_for_each(|(id, (change, _))| match change {
                ChangeKind::Added => writeln!(formatter, "{place}added {kind} {id}"),
                ChangeKind::Changed => writeln!(formatter, "{place}changed {kind} {id}"),
            })
        }
        if self.is_empty() {
            return writeln!(formatter, "nothing changed");
        }
        lines(formatter, "", "llm", &self.llms)?;
        for (id, organization) in &self.organizations {
            if organization.is_new {
                writeln!(formatter, "added organization {id}")?;
            }
            let place = format!("{id}: ");
            lines(formatter, &place, "agent", &organization.agents)?;
            lines(formatter, &place, "state machine", &organization.state_machines)?;
            lines(formatter, &place, "simulation unit test", &organization.simulation_unit_tests)?;
            lines(formatter, &place, "role", &organization.roles)?;
            lines(formatter, &place, "user", &organization.users)?;
        }
        Ok(())
    }
}
