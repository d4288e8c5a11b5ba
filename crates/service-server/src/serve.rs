//! `serve`: the HTTP API over one or several stores.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use axum::Router;
use service_core::{CatalogDocument, CatalogError, Repository as _};
use service_http::{Api, Tokens};
use store_memory::MemoryStore;
use system_environment::SystemEnvironment;
use tokio::net::TcpListener;

use crate::cli::{Listen, Serve, Switch};
use crate::connections;
use crate::failure::{Failure, chain};
use crate::jwt;
use crate::logs::{self, Log};
use crate::measures;
use crate::open::{self, Store};
use crate::shutdown::Shutdown;
use crate::store_url::StoreUrl;

/// What is logged unless the configuration says otherwise.
const DEFAULT_LOG: &str = "info,sqlx=warn";
/// What the default cluster is called where operators see it.
const DEFAULT_CLUSTER: &str = "default";

/// Runs `serve`.
///
/// Everything that can be checked without a store is checked first, so that a wrong configuration writes nothing.
///
/// # Errors
/// What is wrong with the configuration, or why it could not serve.
pub(crate) async fn serve(arguments: Serve, log: &Log) -> Result<(), Failure> {
    let tokens = jwt::tokens(&arguments.jwt)?;
    let catalog = match &arguments.catalog {
        Some(path) => {
            let document = parse_catalog(&read_catalog(path)?);
            Some(document.map_err(|fault| Failure::Configuration(refused_catalog(path, &fault)))?)
        }
        None => None,
    };
    check_stores(&arguments)?;
    let logs = logs::start(log, DEFAULT_LOG)?;
    let mut shutdown = Shutdown::watch()?;
    let listener = bind(&arguments.listen).await?;

    if let (Some(document), Some(path)) = (&catalog, &arguments.catalog) {
        check_catalog(&arguments.store.store, path, document).await?;
    }
    let store = Store::open_migrated(&arguments.store.store).await?;
    let mut clusters = Vec::new();
    for cluster in arguments.clusters() {
        clusters.push((cluster.name.clone(), Store::open_migrated(&cluster.url).await?));
    }
    let api = api(&store, &clusters, tokens, &arguments.listen)?;
    let api = api.rate_limits(arguments.rate_limits == Switch::On);
    if let (Some(document), Some(path)) = (&catalog, &arguments.catalog) {
        apply(&store, path, document).await?;
    }
    announce(&listener)?;
    logs.let_through();
    connections::serve(listener, router(api), arguments.listen.max_connections, shutdown.requested()).await;
    store.close().await;
    for (_, store) in clusters {
        store.close().await;
    }
    Ok(())
}

/// The routes of an API, as this program serves them.
pub(crate) fn router(api: Api) -> Router {
    let router = service_http::router(api);
    #[cfg(feature = "otel")]
    let router = crate::otel::continuing(router);
    router
}

fn check_stores(arguments: &Serve) -> Result<(), Failure> {
    open::check(&arguments.store.store)?;
    let mut names = BTreeSet::new();
    for cluster in arguments.clusters() {
        if cluster.name == DEFAULT_CLUSTER {
            return Err(Failure::configuration(format!(
                "no cluster can be called `{DEFAULT_CLUSTER}`: that is what the one of --store is called in logs and metrics"
            )));
        }
        if !names.insert(&cluster.name) {
            return Err(Failure::configuration(format!("two clusters are called `{}`", cluster.name)));
        }
        open::check(&cluster.url)?;
    }
    Ok(())
}

/// Takes the address before any store is touched; whoever connects waits until the server is ready.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn bind(listen: &Listen) -> Result<TcpListener, Failure> {
    let address = listen.listen;
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!("cannot listen on `{address}`");
        match error.kind() {
            ErrorKind::AddrInUse => {
                Failure::Failed(format!("{message}: another program does; choose one with --listen"))
            }
            ErrorKind::AddrNotAvailable => {
                Failure::configuration(format!("{message}: this machine has no such address"))
            }
            _ => Failure::failed(&message, &error),
        }
    })
}

/// The API over a store, which is the default cluster, and over others by their names; with metrics.
///
/// # Errors
/// When metrics cannot be recorded.
pub(crate) fn api(
    store: &Store,
    clusters: &[(String, Store)],
    tokens: Tokens,
    listen: &Listen,
) -> Result<Api, Failure> {
    let default = std::iter::once((DEFAULT_CLUSTER.to_owned(), store.clone()));
    let render = measures::record(default.chain(clusters.iter().cloned()).collect())?;
    let Store { repository, access, operations, .. } = store.observed(DEFAULT_CLUSTER);
    let mut api = Api::new(repository, access, tokens, Arc::new(SystemEnvironment))
        .operations(operations)
        .metrics(render);
    for (name, store) in clusters {
        let Store { repository, access, operations, .. } = store.observed(name);
        api = api.cluster(name, repository, access, Some(operations));
    }
    // Where all that a request waits for is done on this machine, and not by a database, more than one a processor only take turns.
    let is_local = std::iter::once(store).chain(clusters.iter().map(|(_, store)| store)).all(Store::is_local);
    let each = is_local.then(|| available_parallelism().unwrap_or(NonZeroUsize::MIN));
    Ok(match listen.max_requests.or(each) {
        Some(number) => api.max_requests(number),
        None => api,
    })
}

/// Says on standard error where the server listens: the first line there, and the one that is no log line.
fn announce(listener: &TcpListener) -> Result<(), Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::failed("cannot tell where the server listens", &error))?;
    // Whoever closed standard error does not want to know.
    let _ = writeln!(std::io::stderr().lock(), "listening on http://{address}");
    tracing::info!(%address, "serving");
    Ok(())
}

/// Reads a catalog file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_catalog(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        Failure::configuration(format!("cannot read the catalog file `{}`: {error}", path.display()))
    })
}

/// Parses a catalog file, or says what is wrong in it.
pub(crate) fn parse_catalog(json: &[u8]) -> Result<CatalogDocument, String> {
    CatalogDocument::parse(json).map_err(|error| chain(&error))
}

/// The line for a catalog file that cannot be applied.
pub(crate) fn refused_catalog(path: &Path, fault: &str) -> String {
    format!("the catalog file `{}` is refused: {fault}", path.display())
}

async fn apply(store: &Store, path: &Path, document: &CatalogDocument) -> Result<(), Failure> {
    let mut changes =
        store.repository.apply_catalog(document).await.map_err(|error| catalog_failure(path, &error))?;
    // Logs name no users.
    let users: usize =
        changes.organizations.values_mut().map(|changed| std::mem::take(&mut changed.users).len()).sum();
    for change in changes.to_string().lines() {
        tracing::info!(change, "catalog");
    }
    tracing::info!(users, "applied the catalog");
    Ok(())
}

/// Checks a catalog that a store would be created for, so that one which is refused leaves no store behind.
///
/// # Errors
/// Why it is refused.
pub(crate) async fn check_catalog(
    url: &StoreUrl,
    path: &Path,
    document: &CatalogDocument,
) -> Result<(), Failure> {
    if open::exists(url).await? {
        return Ok(());
    }
    // Stores agree on what they refuse.
    let applied = MemoryStore::new().apply_catalog(document).await;
    applied.map(|_| ()).map_err(|error| catalog_failure(path, &error))
}

/// Why a catalog was not applied.
pub(crate) fn catalog_failure(path: &Path, error: &CatalogError) -> Failure {
    match error {
        CatalogError::Refused(refusal) => Failure::Failed(refused_catalog(path, &refusal.to_string())),
        CatalogError::Store(error) => Failure::failed("cannot apply the catalog", error),
    }
}
