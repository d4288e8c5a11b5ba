//! The index in memory, which finds what is asked by tag or through grants with conditions, and everything else once it is there: it is
//! exact whoever wrote, whatever became of the file, and however many use it at once. So is what is kept of services that were shown.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use service_core::{
    ContinuationToken, Limit, Listed, Listing, OrganizationRecord, OrganizationState, Repository, Revision,
    Sort, StoreErrorKind, Tags, UpdateService, Visibility,
};
use sqlx::Connection;
use store_sql::list::Plain;
use store_sqlite::SqliteStore;

use crate::listing::{filter, questions};
use crate::support::{CATALOG, Dice, Pair, acme, committed, request, service_id, sorts, tags};

/// What the index is asked: every filter and visibility, those first that need it.
fn asked() -> Vec<Listing> {
    let listings = questions().into_iter().map(|(filter, visibility)| Listing {
        filter,
        visibility,
        sort: Sort::default(),
        limit: Limit::default(),
        token: ContinuationToken::START,
    });
    let mut asked: Vec<Listing> = listings.collect();
    asked.sort_by_key(Plain::suits);
    assert!(asked.iter().filter(|listing| !Plain::suits(listing)).count() > 30);
    asked
}

fn by_tag(tag: &str) -> Listing {
    Listing {
        filter: filter(&[], None, &[tag]),
        visibility: Visibility::Everything,
        ..asked().swap_remove(0)
    }
}

/// A listing of a random sort and length, at this token.
fn at(listing: &Listing, token: i64, dice: &mut Dice) -> Listing {
    let limit = Limit::new(1 + usize::try_from(dice.below(9)).unwrap()).unwrap();
    Listing {
        sort: dice.pick(&sorts()).clone(),
        limit,
        token: ContinuationToken::new(token),
        ..listing.clone()
    }
}

async fn assert_listed(store: &SqliteStore, model: &OrganizationState, listing: &Listing) {
    let listed = store.list(&acme(), listing).await.unwrap();
    assert_eq!(listed, model.list(listing), "{listing:?}");
}

/// The store answers as the model does, whatever is asked, from the beginning and from some revision.
async fn assert_right(store: &SqliteStore, model: &OrganizationState, dice: &mut Dice) {
    let last = u64::try_from(model.record().revision.get()).unwrap();
    for listing in asked() {
        for token in [0, i64::try_from(dice.below(last + 2)).unwrap()] {
            assert_listed(store, model, &at(&listing, token, dice)).await;
        }
    }
}

/// The same at every position.
async fn assert_right_everywhere(store: &SqliteStore, model: &OrganizationState, dice: &mut Dice) {
    for listing in asked() {
        for token in 0..=model.record().revision.get() {
            assert_listed(store, model, &at(&listing, token, dice)).await;
        }
    }
}

#[tokio::test]
async fn what_another_process_writes_is_seen_at_once_at_every_position() {
    let mut pair = Pair::new().await;
    let mut dice = Dice::new(21);
    pair.fill(12, &mut dice).await;
    let first = pair.store.clone();
    assert_right_everywhere(&first, &pair.model, &mut dice).await;
    // From here on another one writes.
    pair.store = SqliteStore::open(pair.path()).await.unwrap();
    let (new, other) = (service_id(900), service_id(901));
    pair.create(new, &request("new", true, tags(&[("team", Some("red"))]))).await.unwrap();
    assert_right_everywhere(&first, &pair.model, &mut dice).await;
    pair.create(other, &request("other", false, tags(&[("team", Some("new")), ("n", None)]))).await.unwrap();
    assert_right_everywhere(&first, &pair.model, &mut dice).await;
    for change in [
        UpdateService { name: Some("aaa".parse().unwrap()), ..UpdateService::default() },
        UpdateService {
            tags: Some(tags(&[("team", Some("blue")), ("env", Some("prod"))])),
            ..UpdateService::default()
        },
        UpdateService { is_active: Some(false), ..UpdateService::default() },
        UpdateService {
            agent_id: Some("a00000000000000000000002".parse().unwrap()),
            ..UpdateService::default()
        },
        UpdateService {
            is_active: Some(true),
            name: Some("z 1".parse().unwrap()),
            tags: Some(Tags::default()),
            ..UpdateService::default()
        },
    ] {
        pair.update(new, &change).await.unwrap().unwrap();
        assert_right_everywhere(&first, &pair.model, &mut dice).await;
    }
    // Both write, and either sees what the other one did.
    for round in 0..6 {
        let second = std::mem::replace(&mut pair.store, first.clone());
        pair.change_one(&mut dice).await;
        assert_right(&second, &pair.model, &mut dice).await;
        pair.store = second;
        for _ in 0..round {
            pair.change_one(&mut dice).await;
        }
        assert_right(&first, &pair.model, &mut dice).await;
    }
}

