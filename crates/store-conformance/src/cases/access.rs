//! Access: what principals hold, and API keys.

use service_core::catalog::{OrganizationEntry, RoleEntry, UserEntry};
use service_core::{
    ApiKeyHash, ApiKeyId, CatalogDocument, Grants, OrganizationId, Principal, Standing, Timestamp,
};

use super::Setting;
use crate::generate::catalog::{organization, principal, user};
use crate::generate::{Draws, grants};
use crate::store::Fresh;

async fn standing(setting: &Setting, organization: &OrganizationId, principal: &Principal) -> Standing {
    setting.store.access.standing(organization, principal).await.expect("a standing")
}

/// A user holds the grants of its roles, each once, as the catalog says at that moment.
pub async fn standing_follows_the_catalog(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let admin = standing(&setting, &setting.acme, &principal(0, 0)).await;
    let Standing::Known(held) = admin else { panic!("known, and not {admin:?}") };
    assert_eq!(held.iter().len(), 6);
    assert_eq!(standing(&setting, &setting.acme, &principal(0, 1)).await, Standing::UnknownPrincipal);
    let mut draws = Draws::seeded(31);
    let names = ["one", "two", "Two"].map(|name| name.parse().expect("a role name"));
    for round in 0..20_usize {
        let roles: Vec<RoleEntry> = names
            .iter()
            .map(|name: &service_core::RoleName| RoleEntry {
                name: name.clone(),
                grants: draws.several(round % 4, &grants::grant()),
            })
            .collect();
        let held: Vec<RoleEntry> = roles.iter().take(round % 4).cloned().collect();
        let entry = OrganizationEntry {
            roles,
            users: vec![UserEntry {
                id: user(1),
                organization: None,
                roles: held.iter().map(|role| role.name.clone()).collect(),
            }],
            ..OrganizationEntry::new(setting.acme.clone())
        };
        setting.apply(&CatalogDocument { llms: Vec::new(), organizations: vec![entry] }).await;
        let expected = setting.record(&setting.acme).await.catalog.grants(&principal(0, 1)).expect("grants");
        let known = standing(&setting, &setting.acme, &principal(0, 1)).await;
        assert_eq!(Standing::Known(expected.expect("a user")), known);
        let Standing::Known(known) = known else { panic!("known") };
        let written = Grants::new(held.into_iter().flat_map(|role| role.grants)).expect("few grants");
        assert!(written.iter().all(|grant| known.iter().any(|other| other == grant)));
        assert_eq!(written.iter().len(), known.iter().len());
    }
}

/// The same user name is another principal where another organization issued it, and nothing is held elsewhere.
pub async fn standing_knows_issuers_apart(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let entry = OrganizationEntry {
        users: vec![UserEntry { id: user(0), organization: Some(organization(2)), roles: Vec::new() }],
        ..OrganizationEntry::new(setting.acme.clone())
    };
    setting.apply(&CatalogDocument { llms: Vec::new(), organizations: vec![entry] }).await;
    let foreign = standing(&setting, &setting.acme, &principal(2, 0)).await;
    assert_eq!(foreign, Standing::Known(Grants::default()), "known, and holds nothing");
    let own = standing(&setting, &setting.acme, &principal(0, 0)).await;
    assert!(matches!(own, Standing::Known(held) if held.iter().len() == 6));
    let case = standing(&setting, &setting.acme, &principal(1, 0)).await;
    assert_eq!(case, Standing::UnknownPrincipal, "an organization whose id differs in case");
    assert_eq!(standing(&setting, &setting.other, &principal(2, 0)).await, Standing::UnknownPrincipal);
    assert_eq!(standing(&setting, &organization(9), &principal(0, 0)).await, Standing::UnknownOrganization);
}

fn key_id(id: &str) -> ApiKeyId {
    id.parse().expect("an api key id")
}

/// A key verifies in its organization, under its id, with its secret; nothing else does.
pub async fn api_keys_verify_only_their_own_secret(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let access = &setting.store.access;
    for (id, secret) in [("key", "secret"), ("other", "geheim 🔑")] {
        let added = access
            .add_api_key(&setting.acme, &key_id(id), &ApiKeyHash::of(secret), Timestamp::UNIX_EPOCH)
            .await;
        assert!(added.expect("an answer"));
    }
    for (organization, id, secret, good) in [
        (&setting.acme, "key", "secret", true),
        (&setting.acme, "other", "geheim 🔑", true),
        (&setting.acme, "key", "geheim 🔑", false),
        (&setting.acme, "key", "Secret", false),
        (&setting.acme, "key", "secret ", false),
        (&setting.acme, "key", "", false),
        (&setting.acme, "Key", "secret", false),
        (&setting.acme, "none", "secret", false),
        (&setting.other, "key", "secret", false),
        (&organization(9), "key", "secret", false),
    ] {
        let verified = access.verify_api_key(organization, &key_id(id), secret).await.expect("an answer");
        assert_eq!(verified, good, "{organization} {id} {secret:?}");
    }
}

/// An id that is taken is not given another secret, and an organization that does not exist gets no key.
pub async fn api_keys_are_added_once(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let access = &setting.store.access;
    let add = async |organization: &OrganizationId, secret: &str| {
        let hash = ApiKeyHash::of(secret);
        let added = access.add_api_key(organization, &key_id("key"), &hash, Timestamp::UNIX_EPOCH).await;
        added.expect("an answer")
    };
    let verify = async |organization: &OrganizationId, secret: &str| {
        access.verify_api_key(organization, &key_id("key"), secret).await.expect("an answer")
    };
    assert!(add(&setting.acme, "first").await);
    assert!(!add(&setting.acme, "second").await);
    assert!(verify(&setting.acme, "first").await && !verify(&setting.acme, "second").await);
    assert!(add(&setting.other, "second").await, "the id is free in another organization");
    assert!(verify(&setting.other, "second").await);
    assert!(!add(&organization(9), "third").await);
    let unknown = setting.repository().organization(&organization(9)).await;
    assert_eq!(unknown.expect("an answer"), None);
}
