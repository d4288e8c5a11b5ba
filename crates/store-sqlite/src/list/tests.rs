//! How SQLite runs the statements of listings: what a page reads must not depend on how much there is besides.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use service_core::range::{Range, RangeOrder, RangeStart, ranges};
use service_core::{Direction, Operations, Service, ServiceId, ServiceName, Sort, SortField};
use sqlx::AssertSqlSafe;
use sqlx::pool::PoolConnection;
use store_sql::list::conditions::{Conditions, Driver, Membership, Piece, Test};
use store_sql::list::{Restricted, Term};

use super::{arguments, statement};
use crate::SqliteStore;

struct Planner {
    connection: PoolConnection<sqlx::Sqlite>,
    _directory: tempfile::TempDir,
}

/// A line of a plan: its number, the number of the line it belongs to, and what is done.
type Line = (i64, i64, i64, String);

impl Planner {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
        store.migrate().await.unwrap();
        Self { connection: store.reader.acquire().await.unwrap(), _directory: directory }
    }

    async fn plan(&mut self, sort: &Sort, restricted: &Restricted) -> Vec<Line> {
        let (sql, values) = statement(&"acme".parse().unwrap(), sort, restricted, 21).into_parts();
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let values = arguments(values).unwrap();
        sqlx::query_as_with(explain, values).fetch_all(&mut *self.connection).await.unwrap()
    }
}

fn sorts() -> Vec<Sort> {
    let keys = |texts: &[&str]| Sort::new(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap();
    let signed = ["+name", "-name", "+is_active", "-is_active"];
    let mut sorts = vec![keys(&[])];
    for one in signed {
        sorts.push(keys(&[one]));
        sorts.extend(signed.iter().filter(|other| other[1..] != one[1..]).map(|other| keys(&[one, other])));
    }
    sorts
}

fn id() -> ServiceId {
    ServiceId::from_bytes([1; 12])
}

fn after(is_active: bool) -> Service {
    serde_json::from_value(serde_json::json!({
        "id": id(), "organization": "acme", "name": "a name", "description": "a description", "is_active": is_active,
        "agent_id": id(), "state_machine_id": id(), "tags": {}, "keyterms": [],
        "version_sets": {"edge": {}, "release": {}},
        "creator": {"organization": "acme", "user": "alice"}, "updated_by": {"organization": "acme", "user": "alice"},
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "revision": 1
    }))
    .unwrap()
}

fn term(number: i64) -> Term {
    Term { number, services: 3 }
}

/// One of each test that a visibility can leave.
fn alternatives() -> Vec<Vec<Test>> {
    let name: ServiceName = "a name".parse().unwrap();
    let names = || [name.as_str().to_owned()].into();
    [Membership::Inside, Membership::Outside]
        .into_iter()
        .flat_map(|membership| {
            [
                vec![Test::Id([id()].into(), membership), Test::Tagged(vec![term(7)], membership)],
                vec![Test::Name(names(), membership), Test::Tagged(vec![term(8), term(9)], membership)],
                vec![Test::Name(names(), membership), Test::Id([id()].into(), membership)],
            ]
        })
        .collect()
}

/// Every sort from the beginning and from a service of either activeness, as the statements that a listing runs.
fn pages(drivers: &[Driver], terms: &[Term], any_of: &[Vec<Test>]) -> Vec<(Sort, Restricted)> {
    let mut pages = Vec::new();
    for sort in sorts() {
        for after in [None, Some(after(false)), Some(after(true))] {
            let ranges = ranges(&sort, None, after.as_ref());
            let restricted = ranges.ranges.into_iter().map(|range| {
                let pieces =
                    drivers.iter().map(|driver| Piece { driver: driver.clone(), any_of: any_of.to_vec() });
                (range, Conditions { pieces: pieces.collect(), terms: terms.to_vec() })
            });
            let restricted = Restricted { ranges: restricted.collect(), consecutive: ranges.consecutive };
            pages.push((sort.clone(), restricted));
        }
    }
    pages
}

/// What finds the candidates, as the plan says it for a range in this order that begins at this place.
fn search_of_services(range: &Range) -> Vec<String> {
    let index = match range.order {
        RangeOrder::Id => "services_by_id",
        RangeOrder::Name(Direction::Ascending) => "services_by_name",
        RangeOrder::Name(Direction::Descending) => "services_by_name_falling",
    };
    let whole = "organization=? AND is_active=?";
    bounds(range)
        .into_iter()
        .map(|bound| format!("SEARCH d USING COVERING INDEX {index} ({whole}{bound})"))
        .collect()
}

fn search_of_term(range: &Range) -> Vec<String> {
    let index = match range.order {
        RangeOrder::Id => "COVERING INDEX tagged_services_by_id",
        RangeOrder::Name(_) => "PRIMARY KEY",
    };
    let whole = "organization=? AND term=? AND is_active=?";
    bounds(range).into_iter().map(|bound| format!("SEARCH d USING {index} ({whole}{bound})")).collect()
}

fn bounds(range: &Range) -> Vec<&'static str> {
    match (range.order, &range.start) {
        (_, RangeStart::First) => vec![""],
        (RangeOrder::Id, _) => vec![" AND id>?"],
        (RangeOrder::Name(Direction::Ascending), RangeStart::After(..)) => vec![" AND (name,id)>(?,?)"],
        (RangeOrder::Name(Direction::Ascending), _) => vec![" AND name>?"],
        (RangeOrder::Name(Direction::Descending), RangeStart::After(..)) => {
            vec![" AND name=? AND id>?", " AND name<?"]
        }
        (RangeOrder::Name(Direction::Descending), _) => vec![" AND name<?"],
    }
}

