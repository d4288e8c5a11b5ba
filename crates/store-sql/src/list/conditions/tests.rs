//! What drives a range, and what is left to test.

use service_core::{ContinuationToken, Grants, Limit, Permission, ServiceFilter, Sort, Visibility};

use super::*;
use crate::term::{ANY, VALUE};

const AGENT: &str = "a00000000000000000000001";
const MACHINE: &str = "b00000000000000000000001";
const IDS: [&str; 2] = ["0123456789abcdef01234567", "0123456789abcdef01234568"];

/// Ten services of team red, twenty of blue, one hundred in prod, two hundred with any environment.
fn terms() -> Terms {
    let term = |number, kind, key: &str, value: &str, services| {
        ((kind, key.to_owned(), value.to_owned()), Term { number, services })
    };
    [
        term(1, VALUE, "team", "red", 10),
        term(2, VALUE, "team", "blue", 20),
        term(3, VALUE, "env", "prod", 100),
        term(4, ANY, "env", "", 200),
        (term::agent(AGENT.parse().unwrap()), Term { number: 5, services: 30 }),
        (term::state_machine(MACHINE.parse().unwrap()), Term { number: 6, services: 300 }),
    ]
    .into_iter()
    .chain((0..200).map(|value| term(1000 + value, VALUE, "many", &value.to_string(), 7)))
    .chain((0..200).map(|value| term(2000 + value, VALUE, "most", &value.to_string(), 700)))
    .collect()
}

