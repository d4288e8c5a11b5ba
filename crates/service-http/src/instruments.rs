//! What is measured: every metric that the routes, the stores behind them and the server record, in one list.
//!
//! They are recorded through the [`metrics`] facade, by whichever recorder the program has. Whoever installs one calls
//! [`describe`], and gives each histogram its own bounds. Labels take few values: routes, operations and calls of this program, names
//! of clusters that somebody configured; never what a client may choose.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// A metric.
#[derive(Debug)]
pub struct Instrument {
    /// Its name.
    pub name: &'static str,
    /// What kind of numbers it gives.
    pub kind: Kind,
    /// What they count.
    pub unit: Unit,
    /// What it tells, in a sentence without an end.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

/// What kind of numbers a metric gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// One that only grows.
    Counter,
    /// One that goes up and down.
    Gauge,
    /// How many were at most as large as each of these bounds.
    Histogram(&'static [f64]),
}

/// From half a millisecond, less than any answer of a database on a disk takes, to the thirty seconds after which a request is given up.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// The last is one less than the number of rounds after which a write is given up.
const ROUNDS: &[f64] = &[0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 31.0];

/// Answers.
pub static REQUESTS: Instrument = Instrument {
    name: "service_registry_requests_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Requests answered",
    labels: &["method", "route", "status"],
};
/// How long answers took.
pub static REQUEST_DURATION: Instrument = Instrument {
    name: "service_registry_request_duration_seconds",
    kind: Kind::Histogram(SECONDS),
    unit: Unit::Seconds,
    help: "Seconds from the head of a request to its answer, waiting for a slot included",
    labels: &["method", "route"],
};
/// Answers with an error code.
pub static REFUSALS: Instrument = Instrument {
    name: "service_registry_refusals_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Answers that are no success, by their error code; of /readyz none",
    labels: &["error_code"],
};
/// Answers 429.
pub static RATE_LIMITED: Instrument = Instrument {
    name: "service_registry_rate_limited_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Requests answered 429 because their user made too many",
    labels: &["endpoint"],
};
/// Answers 503 that nobody worked on.
pub static SHED: Instrument = Instrument {
    name: "service_registry_shed_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Requests answered 503 without being worked on, because there were too many at once",
    labels: &["reason"],
};
/// Requests that wait for a slot.
pub static WAITING: Instrument = Instrument {
    name: "service_registry_requests_waiting",
    kind: Kind::Gauge,
    unit: Unit::Count,
    help: "Requests that wait to be worked on",
    labels: &[],
};
/// Requests that are worked on.
pub static IN_FLIGHT: Instrument = Instrument {
    name: "service_registry_requests_in_flight",
    kind: Kind::Gauge,
    unit: Unit::Count,
    help: "Requests that are worked on",
    labels: &[],
};
/// How often writes were decided again.
pub static DECIDE_AGAIN: Instrument = Instrument {
    name: "service_registry_decide_again_rounds",
    kind: Kind::Histogram(ROUNDS),
    unit: Unit::Count,
    help: "How often a write was decided again because another was faster; more than 31: it was given up",
    labels: &["operation"],
};
/// How long stores took.
pub static STORE_DURATION: Instrument = Instrument {
    name: "service_registry_store_duration_seconds",
    kind: Kind::Histogram(SECONDS),
    unit: Unit::Seconds,
    help: "Seconds that a store took for a call",
    labels: &["store", "cluster", "call"],
};
/// Calls that stores failed.
pub static STORE_FAILURES: Instrument = Instrument {
    name: "service_registry_store_failures_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Calls that a store did not answer, by what the failure means; abandoned: nobody waited any longer",
    labels: &["store", "cluster", "call", "outcome"],
};
/// Connections of a store.
pub static STORE_CONNECTIONS: Instrument = Instrument {
    name: "service_registry_store_connections",
    kind: Kind::Gauge,
    unit: Unit::Count,
    help: "Connections that a pool of a store has open, by what they do",
    labels: &["store", "cluster", "pool", "state"],
};
/// How many connections there may be.
pub static STORE_CONNECTIONS_MAX: Instrument = Instrument {
    name: "service_registry_store_connections_max",
    kind: Kind::Gauge,
    unit: Unit::Count,
    help: "How many connections a pool of a store opens at most",
    labels: &["store", "cluster", "pool"],
};

/// All of them. The last two are for the server to set, which knows the stores' pools; the routes, and [`Observed`](crate::Observed),
/// record the others.
pub static ALL: [&Instrument; 12] = [
    &REQUESTS,
    &REQUEST_DURATION,
    &REFUSALS,
    &RATE_LIMITED,
    &SHED,
    &WAITING,
    &IN_FLIGHT,
    &DECIDE_AGAIN,
    &STORE_DURATION,
    &STORE_FAILURES,
    &STORE_CONNECTIONS,
    &STORE_CONNECTIONS_MAX,
];

/// Tells the recorder that the program has installed what each metric means.
pub fn describe() {
    for Instrument { name, kind, unit, help, .. } in ALL {
        match kind {
            Kind::Counter => describe_counter!(*name, *unit, *help),
            Kind::Gauge => describe_gauge!(*name, *unit, *help),
            Kind::Histogram(_) => describe_histogram!(*name, *unit, *help),
        }
    }
}
