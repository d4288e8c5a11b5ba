//! A store that tells operators of every call.

#![deny(clippy::missing_trait_methods)] // a method with a default would otherwise be answered here, not by the store

use std::sync::Arc;

use async_trait::async_trait;
use metrics::{Label, SharedString};
use service_core::{
    Access, ApiKeyHash, ApiKeyId, ArchiveSink, ArchiveSource, ArchiveSummary, CatalogChanges,
    CatalogDocument, CatalogError, Commit, CommitOutcome, ExportError, Facts, FactsQuery, ImportError,
    Listed, Listing, Llms, Operations, OrganizationId, OrganizationRecord, Principal, Repository, Revision,
    Service, Standing, StoreError, StoreErrorKind, Timestamp,
};
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::instruments::{STORE_DURATION, STORE_FAILURES};
use crate::operation::decides_again;
use crate::watch::{Watch, microseconds};

/// A store, and a span and metrics for each call of it: which call, how long it took, what came of it. Nothing of what is stored or
/// asked for is among them.
///
/// It is for embedders too: whatever takes a store takes an observed one. Where the routes stand on one, they also measure how often
/// writes are decided again.
///
/// ```
/// use std::sync::Arc;
///
/// use service_http::Observed;
/// use store_memory::MemoryStore;
///
/// let store: Arc<dyn service_core::Repository> = Arc::new(Observed::new(MemoryStore::new(), "memory", "default"));
/// ```
#[derive(Debug, Clone)]
pub struct Observed<S> {
    store: S,
    kind: &'static str,
    cluster: Arc<str>,
}

impl<S> Observed<S> {
    /// A store of this kind, such as `sqlite`, that is the cluster of this name.
    pub fn new(store: S, kind: &'static str, cluster: &str) -> Self {
        Self { store, kind, cluster: cluster.into() }
    }

    /// Waits for an answer of the store, within a span.
    async fn call<T, E: Fault>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.call_with(call, answer, |_| "ok").await
    }

    /// The same, for answers that come to more than one thing.
    async fn call_with<T, E: Fault>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<T, E>>,
        outcome: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, E> {
        let (store, cluster) = (self.kind, &*self.cluster);
        let span = tracing::info_span!(
            "store",
            otel.name = call,
            store,
            cluster,
            call,
            outcome = Empty,
            microseconds = Empty,
        );
        let mut called = Called { watch: Watch::over(span.clone()), call, store, cluster: &self.cluster };
        let answer = answer.instrument(span).await;
        called.watch.ended(match &answer {
            Ok(answer) => outcome(answer),
            Err(fault) => fault.outcome(),
        });
        answer
    }
}

/// A call that is under way. Metrics are told of it at its end, also if that is only that nobody waits any longer.
struct Called<'a> {
    watch: Watch,
    call: &'static str,
    store: &'static str,
    cluster: &'a Arc<str>,
}

impl Drop for Called<'_> {
    fn drop(&mut self) {
        let (took, outcome) = (self.watch.elapsed(), self.watch.outcome());
        let mut labels = vec![
            Label::from_static_parts("store", self.store),
            Label::new("cluster", SharedString::from_shared(Arc::clone(self.cluster))),
            Label::from_static_parts("call", self.call),
        ];
        metrics::histogram!(STORE_DURATION.name, labels.clone()).record(took.as_secs_f64());
        if !matches!(outcome, "ok" | "stale" | "refused") {
            labels.push(Label::from_static_parts("outcome", outcome));
            metrics::counter!(STORE_FAILURES.name, labels).increment(1);
        }
        self.watch.span().in_scope(|| {
            tracing::debug!(outcome, microseconds = microseconds(took), "the store was asked");
        });
    }
}

/// What a failure means, in a word.
trait Fault {
    fn outcome(&self) -> &'static str;
}

impl Fault for StoreError {
    fn outcome(&self) -> &'static str {
        match self.kind() {
            StoreErrorKind::Unavailable => "unavailable",
            StoreErrorKind::OutcomeUnknown => "outcome_unknown",
            StoreErrorKind::Corrupt => "corrupt",
            StoreErrorKind::Schema => "schema",
            _ => "internal",
        }
    }
}

impl Fault for CatalogError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Store(fault) => fault.outcome(),
        }
    }
}

impl Fault for ExportError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Store(fault) => fault.outcome(),
            // The store did its part.
            Self::Sink(_) => "refused",
        }
    }
}

impl Fault for ImportError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Store(fault) => fault.outcome(),
            Self::Refused(_) | Self::Source(_) => "refused",
        }
    }
}

#[async_trait]
impl<S: Repository> Repository for Observed<S> {
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        self.call("facts", self.store.facts(organization, query)).await
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let outcome = |outcome: &CommitOutcome| match outcome {
            CommitOutcome::Committed(_) => "ok",
            CommitOutcome::Stale => {
                decides_again();
                "stale"
            }
        };
        self.call_with("commit", self.store.commit(commit), outcome).await
    }

    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError> {
        self.call("list", self.store.list(organization, listing)).await
    }

    async fn history(
        &self,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
        self.call("history", self.store.history(organization, after, limit)).await
    }

    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationRecord>, StoreError> {
        self.call("organization", self.store.organization(organization)).await
    }

    async fn llms(&self) -> Result<Llms, StoreError> {
        self.call("llms", self.store.llms()).await
    }

    async fn apply_catalog(&self, document: &CatalogDocument) -> Result<CatalogChanges, CatalogError> {
        self.call("apply_catalog", self.store.apply_catalog(document)).await
    }
}

#[async_trait]
impl<S: Access> Access for Observed<S> {
    async fn standing(
        &self,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError> {
        self.call("standing", self.store.standing(organization, principal)).await
    }

    async fn verify_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        key: &str,
    ) -> Result<bool, StoreError> {
        self.call("verify_api_key", self.store.verify_api_key(organization, id, key)).await
    }

    async fn add_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        hash: &ApiKeyHash,
        created_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.call("add_api_key", self.store.add_api_key(organization, id, hash, created_at)).await
    }
}

#[async_trait]
impl<S: Operations> Operations for Observed<S> {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.call("migrate", self.store.migrate()).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.call("ready", self.store.ready()).await
    }

    async fn maintenance(&self) -> Result<bool, StoreError> {
        self.call("maintenance", self.store.maintenance()).await
    }

    async fn set_maintenance(&self, on: bool) -> Result<(), StoreError> {
        self.call("set_maintenance", self.store.set_maintenance(on)).await
    }

    async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError> {
        self.call("export", self.store.export(sink)).await
    }

    async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError> {
        self.call("import", self.store.import(source)).await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.call("check", self.store.check()).await
    }
}
