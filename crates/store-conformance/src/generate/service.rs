//! Services and what they are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use service_core::{
    AgentId, Keyterms, LlmConfig, LlmParams, LlmPreferences, OrganizationId, Principal, Revision, Service,
    ServiceId, StateMachineId, Tags, Timestamp, VersionNumber, VersionSet, VersionSetName, VersionSets,
};

use super::catalog;
use super::text;

/// Tags: none to a handful of keys from the pool.
pub fn tags() -> BoxedStrategy<Tags> {
    let tag = (text::tag_key(), proptest::option::weighted(0.7, text::tag_value()));
    proptest::collection::vec(tag, 0..6)
        .prop_map(|tags| tags.into_iter().collect::<BTreeMap<_, _>>())
        .prop_filter_map("tags", |tags| Tags::new(tags).ok())
        .boxed()
}

/// Version numbers of which the small agents and state machines of [`catalog`] have some.
pub fn version_number() -> impl Strategy<Value = VersionNumber> {
    prop_oneof![9 => 1..=4_i64, 1 => 1..=i64::from(i32::MAX)]
        .prop_filter_map("a version number", |number| VersionNumber::new(number).ok())
}

/// Any JSON, at most so deep.
pub fn json_value(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("a finite double", |double| {
            serde_json::Number::from_f64(double).map(Value::Number)
        }),
        select(text::NASTY).prop_map(Value::from),
        Just(json!(1.0)),
        Just(json!(9_007_199_254_740_993_u64)),
        Just(json!(u64::MAX)),
        Just(json!(-0.0)),
    ];
    leaf.prop_recursive(depth, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(select(text::NASTY).prop_map(str::to_owned), inner, 0..3)
                .prop_map(|entries| Value::Object(Map::from_iter(entries))),
        ]
    })
    .boxed()
}

/// Parameters of LLMs, most of them right.
pub fn llm_params() -> BoxedStrategy<LlmParams> {
    let known = (
        proptest::option::of(prop_oneof![Just(json!(0.5)), Just(json!(1)), Just(json!(1.0))]),
        proptest::option::weighted(0.2, prop_oneof![8 => Just(json!(0.25)), 1 => Just(json!(2.5))]),
        proptest::option::weighted(0.2, prop_oneof![8 => Just(json!(40)), 1 => Just(json!(0))]),
    );
    let others =
        proptest::collection::btree_map(select(text::NASTY).prop_map(str::to_owned), json_value(3), 0..2);
    (known, others)
        .prop_filter_map("llm params", |((top_p, temperature, top_k), others)| {
            let mut params = Map::from_iter(others);
            let known = [("top_p", top_p), ("temperature", temperature), ("top_k", top_k)];
            params.extend(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
            LlmParams::new(params).ok()
        })
        .boxed()
}

/// What a version set pins: mostly versions and LLMs that [`catalog`] has.
pub fn version_set() -> BoxedStrategy<VersionSet> {
    let config = (catalog::llm(), llm_params()).prop_map(|(llm_name, params)| LlmConfig { llm_name, params });
    let preferences = proptest::collection::btree_map(text::interaction_name(), config, 0..3)
        .prop_filter_map("llm preferences", |preferences| LlmPreferences::new(preferences).ok());
    (proptest::option::of(version_number()), proptest::option::of(version_number()), preferences)
        .prop_map(|(agent_version_number, state_machine_version_number, llm_model_preferences)| VersionSet {
            agent_version_number,
            state_machine_version_number,
            llm_model_preferences,
        })
        .boxed()
}

/// The version sets of a service, `edge` and `release` among them.
pub fn version_sets() -> impl Strategy<Value = VersionSets> {
    let others = proptest::collection::btree_map(text::version_set_name(), version_set(), 0..3);
    (version_set(), others).prop_filter_map("version sets", |(release, others)| {
        others
            .into_iter()
            .filter(|(name, _)| *name != VersionSetName::edge())
            .try_fold(VersionSets::with_release(release), |sets, (name, set)| sets.with(name, set))
            .ok()
    })
}

/// One of few ids, the first and the last possible among them.
pub fn service_id() -> impl Strategy<Value = ServiceId> {
    select(&[0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff][..])
        .prop_flat_map(|first| {
            (0..4_u8).prop_map(move |last| {
                let mut bytes = [first; 12];
                bytes[11] = last;
                bytes
            })
        })
        .prop_map(ServiceId::from_bytes)
}

/// Users of any organization.
pub fn principal() -> impl Strategy<Value = Principal> {
    (text::organization_id(), text::user_id())
        .prop_map(|(organization, user)| Principal { organization, user })
}

/// Times, most of them near the present.
pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => 0..4_000_000_000_000_000_i64,
        1 => -300_000_000_000_000_000..250_000_000_000_000_000_i64,
    ]
    .prop_filter_map("a timestamp", |microseconds| Timestamp::from_microseconds(microseconds).ok())
}

