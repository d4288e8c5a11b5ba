//! How SQLite runs the statements of listings: what a page reads must not depend on how much there is besides.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use service_core::range::{Range, RangeOrder, RangeStart};
use service_core::visibility::{Conjunction, ValueSet};
use service_core::{
    Attribute, AttributeValue, ContinuationToken, Direction, Limit, Listing, Operations, OrganizationId,
    Service, ServiceFilter, ServiceId, Sort, Visibility,
};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};
use store_sql::list::{PageStatement, Plain};

use super::{AT, BEARINGS, BEARINGS_AND_MISSED, DIALECT, KEYS, arguments};
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

    async fn plan(&mut self, sql: &str, values: SqliteArguments) -> Vec<Line> {
        for limit in sql.split("LIMIT ?").skip(1) {
            let rest = limit.trim_start_matches(|character: char| character.is_ascii_digit());
            // By a value alone SQLite would plan, and do so anew with each.
            assert!(rest.starts_with(" + ") || rest.starts_with(" - "), "{sql}");
        }
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        sqlx::query_as_with(explain, values).fetch_all(&mut *self.connection).await.unwrap()
    }

    async fn plan_of_page(&mut self, asked: &Asked) -> Vec<Line> {
        let (sql, values) = statement(asked).into_parts();
        self.plan(&sql, arguments(values).unwrap()).await
    }

    /// The plan of a statement whose first value is the organization, as text.
    async fn lines(&mut self, sql: &str, numbers: &[i64]) -> Vec<String> {
        let mut values = SqliteArguments::default();
        values.add("acme").unwrap();
        for number in numbers {
            values.add(*number).unwrap();
        }
        self.plan(sql, values).await.into_iter().map(|line| line.3).collect()
    }
}

fn acme() -> OrganizationId {
    "acme".parse().unwrap()
}

