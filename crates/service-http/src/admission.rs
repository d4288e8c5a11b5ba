//! Everything that is checked before the request itself is looked at, in this order: maintenance, who asks, the cluster, the
//! organization, the rate limit.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use service_core::{Caller, Grants, OrganizationId, Principal, Standing};

use crate::api::{Cluster, Shared};
use crate::auth::authenticate;
use crate::error::{Failure, no_organization};
use crate::instruments::RATE_LIMITED;
use crate::observe::Journal;
use crate::rate_limit::{Endpoint, Key, Quota, Subject};
use crate::request::organization_segment;

const X_MONGO_CLUSTER_NAME: HeaderName = HeaderName::from_static("x-mongo-cluster-name");

/// A request that may be looked at.
pub(crate) struct Admitted<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) organization: OrganizationId,
    pub(crate) caller: Caller,
}

impl Shared {
    /// Admits a request with a bearer token, or says why not.
    pub(crate) async fn admit(&self, parts: &Parts, endpoint: Endpoint) -> Result<Admitted<'_>, Failure> {
        let now = self.environment.now();
        let journal = Journal::of(&parts.extensions);
        self.is_open(&self.default).await?;
        let addressed = organization_segment(parts.uri.path());
        let principal =
            authenticate(&parts.headers, &addressed, &self.tokens, now).map_err(Failure::Unauthenticated)?;
        if self.limiter.is_some() {
            journal.note_quota(Quota::untouched(endpoint, now));
        }
        let organization = OrganizationId::new(&addressed).map_err(Failure::IllFormedOrganization);
        let key = |cluster: &Cluster, organization: &OrganizationId, principal: &Principal| Key {
            cluster: cluster.name.clone(),
            organization: organization.clone(),
            subject: Subject::Principal(principal.clone()),
            endpoint,
        };
        let cluster = self.chosen(&parts.headers)?;
        if let (Some(limiter), Ok(organization)) = (&self.limiter, &organization) {
            journal.note_quota(limiter.look(&key(cluster, organization, &principal), now));
        }
        if cluster.name.is_some() {
            self.is_open(cluster).await?;
        }
        let organization = organization?;
        let grants = match cluster.access.standing(&organization, &principal).await? {
            Standing::UnknownOrganization => return Err(no_organization(&organization)),
            Standing::UnknownPrincipal => Grants::default(),
            Standing::Known(grants) => grants,
        };
        journal.note_organization(&organization);
        self.count(&journal, || key(cluster, &organization, &principal))?;
        Ok(Admitted { cluster, organization, caller: Caller { principal, grants } })
    }

    /// Counts a request, unless it is one too many or limits are off.
    pub(crate) fn count(&self, journal: &Journal, key: impl FnOnce() -> Key) -> Result<(), Failure> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let key = key();
        let endpoint = key.endpoint;
        let (quota, outcome) = limiter.count(key, || self.environment.now());
        journal.note_quota(quota);
        outcome.map_err(|limited| {
            metrics::counter!(RATE_LIMITED.name, "endpoint" => endpoint.name()).increment(1);
            Failure::Limited(limited)
        })
    }

    /// Refuses to work on a cluster in maintenance.
    pub(crate) async fn is_open(&self, cluster: &Cluster) -> Result<(), Failure> {
        if cluster.maintenance.is_on(self.environment.now()).await {
            Err(Failure::Maintenance)
        } else {
            Ok(())
        }
    }

    /// The cluster that the headers name, or the default one.
    pub(crate) fn chosen(&self, headers: &HeaderMap) -> Result<&Cluster, Failure> {
        let mut values = headers.get_all(X_MONGO_CLUSTER_NAME).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(&self.default),
            (Some(value), None) => {
                let cluster = value.to_str().ok().and_then(|name| self.clusters.get(name));
                cluster.ok_or(Failure::UnknownCluster("there is no cluster of this name"))
            }
            (Some(_), Some(_)) => Err(Failure::UnknownCluster("one cluster must be named, not several")),
        }
    }
}
