//! How often the store waits for its server.

use service_core::{
    Access, ApiKeyId, CommitOutcome, ContinuationToken, FactsQuery, Grants, Listed, Listing, Operations,
    Permission, Principal, Repository, Revision, Visibility,
};
use store_postgres::PostgresStore;
use test_postgres::Database;

use crate::proxy::{Gate, Proxy, WRITE};
use crate::support::{
    acme, beside, committed, create, creation, listing, renaming, retagging, revision, run, service_id,
    store, waiting,
};

/// A store with one connection, by way of a proxy.
async fn heard_store(parameters: &str) -> (PostgresStore, Proxy, (PostgresStore, Database)) {
    let (direct, database) = store().await;
    for number in 0..5 {
        create(&direct, service_id(number), &format!("name {number}")).await;
    }
    let proxy = Proxy::before(&database).await;
    let separator = if proxy.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}max-connections=1{parameters}", proxy.url());
    (PostgresStore::open(&url).await.unwrap(), proxy, (direct, database))
}

/// What is said for a call, once its statements are prepared; that of a first page is another when facets are known.
async fn said<T>(proxy: &Proxy, call: impl AsyncFn() -> T) -> Vec<String> {
    call().await;
    call().await;
    proxy.heard();
    call().await;
    proxy.heard()
}

async fn page(store: &PostgresStore, listing: &Listing) -> Option<ContinuationToken> {
    match store.list(&acme(), listing).await.unwrap() {
        Listed::Page(page) => page.next,
        listed => panic!("{listed:?}"),
    }
}

/// What the token names is read by the statement that reads the page.
async fn assert_plain_pages_take_one_statement(
    store: &PostgresStore,
    proxy: &Proxy,
    token: ContinuationToken,
) {
    let nowhere = ContinuationToken::new(4711);
    for sort in
        [&[][..], &["+name"], &["-name"], &["-is_active"], &["+is_active", "-name"], &["-name", "+is_active"]]
    {
        let listing = listing(sort, &[], token);
        assert_eq!(said(proxy, async || page(store, &listing).await).await, ["…"], "{listing:?}");
        let refused = Listing { token: nowhere, ..listing };
        let refuse = async || assert_eq!(store.list(&acme(), &refused).await.unwrap(), Listed::InvalidToken);
        assert_eq!(said(proxy, refuse).await, ["…"], "{refused:?}");
    }
}

#[tokio::test]
async fn a_page_takes_one_statement_or_two_and_no_transaction() {
    let (store, proxy, _kept) = heard_store("").await;
    let grants = r#"[{"permission_name": "Service:GetService",
        "conditions": {"tags.team": {"type": "In", "values": ["red", null]}}}]"#;
    let grants: Grants = serde_json::from_str(grants).unwrap();
    let visibility = Visibility::of(&grants, Permission::GetService);

    let first = listing(&["+name"], &[], ContinuationToken::START);
    let tagged = listing(&["+name"], &["team:red"], ContinuationToken::START);
    assert_eq!(said(&proxy, async || page(&store, &first).await).await, ["…"]);
    // By SQL, as there is no index yet; below by the index.
    let token = page(&store, &first).await.unwrap();
    assert_plain_pages_take_one_statement(&store, &proxy, token).await;
    assert_eq!(said(&proxy, async || page(&store, &tagged).await).await, ["…"]);
    // The organization has changed since its facets were kept, and its services indexed.
    proxy.heard();
    committed(store.commit(renaming(&store, service_id(0), "another name").await).await);
    proxy.heard();
    let token = page(&store, &first).await.unwrap();
    assert_eq!(proxy.heard(), ["…"]);
    page(&store, &tagged).await;
    assert_eq!(proxy.heard(), ["…"]);
    // What changed was on it, and came with what was missed. Where something was missed, nothing is expected the next time; but all of
    // it was shown before.
    page(&store, &tagged).await;
    assert_eq!(proxy.heard(), ["…"]);
    // One leaves the page, and the one that comes for it was not expected.
    committed(store.commit(retagging(&store, service_id(0)).await).await);
    proxy.heard();
    page(&store, &tagged).await;
    assert_eq!(proxy.heard(), ["…"; 2]);

    assert_plain_pages_take_one_statement(&store, &proxy, token).await;
    let seen = |sort, tags, token| Listing { visibility: visibility.clone(), ..listing(sort, tags, token) };
    for (listing, statements) in [
        (listing(&["+name"], &["team:red"], token), 1),
        (listing(&["-is_active", "-name"], &["team:red", "team:*"], token), 1),
        (seen(&[], &[], ContinuationToken::START), 1),
        (seen(&[], &["team:red"], token), 1),
    ] {
        let said = said(&proxy, async || page(&store, &listing).await).await;
        assert_eq!(said, vec!["…"; statements], "{listing:?}");
    }
    // After a service that was not shown as it was then, the page is not known before what the token names is. What is on it was shown.
    let listing = listing(&["+name"], &["team:red"], ContinuationToken::new(1));
    proxy.heard();
    page(&store, &listing).await;
    assert_eq!(proxy.heard(), ["…"]);
}