#[tokio::test]
async fn a_file_that_is_set_back_is_listed_as_it_is_now() {
    let mut pair = Pair::new().await;
    let mut dice = Dice::new(22);
    let nothing = pair.back_up().await;
    pair.fill(15, &mut dice).await;
    let earlier = pair.back_up().await;
    for changes in [1, 2, 9] {
        for _ in 0..changes {
            pair.change_one(&mut dice).await;
        }
        pair.create(service_id(800), &request("gone again", true, tags(&[("team", Some("gone"))])))
            .await
            .unwrap();
        assert_right(&pair.store, &pair.model, &mut dice).await;
        pair.set_back(&earlier).await;
        assert_right_everywhere(&pair.store, &pair.model, &mut dice).await;
    }
    pair.set_back(&nothing).await;
    assert_right(&pair.store, &pair.model, &mut dice).await;
    pair.set_back(&earlier).await;
    assert_right(&pair.store, &pair.model, &mut dice).await;
}

/// The file is set back, and then as many revisions follow as the index knows, or one less, or some more.
#[tokio::test]
async fn a_revision_that_was_replaced_by_another_one_is_not_taken_for_it() {
    for (known, written) in [(1, 1), (3, 3), (4, 3), (1, 5)] {
        let mut pair = Pair::new().await;
        let mut dice = Dice::new(23);
        pair.fill(10, &mut dice).await;
        let earlier = pair.back_up().await;
        for number in 0..known {
            let name = format!("first {number}");
            let red = request(&name, true, tags(&[("team", Some("red")), ("first", None)]));
            pair.create(service_id(700 + number), &red).await.unwrap();
        }
        assert_right(&pair.store, &pair.model, &mut dice).await;
        pair.set_back(&earlier).await;
        for number in 0..written {
            let blue = request("second", false, tags(&[("team", Some("blue")), ("second", None)]));
            pair.create(service_id(600 + number), &blue).await.unwrap();
        }
        assert_listed(&pair.store, &pair.model, &by_tag("first:*")).await;
        assert_listed(&pair.store, &pair.model, &by_tag("second:*")).await;
        assert_right(&pair.store, &pair.model, &mut dice).await;
    }
}

/// What makes every attempt to build an index fail, so that a listing can only have caught up.
const NOT_TO_BE_BUILT: &str = "UPDATE services SET tags = 'no json'";

#[tokio::test]
async fn an_index_catches_up_from_the_history_alone() {
    let mut pair = Pair::new().await;
    let mut dice = Dice::new(24);
    pair.fill(40, &mut dice).await;
    let first = pair.store.clone();
    assert_right(&first, &pair.model, &mut dice).await;
    for changes in [1, 2, 8] {
        for _ in 0..changes {
            pair.change_one(&mut dice).await;
        }
        let intact = pair.back_up().await;
        pair.damage(NOT_TO_BE_BUILT).await;
        assert_right(&first, &pair.model, &mut dice).await;
        let afresh = SqliteStore::open(pair.path()).await.unwrap();
        let error = afresh.list(&acme(), &by_tag("team:*")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
        pair.set_back(&intact).await;
    }
}

/// Many services, and a store that has indexed all of them.
async fn with_many(services: u32) -> Pair {
    let mut pair = Pair::new().await;
    pair.create(service_id(0), &request("zero", true, tags(&[("team", None)]))).await.unwrap();
    pair.write_many(1..services).await;
    assert_eq!(service_core::Operations::check(&pair.store).await.unwrap(), [""; 0]);
    assert_listed(&pair.store, &pair.model, &by_tag("team:red")).await;
    pair
}

/// Some of what can be asked, from the beginning and from some revision.
async fn assert_samples_are_right(pair: &Pair, dice: &mut Dice) {
    let last = u64::try_from(pair.model.record().revision.get()).unwrap();
    for listing in asked().iter().step_by(3) {
        for token in [0, i64::try_from(dice.below(last) + 1).unwrap()] {
            assert_listed(&pair.store, &pair.model, &at(listing, token, dice)).await;
        }
    }
}

/// An index that lacks less than a quarter of its services catches up, some hundred revisions at a time.
#[tokio::test]
async fn an_index_that_lacks_many_revisions_catches_up_in_several_steps() {
    let (mut pair, mut dice) = (with_many(5000).await, Dice::new(25));
    pair.write_many(4600..5600).await;
    pair.damage(NOT_TO_BE_BUILT).await;
    assert_samples_are_right(&pair, &mut dice).await;
}

#[tokio::test]
async fn an_index_that_lacks_more_than_a_quarter_of_its_services_is_built_anew() {
    let (mut pair, mut dice) = (with_many(600).await, Dice::new(29));
    pair.write_many(1..600).await;
    pair.write_many(1..700).await;
    // It would need this revision to catch up. Nothing else does: the service has changed since.
    pair.damage("UPDATE history SET body = '{' WHERE revision = 600 + 590").await;
    for listing in asked().iter().step_by(3) {
        assert_listed(&pair.store, &pair.model, &at(listing, 0, &mut dice)).await;
    }
}

/// What a future gives, unless it is dropped because it was polled as often as this.
async fn polled<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let (mut future, mut polled) = (pin!(future), 0);
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        polled += 1;
        if polled < polls { Poll::Pending } else { Poll::Ready(None) }
    })
    .await
}

