//! The archive: its text, and what is not taken for one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use service_core::*;
use sha2::{Digest, Sha256};
use store_conformance::generate::request::{self, Recipe};
use store_conformance::generate::{Draws, catalog, service};
use store_conformance::reference::ModelStore;
use store_conformance::world::{World, block_on};

const CATALOG: &[u8] = br#"{
    "llms": [{"name": "openai_o4-mini", "deprecated": true}],
    "organizations": [{
        "id": "acme",
        "agents": [{"id": "6630f0a0a1b2c3d4e5f60001", "name": "Coach", "latest_version": 3}],
        "state_machines": [{"id": "6630f0a0b1b2c3d4e5f60001"}],
        "roles": [{"name": "reader", "grants": [{"permission_name": "Service:GetService", "conditions": {}}]}],
        "users": [{"id": "alice", "roles": ["reader"]}, {"id": "bob", "organization": "partner", "roles": []}]
    }]
}"#;

fn export(store: &ModelStore) -> String {
    let mut archive = Vec::new();
    block_on(store.export(&mut archive)).unwrap();
    String::from_utf8(archive).unwrap()
}

fn import(archive: &str) -> Result<ModelStore, ImportRefusal> {
    let store = ModelStore::default();
    match block_on(store.import(&mut archive.as_bytes())) {
        Ok(_) => Ok(store),
        Err(ImportError::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

/// Lines with the last line that belongs to them.
fn sealed(lines: &[&str]) -> String {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let count = |key: &str| lines.iter().filter(|line| line.starts_with(&format!("{{\"{key}\""))).count();
    let sha256: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{body}{{\"end\":{{\"lines\":{},\"organizations\":{},\"revisions\":{},\"sha256\":\"{sha256}\"}}}}\n",
        lines.len(),
        count("organization"),
        count("service"),
    )
}

#[test]
fn the_text_is_the_documented_one() {
    let store = ModelStore::default();
    block_on(store.apply_catalog(&CatalogDocument::parse(CATALOG).unwrap())).unwrap();
    let (acme, key) = ("acme".parse().unwrap(), "k1".parse().unwrap());
    let created_at = "2026-01-01T00:00:00Z".parse().unwrap();
    assert!(
        block_on(store.add_api_key(&acme, &key, &ApiKeyHash::from_bytes([0xab; 32]), created_at)).unwrap()
    );
    let hash = "ab".repeat(32);
    let key = format!(r#"{{"api_key":{{"id":"k1","hash":"{hash}","created_at":"2026-01-01T00:00:00Z"}}}}"#);
    let expected = sealed(&[
        r#"{"archive":{"format":"service-registry","version":1}}"#,
        r#"{"llm":{"name":"openai_o4-mini","deprecated":true}}"#,
        r#"{"organization":{"id":"acme","revision":0,"catalog_revision":1}}"#,
        r#"{"agent":{"id":"6630f0a0a1b2c3d4e5f60001","name":"Coach","latest_version":3,"deprecated":false}}"#,
        r#"{"state_machine":{"id":"6630f0a0b1b2c3d4e5f60001","name":"","latest_version":null,"deprecated":false}}"#,
        r#"{"role":{"name":"reader","grants":[{"permission_name":"Service:GetService","conditions":{}}]}}"#,
        r#"{"user":{"id":"alice","organization":null,"roles":["reader"]}}"#,
        r#"{"user":{"id":"bob","organization":"partner","roles":[]}}"#,
        &key,
    ]);
    assert_eq!(export(&store), expected);
    assert_eq!(export(&import(&expected).unwrap()), expected);
}

#[test]
fn a_history_comes_back_as_it_was() {
    let (world, mut draws, acme) = (World::new(), Draws::seeded(1), catalog::organization(0));
    for _ in 0..20 {
        world.run(&acme, &Recipe::Create(draws.draw(&request::create())));
    }
    for _ in 0..60 {
        world.run(&acme, &draws.draw(&request::write()));
    }
    let state = world.state(&acme);
    assert!(state.history().len() > state.services().len() && !state.services().is_empty());
    let archive = export(&ModelStore::new(world.contents()));
    assert_eq!(export(&import(&archive).unwrap()), archive);
}

#[test]
fn a_line_of_a_service_says_nothing_else() {
    let head = r#"{"archive":{"format":"service-registry","version":1}}"#;
    let service = Draws::seeded(1).draw(&service::service());
    let service = format!("\"service\":{}", serde_json::to_string(&service).unwrap());
    let fault = |line: &str| match import(&sealed(&[head, line])) {
        Err(ImportRefusal::Line { line: 2, fault }) => fault,
        other => panic!("{other:?}"),
    };
    // It is read, and then it is out of its place.
    assert_eq!(fault(&format!("{{{service}}}")), "`service` comes before any `organization`");
    for more in [service.as_str(), r#""end":1"#, r#""service":null"#] {
        assert!(fault(&format!("{{{service},{more}}}")).starts_with("expected value at column"), "{more}");
    }
}

#[test]
fn a_line_that_is_wrong_or_out_of_place_is_named() {
    const HEAD: &str = r#"{"archive":{"format":"service-registry","version":1}}"#;
    const ACME: &str = r#"{"organization":{"id":"acme","revision":0,"catalog_revision":1}}"#;
    const ROLE: &str = r#"{"role":{"name":"reader","grants":[]}}"#;
    const LLM: &str = r#"{"llm":{"name":"x","deprecated":false}}"#;
    let refused = |lines: &[&str], line: u64, said: &str| match import(&sealed(lines)) {
        Err(ImportRefusal::Line { line: named, fault }) => {
            assert_eq!(named, line, "{fault}");
            assert!(fault.contains(said), "{fault}");
        }
        other => panic!("{other:?}"),
    };
    refused(&[ACME], 1, "does not begin an archive");
    refused(&["not JSON"], 1, "expected");
    refused(&[r#"{"archive":{"format":"service-registry","version":2}}"#], 1, "version 2");
    refused(&[HEAD, LLM, LLM], 3, "`x` comes twice");
    refused(&[HEAD, ACME, LLM], 3, "`llm` is not in its place");
    refused(&[HEAD, ROLE], 2, "`role` is not in its place");
    refused(&[HEAD, ACME, ACME], 3, "in the order of their ids");
    refused(&[HEAD, ACME, r#"{"role":{"name":"reader","grants":[],"more":1}}"#], 3, "unknown field `more`");
    refused(
        &[HEAD, ACME, r#"{"api_key":{"id":"k","hash":"ab","created_at":"2026-01-01T00:00:00Z"}}"#],
        3,
        "64",
    );
    for number in ["0", "9223372036854775807"] {
        let far = ACME.replace("\"catalog_revision\":1", &format!("\"catalog_revision\":{number}"));
        refused(&[HEAD, &far], 2, "catalog revision");
    }
    refused(&[HEAD, HEAD], 2, "`archive` is not in its place");
    let twice = import(&sealed(&[HEAD, ACME, ROLE, ROLE]));
    assert!(
        matches!(twice, Err(ImportRefusal::Invariant { fault, .. }) if fault.contains("`reader` comes twice"))
    );
    let short =
        import(&sealed(&[HEAD, r#"{"organization":{"id":"acme","revision":2,"catalog_revision":1}}"#]));
    assert!(
        matches!(short, Err(ImportRefusal::Invariant { fault, .. }) if fault.contains("ends at revision 0"))
    );
    let whole = sealed(&[HEAD, ACME, ROLE]);
    assert!(import(&whole).is_ok());
    let more = format!("{whole}\n");
    assert!(matches!(import(&more), Err(ImportRefusal::Line { line: 5, .. })));
    assert_eq!(import(&whole[..whole.len() - 1]).err(), Some(ImportRefusal::Truncated(3)));
    assert_eq!(import("").err(), Some(ImportRefusal::Truncated(0)));
    assert_eq!(import(&whole.replace("reader", "writer")).err(), Some(ImportRefusal::Checksum));
    assert_eq!(import(&whole.replace("\"lines\":3", "\"lines\":4")).err(), Some(ImportRefusal::Checksum));
}
