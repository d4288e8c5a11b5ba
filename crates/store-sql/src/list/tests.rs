//! Pages that an index finds, over a database that does as it is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use service_core::{ContinuationToken, Limit, Permission, ServiceFilter, Sort, Visibility, paginate};
use store_conformance::generate::listing;
use tokio::sync::Semaphore;

use super::*;

/// A history, and what another caller lists it by.
type PutBack = (Vec<Arc<Service>>, Arc<Caches>);

/// One organization: its history, of which everything else follows.
#[derive(Default)]
struct Database {
    history: Mutex<Vec<Arc<Service>>>,
    /// How often somebody began to read all keys.
    builds: AtomicUsize,
    /// How often rows were read by their revisions, beside those that were expected.
    readings: AtomicUsize,
    /// How often an index looked for what it has missed.
    looks: AtomicUsize,
    /// How often a page was left to SQL.
    pages: AtomicUsize,
    /// How many rows were expected, all statements together.
    expected: AtomicUsize,
    /// How many more times keys may be read, if that is limited.
    reads: Option<Semaphore>,
    /// What is written while keys are read, before they are given.
    meanwhile: Mutex<Vec<(u32, String, &'static str)>>,
    /// How far the organization's revision is ahead of the history.
    ahead: i64,
    /// A history that is put in the place of this one right after a statement was answered, and who lists it then.
    put_back: Mutex<Option<PutBack>>,
}

fn service(revision: i64, id: u32, name: &str, team: &str) -> Arc<Service> {
    let service: Service = serde_json::from_value(json!({
        "id": format!("{id:024x}"), "organization": "acme", "name": name, "description": "what it does",
        "is_active": false, "agent_id": format!("{:024x}", 1), "state_machine_id": format!("{:024x}", 2),
        "tags": {"team": team}, "keyterms": [], "version_sets": {"edge": {}, "release": {}},
        "creator": {"organization": "acme", "user": "alice"},
        "updated_by": {"organization": "acme", "user": "alice"},
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "revision": revision
    }))
    .unwrap();
    Arc::new(service)
}

fn row_of(service: &Arc<Service>) -> HistoryRow {
    (service.revision.get(), service.id.as_bytes().to_vec(), row::body(service).unwrap())
}

impl Database {
    /// Services 1, 2, 3, … of a team.
    fn with(count: u32, team: &str) -> Self {
        let database = Self::default();
        (1..=count).for_each(|id| database.write(id, &format!("service {id}"), team));
        database
    }

    fn write(&self, id: u32, name: &str, team: &str) {
        let mut history = self.history.lock().unwrap();
        let revision = history.len() as i64 + 1;
        history.push(service(revision, id, name, team));
    }

    fn services(&self) -> Vec<Arc<Service>> {
        let mut last = std::collections::BTreeMap::new();
        for service in self.history.lock().unwrap().iter() {
            last.insert(service.id, Arc::clone(service));
        }
        last.into_values().collect()
    }

    fn builds(&self) -> usize {
        self.builds.load(Ordering::SeqCst)
    }

    fn page(&self, listing: &Listing) -> Vec<Arc<Service>> {
        paginate(&self.services(), listing, None).services
    }
}

struct Connection(Arc<Database>);

#[async_trait]
impl Reader for Connection {
    async fn bearings(
        &mut self,
        _: &OrganizationId,
        token: i64,
        missed: Option<(&Missed, &[i64])>,
    ) -> Result<Option<Bearings>, StoreError> {
        self.0.looks.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let bearings = {
            let history = self.0.history.lock().unwrap();
            let named = history.iter().find(|row| row.revision.get() == token).map(row_of);
            let header = (Some(history.len() as i64 + self.0.ahead), named);
            let mut rows = vec![match header {
                (revision, Some((named, id, body))) => (revision, Some(named), Some(id), Some(body)),
                (revision, None) => (revision, None, None, None),
            }];
            if let Some((missed, expected)) = missed {
                self.0.expected.fetch_add(expected.len(), Ordering::SeqCst);
                let of_missed = history.iter().filter(|row| row.revision.get() >= missed.from);
                let of_expected = history.iter().filter(|row| expected.contains(&row.revision.get()));
                let read = of_missed.take(missed.limit as usize).chain(of_expected).map(row_of);
                rows.extend(read.map(|(revision, id, body)| (None, Some(revision), Some(id), Some(body))));
            }
            Bearings::of(rows)
        };
        tokio::task::yield_now().await;
        let put_back = self.0.put_back.lock().unwrap().take();
        if let Some((history, caches)) = put_back {
            *self.0.history.lock().unwrap() = history;
            list_of(&self.0, &caches, &by_tag("team:red")).await?;
        }
        Ok(bearings)
    }

