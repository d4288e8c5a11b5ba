//! Who may do what.

use service_core::{Access, ApiKeyHash, Grants, Principal, Standing, Timestamp};

use crate::support::{Pair, acme};

fn principal(organization: &str, user: &str) -> Principal {
    Principal { organization: organization.parse().unwrap(), user: user.parse().unwrap() }
}

#[tokio::test]
async fn a_principal_holds_the_grants_of_its_roles() {
    let mut pair = Pair::new().await;
    for (organization, user) in [("acme", "alice"), ("partner", "bob"), ("acme", "carol")] {
        let principal = principal(organization, user);
        let wanted = pair.model.record().catalog.grants(&principal).unwrap().unwrap();
        assert_eq!(pair.store.standing(&acme(), &principal).await.unwrap(), Standing::Known(wanted));
    }
    let nobody = Standing::Known(Grants::default());
    assert_eq!(pair.store.standing(&acme(), &principal("acme", "carol")).await.unwrap(), nobody);
    let of_another = principal("acme", "bob");
    assert_eq!(pair.store.standing(&acme(), &of_another).await.unwrap(), Standing::UnknownPrincipal);
    let nowhere = "nowhere".parse().unwrap();
    let standing = pair.store.standing(&nowhere, &principal("acme", "alice")).await.unwrap();
    assert_eq!(standing, Standing::UnknownOrganization);

    pair.apply(r#"{"organizations": [{"id": "acme", "users": [{"id": "alice"}]}]}"#).await;
    assert_eq!(pair.store.standing(&acme(), &principal("acme", "alice")).await.unwrap(), nobody);
}

#[tokio::test]
async fn an_api_key_is_known_by_its_hash_and_only_where_it_was_added() {
    let mut pair = Pair::new().await;
    pair.apply(r#"{"organizations": [{"id": "beta"}]}"#).await;
    let (id, time) = ("key-1".parse().unwrap(), Timestamp::UNIX_EPOCH);
    let (store, beta) = (&pair.store, "beta".parse().unwrap());
    assert!(store.add_api_key(&acme(), &id, &ApiKeyHash::of("secret"), time).await.unwrap());
    assert!(store.verify_api_key(&acme(), &id, "secret").await.unwrap());
    for wrong in ["", "Secret", "secret "] {
        assert!(!store.verify_api_key(&acme(), &id, wrong).await.unwrap());
    }
    assert!(!store.verify_api_key(&beta, &id, "secret").await.unwrap());
    assert!(!store.verify_api_key(&acme(), &"key-2".parse().unwrap(), "secret").await.unwrap());

    // An id that is taken keeps its key.
    assert!(!store.add_api_key(&acme(), &id, &ApiKeyHash::of("another"), time).await.unwrap());
    assert!(store.verify_api_key(&acme(), &id, "secret").await.unwrap());
    assert!(!store.verify_api_key(&acme(), &id, "another").await.unwrap());
    let nowhere = "nowhere".parse().unwrap();
    assert!(!store.add_api_key(&nowhere, &id, &ApiKeyHash::of("secret"), time).await.unwrap());
    assert!(store.add_api_key(&beta, &id, &ApiKeyHash::of("another"), time).await.unwrap());
}
