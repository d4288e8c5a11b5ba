//! Archives: the same bytes from every store, taken over whole, or refused with nothing left behind.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use service_core::archive::{
    ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError, ImportRefusal,
};
use service_core::catalog::{LlmEntry, OrganizationEntry, SimulationUnitTestEntry};
use service_core::{
    ApiKeyHash, CatalogDocument, ContinuationToken, Listing, OrganizationId, Timestamp, UpdateService,
};
use sha2::{Digest, Sha256};

use super::{Setting, activate, creation, limited, retag};
use crate::generate::catalog::{agent_entry, organization, principal, test_id};
use crate::generate::listing::{all_sorts, everything};
use crate::generate::{Draws, catalog, grants, request};
use crate::question::{Question, Subject};
use crate::reference::ModelStore;
use crate::store::{Fresh, Store};
use crate::world::World;

/// Gives an archive in pieces of a few bytes, which end in the middle of lines, digits and characters.
struct InPieces<'a>(&'a [u8]);

#[async_trait]
impl ArchiveSource for InPieces<'_> {
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let (piece, rest) = self.0.split_at(self.0.len().min(41));
        self.0 = rest;
        Ok(piece.to_vec())
    }
}

async fn export(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.operations.export(&mut bytes).await.expect("an export");
    bytes
}

async fn import(store: &Store, mut archive: &[u8]) -> Result<ArchiveSummary, ImportError> {
    store.operations.import(&mut archive).await
}

/// Imports what must be refused, looks that the store is as empty as before, and returns why.
async fn refused(store: &Store, archive: &[u8], why: &str) -> ImportRefusal {
    let empty = export(store).await;
    let refusal = match import(store, archive).await {
        Err(ImportError::Refused(refusal)) => refusal,
        other => panic!("an archive that {why} is refused, and not {other:?}"),
    };
    assert!(export(store).await == empty, "an archive that {why} leaves nothing behind");
    refusal
}

/// A store with everything in it that an archive has: random services and their history, a catalog, tests, keys.
async fn full(fresh: &Fresh) -> Setting {
    let setting = Setting::new(fresh).await;
    let mut draws = Draws::seeded(61);
    let mut ids = Vec::new();
    for _ in 0..25 {
        let request = draws.draw(&request::create());
        ids.extend(
            setting.registry.create(&setting.acme, &setting.admin, &request).await.ok().map(|new| new.id),
        );
        for organization in [&setting.acme, &setting.acme, &setting.other] {
            let request = draws.draw(&request::write()).request(organization, &ids, 0);
            request.run(&setting.registry, organization, &setting.admin).await.expect("an answer");
        }
    }
    let tested = setting.create("tested", true).await;
    setting.create("second", true).await;
    setting.update(tested.id, retag(&["a:b", "a a:"])).await;
    let test = SimulationUnitTestEntry {
        id: test_id(9),
        service_id: tested.id,
        version_set_name: "release".parse().expect("a version set name"),
        deleted: false,
    };
    let tests = OrganizationEntry {
        simulation_unit_tests: vec![test],
        ..OrganizationEntry::new(setting.acme.clone())
    };
    setting.apply(&CatalogDocument { llms: Vec::new(), organizations: vec![tests] }).await;
    for (id, secret) in [("one", "secret"), ("two", "another")] {
        let (id, hash) = (id.parse().expect("a key id"), ApiKeyHash::of(secret));
        let at = Timestamp::from_microseconds(1_700_000_000_123_457).expect("a time");
        assert!(setting.store.access.add_api_key(&setting.acme, &id, &hash, at).await.expect("an answer"));
    }
    setting
}