fn statement(Asked { listing, after }: &Asked) -> PageStatement {
    assert!(Plain::suits(listing));
    PageStatement::of(&DIALECT, &acme(), listing, after.as_ref())
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

/// What restricts a listing that is read with SQL, but for ids.
fn by_activeness() -> Vec<(ServiceFilter, Visibility)> {
    let filter = |is_active| ServiceFilter::new([], is_active, []).unwrap();
    let active = AttributeValue::Boolean(true);
    vec![
        (filter(None), Visibility::Everything),
        (filter(Some(true)), Visibility::Everything),
        (filter(Some(false)), Visibility::Everything),
        (filter(None), visibility(Attribute::IsActive, ValueSet::OneOf([active].into()))),
    ]
}

/// The same with ids, in the filter, in the visibility and in both.
fn by_ids() -> Vec<(ServiceFilter, Visibility)> {
    let filter = |is_active| ServiceFilter::new([id()], is_active, []).unwrap();
    let ids = [AttributeValue::Text(id().to_string().into())];
    let seen = visibility(Attribute::ServiceId, ValueSet::OneOf(ids.into()));
    vec![
        (filter(None), Visibility::Everything),
        (filter(Some(true)), Visibility::Everything),
        (ServiceFilter::default(), seen.clone()),
        (filter(Some(false)), seen),
    ]
}

fn visibility(attribute: Attribute, set: ValueSet) -> Visibility {
    let mut conjunction = Conjunction::new();
    conjunction.insert(attribute, set);
    Visibility::AnyOf(vec![conjunction])
}

/// A listing, and what its token names.
struct Asked {
    listing: Listing,
    after: Option<Service>,
}

/// Every sort from the beginning and from a service of either activeness.
fn pages(restricted: Vec<(ServiceFilter, Visibility)>) -> Vec<Asked> {
    let mut pages = Vec::new();
    for (filter, visibility) in restricted {
        for sort in sorts() {
            for after in [None, Some(after(false)), Some(after(true))] {
                let token = ContinuationToken::new(after.as_ref().map_or(0, |_| 1));
                let listing = Listing {
                    filter: filter.clone(),
                    visibility: visibility.clone(),
                    sort: sort.clone(),
                    limit: Limit::new(20).unwrap(),
                    token,
                };
                pages.push(Asked { listing, after });
            }
        }
    }
    pages
}

fn ranges(Asked { listing, after }: &Asked) -> Vec<Range> {
    Plain::of(listing, after.as_ref().map(|after| after.is_active))
        .ranges
        .into_iter()
        .map(|each| each.range)
        .collect()
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
        .iter()
        .map(|bound| format!("SEARCH d USING COVERING INDEX {index} ({whole}{bound})"))
        .collect()
}

fn bounds(range: &Range) -> &'static [&'static str] {
    match (range.order, range.start) {
        (_, RangeStart::First) => &[""],
        (RangeOrder::Id, _) => &[" AND id>?"],
        (RangeOrder::Name(Direction::Ascending), RangeStart::After) => &[" AND (name,id)>(?,?)"],
        (RangeOrder::Name(Direction::Ascending), _) => &[" AND name>?"],
        (RangeOrder::Name(Direction::Descending), RangeStart::After) => {
            &[" AND name=? AND id>?", " AND name<?"]
        }
        (RangeOrder::Name(Direction::Descending), _) => &[" AND name<?"],
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
/// and keys or facets, of which each range gives at most as many as a page has.
fn assert_nothing_is_scanned(plan: &[Line]) {
    for (_, _, _, line) in plan.iter().filter(|line| line.3.starts_with("SCAN")) {
        let bounded = ["page", "first", "following", "pieces", "piece", "facet"]
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

/// The organization and the services of the page, and only they, are looked up, each by its whole key. With a
/// first page come the facets, from their own range and in its order.
fn assert_rows_are_read_by_key(plan: &[Line], listing: &Listing) {
    let with_facets = listing.token == ContinuationToken::START;
    let number = |line: &str| plan.iter().find(|other| other.3 == line).map(|other| other.0);
    let below = |line: &str| -> Vec<&str> {
        let number = number(line);
        plan.iter().filter(|other| Some(other.1) == number).map(|other| other.3.as_str()).collect()
    };
    let services = [
        "MATERIALIZE page",
        "SCAN page",
        "SEARCH s USING PRIMARY KEY (organization=? AND id=?) LEFT-JOIN",
        "SEARCH h USING INDEX sqlite_autoindex_history_1 (organization=? AND revision=?) LEFT-JOIN",
    ];
    assert_eq!(below("UNION ALL"), services, "{}", show(plan));
    let organization = "SEARCH o USING PRIMARY KEY (organization=?)";
    let header: &[&str] = if with_facets { &[organization, "SCALAR SUBQUERY"] } else { &[organization] };
    let found: Vec<&str> = below("LEFT-MOST SUBQUERY")
        .into_iter()
        .map(|line| line.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_end())
        .collect();
    assert_eq!(found, header, "{}", show(plan));
    let facets: &[&str] =
        if with_facets { &["SEARCH facets USING PRIMARY KEY (organization=?)"] } else { &[] };
    assert_eq!(below("CO-ROUTINE facet"), facets, "{}", show(plan));
    assert_eq!(searches(plan, "facets").len(), facets.len(), "{}", show(plan));
}

#[tokio::test]
async fn every_sort_from_every_position_reads_ranges_of_an_index_in_order() {
    let mut planner = Planner::new().await;
    let pages = pages(by_activeness());
    assert_eq!(pages.len(), 4 * 39);
    for asked in pages {
        let plan = planner.plan_of_page(&asked).await;
        let expected: Vec<String> = ranges(&asked).iter().flat_map(search_of_services).collect();
        assert_eq!(searches(&plan, "d"), expected, "{}", show(&plan));
        assert_candidates_come_in_order(&plan);
        assert_rows_are_read_by_key(&plan, &asked.listing);
        if !expected.is_empty() {
            assert_nothing_is_scanned(&plan);
        }
    }
}

#[tokio::test]
async fn ids_are_looked_up_and_only_they_are_sorted() {
    let mut planner = Planner::new().await;
    for asked in pages(by_ids()) {
        let plan = planner.plan_of_page(&asked).await;
        let searches = searches(&plan, "d");
        let parts: usize = ranges(&asked).iter().map(|range| bounds(range).len()).sum();
        assert_eq!(searches.len(), parts, "{}", show(&plan));
        assert!(searches.iter().all(|search| search.ends_with("id=?)")), "{}", show(&plan));
        assert_rows_are_read_by_key(&plan, &asked.listing);
        if parts > 0 {
            assert_nothing_is_scanned(&plan);
        }
    }
}

const HISTORY: &str = "USING INDEX sqlite_autoindex_history_1 (organization=? AND revision";

#[tokio::test]
async fn bearings_and_what_is_expected_are_looked_up_by_key_and_what_was_missed_is_a_range() {
    let mut planner = Planner::new().await;
    let bearings = [
        "SEARCH o USING PRIMARY KEY (organization=?)".to_owned(),
        format!("SEARCH h {HISTORY}=?) LEFT-JOIN"),
    ];
    assert_eq!(planner.lines(BEARINGS, &[1]).await, bearings);
    let with_missed = planner.lines(BEARINGS_AND_MISSED, &[1, 2, 512]).await;
    let read: Vec<&String> = with_missed.iter().filter(|line| line.starts_with("SEARCH")).collect();
    let [missed, expected] = [format!("SEARCH history {HISTORY}>?)"), format!("SEARCH h {HISTORY}=?)")];
    assert_eq!(read, [&bearings[0], &bearings[1], &missed, &expected]);
    assert!(with_missed.iter().all(|line| !line.contains("TEMP B-TREE")), "{with_missed:#?}");
    let scanned: Vec<&String> = with_missed.iter().filter(|line| line.starts_with("SCAN")).collect();
    assert_eq!(scanned, ["SCAN (subquery-2)", "SCAN expected VIRTUAL TABLE INDEX 1:"], "{with_missed:#?}");
}

#[tokio::test]
async fn what_an_index_selects_is_read_by_its_revisions() {
    let mut planner = Planner::new().await;
    let plan = planner.lines(AT, &[]).await;
    assert_eq!(plan, ["SCAN wanted VIRTUAL TABLE INDEX 1:".to_owned(), format!("SEARCH h {HISTORY}=?)")]);
}

/// The primary key is the table, and has the order in which an index is built: nothing else is read, and nothing sorted.
#[tokio::test]
async fn an_index_is_built_from_the_rows_of_one_organization_where_they_stand() {
    let mut planner = Planner::new().await;
    let table = "SEARCH services USING PRIMARY KEY (organization=? AND id>?)";
    assert_eq!(planner.lines(KEYS, &[0, 8192]).await, [table]);
}

/// How many steps SQLite makes for a page, and how many rows it gives, where there are so many services of either activeness.
async fn steps_of_a_page(asked: &Asked, active: i64, inactive: i64) -> (usize, usize) {
    let mut planner = Planner::new().await;
    let connection = &mut *planner.connection;
    let fill = "PRAGMA query_only = OFF;
         INSERT INTO organizations (organization) VALUES ('acme');
         INSERT INTO history (organization, revision, id, name, is_active, body)
         VALUES ('acme', 1, zeroblob(12), 'name', 1, '');";
    sqlx::raw_sql(fill).execute(&mut *connection).await.unwrap();
    let services = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + ?2)
         INSERT INTO services (organization, id, name, is_active, agent_id, state_machine_id, tags, revision)
         SELECT 'acme', CAST(format('%012d', i) AS BLOB), 'name ' || i, i <= ?1, zeroblob(12), zeroblob(12), '{}', 1 FROM n";
    sqlx::query(services).bind(active).bind(inactive).execute(&mut *connection).await.unwrap();
    let (sql, values) = statement(asked).into_parts();
    let page = async |connection: &mut SqliteConnection| {
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
    let rows = page(connection).await;
    (steps.load(Ordering::Relaxed), rows)
}

#[tokio::test]
async fn what_follows_a_range_that_fills_the_page_is_not_read() {
    let sort = Sort::new(vec!["-is_active".parse().unwrap(), "+name".parse().unwrap()]).unwrap();
    let asked = pages(by_activeness()).into_iter().find(|asked| asked.listing.sort == sort).unwrap();
    let full = steps_of_a_page(&asked, 30, 1).await;
    // One row is of the organization, and one service more than fit on the page.
    assert_eq!(full.1, 22);
    assert_eq!(steps_of_a_page(&asked, 30, 500).await, full);
    assert!(steps_of_a_page(&asked, 5, 500).await.0 > full.0);
}

/// Of these, SQLite plans to scan an index, and then does not begin.
#[tokio::test]
async fn a_page_that_no_service_can_be_on_reads_none() {
    let nothing: Vec<Asked> =
        pages(by_activeness()).into_iter().filter(|asked| ranges(asked).is_empty()).collect();
    assert!(!nothing.is_empty());
    for asked in nothing {
        let few = steps_of_a_page(&asked, 1, 1).await;
        assert_eq!(few.1, 1);
        assert_eq!(steps_of_a_page(&asked, 200, 200).await, few);
    }
}
