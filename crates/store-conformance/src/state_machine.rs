//! Random histories: requests, catalog changes, listings and walks, put to a store and to the model beside it. Whatever differs is
//! shrunk to the fewest steps that show it.
//!
//! The suite runs some histories. [`run`] runs as many as wanted, and a [`Model`] draws them for tests of other kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner, contextualize_config};
use proptest_state_machine::ReferenceStateMachine;
use service_core::{
    Caller, ContinuationToken, Limit, ListServices, Listing, OrganizationId, Principal, Revision, ServiceId,
    Sort, Visibility,
};
use tokio::runtime::Handle;

use crate::generate::listing::{self, FilterRecipe};
use crate::generate::request::{self, Answer, Recipe, Request};
use crate::generate::{catalog, grants};
use crate::question::{Question, Reply, Subject};
use crate::store::Fresh;
use crate::world::{World, administrator};

/// How many histories the suite runs, unless the environment variable `PROPTEST_CASES` says another number.
pub const CASES: u32 = 24;

/// The most steps of a history.
const STEPS: usize = 60;

/// One step of a history.
#[derive(Debug, Clone)]
pub enum Transition {
    /// A request of somebody, for one of the two organizations.
    Request(OrganizationId, Caller, Recipe),
    /// A whole walk of somebody, with requests made between its pages.
    Walk {
        /// Who walks.
        caller: Caller,
        /// Over which services.
        filter: FilterRecipe,
        /// In which order.
        sort: Sort,
        /// In steps of how many.
        limit: Limit,
        /// What happens meanwhile.
        between: Vec<Recipe>,
    },
    /// A page for the eyes of somebody, after any revision.
    Look(OrganizationId, FilterRecipe, Visibility, Sort, Limit, Index),
    /// A look at history from any revision.
    History(OrganizationId, Index, usize),
    /// A look at what somebody holds.
    Standing(OrganizationId, Principal),
}

/// The model of a store, what it was asked in the last step, and what it replied.
#[derive(Debug, Clone)]
pub struct Model {
    world: World,
    last: Vec<(Question, Reply)>,
}

impl Model {
    /// What the last step asked, and the replies that are right.
    pub fn last(&self) -> &[(Question, Reply)] {
        &self.last
    }

    /// Questions about all that is stored, and the replies that are right.
    pub fn everything(&self) -> Vec<(Question, Reply)> {
        let contents = self.world.contents();
        let mut questions = vec![Question::Llms];
        for organization in contents.organizations.keys() {
            questions.push(Question::Organization(organization.clone()));
            questions.push(Question::History(organization.clone(), Revision::ZERO, usize::MAX));
            questions.extend(listing::all_sorts().into_iter().map(|sort| {
                let listing = Listing { sort, ..listing::everything() };
                Question::List(organization.clone(), Box::new(listing))
            }));
        }
        questions.into_iter().map(|question| (question.clone(), self.world.ask(&question))).collect()
    }

    /// The services of an organization.
    pub fn service_ids(&self, organization: &OrganizationId) -> Vec<ServiceId> {
        self.world.state(organization).services().keys().copied().collect()
    }

    /// How many revisions an organization has taken.
    pub fn revisions(&self, organization: &OrganizationId) -> usize {
        self.world.state(organization).history().len()
    }

    fn ask(&mut self, question: Question) -> Reply {
        let reply = self.world.ask(&question);
        self.last.push((question, reply.clone()));
        reply
    }

    fn request(&mut self, organization: &OrganizationId, caller: &Caller, request: Request) -> Answer {
        let before = self.world.state(organization);
        let question = Question::Request(organization.clone(), caller.clone(), Box::new(request));
        let Reply::Answer(answer) = self.ask(question) else { panic!("an answer to a request") };
        let after = self.world.state(organization);
        assert_eq!(after.violations(organization), Vec::<String>::new());
        assert!(!answer.is_refusal() || after == before, "a refusal changes nothing");
        *answer
    }

    fn walk(&mut self, caller: &Caller, mut request: ListServices, between: &[Recipe]) {
        let acme = catalog::organization(0);
        let mut between = between.iter();
        while let Answer::Page(page) = self.request(&acme, caller, Request::List(request.clone())) {
            let Some(next) = page.next else { break };
            request.token = next;
            if let Some(recipe) = between.next() {
                let request = self.world.request(&acme, recipe);
                self.request(&acme, &administrator(), request);
            }
        }
    }

