//! Traces for a collector of OpenTelemetry, where the environment names one: spans from a request to the store, and the statements that
//! the store ran as events within.
//!
//! The variables are those of the OpenTelemetry specification. Spans go out in the background, in batches; a collector that is slow or
//! away loses spans, and holds nobody up.

use std::env;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use opentelemetry::context::FutureExt as _;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::failure::Failure;
use crate::logs::own_spans;

/// Where the collector is. The second is the address for traces alone, and counts before the first.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// What tells collectors which program it is.
const NAMES: [&str; 2] = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
/// Which program it is where nobody says.
const NAME: &str = "service-registry";
/// How long the end of the program waits for spans to be sent.
const FLUSH_TIME: Duration = Duration::from_secs(3);

/// Traces on their way to a collector. Dropping it waits, for a while, until they have been sent.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

/// What exports spans, and what sees to it that they all go out; `None` if the environment names no collector.
///
/// # Errors
/// When the environment names one that cannot be spoken to.
pub(crate) fn start<S>() -> Result<Option<(impl Layer<S>, Traces)>, Failure>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let endpoints: Vec<_> = ENDPOINTS.into_iter().filter_map(|name| Some((name, given(name)?))).collect();
    if endpoints.is_empty() {
        return Ok(None);
    }
    for (name, endpoint) in endpoints {
        if !endpoint.starts_with("http://") {
            return Err(Failure::configuration(format!(
                "{name} must begin with `http://`: spans are sent to a collector nearby, which sends them on"
            )));
        }
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .build()
        .map_err(|error| Failure::failed("cannot export traces", &error))?;
    let mut resource = Resource::builder();
    if NAMES.iter().all(|name| given(name).is_none()) {
        resource = resource.with_service_name(NAME);
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(NAME))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        // Statements, and whatever goes wrong; not what the export itself has to say.
        .with_filter(own_spans().or(filter_fn(|metadata| {
            metadata.is_event()
                && ["sqlx", "service_", "store_"].iter().any(|own| metadata.target().starts_with(own))
        })));
    Ok(Some((layer, Traces(provider))))
}

fn given(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH_TIME) {
            tracing::warn!(error = %error, "some traces were not exported");
        }
    }
}

/// Has requests that say which trace they belong to (the W3C's `traceparent`) continue it.
pub(crate) fn continuing(router: Router) -> Router {
    router.layer(from_fn(async |request: Request, next: Next| -> Response {
        let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
        next.run(request).with_context(parent).await
    }))
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
