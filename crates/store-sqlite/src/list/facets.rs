//! The facets of organizations, read once for each of their revisions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use service_core::{OrganizationId, Revision, StoreError, TagFacet, TagFacets, TagKey, TagValue};
use sqlx::SqliteConnection;

use crate::error::store_error;

/// How many organizations' facets are kept.
const KEPT: usize = 64;

/// Facets change with the services alone, so those of one revision are right for as long as the revision is the last.
#[derive(Debug, Default)]
pub(crate) struct FacetCache(Mutex<HashMap<OrganizationId, (Revision, TagFacets)>>);

impl FacetCache {
    /// The facets of an organization whose revision, in this snapshot, is the one given.
    pub(crate) async fn of(
        &self,
        snapshot: &mut SqliteConnection,
        organization: &OrganizationId,
        revision: Revision,
    ) -> Result<TagFacets, StoreError> {
        if let Some(facets) = self.kept(organization, revision) {
            return Ok(facets);
        }
        let facets = read(snapshot, organization).await?;
        self.keep(organization, revision, &facets);
        Ok(facets)
    }

    fn kept(&self, organization: &OrganizationId, revision: Revision) -> Option<TagFacets> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(organization).filter(|(of, _)| *of == revision).map(|(_, facets)| facets.clone())
    }

    fn keep(&self, organization: &OrganizationId, revision: Revision, facets: &TagFacets) {
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

async fn read(
    snapshot: &mut SqliteConnection,
    organization: &OrganizationId,
) -> Result<TagFacets, StoreError> {
    // As one row: what a row costs on its way here is more than what a tag costs in it.
    let json: String = sqlx::query_scalar(
        "SELECT json_group_array(json_array(key, CASE kind WHEN 2 THEN value END))
         FROM (
             SELECT key, kind, value FROM tag_terms
             WHERE organization = ?1 AND key > '' AND kind <> 0
             ORDER BY key, kind, value LIMIT ?2
         )",
    )
    .bind(organization.as_str())
    .bind(i64::try_from(TagFacets::MAXIMUM).unwrap_or(i64::MAX).saturating_add(1))
    .fetch_one(snapshot)
    .await
    .map_err(store_error)?;
    let tags: Vec<(TagKey, Option<TagValue>)> = serde_json::from_str(&json).map_err(|fault| {
        StoreError::corrupt(format_args!("a tag of organization `{organization}`"), fault)
    })?;
    let mut tags: Vec<TagFacet> = tags.into_iter().map(|(key, value)| TagFacet { key, value }).collect();
    // They come in order; SQL promises no order of what an aggregate is given, so make sure. Costs nothing if so.
    tags.sort_unstable();
    Ok(TagFacets::of(tags))
}
