//! How PostgreSQL runs the statements of listings: what a page reads must not depend on how much there is besides.
//!
//! The database holds enough that the planner would gladly read it whole if an index were missing, and it is as free to choose
//! as in use: nothing is forbidden to it.

use serde_json::Value;
use service_core::range::{Range, RangeOrder, RangeStart, ranges};
use service_core::{
    ContinuationToken, Direction, Limit, Listing, Service, ServiceFilter, ServiceId, Sort, Visibility,
};
use sqlx::{Connection, PgConnection};
use store_sql::list::Restricted;
use store_sql::list::conditions::{Conditions, Driver, Membership, Piece, Term, Test};
use store_sql::term::TermName;
use test_postgres::Database;

use super::sql::{self, Facets};
use crate::PostgresStore;

const FILL: &str = "
ALTER TABLE service_registry.organizations SET (autovacuum_enabled = off);
ALTER TABLE service_registry.history SET (autovacuum_enabled = off);
ALTER TABLE service_registry.services SET (autovacuum_enabled = off);
ALTER TABLE service_registry.tag_terms SET (autovacuum_enabled = off);
ALTER TABLE service_registry.tagged_services SET (autovacuum_enabled = off);
INSERT INTO service_registry.organizations (organization, revision)
SELECT 'org ' || i, 0 FROM generate_series(1, 3000) AS i UNION ALL SELECT 'acme', 30000;
INSERT INTO service_registry.history (organization, revision, id, body)
SELECT o, i, decode(lpad(to_hex((i * 2654435761) % 4294967296), 8, '0') || repeat('00', 8), 'hex'), repeat('body', 100)
FROM unnest(ARRAY['acme', 'org 1', 'org 2', 'org 3']) AS o, generate_series(1, 30000) AS i
WHERE o = 'acme' OR i <= 1000;
INSERT INTO service_registry.services (organization, id, name, is_active, agent_id, state_machine_id, revision)
SELECT organization, id, CASE WHEN revision % 30 = 0 THEN 'a name' ELSE md5(revision::text) END,
    revision % 3 = 1, decode(repeat('01', 12), 'hex'), decode(repeat('02', 12), 'hex'), revision
FROM service_registry.history;
INSERT INTO service_registry.tag_terms (organization, key, kind, value, term, services)
SELECT o, 'key', 2, 'value ' || i, i, 1
FROM unnest(ARRAY['acme', 'org 1', 'org 2', 'org 3']) AS o, generate_series(1, 3000) AS i;
INSERT INTO service_registry.tagged_services (organization, term, is_active, name, id)
SELECT s.organization, t.term, s.is_active, s.name, s.id
FROM service_registry.services AS s
JOIN (VALUES (1, 2), (2, 3), (3, 20), (4, 100), (5, 1000)) AS t (term, share) ON s.revision % t.share = 0
UNION ALL
SELECT organization, 6 + revision % 2000, is_active, name, id FROM service_registry.services;
";

struct Planner {
    connection: PgConnection,
    _database: Database,
}

impl Planner {
    async fn new() -> Self {
        let database = Database::empty().await;
        let store = PostgresStore::open(database.url()).await.unwrap();
        service_core::Operations::migrate(&store).await.unwrap();
        store.close().await;
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        for statement in FILL.split_inclusive(';').filter(|statement| !statement.trim().is_empty()) {
            sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        }
        Self { connection, _database: database }
    }

    async fn plan(&mut self, sort: &Sort, restricted: &Restricted) -> Node {
        let listing = Listing {
            filter: ServiceFilter::default(),
            visibility: Visibility::Everything,
            sort: sort.clone(),
            limit: Limit::new(20).unwrap(),
            token: ContinuationToken::START,
        };
        let names: Vec<TermName> =
            (1..=9).map(|number| (2, "key".to_owned(), format!("value {number}"))).collect();
        let statement = sql::page(&"acme".parse().unwrap(), &listing, &names, restricted, Facets::Any);
        let plan = statement.explain(&mut self.connection).await.unwrap();
        Node(plan[0]["Plan"].clone())
    }
}

/// A step of a plan, and all that it does before.
struct Node(Value);

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

