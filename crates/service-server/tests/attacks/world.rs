//! Two organizations on a store of each kind, and a server over it.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use service_core::Environment as _;
use system_environment::SystemEnvironment;
use test_postgres::Database;

use crate::process::{AGENT, PATIENCE, Place, SECRET, STATE_MACHINE, Server, command, run};
use crate::wire::Answer;

/// The kinds of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
    Postgres,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Memory, Kind::Sqlite, Kind::Postgres];

const PERMISSIONS: [&str; 6] = [
    "GetService",
    "CreateService",
    "UpdateService",
    "CreateVersionSet",
    "UpdateVersionSet",
    "DeleteVersionSet",
];

/// A server over a store in which the organizations `acme` and `rival` have the same catalog, and services of their own.
///
/// * `alice` of `acme` and `ruth` of `rival` may do everything in their organization.
/// * `carl` of `acme` sees and changes there what has the tag `team` with the value `care`.
/// * `gina` of `acme` sees in `rival` what is called `Open to guests`.
/// * `nora` of `acme` has no role.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) kind: Kind,
    pub(crate) server: Server,
    pub(crate) place: Place,
    pub(crate) store: String,
    pub(crate) database: Option<Database>,
    client: reqwest::Client,
}

fn catalog() -> Value {
    let grants = |conditions: &Value| -> Vec<Value> {
        let grant = |name| json!({"permission_name": format!("Service:{name}"), "conditions": conditions});
        PERMISSIONS.map(grant).into()
    };
    let care = json!({"tags.team": {"type": "Equals", "value": "care"}});
    let open = json!({"name": {"type": "Equals", "value": "Open to guests"}});
    let organization = |id: &str, users: Value| {
        json!({
            "id": id,
            "agents": [{"id": AGENT, "name": "Coach", "latest_version": 3}],
            "state_machines": [{"id": STATE_MACHINE, "name": "Intake", "latest_version": 2}],
            "roles": [
                {"name": "admin", "grants": grants(&json!({}))},
                {"name": "carer", "grants": grants(&care)},
                {"name": "guest", "grants": [{"permission_name": "Service:GetService", "conditions": open}]},
            ],
            "users": users,
        })
    };
    let of_acme = json!([
        {"id": "alice", "roles": ["admin"]}, {"id": "carl", "roles": ["carer"]}, {"id": "gina"}, {"id": "nora"}
    ]);
    let of_rival = json!([
        {"id": "ruth", "roles": ["admin"]}, {"id": "gina", "organization": "acme", "roles": ["guest"]}
    ]);
    json!({
        "llms": [{"name": "model"}],
        "organizations": [organization("acme", of_acme), organization("rival", of_rival)],
    })
}

impl World {
    /// A world on a store of this kind, with services in both organizations.
    pub(crate) async fn new(kind: Kind) -> Self {
        let world = Self::with(kind, &[]).await;
        for (user, organization, names) in [
            ("alice", "acme", ["Care line", "Night line", "Draft"]),
            ("ruth", "rival", ["Ours alone", "Open to guests", "Plans of rival"]),
        ] {
            for (number, name) in names.into_iter().enumerate() {
                let mut body = service(name);
                body["description"] = json!(format!("kept by {organization}"));
                body["tags"] =
                    json!({"owner": organization, "team": if number == 0 { "care" } else { "ops" }});
                let created = world.as_user(organization, user, Method::POST, "", Some(&body)).await;
                assert_eq!(created.0, 201, "{}", created.1);
            }
        }
        world
    }

    /// A world whose organizations have no services, with a server that is started with these arguments too.
    pub(crate) async fn with(kind: Kind, arguments: &[&str]) -> Self {
        let place = Place::new();
        let database = if kind == Kind::Postgres { Some(Database::empty().await) } else { None };
        let store = match (kind, &database) {
            (_, Some(database)) => database.url().to_owned(),
            (Kind::Memory, _) => "memory:".to_owned(),
            _ => place.store(),
        };
        let catalog = place.write("catalog.json", &catalog().to_string());
        let west = "west=memory:";
        let own = ["--store", &store, "--catalog", &catalog, "--rate-limits", "off", "--cluster", west];
        let server = Server::start(&[&own as &[_], arguments].concat());
        Self { kind, server, place, store, database, client: reqwest::Client::new() }
    }