/// Services of one organization, as any revision may have left them. Nothing says that they could exist together.
pub fn service() -> BoxedStrategy<Service> {
    let what = (service_id(), text::service_name(), text::description(), any::<bool>());
    let refers = (catalog::agent(), catalog::state_machine());
    let holds = (tags(), text::keyterms(), version_sets());
    let who = (principal(), principal(), timestamp(), timestamp(), 1..1000_i64);
    (what, refers, holds, who)
        .prop_map(
            |(
                (id, name, description, is_active),
                (agent_id, state_machine_id),
                (tags, keyterms, version_sets),
                (creator, updated_by, created_at, updated_at, revision),
            )| Service {
                id,
                organization: catalog::organization(0),
                name,
                description,
                is_active,
                agent_id,
                state_machine_id,
                tags,
                keyterms,
                version_sets,
                creator,
                updated_by,
                created_at,
                updated_at,
                revision: Revision::new(revision).expect("a revision of at least 1"),
            },
        )
        .boxed()
}

/// Services that differ only in what listings look at: far cheaper to draw than [`service`].
fn listed_service() -> impl Strategy<Value = Service> {
    let set = VersionSets::with_release(VersionSet::default());
    let who = catalog::principal(0, 0);
    let refers = (catalog::agent(), catalog::state_machine());
    (service_id(), text::service_name(), any::<bool>(), refers, tags()).prop_map(
        move |(id, name, is_active, (agent_id, state_machine_id), tags)| Service {
            id,
            organization: catalog::organization(0),
            name,
            description: "listed".parse().expect("a description"),
            is_active,
            agent_id,
            state_machine_id,
            tags,
            keyterms: Keyterms::default(),
            version_sets: set.clone(),
            creator: who.clone(),
            updated_by: who.clone(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            revision: Revision::ZERO,
        },
    )
}

/// Services that are stored together, for listings: different ids, and revisions 1, 2, 3, … in random order.
pub fn services(most: usize) -> impl Strategy<Value = Vec<Arc<Service>>> {
    proptest::collection::vec(listed_service(), 0..=most).prop_map(|services| {
        let numbered = services.into_iter().zip(1_i64..).map(|(service, number)| {
            // Ids of one first byte in four, so that ids and revisions are ordered differently.
            let [first, .., last] = *service.id.as_bytes();
            let mut bytes = [first; 12];
            bytes[10] = last;
            bytes[11] = u8::try_from(number).expect("at most 255 services");
            let revision = Revision::new(number).expect("a revision of at least 1");
            Arc::new(Service { id: ServiceId::from_bytes(bytes), revision, ..service })
        });
        numbered.collect()
    })
}

/// The agent of this number.
pub const fn agent_id(number: u8) -> AgentId {
    AgentId::from_bytes([0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

/// The state machine of this number.
pub const fn state_machine_id(number: u8) -> StateMachineId {
    StateMachineId::from_bytes([0xb0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

/// The organization called `name`.
pub(super) fn organization_id(name: &str) -> OrganizationId {
    name.parse().expect("an organization id")
}
