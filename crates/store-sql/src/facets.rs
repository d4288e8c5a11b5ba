//! The facets of organizations, read once for each of their revisions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use service_core::{OrganizationId, Revision, StoreError, TagFacet, TagFacets, TagKey, TagValue};

/// How many organizations' facets are kept.
const KEPT: usize = 64;

/// How many tags a store reads: one more than there may be, so that it shows if there are more.
pub const READ: usize = TagFacets::MAXIMUM + 1;

/// Facets change with the services alone, so those of one revision are right for as long as the revision is the last.
#[derive(Debug, Default)]
pub struct FacetCache(Mutex<HashMap<OrganizationId, (Revision, TagFacets)>>);

impl FacetCache {
    /// The facets of an organization at a revision, if they are kept.
    pub fn kept(&self, organization: &OrganizationId, revision: Revision) -> Option<TagFacets> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(organization).filter(|(of, _)| *of == revision).map(|(_, facets)| facets.clone())
    }

    /// The facets of an organization that are kept, and the revision that they are of.
    pub fn last(&self, organization: &OrganizationId) -> Option<(Revision, TagFacets)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(organization).cloned()
    }

    /// Keeps the facets of an organization at a revision, unless those of a later one are kept.
    pub fn keep(&self, organization: &OrganizationId, revision: Revision, facets: &TagFacets) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT && !kept.contains_key(organization) {
            kept.clear();
        }
        // A reader with an older snapshot may come later; what it read is of no more use.
        if kept.get(organization).is_none_or(|(of, _)| *of < revision) {
            kept.insert(organization.clone(), (revision, facets.clone()));
        }
    }
}

/// The facets that a database gives as one row, a JSON array of keys and values: what a row costs on its way here is more than
/// what a tag costs in it.
///
/// # Errors
/// When they do not parse.
pub fn parse(organization: &OrganizationId, json: &str) -> Result<TagFacets, StoreError> {
    let tags: Vec<(TagKey, Option<TagValue>)> = serde_json::from_str(json).map_err(|fault| {
        StoreError::corrupt(format_args!("a tag of organization `{organization}`"), fault)
    })?;
    let mut tags: Vec<TagFacet> = tags.into_iter().map(|(key, value)| TagFacet { key, value }).collect();
    // They come in order; SQL promises no order of what an aggregate is given, so make sure. Costs nothing if so.
    tags.sort_unstable();
    Ok(TagFacets::of(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facets_are_kept_for_the_last_revision_alone() {
        let (cache, acme): (_, OrganizationId) = (FacetCache::default(), "acme".parse().unwrap());
        let [first, second] = [1, 2].map(|revision| Revision::new(revision).unwrap());
        let facets = parse(&acme, r#"[["team", "red"], ["env", null]]"#).unwrap();
        let keys: Vec<_> = facets.tags.iter().map(|facet| facet.key.as_str()).collect();
        assert_eq!(keys, ["env", "team"]);
        cache.keep(&acme, second, &facets);
        cache.keep(&acme, first, &TagFacets::default());
        assert_eq!(cache.kept(&acme, second), Some(facets));
        assert_eq!(cache.kept(&acme, first), None);
        assert_eq!(cache.kept(&"other".parse().unwrap(), second), None);
    }

    #[test]
    fn an_ill_formed_facet_is_corrupt() {
        let fault = parse(&"acme".parse().unwrap(), r#"[["", null]]"#).unwrap_err();
        assert_eq!(fault.kind(), service_core::StoreErrorKind::Corrupt);
    }
}