/// What was exported and imported is exported again to the byte; organizations, history, LLMs, grants and keys are the same, maintenance
/// is not part of it.
pub async fn moves_a_store_byte_for_byte(fresh: &Fresh) {
    let from = full(fresh).await;
    from.store.operations.set_maintenance(true).await.expect("maintenance");
    let archive = export(&from.store).await;
    let to = fresh.store().await;
    let summary = to.operations.import(&mut InPieces(&archive)).await.expect("an import");
    assert!(export(&to).await == archive, "an export of what was imported differs");
    assert!(export(&from.store).await == archive, "an export changes nothing");
    let mut again = Vec::new();
    assert_eq!(to.operations.export(&mut again).await.expect("an export"), summary);
    let lines = u64::try_from(archive.split(|byte| *byte == b'\n').count()).expect("few lines") - 2;
    assert_eq!((summary.organizations, summary.lines), (2, lines));

    assert!(!to.operations.maintenance().await.expect("an answer"), "the store is not in maintenance");
    for organization in [&from.acme, &from.other] {
        let before = from.state(organization).await;
        let moved = to.repository.organization(organization).await.expect("an answer");
        assert_eq!(moved.as_ref(), Some(before.record()));
        let rows = to.repository.history(organization, Default::default(), usize::MAX).await;
        assert_eq!(rows.expect("history").as_deref(), Some(before.history()));
    }
    assert_eq!(to.repository.llms().await.expect("the LLMs"), from.llms().await);
    let standing = to.access.standing(&from.acme, &principal(0, 0)).await.expect("a standing");
    assert_eq!(standing, from.store.access.standing(&from.acme, &principal(0, 0)).await.expect("a standing"));
    for (key, verifies) in [("secret", true), ("another", false)] {
        let id = "one".parse().expect("a key id");
        assert_eq!(to.access.verify_api_key(&from.acme, &id, key).await.expect("an answer"), verifies);
    }
    assert_eq!(to.operations.check().await.expect("a check"), Vec::<String>::new());
    // It goes on where it left off.
    let moved = Setting { store: to.clone(), registry: from.registry_over(&to), ..from };
    let revision = moved.record(&moved.acme).await.revision;
    assert_eq!(moved.create("the next one", false).await.revision, revision.next());
    moved.state(&moved.acme).await;
}

/// Every revision is a token in the new store, of the same position, under every sort; and so are the tokens on the pages.
pub async fn keeps_tokens_valid(fresh: &Fresh) {
    let from = full(fresh).await;
    let to = fresh.store().await;
    import(&to, &export(&from.store).await).await.expect("an import");
    let revisions = from.record(&from.acme).await.revision.get();
    let mut draws = Draws::seeded(62);
    for sort in all_sorts() {
        for number in -1..=revisions + 1 {
            let visibility = draws.draw(&grants::visibility());
            for visibility in [service_core::Visibility::Everything, visibility] {
                let listing = Listing {
                    sort: sort.clone(),
                    limit: limited(3),
                    token: ContinuationToken::new(number),
                    visibility,
                    ..everything()
                };
                let expected = from.list(&from.acme, &listing).await;
                let listed = to.repository.list(&from.acme, &listing).await.expect("an answer");
                assert_eq!(listed, expected, "{listing:?}");
            }
        }
    }
}

/// The same contents are the same bytes as from the model, whatever the store has seen meanwhile.
pub async fn is_the_models_to_the_byte(fresh: &Fresh) {
    let mut draws = Draws::seeded(63);
    let world = World::new();
    let subject = Subject::begin(fresh).await;
    for _ in 0..80 {
        let (organization, recipe) = draws.draw(&(request::organization(), request::any_request()));
        let request = Box::new(world.request(&organization, &recipe));
        let question = Question::Request(organization, crate::world::administrator(), request);
        world.ask(&question);
        subject.ask(&question).await.expect("an answer");
    }
    let model = Store::new(ModelStore::new(world.contents()));
    assert!(export(subject.store()).await == export(&model).await);
}

