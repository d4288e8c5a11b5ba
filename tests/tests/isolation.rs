//! Two organizations in one store, over HTTP: whoever asks, whatever they forge, nothing of another organization is in the answer, nor a
//! service that they may not see, and nothing changes that they may not change.
//!
//! Organizations, grants and requests are random. What may be seen is told by the grants as they stand in the catalog, condition by
//! condition, not by the core's own evaluation of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use service_core::catalog::{OrganizationEntry, RoleEntry, UserEntry};
use service_core::{
    Attribute, AttributeValue, CatalogDocument, Condition, CreateService, Environment as _, Grant,
    OrganizationId, Permission, Principal, Registry, Service,
};
use service_http::{Api, Tokens, router};
use service_registry_tests::stores;
use store_conformance::Store;
use store_conformance::environment::TestEnvironment;
use store_conformance::generate::{catalog, grants, request};
use store_conformance::world::administrator;
use store_memory::MemoryStore;
use tower::ServiceExt as _;

/// How many pairs of organizations, on each store (`PROPTEST_CASES` says another number), and how many requests to each pair.
const PAIRS: u32 = 6;
const REQUESTS: usize = 60;

/// Who asks, and what.
#[derive(Debug, Clone)]
struct Ask {
    /// The organization that issued the token, and the user.
    principal: (u8, u8),
    addressed: u8,
    named: Named,
    cluster: Option<&'static str>,
    what: What,
}

/// What the header `X-ORG-ID` says.
#[derive(Debug, Clone, Copy)]
enum Named {
    /// Which organization issued the token.
    Truly,
    Nothing,
    This(&'static str),
}

#[derive(Debug, Clone)]
enum What {
    List { ids: Vec<Index>, token: Option<Index>, tag: Option<&'static str>, sort: &'static str, limit: u8 },
    Update(Index, bool),
    Upsert(Index),
    Delete(Index),
    Create,
}

fn ask() -> impl Strategy<Value = Ask> {
    let list = (
        proptest::collection::vec(any::<Index>(), 0..3),
        proptest::option::weighted(0.7, any::<Index>()),
        proptest::option::weighted(0.2, select(vec!["mark:*", "mark:0", "mark:1", "a:*", "a:a"])),
        select(vec!["", "&sort_by=-name", "&sort_by=%2Bis_active&sort_by=%2Bname"]),
        1..=20_u8,
    );
    let what = prop_oneof![
        5 => list.prop_map(|(ids, token, tag, sort, limit)| What::List { ids, token, tag, sort, limit }),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(id, active)| What::Update(id, active)),
        1 => any::<Index>().prop_map(What::Upsert),
        1 => any::<Index>().prop_map(What::Delete),
        1 => Just(What::Create),
    ];
    let named = prop_oneof![
        6 => Just(Named::Truly),
        2 => Just(Named::Nothing),
        1 => select(vec!["acme", "ACME", "nowhere", ""]).prop_map(Named::This),
    ];
    let cluster = prop_oneof![8 => Just(None), 1 => Just(Some("west")), 1 => Just(Some("acme"))];
    ((0..2_u8, 0..4_u8), 0..2_u8, named, cluster, what).prop_map(
        |(principal, addressed, named, cluster, what)| Ask { principal, addressed, named, cluster, what },
    )
}

/// Random roles of an organization: who of either organization has which grants there.
type Roles = Vec<(u8, u8, Vec<Grant>)>;

fn roles() -> impl Strategy<Value = Roles> {
    let seeing = grants::grant_of(Permission::GetService);
    let grant = prop_oneof![1 => seeing, 1 => grants::grant().boxed()];
    let user = (0..2_u8, 0..3_u8, proptest::collection::vec(grant, 0..4));
    proptest::collection::vec(user, 2..5)
}

