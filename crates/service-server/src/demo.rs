//! `demo`: the registry with sample data, in a store that is gone afterwards, and lines to try it with.

mod services;

use std::sync::Arc;
use std::time::Duration;

use service_core::catalog::{OrganizationEntry, SimulationUnitTestEntry};
use service_core::{
    Caller, CatalogDocument, ContinuationToken, Environment as _, Limit, ListServices, OrganizationId,
    Principal, Registry, ServiceFilter, ServiceId, Sort, Standing, UserId, ValueError, VersionSetName,
};
use service_http::Tokens;
use system_environment::SystemEnvironment;

use crate::cli;
use crate::commands::{add_api_key, print, secret};
use crate::connections;
use crate::failure::Failure;
use crate::logs::{self, Log};
use crate::open::{self, Store};
use crate::serve::{api, bind, router};
use crate::shutdown::Shutdown;
use crate::store_url::StoreUrl;
use crate::transfer;

/// The catalog of the demo, which is also an example of a catalog file.
const CATALOG: &str = include_str!("demo/catalog.json");
/// What is logged unless the configuration says otherwise: nothing that would hide what is printed.
const DEFAULT_LOG: &str = "warn";
/// How long the tokens that are printed are valid.
const TOKEN_TIME: Duration = Duration::from_secs(12 * 60 * 60);
/// The organization of the lines that are printed, and its users: one who may do everything, one who may see some of it.
const ORGANIZATION: &str = "harbor-health";
const ADMIN: &str = "alice";
const READER: &str = "carol";

/// Runs `demo`.
///
/// # Errors
/// Why it could not.
pub(crate) async fn demo(arguments: cli::Demo, log: &Log) -> Result<(), Failure> {
    let logs = logs::start(log, DEFAULT_LOG)?;
    let mut shutdown = Shutdown::watch()?;
    let listener = bind(&arguments.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::failed("cannot tell where the server listens", &error))?;
    let (directory, store) = match &arguments.store {
        Some(url) => (None, empty_store(url).await?),
        None => {
            let directory = tempfile::Builder::new()
                .prefix("service-registry-demo-")
                .tempdir()
                .map_err(|error| Failure::failed("cannot create a temporary directory", &error))?;
            let url = StoreUrl::Sqlite(directory.path().join("registry.sqlite"));
            (Some(directory), Store::open_migrated(&url).await?)
        }
    };
    let tokens = Tokens::hs256(secret(&SystemEnvironment).as_bytes())
        .map_err(|error| Failure::failed("cannot sign tokens", &error))?;
    let sample = Sample::create(&store).await?;
    let place = match &arguments.store {
        Some(url) => format!("in `{url}`"),
        None => "that is gone when this program ends (Ctrl-C)".to_owned(),
    };
    print(sample.manual(&format!("http://{address}"), &place, &tokens)?)?;
    logs.let_through();
    let router = router(api(&store, &[], tokens, &arguments.listen)?);
    connections::serve(listener, router, arguments.listen.max_connections, shutdown.requested()).await;
    store.close().await;
    match directory {
        Some(directory) => directory
            .close()
            .map_err(|error| Failure::failed("cannot remove the temporary directory", &error)),
        None => Ok(()),
    }
}

/// Opens a store for the sample data, which must not come among anybody's own.
async fn empty_store(url: &StoreUrl) -> Result<Store, Failure> {
    open::check(url)?;
    let store = Store::open_migrated(url).await?;
    if transfer::is_empty(&store).await? {
        return Ok(store);
    }
    store.close().await;
    Err(Failure::Failed(format!("`{url}` is not empty: the demo wants a store of its own")))
}

/// What the printed lines speak of.
struct Sample {
    organization: OrganizationEntry,
    service: ServiceId,
    page_two: ContinuationToken,
    api_key_id: String,
    api_key: String,
}

impl Sample {
    /// Fills a store: the catalog, the services, a simulation unit test that uses one of them, and an API key.
    async fn create(store: &Store) -> Result<Self, Failure> {
        let catalog = CatalogDocument::parse(CATALOG.as_bytes())
            .map_err(|error| Failure::failed("the demo's catalog is wrong", &error))?;
        apply(store, &catalog).await?;
        let registry = Registry::new(Arc::clone(&store.repository), Arc::new(SystemEnvironment));
        let mut sample = None;
        for organization in &catalog.organizations {
            let admin =
                organization.users.iter().find(|user| user.roles.iter().any(|role| role.as_str() == "admin"));
            let admin = admin.ok_or_else(|| Failure::Failed("the demo's catalog has no admin".into()))?;
            let caller = caller(store, &organization.id, &admin.id).await?;
            let services = services::create(&registry, &caller, organization).await?;
            if organization.id.as_str() == ORGANIZATION
                && let Some(&service) = services.first()
            {
                let page_two = page_two(&registry, &caller, &organization.id).await?;
                sample = Some((organization.clone(), service, page_two));
            }
        }
        let (organization, service, page_two) =
            sample.ok_or_else(|| Failure::Failed("the demo's catalog lacks its organization".into()))?;
        apply(store, &test_of(&organization.id, service)?).await?;
        let (id, api_key) = add_api_key(store, &organization.id, &SystemEnvironment).await?;
        Ok(Self { organization, service, page_two, api_key_id: id.to_string(), api_key })
    }

