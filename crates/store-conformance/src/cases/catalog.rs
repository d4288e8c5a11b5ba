//! Catalog documents: whole or not at all, once, and nothing that would break an invariant.

use service_core::catalog::{
    ChangeKind, LlmEntry, OrganizationEntry, RoleEntry, SimulationUnitTestEntry, TestFault, UserEntry,
};
use service_core::{
    CatalogDocument, CatalogRefusal, Grant, OrganizationId, RoleName, ServiceId, VersionSetName,
};

use super::{Setting, activate};
use crate::generate::catalog::{
    LLMS, agent_entry, organization, organization_entry, principal, start, state_machine_entry, test_id,
    user, version,
};
use crate::generate::service::agent_id;
use crate::store::Fresh;

fn document(organizations: Vec<OrganizationEntry>) -> CatalogDocument {
    CatalogDocument { llms: Vec::new(), organizations }
}

fn entry(id: &OrganizationId) -> OrganizationEntry {
    OrganizationEntry::new(id.clone())
}

fn role(name: &str) -> RoleName {
    name.parse().expect("a role name")
}

fn test(number: u8, service_id: ServiceId, name: &str) -> SimulationUnitTestEntry {
    let version_set_name: VersionSetName = name.parse().expect("a version set name");
    SimulationUnitTestEntry { id: test_id(number), service_id, version_set_name, deleted: false }
}

/// What a document says is there when it returns, in all the organizations it names; what it does not mention stays; each
/// organization's catalog revision moves by one if anything changed there.
pub async fn applies_whole_and_moves_on_by_one(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let service = setting.create("s", true).await;
    let before = setting.state(&setting.acme).await;
    let mut first = entry(&setting.acme);
    first.agents = vec![agent_entry(0, Some(9), true), agent_entry(7, None, false)];
    first.state_machines = vec![state_machine_entry(0, Some(4), false)];
    first.simulation_unit_tests = vec![test(0, service.id, "release")];
    first.roles = vec![RoleEntry { name: role("reader"), grants: Vec::new() }];
    first.users = vec![UserEntry {
        id: user(5),
        organization: Some(organization(3)),
        roles: vec![role("reader"), role("admin")],
    }];
    let changes = setting.apply(&document(vec![first, entry(&setting.other), entry(&organization(3))])).await;
    let changed: Vec<_> = changes.organizations.keys().cloned().collect();
    assert_eq!(changed, [setting.acme.clone(), organization(3)], "nothing changes in the other one");
    let in_acme = &changes.organizations[&setting.acme];
    assert_eq!(in_acme.agents[&agent_id(0)].0, ChangeKind::Changed);
    assert_eq!(in_acme.agents[&agent_id(7)].0, ChangeKind::Added);

    let mut expected = before.clone();
    expected.apply_catalog(in_acme);
    let after = setting.state(&setting.acme).await;
    assert_eq!(after, expected);
    assert_eq!(after.record().catalog_revision, before.record().catalog_revision.next());
    assert_eq!(after.record().revision, before.record().revision, "services keep theirs");
    assert_eq!(after.record().catalog.agents[&agent_id(0)].latest_version, Some(version(9)));
    assert_eq!(after.record().catalog.agents.len(), 5, "what is not mentioned stays");
    assert_eq!(setting.record(&setting.other).await.catalog_revision.get(), 1);
    assert_eq!(setting.record(&organization(3)).await.catalog_revision.get(), 1);
}

/// Applied again, a document changes nothing, and no catalog revision moves.
pub async fn is_idempotent(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let service = setting.create("s", true).await;
    let mut full = organization_entry(setting.acme.clone());
    full.simulation_unit_tests = vec![test(1, service.id, "edge")];
    full.agents[0].deprecated = true;
    let document = CatalogDocument { organizations: vec![full], ..start([]) };
    assert!(!setting.apply(&document).await.is_empty());
    let before = setting.state(&setting.acme).await;
    let again = setting.apply(&document).await;
    assert!(again.is_empty(), "{again}");
    assert_eq!(setting.state(&setting.acme).await, before);
    assert!(setting.apply(&CatalogDocument::default()).await.is_empty(), "an empty document changes nothing");
}

