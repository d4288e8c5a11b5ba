//! How PostgreSQL runs the statements of listings: what a page reads must not depend on how much there is besides.
//!
//! The planner is as free to choose as in use. A database that is filled holds enough that it would gladly read it whole if an
//! index were missing. Of an empty one it knows nothing, as of any that has just been filled.

use std::collections::BTreeSet;
use std::str::FromStr;

use service_core::range::{Range, RangeOrder, RangeStart};
use service_core::{
    ContinuationToken, Direction, Limit, Listing, ServiceFilter, ServiceId, Sort, Visibility,
};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use store_sql::list::{PageStatement, Plain, PlainRange, Value};
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
INSERT INTO service_registry.history (organization, revision, id, name, is_active, body)
SELECT o, i, decode(lpad(to_hex((i * 2654435761) % 4294967296), 8, '0') || repeat('00', 8), 'hex'),
    CASE WHEN i % 30 = 0 THEN 'a name' ELSE md5(i::text) END, i % 3 = 1, repeat('body', 100)
FROM unnest(ARRAY['acme', 'org 1', 'org 2', 'org 3']) AS o, generate_series(1, 30000) AS i
WHERE o = 'acme' OR i <= 1000;
INSERT INTO service_registry.services (organization, id, name, is_active, agent_id, state_machine_id, tags, revision)
SELECT organization, id, name, is_active, decode(repeat('01', 12), 'hex'), decode(repeat('02', 12), 'hex'), '{}', revision
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

    async fn page(&mut self, listing: &Listing) -> Node {
        let (sql, values) = statement(listing).into_parts();
        self.plan(&sql, &values.iter().map(type_of).collect::<Vec<_>>()).await
    }

    /// The plan of a page and what its steps did.
    async fn run_page(&mut self, listing: &Listing) -> Node {
        let (sql, values) = statement(listing).into_parts();
        let texts = values.iter().map(|value| match value {
            Value::Text(text) => format!("'{text}'"),
            Value::Integer(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Id(_) | Value::Ids(_) => panic!("no page that is run here is given ids"),
        });
        let (types, texts): (Vec<_>, Vec<_>) = (values.iter().map(type_of).collect(), texts.collect());
        self.explain(&sql, &types, "ANALYZE, TIMING OFF, FORMAT JSON", &texts.join(", ")).await
    }

    /// The plan that is made once, for values of these types, whichever they are.
    async fn plan(&mut self, sql: &str, types: &[&str]) -> Node {
        self.explain(sql, types, "FORMAT JSON", &vec!["NULL"; types.len()].join(", ")).await
    }

    async fn explain(&mut self, sql: &str, types: &[&str], options: &str, values: &str) -> Node {
        let prepare = format!("PREPARE page ({}) AS {sql}", types.join(", "));
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut self.connection).await.unwrap();
        let explain = format!("EXPLAIN ({options}) EXECUTE page ({values})");
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

fn statement(listing: &Listing) -> PageStatement {
    PageStatement::of(&DIALECT, &"acme".parse().unwrap(), listing, None)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "text",
        Value::Integer(_) => "bigint",
        Value::Boolean(_) => "boolean",
        Value::Id(_) => "bytea",
        Value::Ids(_) => "bytea[]",
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

/// Every sort from the beginning and from a position, of all services or of those of either activeness.
fn pages(ids: &[ServiceId]) -> Vec<Listing> {
    let mut pages = Vec::new();
    for sort in sorts() {
        for token in [ContinuationToken::START, ContinuationToken::new(1)] {
            for is_active in [None, Some(false), Some(true)] {
                pages.push(Listing {
                    filter: ServiceFilter::new(ids.iter().copied(), is_active, []).unwrap(),
                    visibility: Visibility::Everything,
                    sort: sort.clone(),
                    limit: Limit::new(20).unwrap(),
                    token,
                });
            }
        }
    }
    assert_eq!(pages.len(), 13 * 2 * 3);
    pages
}

impl Node {
    fn get(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// How many rows the step gave, each time.
    fn rows(&self) -> usize {
        self.0["Actual Rows"].as_f64().unwrap() as usize
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

    /// What the step reads from which index, with the values left out.
    fn search(&self) -> String {
        // Values are `$1`, and so is what an earlier step has found, which later versions call `(InitPlan 1).col1`.
        let mut condition = String::new();
        let mut rest = self.get("Index Cond");
        let digits = |letter: char| letter.is_ascii_digit();
        while let Some(start) = rest.find(['$', '(']) {
            let (before, value) = rest.split_at(start);
            condition.push_str(before);
            let found = value.strip_prefix("(InitPlan ").map(|found| found.trim_start_matches(digits));
            let found = found.and_then(|found| found.strip_prefix(").col")).or(value.strip_prefix('$'));
            match found {
                Some(found) => {
                    condition.push('?');
                    rest = found.trim_start_matches(digits);
                }
                None => {
                    condition.push('(');
                    rest = &value[1..];
                }
            }
        }
        condition.push_str(rest);
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
        alias == "d" || alias.starts_with("d_") || self.children().any(|child| child.reads_candidates())
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
    bounds(range).iter().map(|bound| format!("{index} ({whole}{bound})")).collect()
}

fn bounds(range: &Range) -> &'static [&'static str] {
    match (range.order, range.start) {
        (_, RangeStart::First) => &[""],
        (RangeOrder::Id, _) => &[" AND (id > ?)"],
        (RangeOrder::Name(Direction::Ascending), RangeStart::After) => &[" AND (ROW(name, id) > ROW(?, ?))"],
        (RangeOrder::Name(Direction::Ascending), RangeStart::AtName) => &[" AND (name >= ?)"],
        (RangeOrder::Name(Direction::Ascending), _) => &[" AND (name > ?)"],
        (RangeOrder::Name(Direction::Descending), RangeStart::After) => {
            &[" AND (name = ?) AND (id > ?)", " AND (name < ?)"]
        }
        (RangeOrder::Name(Direction::Descending), RangeStart::AtName) => &[" AND (name <= ?)"],
        (RangeOrder::Name(Direction::Descending), _) => &[" AND (name < ?)"],
    }
}

fn expected(listing: &Listing) -> Vec<String> {
    let ranges = Plain::of(listing, None).ranges;
    let mut expected: Vec<String> = ranges.iter().flat_map(|each| range_of_services(&each.range)).collect();
    expected.sort();
    expected
}

fn searches(plan: &Node, alias: &str) -> Vec<String> {
    let mut searches: Vec<String> = plan.reads(alias).iter().map(Node::search).collect();
    searches.sort();
    searches
}

/// Everything is looked up, nothing is joined but one by one, and the services of the page, and only they, are read from the
/// history, each by its whole key.
fn assert_nothing_is_read_in_vain(plan: &Node, listing: &Listing) {
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
    if listing.token == ContinuationToken::START {
        by_key("facets", "facets_pkey (organization = ?)");
    } else {
        by_key("t", "history_pkey ((organization = ?) AND (revision = ?))");
    }
}

#[tokio::test]
async fn every_page_reads_ranges_of_an_index_in_order() {
    on_every_database(async |planner| {
        for listing in pages(&[]) {
            let plan = planner.page(&listing).await;
            if planner.is_filled {
                assert_eq!(searches(&plan, "d"), expected(&listing), "{}", plan.show());
                // Whether a range follows the position at all is told by where it begins, not by one row of it after the other.
                assert!(plan.reads("d").iter().all(|step| step.0["Filter"].is_null()), "{}", plan.show());
            } else {
                // All orders are alike where nothing is, but for what they save a sort.
                let is_range = |search: &String| search.contains("(organization = ?)");
                assert!(searches(&plan, "d").iter().all(is_range), "{}", plan.show());
            }
            assert!(!plan.sorts_candidates(), "{}", plan.show());
            assert_nothing_is_read_in_vain(&plan, &listing);
        }
    })
    .await;
}

/// Ranges that follow other positions are part of the plan, and all of them are if the token names none.
#[tokio::test]
async fn a_page_reads_what_follows_its_position_and_no_more() {
    const PAGE: usize = 21;
    let mut planner = Planner::new().await;
    planner.run(FILL).await;
    planner.run("VACUUM ANALYZE").await;
    for listing in pages(&[]).into_iter().filter(|listing| listing.token != ContinuationToken::START) {
        // An active service, an inactive one, and none.
        for (token, is_active) in [(10_000, Some(true)), (10_001, Some(false)), (30_001, None)] {
            let token = ContinuationToken::new(token);
            let plan = planner.run_page(&Listing { token, ..listing.clone() }).await;
            let follows =
                |each: &&PlainRange| is_active.is_some() && each.after.is_none_or(|of| Some(of) == is_active);
            let ranges = Plain::of(&listing, None).ranges;
            let pieces: usize = ranges.iter().filter(follows).map(|each| bounds(&each.range).len()).sum();
            let read: Vec<usize> = plan.reads("d").iter().map(Node::rows).collect();
            assert!(read.iter().filter(|rows| **rows > 0).count() <= pieces, "{read:?} in {}", plan.show());
            assert!(read.iter().all(|rows| *rows <= PAGE), "{read:?} in {}", plan.show());
        }
    }
}

#[tokio::test]
async fn services_of_some_ids_are_looked_up() {
    let ids: Vec<ServiceId> = (0..20).map(|byte| ServiceId::from_bytes([byte; 12])).collect();
    on_every_database(async |planner| {
        for ids in [&ids[..1], &ids] {
            for listing in pages(ids) {
                let plan = planner.page(&listing).await;
                let key = "services_pkey ((organization = ?) AND (id = wanted";
                for search in searches(&plan, "d") {
                    assert!(search.starts_with(key), "{search} in {}", plan.show());
                }
                assert_nothing_is_read_in_vain(&plan, &listing);
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

        let plan =
            planner.plan(BEARINGS_AND_MISSED, &["text", "bigint", "bigint", "bigint", "bigint[]"]).await;
        let missed = "history_pkey ((organization = ?) AND (revision >= ?) AND (revision < (? + ?)))";
        let expected = "history_pkey ((organization = ?) AND (revision = ANY (?)))";
        assert_eq!(
            BTreeSet::from_iter(searches(&plan, "h")),
            [named, missed, expected].map(str::to_owned).into(),
            "{}",
            plan.show()
        );

        let plan = planner.plan(AT, &["text", "bigint[]"]).await;
        let found: Vec<String> = searches(&plan, "history");
        assert_eq!(found, [expected], "{}", plan.show());
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