    /// Nothing, as if there were no such organization: SQL is not what is tested here.
    async fn page(&mut self, _: PageStatement) -> Result<Vec<PageRow>, StoreError> {
        self.0.pages.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    async fn keys(
        &mut self,
        _: &OrganizationId,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<KeysRow>, StoreError> {
        if after.is_empty() {
            self.0.builds.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(reads) = &self.0.reads {
            reads.acquire().await.unwrap().forget();
        }
        let meanwhile = std::mem::take(&mut *self.0.meanwhile.lock().unwrap());
        meanwhile.iter().for_each(|(id, name, team)| self.0.write(*id, name, team));
        tokio::task::yield_now().await;
        let services = self.0.services();
        let rows = services.iter().filter(|service| service.id.as_bytes()[..] > *after).take(limit);
        let rows = rows.map(|service| KeysRow {
            id: service.id.as_bytes().to_vec(),
            name: service.name.to_string(),
            is_active: service.is_active,
            agent_id: service.agent_id.as_bytes().to_vec(),
            state_machine_id: service.state_machine_id.as_bytes().to_vec(),
            tags: serde_json::to_string(&service.tags).unwrap(),
            revision: service.revision.get(),
        });
        Ok(rows.collect())
    }

    async fn at(&mut self, _: &OrganizationId, revisions: &[i64]) -> Result<Vec<HistoryRow>, StoreError> {
        self.0.readings.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let history = self.0.history.lock().unwrap();
        Ok(history.iter().filter(|row| revisions.contains(&row.revision.get())).map(row_of).collect())
    }
}

static DIALECT: Dialect = Dialect {
    marker: "?",
    no_name: "",
    tables: ["", "", ""],
    by_id: "",
    by_name: "",
    by_falling_name: "",
    ids: List { from: &["", ""], found: &["", ""] },
    facets: ["", ""],
    looks_up: true,
    at_most: &["", ""],
    piece_after_first: &["", ""],
};

/// A database prepares a statement by its text, and then wants as many values for it each time.
#[test]
fn the_text_of_a_statement_tells_how_many_values_it_has() {
    let acme: OrganizationId = "acme".parse().unwrap();
    let position = service(1, 1, "one", "red");
    let ids = [vec![], vec![position.id], (0..9).map(|id| service(1, id, "x", "red").id).collect()];
    let visibilities = [
        json!([{}]),
        json!([{"is_active": {"type": "Equals", "value": true}}]),
        json!([{"service_id": {"type": "Equals", "value": position.id}}]),
        json!([]),
    ];
    let visibility = |conditions: &serde_json::Value| {
        let grant = |conditions| json!({"permission_name": "Service:GetService", "conditions": conditions});
        let grants: Vec<_> = conditions.as_array().unwrap().iter().map(grant).collect();
        Visibility::of(&serde_json::from_value(json!(grants)).unwrap(), Permission::GetService)
    };
    let mut seen = std::collections::HashMap::new();
    for sort in listing::all_sorts() {
        for (ids, is_active) in
            ids.iter().flat_map(|ids| [None, Some(true), Some(false)].map(|is_active| (ids, is_active)))
        {
            for visibility in visibilities.iter().map(visibility) {
                for (token, after) in [(0, None), (1, None), (1, Some(&*position))] {
                    let filter = ServiceFilter::new(ids.iter().copied(), is_active, []).unwrap();
                    let (visibility, sort, token) =
                        (visibility.clone(), sort.clone(), ContinuationToken::new(token));
                    let listing = Listing { filter, visibility, sort, token, ..plain() };
                    assert!(Plain::suits(&listing));
                    let (sql, values) = PageStatement::of(&DIALECT, &acme, &listing, after).into_parts();
                    for number in 1..=values.len() {
                        let marker = format!("?{number}");
                        assert!(sql.contains(&marker), "{marker} is missing: {sql}");
                    }
                    assert_eq!(*seen.entry(sql).or_insert(values.len()), values.len());
                }
            }
        }
    }
    assert!(seen.len() > 20);
}

fn by_tag(tag: &str) -> Listing {
    Listing {
        filter: ServiceFilter::new([], None, [tag.parse().unwrap()]).unwrap(),
        visibility: Visibility::Everything,
        sort: Sort::default(),
        limit: Limit::new(20).unwrap(),
        token: ContinuationToken::START,
    }
}

fn of_team(team: &str) -> Visibility {
    let conditions = json!({"tags.team": {"type": "Equals", "value": team}});
    let grants = json!([{"permission_name": "Service:GetService", "conditions": conditions}]);
    Visibility::of(&serde_json::from_value(grants).unwrap(), Permission::GetService)
}

async fn listed(database: &Arc<Database>, caches: &Caches, listing: &Listing) -> Result<Listed, StoreError> {
    let acme: OrganizationId = "acme".parse().unwrap();
    let turn = caches.turn(&acme, listing).await;
    list(&mut Connection(Arc::clone(database)), caches, turn, &DIALECT, &acme, listing).await
}

async fn page_of_list(
    database: &Arc<Database>,
    caches: &Caches,
    listing: &Listing,
) -> Result<Page, StoreError> {
    match listed(database, caches, listing).await? {
        Listed::Page(page) => Ok(page),
        other => panic!("{other:?}"),
    }
}

async fn list_of(
    database: &Arc<Database>,
    caches: &Caches,
    listing: &Listing,
) -> Result<Vec<Arc<Service>>, StoreError> {
    page_of_list(database, caches, listing).await.map(|page| page.services)
}

/// The teams of the services of a page.
fn teams(services: &[Arc<Service>]) -> Vec<String> {
    let team = |service: &Arc<Service>| service.tags.get("team").flatten().unwrap().to_string();
    services.iter().map(team).collect()
}

#[tokio::test]
async fn callers_that_come_at_once_build_one_index() {
    let database = Arc::new(Database::with(300, "red"));
    let caches = Arc::new(Caches::default());
    let calls = (0..8).map(|_| {
        let (database, caches) = (Arc::clone(&database), Arc::clone(&caches));
        tokio::spawn(async move { list_of(&database, &caches, &by_tag("team:red")).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap(), database.page(&by_tag("team:red")));
    }
    assert_eq!(database.builds(), 1);
}

#[tokio::test]
async fn callers_beside_a_writer_build_one_index() {
    let database = Arc::new(Database::with(2000, "red"));
    let caches = Arc::new(Caches::default());
    let calls = (0..8).map(|_| {
        let (database, caches) = (Arc::clone(&database), Arc::clone(&caches));
        tokio::spawn(async move {
            for _ in 0..100 {
                let found = list_of(&database, &caches, &by_tag("team:red")).await.unwrap();
                assert!(teams(&found).iter().all(|team| team == "red"));
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    for number in 0..1500 {
        database.write(1 + number % 2000, &format!("written {number}"), "blue");
        tokio::task::yield_now().await;
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(database.builds(), 1);
    let listing = by_tag("team:red");
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.page(&listing));
}

/// The index that a caller has waited for is forgotten, and another caller has the right to build a new one, who may be waiting for the
/// connection that the first one holds.
#[tokio::test]
async fn whoever_has_a_connection_waits_for_nobody_who_may_wait_for_one() {
    let (database, caches, listing) =
        (Arc::new(Database::with(20, "red")), Caches::default(), by_tag("team:red"));
    let acme: OrganizationId = "acme".parse().unwrap();
    list_of(&database, &caches, &listing).await.unwrap();
    let turn = caches.turn(&acme, &listing).await;
    caches.indexes.forget(&acme, &caches.indexes.of(&acme));
    let other = caches.turn(&acme, &listing).await;
    let mut connection = Connection(Arc::clone(&database));
    let listed = list(&mut connection, &caches, turn, &DIALECT, &acme, &listing);
    let listed = tokio::time::timeout(std::time::Duration::from_secs(10), listed).await;
    let Listed::Page(page) = listed.expect("it waits").unwrap() else { panic!("a page") };
    assert_eq!(page.services, database.page(&listing));
    drop(other);
}

/// More is written while it is built than is read from the history at once, so that some services come from later states than
/// the index is told of first.
#[tokio::test]
async fn what_is_written_during_a_build_is_all_seen_or_not_at_all() {
    let database = Arc::new(Database::with(2000, "red"));
    let meanwhile = (0..450).map(|number| (1 + number, format!("meanwhile {number}"), "blue"));
    *database.meanwhile.lock().unwrap() = meanwhile.collect();
    let caches = Caches::default();
    for listing in ["team:red", "team:blue", "team:*"].map(by_tag) {
        assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.page(&listing));
    }
    assert_eq!(database.builds(), 1);
}

/// The last revision that the index knows is, in the history after a backup was put back, once more a write of the same service.
#[tokio::test]
async fn another_history_is_told_by_its_last_row_alone() {
    let database = Arc::new(Database::with(20, "blue"));
    let backup = database.history.lock().unwrap().clone();
    database.write(5, "service 5", "red");
    database.write(1, "service 1", "blue");
    let (caches, listing) = (Caches::default(), by_tag("team:red"));
    assert_eq!(teams(&list_of(&database, &caches, &listing).await.unwrap()), ["red"]);
    *database.history.lock().unwrap() = backup;
    database.write(6, "service 6", "blue");
    let mut again = (*service(22, 1, "service 1", "blue")).clone();
    again.updated_at = serde_json::from_value(json!("2026-02-02T00:00:00Z")).unwrap();
    database.history.lock().unwrap().push(Arc::new(again));
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), []);
}

/// A history that differs only before the row that the index knows is not noticed by that row. What it leads to is.
#[tokio::test]
async fn what_was_not_asked_for_is_never_shown() {
    let database = Arc::new(Database::with(20, "red"));
    let (caches, listing) = (Caches::default(), by_tag("team:red"));
    // The index is built, and nothing shown.
    assert_eq!(list_of(&database, &caches, &by_tag("team:blue")).await.unwrap(), []);
    database.history.lock().unwrap()[4] = service(5, 5, "service 5", "blue");
    let fault = list_of(&database, &caches, &listing).await.unwrap_err();
    assert_eq!(fault.kind(), service_core::StoreErrorKind::Corrupt);
    // The index was of no use, so another one was built.
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.page(&listing));
}

#[tokio::test]
async fn a_build_that_was_left_is_gone_on_with() {
    let database = Arc::new(Database { reads: Some(Semaphore::new(1)), ..Database::with(9000, "blue") });
    let (caches, listing) = (Arc::new(Caches::default()), by_tag("team:red"));
    leave_half_built(&database, &caches, &listing).await;
    database.write(1, "service 1", "red");
    database.reads.as_ref().unwrap().add_permits(1);
    assert_eq!(teams(&list_of(&database, &caches, &listing).await.unwrap()), ["red"]);
    assert_eq!(database.builds(), 1);
}

#[tokio::test]
async fn a_build_that_was_left_is_not_gone_on_with_in_another_history() {
    let database = Arc::new(Database { reads: Some(Semaphore::new(1)), ..Database::with(9000, "blue") });
    database.history.lock().unwrap()[4] = service(5, 5, "service 5", "red");
    let (caches, listing) = (Arc::new(Caches::default()), by_tag("team:red"));
    leave_half_built(&database, &caches, &listing).await;
    {
        let mut history = database.history.lock().unwrap();
        history[4] = service(5, 5, "service 5", "blue");
        history[6] = service(7, 7, "service 7", "red");
        history[8999] = service(9000, 9000, "another name", "blue");
    }
    database.reads.as_ref().unwrap().add_permits(2);
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.page(&listing));
    assert_eq!(database.builds(), 2);
}

/// A caller who goes away once the first of two readings of keys is done.
async fn leave_half_built(database: &Arc<Database>, caches: &Arc<Caches>, listing: &Listing) {
    let call = tokio::spawn({
        let (database, caches, listing) = (Arc::clone(database), Arc::clone(caches), listing.clone());
        async move { list_of(&database, &caches, &listing).await }
    });
    let reads = database.reads.as_ref().unwrap();
    while reads.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    // It has begun to wait for the second.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
}

/// A page, and how often rows were read by their revisions for it.
async fn readings(database: &Arc<Database>, caches: &Caches, listing: &Listing) -> (Page, usize) {
    let before = database.readings.load(Ordering::SeqCst);
    let page = page_of_list(database, caches, listing).await.unwrap();
    (page, database.readings.load(Ordering::SeqCst) - before)
}

/// All services of a listing from its first page on. Of the others each is read by one statement.
async fn rest(
    database: &Arc<Database>,
    caches: &Caches,
    listing: &Listing,
    first: Page,
) -> Vec<Arc<Service>> {
    let (mut services, mut next) = (first.services, first.next);
    while let Some(token) = next {
        let (page, read) = readings(database, caches, &Listing { token, ..listing.clone() }).await;
        assert_eq!(read, 0);
        services.extend(page.services);
        next = page.next;
    }
    services
}

#[tokio::test]
async fn pages_that_follow_each_other_are_read_by_one_statement_each() {
    let (database, caches) = (Arc::new(Database::with(70, "red")), Caches::default());
    let mut listing = by_tag("team:red");
    let (first, _) = readings(&database, &caches, &listing).await;
    assert_eq!(readings(&database, &caches, &listing).await, (first.clone(), 0));
    assert_eq!(rest(&database, &caches, &listing, first).await, database.services());
    // A service that was not shown lately: what comes after it is not expected the first time.
    let caches = Caches::default();
    page_of_list(&database, &caches, &listing).await.unwrap();
    listing.token = ContinuationToken::new(31);
    let (page, read) = readings(&database, &caches, &listing).await;
    assert_eq!((page.services.as_slice(), read), (&database.services()[31..51], 1));
    assert_eq!(readings(&database, &caches, &listing).await, (page, 0));
}

#[tokio::test]
async fn pages_of_a_caller_who_sees_only_some_are_read_by_one_statement_each() {
    let (database, caches) = (Arc::new(Database::default()), Caches::default());
    (1..=140).for_each(|id| {
        let team = if id % 2 == 0 { "red" } else { "blue" };
        database.write(id, &format!("service {id}"), team);
    });
    let listing = Listing { visibility: of_team("red"), ..by_tag("team:*") };
    let (first, _) = readings(&database, &caches, &listing).await;
    let red: Vec<_> = database.services().into_iter().skip(1).step_by(2).collect();
    assert_eq!(rest(&database, &caches, &listing, first).await, red);
}

/// Another caller's page had it, so it is known where it stands: nothing that comes after it is read.
#[tokio::test]
async fn a_token_that_its_caller_may_not_know_leads_to_nothing() {
    let (database, caches) = (Arc::new(Database::with(70, "red")), Caches::default());
    database.write(71, "service 71", "blue");
    let mut listing = by_tag("team:*");
    let page = page_of_list(&database, &caches, &listing).await.unwrap();
    listing.token = page.next.unwrap();
    for (visibility, is_expected) in [(of_team("blue"), false), (of_team("red"), true)] {
        listing.visibility = visibility;
        let before = database.expected.load(Ordering::SeqCst);
        let listed = listed(&database, &caches, &listing).await.unwrap();
        assert_eq!(listed == Listed::InvalidToken, !is_expected);
        assert_eq!(database.expected.load(Ordering::SeqCst) > before, is_expected);
    }
}

/// A token names a position in every order, whatever it is listed with; who sees everything may know them all.
#[tokio::test]
async fn a_page_after_a_token_of_another_listing_is_read_by_one_statement() {
    let (database, caches) = (Arc::new(Database::with(70, "red")), Caches::default());
    (71..=90).for_each(|id| database.write(id, &format!("service {id}"), "blue"));
    let page = page_of_list(&database, &caches, &by_tag("team:red")).await.unwrap();
    let blue = Listing { token: page.next.unwrap(), ..by_tag("team:blue") };
    let (page, read) = readings(&database, &caches, &blue).await;
    assert_eq!((page.services.as_slice(), read), (&database.services()[70..], 0));
}

#[tokio::test]
async fn what_was_expected_is_not_what_is_shown_once_something_was_written() {
    let (database, caches) = (Arc::new(Database::with(70, "red")), Caches::default());
    let mut listing = by_tag("team:red");
    for position in [0, 20] {
        listing.token = ContinuationToken::new(position);
        page_of_list(&database, &caches, &listing).await.unwrap();
        // One of the page, one before it, and one that is on it then.
        for id in [position as u32 + 5, 3, position as u32 + 22] {
            for team in ["blue", "red"] {
                database.write(id, &format!("service {id}"), team);
                let after = database.history.lock().unwrap().get(19).cloned().filter(|_| position > 0);
                let expected = paginate(&database.services(), &listing, after.as_deref());
                let page = page_of_list(&database, &caches, &listing).await.unwrap();
                assert_eq!((page.services, page.next), (expected.services, expected.next), "{id} {team}");
            }
        }
    }
}

/// The services that a page begins with were written last, and are far ahead of what the index is told of first.
#[tokio::test]
async fn what_a_build_has_seen_early_is_not_expected_before_the_rest_is_known() {
    let database = Arc::new(Database::with(2000, "red"));
    let meanwhile = (0..450).map(|number| (450 - number, format!("meanwhile {number}"), "blue"));
    *database.meanwhile.lock().unwrap() = meanwhile.collect();
    let caches = Arc::new(Caches::default());
    let calls = (0..3).map(|_| {
        let (database, caches) = (Arc::clone(&database), Arc::clone(&caches));
        tokio::spawn(async move { list_of(&database, &caches, &by_tag("team:blue")).await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(teams(&call.await.unwrap()).iter().all(|team| team == "blue"));
    }
    let listing = by_tag("team:blue");
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.page(&listing));
    assert_eq!(database.builds(), 1);
}

/// A backup is put back, and another caller lists what was written since, right after a statement was answered.
#[tokio::test]
async fn rows_of_one_history_are_not_those_of_another() {
    let (database, caches) = (Arc::new(Database::with(20, "red")), Arc::new(Caches::default()));
    let listing = by_tag("team:red");
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.services());
    let other = Database::with(20, "red");
    other.write(9, "service 9", "red");
    database.write(7, "service 7", "red");
    let history = other.history.into_inner().unwrap();
    *database.put_back.lock().unwrap() = Some((history, Arc::clone(&caches)));
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.services());
}

/// The row that the index was told of last is on the page that is expected, and there is more to be told than is read at once.
#[tokio::test]
async fn what_is_expected_does_not_stand_in_the_way_of_what_was_missed() {
    let (database, caches) = (Arc::new(Database::with(2000, "red")), Caches::default());
    database.write(5, "service 5", "red");
    let listing = by_tag("team:red");
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.page(&listing));
    (100..500).for_each(|id| database.write(id, &format!("service {id}"), "red"));
    database.write(6, "service 6", "blue");
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.page(&listing));
    assert_eq!(database.builds(), 1);
}

/// How many rows of services were read for a page, beside what the index had missed.
async fn rows_read(database: &Arc<Database>, caches: &Caches, listing: &Listing) -> (Page, usize) {
    let before = database.expected.load(Ordering::SeqCst);
    let (page, read) = readings(database, caches, listing).await;
    assert_eq!(read, 0);
    (page, database.expected.load(Ordering::SeqCst) - before)
}

#[tokio::test]
async fn what_was_shown_is_not_read_again_until_it_changes() {
    let (database, caches) = (Arc::new(Database::with(70, "red")), Caches::default());
    let listing = by_tag("team:red");
    page_of_list(&database, &caches, &listing).await.unwrap();
    assert_eq!(rows_read(&database, &caches, &listing).await.1, 0);
    // One that was not shown changes; then one that was, which comes with what the index has missed.
    for id in [60, 5] {
        database.write(id, &format!("service {id}"), "red");
        for _ in 0..3 {
            let (page, read) = rows_read(&database, &caches, &listing).await;
            assert_eq!((page.services, read), (database.page(&listing), 0));
        }
    }
    // What other listings show is the same.
    let (page, read) = rows_read(&database, &caches, &plain()).await;
    assert_eq!((page.services, read), (database.page(&plain()), 0));
}

fn plain() -> Listing {
    Listing { filter: ServiceFilter::default(), ..by_tag("team:red") }
}

#[tokio::test]
async fn a_plain_page_is_found_by_an_index_that_is_there_and_has_missed_little() {
    let (database, caches) = (Arc::new(Database::with(70, "red")), Caches::default());
    let pages = || database.pages.load(Ordering::SeqCst);
    assert_eq!(listed(&database, &caches, &plain()).await.unwrap(), Listed::UnknownOrganization);
    assert_eq!((pages(), database.builds()), (1, 0));
    page_of_list(&database, &caches, &by_tag("team:blue")).await.unwrap();
    let (page, _) = readings(&database, &caches, &plain()).await;
    assert_eq!(page.services, database.page(&plain()));
    assert_eq!(rest(&database, &caches, &plain(), page).await, database.services());
    assert_eq!(pages(), 1);
    // As much as it is told of at once, and more: that it looks for once.
    (1..=31).for_each(|id| database.write(id, &format!("again {id}"), "blue"));
    assert_eq!(list_of(&database, &caches, &plain()).await.unwrap(), database.page(&plain()));
    assert_eq!(pages(), 1);
    (1..=70).for_each(|id| database.write(id, &format!("once more {id}"), "blue"));
    let looks = database.looks.load(Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(listed(&database, &caches, &plain()).await.unwrap(), Listed::UnknownOrganization);
    }
    assert_eq!((pages(), database.looks.load(Ordering::SeqCst)), (4, looks + 1));
    // Whoever needs the index brings it up to date.
    page_of_list(&database, &caches, &by_tag("team:blue")).await.unwrap();
    assert_eq!(list_of(&database, &caches, &plain()).await.unwrap(), database.page(&plain()));
    assert_eq!((pages(), database.builds()), (4, 1));
}

#[tokio::test]
async fn plain_pages_keep_no_index_from_being_forgotten() {
    let (database, caches) = (Arc::new(Database::with(30, "red")), Caches::default());
    let [acme, other, third] = ["acme", "other", "third"].map(|id| id.parse::<OrganizationId>().unwrap());
    page_of_list(&database, &caches, &by_tag("team:red")).await.unwrap();
    let of_other = caches.indexes.of(&other);
    caches.indexes.built(&acme).unwrap().weigh(1_200_000);
    of_other.weigh(900_000);
    page_of_list(&database, &caches, &plain()).await.unwrap();
    caches.indexes.of(&third);
    assert!(caches.indexes.built(&acme).is_none());
    assert!(Arc::ptr_eq(&caches.indexes.of(&other), &of_other));
}

/// What the index has missed holds a row that cannot be read, or what it leads to does; the page may hold neither.
#[tokio::test]
async fn a_plain_page_that_an_index_cannot_find_is_left_to_sql() {
    for (is_missed, of_builds) in [(true, 1), (false, 2)] {
        let (database, caches) = (Arc::new(Database::with(30, "red")), Caches::default());
        page_of_list(&database, &caches, &by_tag("team:blue")).await.unwrap();
        if is_missed {
            database.write(31, "service 31", "red");
            Arc::make_mut(&mut database.history.lock().unwrap()[30]).organization = "other".parse().unwrap();
        } else {
            database.history.lock().unwrap()[3] = service(4, 4, "another", "red");
            Arc::make_mut(&mut database.history.lock().unwrap()[3]).organization = "other".parse().unwrap();
        }
        for _ in 0..2 {
            assert_eq!(listed(&database, &caches, &plain()).await.unwrap(), Listed::UnknownOrganization);
        }
        assert_eq!((database.pages.load(Ordering::SeqCst), database.looks.load(Ordering::SeqCst)), (2, 2));
        // The index is forgotten.
        let _ = page_of_list(&database, &caches, &by_tag("team:blue")).await;
        assert_eq!(database.builds(), of_builds + usize::from(is_missed));
    }
}

#[tokio::test]
async fn a_plain_page_after_a_backup_was_put_back_is_left_to_sql() {
    let (database, caches) = (Arc::new(Database::with(30, "red")), Caches::default());
    page_of_list(&database, &caches, &by_tag("team:red")).await.unwrap();
    page_of_list(&database, &caches, &plain()).await.unwrap();
    database.history.lock().unwrap().truncate(10);
    assert_eq!(listed(&database, &caches, &plain()).await.unwrap(), Listed::UnknownOrganization);
    assert_eq!((database.pages.load(Ordering::SeqCst), database.builds()), (1, 1));
    // The index is forgotten, so nobody is kept waiting to see it built.
    assert!(caches.indexes.built(&"acme".parse().unwrap()).is_none());
}

/// A token names another service after a backup was put back, under the same revision as the one that is remembered.
#[tokio::test]
async fn what_a_token_named_once_is_not_what_it_names_in_another_history() {
    let (database, caches) = (Arc::new(Database::with(70, "red")), Caches::default());
    let mut listing = by_tag("team:red");
    listing.token = ContinuationToken::new(20);
    assert_eq!(list_of(&database, &caches, &listing).await.unwrap(), database.services()[20..40]);
    assert_eq!(readings(&database, &caches, &listing).await.1, 0);
    {
        let mut history = database.history.lock().unwrap();
        history[19] = service(20, 30, "service 30", "red");
        history[29] = service(30, 20, "service 20", "red");
        history[69] = service(70, 70, "service 70 of another history", "red");
    }
    let (page, _) = readings(&database, &caches, &listing).await;
    assert_eq!(page.services, database.services()[30..50]);
}

#[tokio::test]
async fn a_counter_ahead_of_the_history_is_damage() {
    let database = Arc::new(Database { ahead: 1, ..Database::with(3, "red") });
    let fault = list_of(&database, &Caches::default(), &by_tag("team:red")).await.unwrap_err();
    assert_eq!(fault.kind(), service_core::StoreErrorKind::Corrupt);
}
