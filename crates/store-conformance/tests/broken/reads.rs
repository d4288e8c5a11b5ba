//! Reads of the wrong organization, the wrong moment or the wrong value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use service_core::*;
use store_conformance::reference::{Contents, ModelStore};

use crate::fault::Fault;
use crate::finds;

/// Reads an organization whose id differs in case.
#[derive(Debug, Default)]
struct TenantsByFoldedId;

#[async_trait]
impl Fault for TenantsByFoldedId {
    async fn list(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        listing: &Listing,
    ) -> Result<Listed, StoreError> {
        let contents = store.contents();
        let same = |id: &&OrganizationId| id.as_str().eq_ignore_ascii_case(organization.as_str());
        let folded = contents.organizations.keys().rev().find(same).unwrap_or(organization);
        store.list(folded, listing).await
    }
}

/// Finds a service by its id alone.
#[derive(Debug, Default)]
struct ServicesByIdAlone;

#[async_trait]
impl Fault for ServicesByIdAlone {
    async fn facts(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        let facts = store.facts(organization, query).await?;
        let contents = store.contents();
        let elsewhere =
            |id| contents.organizations.values().find_map(|state| state.services().get(&id).cloned());
        Ok(facts.map(|facts| Facts {
            service: facts.service.clone().or_else(|| query.service.and_then(elsewhere)),
            ..facts
        }))
    }
}

/// Takes any organization's revision for a token.
#[derive(Debug, Default)]
struct TokensOfAnyTenant;

#[async_trait]
impl Fault for TokensOfAnyTenant {
    async fn list(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        listing: &Listing,
    ) -> Result<Listed, StoreError> {
        let listed = store.list(organization, listing).await?;
        let known = listing.token.position().ok().flatten().is_some_and(|revision| {
            store.contents().organizations.values().any(|state| state.at(revision).is_some())
        });
        if listed == Listed::InvalidToken && known {
            return store
                .list(organization, &Listing { token: ContinuationToken::START, ..listing.clone() })
                .await;
        }
        Ok(listed)
    }
}

/// Finds API keys by their id alone.
#[derive(Debug, Default)]
struct KeysOfAnyTenant;

