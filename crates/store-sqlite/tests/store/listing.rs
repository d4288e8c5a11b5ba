//! Every listing is the model's, at every position.

use service_core::{
    ContinuationToken, Grants, Limit, Listed, Listing, Permission, Repository, ServiceFilter, Sort,
    TagFilter, Visibility,
};
use store_sql::list::Plain;

use crate::support::{Dice, Pair, acme, service_id, sorts};

pub(crate) fn filter(ids: &[u32], is_active: Option<bool>, tags: &[&str]) -> ServiceFilter {
    let tags: Vec<TagFilter> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    ServiceFilter::new(
        ids.iter().map(|&number| service_id(number.wrapping_mul(0x9e37_79b1))),
        is_active,
        tags,
    )
    .unwrap()
}

fn filters() -> Vec<ServiceFilter> {
    vec![
        filter(&[], None, &[]),
        filter(&[], Some(true), &[]),
        filter(&[], Some(false), &[]),
        filter(&[0, 1, 2, 3, 5, 8, 13, 4711], None, &[]),
        filter(&[1, 2, 3, 4, 5, 6, 7, 8, 9], Some(true), &["env:*"]),
        filter(&[4711], None, &[]),
        filter(&[], None, &["team:*"]),
        filter(&[], None, &["team:"]),
        filter(&[], None, &["team:red"]),
        filter(&[], Some(false), &["größe 1:größer als 2"]),
        filter(&[], None, &["n:0"]),
        filter(&[], None, &["n:null", "team:*"]),
        filter(&[], None, &["env:prod", "team:blue", "team:*"]),
        filter(&[], None, &["env:prod", "env:test"]),
        filter(&[], None, &["nobody:*"]),
    ]
}