#[tokio::test]
async fn a_caller_who_goes_away_while_the_index_is_built_leaves_it_to_the_next() {
    let mut pair = Pair::new().await;
    let mut dice = Dice::new(26);
    pair.fill(60, &mut dice).await;
    let (acme, listing) = (acme(), by_tag("team:*"));
    let mut abandoned = 0;
    for polls in 1.. {
        let store = SqliteStore::open(pair.path()).await.unwrap();
        // One who comes meanwhile waits for the first, and builds it when the first has gone.
        let (gone, waited) =
            tokio::join!(polled(store.list(&acme, &listing), polls), store.list(&acme, &listing));
        assert_eq!(waited.unwrap(), pair.model.list(&listing));
        assert_listed(&store, &pair.model, &by_tag("n:0")).await;
        if gone.is_some() {
            break;
        }
        abandoned += 1;
        // And once more with nobody waiting.
        let store = SqliteStore::open(pair.path()).await.unwrap();
        polled(store.list(&acme, &listing), polls).await;
        assert_listed(&store, &pair.model, &listing).await;
        store.close().await;
    }
    assert!(abandoned > 0, "{abandoned} callers went away");
    for microseconds in 0..40 {
        let store = SqliteStore::open(pair.path()).await.unwrap();
        let patience = Duration::from_micros(100 * microseconds);
        tokio::time::timeout(patience, store.list(&acme, &listing)).await.ok();
        pair.change_one(&mut dice).await;
        assert_listed(&store, &pair.model, &listing).await;
    }
}

const MANY: u32 = 18_000;

/// The services are read some thousand at a time, and each caller gets a little further than the one before it.
#[tokio::test]
async fn an_index_that_callers_leave_half_built_is_exact_whatever_was_written_meanwhile() {
    let mut pair = with_many(MANY).await;
    let mut dice = Dice::new(30);
    pair.store = SqliteStore::open(pair.path()).await.unwrap();
    let (acme, listing) = (acme(), by_tag("team:*"));
    let (mut abandoned, mut polls) = (0, 1);
    for number in 0.. {
        if polled(pair.store.list(&acme, &listing), polls).await.is_some() {
            break;
        }
        abandoned += 1;
        polls += 1 + polls / 5;
        // Services before and behind what was read: some of them are new, some are others than they were.
        let tagged = tags(&[("team", Some("blue")), ("n", Some("new"))]);
        let new = service_id(if number % 2 == 0 { 20_000 + number } else { u32::MAX - number });
        pair.create(new, &request(&format!("new {number}"), true, tagged.clone())).await.unwrap();
        for changed in [number, MANY - 1 - number] {
            let change = UpdateService {
                name: Some(format!("renamed {number} {changed}").parse().unwrap()),
                tags: Some(tagged.clone()),
                ..UpdateService::default()
            };
            pair.update(service_id(changed), &change).await.unwrap();
        }
    }
    assert!(abandoned > 0, "{abandoned} callers went away");
    // Page after page of what was written.
    let mut written = by_tag("n:new");
    while let Listed::Page(page) = pair.model.list(&written) {
        assert_listed(&pair.store, &pair.model, &written).await;
        let Some(next) = page.next else { break };
        written.token = next;
    }
    assert_samples_are_right(&pair, &mut dice).await;
}

const READERS: u64 = 8;

