//! A store in a temporary file beside the model, and ways to fill both with the same services.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use service_core::rules::{decide_create, decide_update};
use service_core::{
    Caller, CatalogDocument, Commit, CommitOutcome, CreateService, Decision, Facts, FactsQuery, Grants,
    Keyterms, Llms, Operations, OrganizationId, OrganizationState, Permission, Principal, Refusal,
    Repository, Revision, ServiceId, Sort, Tags, Timestamp, UpdateService,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use store_sqlite::SqliteStore;
use tempfile::TempDir;

pub(crate) const CATALOG: &str = r#"{
    "llms": [{"name": "llm one"}, {"name": "llm two", "deprecated": true}],
    "organizations": [{
        "id": "acme",
        "agents": [
            {"id": "a00000000000000000000001", "name": "Coach", "latest_version": 3},
            {"id": "a00000000000000000000002", "latest_version": 1},
            {"id": "a00000000000000000000003", "deprecated": true}
        ],
        "state_machines": [
            {"id": "b00000000000000000000001", "name": "Intake", "latest_version": 2},
            {"id": "b00000000000000000000002", "latest_version": 9}
        ],
        "roles": [
            {"name": "admin", "grants": [
                {"permission_name": "Service:GetService"}, {"permission_name": "Service:CreateService"},
                {"permission_name": "Service:UpdateService"}, {"permission_name": "Service:CreateVersionSet"}
            ]},
            {"name": "reader", "grants": [
                {"permission_name": "Service:GetService",
                 "conditions": {"tags.team": {"type": "Equals", "value": null}}}
            ]}
        ],
        "users": [
            {"id": "alice", "roles": ["admin", "reader"]},
            {"id": "bob", "organization": "partner", "roles": ["reader"]},
            {"id": "carol"}
        ]
    }]
}"#;

pub(crate) fn acme() -> OrganizationId {
    "acme".parse().unwrap()
}

pub(crate) fn caller() -> Caller {
    let grants = [Permission::CreateService, Permission::UpdateService, Permission::CreateVersionSet]
        .map(|permission| service_core::Grant::new(permission, BTreeMap::new()).unwrap());
    let principal = Principal { organization: acme(), user: "alice".parse().unwrap() };
    Caller { principal, grants: Grants::new(grants).unwrap() }
}

pub(crate) fn service_id(number: u32) -> ServiceId {
    let mut bytes = [0x65; 12];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ServiceId::from_bytes(bytes)
}

pub(crate) fn tags(tags: &[(&str, Option<&str>)]) -> Tags {
    let parsed =
        tags.iter().map(|(key, value)| (key.parse().unwrap(), value.map(|value| value.parse().unwrap())));
    Tags::new(parsed).unwrap()
}

pub(crate) fn request(name: &str, is_active: bool, tags: Tags) -> CreateService {
    CreateService {
        name: name.parse().unwrap(),
        description: "what it does".parse().unwrap(),
        is_active,
        agent_id: "a00000000000000000000001".parse().unwrap(),
        state_machine_id: "b00000000000000000000001".parse().unwrap(),
        tags,
        keyterms: Keyterms::default(),
        release: None,
    }
}

