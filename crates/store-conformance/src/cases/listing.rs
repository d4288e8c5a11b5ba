//! Listings: exactly what `paginate` gives over all services of the organization, and the facets with the first page.

use std::sync::Arc;

use service_core::{
    ContinuationToken, Listed, Listing, OrganizationState, Service, ServiceFilter, ServiceId, TagFacet,
    TagFacets, TagFilter, Visibility,
};

use super::{Setting, activate, creation, everything, limited, rename, retag, sorted, tags};
use crate::generate::{Draws, grants, listing, request, text};
use crate::store::Fresh;

/// Services with nasty names and tags, some of them changed since they were created.
async fn populate(setting: &Setting, draws: &mut Draws, count: usize) -> OrganizationState {
    let mut ids: Vec<ServiceId> = Vec::new();
    for number in 0..count {
        let mut request = creation("drawn", number % 3 != 0);
        request.name = draws.draw(&text::service_name());
        request.tags = draws.draw(&crate::generate::service::tags());
        request.agent_id = crate::generate::service::agent_id(u8::from(number % 4 == 0));
        if let Ok(service) = setting.registry.create(&setting.acme, &setting.admin, &request).await {
            ids.push(service.id);
        }
        if number % 2 == 0 && !ids.is_empty() {
            let update = draws.draw(&request::update());
            let id = ids[number / 2 % ids.len()];
            drop(setting.registry.update(&setting.acme, &setting.admin, id, &update).await);
        }
    }
    let state = setting.state(&setting.acme).await;
    assert!(state.services().len() > count / 2, "most of what is drawn can be written");
    state
}

fn ids(state: &OrganizationState) -> Vec<ServiceId> {
    state.services().keys().copied().collect()
}

/// Every sort, with filters, visibilities, limits and positions of all kinds.
pub async fn is_what_paginate_says(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let mut draws = Draws::seeded(21);
    let state = populate(&setting, &mut draws, 90).await;
    let ids = ids(&state);
    let revisions = i64::try_from(state.history().len()).expect("few revisions");
    for round in 0..20 {
        for sort in listing::all_sorts() {
            let filter = match round % 3 {
                0 => ServiceFilter::default(),
                _ => draws.draw(&listing::filter()).filter(&ids),
            };
            let visibility = match round % 4 {
                0 | 1 => Visibility::Everything,
                _ => draws.draw(&grants::visibility()),
            };
            let token = ContinuationToken::new(draws.draw(&(0..=revisions)));
            let limit = draws.draw(&listing::limit());
            let listing = Listing { filter, visibility, sort, limit, token };
            assert_eq!(setting.list(&setting.acme, &listing).await, state.list(&listing), "{listing:?}");
        }
    }
}

/// Under every sort, after each revision there ever was.
pub async fn continues_from_every_revision(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let state = populate(&setting, &mut Draws::seeded(22), 30).await;
    for sort in listing::all_sorts() {
        for row in state.history() {
            let token = ContinuationToken::after(row.revision);
            let listing = Listing { sort: sort.clone(), limit: limited(4), token, ..everything() };
            assert_eq!(setting.list(&setting.acme, &listing).await, state.list(&listing), "{listing:?}");
        }
    }
}

/// Page after page, of any limit, a walk returns what one large page does; the last page has no token.
pub async fn walks_concatenate_to_the_whole(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let mut draws = Draws::seeded(23);
    let state = populate(&setting, &mut draws, 50).await;
    let ids = ids(&state);
    for (round, sort) in listing::all_sorts().into_iter().cycle().take(39).enumerate() {
        let filter = match round % 3 {
            0 => ServiceFilter::default(),
            _ => draws.draw(&listing::filter()).filter(&ids),
        };
        let visibility =
            if round % 2 == 0 { Visibility::Everything } else { draws.draw(&grants::visibility()) };
        let whole = Listing { filter, visibility, sort, ..everything() };
        let all = setting.page(&setting.acme, &whole).await.services;
        let (walked, pages) = walk(&setting, &Listing { limit: limited(1 + round % 7), ..whole }).await;
        assert_eq!(walked, all);
        assert_eq!(pages, all.len().div_ceil(1 + round % 7).max(1), "pages are full");
    }
}