/// The last entry of the last organization is refused, and everything before it, LLMs and new organizations among it, is not
/// applied either.
pub async fn applies_nothing_of_what_it_refuses(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let mut good = entry(&setting.acme);
    good.agents = vec![agent_entry(0, Some(9), false), agent_entry(8, Some(1), false)];
    good.users = vec![UserEntry { id: user(4), organization: None, roles: Vec::new() }];
    let mut bad = entry(&setting.other);
    bad.roles = vec![RoleEntry { name: role("new"), grants: Vec::new() }];
    bad.users = vec![UserEntry { id: user(4), organization: None, roles: vec![role("absent")] }];
    let llms = vec![LlmEntry { name: "new".parse().expect("an llm name"), deprecated: false }];
    let refused = CatalogDocument { llms, organizations: vec![good, entry(&organization(6)), bad] };
    let refusal = setting.refused(&refused).await;
    assert!(matches!(refusal, CatalogRefusal::UnknownRole { .. }));
    let new = setting.repository().organization(&organization(6)).await;
    assert_eq!(new.expect("an answer"), None);
}

/// Two entries for one thing do not say what it is to be, even if they say the same.
pub async fn refuses_entries_that_come_twice(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let service = setting.create("s", true).await;
    let with = |change: &dyn Fn(&mut OrganizationEntry)| {
        let mut entry = entry(&setting.acme);
        change(&mut entry);
        document(vec![entry])
    };
    let agent = agent_entry(0, Some(3), false);
    let machine = state_machine_entry(0, Some(3), false);
    let someone = |organization| UserEntry { id: user(0), organization, roles: vec![role("admin")] };
    let llm = LlmEntry { name: LLMS[0].parse().expect("an llm name"), deprecated: false };
    let documents = [
        ("llm", CatalogDocument { llms: vec![llm.clone(), llm], organizations: Vec::new() }),
        ("organization", document(vec![entry(&setting.acme), entry(&setting.acme)])),
        ("agent", with(&|entry| entry.agents = vec![agent.clone(); 2])),
        ("state machine", with(&|entry| entry.state_machines = vec![machine.clone(); 2])),
        (
            "simulation unit test",
            with(&|entry| entry.simulation_unit_tests = vec![test(0, service.id, "edge"); 2]),
        ),
        ("role", with(&|entry| entry.roles = vec![RoleEntry { name: role("r"), grants: Vec::new() }; 2])),
        ("user", with(&|entry| entry.users = vec![someone(None), someone(Some(setting.acme.clone()))])),
    ];
    for (wanted, document) in documents {
        let refusal = setting.refused(&document).await;
        assert!(matches!(&refusal, CatalogRefusal::Duplicate { kind, .. } if *kind == wanted), "{refusal}");
    }
}

/// Versions never go: neither to fewer nor to none.
pub async fn refuses_versions_that_fall(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    for latest in [Some(2), None] {
        let mut agents = entry(&setting.acme);
        agents.agents = vec![agent_entry(0, latest, false)];
        let mut machines = entry(&setting.acme);
        machines.state_machines = vec![state_machine_entry(0, latest, false)];
        for (wanted, entry) in [("agent", agents), ("state machine", machines)] {
            let refusal = setting.refused(&document(vec![entry])).await;
            let CatalogRefusal::VersionFalls { kind, from, to, .. } = &refusal else { panic!("{refusal}") };
            assert_eq!((*kind, *from, to.0), (wanted, version(3), latest.map(version)));
        }
    }
}

