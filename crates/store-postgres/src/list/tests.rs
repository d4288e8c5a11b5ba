//! How PostgreSQL runs the statements of listings: what a page reads must not depend on how much there is besides.
//!
//! The planner is as free to choose as in use. A database that is filled holds enough that it would gladly read it whole if an
//! index were missing. Of an empty one it knows nothing, as of any that has just been filled.

use std::collections::BTreeSet;
use std::str::FromStr;

use service_core::range::{Range, RangeOrder, RangeStart, ranges};
use service_core::{
    ContinuationToken, Direction, Limit, Listing, Service, ServiceFilter, ServiceId, Sort, Visibility,
};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use store_sql::list::{PageStatement, Value};
use test_postgres::Database;

use super::{AT, BEARINGS, BEARINGS_AND_MISSED, DIALECT, KEYS};
use crate::PostgresStore;
use crate::store::session;

const FILL: &str = "
ALTER TABLE service_registry.organizations SET (autovacuum_enabled = off);
ALTER TABLE service_registry.history SET (autovacuum_enabled = off);
ALTER TABLE service_registry.services SET (autovacuum_enabled = off);
ALTER TABLE service_registry.facets SET (autovacuum_enabled = off);
INSERT INTO service_registry.organizations (organization, revision)
SELECT 'org ' || i, 0 FROM generate_series(1, 3000) AS i UNION ALL SELECT 'acme', 30000;
INSERT INTO service_registry.history (organization, revision, id, body)
SELECT o, i, decode(lpad(to_hex((i * 2654435761) % 4294967296), 8, '0') || repeat('00', 8), 'hex'), repeat('body', 100)
FROM unnest(ARRAY['acme', 'org 1', 'org 2', 'org 3']) AS o, generate_series(1, 30000) AS i
WHERE o = 'acme' OR i <= 1000;
INSERT INTO service_registry.services (organization, id, name, is_active, agent_id, state_machine_id, tags, revision)
SELECT organization, id, CASE WHEN revision % 30 = 0 THEN 'a name' ELSE md5(revision::text) END,
    revision % 3 = 1, decode(repeat('01', 12), 'hex'), decode(repeat('02', 12), 'hex'), '{}', revision
FROM service_registry.history;
INSERT INTO service_registry.facets (organization, key, has_value, value, services)
SELECT o, 'key', TRUE, 'value ' || i, 1
FROM unnest(ARRAY['acme', 'org 1', 'org 2', 'org 3']) AS o, generate_series(1, 3000) AS i;
";

struct Planner {
    connection: PgConnection,
    is_filled: bool,
    _database: Database,
}

impl Planner {
    async fn new() -> Self {
        let database = Database::empty().await;
        let store = PostgresStore::open(database.url()).await.unwrap();
        service_core::Operations::migrate(&store).await.unwrap();
        store.close().await;
        let options = session(PgConnectOptions::from_str(database.url()).unwrap(), true);
        let connection = PgConnection::connect_with(&options).await.unwrap();
        Self { connection, is_filled: false, _database: database }
    }

    async fn run(&mut self, statements: &'static str) {
        for statement in statements.split_inclusive(';').filter(|statement| !statement.trim().is_empty()) {
            sqlx::raw_sql(statement).execute(&mut self.connection).await.unwrap();
            self.is_filled = true;
        }
    }

    async fn page(&mut self, listing: &Listing, after: Option<&Service>) -> Node {
        let acme = "acme".parse().unwrap();
        let statement = match after {
            None => PageStatement::first(&DIALECT, &acme, listing),
            Some(after) => PageStatement::after(&DIALECT, &acme, listing, after),
        };
        let (sql, values) = statement.into_parts();
        let types = values.iter().map(|value| match value {
            Value::Text(_) => "text",
            Value::Integer(_) => "bigint",
            Value::Boolean(_) => "boolean",
            Value::Id(_) => "bytea",
            Value::Ids(_) => "bytea[]",
        });
        self.plan(&sql, &types.collect::<Vec<_>>()).await
    }

    /// The plan that is made once, for values of these types, whichever they are.
    async fn plan(&mut self, sql: &str, types: &[&str]) -> Node {
        let nothing = vec!["NULL"; types.len()].join(", ");
        let prepare = format!("PREPARE page ({}) AS {sql}", types.join(", "));
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut self.connection).await.unwrap();
        let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE page ({nothing})");
        let row = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(&mut self.connection).await.unwrap();
        sqlx::raw_sql("DEALLOCATE page").execute(&mut self.connection).await.unwrap();
        let plan: String = row.try_get_unchecked(0).unwrap();
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        Node(plan[0]["Plan"].clone())
    }
}

/// Runs on a database in which nothing is; on one that has just been filled; on one that the planner has looked at; and on one
/// that was tended: then indexes need not ask the tables whether rows are visible, which makes other plans look cheap.
async fn on_every_database(check: impl AsyncFn(&mut Planner)) {
    let mut planner = Planner::new().await;
    for statements in ["", FILL, "ANALYZE", "VACUUM ANALYZE"] {
        planner.run(statements).await;
        check(&mut planner).await;
    }
}

