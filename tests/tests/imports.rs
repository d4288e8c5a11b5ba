//! Archives that are damaged: refused with nothing left behind, or taken over as what they say, by every store alike.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use service_core::{ArchiveSummary, ImportError, Operations, Service};
use service_registry_tests::stores;
use sha2::{Digest, Sha256};
use store_conformance::Store;
use store_conformance::generate::damage::{damaged, damaged_json};
use store_conformance::generate::{Draws, catalog, request};
use store_conformance::reference::ModelStore;
use store_conformance::world::{World, block_on};

/// How many archives the model is given, which takes a moment; `PROPTEST_CASES` says another number, here and below.
const BY_THE_MODEL: u32 = 400;
/// How many every store is given.
const BY_EVERY_STORE: u32 = 96;

/// An archive of two organizations with some history, another for each seed.
fn archive(seed: u8) -> Vec<u8> {
    let world = World::new();
    let mut draws = Draws::seeded(seed);
    for number in 0..12 {
        let recipe = if number % 3 == 0 {
            request::Recipe::Create(draws.draw(&request::create()))
        } else {
            draws.draw(&request::write())
        };
        world.run(&catalog::organization(number % 2), &recipe);
    }
    export(&ModelStore::new(world.contents()))
}

fn export(store: &ModelStore) -> Vec<u8> {
    let mut archive = Vec::new();
    block_on(store.export(&mut archive)).expect("an export");
    archive
}

fn import(store: &ModelStore, mut archive: &[u8]) -> Result<ArchiveSummary, ImportError> {
    block_on(store.import(&mut archive))
}

/// The lines as JSON, the last one aside.
fn lines(archive: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(archive).expect("text");
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    lines.pop();
    lines
}

/// An archive of these lines whose counts and checksum are right: nothing but its rules can refuse it.
fn sealed(lines: &[Value]) -> Vec<u8> {
    let mut archive: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let sha256: String = Sha256::digest(&archive).iter().map(|byte| format!("{byte:02x}")).collect();
    let count = |kind: &str| lines.iter().filter(|line| line.get(kind).is_some()).count();
    let (organizations, revisions) = (count("organization"), count("service"));
    let end = json!({ "end": {
        "lines": lines.len(), "organizations": organizations, "revisions": revisions, "sha256": sha256,
    }});
    archive.push_str(&format!("{end}\n"));
    archive.into_bytes()
}

/// One way to damage the lines of an archive.
#[derive(Debug, Clone)]
enum Edit {
    Remove(Index),
    Double(Index),
    Swap(Index, Index),
    Copy(Index, Index),
    /// A row of history gets a member of another row.
    Graft(Index, Index, &'static str),
    /// A row of history pins another version.
    Pin(Index, &'static str, u32),
}

/// What a row of history is made of.
const MEMBERS: [&str; 12] = [
    "id",
    "organization",
    "name",
    "is_active",
    "agent_id",
    "state_machine_id",
    "version_sets",
    "creator",
    "created_at",
    "updated_at",
    "revision",
    "tags",
];

impl Edit {
    fn apply(self, lines: &mut Vec<Value>) {
        let length = lines.len();
        let rows: Vec<usize> = (0..length).filter(|number| lines[*number].get("service").is_some()).collect();
        match self {
            Self::Remove(at) => drop(lines.remove(at.index(length))),
            Self::Double(at) => lines.insert(at.index(length), lines[at.index(length)].clone()),
            Self::Swap(from, to) => lines.swap(from.index(length), to.index(length)),
            Self::Copy(from, to) => lines[to.index(length)] = lines[from.index(length)].clone(),
            Self::Graft(..) | Self::Pin(..) if rows.is_empty() => {}
            Self::Graft(from, to, member) => {
                lines[*to.get(&rows)]["service"][member] = lines[*from.get(&rows)]["service"][member].clone();
            }
            Self::Pin(at, set, number) => {
                let sets = &mut lines[*at.get(&rows)]["service"]["version_sets"];
                sets[set]["agent_version_number"] = json!(number);
            }
        }
    }
}

/// Archives whose lines say something else, and whose end is that of what they say.
fn rewritten() -> impl Strategy<Value = Vec<u8>> {
    let place = any::<Index>;
    let edit = prop_oneof![
        1 => place().prop_map(Edit::Remove),
        1 => place().prop_map(Edit::Double),
        1 => (place(), place()).prop_map(|(from, to)| Edit::Swap(from, to)),
        1 => (place(), place()).prop_map(|(from, to)| Edit::Copy(from, to)),
        4 => (place(), place(), select(&MEMBERS[..])).prop_map(|(from, to, member)| Edit::Graft(from, to, member)),
        3 => (place(), select(&["edge", "release", "preview"][..]), 1..9_u32)
            .prop_map(|(at, set, number)| Edit::Pin(at, set, number)),
    ];
    let edited = (0..40_u8, proptest::collection::vec(edit, 0..3)).prop_map(|(seed, edits)| {
        let mut lines = lines(&archive(seed));
        edits.into_iter().for_each(|edit| edit.apply(&mut lines));
        lines
    });
    let one_damaged = (edited.clone(), place()).prop_flat_map(|(lines, which)| {
        let which = which.index(lines.len());
        damaged_json(Just(lines[which].clone())).prop_map(move |line| {
            let mut lines = lines.clone();
            lines[which] = line;
            lines
        })
    });
    prop_oneof![edited, one_damaged].prop_map(|lines| sealed(&lines))
}

/// Archives with some of their bytes, or of what they say, changed.
fn damaged_archives() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => damaged((0..40_u8).prop_map(archive)),
        6 => rewritten(),
    ]
}