fn show(plan: &[Line]) -> String {
    plan.iter().map(|(number, parent, _, line)| format!("\n{number:5} {parent:5} {line}")).collect()
}

fn searches(plan: &[Line], table: &str) -> Vec<String> {
    let start = format!("SEARCH {table} ");
    let found = plan.iter().filter(|line| line.3.starts_with(&start));
    found.map(|line| line.3.trim_end_matches(" LEFT-JOIN").to_owned()).collect()
}

/// Nothing is read from its beginning to its end but what a statement was given or has itself limited: lists of values,
/// and keys, of which each range gives at most as many as a page has.
fn assert_nothing_is_scanned(plan: &[Line]) {
    for (_, _, _, line) in plan.iter().filter(|line| line.3.starts_with("SCAN")) {
        let bounded = ["page", "first", "following", "pieces", "piece"]
            .iter()
            .any(|keys| line.strip_prefix("SCAN ") == Some(*keys))
            || line.starts_with("SCAN json_each VIRTUAL TABLE")
            || line.starts_with("SCAN wanted VIRTUAL TABLE")
            || line.ends_with("CONSTANT ROW");
        assert!(bounded, "{line} in {}", show(plan));
    }
}

/// What finds candidates gives them in the order of the page: nothing beside it sorts.
fn assert_candidates_come_in_order(plan: &[Line]) {
    for (_, parent, _, search) in plan.iter().filter(|line| line.3.starts_with("SEARCH d ")) {
        let sorted = plan.iter().any(|line| line.1 == *parent && line.3.contains("TEMP B-TREE"));
        assert!(!sorted, "{search} is sorted in {}", show(plan));
    }
}

/// The services of the page, and only they, are looked up, each by its whole key.
fn assert_services_are_read_by_key(plan: &[Line]) {
    let top: Vec<&str> = plan.iter().filter(|line| line.1 == 0).map(|line| line.3.as_str()).collect();
    let expected = [
        "MATERIALIZE page",
        "SCAN page",
        "SEARCH s USING PRIMARY KEY (organization=? AND id=?) LEFT-JOIN",
        "SEARCH h USING INDEX sqlite_autoindex_history_1 (organization=? AND revision=?) LEFT-JOIN",
    ];
    assert_eq!(top, expected, "{}", show(plan));
}

/// How many pieces of an index the ranges are.
fn parts(restricted: &Restricted) -> usize {
    restricted.ranges.iter().map(|(range, _)| bounds(range).len()).sum()
}

fn expected(restricted: &Restricted, search: fn(&Range) -> Vec<String>) -> Vec<String> {
    restricted.ranges.iter().flat_map(|(range, _)| search(range)).collect()
}

#[tokio::test]
async fn every_sort_from_every_position_reads_ranges_of_an_index_in_order() {
    let mut planner = Planner::new().await;
    let pages = pages(&[Driver::All], &[], &[]);
    assert_eq!(pages.len(), 39);
    for (sort, restricted) in pages {
        let plan = planner.plan(&sort, &restricted).await;
        assert_eq!(searches(&plan, "d"), expected(&restricted, search_of_services), "{}", show(&plan));
        assert_nothing_is_scanned(&plan);
        assert_candidates_come_in_order(&plan);
        assert_services_are_read_by_key(&plan);
    }
}

