//! A catalog to begin with, and documents that change it.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use service_core::catalog::{
    AgentEntry, LlmEntry, OrganizationEntry, RoleEntry, SimulationUnitTestEntry, StateMachineEntry, UserEntry,
};
use service_core::{
    AgentId, CatalogDocument, CatalogName, LlmName, OrganizationId, Principal, ServiceId,
    SimulationUnitTestId, StateMachineId, UserId, VersionNumber, VersionSetName,
};

use super::service::{agent_id, organization_id, state_machine_id};
use super::{grants, text};

/// Names of the LLMs that [`start`] adds; the last one is deprecated there.
pub const LLMS: [&str; 4] = ["llm-a", "LLM-A", "llm/é", "old"];

/// The organization of this number. Two of them differ only in case.
pub fn organization(number: u8) -> OrganizationId {
    match number {
        0 => organization_id("acme"),
        1 => organization_id("ACME"),
        number => organization_id(&format!("org-{number}")),
    }
}

/// The user of this number.
pub fn user(number: u8) -> UserId {
    format!("user {number}").parse().expect("a user id")
}

/// The user of this number, of the organization with a number.
pub fn principal(of: u8, number: u8) -> Principal {
    Principal { organization: organization(of), user: user(number) }
}

/// The version of this number.
pub fn version(number: i64) -> VersionNumber {
    VersionNumber::new(number).expect("a version number")
}