/// What an archive says of services, as the core reads it.
fn rows(archive: &[u8]) -> Result<Vec<Value>, TestCaseError> {
    let services = lines(archive).into_iter().filter_map(|mut line| line.get_mut("service").map(Value::take));
    let read = services.map(|row| {
        let service: Service =
            serde_json::from_value(row).map_err(|error| TestCaseError::fail(error.to_string()))?;
        Ok(serde_json::to_value(&service).expect("JSON"))
    });
    read.collect()
}

fn run(unless_told: u32, test: impl Fn(&[u8]) -> Result<bool, TestCaseError>) {
    let told = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = told.unwrap_or(unless_told);
    let taken = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&damaged_archives(), |archive| {
        if test(&archive)? {
            taken.set(taken.get() + 1);
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let taken = taken.get();
    assert!((cases / 50..cases).contains(&taken), "{taken} of {cases} were taken over, which tests little");
}

#[test]
fn the_model_refuses_an_archive_whole_or_takes_it_over_as_it_is() {
    let empty = export(&ModelStore::default());
    run(BY_THE_MODEL, |archive| {
        let store = ModelStore::default();
        match import(&store, archive) {
            Err(ImportError::Refused(refusal)) => {
                prop_assert!(!refusal.to_string().is_empty());
                prop_assert!(export(&store) == empty, "something is left of what was refused");
                Ok(false)
            }
            Err(error) => Err(TestCaseError::fail(format!("{error:?}"))),
            Ok(summary) => {
                prop_assert_eq!(block_on(store.check()).expect("a check"), Vec::<String>::new());
                let exported = export(&store);
                prop_assert_eq!(rows(&exported)?, rows(archive)?);
                prop_assert_eq!(lines(&exported).len() as u64, summary.lines);
                let again = ModelStore::default();
                import(&again, &exported).expect("what was exported is taken");
                prop_assert!(export(&again) == exported, "an export of what was exported differs");
                Ok(true)
            }
        }
    });
}

#[test]
fn every_store_does_with_an_archive_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fresh = stores::all();
    // What refused an archive is as good as new.
    let unused: Vec<std::cell::RefCell<Option<Store>>> = fresh.iter().map(|_| None.into()).collect();
    let empty = export(&ModelStore::default());
    run(BY_EVERY_STORE, |archive| {
        let model = ModelStore::default();
        let expected = import(&model, archive);
        for ((name, fresh), unused) in fresh.iter().zip(&unused) {
            runtime.block_on(async {
                let store = match unused.take() {
                    Some(store) => store,
                    None => fresh.store().await,
                };
                let outcome = store.operations.import(&mut &*archive).await;
                let mut exported = Vec::new();
                store.operations.export(&mut exported).await.expect("an export");
                match (&outcome, &expected) {
                    (Ok(summary), Ok(expected)) => {
                        prop_assert_eq!(summary, expected, "{}", name);
                        prop_assert!(
                            exported == export(&model),
                            "{} has something else than the model",
                            name
                        );
                        let wrong = store.operations.check().await.expect("a check");
                        prop_assert_eq!(wrong, Vec::<String>::new(), "{}", name);
                    }
                    (Err(ImportError::Refused(_)), Err(ImportError::Refused(_))) => {
                        prop_assert!(exported == empty, "{}: something is left of what was refused", name);
                        unused.replace(Some(store));
                    }
                    _ => {
                        let fault = format!("{name} says {outcome:?}, and the model {expected:?}");
                        return Err(TestCaseError::fail(fault));
                    }
                }
                Ok(())
            })?;
        }
        Ok(expected.is_ok())
    });
}