#[tokio::test]
async fn a_tag_of_any_kind_is_a_range_of_its_own() {
    let mut planner = Planner::new().await;
    for (sort, restricted) in pages(&[Driver::Terms(vec![term(1)])], &[], &[]) {
        let plan = planner.plan(&sort, &restricted).await;
        assert_eq!(searches(&plan, "d"), expected(&restricted, search_of_term), "{}", show(&plan));
        assert_nothing_is_scanned(&plan);
        assert_services_are_read_by_key(&plan);
        if sort
            .keys()
            .iter()
            .any(|key| key.field == SortField::Name && key.direction == Direction::Descending)
        {
            // Names come in order; only the ids of services that share one name (of which one at most is active) are sorted.
            assert!(plan.iter().all(|line| {
                !line.3.contains("TEMP B-TREE")
                    || line.3 == "USE TEMP B-TREE FOR LAST TERM OF ORDER BY"
                    || !plan.iter().any(|other| other.1 == line.1 && other.3.starts_with("SEARCH d "))
            }));
        } else {
            assert_candidates_come_in_order(&plan);
        }
    }
}

#[tokio::test]
async fn one_of_several_values_of_a_tag_is_a_range_for_each() {
    let mut planner = Planner::new().await;
    for (sort, restricted) in pages(&[1, 2, 3].map(|number| Driver::Terms(vec![term(number)])), &[], &[]) {
        let plan = planner.plan(&sort, &restricted).await;
        let searches = searches(&plan, "d");
        assert_eq!(searches.len(), 3 * expected(&restricted, search_of_term).len(), "{}", show(&plan));
        assert!(searches.iter().all(|search| search.contains("(organization=? AND term=? AND is_active=?")));
        assert_nothing_is_scanned(&plan);
        assert_services_are_read_by_key(&plan);
    }
}

#[tokio::test]
async fn further_tags_are_looked_up_by_their_whole_key() {
    let mut planner = Planner::new().await;
    for (sort, restricted) in pages(&[Driver::Terms(vec![term(1)])], &[term(2), term(3)], &[]) {
        let plan = planner.plan(&sort, &restricted).await;
        assert_eq!(searches(&plan, "d"), expected(&restricted, search_of_term), "{}", show(&plan));
        let probes = searches(&plan, "t");
        assert_eq!(probes.len(), 2 * searches(&plan, "d").len());
        let key =
            "USING COVERING INDEX tagged_services_by_id (organization=? AND term=? AND is_active=? AND id=?)";
        assert!(probes.iter().all(|probe| probe.ends_with(key)), "{}", show(&plan));
        assert_nothing_is_scanned(&plan);
        assert_services_are_read_by_key(&plan);
    }
}

#[tokio::test]
async fn ids_are_looked_up_and_only_they_are_sorted() {
    let mut planner = Planner::new().await;
    for (sort, restricted) in pages(&[Driver::Ids([id()].into())], &[term(1)], &alternatives()) {
        let plan = planner.plan(&sort, &restricted).await;
        let searches = searches(&plan, "d");
        assert!(!searches.is_empty());
        assert!(searches.iter().all(|search| search.ends_with("id=?)")), "{}", show(&plan));
        assert_nothing_is_scanned(&plan);
        assert_services_are_read_by_key(&plan);
    }
}

#[tokio::test]
async fn what_a_visibility_leaves_is_tested_on_candidates_by_key() {
    let mut planner = Planner::new().await;
    for (sort, restricted) in pages(&[Driver::All], &[], &alternatives()) {
        let plan = planner.plan(&sort, &restricted).await;
        // A test on the name makes SQLite look at the row as well, so the index does not cover every statement.
        let ranges_of = |searches: Vec<String>| -> Vec<String> {
            searches.into_iter().map(|search| search.replace("COVERING ", "")).collect()
        };
        let found = ranges_of(searches(&plan, "d"));
        assert_eq!(found, ranges_of(expected(&restricted, search_of_services)), "{}", show(&plan));
        let tests = searches(&plan, "t");
        assert!(!tests.is_empty());
        let key = "(organization=? AND term=? AND is_active=? AND id=?)";
        assert!(tests.iter().all(|test| test.ends_with(key)), "{}", show(&plan));
        let services = searches(&plan, "s");
        assert!(
            services.iter().all(|search| search.ends_with("(organization=? AND id=?)")),
            "{}",
            show(&plan)
        );
        assert_nothing_is_scanned(&plan);
        assert_candidates_come_in_order(&plan);
        assert_services_are_read_by_key(&plan);
    }
}

