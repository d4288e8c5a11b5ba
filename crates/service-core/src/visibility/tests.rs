//! What grants of each shape simplify to.

use serde_json::{Value, json};

use super::*;

/// What grants of GetService with these conditions amount to.
fn visibility<const N: usize>(conditions: [Value; N]) -> Visibility {
    let grants = conditions.map(|conditions| {
        let grant = json!({ "permission_name": "Service:GetService", "conditions": conditions });
        serde_json::from_value(grant).unwrap()
    });
    Visibility::of(&Grants::new(grants).unwrap(), Permission::GetService)
}

fn texts<const N: usize>(texts: [&str; N]) -> BTreeSet<AttributeValue> {
    texts.map(|text| AttributeValue::Text(text.into())).into()
}

fn any_of<const N: usize, const M: usize>(conjunctions: [[(&str, ValueSet); M]; N]) -> Visibility {
    let conjunctions = conjunctions.map(|conjunction| {
        conjunction.into_iter().map(|(attribute, set)| (attribute.parse().unwrap(), set)).collect()
    });
    Visibility::AnyOf(conjunctions.into())
}

#[test]
fn no_grant_shows_nothing() {
    assert_eq!(visibility([]), Visibility::Nothing);
}

#[test]
fn a_grant_of_another_permission_shows_nothing() {
    let grant = json!([{ "permission_name": "Service:UpdateService" }]);
    let grants: Grants = serde_json::from_value(grant).unwrap();
    assert_eq!(Visibility::of(&grants, Permission::GetService), Visibility::Nothing);
}

#[test]
fn one_unconditional_grant_shows_everything_whatever_else_is_granted() {
    let name = json!({ "name": { "type": "Equals", "value": "a" } });
    assert_eq!(visibility([name.clone(), json!({}), name]), Visibility::Everything);
}

#[test]
fn an_empty_in_shows_nothing() {
    let nothing = json!({ "name": { "type": "In", "values": [] } });
    assert_eq!(visibility([nothing.clone()]), Visibility::Nothing);
    let name = json!({ "name": { "type": "Equals", "value": "a" } });
    assert_eq!(visibility([nothing, name]), any_of([[("name", ValueSet::OneOf(texts(["a"])))]]));
}

#[test]
fn both_values_of_is_active_are_no_condition() {
    let both = json!({ "is_active": { "type": "In", "values": [true, false] } });
    assert_eq!(visibility([both]), Visibility::Everything);
    let active = json!({ "is_active": { "type": "Equals", "value": true } });
    let not_active = json!({ "is_active": { "type": "NotEquals", "value": true } });
    assert_eq!(visibility([active.clone(), not_active]), Visibility::Everything);
    let active_twice = json!({ "is_active": { "type": "NotEquals", "value": false } });
    let only_active = ValueSet::OneOf([AttributeValue::Boolean(true)].into());
    assert_eq!(visibility([active, active_twice]), any_of([[("is_active", only_active)]]));
}

#[test]
fn values_of_one_attribute_become_one_set() {
    let name = |value: &str| json!({ "name": { "type": "Equals", "value": value } });
    let more = json!({ "name": { "type": "In", "values": ["b", "c", "b"] } });
    let all = any_of([[("name", ValueSet::OneOf(texts(["a", "b", "c"])))]]);
    assert_eq!(visibility([name("a"), name("b"), more]), all);
}

#[test]
fn a_value_and_its_negation_are_everything() {
    let is = json!({ "tags.team": { "type": "Equals", "value": "red" } });
    let is_not = json!({ "tags.team": { "type": "NotEquals", "value": "red" } });
    assert_eq!(visibility([is, is_not]), Visibility::Everything);
    let other = json!({ "tags.team": { "type": "NotEquals", "value": "blue" } });
    let is_not = json!({ "tags.team": { "type": "NotEquals", "value": "red" } });
    assert_eq!(visibility([other, is_not]), Visibility::Everything);
}

#[test]
fn what_another_conjunction_implies_goes() {
    let wide = json!({ "name": { "type": "In", "values": ["a", "b"] } });
    let narrow = json!({
        "name": { "type": "Equals", "value": "a" },
        "is_active": { "type": "Equals", "value": true },
    });
    assert_eq!(visibility([narrow, wide]), any_of([[("name", ValueSet::OneOf(texts(["a", "b"])))]]));
}

#[test]
fn conjunctions_that_differ_in_one_attribute_become_one() {
    let with = |active: bool| {
        json!({
            "tags.team": { "type": "Equals", "value": "red" },
            "is_active": { "type": "Equals", "value": active },
        })
    };
    let red = any_of([[("tags.team", ValueSet::OneOf(texts(["red"])))]]);
    assert_eq!(visibility([with(true), with(false)]), red);
}

#[test]
fn conjunctions_that_differ_in_two_attributes_stay() {
    let first =
        json!({ "name": { "type": "Equals", "value": "a" }, "tags.t": { "type": "Equals", "value": null } });
    let second = json!({ "name": { "type": "Equals", "value": "b" }, "tags.t": { "type": "NotEquals", "value": null } });
    let null = || BTreeSet::from([AttributeValue::Null]);
    let both = any_of([
        [("name", ValueSet::OneOf(texts(["a"]))), ("tags.t", ValueSet::OneOf(null()))],
        [("name", ValueSet::OneOf(texts(["b"]))), ("tags.t", ValueSet::NoneOf(null()))],
    ]);
    assert_eq!(visibility([second, first]), both);
}

#[test]
fn an_absent_tag_satisfies_only_the_negative_sets() {
    let red = AttributeValue::Text("red".into());
    let one_of = ValueSet::OneOf([red.clone()].into());
    let none_of = ValueSet::NoneOf([red.clone()].into());
    for (value, is_one, is_none) in
        [(None, false, true), (Some(&red), true, false), (Some(&AttributeValue::Null), false, true)]
    {
        assert_eq!(one_of.contains(value), is_one, "{value:?}");
        assert_eq!(none_of.contains(value), is_none, "{value:?}");
    }
}