/// The catalog of an organization in which these have these grants.
fn entry(number: u8, roles: &Roles) -> OrganizationEntry {
    let mut entry = catalog::organization_entry(catalog::organization(number));
    let mut users = BTreeSet::new();
    for (index, (of, user, grants)) in roles.iter().enumerate() {
        // User 0 of the organization itself is its administrator.
        if (*of, *user) == (number, 0) || !users.insert((*of, *user)) {
            continue;
        }
        let name: service_core::RoleName = format!("role {index}").parse().expect("a role name");
        entry.roles.push(RoleEntry { name: name.clone(), grants: grants.clone() });
        let organization = Some(catalog::organization(*of)).filter(|of| *of != entry.id);
        entry.users.push(UserEntry { id: catalog::user(*user), organization, roles: vec![name] });
    }
    entry
}

/// A text that is in every service of an organization, and in no request.
fn mark(number: u8) -> String {
    format!("hidden in organization {number}")
}

/// What the world knows of an organization.
struct Known {
    history: Vec<Arc<Service>>,
    /// What the asking principal holds there.
    grants: Vec<Grant>,
    exists: bool,
}

impl Known {
    fn revision(&self) -> usize {
        self.history.len()
    }

    /// Whether the principal may see a service as it was in a revision.
    fn admits(&self, service: &Service) -> bool {
        let mut seeing = self.grants.iter().filter(|grant| grant.permission() == Permission::GetService);
        seeing.any(|grant| {
            grant.conditions().iter().all(|(attribute, condition)| holds(attribute, condition, service))
        })
    }

    fn holds(&self, permission: Permission) -> bool {
        self.grants.iter().any(|grant| grant.permission() == permission)
    }
}

/// A condition of a grant, evaluated once more, from what the design says of it.
fn holds(attribute: &Attribute, condition: &Condition, service: &Service) -> bool {
    let text = |text: &str| Some(AttributeValue::Text(text.into()));
    let actual = match attribute {
        Attribute::ServiceId => text(&service.id.to_string()),
        Attribute::Name => text(service.name.as_str()),
        Attribute::IsActive => Some(AttributeValue::Boolean(service.is_active)),
        Attribute::AgentId => text(&service.agent_id.to_string()),
        Attribute::StateMachineId => text(&service.state_machine_id.to_string()),
        Attribute::Tag(key) => {
            service.tags.iter().find(|(other, _)| *other == key.as_str()).map(|(_, value)| match value {
                Some(value) => AttributeValue::Text(value.into()),
                None => AttributeValue::Null,
            })
        }
        Attribute::VersionSetName => None,
    };
    match condition {
        Condition::Equals { value } => actual.as_ref() == Some(value),
        Condition::NotEquals { value } => actual.as_ref() != Some(value),
        Condition::In { values } => actual.is_some_and(|actual| values.contains(&actual)),
    }
}

struct Pair {
    store: Store,
    app: Router,
    tokens: Tokens,
    environment: Arc<TestEnvironment>,
}

impl Pair {
    async fn new(store: Store, both: &[Roles; 2], creations: &[(u8, CreateService)]) -> Self {
        let start = catalog::start([]);
        let organizations = vec![entry(0, &both[0]), entry(1, &both[1])];
        let document = CatalogDocument { organizations, ..start };
        store.repository.apply_catalog(&document).await.expect("a catalog");
        let environment = Arc::new(TestEnvironment::seeded(1));
        let registry = Registry::new(Arc::clone(&store.repository), environment.clone());
        for (number, creation) in creations {
            let mut creation = creation.clone();
            creation.description = mark(*number).parse().expect("a description");
            let marked = ("mark".parse().expect("a key"), Some(number.to_string().parse().expect("a value")));
            let tags = creation.tags.pairs().take(10);
            creation.tags = service_core::Tags::new(tags.chain([marked])).expect("tags");
            // Some are refused: a name that is taken, an agent that is deprecated.
            let _ = registry.create(&catalog::organization(*number), &administrator(), &creation).await;
        }
        let tokens = Tokens::hs256(b"a secret of at least 32 bytes, for tests").expect("a secret");
        let west = Arc::new(MemoryStore::new());
        let api = Api::new(
            Arc::clone(&store.repository),
            Arc::clone(&store.access),
            tokens.clone(),
            environment.clone(),
        )
        .rate_limits(false)
        .cluster("west", west.clone(), west, None);
        Self { store, app: router(api), tokens, environment }
    }