fn term(number: i64) -> Term {
    Term { number, services: 3 }
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

/// One of each test that a visibility can leave.
fn alternatives() -> Vec<Vec<Test>> {
    let names = || ["a name".to_owned()].into();
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
        (alias == "d" || alias.starts_with("d_")) && self.0["Index Name"].is_string()
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

fn range_of_term(range: &Range) -> Vec<String> {
    let index = match range.order {
        RangeOrder::Id => "tagged_services_by_id",
        RangeOrder::Name(_) => "tagged_services_by_name",
    };
    let whole = "(organization = ?) AND (term = ?) AND (is_active = ?)";
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

fn expected(restricted: &Restricted, range: fn(&Range) -> Vec<String>) -> Vec<String> {
    let mut expected: Vec<String> = restricted.ranges.iter().flat_map(|(each, _)| range(each)).collect();
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
fn assert_nothing_is_read_in_vain(plan: &Node) {
    let steps = [
        "Append",
        "Merge Append",
        "Limit",
        "LockRows",
        "Result",
        "Aggregate",
        "Unique",
        "Sort",
        "Incremental Sort",
        "Subquery Scan",
        "CTE Scan",
        "Function Scan",
        "ProjectSet",
        "Nested Loop",
        "Memoize",
        "Index Scan",
        "Index Only Scan",
        "HashAggregate",
        "SetOp",
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
}

/// Runs on a database that has just been filled, and on one that has been tended since: then indexes need not ask the tables
/// whether rows are visible, which makes other plans look cheap.
async fn on_every_database(check: impl AsyncFn(&mut Planner)) {
    let mut planner = Planner::new().await;
    for statement in ["ANALYZE", "VACUUM ANALYZE"] {
        sqlx::raw_sql(statement).execute(&mut planner.connection).await.unwrap();
        check(&mut planner).await;
    }
}

#[tokio::test]
async fn every_sort_from_every_position_reads_ranges_of_an_index_in_order() {
    on_every_database(async |planner| {
        let pages = pages(&[Driver::All], &[], &[]);
        assert_eq!(pages.len(), 39);
        for (sort, restricted) in pages {
            let plan = planner.plan(&sort, &restricted).await;
            assert_eq!(searches(&plan, "d"), expected(&restricted, range_of_services), "{}", plan.show());
            assert!(!plan.sorts_candidates(), "{}", plan.show());
            assert_nothing_is_read_in_vain(&plan);
        }
    })
    .await;
}

#[tokio::test]
async fn a_term_is_a_range_of_its_own_and_further_ones_are_looked_up() {
    on_every_database(async |planner| {
        for further in [vec![], vec![term(2), term(3), term(4), term(5), term(6), term(7)]] {
            for (sort, restricted) in pages(&[Driver::Terms(vec![term(1)])], &further, &[]) {
                let plan = planner.plan(&sort, &restricted).await;
                assert_eq!(searches(&plan, "d"), expected(&restricted, range_of_term), "{}", plan.show());
                assert!(!plan.sorts_candidates(), "{}", plan.show());
                assert_nothing_is_read_in_vain(&plan);
                let probes: Vec<String> = plan
                    .reads("t")
                    .iter()
                    .filter(|read| read.get("Index Name").starts_with("tagged"))
                    .map(Node::search)
                    .collect();
                assert_eq!(probes.len(), further.len() * searches(&plan, "d").len(), "{}", plan.show());
                let key = "tagged_services_by_id ((organization = ?) AND (term = ?) AND (is_active = d.is_active) AND (id = d.id))";
                let other = probes.iter().find(|probe| without_numbers(probe) != key);
                assert_eq!(other, None, "{}", plan.show());
            }
        }
    })
    .await;
}

/// The names of candidates have numbers in plans.
fn without_numbers(search: &str) -> String {
    let mut parts = search.split(" d_");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| {
        whole + " d" + part.trim_start_matches(|letter: char| letter.is_ascii_digit())
    })
}

#[tokio::test]
async fn what_a_visibility_leaves_is_tested_on_candidates_in_their_order() {
    on_every_database(async |planner| {
        for (driver, range) in [
            (Driver::All, range_of_services as fn(&Range) -> Vec<String>),
            (Driver::Terms(vec![term(1)]), range_of_term),
        ] {
            for (sort, restricted) in pages(&[driver], &[term(2)], &alternatives()) {
                let plan = planner.plan(&sort, &restricted).await;
                assert_eq!(searches(&plan, "d"), expected(&restricted, range), "{}", plan.show());
                assert!(!plan.sorts_candidates(), "{}", plan.show());
                assert_nothing_is_read_in_vain(&plan);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_gathered_and_sorted_is_looked_up() {
    let names = Driver::Names(["b name", "z"].map(str::to_owned).into());
    // Of a name that many services have the planner knows so, and may walk the ids until it has met enough of them.
    let name = Driver::Names(["b name".to_owned()].into());
    let drivers = [
        (Driver::Ids([id()].into()), "id = ANY"),
        (name, "name = "),
        (names, "name = ANY"),
        (Driver::Terms(vec![term(3), term(4)]), "term = ANY"),
    ];
    on_every_database(async |planner| {
        for (driver, condition) in &drivers {
            for (sort, restricted) in pages(std::slice::from_ref(driver), &[term(1)], &alternatives()) {
                let plan = planner.plan(&sort, &restricted).await;
                for search in searches(&plan, "d") {
                    assert!(
                        search.contains("(organization = ?)") && search.contains(condition),
                        "{search} in {}",
                        plan.show()
                    );
                }
                assert_nothing_is_read_in_vain(&plan);
            }
        }
    })
    .await;
}
