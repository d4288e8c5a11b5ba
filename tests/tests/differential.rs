//! The same random histories on every built-in store, step by step: the same results, the same refusals, the same listings, whole.
//!
//! The model only draws the histories. What is compared is what the stores reply.

use std::sync::atomic::Ordering;

use proptest::test_runner::TestCaseError;
use proptest_state_machine::ReferenceStateMachine;
use service_core::{Listing, OrganizationId, Revision, ServiceId};
use service_registry_tests::stores;
use store_conformance::Fresh;
use store_conformance::generate::{Draws, catalog, grants, listing};
use store_conformance::question::{Question, Subject};
use store_conformance::state_machine::{self, Model};

/// How many histories.
const HISTORIES: u32 = 24;

/// Asks all of them the same.
async fn same(subjects: &[(&str, Subject)], question: &Question) -> Result<(), TestCaseError> {
    let mut first = None;
    for (name, subject) in subjects {
        let reply = subject.ask(question).await;
        let reply = reply.map_err(|error| {
            TestCaseError::fail(format!("{name} fails to answer {question:?}: {error:?}"))
        })?;
        match &first {
            None => first = Some((name, reply)),
            Some((_, expected)) if reply == *expected => {}
            Some((other, expected)) => {
                let fault = format!("asked {question:?}\n{other} replies {expected:?}\nand {name} {reply:?}");
                return Err(TestCaseError::fail(fault));
            }
        }
    }
    Ok(())
}

/// Listings of every sort, for the eyes of several, through several filters.
fn listings(draws: &mut Draws, services: &[ServiceId]) -> Vec<Listing> {
    let mut listings: Vec<Listing> = Vec::new();
    for sort in listing::all_sorts() {
        listings.push(Listing { sort: sort.clone(), ..listing::everything() });
        for _ in 0..3 {
            listings.push(Listing {
                filter: draws.draw(&listing::filter()).filter(services),
                visibility: draws.draw(&grants::visibility()),
                sort: sort.clone(),
                ..listing::everything()
            });
        }
    }
    listings
}

fn list(organization: &OrganizationId, listing: Listing) -> Question {
    Question::List(organization.clone(), Box::new(listing))
}

/// Everything that is stored.
fn everything(draws: &mut Draws, model: &Model) -> Vec<Question> {
    let mut questions = vec![Question::Llms];
    for organization in [0, 1].map(catalog::organization) {
        questions.push(Question::Organization(organization.clone()));
        questions.push(Question::History(organization.clone(), Revision::ZERO, usize::MAX));
        let services = model.service_ids(&organization);
        let listings = listings(draws, &services);
        questions.extend(listings.into_iter().map(|listing| list(&organization, listing)));
    }
    questions
}

async fn archives_are_the_same(subjects: &[(&str, Subject)]) -> Result<(), TestCaseError> {
    let mut archives = Vec::new();
    for (name, subject) in subjects {
        let mut archive = Vec::new();
        let exported = subject.store().operations.export(&mut archive).await;
        exported.map_err(|error| TestCaseError::fail(format!("{name} fails to export: {error:?}")))?;
        let wrong = subject.store().operations.check().await;
        if !matches!(&wrong, Ok(wrong) if wrong.is_empty()) {
            return Err(TestCaseError::fail(format!("the check of {name} says {wrong:?}")));
        }
        archives.push(archive);
    }
    if archives.windows(2).all(|two| two[0] == two[1]) {
        Ok(())
    } else {
        let archives: Vec<_> = archives.iter().map(|archive| String::from_utf8_lossy(archive)).collect();
        Err(TestCaseError::fail(format!("the archives differ:\n{}", archives.join("\n"))))
    }
}

#[test]
fn stores_cannot_be_told_apart() {
    let stores = stores::all();
    let stores: Vec<(&str, Fresh)> = stores.into_iter().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    state_machine::run_histories(HISTORIES, |model, steps, seen| {
        runtime.block_on(async {
            let mut subjects = Vec::new();
            for (name, fresh) in &stores {
                subjects.push((*name, Subject::begin(fresh).await));
            }
            let mut draws = Draws::seeded(u8::try_from(steps.len()).unwrap());
            let mut model = model;
            for step in steps {
                if let Some(seen) = &seen {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                model = Model::apply(model, step);
                for (question, _) in model.last() {
                    same(&subjects, question).await?;
                }
                let organization = catalog::organization(0);
                let services = model.service_ids(&organization);
                let filter = draws.draw(&listing::filter()).filter(&services);
                let visibility = draws.draw(&grants::visibility());
                let sort = draws.draw(&listing::sort());
                let one = Listing { filter, visibility, sort, ..listing::everything() };
                same(&subjects, &list(&organization, one)).await?;
            }
            for question in everything(&mut draws, &model) {
                same(&subjects, &question).await?;
            }
            archives_are_the_same(&subjects).await
        })
    });
}