fn visibility(conditions: &[&str]) -> Visibility {
    let grants: Vec<String> = conditions
        .iter()
        .map(|conditions| {
            format!(r#"{{"permission_name": "Service:GetService", "conditions": {conditions}}}"#)
        })
        .collect();
    let grants: Grants = serde_json::from_str(&format!("[{}]", grants.join(", "))).unwrap();
    Visibility::of(&grants, Permission::GetService)
}

fn visibilities() -> Vec<Visibility> {
    let (one, two) = (service_id(0), service_id(0x9e37_79b1));
    let ids = format!(r#"{{"service_id": {{"type": "In", "values": ["{one}", "{two}", "no id", "a"]}}}}"#);
    let not_one = format!(r#"{{"service_id": {{"type": "NotEquals", "value": "{one}"}}}}"#);
    vec![
        Visibility::Nothing,
        visibility(&[r#"{"tags.team": {"type": "Equals", "value": "red"}}"#]),
        visibility(&[r#"{"tags.team": {"type": "Equals", "value": null}}"#]),
        visibility(&[r#"{"tags.team": {"type": "NotEquals", "value": null}}"#]),
        visibility(&[r#"{"tags.team": {"type": "In", "values": ["red", null, "\u0001"]}}"#]),
        visibility(&[r#"{"tags.nobody": {"type": "Equals", "value": "x"}}"#]),
        visibility(&[r#"{"tags.nobody": {"type": "NotEquals", "value": "x"}}"#]),
        visibility(&[r#"{"is_active": {"type": "Equals", "value": true}}"#]),
        visibility(&[
            r#"{"is_active": {"type": "Equals", "value": true}, "tags.env": {"type": "Equals", "value": "prod"}}"#,
            r#"{"is_active": {"type": "Equals", "value": false}, "tags.env": {"type": "NotEquals", "value": "prod"}}"#,
        ]),
        visibility(&[&ids]),
        visibility(&[&not_one]),
        visibility(&[r#"{"name": {"type": "In", "values": ["a", "\u00e9", "a%_'\"b", "\u0000x1"]}}"#
            .replace("\\u0000", "")
            .as_str()]),
        visibility(&[r#"{"name": {"type": "NotEquals", "value": "a"}}"#]),
        visibility(&[
            r#"{"agent_id": {"type": "Equals", "value": "a00000000000000000000002"}, "tags.n": {"type": "In", "values": ["0", "1"]}}"#,
            r#"{"service_hierarchical_state_machine_id": {"type": "NotEquals", "value": "b00000000000000000000001"}}"#,
            r#"{"name": {"type": "Equals", "value": "z"}, "agent_id": {"type": "NotEquals", "value": "x"}}"#,
        ]),
        // Alternatives that each find their services by themselves, some of them the same.
        visibility(&[
            r#"{"agent_id": {"type": "Equals", "value": "a00000000000000000000002"}}"#,
            r#"{"name": {"type": "In", "values": ["a", "z", "\u00e9"]}, "tags.team": {"type": "NotEquals", "value": "red"}}"#,
            r#"{"tags.n": {"type": "In", "values": ["0", "00"]}, "tags.env": {"type": "Equals", "value": "prod"}}"#,
            &ids,
        ]),
        // More names than one statement reads one by one.
        visibility(&[
            &many_names(0, r#""agent_id": {"type": "NotEquals", "value": "a00000000000000000000001"}"#),
            &many_names(1, r#""tags.team": {"type": "NotEquals", "value": null}"#),
        ]),
    ]
}

/// A hundred names, some of which services have, and one more condition.
fn many_names(first: u32, condition: &str) -> String {
    let numbered = (first..97).map(|number| format!("a {number}"));
    let names: Vec<String> = ["a", "z", "A"].into_iter().map(str::to_owned).chain(numbered).collect();
    format!(r#"{{"name": {{"type": "In", "values": {names:?}}}, {condition}}}"#)
}

/// Filters under full visibility, visibilities without a filter, and some of both.
pub(crate) fn questions() -> Vec<(ServiceFilter, Visibility)> {
    let mut questions: Vec<_> =
        filters().into_iter().map(|filter| (filter, Visibility::Everything)).collect();
    questions.extend(visibilities().into_iter().map(|visibility| (ServiceFilter::default(), visibility)));
    for (index, visibility) in visibilities().into_iter().enumerate() {
        questions.push((filters()[1 + index % 14].clone(), visibility));
    }
    questions
}

/// The same under every sort: first what the database finds by itself, then what takes an index in memory, and then the first once
/// more, as the index finds that too now that it is there.
fn questions_of_every_sort() -> Vec<Listing> {
    let mut listings = Vec::new();
    for is_plain in [true, false, true] {
        for sort in sorts() {
            let listing = |(filter, visibility)| {
                let (limit, token) = (Limit::default(), ContinuationToken::START);
                Listing { filter, visibility, sort: sort.clone(), limit, token }
            };
            let of_sort = questions().into_iter().map(listing);
            listings.extend(of_sort.filter(|listing| Plain::suits(listing) == is_plain));
        }
    }
    listings
}

async fn compare(pair: &Pair, listing: &Listing) -> Listed {
    let listed = pair.store.list(&acme(), listing).await.unwrap();
    assert_eq!(listed, pair.model.list(listing), "{listing:?}");
    listed
}

#[tokio::test]
async fn every_sort_filter_and_visibility_agrees_with_the_model_at_every_position() {
    let mut pair = Pair::new().await;
    pair.fill(26, &mut Dice::new(7)).await;
    let last = pair.model.record().revision.get();
    assert!(last > 26, "some services have changed since");
    let mut pages = 0;
    for listing in questions_of_every_sort() {
        for token in (-1..=last + 1).chain([i64::MIN, i64::MAX]) {
            let listing = Listing {
                limit: Limit::new(1 + (token.unsigned_abs() % 5) as usize).unwrap(),
                token: ContinuationToken::new(token),
                ..listing.clone()
            };
            pages += usize::from(matches!(compare(&pair, &listing).await, Listed::Page(_)));
        }
    }
    assert!(pages > 10_000, "{pages} pages were compared");
}

#[tokio::test]
async fn walks_over_hundreds_of_services_agree_with_the_model_on_every_page() {
    let mut pair = Pair::new().await;
    pair.fill(300, &mut Dice::new(11)).await;
    for mut listing in questions_of_every_sort() {
        while let Listed::Page(page) = compare(&pair, &listing).await {
            let Some(next) = page.next else { break };
            listing.token = next;
        }
    }
}

#[tokio::test]
async fn an_organization_that_is_not_there_is_not_listed() {
    let pair = Pair::new().await;
    for token in [-1, 0, 1] {
        let listing = Listing {
            filter: ServiceFilter::default(),
            visibility: Visibility::Everything,
            sort: Sort::default(),
            limit: Limit::default(),
            token: ContinuationToken::new(token),
        };
        let listed = pair.store.list(&"nowhere".parse().unwrap(), &listing).await.unwrap();
        assert_eq!(listed, Listed::UnknownOrganization);
    }
}