/// A step of a plan, and all that it does before.
struct Node(serde_json::Value);

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
    ServiceId::from_bytes([0x40; 12])
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

/// Every sort from the beginning and from a service of either activeness, of all services or of those of either activeness.
fn pages(ids: &[ServiceId]) -> Vec<(Listing, Option<Service>)> {
    let mut pages = Vec::new();
    for sort in sorts() {
        for after in [None, Some(after(false)), Some(after(true))] {
            for is_active in [None, Some(false), Some(true)] {
                let listing = Listing {
                    filter: ServiceFilter::new(ids.iter().copied(), is_active, []).unwrap(),
                    visibility: Visibility::Everything,
                    sort: sort.clone(),
                    limit: Limit::new(20).unwrap(),
                    token: ContinuationToken::START,
                };
                pages.push((listing, after.clone()));
            }
        }
    }
    assert_eq!(pages.len(), 13 * 3 * 3);
    pages
}

impl Node {
    fn get(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    fn children(&self) -> impl Iterator<Item = Self> {
        self.0["Plans"].as_array().into_iter().flatten().cloned().map(Self)
    }

    /// The step and all that it does before.
    fn all(&self) -> Vec<Self> {
        let mut all = vec![Self(self.0.clone())];
        all.extend(self.children().flat_map(|child| child.all()));
        all
    }

    /// How a table is read, under this name or one with a number.
    fn reads(&self, alias: &str) -> Vec<Self> {
        let is_meant = |node: &Self| {
            let rest = node.get("Alias").strip_prefix(alias);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
                && node.0["Index Name"].is_string()
        };
        self.all().into_iter().filter(is_meant).collect()
    }

    /// What the step reads from which index, with the values of this test left out.
    fn search(&self) -> String {
        let condition = self.get("Index Cond").replace("'acme'::text", "?");
        let condition =
            condition.replace("'a name'::text", "?").replace(&format!("'\\x{}'::bytea", id()), "?");
        let condition = condition.replace("= true", "= ?").replace("= false", "= ?");
        // What an earlier step has found has a number.
        let mut parts = condition.split('$');
        let first = parts.next().unwrap_or_default().to_owned();
        let condition = parts.fold(first, |whole, part| {
            whole + "?" + part.trim_start_matches(|letter: char| letter.is_ascii_digit())
        });
        format!("{} {condition}", self.get("Index Name"))
    }

    /// Whether something is sorted before it is known how much of it is wanted.
    fn sorts_candidates(&self) -> bool {
        let sorts = self.get("Node Type").ends_with("Sort");
        self.children().any(|child| (sorts && child.reads_candidates()) || child.sorts_candidates())
    }

    fn reads_candidates(&self) -> bool {
        if self.get("Node Type") == "Limit" {
            return false;
        }
        let alias = self.get("Alias");
        ((alias == "d" || alias.starts_with("d_")) && self.search() != ACTIVE_NAME)
            || self.children().any(|child| child.reads_candidates())
    }

    /// The plan as lines, each step below the one it serves.
    fn show(&self) -> String {
        let told = ["Node Type", "Alias", "Subplan Name", "Index Name", "Index Cond", "Filter", "Plan Rows"];
        let told: Vec<String> =
            told.iter().filter(|key| !self.0[**key].is_null()).map(|key| self.0[*key].to_string()).collect();
        let below: String = self.children().map(|child| child.show().replace('\n', "\n  ")).collect();
        format!("\n{}{below}", told.join(" "))
    }
}

/// The part of an index in which the candidates stand, in the order of the page.
fn range_of_services(range: &Range) -> Vec<String> {
    let index = match range.order {
        RangeOrder::Id => "services_by_id",
        RangeOrder::Name(Direction::Ascending) => "services_by_name",
        RangeOrder::Name(Direction::Descending) => "services_by_name_falling",
    };
    let whole = "(organization = ?) AND (is_active = ?)";
    bounds(range).into_iter().map(|bound| format!("{index} ({whole}{bound})")).collect()
}

fn bounds(range: &Range) -> Vec<&'static str> {
    match (range.order, &range.start) {
        (_, RangeStart::First) => vec![""],
        (RangeOrder::Id, _) => vec![" AND (id > ?)"],
        (RangeOrder::Name(Direction::Ascending), RangeStart::After(..)) => {
            vec![" AND (ROW(name, id) > ROW(?, ?))"]
        }
        (RangeOrder::Name(Direction::Ascending), RangeStart::AtName(_)) => vec![" AND (name >= ?)"],
        (RangeOrder::Name(Direction::Ascending), _) => vec![" AND (name > ?)"],
        (RangeOrder::Name(Direction::Descending), RangeStart::After(..)) => {
            vec![" AND (name = ?) AND (id > ?)", " AND (name < ?)"]
        }
        (RangeOrder::Name(Direction::Descending), RangeStart::AtName(_)) => vec![" AND (name <= ?)"],
        (RangeOrder::Name(Direction::Descending), _) => vec![" AND (name < ?)"],
    }
}

