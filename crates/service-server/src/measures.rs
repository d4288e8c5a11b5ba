//! Metrics, as Prometheus reads them.

use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use service_http::instruments::{self, Kind, STORE_CONNECTIONS, STORE_CONNECTIONS_MAX};

use crate::failure::Failure;
use crate::open::Store;

/// How often what histograms have gathered is counted.
const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to record metrics, and gives what writes them down: those of the program, and how busy the connections are of these stores,
/// each with the name of its cluster.
///
/// # Errors
/// When something else records them.
pub(crate) fn record(stores: Vec<(String, Store)>) -> Result<Arc<dyn Fn() -> String + Send + Sync>, Failure> {
    let failed = |error| Failure::failed("cannot record metrics", &error);
    let mut builder = PrometheusBuilder::new();
    for instrument in instruments::ALL {
        // Without bounds it would give quantiles, which cannot be summed over servers.
        if let Kind::Histogram(bounds) = instrument.kind {
            let name = Matcher::Full(instrument.name.to_owned());
            builder = builder.set_buckets_for_metric(name, bounds).map_err(failed)?;
        }
    }
    let metrics = builder.install_recorder().map_err(failed)?;
    instruments::describe();
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(Arc::new(move || {
        for (cluster, store) in &stores {
            sample(cluster, store);
        }
        metrics.render()
    }))
}

/// Records how busy the connections of a store are now.
fn sample(cluster: &str, store: &Store) {
    for pool in store.pool_use() {
        let labels = [
            ("store", store.kind().to_owned()),
            ("cluster", cluster.to_owned()),
            ("pool", pool.pool.to_owned()),
        ];
        gauge!(STORE_CONNECTIONS_MAX.name, &labels).set(pool.most);
        let [store, cluster, name] = labels;
        for (state, number) in [("in_use", pool.in_use), ("idle", pool.idle)] {
            let labels = [store.clone(), cluster.clone(), name.clone(), ("state", state.to_owned())];
            gauge!(STORE_CONNECTIONS.name, &labels).set(number);
        }
    }
}
