//! Gathers what is known of an event: its own fields, and those of the spans around it.

use std::fmt;
use std::sync::mpsc::SyncSender;

use serde_json::Value;
use service_core::{Environment as _, Timestamp};
use system_environment::SystemEnvironment;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::form::Form;

/// What an event says in words.
const MESSAGE: &str = "message";
/// Where what is logged through the `log` facade says what it is of.
const LOG_TARGET: &str = "log.target";
/// Fields that say how something looks elsewhere: the rest of what the `log` facade says, and what is meant for OpenTelemetry.
const ELSEWHERE: [&str; 2] = ["log.", "otel."];

/// One line, before it has a form. Of fields of one name there is one: an event's own, or else that of the innermost span.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) time: Timestamp,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) message: Option<&'a str>,
    pub(super) fields: Vec<(&'static str, &'a Value)>,
}

/// Turns events into lines.
#[derive(Debug)]
pub(super) struct Events {
    form: Form,
    lines: SyncSender<Vec<u8>>,
}

impl Events {
    pub(super) fn new(form: Form, lines: SyncSender<Vec<u8>>) -> Self {
        Self { form, lines }
    }
}

impl<S> Layer<S> for Events
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let spans: Vec<_> = context.event_scope(event).into_iter().flatten().collect();
        let known: Vec<_> = spans.iter().map(|span| span.extensions()).collect();
        let around = known.iter().filter_map(|extensions| extensions.get::<Fields>());

        let mut fields: Vec<(&'static str, &Value)> = Vec::new();
        for (name, value) in std::iter::once(&own).chain(around).flat_map(|fields| &fields.0) {
            let is_shown = *name != MESSAGE && !ELSEWHERE.iter().any(|prefix| name.starts_with(prefix));
            if is_shown && !fields.iter().any(|(known, _)| known == name) {
                fields.push((name, value));
            }
        }
        let line = self.form.line(&Line {
            time: SystemEnvironment.now(),
            level: *event.metadata().level(),
            target: own.text(LOG_TARGET).unwrap_or(event.metadata().target()),
            message: own.text(MESSAGE),
            fields,
        });
        // A reader that is too slow loses lines.
        let _ = self.lines.try_send(line);
    }
}

/// The fields of a span or an event, in the order in which they became known.
#[derive(Debug, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, known)) => *known = value,
            None => self.0.push((field.name(), value)),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name)?.1.as_str()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }
}
