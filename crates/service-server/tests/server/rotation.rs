//! Replacing the key that tokens are signed with, while tokens of the old one are in use.

use reqwest::{Method, StatusCode};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use test_postgres::Database;

use crate::process::{PATIENCE, Place, SECRET, Server, body, command, run};

const NEW_SECRET: &str = "fedcba9876543210fedcba9876543210";
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");

/// A server and a way to sign tokens that are configured alike.
struct Replica {
    server: Server,
    token: String,
}

impl Replica {
    fn start(place: &Place, environment: &[(&str, &str)]) -> Self {
        let catalog = place.catalog();
        let serve = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--store",
            "memory:",
            "--rate-limits",
            "off",
            "--catalog",
            &catalog,
        ];
        let server = Server::spawn(command(&serve).envs(environment.iter().copied()));
        Self { server, token: token(environment) }
    }

    async fn answers(&self, token: &str) -> StatusCode {
        let url = format!("{}/v1/acme/service/", self.server.url);
        let request = reqwest::Client::new().get(url).bearer_auth(token).timeout(PATIENCE);
        request.send().await.expect("an answer").status()
    }
}

/// A token of `alice`, signed as this environment says.
fn token(environment: &[(&str, &str)]) -> String {
    let arguments = ["token", "--org", "acme", "--user", "alice"];
    run(command(&arguments).envs(environment.iter().copied())).succeeded().trim_end().to_owned()
}

#[tokio::test]
async fn a_secret_is_replaced_replica_by_replica_without_a_refusal() {
    let place = Place::new();
    let new_file = place.write("new-secret", &format!("{NEW_SECRET}\n"));
    let steps = [
        vec![("SERVICE_JWT_SECRET", SECRET)],
        vec![("SERVICE_JWT_SECRET", SECRET), ("SERVICE_JWT_ACCEPTED_SECRET_FILE", &new_file)],
        vec![("SERVICE_JWT_SECRET_FILE", &new_file), ("SERVICE_JWT_ACCEPTED_SECRET", SECRET)],
        vec![("SERVICE_JWT_SECRET_FILE", &new_file)],
    ];
    let replicas = steps.map(|environment| Replica::start(&place, &environment));
    // While one replica has gone a step further than another, each takes what the other signs.
    for pair in replicas.windows(2) {
        for (signer, asked) in [(0, 1), (1, 0), (0, 0), (1, 1)] {
            assert_eq!(pair[asked].answers(&pair[signer].token).await, StatusCode::OK);
        }
    }
    let [old, learned, switched, new] = replicas;
    assert_eq!(switched.answers(&old.token).await, StatusCode::OK, "until it expires");
    assert_eq!(new.answers(&old.token).await, StatusCode::UNAUTHORIZED, "the old secret is worth nothing");
    assert_eq!(new.answers(&learned.token).await, StatusCode::UNAUTHORIZED, "signed with the old one too");
    assert_eq!(old.answers(&new.token).await, StatusCode::UNAUTHORIZED, "not learned yet");
    for replica in [old, learned, switched, new] {
        replica.server.stop();
    }
}

#[tokio::test]
async fn a_public_key_is_replaced_likewise() {
    let place = Place::new();
    let (private, public) = (format!("{KEYS}/ed25519.pem"), format!("{KEYS}/ed25519.public.pem"));
    let other = format!("{KEYS}/other-ed25519.public.pem");
    let algorithm = ("SERVICE_JWT_ALGORITHM", "EdDSA");
    let signed = token(&[
        algorithm,
        ("SERVICE_JWT_PUBLIC_KEY_FILE", &public),
        ("SERVICE_JWT_PRIVATE_KEY_FILE", &private),
    ]);
    let serve = ["serve", "--listen", "127.0.0.1:0", "--store", "memory:", "--catalog", &place.catalog()];
    let environment = [algorithm, ("SERVICE_JWT_PUBLIC_KEY_FILE", &other)];
    for (accepted, status) in [(None, StatusCode::UNAUTHORIZED), (Some(&public), StatusCode::OK)] {
        let mut command = command(&serve);
        command.envs(environment);
        command.envs(accepted.map(|file| ("SERVICE_JWT_ACCEPTED_PUBLIC_KEY_FILE", file)));
        let replica = Replica { server: Server::spawn(&mut command), token: signed.clone() };
        assert_eq!(replica.answers(&replica.token).await, status);
        replica.server.stop();
    }
}

/// The manual's way to replace a password of PostgreSQL.
#[tokio::test]
async fn a_second_user_of_the_database_takes_over_from_the_first() {
    let database = Database::empty().await;
    let (rest, name) = database.url().rsplit_once('/').expect("a database");
    let host = rest.rsplit(['@', '/']).next().expect("a host");
    let (first, second) = (format!("{name}_1"), format!("{name}_2"));
    let url = |user: &str| format!("postgres://{user}:secret@{host}/{name}");
    let mut administrator = PgConnection::connect(database.url()).await.expect("a connection");
    let mut says = async |statement: String| {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut administrator).await.expect("it is done")
    };
    let creates = async |server: &Server, name: &str| {
        let answer = server.request(Method::POST, "").json(&body(name)).send().await;
        answer.expect("an answer").status()
    };
    says(format!("CREATE ROLE {first} LOGIN PASSWORD 'secret'")).await;
    says(format!("GRANT CREATE ON DATABASE {name} TO {first}")).await;
    let place = Place::new();
    let of_first = Server::start(&["--store", &url(&first), "--catalog", &place.catalog()]);
    assert_eq!(creates(&of_first, "Of the first").await, 201);

    says(format!("CREATE ROLE {second} LOGIN PASSWORD 'secret' IN ROLE {first}")).await;
    says(format!("ALTER ROLE {second} SET role = '{first}'")).await;
    let of_second = Server::start(&["--store", &url(&second)]);
    assert_eq!(creates(&of_second, "Of the second").await, 201);
    of_first.stop();
    says(format!("ALTER ROLE {first} NOLOGIN")).await;
    assert_eq!(creates(&of_second, "Of the second alone").await, 201);
    assert_eq!(of_second.names().await, ["Of the first", "Of the second", "Of the second alone"]);
    of_second.stop();
    let store = url(&second);
    assert!(run(&mut command(&["check", "--store", &store])).succeeded().ends_with("is sound\n"));
    run(&mut command(&["check", "--store", &url(&first)])).failed(1);

    says(format!("DROP OWNED BY {first} CASCADE")).await;
    says(format!("DROP ROLE {second}, {first}")).await;
}