/// A live test names an existing version set of an active service; and the service keeps being that while the test lives.
pub async fn refuses_tests_without_a_target(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let active = setting.create("active", true).await;
    let inactive = setting.create("inactive", false).await;
    let elsewhere = setting.create_in(&setting.other, "elsewhere", true).await;
    let nowhere = ServiceId::from_bytes([9; 12]);
    let preview: VersionSetName = "preview".parse().expect("a version set name");
    let with = |test: SimulationUnitTestEntry| {
        let mut entry = entry(&setting.acme);
        entry.simulation_unit_tests = vec![test];
        document(vec![entry])
    };
    for (test, wanted) in [
        (test(0, nowhere, "edge"), TestFault::NoService(nowhere)),
        (test(0, elsewhere.id, "edge"), TestFault::NoService(elsewhere.id)),
        (test(0, inactive.id, "edge"), TestFault::Inactive(inactive.id)),
        (test(0, active.id, "preview"), TestFault::NoVersionSet(active.id, preview)),
    ] {
        let refusal = setting.refused(&with(test.clone())).await;
        assert!(matches!(&refusal, CatalogRefusal::TestWithoutTarget { fault, .. } if *fault == wanted));
        setting.apply(&with(SimulationUnitTestEntry { deleted: true, ..test })).await;
    }
    setting.apply(&with(test(1, active.id, "release"))).await;
    let off = setting.registry.update(&setting.acme, &setting.admin, active.id, &activate(false)).await;
    assert!(off.is_err(), "a live test uses it");
    setting.apply(&with(SimulationUnitTestEntry { deleted: true, ..test(1, active.id, "release") })).await;
    setting.update(active.id, activate(false)).await;
    setting.refused(&with(test(1, active.id, "release"))).await;
}

/// A user has only roles that the catalog has, those of the same document included.
pub async fn refuses_roles_that_are_unknown(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let mut with = entry(&setting.acme);
    with.users = vec![UserEntry { id: user(1), organization: None, roles: vec![role("Admin")] }];
    let refusal = setting.refused(&document(vec![with.clone()])).await;
    let CatalogRefusal::UnknownRole { user, role: unknown, .. } = refusal else { panic!("{refusal}") };
    assert_eq!((user, unknown), (principal(0, 1), role("Admin")));
    with.roles = vec![RoleEntry { name: role("Admin"), grants: Vec::new() }];
    setting.apply(&document(vec![with])).await;
}

/// A user holds at most 64 different grants, whether the user changes or one of its roles.
pub async fn refuses_too_many_grants(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let grants = |range: std::ops::Range<usize>| -> Vec<Grant> {
        let grant = |number: usize| {
            let name = serde_json::json!({ "name": { "type": "Equals", "value": number.to_string() } });
            let json = serde_json::json!({ "permission_name": "Service:GetService", "conditions": name });
            serde_json::from_value(json).expect("a grant")
        };
        range.map(grant).collect()
    };
    let with = |roles: &[(&str, std::ops::Range<usize>)], held: &[&str]| {
        let mut entry = entry(&setting.acme);
        entry.roles = roles
            .iter()
            .map(|(name, range)| RoleEntry { name: role(name), grants: grants(range.clone()) })
            .collect();
        if !held.is_empty() {
            let roles = held.iter().map(|name| role(name)).collect();
            entry.users = vec![UserEntry { id: user(1), organization: None, roles }];
        }
        document(vec![entry])
    };
    // The two roles have four grants in common, and those count once.
    setting.apply(&with(&[("one", 0..34), ("two", 30..64), ("three", 64..65)], &["one", "two"])).await;
    let too_many = |refusal| matches!(refusal, CatalogRefusal::TooManyGrants { .. });
    assert!(too_many(setting.refused(&with(&[], &["one", "two", "three"])).await), "the user changes");
    assert!(too_many(setting.refused(&with(&[("one", 100..135)], &[])).await), "its role changes");
    setting.apply(&with(&[("one", 30..64)], &["one", "two", "three"])).await;
}

/// LLMs are known to every organization, and a change of them is no change of an organization.
pub async fn keeps_llms_for_the_whole_store(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let llms = setting.llms().await;
    assert!(llms.keys().map(service_core::LlmName::as_str).eq({
        let mut names = LLMS;
        names.sort_unstable();
        names
    }));
    let entry = |name: &str, deprecated| LlmEntry { name: name.parse().expect("an llm name"), deprecated };
    let update = vec![entry(LLMS[0], true), entry(LLMS[3], false), entry("neu ☃", false)];
    setting.apply(&CatalogDocument { llms: update, organizations: Vec::new() }).await;
    let after = setting.llms().await;
    assert_eq!(after.len(), 5);
    let deprecated = |name: &str| after[name].deprecated;
    assert!(deprecated(LLMS[0]) && !deprecated(LLMS[3]) && !deprecated(LLMS[1]));
    for organization in [&setting.acme, &setting.other] {
        assert_eq!(setting.record(organization).await.catalog_revision.get(), 1);
    }
}