#[tokio::test]
async fn any_other_read_of_one_state_takes_one_statement() {
    let (store, proxy, _kept) = heard_store("").await;
    let query = FactsQuery { service: Some(service_id(1)), name: "x".parse().ok(), ..FactsQuery::default() };
    let facts = said(&proxy, async || store.facts(&acme(), &query).await.unwrap().unwrap()).await;
    assert_eq!(facts, ["…"]);
    let alice = Principal { organization: acme(), user: "alice".parse().unwrap() };
    assert_eq!(said(&proxy, async || store.standing(&acme(), &alice).await.unwrap()).await, ["…"]);
    let key: ApiKeyId = "0123456789abcdef01234567".parse().unwrap();
    let verify = async || store.verify_api_key(&acme(), &key, "secret").await.unwrap();
    assert_eq!(said(&proxy, verify).await, ["…"]);
    let history = async || store.history(&acme(), Revision::default(), 3).await.unwrap();
    assert_eq!(said(&proxy, history).await, ["…"]);
    assert_eq!(said(&proxy, async || store.llms().await.unwrap()).await, ["…"]);
    assert_eq!(said(&proxy, async || store.maintenance().await.unwrap()).await, ["…"]);
}

#[tokio::test]
async fn a_write_takes_two_statements_and_no_transaction() {
    let (store, proxy, _kept) = heard_store("").await;
    create(&store, service_id(100), "prepared").await;
    committed(store.commit(renaming(&store, service_id(100), "prepared anew").await).await);
    let commits = [
        creation(&store, service_id(101), "created").await,
        renaming(&store, service_id(1), "renamed").await,
    ];
    for mut commit in commits {
        commit.catalog_revision = store.organization(&acme()).await.unwrap().unwrap().catalog_revision;
        proxy.heard();
        committed(store.commit(commit.clone()).await);
        assert_eq!(proxy.heard(), ["…", WRITE]);
        // What is stale already is not tried.
        assert_eq!(store.commit(commit).await.unwrap(), CommitOutcome::Stale);
        assert_eq!(proxy.heard(), ["…"]);
    }
}

#[tokio::test]
async fn a_write_that_is_overtaken_is_made_again_under_the_lock() {
    let (store, proxy, (direct, database)) = heard_store("").await;
    // Everything is prepared.
    create(&store, service_id(100), "prepared").await;
    committed(store.commit(retagging(&store, service_id(100)).await).await);
    // Another store is in the middle of a write, and has the lock.
    let gate = Proxy::before(&database).await;
    let other = PostgresStore::open(gate.url()).await.unwrap();
    let pairs = [
        [
            creation(&direct, service_id(101), "first").await,
            creation(&direct, service_id(102), "second").await,
        ],
        [renaming(&direct, service_id(0), "renamed").await, renaming(&direct, service_id(1), "too").await],
        [retagging(&direct, service_id(2)).await, retagging(&direct, service_id(3)).await],
    ];
    for [first, second] in pairs {
        let before = revision(&direct).await;
        gate.heard();
        gate.set(Gate::Closed);
        let (other, store) = (other.clone(), store.clone());
        let writing = tokio::spawn(async move { other.commit(first).await });
        gate.commit_heard().await;
        proxy.heard();
        let overtaken = tokio::spawn(async move { store.commit(second).await });
        waiting(&mut beside(&database).await).await;
        gate.set(Gate::Open);
        assert_eq!(committed(writing.await.unwrap()).get(), before + 1);
        assert_eq!(committed(overtaken.await.unwrap()).get(), before + 2);
        let said = proxy.heard();
        let (first, again) = said.split_at(2);
        assert_eq!(first, ["…", WRITE]);
        let begin = again.first().unwrap();
        assert!(begin.starts_with("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"), "{said:?}");
        // The lock, which is prepared the first time, what there is then, and the write.
        let rest: Vec<&String> = again.iter().skip(1).filter(|said| !said.starts_with("SELECT")).collect();
        assert_eq!(rest, ["…", "…", WRITE, "COMMIT"]);
    }
    assert_eq!(direct.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn where_sessions_are_not_told_their_settings_a_write_is_a_transaction_that_says_its_own() {
    let (direct, database) = store().await;
    for setting in ["default_transaction_isolation = serializable", "default_transaction_read_only = on"] {
        let set = format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {setting}', current_database()); END $$"
        );
        run(&mut beside(&database).await, &set).await;
    }
    let proxy = Proxy::without_options_before(&database).await;
    let store = PostgresStore::open(proxy.url()).await.unwrap();
    create(&store, service_id(1), "created").await;
    committed(store.commit(renaming(&store, service_id(1), "renamed").await).await);
    assert_eq!(proxy.heard().iter().filter(|said| *said == "COMMIT").count(), 2);
    assert_eq!(direct.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn behind_a_pooler_every_call_is_one_transaction_and_nothing_stays_prepared() {
    let (store, proxy, _kept) = heard_store("&prepared-statements=off").await;
    let filtered = listing(&["+name"], &["team:red"], ContinuationToken::START);
    let commit = creation(&store, service_id(101), "created").await;
    proxy.heard();
    committed(store.commit(commit).await);
    let written = proxy.heard();
    page(&store, &filtered).await;
    let read = proxy.heard();
    for (said, end) in [(written, "COMMIT"), (read, "ROLLBACK")] {
        assert!(said.first().unwrap().starts_with("BEGIN ISOLATION LEVEL READ COMMITTED "), "{said:?}");
        assert_eq!(said.last().unwrap(), end);
        assert_eq!(said.iter().filter(|text| text.starts_with("BEGIN")).count(), 1, "{said:?}");
    }
}