/// What is exported while others write is one moment of the store: all invariants hold in it, and a catalog change is in it for all
/// organizations or for none.
pub async fn is_one_snapshot_beside_writes(fresh: &Fresh) {
    let setting = Setting::shared(fresh).await;
    let id = setting.create("s", true).await.id;
    let held = Arc::new(());
    let writing = Arc::downgrade(&held);
    let writer = tokio::spawn({
        let setting = Arc::clone(&setting);
        async move {
            let _writing = held;
            for round in 10..40_i64 {
                let entry = |organization: &OrganizationId| OrganizationEntry {
                    agents: vec![agent_entry(0, Some(round), false)],
                    ..OrganizationEntry::new(organization.clone())
                };
                let llm = format!("llm {round}").parse().expect("an llm name");
                setting
                    .apply(&CatalogDocument {
                        llms: vec![LlmEntry { name: llm, deprecated: false }],
                        organizations: vec![entry(&setting.acme), entry(&setting.other)],
                    })
                    .await;
                let description = Some(format!("v{round}").parse().expect("a description"));
                setting.update(id, UpdateService { description, ..retag(&[&format!("v:{round}")]) }).await;
                let name = format!("of {round}");
                setting.create_in(&setting.other, &name, round % 2 == 0).await;
            }
        }
    });
    let exporters = (0..3).map(|_| {
        let (setting, writing) = (Arc::clone(&setting), writing.clone());
        async move {
            // The last export begins after the last write, whatever came of it.
            let mut more = true;
            while more {
                more = writing.strong_count() > 0;
                let archive = export(&setting.store).await;
                is_of_one_moment(&archive).await;
                tokio::task::yield_now().await;
            }
        }
    });
    for exporter in exporters.map(tokio::spawn).collect::<Vec<_>>() {
        exporter.await.expect("an archive of one moment");
    }
    writer.await.expect("a writer that does not panic");
}

/// Looks that all invariants hold in an archive, and that a document is in it for both organizations and the LLMs, or for none.
async fn is_of_one_moment(archive: &[u8]) {
    let model = Arc::new(ModelStore::default());
    import(&Store::new(Arc::clone(&model)), archive).await.expect("an archive in which all invariants hold");
    let contents = model.contents();
    let agents = contents.organizations.values().map(|state| {
        let latest = state.record().catalog.agents[&agent_entry(0, None, false).id].latest_version;
        latest.map_or(0, |latest| latest.get())
    });
    let agents: Vec<u32> = agents.collect();
    assert_eq!(agents[0], agents[1], "a document is seen whole");
    let llms = u32::try_from(contents.llms.len() - catalog::LLMS.len()).expect("few LLMs");
    assert_eq!(llms, agents[0].saturating_sub(9), "and with its LLMs");
}

/// A store that has an organization, or only an LLM, takes no archive, and stays what it is.
pub async fn comes_into_an_empty_store_alone(fresh: &Fresh) {
    let from = full(fresh).await;
    let archive = export(&from.store).await;
    let with_organization = fresh.store().await;
    let entry = OrganizationEntry::new(organization(4));
    let document = CatalogDocument { llms: Vec::new(), organizations: vec![entry] };
    with_organization.repository.apply_catalog(&document).await.expect("an organization");
    let with_llm = fresh.store().await;
    let llm = LlmEntry { name: "llm".parse().expect("an llm name"), deprecated: false };
    let document = CatalogDocument { llms: vec![llm], organizations: Vec::new() };
    with_llm.repository.apply_catalog(&document).await.expect("an LLM");
    for store in [&with_organization, &with_llm, &from.store] {
        assert_eq!(refused(store, &archive, "comes too late").await, ImportRefusal::NotEmpty);
    }
    let twice = fresh.store().await;
    import(&twice, &archive).await.expect("an import");
    assert_eq!(refused(&twice, &archive, "comes twice").await, ImportRefusal::NotEmpty);
}

/// Takes so many bytes, or gives so many, and then fails.
struct BreaksOff {
    bytes: Vec<u8>,
    after: usize,
}