    /// A revision that the organization has, or 0, or the one after the last.
    fn revision(&self, organization: &OrganizationId, index: Index) -> Revision {
        let number = i64::try_from(index.index(self.revisions(organization) + 2));
        Revision::new(number.expect("few revisions")).expect("a revision")
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(()).prop_map(|()| Self { world: World::new(), last: Vec::new() }).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Transition> {
        let walk = (
            grants::caller(),
            listing::filter(),
            listing::sort(),
            listing::limit(),
            proptest::collection::vec(request::write(), 0..6),
        );
        let look = (
            request::organization(),
            listing::filter(),
            grants::visibility(),
            listing::sort(),
            listing::limit(),
            any::<Index>(),
        );
        prop_oneof![
            12 => (request::organization(), grants::caller(), request::any_request())
                .prop_map(|(organization, caller, recipe)| Transition::Request(organization, caller, recipe)),
            // A service to begin with is what most steps need.
            4 => (request::organization(), request::create()).prop_map(|(organization, request)| {
                Transition::Request(organization, administrator(), Recipe::Create(request))
            }),
            2 => walk.prop_map(|(caller, filter, sort, limit, between)| {
                Transition::Walk { caller, filter, sort, limit, between }
            }),
            1 => look.prop_map(|(organization, filter, visibility, sort, limit, after)| {
                Transition::Look(organization, filter, visibility, sort, limit, after)
            }),
            1 => (request::organization(), any::<Index>(), 0..20_usize)
                .prop_map(|(organization, after, limit)| Transition::History(organization, after, limit)),
            1 => (request::organization(), 0..3_u8, 0..4_u8)
                .prop_map(|(organization, of, number)| {
                    Transition::Standing(organization, catalog::principal(of, number))
                }),
        ]
        .boxed()
    }

    fn apply(mut model: Self, transition: &Transition) -> Self {
        model.last.clear();
        match transition.clone() {
            Transition::Request(organization, caller, recipe) => {
                let request = model.world.request(&organization, &recipe);
                model.request(&organization, &caller, request);
            }
            Transition::Walk { caller, filter, sort, limit, between } => {
                let filter = filter.filter(&model.service_ids(&catalog::organization(0)));
                let request = ListServices { filter, sort, limit, token: ContinuationToken::START };
                model.walk(&caller, request, &between);
            }
            Transition::Look(organization, filter, visibility, sort, limit, after) => {
                let filter = filter.filter(&model.service_ids(&organization));
                let token = ContinuationToken::after(model.revision(&organization, after));
                let listing = Listing { filter, visibility, sort, limit, token };
                model.ask(Question::List(organization, Box::new(listing)));
            }
            Transition::History(organization, after, limit) => {
                let after = model.revision(&organization, after);
                model.ask(Question::History(organization, after, limit));
            }
            Transition::Standing(organization, principal) => {
                model.ask(Question::Standing(organization, principal));
            }
        }
        model
    }
}

/// Runs so many random histories on fresh stores, each beside the model, on a runtime of its own. The variables of proptest, such
/// as `PROPTEST_CASES` and `PROPTEST_RNG_SEED`, hold here too.
///
/// # Panics
/// When a store replies otherwise than the model: with the fewest steps that show it, the question, and both replies.
pub fn run(cases: u32, fresh: &Fresh) {
    // A thread of its own drives what the store does in the background.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    run_on(runtime.handle(), cases, fresh);
}

pub(crate) fn run_on(runtime: &Handle, cases: u32, fresh: &Fresh) {
    run_histories(cases, |model, steps, seen| {
        runtime.block_on(async {
            let subject = Subject::begin(fresh).await;
            let mut model = model;
            for step in steps {
                if let Some(seen) = &seen {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                model = Model::apply(model, step);
                compare(&subject, model.last()).await?;
            }
            compare(&subject, &model.everything()).await
        })
    });
}

/// Runs a check on so many random histories, each given as the model before it and its steps. A check that can fail in the middle
/// counts the steps it has begun, if it is given a counter: that saves looking for them when a failure is shrunk.
///
/// # Panics
/// When the check fails: with its reason, and the fewest steps for which it does.
pub fn run_histories(
    cases: u32,
    check: impl Fn(Model, &[Transition], Option<Arc<AtomicUsize>>) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases,
        max_shrink_iters: 2000,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(contextualize_config(config));
    let outcome =
        runner.run(&Model::sequential_strategy(1..STEPS), |(model, steps, seen)| check(model, &steps, seen));
    match outcome {
        Ok(()) => {}
        Err(TestError::Abort(why)) => panic!("no histories can be drawn: {why}"),
        Err(TestError::Fail(why, (_, steps, _))) => {
            let steps: Vec<String> =
                (1..).zip(&steps).map(|(number, step)| format!("{number}. {step:?}")).collect();
            panic!("{why}\nafter these steps:\n{}", steps.join("\n"));
        }
    }
}

async fn compare(subject: &Subject, expected: &[(Question, Reply)]) -> Result<(), TestCaseError> {
    for (question, expected) in expected {
        match subject.ask(question).await {
            Ok(reply) if reply == *expected => {}
            reply => {
                let fault =
                    format!("asked {question:?}\nthe model replies {expected:?}\nand the store {reply:?}");
                return Err(TestCaseError::fail(fault));
            }
        }
    }
    Ok(())
}