fn conditions(ids: &[&str], tags: &[&str], grants: &[&str], is_active: bool) -> Option<Conditions> {
    let grants: Vec<String> = grants
        .iter()
        .map(|grant| format!(r#"{{"permission_name": "Service:GetService", "conditions": {{{grant}}}}}"#))
        .collect();
    let grants: Grants = serde_json::from_str(&format!("[{}]", grants.join(","))).unwrap();
    let filter = ServiceFilter::new(
        ids.iter().map(|id| id.parse().unwrap()),
        None,
        tags.iter().map(|tag| tag.parse().unwrap()),
    );
    let listing = Listing {
        filter: filter.unwrap(),
        visibility: Visibility::of(&grants, Permission::GetService),
        sort: Sort::default(),
        limit: Limit::default(),
        token: ContinuationToken::START,
    };
    Conditions::of(&listing, is_active, &terms())
}

fn numbers(terms: &[Term]) -> Vec<i64> {
    terms.iter().map(|term| term.number).collect()
}

fn driving_terms(conditions: &Conditions) -> Vec<i64> {
    let of_piece = |piece: &Piece| match &piece.driver {
        Driver::Terms(terms) => numbers(terms),
        other => panic!("driven by {other:?}"),
    };
    conditions.pieces.iter().flat_map(of_piece).collect()
}

fn drivers(conditions: &Conditions) -> Vec<Driver> {
    conditions.pieces.iter().map(|piece| piece.driver.clone()).collect()
}

/// How many alternatives each piece is left with.
fn left(conditions: &Conditions) -> Vec<usize> {
    conditions.pieces.iter().map(|piece| piece.any_of.len()).collect()
}

fn any_of(attribute: &str, values: std::ops::Range<u32>) -> String {
    let values: Vec<String> = values.map(|value| format!("\"{value}\"")).collect();
    format!(r#""{attribute}": {{"type": "In", "values": [{}]}}"#, values.join(", "))
}

const RED: &str = r#""tags.team": {"type": "Equals", "value": "red"}"#;
const RED_OR_BLUE: &str = r#""tags.team": {"type": "In", "values": ["red", "blue"]}"#;
const ACTIVE: &str = r#""is_active": {"type": "Equals", "value": true}"#;
const NOT_RED: &str = r#""tags.team": {"type": "NotEquals", "value": "red"}"#;

#[test]
fn the_rarest_tag_drives_and_the_others_are_tested() {
    let conditions = conditions(&[], &["env:*", "team:blue", "env:prod"], &[""], true).unwrap();
    assert_eq!(driving_terms(&conditions), [2]);
    assert_eq!(numbers(&conditions.terms), [3, 4]);
    assert_eq!(left(&conditions), [0]);
}

#[test]
fn ids_drive_whatever_else_there_is() {
    let conditions = conditions(&IDS, &["team:red"], &[""], true).unwrap();
    assert_eq!(drivers(&conditions), [Driver::Ids(IDS.map(|id| id.parse().unwrap()).into())]);
    assert_eq!(numbers(&conditions.terms), [1]);
}

#[test]
fn what_a_sole_grant_requires_drives_like_a_filter() {
    let by_tag = conditions(&[], &["env:prod"], &[&format!("{RED}, {ACTIVE}")], true).unwrap();
    assert_eq!((driving_terms(&by_tag), numbers(&by_tag.terms)), (vec![1], vec![3]));
    assert_eq!(left(&by_tag), [0]);

    let ids = format!(r#""service_id": {{"type": "In", "values": ["{}", "not an id"]}}"#, IDS[0]);
    let by_id = conditions(&IDS, &[], &[&ids], true).unwrap();
    assert_eq!(drivers(&by_id), [Driver::Ids([IDS[0].parse().unwrap()].into())]);
}

#[test]
fn several_values_of_a_tag_drive_together_where_they_are_rarer_than_what_is_required() {
    let together = conditions(&[], &["env:prod"], &[RED_OR_BLUE], true).unwrap();
    assert_eq!(driving_terms(&together), [2, 1]);
    assert_eq!(numbers(&together.terms), [3]);
    assert_eq!(left(&together), [0]);

    let tested = conditions(&[], &["team:blue"], &[RED_OR_BLUE], true).unwrap();
    assert_eq!(driving_terms(&tested), [2]);
    assert_eq!(left(&tested), [1]);
}

#[test]
fn each_alternative_has_its_own_rarest_driver_and_keeps_its_other_tests() {
    let agent = format!(r#""agent_id": {{"type": "Equals", "value": "{AGENT}"}}"#);
    let machine =
        format!(r#""service_hierarchical_state_machine_id": {{"type": "Equals", "value": "{MACHINE}"}}"#);
    let name = r#""name": {"type": "In", "values": ["a", "b"]}"#;
    let one = conditions(&[], &[], &[&agent], true).unwrap();
    assert_eq!((driving_terms(&one), left(&one)), (vec![5], vec![0]));

    let grants =
        [&*format!("{RED}, {agent}"), &*format!("{agent}, {machine}"), &*format!("{name}, {machine}")];
    let several = conditions(&[], &["env:prod"], &grants, true).unwrap();
    let mut found = drivers(&several);
    found.sort_by_key(|driver| format!("{driver:?}"));
    let term = |number, services| Driver::Terms(vec![Term { number, services }]);
    let names = Driver::Names(["a", "b"].map(str::to_owned).into());
    assert_eq!(found, [names, term(1, 10), term(5, 30)]);
    assert_eq!(left(&several), [1, 1, 1]);
    assert_eq!(numbers(&several.terms), [3]);

    let filtered = conditions(&[], &["team:red"], &grants, true).unwrap();
    assert_eq!((driving_terms(&filtered), left(&filtered)), (vec![1], vec![3]));
}

#[test]
fn an_alternative_that_nothing_drives_leaves_all_services_or_the_filter() {
    let grants = [NOT_RED, r#""name": {"type": "Equals", "value": "a"}"#];
    let all = conditions(&[], &[], &grants, true).unwrap();
    assert_eq!((drivers(&all), left(&all)), (vec![Driver::All], vec![2]));
    let filtered = conditions(&[], &["env:prod"], &grants, true).unwrap();
    assert_eq!((driving_terms(&filtered), left(&filtered)), (vec![3], vec![2]));
}

#[test]
fn several_of_a_kind_are_sorted_if_they_are_few_and_read_in_order_if_they_are_many() {
    let count = |grants: &[&str], is_active| conditions(&[], &[], grants, is_active).unwrap().pieces.len();
    assert_eq!(count(&[&any_of("tags.many", 0..100)], true), 1);
    assert_eq!(count(&[&any_of("tags.most", 0..100)], true), 100);
    // Names are known to be few among the active alone.
    assert_eq!(count(&[&any_of("name", 0..100)], true), 1);
    assert_eq!(count(&[&any_of("name", 0..100)], false), 100);
}

#[test]
fn more_pieces_than_one_statement_may_have_are_sorted_or_tested() {
    let red_named = format!("{NOT_RED}, {}", any_of("name", 0..60));
    let sorted = conditions(&[], &[], &[&red_named, &any_of("name", 50..110)], false).unwrap();
    let sizes: Vec<_> = drivers(&sorted).into_iter().map(|driver| driver.split().len()).collect();
    assert_eq!(sizes, [60, 60]);

    let most = [any_of("tags.most", 0..100), any_of("name", 0..100)];
    let both = conditions(&[], &[], &[&most[0], &most[1]], true).unwrap();
    assert_eq!((drivers(&both), left(&both)), (vec![Driver::All], vec![2]));
}

#[test]
fn the_activeness_of_a_range_decides_what_speaks_of_it() {
    let grants = [&*format!("{RED}, {ACTIVE}")];
    assert!(conditions(&[], &[], &grants, true).is_some());
    assert_eq!(conditions(&[], &[], &grants, false), None);

    let grants = [NOT_RED, &*format!("{RED}, {ACTIVE}")];
    let active = conditions(&[], &[], &grants, true).unwrap();
    assert_eq!(left(&active), [2]);
    let inactive = conditions(&[], &[], &grants, false).unwrap();
    assert_eq!(left(&inactive), [1]);
}

#[test]
fn what_nothing_stored_can_have_leaves_no_range_or_nothing_to_test() {
    assert_eq!(conditions(&[], &["nobody:*"], &[""], true), None);
    assert_eq!(conditions(&[], &[], &[r#""tags.nobody": {"type": "Equals", "value": null}"#], true), None);
    assert_eq!(conditions(&[], &[], &[r#""agent_id": {"type": "Equals", "value": "x"}"#], true), None);
    let all =
        conditions(&[], &[], &[r#""tags.nobody": {"type": "NotEquals", "value": null}"#], true).unwrap();
    let everything = Piece { driver: Driver::All, any_of: Vec::new() };
    assert_eq!(all, Conditions { pieces: vec![everything], terms: Vec::new() });
}
