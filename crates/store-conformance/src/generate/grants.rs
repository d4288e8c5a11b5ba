//! Grants, and visibilities made of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use service_core::{
    Attribute, AttributeValue, Caller, Condition, Grant, Grants, Permission, Principal, Visibility,
};

use super::{catalog, service, text};

/// Every permission.
pub const PERMISSIONS: [Permission; 6] = [
    Permission::GetService,
    Permission::CreateService,
    Permission::UpdateService,
    Permission::CreateVersionSet,
    Permission::UpdateVersionSet,
    Permission::DeleteVersionSet,
];

/// A grant of every permission, without conditions.
pub fn everything() -> Grants {
    let unconditional =
        |permission| Grant::new(permission, BTreeMap::new()).expect("a grant without conditions");
    Grants::new(PERMISSIONS.map(unconditional)).expect("six grants")
}

/// Somebody who may do everything.
pub fn admin(principal: Principal) -> Caller {
    Caller { principal, grants: everything() }
}

/// An attribute, and values of its type: such as services have, and others.
fn attribute(permission: Permission) -> impl Strategy<Value = (Attribute, BoxedStrategy<AttributeValue>)> {
    let text = |text: String| AttributeValue::Text(text.into());
    let ids = service::service_id().prop_map(move |id| text(id.to_string())).boxed();
    let agents = catalog::agent().prop_map(move |id| text(id.to_string())).boxed();
    let machines = catalog::state_machine().prop_map(move |id| text(id.to_string())).boxed();
    let names = prop_oneof![
        3 => select(text::NASTY).prop_map(str::to_owned),
        1 => Just(String::new()),
        1 => "[abAB]{1,2}",
    ];
    let names = names.prop_map(text).boxed();
    let sets = text::version_set_name().prop_map(move |name| text(name.to_string())).boxed();
    // Mostly one key and few values, so that conditions of several grants meet and can be joined.
    let key = prop_oneof![
        3 => Just("a".parse().expect("a tag key")),
        1 => text::tag_key(),
    ];
    let tag = key.prop_map(move |key| {
        let value = prop_oneof![
            1 => Just(AttributeValue::Null),
            2 => select(&["a", "b"][..]).prop_map(move |value| text(value.to_owned())),
            1 => text::tag_value().prop_map(move |value| text(value.to_string())),
        ];
        (Attribute::Tag(key), value.boxed())
    });
    let version_sets = matches!(
        permission,
        Permission::CreateVersionSet | Permission::UpdateVersionSet | Permission::DeleteVersionSet
    );
    prop_oneof![
        2 => Just((Attribute::ServiceId, ids)),
        2 => Just((Attribute::Name, names)),
        3 => Just((Attribute::IsActive, any::<bool>().prop_map(AttributeValue::Boolean).boxed())),
        2 => Just((Attribute::AgentId, agents)),
        1 => Just((Attribute::StateMachineId, machines)),
        6 => tag,
        u32::from(version_sets) => Just((Attribute::VersionSetName, sets)),
    ]
}

/// A condition on some attribute that a permission can speak of.
pub fn condition(permission: Permission) -> impl Strategy<Value = (Attribute, Condition)> {
    attribute(permission).prop_flat_map(|(attribute, value)| (Just(attribute), condition_on(value)))
}

/// A grant of a permission, under up to three conditions.
pub fn grant_of(permission: Permission) -> BoxedStrategy<Grant> {
    proptest::collection::vec(condition(permission), 0..=3)
        .prop_filter_map("a grant", move |conditions| {
            Grant::new(permission, conditions.into_iter().collect()).ok()
        })
        .boxed()
}

/// A grant of any permission.
pub fn grant() -> impl Strategy<Value = Grant> {
    select(&PERMISSIONS[..]).prop_flat_map(grant_of)
}

/// Grants to see services: none to a few, often on the same attributes.
pub fn grants_to_see() -> impl Strategy<Value = Grants> {
    let any = grant_of(Permission::GetService);
    let grants =
        prop_oneof![proptest::collection::vec(any, 0..6), proptest::collection::vec(near_grant(), 1..4),];
    grants.prop_filter_map("grants", |grants| Grants::new(grants).ok())
}

/// Grants on one tag and on activeness alone: whatever can be joined, implied or left out comes up among a few of them.
fn near_grant() -> impl Strategy<Value = Grant> {
    let texts = |text: &str| AttributeValue::Text(text.into());
    let tag = prop_oneof![Just(AttributeValue::Null), Just(texts("a")), Just(texts("b"))];
    let is_active = any::<bool>().prop_map(AttributeValue::Boolean);
    let conditions = (
        proptest::option::weighted(0.8, condition_on(tag.boxed())),
        proptest::option::weighted(0.3, condition_on(is_active.boxed())),
    );
    conditions.prop_filter_map("a grant", |(tag, is_active)| {
        let tag = tag.map(|condition| (Attribute::Tag("a".parse().expect("a tag key")), condition));
        let is_active = is_active.map(|condition| (Attribute::IsActive, condition));
        Grant::new(Permission::GetService, tag.into_iter().chain(is_active).collect()).ok()
    })
}

fn condition_on(value: BoxedStrategy<AttributeValue>) -> impl Strategy<Value = Condition> {
    prop_oneof![
        value.clone().prop_map(|value| Condition::Equals { value }),
        value.clone().prop_map(|value| Condition::NotEquals { value }),
        proptest::collection::vec(value, 0..4).prop_map(|values| Condition::In { values }),
    ]
}

/// Callers: most may do everything, some only little.
pub fn caller() -> BoxedStrategy<Caller> {
    let some =
        proptest::collection::vec(grant(), 0..6).prop_filter_map("grants", |grants| Grants::new(grants).ok());
    (0..3_u8, prop_oneof![6 => Just(everything()), 1 => some])
        .prop_map(|(number, grants)| Caller { principal: catalog::principal(0, number), grants })
        .boxed()
}

/// What callers see.
pub fn visibility() -> impl Strategy<Value = Visibility> {
    grants_to_see().prop_map(|grants| Visibility::of(&grants, Permission::GetService))
}