/// All services of a walk, and the number of its pages. Facets come with the first page alone.
async fn walk(setting: &Setting, listing: &Listing) -> (Vec<Arc<Service>>, usize) {
    let (mut walked, mut pages) = (Vec::new(), 0);
    let mut token = ContinuationToken::START;
    loop {
        let page = setting.page(&setting.acme, &Listing { token, ..listing.clone() }).await;
        assert_eq!(page.facets.is_some(), pages == 0);
        walked.extend(page.services);
        pages += 1;
        assert!(pages <= super::MAX_PAGES, "a walk that does not end");
        match page.next {
            Some(next) => token = next,
            None => return (walked, pages),
        }
    }
}

/// The most ids, the most tag filters, a page larger than everything there is.
pub async fn takes_large_filters_and_pages(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    populate(&setting, &mut Draws::seeded(24), 20).await;
    let full: Vec<String> = (0..20).map(|number| format!("k{number}:v")).collect();
    let full: Vec<&str> = full.iter().map(String::as_str).collect();
    let service = setting.create("twenty tags", true).await;
    setting.update(service.id, retag(&full)).await;
    let state = setting.state(&setting.acme).await;
    let unknown = (0..u16::MAX).map(|number| {
        let [high, low] = number.to_be_bytes();
        ServiceId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, high, low])
    });
    let many = ids(&state).into_iter().chain(unknown).take(1000);
    let filters = [
        ServiceFilter::new(many, None, []),
        ServiceFilter::new([], None, full.iter().map(|tag| tag.parse().expect("a tag filter"))),
        ServiceFilter::new(
            [service.id],
            Some(true),
            full.iter().map(|tag| tag.parse().expect("a tag filter")),
        ),
        ServiceFilter::new([service.id], Some(false), []),
        ServiceFilter::new([], None, ["k1:v", "k1:"].map(|tag| tag.parse().expect("a tag filter"))),
    ];
    for filter in filters {
        let filter = filter.expect("a filter");
        for sort in listing::all_sorts() {
            for limit in [1, 10, 1000, usize::MAX] {
                let filter = filter.clone();
                let listing = Listing { filter, sort: sort.clone(), limit: limited(limit), ..everything() };
                assert_eq!(setting.list(&setting.acme, &listing).await, state.list(&listing), "{listing:?}");
            }
        }
    }
}

/// A page holds as many services as it was asked for, however many that are; and no more.
pub async fn gives_pages_as_large_as_asked_for(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    for number in 0..260 {
        setting.create(&format!("s{number}"), number % 2 == 0).await;
    }
    let state = setting.state(&setting.acme).await;
    for sort in [vec![], vec!["-name"], vec!["+is_active", "-name"]] {
        for limit in [99, 129, 259, 260, 261] {
            let listing = Listing { sort: sorted(&sort), limit: limited(limit), ..everything() };
            let page = setting.page(&setting.acme, &listing).await;
            assert_eq!((page.services.len(), page.next.is_some()), (limit.min(260), limit < 260));
            assert_eq!(Listed::Page(page), state.list(&listing));
        }
    }
}

