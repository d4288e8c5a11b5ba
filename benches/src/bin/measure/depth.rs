//! The same pages at the same depths from the store, which gets a token, and from the naive peers, which get an offset.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use service_core::{ContinuationToken, OrganizationId, ServiceId, Sort, TagFilter, matches};
use service_registry_benches::Error;
use service_registry_benches::naive::{Naive, NaivePostgres, NaiveSqlite};

use crate::listings::{ALL, Question, page, turn};
use crate::options::Kind;
use crate::rounds::{Act, Label, Place, Turn, Who};
use crate::stage::{Stage, Subject};

/// The filters that are followed to the end.
const FILTERS: [(&str, &[&str]); 3] =
    [(ALL, &[]), ("5 %", &["region:region 3"]), ("two halves, together 20", &["left:", "right:"])];
/// How deep, in thousandths; 1000 is the last page.
pub(crate) const DEPTHS: [u16; 8] = [0, 10, 100, 250, 500, 750, 900, 1000];
/// The largest organization that the peers are given: beyond it a round takes minutes.
const PEERS_UP_TO: u64 = 100_000;
/// The peers are measured in one of so many rounds: not to spend the time on them.
const EVERY: usize = 4;

struct Offset {
    naive: Arc<dyn Naive>,
    organization: OrganizationId,
    tags: Vec<TagFilter>,
    sort: Sort,
    offset: i64,
}

#[async_trait]
impl Act for Offset {
    async fn act(&self, _: usize) -> Result<usize, Error> {
        let page = self.naive.page(&self.organization, &self.tags, &self.sort, self.offset).await?;
        Ok(page.services.len())
    }
}

/// Pages of `+name` at every depth, from the store, and from its peer where the organization is not too large for it.
pub(crate) async fn turns(stage: &mut Stage, subject: &Subject) -> Result<Vec<Turn>, Error> {
    let peer = if subject.size <= PEERS_UP_TO { peer(stage, subject).await? } else { None };
    let in_order = in_order(subject)?;
    let mut turns = Vec::new();
    for (filter, tags) in FILTERS {
        let question = Question::new("+name", tags)?;
        let found = in_order.get(filter).ok_or("a filter was not followed")?;
        // A filter that finds a page's worth has one depth.
        let depths = if found.len() > 100 { &DEPTHS[..] } else { &DEPTHS[..1] };
        for &depth in depths {
            let offset = offset(found.len(), depth);
            let token = match offset.checked_sub(1).and_then(|before| found.get(before)) {
                Some((_, token)) => ContinuationToken::new(*token),
                None => ContinuationToken::START,
            };
            let (listing, place) = (question.at(token)?, Place::Depth(depth));
            let main = subject.main.id();
            if let Some(naive) = &peer {
                let sort = question.sort.clone();
                let tags: Vec<TagFilter> = question.filter.tags().iter().cloned().collect();
                let theirs = naive.page(main, &tags, &sort, i64::try_from(offset)?).await?;
                let ours = page(&*subject.repository, main, &listing).await?;
                let ids: Vec<ServiceId> = ours.services.iter().map(|service| service.id).collect();
                if !theirs.services.iter().map(|service| service.id).eq(ids) {
                    return Err(format!("{filter}, {place}: the peer gives another page").into());
                }
                let label =
                    Label { who: Who::Naive, size: subject.size, sort: "+name".to_owned(), filter, place };
                let (naive, organization) = (Arc::clone(naive), main.clone());
                let act =
                    Box::new(Offset { naive, organization, tags, sort, offset: i64::try_from(offset)? });
                turns.push(Turn { label, every: EVERY, act });
            }
            turns.extend(turn(subject, main, filter, "+name", place, vec![listing]));
        }
    }
    Ok(turns)
}

/// How many services come before the page at a depth.
fn offset(services: usize, depth: u16) -> usize {
    let last = services.saturating_sub(20);
    (services * usize::from(depth) / 1000).min(last)
}

/// The naive peer on the database of the store, with the same services in it.
async fn peer(stage: &mut Stage, subject: &Subject) -> Result<Option<Arc<dyn Naive>>, Error> {
    let size = subject.size;
    let naive: Arc<dyn Naive> = match subject.kind {
        Kind::Memory => return Ok(None),
        Kind::Sqlite => Arc::new(NaiveSqlite::create(&stage.file(&format!("naive-{size}.sqlite"))).await?),
        Kind::Postgres => {
            Arc::new(NaivePostgres::create(&stage.database(&format!("naive_{size}")).await?).await?)
        }
    };
    for organization in subject.data.organizations() {
        naive.fill(organization).await?;
    }
    naive.analyze().await?;
    Ok(Some(naive))
}

/// The services that each filter finds, by name: their ids and tokens.
type InOrder = BTreeMap<&'static str, Vec<(ServiceId, i64)>>;

fn in_order(subject: &Subject) -> Result<InOrder, Error> {
    let questions =
        FILTERS.map(|(filter, tags)| Question::new("+name", tags).map(|question| (filter, question)));
    let questions: Vec<(&str, Question)> = questions.into_iter().collect::<Result<_, _>>()?;
    let mut services = Vec::new();
    for row in subject.main.rows() {
        let row = row?;
        let found = questions.iter().map(|(_, question)| matches(&question.filter, &row));
        services.push((row.name.clone(), row.id, row.revision.get(), found.collect::<Vec<bool>>()));
    }
    services.sort_unstable();
    let mut in_order = InOrder::new();
    for (_, id, token, found) in services {
        for ((filter, _), found) in questions.iter().zip(found) {
            if found {
                in_order.entry(filter).or_default().push((id, token));
            }
        }
    }
    Ok(in_order)
}
