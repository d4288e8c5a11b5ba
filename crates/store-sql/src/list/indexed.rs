//! Pages that an index in memory finds.

use std::borrow::Cow;
use std::sync::Arc;

use service_core::{ContinuationToken, Listed, Listing, OrganizationId, Service, StoreError, admits};

use super::index::{Missed, OrganizationIndex, Selected};
use super::recent::Recent;
use super::{Bearings, Caches, InvalidToken, Reader, Turn, page_of, position};
use crate::row::{self, HistoryRow};

/// How often an index is built for one page: again only if it turns out to be of another history than the database has, or too far
/// behind.
const BUILDS: usize = 3;

/// The page of a listing, as the organization's index finds it. `None` for a plain one if the index is not there, has missed
/// much, or is of another history than the database has now: what the database finds by itself is not worth the wait.
pub(super) async fn list(
    reader: &mut dyn Reader,
    caches: &Caches,
    turn: Turn,
    is_plain: bool,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Option<Listed>, StoreError> {
    let Caches { indexes, recent, .. } = caches;
    let Turn { index, mut build } = turn;
    let index = index.unwrap_or_else(|| indexes.of(organization));
    let missed = if is_plain { index.missed_little() } else { index.missed() };
    if is_plain && missed.is_none() {
        return Ok(None);
    }
    let (known, mut expected) = match &missed {
        Some(missed) => expected(&index, recent, missed, listing),
        None => (None, None),
    };
    // So one statement reads all that is lacking of the page, if what was written since is not on it.
    let lacking = expected.as_ref().map_or(&[][..], |expected| &expected.lacking);
    let asked = missed.as_ref().map(|missed| (missed, lacking));
    let token = if known.is_some() { ContinuationToken::START } else { listing.token };
    let Some(bearings) = reader.bearings(organization, token.get(), asked).await? else {
        indexes.forget(organization, &index);
        return Ok(Some(Listed::UnknownOrganization));
    };
    let Bearings { revision, mut named, rows: read } = bearings;
    index.look(revision);
    let missed_of_it = missed.as_ref().filter(|missed| missed.is_of(&read));
    if missed_of_it.is_none() {
        if is_plain {
            indexes.forget(organization, &index);
            return Ok(None);
        }
        // What the token named when the index was told of it need not be what it names in the history that the database has now.
        expected = None;
        if known.is_some() {
            let Some(again) = reader.bearings(organization, listing.token.get(), None).await? else {
                indexes.forget(organization, &index);
                return Ok(Some(Listed::UnknownOrganization));
            };
            named = again.named;
        }
    }
    let after = match known.filter(|_| missed_of_it.is_some()) {
        Some(known) => Some(known),
        None => match position(organization, listing, named.as_ref())? {
            Ok(after) => after,
            Err(InvalidToken) => return Ok(Some(Listed::InvalidToken)),
        },
    };
    // What cannot be read, is not there, or is not what was asked for, it should not have led to.
    let forget = |_: &StoreError| indexes.forget(organization, &index);
    let mut told = missed.as_ref().map(|missed| (Cow::Borrowed(missed), Cow::Borrowed(missed.of(&read))));
    let mut builds = 0..BUILDS;
    let mut selected = loop {
        let rows = told.as_ref().map(|(missed, rows)| (&**missed, &**rows));
        if index.catch_up(organization, revision, rows).inspect_err(forget)?
            && let Some(selected) = index.select(revision, listing, after.as_deref(), expected.take())
        {
            break selected;
        }
        if is_plain {
            if !index.is_built() {
                // It has turned out to be of no use. Nobody is to wait for the one who would build it anew.
                indexes.forget(organization, &index);
            }
            return Ok(None);
        }
        if let Some(missed) = index.missed_of(revision) {
            let bearings = reader.bearings(organization, 0, Some((&missed, &[]))).await?;
            told = Some((Cow::Owned(missed), Cow::Owned(bearings.unwrap_or_default().rows)));
            continue;
        }
        if builds.next().is_none() {
            let place = format!("the history of organization `{organization}`");
            return Err(StoreError::corrupt(place, format_args!("it has gaps before revision {revision}")));
        }
        index.build(reader, organization, revision, build.take()).await?;
        told = None;
    };
    complete(reader, recent, organization, &mut selected, &read).await.inspect_err(forget)?;
    let listed = page_of(organization, listing, selected.services, selected.facets).inspect_err(forget)?;
    if let (Some(missed), Some(after), Some(row)) = (missed_of_it, after, named)
        && missed.covers(listing.token)
    {
        recent.keep(missed.index, [(after, row::bytes(&row))]);
    }
    Ok(Some(listed))
}

/// The service that a token names, if it is kept and the caller may know of it; and what a page is made of if what was written since is not on it.
fn expected(
    index: &OrganizationIndex,
    recent: &Recent,
    missed: &Missed,
    listing: &Listing,
) -> (Option<Arc<Service>>, Option<Selected>) {
    if listing.token == ContinuationToken::START {
        return (None, index.expected(missed, listing, None, recent));
    }
    let known = recent.get(missed.index, listing.token.get()).filter(|_| missed.covers(listing.token));
    match known.filter(|known| admits(&listing.visibility, known)) {
        Some(known) => {
            let expected = index.expected(missed, listing, Some(&known), recent);
            (Some(known), expected)
        }
        None => (None, None),
    }
}

/// Finds what is lacking of a page: among what was shown lately and among rows that were read, or else in the history.
async fn complete(
    reader: &mut dyn Reader,
    recent: &Recent,
    organization: &OrganizationId,
    selected: &mut Selected,
    read: &[HistoryRow],
) -> Result<(), StoreError> {
    selected.recall(recent);
    selected.take(read, organization, recent)?;
    if selected.lacking.is_empty() {
        return Ok(());
    }
    // With the last row that the index knew, which tells whether the others are of the same history.
    let asked: Vec<i64> = selected.lacking.iter().copied().chain([selected.at]).collect();
    let mut rows = reader.at(organization, &asked).await?;
    rows.sort_by_key(|(revision, ..)| *revision);
    selected.take(&rows, organization, recent)?;
    if selected.lacking.is_empty() {
        return Ok(());
    }
    // The database has been set back since the index was told of it, or has lost them.
    let place = format!("the history of organization `{organization}`");
    Err(StoreError::corrupt(place, "a revision of a service is missing"))
}