/// All sorts there are.
pub(crate) fn sorts() -> Vec<Sort> {
    let keys = |texts: &[&str]| Sort::new(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap();
    let signed = ["+name", "-name", "+is_active", "-is_active"];
    let mut sorts = vec![keys(&[])];
    for one in signed {
        sorts.push(keys(&[one]));
        sorts.extend(signed.iter().filter(|other| other[1..] != one[1..]).map(|other| keys(&[one, other])));
    }
    assert_eq!(sorts.len(), 13);
    sorts
}

/// Numbers that look random and are the same every time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

const HISTORY: &str = r#"
    WITH RECURSIVE wanted (number) AS (SELECT ?1 UNION ALL SELECT number + 1 FROM wanted WHERE number + 1 < ?2)
    INSERT INTO history (organization, revision, id, name, is_active, body)
    SELECT 'acme', o.revision + 1 + number - ?1, unhex('6565656565656565' || format('%08x', number)),
        'written ' || number, (o.revision + number) % 2,
        json_set(first.body,
            '$.id', '6565656565656565' || format('%08x', number),
            '$.name', 'written ' || number,
            '$.is_active', json(iif((o.revision + number) % 2, 'true', 'false')),
            '$.tags', json(iif((o.revision + number) % 3,
                json_object('n', cast(number % 7 AS TEXT), 'team', iif((o.revision + number) % 5, 'red', NULL)),
                json_object('team', 'blue'))),
            '$.revision', o.revision + 1 + number - ?1)
    FROM wanted, organizations AS o, history AS first
    WHERE o.organization = 'acme' AND first.organization = 'acme' AND first.revision = 1"#;
const SERVICES: &str = "
    INSERT INTO services (organization, id, name, is_active, agent_id, state_machine_id, tags, revision)
    SELECT 'acme', id, body ->> '$.name', body ->> '$.is_active', unhex(body ->> '$.agent_id'),
        unhex(body ->> '$.state_machine_id'), body -> '$.tags', revision
    FROM history
    WHERE organization = 'acme' AND revision > (SELECT revision FROM organizations WHERE organization = 'acme')
    ON CONFLICT (organization, id) DO UPDATE
    SET is_active = excluded.is_active, tags = excluded.tags, revision = excluded.revision";
const FACETS: &str = "
    INSERT INTO facets (organization, key, has_value, value, services)
    SELECT 'acme', tag.key, tag.value IS NOT NULL, coalesce(tag.value, ''), count(*)
    FROM services, json_each(services.tags) AS tag GROUP BY tag.key, tag.value";
const COUNTER: &str = "
    UPDATE organizations SET revision = (SELECT max(revision) FROM history WHERE organization = 'acme')
    WHERE organization = 'acme'";

const NAMES: [&str; 11] =
    ["a", "A", "aa", "b", "é", "e\u{301}", "\u{ffff}", "\u{1f600}", "عربي", "a%_'\"b", "z"];
const AGENTS: [&str; 2] = ["a00000000000000000000001", "a00000000000000000000002"];

/// The store, and the model that it must agree with.
pub(crate) struct Pair {
    pub(crate) store: SqliteStore,
    pub(crate) model: OrganizationState,
    pub(crate) llms: Llms,
    pub(crate) directory: TempDir,
    /// Every commit that became a revision, in order.
    pub(crate) commits: Vec<Commit>,
    clock: i64,
}

/// What a file held at some moment, and what the model was then.
pub(crate) struct Backup {
    file: PathBuf,
    model: OrganizationState,
}

impl Pair {
    /// Both with the catalog and without services.
    pub(crate) async fn new() -> Self {
        let mut pair = Self::empty().await;
        pair.apply(CATALOG).await;
        pair
    }

    /// Both without anything.
    pub(crate) async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
        store.migrate().await.unwrap();
        Self {
            store,
            model: OrganizationState::default(),
            llms: Llms::new(),
            directory,
            commits: Vec::new(),
            clock: 0,
        }
    }

    pub(crate) async fn apply(&mut self, document: &str) {
        let document = CatalogDocument::parse(document.as_bytes()).unwrap();
        let changes = self.store.apply_catalog(&document).await.unwrap();
        self.llms.extend(changes.llms.iter().map(|(name, (_, llm))| (name.clone(), *llm)));
        if let Some(changes) = changes.organizations.get(&acme()) {
            self.model.apply_catalog(changes);
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("services.db")
    }

    /// A connection beside the store, as another program would have it.
    pub(crate) async fn beside(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path()).connect().await.unwrap()
    }

    /// Writes services of these numbers as another program would, all at once: those that are there get other tags and change their
    /// activeness. One service must be there to take after. For tests that need more of them than it is fun to commit.
    pub(crate) async fn write_many(&mut self, numbers: Range<u32>) {
        let mut beside = self.beside().await;
        for statement in
            ["BEGIN IMMEDIATE", HISTORY, SERVICES, "DELETE FROM facets", FACETS, COUNTER, "COMMIT"]
        {
            let query = sqlx::query(statement);
            let query =
                if statement == HISTORY { query.bind(numbers.start).bind(numbers.end) } else { query };
            query.execute(&mut beside).await.unwrap();
        }
        beside.close().await.unwrap();
        let record = self.store.organization(&acme()).await.unwrap().unwrap();
        let written =
            self.store.history(&acme(), self.model.record().revision, usize::MAX).await.unwrap().unwrap();
        let history = self.model.history().iter().cloned().chain(written).collect::<Vec<_>>();
        self.model = OrganizationState::of(record, history);
    }

    /// Copies the file.
    pub(crate) async fn back_up(&self) -> Backup {
        let file = self.directory.path().join(format!("backup at {}.db", self.model.record().revision));
        let mut beside = self.beside().await;
        sqlx::query("VACUUM INTO ?1").bind(file.to_str()).execute(&mut beside).await.unwrap();
        beside.close().await.unwrap();
        Backup { file, model: self.model.clone() }
    }

    /// Sets the file back to what it was, under the store that has it open; and the model.
    pub(crate) async fn set_back(&mut self, backup: &Backup) {
        let mut beside = self.beside().await;
        sqlx::query("ATTACH ?1 AS backup").bind(backup.file.to_str()).execute(&mut beside).await.unwrap();
        let mut statements = "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE;".to_owned();
        for table in ["organizations", "history", "services", "facets"] {
            statements.push_str(&format!(
                "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM backup.{table};"
            ));
        }
        statements.push_str("COMMIT");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut beside).await.unwrap();
        beside.close().await.unwrap();
        self.model = backup.model.clone();
    }

    /// Runs a statement that no program of ours would run.
    pub(crate) async fn damage(&self, statement: &'static str) {
        let mut beside = self.beside().await;
        sqlx::raw_sql("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            .execute(&mut beside)
            .await
            .unwrap();
        let damaged = sqlx::query(statement).execute(&mut beside).await.unwrap();
        assert!(damaged.rows_affected() > 0, "{statement}");
        beside.close().await.unwrap();
    }

    /// Everything that is stored, as text.
    pub(crate) async fn dump(&self) -> String {
        let mut beside = self.beside().await;
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT json_array('guard', organization, revision, catalog_revision) FROM organizations
             UNION ALL SELECT json_array('history', organization, revision, hex(id), name, is_active, body) FROM history
             UNION ALL SELECT json_array('service', organization, hex(id), name, is_active, hex(agent_id),
                     hex(state_machine_id), tags, revision)
                 FROM services
             UNION ALL SELECT json_array('facet', organization, key, has_value, value, services) FROM facets
             UNION ALL SELECT json_array('agent', organization, hex(id), name, latest_version, deprecated) FROM agents
             UNION ALL SELECT json_array('machine', organization, hex(id), name, latest_version) FROM state_machines
             UNION ALL SELECT json_array('test', organization, hex(id), hex(service_id), deleted)
                 FROM simulation_unit_tests
             UNION ALL SELECT json_array('role', organization, name, grants) FROM roles
             UNION ALL SELECT json_array('user', organization, user_organization, user_id, roles) FROM users
             UNION ALL SELECT json_array('llm', name, deprecated) FROM llms
             ORDER BY 1",
        )
        .fetch_all(&mut beside)
        .await
        .unwrap();
        beside.close().await.unwrap();
        rows.join("\n")
    }

    /// The facts, which the store and the model must agree on.
    pub(crate) async fn facts(&self, query: &FactsQuery) -> Facts {
        let facts = self.store.facts(&acme(), query).await.unwrap().unwrap();
        assert_eq!(facts, self.model.facts(&self.llms, query));
        facts
    }

    /// Commits to both, which must agree on what became of it.
    pub(crate) async fn commit(&mut self, commit: Commit) -> CommitOutcome {
        let outcome = self.store.commit(commit.clone()).await.unwrap();
        assert_eq!(outcome, self.model.commit(commit.clone()));
        if let CommitOutcome::Committed(_) = outcome {
            self.commits.push(commit);
        }
        outcome
    }

    pub(crate) async fn create(
        &mut self,
        id: ServiceId,
        request: &CreateService,
    ) -> Result<Revision, Refusal> {
        let facts = self
            .facts(&FactsQuery {
                service: Some(id),
                name: Some(request.name.clone()),
                agents: vec![request.agent_id],
                state_machines: vec![request.state_machine_id],
                llms: Vec::new(),
            })
            .await;
        let draft = decide_create(&facts, &acme(), request, &caller(), id, self.now())?;
        let commit = Commit { draft, expected: None, catalog_revision: facts.catalog_revision };
        Ok(committed(self.commit(commit).await))
    }

    pub(crate) async fn update(
        &mut self,
        id: ServiceId,
        request: &UpdateService,
    ) -> Result<Option<Revision>, Refusal> {
        let query = FactsQuery {
            service: Some(id),
            name: request.name.clone(),
            agents: request.agent_id.into_iter().collect(),
            ..FactsQuery::default()
        };
        let facts = self.facts(&query).await;
        let expected = facts.service.as_ref().map(|service| service.revision);
        match decide_update(&facts, id, request, &caller(), self.now())? {
            Decision::Unchanged => Ok(None),
            Decision::Change(draft) => {
                let commit = Commit { draft, expected, catalog_revision: facts.catalog_revision };
                Ok(Some(committed(self.commit(commit).await)))
            }
        }
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        self.clock += 1_000_000;
        Timestamp::from_microseconds(self.clock).unwrap()
    }

    /// Creates this many services and changes some of them, with few names and tags, so that they collide.
    pub(crate) async fn fill(&mut self, services: u32, dice: &mut Dice) {
        for number in 0..services {
            // Ids that do not rise with the revision.
            let id = service_id(number.wrapping_mul(0x9e37_79b1));
            let numbered = format!("{} {}", dice.pick(&NAMES), dice.below(u64::from(services)));
            let name = if dice.below(2) == 0 { numbered.as_str() } else { dice.pick(&NAMES) };
            let wanted = CreateService {
                agent_id: dice.pick(&AGENTS).parse().unwrap(),
                ..request(name, dice.below(2) == 0, some_tags(dice))
            };
            if self.create(id, &wanted).await.is_err() {
                let inactive = CreateService { is_active: false, ..wanted };
                self.create(id, &inactive).await.unwrap();
            }
            if dice.below(3) == 0 {
                self.change_one(dice).await;
            }
        }
    }

    /// Changes one of the services, if the dice will have it: its name, its activeness, its agent or its tags.
    pub(crate) async fn change_one(&mut self, dice: &mut Dice) {
        let other = *dice.pick(&self.model.services().keys().copied().collect::<Vec<_>>());
        let change = match dice.below(5) {
            0 => UpdateService { name: Some(dice.pick(&NAMES).parse().unwrap()), ..UpdateService::default() },
            1 => UpdateService { is_active: Some(dice.below(2) == 0), ..UpdateService::default() },
            2 => UpdateService {
                agent_id: Some(dice.pick(&AGENTS).parse().unwrap()),
                ..UpdateService::default()
            },
            _ => UpdateService { tags: Some(some_tags(dice)), ..UpdateService::default() },
        };
        match self.update(other, &change).await {
            Ok(_) | Err(Refusal::ActiveNameTaken(_)) => {}
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

fn some_tags(dice: &mut Dice) -> Tags {
    let mut chosen = Vec::new();
    for (key, values) in [
        ("team", &[None, Some("red"), Some("blue")][..]),
        ("env", &[Some("prod"), Some("test")]),
        ("größe 1", &[None, Some("größer als 2")]),
        ("n", &[Some("0"), Some("1"), Some("00"), Some("null")]),
    ] {
        if dice.below(2) == 0 {
            chosen.push((key, *dice.pick(values)));
        }
    }
    tags(&chosen)
}

pub(crate) fn committed(outcome: CommitOutcome) -> Revision {
    match outcome {
        CommitOutcome::Committed(revision) => revision,
        CommitOutcome::Stale => panic!("the commit was stale"),
    }
}