#[async_trait]
impl Fault for KeysOfAnyTenant {
    async fn verify_api_key(
        &self,
        store: &ModelStore,
        _: &OrganizationId,
        id: &ApiKeyId,
        key: &str,
    ) -> Result<bool, StoreError> {
        for organization in store.contents().organizations.keys() {
            if store.verify_api_key(organization, id, key).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Knows users whoever issued their identity.
#[derive(Debug, Default)]
struct UsersOfAnyIssuer;

#[async_trait]
impl Fault for UsersOfAnyIssuer {
    async fn standing(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError> {
        let own = Principal { organization: organization.clone(), user: principal.user.clone() };
        match store.standing(organization, principal).await? {
            Standing::UnknownPrincipal => store.standing(organization, &own).await,
            standing => Ok(standing),
        }
    }
}

#[test]
fn a_leaked_tenant_is_found() {
    finds::<TenantsByFoldedId>(&["organizations::with_the_same_ids_are_isolated"]);
    finds::<ServicesByIdAlone>(&["organizations::are_out_of_reach_of_ids_and_tokens_of_others"]);
    finds::<TokensOfAnyTenant>(&["organizations::are_out_of_reach_of_ids_and_tokens_of_others"]);
    finds::<KeysOfAnyTenant>(&["access::api_keys_verify_only_their_own_secret"]);
    finds::<UsersOfAnyIssuer>(&["access::standing_knows_issuers_apart"]);
}

/// Remembers every tag there ever was.
#[derive(Debug, Default)]
pub(crate) struct OnlyEverMoreFacets(Mutex<BTreeMap<OrganizationId, BTreeSet<TagFacet>>>);

#[async_trait]
impl Fault for OnlyEverMoreFacets {
    async fn list(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        listing: &Listing,
    ) -> Result<Listed, StoreError> {
        let mut listed = store.list(organization, listing).await?;
        if let Listed::Page(Page { facets: Some(facets), .. }) = &mut listed {
            let contents = store.contents();
            let mut all = self.0.lock().expect("facets");
            let all = all.entry(organization.clone()).or_default();
            let rows =
                contents.organizations.get(organization).into_iter().flat_map(OrganizationState::history);
            let tags = rows.flat_map(|row| row.tags.pairs());
            all.extend(tags.map(|(key, value)| TagFacet { key, value }));
            *facets = TagFacets::of(all.iter().cloned());
        }
        Ok(listed)
    }
}

#[test]
fn facets_out_of_date_are_found() {
    finds::<OnlyEverMoreFacets>(&["listing::counts_facets_exactly"]);
}

/// Reads, once after each write, from a copy that has not got it yet.
#[derive(Debug, Default)]
struct LaggingCopy(Mutex<Option<Contents>>);

#[async_trait]
impl Fault for LaggingCopy {
    async fn commit(&self, store: &ModelStore, commit: Commit) -> Result<CommitOutcome, StoreError> {
        *self.0.lock().expect("a copy") = Some(store.contents());
        store.commit(commit).await
    }

    async fn list(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        listing: &Listing,
    ) -> Result<Listed, StoreError> {
        let copy = self.0.lock().expect("a copy").take();
        match copy {
            Some(copy) if listing.sort != Sort::default() => {
                ModelStore::new(copy).list(organization, listing).await
            }
            _ => store.list(organization, listing).await,
        }
    }
}

/// Keeps what it once found somebody to hold.
#[derive(Debug, Default)]
struct KeptStanding(Mutex<BTreeMap<(OrganizationId, Principal), Standing>>);

#[async_trait]
impl Fault for KeptStanding {
    async fn standing(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError> {
        let standing = store.standing(organization, principal).await?;
        let key = (organization.clone(), principal.clone());
        Ok(self.0.lock().expect("standings").entry(key).or_insert(standing).clone())
    }
}

#[test]
fn a_stale_read_is_found() {
    finds::<LaggingCopy>(&["atomic::what_a_call_did_the_next_one_sees"]);
    finds::<KeptStanding>(&["access::standing_follows_the_catalog"]);
}

macro_rules! rows {
    ($(#[$doc:meta])* $name:ident, $store:ident, $organization:ident, $limit:ident, $row:ident => $value:expr) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        struct $name;

        #[async_trait]
        impl Fault for $name {
            async fn history(
                &self,
                $store: &ModelStore,
                $organization: &OrganizationId,
                after: Revision,
                $limit: usize,
            ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
                let rows = $store.history($organization, after, $limit).await?;
                Ok(rows.map(|rows| rows.into_iter().map(|$row| $value).collect()))
            }
        }
    };
}

rows! {
    /// Shows each row of history as its service is now.
    HistoryFollows, store, organization, limit, row => {
        store.contents().organizations[organization].services()[&row.id].clone()
    }
}

rows! {
    /// Keeps times to the millisecond.
    CoarseTimes, store, organization, limit, row => {
        let updated_at = Timestamp::from_microseconds(row.updated_at.as_microseconds() / 1000 * 1000);
        Arc::new(Service { updated_at: updated_at.expect("a time"), ..Service::clone(&row) })
    }
}

rows! {
    /// Keeps texts without the characters that nobody sees.
    TidyTexts, store, organization, limit, row => {
        let visible: String = row.description.as_str().chars().filter(|char| *char != '\u{200b}' && *char != '\t').collect();
        let description = visible.parse().unwrap_or_else(|_| row.description.clone());
        Arc::new(Service { description, ..Service::clone(&row) })
    }
}

#[test]
fn values_that_are_not_kept_as_they_were_are_found() {
    finds::<HistoryFollows>(&["history::is_immutable_and_in_order"]);
    finds::<CoarseTimes>(&["commit::keeps_every_value_as_it_was"]);
    finds::<TidyTexts>(&["commit::keeps_every_value_as_it_was"]);
}

/// Takes a limit of 0 for none.
#[derive(Debug, Default)]
struct ZeroMeansAll;

#[async_trait]
impl Fault for ZeroMeansAll {
    async fn history(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
        store.history(organization, after, if limit == 0 { usize::MAX } else { limit }).await
    }
}

#[test]
fn a_limit_of_history_that_is_not_kept_is_found() {
    finds::<ZeroMeansAll>(&["history::starts_after_any_revision_with_any_limit"]);
}

/// Finds the holder of a name among inactive services too.
#[derive(Debug, Default)]
struct AnyHolder;

#[async_trait]
impl Fault for AnyHolder {
    async fn facts(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        let contents = store.contents();
        let holder = contents.organizations.get(organization).and_then(|state| {
            let name =
                query.name.clone().or_else(|| Some(state.services().get(&query.service?)?.name.clone()))?;
            state.services().values().find(|service| service.name == name).map(|service| service.id)
        });
        let facts = store.facts(organization, query).await?;
        Ok(facts.map(|facts| Facts { active_holder: facts.active_holder.or(holder), ..facts }))
    }
}

/// Finds the LLMs that were asked for, and not those that the service names.
#[derive(Debug, Default)]
struct OnlyWhatWasAskedFor;

#[async_trait]
impl Fault for OnlyWhatWasAskedFor {
    async fn facts(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        let facts = store.facts(organization, query).await?;
        Ok(facts.map(|mut facts| {
            facts.llms.retain(|name, _| query.llms.contains(name));
            facts
        }))
    }
}

#[test]
fn wrong_facts_are_found() {
    finds::<AnyHolder>(&["facts::name_the_active_holder"]);
    finds::<OnlyWhatWasAskedFor>(&["facts::come_with_what_the_service_refers_to"]);
}