    /// What to try, as comments and lines to paste.
    fn manual(&self, url: &str, place: &str, tokens: &Tokens) -> Result<String, Failure> {
        let organization = &self.organization.id;
        let signed = |user: &str| {
            let principal =
                Principal { organization: organization.clone(), user: UserId::new(user).map_err(wrong)? };
            tokens
                .sign(&principal, SystemEnvironment.now(), TOKEN_TIME)
                .map_err(|error| Failure::failed("cannot sign a token", &error))
        };
        let (token, expires_at) = signed(ADMIN)?;
        let (reader_token, _) = signed(READER)?;
        let (Some(agent), Some(state_machine)) =
            (self.organization.agents.first(), self.organization.state_machines.first())
        else {
            return Err(Failure::Failed("the demo's catalog lacks agents or state machines".into()));
        };
        let (agent, state_machine) = (agent.id, state_machine.id);
        let Self { service, page_two, api_key_id, api_key, .. } = self;
        let page_two = page_two.get();
        let services = format!("{url}/v1/{organization}/service");
        let bearer = format!("-H 'Authorization: Bearer {token}'");
        let reader = format!("-H 'Authorization: Bearer {reader_token}'");
        let json = "-H 'Content-Type: application/json'";
        Ok(format!(
            "\
The service registry, with sample data {place}.

url    {url}
docs   {url}/docs
token  {token}

The token is of the user {ADMIN} of the organization {organization}, and valid until {expires_at}.
Lines to paste:

# services of the care team by voice, by name, five at a time
curl -fsS {bearer} '{services}/?tags=team:care&tags=channel:voice&sort_by=+name&limit=5'

# the page after that
curl -fsS {bearer} '{services}/?tags=team:care&tags=channel:voice&sort_by=+name&limit=5&continuation_token={page_two}'

# the same for {READER}, who may see only active services of two teams
curl -fsS {reader} '{services}/?sort_by=-is_active&sort_by=+name'

# create a service
curl -fsS -X POST {bearer} {json} '{services}/' -d '{{\"name\": \"Night line\", \"description\": \"Answers after hours.\", \
             \"is_active\": false, \"agent_id\": \"{agent}\", \"service_hierarchical_state_machine_id\": \
             \"{state_machine}\", \"tags\": {{\"team\": \"care\", \"pilot\": null}}, \"keyterms\": []}}'

# rename one and replace its tags
curl -fsS -X POST {bearer} {json} '{services}/{service}/' -d '{{\"name\": \"Appointment reminders by phone\", \
             \"tags\": {{\"team\": \"front desk\", \"channel\": \"voice\"}}}}'

# store a version set, and delete it
curl -fsS -X PUT {bearer} {json} '{services}/{service}/version_sets/canary/' -d '{{\"version_set\": \
             {{\"agent_version_number\": 2, \"service_hierarchical_state_machine_version_number\": null, \
             \"llm_model_preferences\": {{\"respond\": {{\"llm_name\": \"openai_gpt-5.5-2026-04-23\", \"params\": \
             {{\"temperature\": 0.2}}}}}}}}}}'
curl -fsS -X DELETE {bearer} '{services}/{service}/version_sets/canary/'

# sign in with an API key, for another token
curl -fsS -X POST -H 'x-api-key-id: {api_key_id}' -H 'x-api-key: {api_key}' -H 'x-user-id: {ADMIN}' \
             '{url}/v1/{organization}/user/signin_with_api_key'

"
        ))
    }
}

async fn apply(store: &Store, document: &CatalogDocument) -> Result<(), Failure> {
    let applied = store.repository.apply_catalog(document).await;
    applied.map(|_| ()).map_err(|error| Failure::failed("cannot apply the demo's catalog", &error))
}

async fn caller(store: &Store, organization: &OrganizationId, user: &UserId) -> Result<Caller, Failure> {
    let principal = Principal { organization: organization.clone(), user: user.clone() };
    match store.access.standing(organization, &principal).await {
        Ok(Standing::Known(grants)) => Ok(Caller { principal, grants }),
        Ok(_) => Err(Failure::Failed(format!("the demo's catalog does not know `{principal}`"))),
        Err(error) => Err(Failure::failed("cannot ask the store", &error)),
    }
}

/// Where the second page of the listing that the manual shows begins.
async fn page_two(
    registry: &Registry,
    caller: &Caller,
    organization: &OrganizationId,
) -> Result<ContinuationToken, Failure> {
    let tags =
        ["team:care", "channel:voice"].map(str::parse).into_iter().collect::<Result<Vec<_>, ValueError>>();
    let request = ListServices {
        filter: ServiceFilter::new([], None, tags.map_err(wrong)?).map_err(wrong)?,
        sort: Sort::new(vec!["+name".parse().map_err(wrong)?]).map_err(wrong)?,
        limit: Limit::new(5).map_err(wrong)?,
        token: ContinuationToken::default(),
    };
    let page = registry.list(organization, caller, request).await;
    let page = page.map_err(|error| Failure::failed("cannot list the demo's services", &error))?;
    page.next.ok_or_else(|| Failure::Failed("the demo's listing has one page only".into()))
}

/// A simulation unit test that uses the release of a service, which can then not be switched off.
fn test_of(organization: &OrganizationId, service: ServiceId) -> Result<CatalogDocument, Failure> {
    let mut entry = OrganizationEntry::new(organization.clone());
    entry.simulation_unit_tests.push(SimulationUnitTestEntry {
        id: "6630f0a0e1b2c3d4e5f60001".parse().map_err(wrong)?,
        service_id: service,
        version_set_name: VersionSetName::release(),
        deleted: false,
    });
    Ok(CatalogDocument { llms: Vec::new(), organizations: vec![entry] })
}

fn wrong(error: ValueError) -> Failure {
    Failure::failed("the demo's data are wrong", &error)
}
