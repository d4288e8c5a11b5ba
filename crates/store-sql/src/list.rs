//! Listings: what is read with SQL, what is found by an index of the organization in memory, and how.
//!
//! A listing that asks for no tag, and whose visibility depends on nothing but ids and activeness, is *plain*: its page is a range
//! or two of an index of the database, at any depth of any organization, and needs nothing in memory. All others are selected by
//! an [`Index`](service_index::Index) of the organization, which is kept in memory from the first of them on ([`Caches`]), and plain
//! ones as well while it is there and has missed little. The history keeps it exact: whatever was written since it was last used is
//! read from there, whichever process wrote it. Services that it led to lately are kept beside it, parsed: a page of them costs the
//! one look that tells whether anything was written.
//!
//! A token is a revision, and names a position in every order: where the service stood that the revision wrote.
//!
//! * A plain page is one statement ([`PageStatement`]): what the token names, the services after it, the organization's revision, and
//!   for a first page the facets, unless they are known at that revision. Where a statement more costs less than ranges for a
//!   position of either activeness ([`Dialect::looks_up`]), what the token names is looked up before.
//! * A page that the index finds is one, or two, once the index is built and has missed little. [`Reader::bearings`] looks up what the
//!   token names, what the index has missed, and those rows of history that the page will be made of if nothing was missed and that are
//!   not kept. Then the page is selected by the index, and what is lacking of it is read from the history by the revisions of its
//!   services ([`Reader::at`]): rows of history never change, so these are the services as they were when the index selected them.
//!
//! Each statement sees one state, and none needs a transaction.

mod build;
mod index;
mod indexed;
mod indexes;
mod keys;
mod page;
mod plain;
mod recent;
mod statement;
#[cfg(test)]
mod tests;

pub use index::Missed;
use index::OrganizationIndex;
use indexes::Indexes;
pub use page::{PageRow, PageStatement};
pub use plain::{Plain, PlainRange};
pub use statement::{Dialect, List, Template, Value};

use std::sync::Arc;

use async_trait::async_trait;
use service_core::{
    ContinuationToken, Limit, Listed, Listing, OrganizationId, Page, Service, StoreError, StoreErrorKind,
    TagFacets, admits, compare, matches,
};

use crate::facets::{self, FacetCache};
use crate::row::{self, HistoryRow, KeysRow};
use plain::Seen;
use recent::Recent;

/// What a page may need beside its services.
#[derive(Debug, Default)]
pub struct Bearings {
    /// The revision of the organization.
    pub revision: i64,
    /// What the history has at the revision of a token.
    pub named: Option<HistoryRow>,
    /// The rows of history from some revision on, and those that were expected to be needed: in their order, each once.
    pub rows: Vec<HistoryRow>,
}

/// What bearings are read as: the organization's revision, in one row that has what the history has at a token; and a revision, an id
/// and a body.
pub type BearingsRow = (Option<i64>, Option<i64>, Option<Vec<u8>>, Option<String>);

impl Bearings {
    /// The bearings that rows hold, which come in any order; without that of the organization there is no such organization.
    pub fn of(found: Vec<BearingsRow>) -> Option<Self> {
        let (mut organization, mut rows) = (None, Vec::new());
        for (last_revision, revision, id, body) in found {
            let row = revision.zip(id).zip(body).map(|((revision, id), body)| (revision, id, body));
            match last_revision {
                Some(revision) => organization = Some((revision, row)),
                None => rows.extend(row),
            }
        }
        rows.sort_by_key(|(revision, ..): &HistoryRow| *revision);
        rows.dedup_by_key(|(revision, ..)| *revision);
        organization.map(|(revision, named)| Self { revision, named, rows })
    }
}

/// What a database is asked for a listing. Each method is one statement, which sees one state.
#[async_trait]
pub trait Reader: Send {
    /// The organization's revision, and the row of history at a token; with an index, the rows that it asks for, and those of some revisions
    /// besides; `None` if there is no such organization.
    async fn bearings(
        &mut self,
        organization: &OrganizationId,
        token: i64,
        missed: Option<(&Missed, &[i64])>,
    ) -> Result<Option<Bearings>, StoreError>;

    /// The rows of a page.
    async fn page(&mut self, statement: PageStatement) -> Result<Vec<PageRow>, StoreError>;

