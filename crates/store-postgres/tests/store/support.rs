//! Stores in databases of their own, what is written to them, and a look at what the server does meanwhile.

use std::collections::BTreeMap;

use service_core::rules::{decide_create, decide_update};
use service_core::{
    Caller, CatalogDocument, Commit, CommitOutcome, ContinuationToken, CreateService, Decision, FactsQuery,
    Grant, Grants, Keyterms, Limit, Listing, Operations, OrganizationId, Permission, Principal, Repository,
    Revision, ServiceFilter, ServiceId, Sort, StoreError, TagFilter, Tags, Timestamp, UpdateService,
    Visibility,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store_postgres::PostgresStore;
use test_postgres::{Database, Template};

pub(crate) const CATALOG: &str = r#"{"organizations": [{
    "id": "acme",
    "agents": [{"id": "a00000000000000000000001", "name": "Coach", "latest_version": 3}],
    "state_machines": [{"id": "b00000000000000000000001", "name": "Intake", "latest_version": 2}],
    "roles": [{"name": "admin", "grants": [{"permission_name": "Service:GetService"}]}],
    "users": [{"id": "alice", "roles": ["admin"]}]
}]}"#;

/// A migrated database of a test's own.
pub(crate) async fn database() -> Database {
    let version = include_str!("../../migrations/0001_registry.sql");
    Database::migrated(Template { name: "registry", version }, |url| async move {
        let store = PostgresStore::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        store.close().await;
    })
    .await
}

/// The same, with the catalog, and a store on it.
pub(crate) async fn store() -> (PostgresStore, Database) {
    let database = database().await;
    let store = PostgresStore::open(database.url()).await.unwrap();
    apply(&store, CATALOG).await;
    (store, database)
}

pub(crate) async fn apply(store: &PostgresStore, document: &str) {
    store.apply_catalog(&CatalogDocument::parse(document.as_bytes()).unwrap()).await.unwrap();
}

/// The address of a database with a parameter.
pub(crate) fn with(database: &Database, parameter: &str) -> String {
    let separator = if database.url().contains('?') { '&' } else { '?' };
    format!("{}{separator}{parameter}", database.url())
}

/// A connection beside the store, as another program would have it.
pub(crate) async fn beside(database: &Database) -> PgConnection {
    PgConnection::connect(database.url()).await.unwrap()
}

pub(crate) async fn run(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection).await.unwrap();
}

pub(crate) fn acme() -> OrganizationId {
    "acme".parse().unwrap()
}

pub(crate) fn caller() -> Caller {
    let grants = [Permission::CreateService, Permission::UpdateService, Permission::CreateVersionSet]
        .map(|permission| Grant::new(permission, BTreeMap::new()).unwrap());
    let principal = Principal { organization: acme(), user: "alice".parse().unwrap() };
    Caller { principal, grants: Grants::new(grants).unwrap() }
}

pub(crate) fn service_id(number: u32) -> ServiceId {
    let mut bytes = [0x65; 12];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ServiceId::from_bytes(bytes)
}

pub(crate) fn request(name: &str) -> CreateService {
    CreateService {
        name: name.parse().unwrap(),
        description: "what it does".parse().unwrap(),
        is_active: true,
        agent_id: "a00000000000000000000001".parse().unwrap(),
        state_machine_id: "b00000000000000000000001".parse().unwrap(),
        tags: Tags::new([("team".parse().unwrap(), Some("red".parse().unwrap()))]).unwrap(),
        keyterms: Keyterms::default(),
        release: None,
    }
}

/// The commit of a new active service.
pub(crate) async fn creation(store: &PostgresStore, id: ServiceId, name: &str) -> Commit {
    let request = request(name);
    let query = FactsQuery {
        service: Some(id),
        name: Some(request.name.clone()),
        agents: vec![request.agent_id],
        state_machines: vec![request.state_machine_id],
        llms: Vec::new(),
    };
    let facts = store.facts(&acme(), &query).await.unwrap().unwrap();
    let draft = decide_create(&facts, &acme(), &request, &caller(), id, Timestamp::UNIX_EPOCH).unwrap();
    Commit { draft, expected: None, catalog_revision: facts.catalog_revision }
}