/// As many grants as a principal can hold, each with as many conditions as it can have, each with as many values.
pub async fn takes_the_largest_visibility(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    populate(&setting, &mut Draws::seeded(25), 20).await;
    let seen = setting.create("seen 63", true).await;
    let all: Vec<String> = (0..5).map(|number| format!("k{number}:63 7")).collect();
    setting.update(seen.id, retag(&all.iter().map(String::as_str).collect::<Vec<_>>())).await;
    let grant = |number: usize| {
        let texts = |text: &str| (0..100).map(|other| format!("{text} {other}")).collect::<Vec<_>>();
        let mut conditions: serde_json::Map<String, serde_json::Value> = (0..5)
            .map(|key| {
                let values = texts(&number.to_string());
                (format!("tags.k{key}"), serde_json::json!({ "type": "In", "values": values }))
            })
            .collect();
        conditions.insert("name".into(), serde_json::json!({ "type": "In", "values": texts("seen") }));
        let never = format!("{number:024x}");
        conditions.insert("service_id".into(), serde_json::json!({ "type": "NotEquals", "value": never }));
        conditions.insert("agent_id".into(), serde_json::json!({ "type": "NotEquals", "value": never }));
        let grant = serde_json::json!({ "permission_name": "Service:GetService", "conditions": conditions });
        serde_json::from_value::<service_core::Grant>(grant).expect("a grant")
    };
    let grants = service_core::Grants::new((0..64).map(grant)).expect("64 grants");
    let visibility = Visibility::of(&grants, service_core::Permission::GetService);
    assert!(matches!(&visibility, Visibility::AnyOf(conjunctions) if conjunctions.len() == 64));
    let state = setting.state(&setting.acme).await;
    for sort in listing::all_sorts() {
        let listing = Listing { visibility: visibility.clone(), sort, ..everything() };
        let page = setting.page(&setting.acme, &listing).await;
        assert_eq!(page.services.len(), 1);
        assert_eq!(Listed::Page(page), state.list(&listing));
    }
}

/// Numbers that are no revision of the organization: negative ones, and those beyond the last.
pub async fn refuses_tokens_it_never_issued(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    for number in 1..=3 {
        setting.create(&format!("s{number}"), true).await;
    }
    for sort in listing::all_sorts() {
        for number in [-1, i64::MIN, 4, 5, 1 << 31, 1 << 53, i64::MAX] {
            let token = ContinuationToken::new(number);
            let listing = Listing { sort: sort.clone(), token, ..everything() };
            assert_eq!(setting.list(&setting.acme, &listing).await, Listed::InvalidToken, "{number}");
        }
    }
    let first = Listing { token: ContinuationToken::new(1), ..everything() };
    assert_eq!(setting.list(&setting.other, &first).await, Listed::InvalidToken, "of another organization");
}

/// A token is good only if its service, as the history row shows it, is visible; what the service is now does not matter, and
/// neither does the filter.
pub async fn refuses_tokens_of_services_out_of_sight(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let service = setting.create("s", true).await;
    setting.update(service.id, activate(false)).await;
    let others = [setting.create("t", true).await, setting.create("u", true).await];
    let only_active: service_core::Grants = serde_json::from_value(serde_json::json!([{
        "permission_name": "Service:GetService",
        "conditions": { "is_active": { "type": "Equals", "value": true } },
    }]))
    .expect("grants");
    let visibility = Visibility::of(&only_active, service_core::Permission::GetService);
    let after = |number, visibility: &Visibility| Listing {
        visibility: visibility.clone(),
        token: ContinuationToken::new(number),
        ..everything()
    };
    let page = setting.page(&setting.acme, &after(1, &visibility)).await;
    assert_eq!(page.services, others, "it was active in revision 1");
    assert_eq!(setting.list(&setting.acme, &after(2, &visibility)).await, Listed::InvalidToken);
    assert_eq!(setting.list(&setting.acme, &after(2, &Visibility::Nothing)).await, Listed::InvalidToken);
    let filter = ServiceFilter::new([], Some(true), []).expect("a filter");
    let filtered = Listing { filter, ..after(2, &Visibility::Everything) };
    assert_eq!(setting.page(&setting.acme, &filtered).await.services, others);
    let nothing = setting.page(&setting.acme, &after(0, &Visibility::Nothing)).await;
    assert!(nothing.services.is_empty() && nothing.facets.is_some(), "facets, whatever may be seen");
}

