//! What drives a range, and what is left to test.

use service_core::{ContinuationToken, Grants, Limit, Permission, ServiceFilter, Sort, Visibility};

use super::*;

const IDS: [&str; 2] = ["0123456789abcdef01234567", "0123456789abcdef01234568"];

/// Ten services of team red, twenty of blue, one hundred in prod, two hundred with any environment.
fn terms() -> Terms {
    let term = |number, kind, key: &str, value: &str, services| {
        ((kind, key.to_owned(), value.to_owned()), Term { number, services })
    };
    Terms(BTreeMap::from([
        term(1, VALUE, "team", "red", 10),
        term(2, VALUE, "team", "blue", 20),
        term(3, VALUE, "env", "prod", 100),
        term(4, ANY, "env", "", 200),
    ]))
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
    match &conditions.driver {
        Driver::Terms(terms) => numbers(terms),
        other => panic!("driven by {other:?}"),
    }
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
    assert!(conditions.any_of.is_empty());
}

#[test]
fn ids_drive_whatever_else_there_is() {
    let conditions = conditions(&IDS, &["team:red"], &[""], true).unwrap();
    assert_eq!(conditions.driver, Driver::Ids(IDS.map(|id| id.parse().unwrap()).into()));
    assert_eq!(numbers(&conditions.terms), [1]);
}

#[test]
fn what_a_sole_grant_requires_drives_like_a_filter() {
    let by_tag = conditions(&[], &["env:prod"], &[&format!("{RED}, {ACTIVE}")], true).unwrap();
    assert_eq!((driving_terms(&by_tag), numbers(&by_tag.terms)), (vec![1], vec![3]));
    assert!(by_tag.any_of.is_empty());

    let ids = format!(r#""service_id": {{"type": "In", "values": ["{}", "not an id"]}}"#, IDS[0]);
    let by_id = conditions(&IDS, &[], &[&ids], true).unwrap();
    assert_eq!(by_id.driver, Driver::Ids([IDS[0].parse().unwrap()].into()));
}

#[test]
fn several_values_of_a_tag_drive_together_where_they_are_rarer_than_what_is_required() {
    let together = conditions(&[], &["env:prod"], &[RED_OR_BLUE], true).unwrap();
    assert_eq!(driving_terms(&together), [2, 1]);
    assert_eq!(numbers(&together.terms), [3]);
    assert!(together.any_of.is_empty());

    let tested = conditions(&[], &["team:blue"], &[RED_OR_BLUE], true).unwrap();
    assert_eq!(driving_terms(&tested), [2]);
    assert_eq!(tested.any_of.len(), 1);
}

#[test]
fn alternatives_are_tested_and_drive_nothing() {
    let both = conditions(&[], &[], &[RED, r#""name": {"type": "Equals", "value": "a"}"#], true).unwrap();
    assert_eq!(both.driver, Driver::All);
    assert_eq!(both.any_of.len(), 2);
}

#[test]
fn the_activeness_of_a_range_decides_what_speaks_of_it() {
    let grants = [&*format!("{RED}, {ACTIVE}")];
    assert!(conditions(&[], &[], &grants, true).is_some());
    assert_eq!(conditions(&[], &[], &grants, false), None);

    let grants = [NOT_RED, &*format!("{RED}, {ACTIVE}")];
    let active = conditions(&[], &[], &grants, true).unwrap();
    assert_eq!(active.any_of.len(), 2);
    let inactive = conditions(&[], &[], &grants, false).unwrap();
    assert_eq!(inactive.any_of.len(), 1);
}

#[test]
fn what_nothing_stored_can_have_leaves_no_range_or_nothing_to_test() {
    assert_eq!(conditions(&[], &["nobody:*"], &[""], true), None);
    assert_eq!(conditions(&[], &[], &[r#""tags.nobody": {"type": "Equals", "value": null}"#], true), None);
    assert_eq!(conditions(&[], &[], &[r#""agent_id": {"type": "Equals", "value": "x"}"#], true), None);
    let all =
        conditions(&[], &[], &[r#""tags.nobody": {"type": "NotEquals", "value": null}"#], true).unwrap();
    assert_eq!(all, Conditions { driver: Driver::All, terms: Vec::new(), any_of: Vec::new() });
}
