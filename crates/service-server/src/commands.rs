//! Runs commands; all but the two that serve stand here.

use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use service_core::{ApiKeyHash, ApiKeyId, Environment, OrganizationId, Principal};
use service_http::TokensError;
use system_environment::SystemEnvironment;

use crate::cli::{ApiKeyCommand, CatalogCommand, Cli, Command, Maintenance, Switch, Token};
use crate::failure::{Failure, chain, one_line};
use crate::open::{self, Store};
use crate::serve::{catalog_failure, check_catalog, parse_catalog, read_catalog, refused_catalog, serve};
use crate::store_url::StoreUrl;
use crate::{demo, health, jwt, manual, transfer};

/// After how many steps of its tasks a thread of the runtime looks for what has come from outside: requests, above all. As a rule it is
/// sixty, which under too much load is many milliseconds, and nobody is refused before. To look each time costs no throughput that
/// could be measured.
const EVENT_INTERVAL: u32 = 1;

/// Runs a command to its end.
///
/// # Errors
/// Why it did not do what it was asked.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build()
        .map_err(|error| Failure::failed("cannot start the runtime", &error))?;
    let outcome = runtime.block_on(async {
        let log = &cli.log;
        match cli.command {
            Command::Serve(arguments) => serve(arguments, log).await,
            Command::Demo(arguments) => demo::demo(arguments, log).await,
            Command::Migrate(arguments) => migrate(&arguments.store).await,
            Command::Catalog { command: CatalogCommand::Apply { file, store } } => {
                apply_catalog(&file, &store.store).await
            }
            Command::Export(arguments) => transfer::export(&arguments.store).await,
            Command::Import { file, store } => transfer::import(&file, &store.store).await,
            Command::Check(arguments) => check(&arguments.store).await,
            Command::ApiKey { command: ApiKeyCommand::Create { store, org } } => {
                create_api_key(&store.store, &org).await
            }
            Command::Token(arguments) => token(&arguments),
            Command::Maintenance(arguments) => maintenance(&arguments).await,
            Command::Openapi => openapi(),
            Command::Health(arguments) => health::health(arguments.listen).await,
            Command::Completions { shell } => print(manual::completions(shell)?),
            Command::Man => print(manual::page()?),
        }
    });
    // Not waiting for a thread that reads what may never come.
    runtime.shutdown_background();
    outcome
}

/// Writes a command's result to standard output.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn print(text: impl fmt::Display) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    let written = write!(output, "{text}").and_then(|()| output.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::failed("cannot write the result", &error),
    })
}

async fn migrate(url: &StoreUrl) -> Result<(), Failure> {
    open::check_lasting(url)?;
    Store::open_migrated(url).await?.close().await;
    print(format_args!("the schema of `{url}` is up to date\n"))
}

async fn apply_catalog(file: &Path, url: &StoreUrl) -> Result<(), Failure> {
    open::check_lasting(url)?;
    let json = read_catalog(file)?;
    let document = parse_catalog(&json).map_err(|fault| Failure::Failed(refused_catalog(file, &fault)))?;
    check_catalog(url, file, &document).await?;
    let store = Store::open_current_or_new(url).await?;
    let changes = store.repository.apply_catalog(&document).await;
    store.close().await;
    print(changes.map_err(|error| catalog_failure(file, &error))?)
}

async fn check(url: &StoreUrl) -> Result<(), Failure> {
    open::check_lasting(url)?;
    let store = Store::open_current(url).await?;
    let violations = store.operations.check().await;
    store.close().await;
    let violations = violations.map_err(|error| Failure::failed(&format!("cannot check `{url}`"), &error))?;
    if violations.is_empty() {
        return print(format_args!("`{url}` is sound\n"));
    }
    print(violations.iter().map(|violation| format!("{}\n", one_line(violation))).collect::<String>())?;
    let number = violations.len();
    Err(Failure::Failed(format!(
        "`{url}` is not sound: {number} violation{}",
        if number == 1 { "" } else { "s" }
    )))
}

async fn create_api_key(url: &StoreUrl, organization: &OrganizationId) -> Result<(), Failure> {
    open::check_lasting(url)?;
    let store = Store::open_current(url).await?;
    let added = add_api_key(&store, organization, &SystemEnvironment).await;
    store.close().await;
    let (id, key) = added?;
    let result = serde_json::json!({ "api_key_id": id.as_str(), "api_key": key });
    print(format_args!("{result}\n")).map_err(|failure| match failure {
        Failure::Failed(fault) => {
            Failure::Failed(format!("{fault}; the key `{id}` was created, and its secret is lost"))
        }
        other => other,
    })
}

/// Adds an API key to an organization and gives its id and the secret, which is kept nowhere.
///
/// # Errors
/// When there is no such organization, or the store fails.
pub(crate) async fn add_api_key(
    store: &Store,
    organization: &OrganizationId,
    environment: &dyn Environment,
) -> Result<(ApiKeyId, String), Failure> {
    let id = hex(&environment.entropy());
    let id = ApiKeyId::new(&id).map_err(|error| Failure::failed("cannot name the key", &error))?;
    let key = secret(environment);
    let hash = ApiKeyHash::of(&key);
    match store.access.add_api_key(organization, &id, &hash, environment.now()).await {
        Ok(true) => Ok((id, key)),
        Ok(false) => Err(Failure::Failed(format!("there is no organization `{organization}`"))),
        Err(error) => Err(Failure::failed("cannot add the key", &error)),
    }
}

/// 256 bits that nobody can guess, in hexadecimal.
pub(crate) fn secret(environment: &dyn Environment) -> String {
    (0..4).map(|_| hex(&environment.entropy())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn token(arguments: &Token) -> Result<(), Failure> {
    let tokens = jwt::tokens(&arguments.jwt)?;
    let principal = Principal { organization: arguments.org.clone(), user: arguments.user.clone() };
    match tokens.sign(&principal, SystemEnvironment.now(), arguments.ttl.get()) {
        Ok((token, _)) => print(format_args!("{token}\n")),
        Err(error @ TokensError::NoPrivateKey) => {
            Err(Failure::Configuration(format!("{}; set SERVICE_JWT_PRIVATE_KEY_FILE", chain(&error))))
        }
        Err(error) => Err(Failure::failed("cannot sign the token", &error)),
    }
}

async fn maintenance(arguments: &Maintenance) -> Result<(), Failure> {
    let url = &arguments.store.store;
    open::check_lasting(url)?;
    let store = Store::open_current(url).await?;
    let (on, word) = match arguments.switch {
        Switch::On => (true, "on"),
        Switch::Off => (false, "off"),
    };
    let set = store.operations.set_maintenance(on).await;
    store.close().await;
    set.map_err(|error| Failure::failed("cannot switch maintenance", &error))?;
    print(format_args!("maintenance of `{url}` is {word}\n"))
}

fn openapi() -> Result<(), Failure> {
    let document = serde_json::to_string_pretty(&service_http::openapi::document())
        .map_err(|error| Failure::failed("cannot print the document", &error))?;
    print(format_args!("{document}\n"))
}