/// A token names the position that its service had, whatever becomes of the service.
pub async fn keeps_tokens_valid_after_changes(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let mut services = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        services.push(setting.create(name, true).await);
    }
    let sort = sorted(&["+name"]);
    let listing = Listing { sort, limit: limited(2), ..everything() };
    let page = setting.page(&setting.acme, &listing).await;
    assert_eq!(page.next, Some(ContinuationToken::new(2)));
    let next = Listing { token: ContinuationToken::new(2), ..listing };
    let rest = async || {
        let page = setting.page(&setting.acme, &next).await;
        page.services.iter().map(|service| service.name.to_string()).collect::<String>()
    };
    assert_eq!(rest().await, "cd");
    for request in [rename("z"), rename("0"), retag(&["a:b"]), activate(false)] {
        setting.update(services[1].id, request).await;
        assert_eq!(rest().await, "cd");
    }
    setting.update(services[0].id, rename("bb")).await;
    assert_eq!(rest().await, "bbc", "what moves behind the position is met");
}

/// The facets are the tags that some service has now, each once, in order, whatever the filter and the visibility.
pub async fn counts_facets_exactly(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let facets = async |listing: &Listing| {
        let page = setting.page(&setting.acme, listing).await;
        let TagFacets { tags, truncated } = page.facets.expect("facets on the first page");
        assert!(!truncated);
        tags.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(facets(&everything()).await.is_empty());
    let first = setting.create("first", true).await;
    let second = setting.create("second", false).await;
    setting.update(first.id, retag(&["b:", "a:2", "A:x", "é:1", "c c:d d"])).await;
    setting.update(second.id, retag(&["b:", "b b:", "a:1", "aa:é"])).await;
    setting.update(second.id, retag(&["b:v", "b b:", "a:1", "e\u{301}:1", "\u{ff5a}:", "\u{10400}:"])).await;
    let expected =
        ["A:x", "a:1", "a:2", "b:", "b:v", "b b:", "c c:d d", "e\u{301}:1", "é:1", "\u{ff5a}:", "\u{10400}:"];
    assert_eq!(facets(&everything()).await, expected);
    let filter =
        ServiceFilter::new([first.id], Some(false), ["a:*".parse::<TagFilter>().expect("a tag filter")]);
    let narrow =
        Listing { filter: filter.expect("a filter"), visibility: Visibility::Nothing, ..everything() };
    assert_eq!(facets(&narrow).await, expected);
    setting.update(first.id, retag(&["a:1"])).await;
    assert_eq!(facets(&everything()).await, ["a:1", "b:v", "b b:", "e\u{301}:1", "\u{ff5a}:", "\u{10400}:"]);
    setting.update(second.id, retag(&[])).await;
    assert_eq!(facets(&everything()).await, ["a:1"], "a tag that two had is still one's");
    setting.update(first.id, retag(&[])).await;
    assert!(facets(&everything()).await.is_empty());
    setting.state(&setting.acme).await;
}

/// A thousand facets are all there, one more and they are the first thousand.
pub async fn truncates_facets_at_a_thousand(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let all: Vec<String> = (0..1001).map(|number| format!("key {}:v{number:04}", number % 20)).collect();
    let (last, thousand) = all.split_last().expect("a last one");
    for (number, twenty) in thousand.chunks(20).enumerate() {
        let twenty: Vec<&str> = twenty.iter().map(String::as_str).collect();
        let request =
            service_core::CreateService { tags: tags(&twenty), ..creation(&format!("s{number}"), true) };
        let created = setting.registry.create(&setting.acme, &setting.admin, &request).await;
        created.expect("a service that is created");
    }
    let facets = async || setting.page(&setting.acme, &everything()).await.facets.expect("facets");
    let complete = facets().await;
    assert_eq!((complete.tags.len(), complete.truncated), (1000, false));
    let one_more = setting.create("one more", true).await;
    setting.update(one_more.id, retag(&[last])).await;
    let truncated = facets().await;
    assert_eq!((truncated.tags.len(), truncated.truncated), (1000, true));
    let state = setting.state(&setting.acme).await;
    let first: Vec<TagFacet> = state.facets().keys().take(1000).cloned().collect();
    assert_eq!(*truncated.tags, first);
    setting.update(one_more.id, retag(&[])).await;
    assert_eq!(facets().await, complete);
}