    /// A request, with nothing in it but its method and path.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.server.url)).timeout(PATIENCE)
    }

    /// A request of a user to their own organization; what was answered.
    pub(crate) async fn as_user(
        &self,
        organization: &str,
        user: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let request = self.request(method, &format!("/v1/{organization}/service/{path}"));
        let mut request = request.bearer_auth(token(organization, user));
        if let Some(body) = body {
            request = request.json(body);
        }
        read(request.send().await.expect("an answer")).await
    }

    /// The services of an organization, as one who may see everything reads them, and the facets.
    pub(crate) async fn services(&self, organization: &str) -> Value {
        let admin = if organization == "acme" { "alice" } else { "ruth" };
        let (mut services, mut facets, mut next) = (Vec::new(), Value::Null, json!(0));
        while let Some(token) = next.as_i64() {
            let path = format!("?limit=20&continuation_token={token}");
            let (status, mut page) = self.as_user(organization, admin, Method::GET, &path, None).await;
            assert_eq!(status, 200, "{page}");
            services.append(page["services"].as_array_mut().expect("services"));
            if token == 0 {
                facets = page["filter_values"].take();
            }
            next = page["continuation_token"].take();
        }
        json!({"services": services, "facets": facets})
    }

    /// Everything that an organization has: what can be listed, and what an export has of it where the store outlives the server.
    pub(crate) async fn everything_of(&self, organization: &str) -> String {
        let listed = self.services(organization).await.to_string();
        if self.kind == Kind::Memory {
            return listed;
        }
        let archive = run(&mut command(&["export", "--store", &self.store])).succeeded();
        let head = format!("{{\"organization\":{{\"id\":\"{organization}\"");
        let from = archive.lines().skip_while(|line| !line.starts_with(&head));
        let lines = from.enumerate().take_while(|(number, line)| {
            *number == 0 || !(line.starts_with("{\"organization\"") || line.starts_with("{\"end\""))
        });
        let lines: Vec<&str> = lines.map(|(_, line)| line).collect();
        assert!(!lines.is_empty(), "{archive}");
        format!("{listed}\n{}", lines.join("\n"))
    }

    /// The id of a service, by its name.
    pub(crate) async fn id(&self, organization: &str, name: &str) -> String {
        let services = self.services(organization).await;
        let services = services["services"].as_array().expect("services");
        let found = services.iter().find(|service| service["name"] == name).expect("a service");
        found["id"].as_str().expect("an id").to_owned()
    }

    /// Ends the server; what it logged. The store is sound, where there is one to look at.
    pub(crate) fn end(self) -> Vec<String> {
        self.server.signal("TERM");
        let lines: Vec<String> =
            std::iter::from_fn(|| self.server.lines.recv_timeout(PATIENCE).ok()).collect();
        if self.kind != Kind::Memory {
            let said = run(&mut command(&["check", "--store", &self.store])).succeeded();
            assert!(said.ends_with("is sound\n"), "{said}");
        }
        for line in &lines {
            let parsed: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            let target = parsed["target"].as_str().unwrap_or_else(|| panic!("{line:?} has no target"));
            assert!(parsed["level"].is_string() && !target.is_empty(), "{line:?}");
        }
        lines
    }
}

/// Status and body of an answer that is as every answer is: JSON if it has a body, with a request id; an error says which.
pub(crate) async fn read(answer: Response) -> (StatusCode, Value) {
    let (status, headers) = (answer.status(), answer.headers().clone());
    assert!(headers.contains_key("x-request-id"), "{status}: {headers:?}");
    let text = answer.text().await.expect("text");
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
    if status.as_u16() >= 400 {
        assert!(body["error_code"].is_string() && !body["detail"].is_null(), "{status}: {text}");
    }
    (status, body)
}

/// The body that creates a service.
pub(crate) fn service(name: &str) -> Value {
    json!({
        "name": name, "description": "Helps.", "is_active": false, "agent_id": AGENT,
        "service_hierarchical_state_machine_id": STATE_MACHINE, "tags": {}
    })
}

/// A token of a user, as the configured secret signs it.
pub(crate) fn token(organization: &str, user: &str) -> String {
    let claims = claims(organization, user);
    let header = jsonwebtoken::Header::default();
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&header, &claims, &key).expect("a token")
}

/// The claims of a token that holds for an hour.
pub(crate) fn claims(organization: &str, user: &str) -> Value {
    let now = SystemEnvironment.now().as_microseconds() / 1_000_000;
    json!({
        "sub": user, "org": organization, "iss": "service-registry", "aud": "service-registry",
        "iat": now, "exp": now + 3600,
    })
}

/// Checks that an answer is a refusal as every refusal is, of this status; its code.
#[track_caller]
pub(crate) fn refusal(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    answer.error_code()
}