fn expected(listing: &Listing, after: Option<&Service>) -> Vec<String> {
    let ranges = ranges(&listing.sort, listing.filter.is_active(), after).ranges;
    let mut expected: Vec<String> = ranges.iter().flat_map(range_of_services).collect();
    expected.sort();
    expected
}

/// The one active service of a name, which is as good as any range of the services of that name.
const ACTIVE_NAME: &str = "services_active_name ((organization = ?) AND (name = ?))";

fn searches(plan: &Node, alias: &str) -> Vec<String> {
    let mut searches: Vec<String> = plan.reads(alias).iter().map(Node::search).collect();
    searches.sort();
    searches
}

/// Everything is looked up, nothing is joined but one by one, and the services of the page, and only they, are read from the
/// history, each by its whole key.
fn assert_nothing_is_read_in_vain(plan: &Node, is_first: bool) {
    let steps = [
        "Append",
        "Merge Append",
        "Limit",
        "Result",
        "Aggregate",
        "Sort",
        "Incremental Sort",
        "Subquery Scan",
        "CTE Scan",
        "Function Scan",
        "Nested Loop",
        "Memoize",
        "Index Scan",
        "Index Only Scan",
    ];
    for node in plan.all() {
        assert!(steps.contains(&node.get("Node Type")), "{} in {}", node.get("Node Type"), plan.show());
    }
    let by_key = |alias: &str, search: &str| {
        let found = searches(plan, alias);
        assert!(!found.is_empty() && found.iter().all(|each| each == search), "{found:?} in {}", plan.show());
    };
    by_key("s", "services_pkey ((organization = ?) AND (id = page.id))");
    by_key("h", "history_pkey ((organization = ?) AND (revision = s.revision))");
    by_key("o", "organizations_pkey (organization = ?)");
    if is_first {
        by_key("facets", "facets_pkey (organization = ?)");
    }
}

#[tokio::test]
async fn every_page_reads_ranges_of_an_index_in_order() {
    on_every_database(async |planner| {
        for (listing, after) in pages(&[]) {
            let plan = planner.page(&listing, after.as_ref()).await;
            if planner.is_filled {
                let mut found = searches(&plan, "d");
                let rest = "services_by_name_falling ((organization = ?) AND (is_active = ?) AND (name = ?) AND (id > ?))";
                found.iter_mut().filter(|search| *search == ACTIVE_NAME).for_each(|search| *search = rest.to_owned());
                found.sort();
                assert_eq!(found, expected(&listing, after.as_ref()), "{}", plan.show());
            } else {
                // All orders are alike where nothing is, but for what they save a sort.
                let is_range = |search: &String| search.contains("(organization = ?)");
                assert!(searches(&plan, "d").iter().all(is_range), "{}", plan.show());
            }
            assert!(!plan.sorts_candidates(), "{}", plan.show());
            assert_nothing_is_read_in_vain(&plan, after.is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn services_of_some_ids_are_looked_up() {
    let ids: Vec<ServiceId> = (0..20).map(|byte| ServiceId::from_bytes([byte; 12])).collect();
    on_every_database(async |planner| {
        for ids in [&ids[..1], &ids] {
            for (listing, after) in pages(ids) {
                let plan = planner.page(&listing, after.as_ref()).await;
                let key = "services_pkey ((organization = ?) AND (id = wanted";
                for search in searches(&plan, "d") {
                    assert!(search.starts_with(key), "{search} in {}", plan.show());
                }
                assert_nothing_is_read_in_vain(&plan, after.is_none());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn positions_what_an_index_missed_and_revisions_are_looked_up() {
    on_every_database(async |planner| {
        let plan = planner.plan(BEARINGS, &["text", "bigint"]).await;
        let named = "history_pkey ((organization = ?) AND (revision = ?))";
        assert_eq!(searches(&plan, "h"), [named], "{}", plan.show());
        assert_eq!(searches(&plan, "o"), ["organizations_pkey (organization = ?)"], "{}", plan.show());

        let plan = planner.plan(BEARINGS_AND_MISSED, &["text", "bigint", "bigint", "bigint"]).await;
        let missed = "history_pkey ((organization = ?) AND (revision >= ?) AND (revision < (? + ?)))";
        assert_eq!(
            BTreeSet::from_iter(searches(&plan, "h")),
            [named, missed].map(str::to_owned).into(),
            "{}",
            plan.show()
        );

        let plan = planner.plan(AT, &["text", "bigint[]"]).await;
        let found: Vec<String> = searches(&plan, "history");
        assert_eq!(found, ["history_pkey ((organization = ?) AND (revision = ANY (?)))"], "{}", plan.show());
    })
    .await;
}

#[tokio::test]
async fn what_an_index_is_built_from_is_read_in_order() {
    on_every_database(async |planner| {
        let plan = planner.plan(KEYS, &["text", "bytea", "bigint"]).await;
        let steps: Vec<Node> = plan.all();
        assert!(steps.len() == 2 && steps[0].get("Node Type") == "Limit", "{}", plan.show());
        assert_eq!(steps[1].search(), "services_pkey ((organization = ?) AND (id > ?))", "{}", plan.show());
    })
    .await;
}