/// The commit of another name for a service.
pub(crate) async fn renaming(store: &PostgresStore, id: ServiceId, name: &str) -> Commit {
    let name = Some(name.parse().unwrap());
    updating(store, id, UpdateService { name, ..UpdateService::default() }).await
}

/// The commit of other tags for a service: one that all new services have is missing, one comes that only this one has.
pub(crate) async fn retagging(store: &PostgresStore, id: ServiceId) -> Commit {
    let tags = [(id.to_string().parse().unwrap(), None), ("kept".parse().unwrap(), None)];
    let tags = Some(Tags::new(tags).unwrap());
    updating(store, id, UpdateService { tags, ..UpdateService::default() }).await
}

async fn updating(store: &PostgresStore, id: ServiceId, request: UpdateService) -> Commit {
    let query = FactsQuery { service: Some(id), name: request.name.clone(), ..FactsQuery::default() };
    let facts = store.facts(&acme(), &query).await.unwrap().unwrap();
    let expected = facts.service.as_ref().map(|service| service.revision);
    match decide_update(&facts, id, &request, &caller(), Timestamp::UNIX_EPOCH).unwrap() {
        Decision::Change(draft) => Commit { draft, expected, catalog_revision: facts.catalog_revision },
        Decision::Unchanged => panic!("it is this already"),
    }
}

/// Creates a service, which succeeds.
pub(crate) async fn create(store: &PostgresStore, id: ServiceId, name: &str) -> Revision {
    committed(store.commit(creation(store, id, name).await).await)
}

pub(crate) fn committed(outcome: Result<CommitOutcome, StoreError>) -> Revision {
    match outcome {
        Ok(CommitOutcome::Committed(revision)) => revision,
        outcome => panic!("{outcome:?}"),
    }
}

/// The revision and the name that a service has.
pub(crate) async fn state(store: &PostgresStore, id: ServiceId) -> Option<(i64, String)> {
    let query = FactsQuery { service: Some(id), ..FactsQuery::default() };
    let service = store.facts(&acme(), &query).await.unwrap().unwrap().service?;
    Some((service.revision.get(), service.name.as_str().to_owned()))
}

/// The revision of the organization.
pub(crate) async fn revision(store: &PostgresStore) -> i64 {
    store.organization(&acme()).await.unwrap().unwrap().revision.get()
}

pub(crate) fn listing(sort: &[&str], tags: &[&str], token: ContinuationToken) -> Listing {
    let tags: Vec<TagFilter> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    Listing {
        filter: ServiceFilter::new([], None, tags).unwrap(),
        visibility: Visibility::Everything,
        sort: Sort::new(sort.iter().map(|key| key.parse().unwrap()).collect()).unwrap(),
        limit: Limit::new(2).unwrap(),
        token,
    }
}

/// The sessions of the database's other clients that are in some state.
async fn sessions(connection: &mut PgConnection, state: &str) -> Vec<i32> {
    let others = "SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND ";
    sqlx::query_scalar(AssertSqlSafe(format!("{others}{state}"))).fetch_all(connection).await.unwrap()
}

/// Waits until a session of others waits for a lock, and says which.
pub(crate) async fn waiting(connection: &mut PgConnection) -> i32 {
    loop {
        let waiting = sessions(connection, "wait_event_type = 'Lock'").await;
        if let Some(pid) = waiting.first() {
            return *pid;
        }
        tokio::task::yield_now().await;
    }
}

/// Waits until no other session is within a transaction.
pub(crate) async fn quiet(connection: &mut PgConnection) {
    while !sessions(connection, "state <> 'idle'").await.is_empty() {
        tokio::task::yield_now().await;
    }
}

/// Ends all other sessions, and waits until they have ended; says how many there were.
pub(crate) async fn terminate_others(connection: &mut PgConnection) -> usize {
    let pids = sessions(connection, "TRUE").await;
    for pid in &pids {
        terminate(connection, *pid).await;
    }
    pids.len()
}

pub(crate) async fn terminate(connection: &mut PgConnection, pid: i32) {
    let ended: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1, 30000)")
        .bind(pid)
        .fetch_one(connection)
        .await
        .unwrap();
    assert!(ended);
}