#[async_trait]
impl ArchiveSink for BreaksOff {
    async fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.bytes.len() >= self.after {
            return Err(io::Error::other("it broke off"));
        }
        self.bytes.extend_from_slice(lines);
        Ok(())
    }
}

#[async_trait]
impl ArchiveSource for BreaksOff {
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        if self.after == 0 {
            return Err(io::Error::other("it broke off"));
        }
        Ok(self.bytes.drain(..std::mem::take(&mut self.after)).collect())
    }
}

/// An export that its sink breaks off, and an import that its source breaks off, say so and leave nothing behind.
pub async fn is_nothing_if_it_breaks_off(fresh: &Fresh) {
    let from = full(fresh).await;
    let archive = export(&from.store).await;
    let store = fresh.store().await;
    let empty = export(&store).await;
    let mut sink = BreaksOff { bytes: Vec::new(), after: 0 };
    let broken = from.store.operations.export(&mut sink).await;
    assert!(matches!(broken, Err(ExportError::Sink(_))), "{broken:?}");
    refused(&store, &sink.bytes, "was broken off").await;
    for after in [0, 1, archive.len() / 2, archive.len() - 1] {
        let mut source = BreaksOff { bytes: archive.clone(), after };
        let broken = store.operations.import(&mut source).await;
        assert!(matches!(broken, Err(ImportError::Source(_))), "{broken:?}");
        assert!(export(&store).await == empty, "nothing is left of {after} bytes");
    }
    import(&store, &archive).await.expect("the whole one");
    assert!(export(&store).await == archive);
}

/// Cut after any line, or in the middle of any, an archive is refused.
pub async fn is_refused_if_truncated(fresh: &Fresh) {
    let archive = export(&full(fresh).await.store).await;
    let store = fresh.store().await;
    let mut start = 0;
    for line in archive.split_inclusive(|byte| *byte == b'\n') {
        for cut in [start, start + 1, start + line.len() / 2, start + line.len() - 1] {
            // Without its last line break alone, an archive still has everything.
            if cut + 1 < archive.len() {
                refused(&store, &archive[..cut], &format!("ends after {cut} bytes")).await;
            }
        }
        start += line.len();
    }
    import(&store, &archive).await.expect("the whole one, into what the others left behind");
    assert!(export(&store).await == archive);
}

/// The lines of an archive as JSON, the last one aside.
fn lines(archive: &[u8]) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).expect("a line of JSON");
    let mut lines: Vec<Value> = std::str::from_utf8(archive).expect("text").lines().map(line).collect();
    lines.pop();
    lines
}

/// An archive of these lines, with counts and a checksum that are right.
fn sealed(lines: &[Value]) -> Vec<u8> {
    let mut archive: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let sha256: String = Sha256::digest(&archive).iter().map(|byte| format!("{byte:02x}")).collect();
    let count = |kind: &str| lines.iter().filter(|line| line.get(kind).is_some()).count();
    let end = json!({ "end": {
        "lines": lines.len(),
        "organizations": count("organization"),
        "revisions": count("service"),
        "sha256": sha256,
    }});
    archive.push_str(&format!("{end}\n"));
    archive.into_bytes()
}

/// The numbers of the lines of a kind.
fn of_kind(lines: &[Value], kind: &str) -> Vec<usize> {
    lines.iter().enumerate().filter(|(_, line)| line.get(kind).is_some()).map(|(number, _)| number).collect()
}

