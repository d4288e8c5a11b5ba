//! What the router is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use service_core::{Access, Environment, Operations, Registry, Repository};

use crate::load::{Slots, default_requests};
use crate::maintenance::Maintenance;
use crate::rate_limit::RateLimiter;
use crate::tokens::Tokens;

const TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Writes the metrics that `GET /metrics` answers.
pub(crate) type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// The API, before it is mounted: stores, keys, and settings. [`router`](fn@crate::router) makes routes of it.
pub struct Api {
    stores: Stores,
    clusters: BTreeMap<String, Stores>,
    tokens: Tokens,
    environment: Arc<dyn Environment>,
    rate_limits: bool,
    metrics: Option<Render>,
    token_lifetime: Duration,
    time_limit: Duration,
    max_requests: NonZeroUsize,
}

struct Stores {
    repository: Arc<dyn Repository>,
    access: Arc<dyn Access>,
    operations: Option<Arc<dyn Operations>>,
}

impl Api {
    /// An API over one store, which is the default cluster. Rate limits are on, sign-in tokens hold for an hour, a request may
    /// take 30 seconds, and two requests for each processor are worked on at once.
    pub fn new(
        repository: Arc<dyn Repository>,
        access: Arc<dyn Access>,
        tokens: Tokens,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            stores: Stores { repository, access, operations: None },
            clusters: BTreeMap::new(),
            tokens,
            environment,
            rate_limits: true,
            metrics: None,
            token_lifetime: TOKEN_LIFETIME,
            time_limit: TIME_LIMIT,
            max_requests: default_requests(),
        }
    }

    /// Asks the default cluster's store whether it is ready and whether it is in maintenance. Without this it is taken to be
    /// ready and never in maintenance.
    #[must_use]
    pub fn operations(mut self, operations: Arc<dyn Operations>) -> Self {
        self.stores.operations = Some(operations);
        self
    }

    /// Adds a storage cluster, for requests whose header `x-mongo-cluster-name` names it.
    #[must_use]
    pub fn cluster(
        mut self,
        name: &str,
        repository: Arc<dyn Repository>,
        access: Arc<dyn Access>,
        operations: Option<Arc<dyn Operations>>,
    ) -> Self {
        self.clusters.insert(name.to_owned(), Stores { repository, access, operations });
        self
    }

    /// Whether rates are limited.
    #[must_use]
    pub fn rate_limits(mut self, on: bool) -> Self {
        self.rate_limits = on;
        self
    }

    /// Serves `/metrics` with what `render` returns, which is to be in the text format of Prometheus. Without this there is
    /// no such route; metrics are recorded through the `metrics` facade all the same.
    #[must_use]
    pub fn metrics(mut self, render: Arc<dyn Fn() -> String + Send + Sync>) -> Self {
        self.metrics = Some(render);
        self
    }

    /// How long a token holds that sign-in issues.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// How long a request may take before it is answered with 503.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How many requests are worked on at once. Those beyond wait for half a second at most, the last that came first, and are then
    /// answered with 503. More than the processors and the connections of the stores can work on make everybody wait longer.
    ///
    /// Which came last is known once it has been read: under too much load answers come soonest from a runtime that looks for what has
    /// come after each step (tokio's `event_interval` of 1).
    #[must_use]
    pub fn max_requests(mut self, number: NonZeroUsize) -> Self {
        self.max_requests = number;
        self
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Api")
            .field("clusters", &self.clusters.keys())
            .field("tokens", &self.tokens)
            .field("rate_limits", &self.rate_limits)
            .finish_non_exhaustive()
    }
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) default: Cluster,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    pub(crate) tokens: Tokens,
    pub(crate) environment: Arc<dyn Environment>,
    /// `None`: rates are not limited.
    pub(crate) limiter: Option<RateLimiter>,
    pub(crate) metrics: Option<Render>,
    pub(crate) token_lifetime: Duration,
    pub(crate) time_limit: Duration,
    pub(crate) slots: Slots,
}

/// One store, as the API works on it.
pub(crate) struct Cluster {
    /// `None` for the default one.
    pub(crate) name: Option<String>,
    pub(crate) registry: Registry,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) operations: Option<Arc<dyn Operations>>,
    pub(crate) maintenance: Maintenance,
}

impl From<Api> for Shared {
    fn from(api: Api) -> Self {
        let cluster = |name: Option<String>, stores: Stores| Cluster {
            name,
            registry: Registry::new(stores.repository, Arc::clone(&api.environment)),
            access: stores.access,
            maintenance: Maintenance::new(stores.operations.clone()),
            operations: stores.operations,
        };
        Self {
            default: cluster(None, api.stores),
            clusters: api
                .clusters
                .into_iter()
                .map(|(name, stores)| (name.clone(), cluster(Some(name), stores)))
                .collect(),
            tokens: api.tokens,
            environment: Arc::clone(&api.environment),
            limiter: api.rate_limits.then(RateLimiter::default),
            metrics: api.metrics,
            token_lifetime: api.token_lifetime,
            time_limit: api.time_limit,
            slots: Slots::new(api.max_requests),
        }
    }
}