    async fn known(&self, number: u8, principal: &Principal) -> Known {
        let organization = catalog::organization(number);
        let record = self.store.repository.organization(&organization).await.expect("an answer");
        let history = self.store.repository.history(&organization, Default::default(), usize::MAX).await;
        let history = history.expect("an answer").unwrap_or_default();
        let grants = record.as_ref().map(|record| {
            let roles = record.catalog.users.get(principal).cloned().unwrap_or_default();
            roles.iter().flat_map(|role| record.catalog.roles[role].clone()).collect()
        });
        Known { history, grants: grants.unwrap_or_default(), exists: record.is_some() }
    }

    async fn export(&self) -> String {
        let mut archive = Vec::new();
        self.store.operations.export(&mut archive).await.expect("an export");
        String::from_utf8(archive).expect("text")
    }

    async fn send(&self, method: Method, path: &str, ask: &Ask, body: &Value) -> (u16, String) {
        let principal = catalog::principal(ask.principal.0, ask.principal.1);
        let hour = std::time::Duration::from_secs(3600);
        let (token, _) = self.tokens.sign(&principal, self.environment.now(), hour).expect("a token");
        let mut request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        match ask.named {
            Named::Truly => request = request.header("x-org-id", principal.organization.as_str()),
            Named::This(named) => request = request.header("x-org-id", named),
            Named::Nothing => {}
        }
        if let Some(cluster) = ask.cluster {
            request = request.header("x-mongo-cluster-name", cluster);
        }
        let request = request.body(Body::from(body.to_string())).expect("a request");
        let answer = self.app.clone().oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    /// Makes a request, and compares what comes of it with what may.
    async fn ask(&self, ask: &Ask) -> Result<u16, TestCaseError> {
        let principal = catalog::principal(ask.principal.0, ask.principal.1);
        let before = [self.known(0, &principal).await, self.known(1, &principal).await];
        let [here, elsewhere] = [ask.addressed, 1 - ask.addressed].map(usize::from);
        let ids: BTreeSet<String> =
            before.iter().flat_map(|known| known.history.iter().map(|row| row.id.to_string())).collect();
        let mut ids: Vec<String> = ids.into_iter().collect();
        ids.push("ee".repeat(12));
        let base = format!("/v1/{}/service", catalog::organization(ask.addressed));
        let token = match &ask.what {
            What::List { token: Some(token), .. } => {
                i64::try_from(token.index(before[0].revision().max(before[1].revision()) + 4)).expect("few")
                    - 1
            }
            _ => 0,
        };
        let (method, path, body) = match &ask.what {
            What::List { ids: chosen, tag, sort, limit, .. } => {
                let chosen: String = chosen.iter().map(|id| format!("&id={}", id.get(&ids))).collect();
                let tag = tag.map_or(String::new(), |tag| format!("&tags={tag}"));
                let path = format!("{base}/?limit={limit}&continuation_token={token}{chosen}{tag}{sort}");
                (Method::GET, path, Value::Null)
            }
            What::Update(id, active) => {
                (Method::POST, format!("{base}/{}/", id.get(&ids)), json!({"is_active": active}))
            }
            What::Upsert(id) => (
                Method::PUT,
                format!("{base}/{}/version_sets/preview/", id.get(&ids)),
                json!({"version_set": {}}),
            ),
            What::Delete(id) => {
                (Method::DELETE, format!("{base}/{}/version_sets/preview/", id.get(&ids)), Value::Null)
            }
            What::Create => {
                let agent = catalog::agent_entry(0, None, false).id;
                let machine = catalog::state_machine_entry(0, None, false).id;
                let body = json!({
                    "name": "a", "description": mark(ask.addressed), "is_active": false, "tags": {},
                    "agent_id": agent, "service_hierarchical_state_machine_id": machine,
                });
                (Method::POST, format!("{base}/"), body)
            }
        };
        let (status, text) = self.send(method, &path, ask, &body).await;
        let fail = |why: &str| Err(TestCaseError::fail(format!("{why}: {ask:?} {path}: {status} {text}")));
        if status >= 500 {
            return fail("it failed");
        }

        // Who is let in at all.
        let issuer: OrganizationId = principal.organization.clone();
        let is_let_in = match ask.named {
            Named::Truly => true,
            Named::This(named) => named == issuer.as_str(),
            Named::Nothing => catalog::organization(ask.addressed) == issuer,
        };
        let expected = match ask.cluster {
            _ if !is_let_in => Some(401),
            Some("west") => Some(404),
            Some(_) => Some(422),
            None => None,
        };
        if expected.is_some_and(|expected| expected != status) {
            return fail("others are let in, or not let in");
        }

        // What is in the answer.
        let shows = |number: u8| text.contains(&mark(number)) || text.contains(&format!("mark:{number}"));
        if shows(1 - ask.addressed) {
            return fail("it shows another organization");
        }
        let known = &before[here];
        prop_assert!(known.exists);
        if let What::List { .. } = ask.what {
            let sees = known.holds(Permission::GetService);
            let at = usize::try_from(token).ok().and_then(|number| known.history.get(number.checked_sub(1)?));
            let expected = match expected {
                Some(status) => status,
                None if !sees => 403,
                None if token == 0 || at.is_some_and(|row| known.admits(row)) => 200,
                None => 422,
            };
            if status != expected {
                return fail(&format!("the status is not {expected}"));
            }
            if status == 200 {
                let page: Value = serde_json::from_str(&text).expect("JSON");
                for listed in page["services"].as_array().expect("services") {
                    let id = listed["id"].as_str().expect("an id");
                    let current = known.history.iter().rev().find(|row| row.id.to_string() == id);
                    if !current.is_some_and(|service| known.admits(service)) {
                        return fail("it shows what may not be seen");
                    }
                }
                prop_assert_eq!(page["filter_values"].is_null(), token != 0, "{}", text);
            } else if shows(ask.addressed) {
                return fail("a refusal shows what is there");
            }
        } else if shows(ask.addressed) {
            return fail("a write shows what is there");
        }

        // What has changed.
        let after = [self.known(0, &principal).await, self.known(1, &principal).await];
        if after[elsewhere].history != before[elsewhere].history {
            return fail("another organization has changed");
        }
        let changed = after[here].revision() - before[here].revision();
        let wanted = match ask.what {
            What::List { .. } => [].as_slice(),
            What::Update(..) => &[Permission::UpdateService],
            What::Upsert(_) => &[Permission::CreateVersionSet, Permission::UpdateVersionSet],
            What::Delete(_) => &[Permission::DeleteVersionSet],
            What::Create => &[Permission::CreateService],
        };
        let may = wanted.iter().any(|permission| known.holds(*permission));
        if changed > 1 || (changed == 1 && !(may && (200..300).contains(&status))) {
            return fail("something has changed");
        }
        Ok(status)
    }
}

fn holds_on(name: &str) {
    let stores = stores::all();
    let (_, fresh) = stores.into_iter().find(|(other, _)| *other == name).expect("a store");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let told = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = told.unwrap_or(PAIRS);
    let seen = std::cell::RefCell::new(BTreeSet::new());
    let creations = proptest::collection::vec((0..2_u8, request::create()), 8..16);
    let pairs = ([roles(), roles()], creations, proptest::collection::vec(ask(), REQUESTS));
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&pairs, |(both, creations, asks)| {
        runtime.block_on(async {
            let pair = Pair::new(fresh.store().await, &both, &creations).await;
            let whole = pair.export().await;
            for ask in &asks {
                let status = pair.ask(ask).await?;
                seen.borrow_mut().insert(status);
            }
            prop_assert!(pair.export().await.len() >= whole.len());
            prop_assert_eq!(pair.store.operations.check().await.expect("a check"), Vec::<String>::new());
            Ok(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    // What was asked was let in, shown, done, refused and hidden.
    let seen = seen.into_inner();
    assert!([200, 401, 403, 404, 422].iter().all(|status| seen.contains(status)), "{seen:?}");
}

#[test]
fn organizations_are_apart_in_memory() {
    holds_on("memory");
}

#[test]
fn organizations_are_apart_on_sqlite() {
    holds_on("sqlite");
}

#[test]
fn organizations_are_apart_on_postgresql() {
    holds_on("postgres");
}
