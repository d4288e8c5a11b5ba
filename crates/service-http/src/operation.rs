//! One operation of the API, from admission to its answer: its span, and how often it was decided again.

use std::cell::Cell;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::error::ErrorCode;
use crate::instruments::DECIDE_AGAIN;
use crate::observe::Journal;
use crate::rate_limit::Endpoint;
use crate::watch::Watch;

tokio::task_local! {
    /// How often the operation under way was decided again.
    static ROUNDS: Cell<u32>;
}

/// A commit of the operation under way was stale, which is why the registry decides again. [`Observed`](crate::Observed) says so: it
/// sees what every commit comes to, and the registry, which does no I/O, needs to tell nobody.
pub(crate) fn decides_again() {
    // Commits of others than the routes are nobody's rounds.
    let _ = ROUNDS.try_with(|rounds| rounds.set(rounds.get().saturating_add(1)));
}

/// Goes around the handler of an endpoint.
pub(crate) async fn operate(State(endpoint): State<Endpoint>, request: Request, next: Next) -> Response {
    let operation = endpoint.name();
    let span = tracing::info_span!(
        "operation",
        otel.name = operation,
        operation,
        organization = Empty,
        rounds = Empty,
        outcome = Empty,
        microseconds = Empty,
    );
    Journal::of(request.extensions()).note_operation(operation);
    let mut watch = Watch::over(span.clone());
    let answer = async {
        let answer = next.run(request).await;
        (answer, ROUNDS.with(Cell::get))
    };
    let (answer, rounds) = ROUNDS.scope(Cell::new(0), answer.instrument(span)).await;
    watch.ended(answer.extensions().get::<ErrorCode>().map_or("ok", |code| code.0));
    if endpoint.is_write() {
        watch.span().record("rounds", rounds);
        metrics::histogram!(DECIDE_AGAIN.name, "operation" => operation).record(f64::from(rounds));
    }
    answer
}