#[tokio::test]
async fn what_several_alternatives_find_is_read_from_a_piece_for_each() {
    let mut planner = Planner::new().await;
    let name = |name: &str| Driver::Names([name.to_owned()].into());
    // The position is at `a name`.
    let drivers = [
        Driver::Terms(vec![term(1)]),
        Driver::Ids([id()].into()),
        name("A"),
        name("a name"),
        name("z"),
        Driver::Terms(vec![term(2)]),
    ];
    let tests = [vec![Test::Tagged(vec![term(7)], Membership::Inside)]];
    for (sort, restricted) in pages(&drivers, &[term(3)], &tests) {
        let plan = planner.plan(&sort, &restricted).await;
        let parts = parts(&restricted);
        let found = searches(&plan, "d");
        assert_eq!(found.len(), drivers.len() * parts, "{}", show(&plan));
        let by = |key: &str| found.iter().filter(|search| search.contains(key)).count();
        assert_eq!(by("(organization=? AND term=? AND is_active=?"), 2 * parts, "{}", show(&plan));
        let by_name = "USING COVERING INDEX services_by_name (organization=? AND is_active=? AND name=?";
        assert_eq!(by(by_name), 3 * parts, "{}", show(&plan));
        assert_nothing_is_scanned(&plan);
        assert_services_are_read_by_key(&plan);
    }
    for (_, restricted) in pages(&[name("a name")], &[], &[]) {
        let plan = planner.plan(&Sort::default(), &restricted).await;
        assert_candidates_come_in_order(&plan);
    }
}

#[tokio::test]
async fn what_is_gathered_and_sorted_is_looked_up() {
    let mut planner = Planner::new().await;
    let names = Driver::Names(["a name", "z"].map(str::to_owned).into());
    let drivers = [Driver::Terms(vec![term(1), term(2)]), names];
    for (sort, restricted) in pages(&drivers, &[], &[]) {
        let plan = planner.plan(&sort, &restricted).await;
        for search in searches(&plan, "d") {
            let key =
                ["(organization=? AND term=? AND is_active=?", "(organization=? AND is_active=? AND name=?"];
            assert!(key.iter().any(|key| search.contains(key)), "{search} in {}", show(&plan));
        }
        assert_nothing_is_scanned(&plan);
        assert_services_are_read_by_key(&plan);
    }
}

#[tokio::test]
async fn the_widest_statement_is_one_that_sqlite_takes() {
    let mut planner = Planner::new().await;
    let drivers: Vec<Driver> = (0..100).map(|number| Driver::Terms(vec![term(number)])).collect();
    let widest = pages(&drivers, &[term(3)], &alternatives());
    let (sort, restricted) = widest.into_iter().max_by_key(|(_, restricted)| parts(restricted)).unwrap();
    let plan = planner.plan(&sort, &restricted).await;
    assert_eq!(searches(&plan, "d").len(), 400);
}

/// How many steps SQLite makes for a page of which the active services come first, where there are so many of either.
async fn steps_of_a_page(active: i64, inactive: i64) -> usize {
    let mut planner = Planner::new().await;
    let connection = &mut *planner.connection;
    let fill = "PRAGMA query_only = OFF;
         INSERT INTO organizations (organization) VALUES ('acme');
         INSERT INTO history (organization, revision, id, body) VALUES ('acme', 1, zeroblob(12), '');";
    sqlx::raw_sql(fill).execute(&mut *connection).await.unwrap();
    let services = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + ?2)
         INSERT INTO services (organization, id, name, is_active, agent_id, state_machine_id, revision)
         SELECT 'acme', CAST(format('%012d', i) AS BLOB), 'name ' || i, i <= ?1, zeroblob(12), zeroblob(12), 1 FROM n";
    sqlx::query(services).bind(active).bind(inactive).execute(&mut *connection).await.unwrap();
    let sort = Sort::new(vec!["-is_active".parse().unwrap(), "+name".parse().unwrap()]).unwrap();
    let ranges = ranges(&sort, None, None);
    let not_tagged = vec![vec![Test::Tagged(vec![term(7)], Membership::Outside)]];
    let conditions =
        Conditions { pieces: vec![Piece { driver: Driver::All, any_of: not_tagged }], terms: Vec::new() };
    let restricted = Restricted {
        ranges: ranges.ranges.into_iter().map(|range| (range, conditions.clone())).collect(),
        consecutive: ranges.consecutive,
    };
    let (sql, values) = statement(&"acme".parse().unwrap(), &sort, &restricted, 21).into_parts();
    let page = async |connection: &mut sqlx::SqliteConnection| {
        let rows = sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(values.clone()).unwrap());
        rows.fetch_all(connection).await.unwrap().len()
    };
    let _ = page(connection).await;
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    connection.lock_handle().await.unwrap().set_progress_handler(1, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        true
    });
    assert_eq!(page(connection).await, 21);
    steps.load(Ordering::Relaxed)
}

#[tokio::test]
async fn what_follows_a_range_that_fills_the_page_is_not_read() {
    let full = steps_of_a_page(30, 1).await;
    assert_eq!(steps_of_a_page(30, 500).await, full);
    assert!(steps_of_a_page(5, 500).await > full);
}