/// The model at every revision of a history.
fn states(model: &OrganizationState) -> Vec<OrganizationState> {
    let history = model.history();
    let at = |revision: usize| {
        let revision_number = Revision::new(i64::try_from(revision).unwrap()).unwrap();
        let record = OrganizationRecord { revision: revision_number, ..model.record().clone() };
        OrganizationState::of(record, history.iter().take(revision).cloned())
    };
    (0..=history.len()).map(at).collect()
}

/// A history that is being written again: how far it has come.
#[derive(Default)]
struct Progress {
    begun: AtomicUsize,
    acknowledged: AtomicUsize,
    ended: AtomicBool,
}

/// Lists until the writer has ended. Every page is the model's at a revision of which the write had begun before the page came,
/// and which no revision replaced whose write was acknowledged before the page was asked for.
async fn read(
    store: SqliteStore,
    states: Arc<Vec<OrganizationState>>,
    progress: Arc<Progress>,
    seed: u64,
) -> usize {
    let (mut dice, asked, mut pages) = (Dice::new(seed), asked(), 0);
    while !progress.ended.load(Ordering::SeqCst) {
        let from = progress.acknowledged.load(Ordering::SeqCst);
        let token = if dice.below(2) == 0 { 0 } else { dice.below(from as u64 + 1) };
        let listing = at(dice.pick(&asked), i64::try_from(token).unwrap(), &mut dice);
        let listed = store.list(&acme(), &listing).await.unwrap();
        let to = progress.begun.load(Ordering::SeqCst);
        let is_of = |revision: usize| states[revision].list(&listing) == listed;
        assert!((from..=to).any(is_of), "between {from} and {to}, {listing:?} never was {listed:?}");
        pages += 1;
    }
    pages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_page_beside_a_writer_is_of_one_revision() {
    let mut written = Pair::new().await;
    let mut dice = Dice::new(27);
    written.fill(50, &mut dice).await;
    for _ in 0..150 {
        written.change_one(&mut dice).await;
    }
    let states = Arc::new(states(&written.model));
    assert_eq!(states.len(), written.commits.len() + 1);
    assert_eq!(states.last(), Some(&written.model));

    // The same history once more, which others read while it is written.
    let pair = Pair::new().await;
    let progress = Arc::new(Progress::default());
    let mut readers = Vec::new();
    for seed in 0..READERS {
        // Some share their index with the writer and with each other, some have one of their own.
        let store =
            if seed % 2 == 0 { pair.store.clone() } else { SqliteStore::open(pair.path()).await.unwrap() };
        readers.push(tokio::spawn(read(store, Arc::clone(&states), Arc::clone(&progress), seed)));
    }
    let all = async {
        for (number, commit) in (1..).zip(&written.commits) {
            progress.begun.store(number, Ordering::SeqCst);
            committed(pair.store.commit(commit.clone()).await.unwrap());
            progress.acknowledged.store(number, Ordering::SeqCst);
        }
        progress.ended.store(true, Ordering::SeqCst);
        for reader in readers {
            assert!(reader.await.unwrap() > 0);
        }
    };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("nobody waits for ever");
    assert_right(&pair.store, &written.model, &mut dice).await;
}

#[tokio::test]
async fn an_organization_that_is_not_there_is_unknown_until_it_is() {
    let mut pair = Pair::empty().await;
    for listing in asked() {
        for token in [0, 1, -1] {
            let listing = Listing { token: ContinuationToken::new(token), ..listing.clone() };
            assert_eq!(pair.store.list(&acme(), &listing).await.unwrap(), Listed::UnknownOrganization);
        }
    }
    pair.apply(CATALOG).await;
    let mut dice = Dice::new(28);
    assert_right(&pair.store, &pair.model, &mut dice).await;
    pair.fill(9, &mut dice).await;
    assert_right(&pair.store, &pair.model, &mut dice).await;

    // It goes, and comes again with other services.
    let mut beside = pair.beside().await;
    let gone = "PRAGMA foreign_keys = OFF; UPDATE organizations SET organization = 'was'";
    sqlx::raw_sql(gone).execute(&mut beside).await.unwrap();
    let listed = pair.store.list(&acme(), &by_tag("team:*")).await.unwrap();
    assert_eq!(listed, Listed::UnknownOrganization);
    let back = "UPDATE organizations SET organization = 'acme'";
    sqlx::raw_sql(back).execute(&mut beside).await.unwrap();
    beside.close().await.unwrap();
    assert_right_everywhere(&pair.store, &pair.model, &mut dice).await;
}