/// A byte that is another, a line that is gone, comes twice or out of place, counts or a checksum that are not those of the content, anything
/// after the end: each is refused.
pub async fn is_refused_if_corrupt(fresh: &Fresh) {
    let archive = export(&full(fresh).await.store).await;
    let text = String::from_utf8(archive.clone()).expect("text");
    let store = fresh.store().await;
    let whole: Vec<&str> = text.lines().collect();
    let (end, body) = whole.split_last().expect("a last line");
    let archived = |lines: &[&str]| format!("{}\n", lines.join("\n")).into_bytes();
    for number in 0..body.len() {
        let mut bytes = archive.clone();
        let start: usize = body[..number].iter().map(|line| line.len() + 1).sum();
        // A letter in the middle becomes another one, of the same kind: what it says may still be well-formed.
        let middle = start + body[number].len() / 2;
        bytes[middle] ^= 1;
        refused(&store, &bytes, &format!("has another byte in line {}", number + 1)).await;
        let without: Vec<&str> = [&body[..number], &body[number + 1..], &[end]].concat();
        refused(&store, &archived(&without), &format!("lacks line {}", number + 1)).await;
        let twice: Vec<&str> = [&body[..=number], &body[number..], &[end]].concat();
        refused(&store, &archived(&twice), &format!("has line {} twice", number + 1)).await;
        if number > 0 {
            let mut swapped = whole.clone();
            swapped.swap(number - 1, number);
            refused(&store, &archived(&swapped), &format!("has lines {number} and the next swapped")).await;
        }
    }
    let sealed_end: Value = serde_json::from_str(end).expect("a line of JSON");
    for member in ["lines", "organizations", "revisions", "sha256"] {
        let mut other = sealed_end.clone();
        let value = &mut other["end"][member];
        *value = value.as_u64().map_or_else(|| json!("0".repeat(64)), |count| json!(count + 1));
        let other = other.to_string();
        let ends: Vec<&str> = [body, &[other.as_str()]].concat();
        refused(&store, &archived(&ends), &format!("ends with other {member}")).await;
    }
    for after in ["{}", "x", end, body[0]] {
        let longer: Vec<&str> = [whole.as_slice(), &[after]].concat();
        refused(&store, &archived(&longer), "goes on after its end").await;
    }
    refused(&store, b"\xff\xfe", "is no text").await;
    refused(&store, b"{\"llms\": []}", "is a catalog").await;
    let mut newer = lines(&archive);
    newer[0]["archive"]["version"] = json!(1_000_000);
    refused(&store, &sealed(&newer), "is of a newer format").await;
    let mut unknown = lines(&archive);
    unknown.insert(1, json!({ "unknown": {} }));
    refused(&store, &sealed(&unknown), "has a line of an unknown kind").await;
    import(&store, &archive).await.expect("the sound one, into what the others left behind");
    assert!(export(&store).await == archive);
}