/// The simulation unit test of this number.
pub const fn test_id(number: u8) -> SimulationUnitTestId {
    SimulationUnitTestId::from_bytes([0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

/// An LLM, now and then one that is not known.
pub fn llm() -> impl Strategy<Value = LlmName> {
    prop_oneof![
        6 => select(&LLMS[..3]).prop_map(|name| name.parse().expect("an llm name")),
        1 => select(&["old", "unknown"][..]).prop_map(|name| name.parse().expect("an llm name")),
    ]
}

/// An agent: 0 and 1 are usable at first, 2 is deprecated, 3 has no versions, and there is no 4.
pub fn agent() -> impl Strategy<Value = AgentId> {
    prop_oneof![8 => 0..2_u8, 1 => 2..5_u8].prop_map(agent_id)
}

/// A state machine: 0 and 1 are usable at first, 2 is deprecated, 3 has no versions, and there is no 4.
pub fn state_machine() -> impl Strategy<Value = StateMachineId> {
    prop_oneof![8 => 0..2_u8, 1 => 2..5_u8].prop_map(state_machine_id)
}

/// An agent's entry.
pub fn agent_entry(number: u8, latest: Option<i64>, deprecated: bool) -> AgentEntry {
    AgentEntry {
        id: agent_id(number),
        name: CatalogName::new(&format!("agent {number}")).expect("a catalog name"),
        latest_version: latest.map(version),
        deprecated,
    }
}

/// A state machine's entry.
pub fn state_machine_entry(number: u8, latest: Option<i64>, deprecated: bool) -> StateMachineEntry {
    StateMachineEntry {
        id: state_machine_id(number),
        name: CatalogName::default(),
        latest_version: latest.map(version),
        deprecated,
    }
}

/// An entry of the role that may do everything, and of user 0, who has it.
pub fn administration() -> (RoleEntry, UserEntry) {
    let role = RoleEntry {
        name: "admin".parse().expect("a role name"),
        grants: grants::everything().iter().cloned().collect(),
    };
    let user = UserEntry { id: user(0), organization: None, roles: vec![role.name.clone()] };
    (role, user)
}

/// The catalog of an organization to begin with: agents and state machines of every kind, one role, one user.
pub fn organization_entry(id: OrganizationId) -> OrganizationEntry {
    let (role, user) = administration();
    OrganizationEntry {
        agents: vec![
            agent_entry(0, Some(3), false),
            agent_entry(1, Some(2), false),
            agent_entry(2, Some(3), true),
            agent_entry(3, None, false),
        ],
        state_machines: vec![
            state_machine_entry(0, Some(3), false),
            state_machine_entry(1, Some(2), false),
            state_machine_entry(2, Some(3), true),
            state_machine_entry(3, None, false),
        ],
        roles: vec![role],
        users: vec![user],
        ..OrganizationEntry::new(id)
    }
}

/// The LLMs, and these organizations with a catalog to begin with.
pub fn start(organizations: impl IntoIterator<Item = OrganizationId>) -> CatalogDocument {
    let llm =
        |&name: &&str| LlmEntry { name: name.parse().expect("an llm name"), deprecated: name == LLMS[3] };
    CatalogDocument {
        llms: LLMS.iter().map(llm).collect(),
        organizations: organizations.into_iter().map(organization_entry).collect(),
    }
}

/// A change of the catalog that may name a service, which is chosen when the services are known.
#[derive(Debug, Clone)]
pub struct CatalogRecipe {
    llms: Vec<LlmEntry>,
    agents: Vec<AgentEntry>,
    state_machines: Vec<StateMachineEntry>,
    tests: Vec<(u8, Index, VersionSetName, bool)>,
    roles: Vec<RoleEntry>,
    users: Vec<UserEntry>,
}

impl CatalogRecipe {
    /// The document, for an organization that has these services.
    pub fn document(&self, organization: &OrganizationId, services: &[ServiceId]) -> CatalogDocument {
        let test = |(number, service, version_set_name, deleted): &(u8, Index, VersionSetName, bool)| {
            SimulationUnitTestEntry {
                id: test_id(*number),
                service_id: choose(services, *service),
                version_set_name: version_set_name.clone(),
                deleted: *deleted,
            }
        };
        CatalogDocument {
            llms: self.llms.clone(),
            organizations: vec![OrganizationEntry {
                id: organization.clone(),
                agents: self.agents.clone(),
                state_machines: self.state_machines.clone(),
                simulation_unit_tests: self.tests.iter().map(test).collect(),
                roles: self.roles.clone(),
                users: self.users.clone(),
            }],
        }
    }
}

/// One of the services, now and then one that does not exist.
pub fn choose(services: &[ServiceId], index: Index) -> ServiceId {
    const TIMES: usize = 12;
    let chosen = services.get(index.index(services.len() * TIMES + 1) / TIMES);
    chosen.copied().unwrap_or(ServiceId::from_bytes([0xee; 12]))
}

fn latest() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![1 => Just(None), 8 => (2..7_i64).prop_map(Some), 1 => Just(Some(9))]
}

/// Changes of the catalog. Many are refused: versions that fall, tests without a target, unknown roles, entries twice.
pub fn recipe() -> BoxedStrategy<CatalogRecipe> {
    let llm = (llm(), any::<bool>()).prop_map(|(name, deprecated)| LlmEntry { name, deprecated });
    let versioned = || (0..4_u8, latest(), proptest::bool::weighted(0.3));
    let agent = versioned().prop_map(|(number, latest, deprecated)| agent_entry(number, latest, deprecated));
    let machine =
        versioned().prop_map(|(number, latest, deprecated)| state_machine_entry(number, latest, deprecated));
    let test = || (0..4_u8, any::<Index>(), text::version_set_name(), proptest::bool::weighted(0.3));
    let role_name =
        || select(&["admin", "reader", "absent"][..]).prop_map(|name| name.parse().expect("a role"));
    let role = (select(&["reader", "Reader"][..]), proptest::collection::vec(grants::grant(), 0..3))
        .prop_map(|(name, grants)| RoleEntry { name: name.parse().expect("a role"), grants });
    let user =
        (1..4_u8, proptest::option::of(1..3_u8), proptest::collection::vec(role_name(), 0..3)).prop_map(
            |(number, of, roles)| UserEntry { id: user(number), organization: of.map(organization), roles },
        );
    // Mostly one thing at a time: one entry that is refused is enough to refuse a document.
    (
        sparsely(llm),
        sparsely(agent),
        sparsely(machine),
        prop_oneof![1 => sparsely(test()), 1 => test().prop_map(|test| vec![test])],
        sparsely(role),
        sparsely(user),
    )
        .prop_map(|(llms, agents, state_machines, tests, roles, users)| CatalogRecipe {
            llms,
            agents,
            state_machines,
            tests,
            roles,
            users,
        })
        .boxed()
}

fn sparsely<S: Strategy>(entry: S) -> impl Strategy<Value = Vec<S::Value>>
where
    S::Value: Clone,
{
    prop_oneof![5 => Just(0_usize..1), 2 => Just(1..2), 1 => Just(2..3)].prop_flat_map({
        let entry = std::sync::Arc::new(entry);
        move |count| proptest::collection::vec(std::sync::Arc::clone(&entry), count)
    })
}