    /// The keys of the first services after an id, by id.
    async fn keys(
        &mut self,
        organization: &OrganizationId,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<KeysRow>, StoreError>;

    /// The rows of history of these revisions, in any order.
    async fn at(
        &mut self,
        organization: &OrganizationId,
        revisions: &[i64],
    ) -> Result<Vec<HistoryRow>, StoreError>;
}

/// What a store keeps in memory for its listings.
#[derive(Debug, Default)]
pub struct Caches {
    facets: FacetCache,
    indexes: Indexes,
    recent: Recent,
}

/// What a listing has waited for before it took a connection: the index that it needs or can use, and the right to build it if it is not
/// built.
#[derive(Debug)]
pub struct Turn {
    index: Option<Arc<OrganizationIndex>>,
    build: Option<index::Turn>,
}

impl Caches {
    /// Waits while somebody else builds the index that a listing needs: to be done before a connection is taken, so that those who
    /// wait hold none.
    pub async fn turn(&self, organization: &OrganizationId, listing: &Listing) -> Turn {
        if Plain::suits(listing) {
            return Turn { index: self.indexes.built(organization), build: None };
        }
        let index = self.indexes.of(organization);
        let build = index.turn().await;
        Turn { index: Some(index), build }
    }
}

/// The page of a listing, whose [`Turn`] it is.
///
/// # Errors
/// When the database fails, or a row that is needed is corrupt.
pub async fn list(
    reader: &mut dyn Reader,
    caches: &Caches,
    turn: Turn,
    dialect: &'static Dialect,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Listed, StoreError> {
    let is_plain = Plain::suits(listing);
    let index = turn.index.clone();
    if !is_plain || index.is_some() {
        match indexed::list(reader, caches, turn, is_plain, organization, listing).await {
            Ok(Some(listed)) => return Ok(listed),
            Ok(None) => {}
            // What an index leads to may be damaged, or another history than it knew, where the page is not.
            Err(fault) if is_plain && fault.kind() == StoreErrorKind::Corrupt => {}
            Err(fault) => return Err(fault),
        }
    }
    let mut after = None;
    if !dialect.looks_up && listing.token != ContinuationToken::START {
        let Some(bearings) = reader.bearings(organization, listing.token.get(), None).await? else {
            return Ok(Listed::UnknownOrganization);
        };
        let Ok(position) = position(organization, listing, bearings.named.as_ref())? else {
            return Ok(Listed::InvalidToken);
        };
        after = position;
    }
    let index = index.as_deref();
    plain(reader, &caches.facets, index, dialect, organization, listing, after.as_deref()).await
}

/// A listing's token names no position that its caller may know.
struct InvalidToken;

/// The service after which a page begins, as its revision left it; `None` for the first page. `named` is what the history
/// has at the revision that the token names.
fn position(
    organization: &OrganizationId,
    listing: &Listing,
    named: Option<&HistoryRow>,
) -> Result<Result<Option<Arc<Service>>, InvalidToken>, StoreError> {
    Ok(match (listing.token.position(), named) {
        (Ok(None), _) => Ok(None),
        (Ok(Some(_)), Some(row)) => {
            let service = row::service(organization, row)?;
            if admits(&listing.visibility, &service) { Ok(Some(service)) } else { Err(InvalidToken) }
        }
        (Ok(Some(_)), None) | (Err(_), _) => Err(InvalidToken),
    })
}

async fn plain(
    reader: &mut dyn Reader,
    cache: &FacetCache,
    index: Option<&OrganizationIndex>,
    dialect: &'static Dialect,
    organization: &OrganizationId,
    listing: &Listing,
    after: Option<&Service>,
) -> Result<Listed, StoreError> {
    let is_first = listing.token == ContinuationToken::START;
    let kept = if is_first { cache.last(organization) } else { None };
    let wanted = match (is_first, &kept) {
        (false, _) => page::Facets::None,
        (true, Some((revision, _))) => page::Facets::UnlessOf(*revision),
        (true, None) => page::Facets::Any,
    };
    let statement = PageStatement::new(dialect, organization, listing, after, wanted);
    let (mut header, mut services) = (None, Vec::new());
    for row in reader.page(statement).await? {
        match row.last_revision {
            Some(revision) => header = Some((revision, row)),
            None => services.push(row),
        }
    }
    let Some((revision, header)) = header else { return Ok(Listed::UnknownOrganization) };
    index.inspect(|index| index.look(revision));
    if !is_first && after.is_none() {
        let seen = Seen::of(&listing.visibility);
        if !header.position()?.is_some_and(|(id, is_active)| seen.admits(&id, is_active)) {
            return Ok(Listed::InvalidToken);
        }
    }
    let services = services.into_iter().map(|row| row.service(organization)).collect::<Result<_, _>>()?;
    let facets = match (is_first, header.facets) {
        (false, _) => None,
        (true, Some(json)) => {
            let facets = facets::parse(organization, &json)?;
            cache.keep(organization, row::number("the revision of an organization", revision)?, &facets);
            Some(facets)
        }
        (true, None) => kept.map(|(_, facets)| facets),
    };
    page_of(organization, listing, services, facets)
}

/// The page of these services, which come in any order. What led to them is kept beside them: that they are what was asked for, and
/// what the caller may see, is told by themselves.
fn page_of(
    organization: &OrganizationId,
    listing: &Listing,
    mut services: Vec<Arc<Service>>,
    facets: Option<TagFacets>,
) -> Result<Listed, StoreError> {
    let is_wanted =
        |service: &Arc<Service>| matches(&listing.filter, service) && admits(&listing.visibility, service);
    if let Some(other) = services.iter().find(|service| !is_wanted(service)) {
        let place = format!("an index of organization `{organization}`");
        let fault = format!("it leads to service `{}`, which is not what was asked for", other.id);
        return Err(StoreError::corrupt(place, fault));
    }
    services.sort_by(|left, right| compare(&listing.sort, left, right));
    Ok(Listed::Page(Page::of(services, listing.limit, facets)))
}

/// How many keys a page needs: one more than it may have, so that it shows if there are more.
fn count(limit: Limit) -> i64 {
    i64::try_from(limit.get()).unwrap_or(i64::MAX).saturating_add(1)
}
