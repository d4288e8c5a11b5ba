//! Listings in the wrong order, with the wrong services, or cut in the wrong place.

use std::cmp::Ordering;

use async_trait::async_trait;
use service_core::*;
use store_conformance::reference::ModelStore;

use crate::fault::Fault;
use crate::finds;

macro_rules! fault {
    ($(#[$doc:meta])* $name:ident, $store:ident, $organization:ident, $listing:ident => $body:expr) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        struct $name;

        #[async_trait]
        impl Fault for $name {
            async fn list(
                &self,
                $store: &ModelStore,
                $organization: &OrganizationId,
                $listing: &Listing,
            ) -> Result<Listed, StoreError> {
                $body
            }
        }
    };
}

/// The service that a revision left, if there is one.
fn at(store: &ModelStore, organization: &OrganizationId, token: ContinuationToken) -> Option<Service> {
    let revision = token.position().ok()??;
    let contents = store.contents();
    contents.organizations.get(organization)?.at(revision).map(|service| Service::clone(service))
}

/// The page that comes of another order.
async fn ordered(
    store: &ModelStore,
    organization: &OrganizationId,
    listing: &Listing,
    order: impl Fn(&Service, &Service) -> Ordering + Send,
) -> Result<Listed, StoreError> {
    let Listed::Page(page) = store.list(organization, listing).await? else {
        return store.list(organization, listing).await;
    };
    let limit = Limit::with_maximum(usize::MAX, usize::MAX).expect("a limit");
    let all = Listing { token: ContinuationToken::START, limit, ..listing.clone() };
    let Listed::Page(Page { mut services, .. }) = store.list(organization, &all).await? else {
        panic!("the first page")
    };
    let after = at(store, organization, listing.token);
    services.retain(|service| after.as_ref().is_none_or(|after| order(service, after).is_gt()));
    services.sort_by(|left, right| order(left, right));
    Ok(Listed::Page(Page::of(services, listing.limit, page.facets)))
}

/// The order of a sort, were names compared like this.
fn by_names(sort: &Sort, names: fn(&str, &str) -> Ordering) -> impl Fn(&Service, &Service) -> Ordering {
    move |left, right| {
        let by = |key: &SortKey| {
            key.direction.apply(match key.field {
                SortField::Name => names(left.name.as_str(), right.name.as_str()),
                SortField::IsActive => left.is_active.cmp(&right.is_active),
            })
        };
        let orders = sort.keys().iter().map(by);
        orders.fold(Ordering::Equal, Ordering::then).then_with(|| left.id.cmp(&right.id))
    }
}

fault! {
    /// Compares names without regard to case.
    CaseInsensitive, store, organization, listing => {
        let names = |left: &str, right: &str| left.to_lowercase().cmp(&right.to_lowercase());
        ordered(store, organization, listing, by_names(&listing.sort, names)).await
    }
}

fault! {
    /// Compares names by the units of UTF-16.
    ByUtf16, store, organization, listing => {
        let names = |left: &str, right: &str| left.encode_utf16().cmp(right.encode_utf16());
        ordered(store, organization, listing, by_names(&listing.sort, names)).await
    }
}

fault! {
    /// Compares names as a dictionary does: letters first, whatever stands around them.
    AsInADictionary, store, organization, listing => {
        let letters = |name: &str| name.chars().filter(|char| char.is_alphanumeric()).collect::<String>();
        // Names of the same letters keep their order.
        let order = |left: &Service, right: &Service| {
            let by = |key: &SortKey| match key.field {
                SortField::Name => key.direction.apply(letters(left.name.as_str()).cmp(&letters(right.name.as_str()))),
                SortField::IsActive => Ordering::Equal,
            };
            listing.sort.keys().iter().map(by).fold(Ordering::Equal, Ordering::then)
                .then_with(|| compare(&listing.sort, left, right))
        };
        ordered(store, organization, listing, order).await
    }
}

#[test]
fn another_collation_is_found() {
    finds::<CaseInsensitive>(&["listing::is_what_paginate_says"]);
    finds::<ByUtf16>(&["listing::is_what_paginate_says"]);
    finds::<AsInADictionary>(&["listing::is_what_paginate_says"]);
}

fault! {
    /// Breaks ties by the direction of the sort.
    TiesDescend, store, organization, listing => {
        let descends = listing.sort.keys().last().is_some_and(|key| key.direction == Direction::Descending);
        let sort = listing.sort.clone();
        let order = move |left: &Service, right: &Service| {
            let same = Service { id: left.id, ..right.clone() };
            let fields = compare(&sort, left, &same);
            let ids = left.id.cmp(&right.id);
            fields.then(if descends { ids.reverse() } else { ids })
        };
        ordered(store, organization, listing, order).await
    }
}

#[test]
fn ties_in_the_wrong_order_are_found() {
    finds::<TiesDescend>(&["listing::is_what_paginate_says"]);
}

/// A page with another service for the next one to start after.
async fn restarted(
    store: &ModelStore,
    organization: &OrganizationId,
    listing: &Listing,
    start: impl FnOnce(&Page) -> Option<ContinuationToken> + Send,
) -> Result<Listed, StoreError> {
    let mut listed = store.list(organization, listing).await?;
    if let Listed::Page(page) = &mut listed {
        page.next = start(page);
    }
    Ok(listed)
}

fault! {
    /// Starts the next page one service too early.
    OneTooEarly, store, organization, listing => restarted(store, organization, listing, |page| {
        let last = page.services.len().saturating_sub(2);
        page.next.and_then(|_| page.services.get(last)).map(|service| ContinuationToken::after(service.revision))
    }).await
}

#[test]
fn a_page_that_starts_one_too_early_is_found() {
    finds::<OneTooEarly>(&[
        "listing::walks_concatenate_to_the_whole",
        "listing::keeps_tokens_valid_after_changes",
    ]);
}

fault! {
    /// Leaves out the service that a page starts with, unless it is the first page.
    OneTooLate, store, organization, listing => {
        let one_more = Limit::with_maximum(listing.limit.get().saturating_add(1), usize::MAX).expect("a limit");
        match store.list(organization, &Listing { limit: one_more, ..listing.clone() }).await? {
            Listed::Page(mut page) if listing.token != ContinuationToken::START && !page.services.is_empty() => {
                page.services.remove(0);
                Ok(Listed::Page(page))
            }
            _ => store.list(organization, listing).await,
        }
    }
}

#[test]
fn a_page_that_starts_one_too_late_is_found() {
    finds::<OneTooLate>(&[
        "listing::walks_concatenate_to_the_whole",
        "listing::continues_from_every_revision",
    ]);
}

fault! {
    /// Takes a full page for one that is not the last.
    FullMeansMore, store, organization, listing => restarted(store, organization, listing, |page| {
        let full = page.services.len() == listing.limit.get();
        page.services.last().filter(|_| full).map(|last| ContinuationToken::after(last.revision))
    }).await
}

#[test]
fn a_full_page_that_is_never_the_last_is_found() {
    finds::<FullMeansMore>(&["listing::walks_concatenate_to_the_whole"]);
}

fault! {
    /// Gives all there are at once.
    NoLimit, store, organization, listing => {
        let limit = Limit::with_maximum(usize::MAX, usize::MAX).expect("a limit");
        store.list(organization, &Listing { limit, ..listing.clone() }).await
    }
}

fault! {
    /// Gives a hundred at most, whatever was asked for.
    AHundredAtMost, store, organization, listing => {
        let limit = Limit::with_maximum(listing.limit.get().min(100), 100).expect("a limit");
        store.list(organization, &Listing { limit, ..listing.clone() }).await
    }
}

#[test]
fn a_limit_that_is_not_kept_is_found() {
    finds::<NoLimit>(&["listing::is_what_paginate_says"]);
    finds::<AHundredAtMost>(&["listing::gives_pages_as_large_as_asked_for"]);
}

fault! {
    /// Shows everything to everybody.
    NothingIsHidden, store, organization, listing => {
        store.list(organization, &Listing { visibility: Visibility::Everything, ..listing.clone() }).await
    }
}

fault! {
    /// Hides what may not be seen after the page was cut.
    HiddenFromFullPages, store, organization, listing => {
        let all = Listing { visibility: Visibility::Everything, ..listing.clone() };
        let mut listed = store.list(organization, &all).await?;
        if let Listed::Page(page) = &mut listed {
            if at(store, organization, listing.token).is_some_and(|service| !admits(&listing.visibility, &service)) {
                return Ok(Listed::InvalidToken);
            }
            page.services.retain(|service| admits(&listing.visibility, service));
        }
        Ok(listed)
    }
}

#[test]
fn visibility_that_is_not_part_of_the_query_is_found() {
    finds::<NothingIsHidden>(&[
        "listing::is_what_paginate_says",
        "listing::takes_the_largest_visibility",
        "listing::refuses_tokens_of_services_out_of_sight",
    ]);
    finds::<HiddenFromFullPages>(&["listing::walks_concatenate_to_the_whole"]);
}

fault! {
    /// Does not look at whether a service is active when it filters.
    FilterForgetsActiveness, store, organization, listing => {
        let filter = &listing.filter;
        let filter = ServiceFilter::new(filter.ids().iter().copied(), Option::None, filter.tags().iter().cloned());
        store.list(organization, &Listing { filter: filter.expect("a filter"), ..listing.clone() }).await
    }
}

fault! {
    /// Is content with the first tag filter.
    OneTagFilterIsEnough, store, organization, listing => {
        let filter = &listing.filter;
        let first = filter.tags().iter().take(1).cloned();
        let filter = ServiceFilter::new(filter.ids().iter().copied(), filter.is_active(), first);
        store.list(organization, &Listing { filter: filter.expect("a filter"), ..listing.clone() }).await
    }
}

#[test]
fn a_filter_that_is_forgotten_is_found() {
    finds::<FilterForgetsActiveness>(&["listing::is_what_paginate_says"]);
    finds::<OneTagFilterIsEnough>(&["listing::is_what_paginate_says"]);
}

/// The listing as it is, had the token's service always been what it is now.
async fn following(
    store: &ModelStore,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Listed, StoreError> {
    let contents = store.contents();
    let now = at(store, organization, listing.token)
        .and_then(|then| contents.organizations.get(organization)?.services().get(&then.id).cloned());
    let token = now.map_or(listing.token, |now| ContinuationToken::after(now.revision));
    store.list(organization, &Listing { token, ..listing.clone() }).await
}

fault! {
    /// Takes the service that a token names as it is now, not as it was.
    TokensFollow, store, organization, listing => following(store, organization, listing).await
}

#[test]
fn a_token_that_follows_a_rename_is_found() {
    finds::<TokensFollow>(&[
        "listing::keeps_tokens_valid_after_changes",
        "listing::refuses_tokens_of_services_out_of_sight",
    ]);
}

fault! {
    /// Starts from the beginning where it does not know a token.
    UnknownTokensStart, store, organization, listing => match store.list(organization, listing).await? {
        Listed::InvalidToken => {
            store.list(organization, &Listing { token: ContinuationToken::START, ..listing.clone() }).await
        }
        listed => Ok(listed),
    }
}

#[test]
fn a_token_that_should_be_refused_is_found() {
    finds::<UnknownTokensStart>(&[
        "listing::refuses_tokens_it_never_issued",
        "listing::refuses_tokens_of_services_out_of_sight",
    ]);
}

fault! {
    /// Sends the facets with every page.
    FacetsOnEveryPage, store, organization, listing => {
        let mut listed = store.list(organization, listing).await?;
        if let Listed::Page(page) = &mut listed {
            let contents = store.contents();
            let facets = contents.organizations.get(organization).map(OrganizationState::facets);
            page.facets = facets.map(|facets| TagFacets::of(facets.keys().cloned()));
        }
        Ok(listed)
    }
}

#[test]
fn facets_of_later_pages_are_found() {
    finds::<FacetsOnEveryPage>(&["listing::walks_concatenate_to_the_whole"]);
}