/// Contents that break an invariant are refused though the checksum is right.
pub async fn is_refused_if_it_breaks_an_invariant(fresh: &Fresh) {
    let setting = full(fresh).await;
    // Two rows more that differ in nothing but what a fault needs, as the last of the first organization.
    let last = setting.create("last", true).await;
    setting.update(last.id, activate(false)).await;
    let archive = export(&setting.store).await;
    let lines = lines(&archive);
    let store = fresh.store().await;
    let services = of_kind(&lines, "service");
    let of_acme =
        |number: &&usize| lines[**number]["service"]["organization"] == json!(setting.acme.as_str());
    let rows: Vec<usize> = services.iter().filter(of_acme).copied().collect();
    let (updated, created) = (rows[rows.len() - 1], rows[rows.len() - 2]);
    assert_eq!(lines[updated]["service"]["id"], lines[created]["service"]["id"]);
    let guard = of_kind(&lines, "organization")
        .into_iter()
        .find(|number| lines[*number]["organization"]["id"] == json!(setting.acme.as_str()))
        .expect("the organization");
    let user = of_kind(&lines, "user")[0];
    let agent = of_kind(&lines, "agent").into_iter().find(|&number| {
        number > guard && lines[number]["agent"]["id"] == lines[updated]["service"]["agent_id"]
    });
    let agent = agent.expect("the agent of the service");

    let at = |number: usize, pointer: &str, value: Value| {
        let mut lines = lines.clone();
        *lines[number].pointer_mut(pointer).expect("a member of the line") = value;
        lines
    };
    let without = |number: usize| {
        let mut lines = lines.clone();
        lines.remove(number);
        lines
    };
    let revision = lines[updated]["service"]["revision"].as_i64().expect("a revision");
    let other = setting.other.as_str();
    let early = lines[created]["service"]["created_at"].clone();
    let tested_inactive = {
        let mut lines = lines.clone();
        let test = of_kind(&lines, "simulation_unit_test")
            .into_iter()
            .find(|number| lines[*number]["simulation_unit_test"]["id"] == json!(test_id(9).to_string()));
        lines[test.expect("the test")]["simulation_unit_test"]["service_id"] = json!(last.id.to_string());
        lines
    };
    let broken = [
        ("has two active services of one name", {
            let mut lines = at(updated, "/service/is_active", json!(true));
            lines[updated]["service"]["name"] = json!("second");
            lines
        }),
        (
            "pins a version that is not there",
            at(updated, "/service/version_sets/release/agent_version_number", json!(999)),
        ),
        (
            "has an `edge` with a pin",
            at(updated, "/service/version_sets/edge/agent_version_number", json!(1)),
        ),
        ("has a test on an inactive service", tested_inactive),
        ("has a user with an unknown role", at(user, "/user/roles", json!(["nobody's"]))),
        ("reuses a revision", at(updated, "/service/revision", json!(revision - 1))),
        ("skips a revision", at(updated, "/service/revision", json!(revision + 1))),
        ("counts more revisions", at(guard, "/organization/revision", json!(revision + 1))),
        ("counts fewer revisions", at(guard, "/organization/revision", json!(revision - 1))),
        ("lacks a row of history", without(updated)),
        ("lacks a row in the middle", without(rows[3])),
        ("has a row of another organization", at(updated, "/service/organization", json!(other))),
        ("has another time of creation", at(updated, "/service/created_at", json!("2001-01-01T00:00:00Z"))),
        ("goes back in time", at(updated, "/service/updated_at", json!("2001-01-01T00:00:00Z"))),
        ("has an unknown agent", at(updated, "/service/agent_id", json!("ffffffffffffffffffffffff"))),
        ("lacks an agent that services have", without(agent)),
        ("has an ill-formed name", at(updated, "/service/name", json!(" "))),
        ("has an organization twice", {
            let mut lines = lines.clone();
            lines.push(lines[guard].clone());
            lines
        }),
    ];
    assert!(
        sealed(&lines).len() == archive.len() && !early.is_null(),
        "what is sealed again has the same length"
    );
    for (why, lines) in broken {
        refused(&store, &sealed(&lines), why).await;
    }
    import(&store, &sealed(&lines)).await.expect("the sound one, sealed in the same way");
    assert!(export(&store).await == archive);
}

/// Nothing is wrong with a store after any writes that it took, or refused.
pub async fn check_finds_nothing_wrong(fresh: &Fresh) {
    let empty = fresh.store().await;
    assert_eq!(empty.operations.check().await.expect("a check"), Vec::<String>::new());
    let setting = full(fresh).await;
    let mut draws = Draws::seeded(64);
    for round in 0..12 {
        for organization in [&setting.acme, &setting.other] {
            let ids: Vec<_> = setting.state(organization).await.services().keys().copied().collect();
            for recipe in draws.several(6, &request::write()) {
                let request = recipe.request(organization, &ids, 0);
                request.run(&setting.registry, organization, &setting.admin).await.expect("an answer");
            }
        }
        assert_eq!(setting.store.operations.check().await.expect("a check"), Vec::<String>::new(), "{round}");
    }
    let taken = setting.creating(service_core::ServiceId::from_bytes([3; 12]), &creation("x", true)).await;
    setting.create("x", true).await;
    setting.commit_stale(taken).await;
    assert_eq!(setting.store.operations.check().await.expect("a check"), Vec::<String>::new());
}
