//! How long something takes, and what comes of it, whatever that is.

use std::time::{Duration, Instant};

use tracing::Span;

/// Nobody waited for the end: the client went, or the time for the request was over.
const ABANDONED: &str = "abandoned";
const PANICKED: &str = "panicked";

/// Watches over something that takes time. When it is dropped, a span with the fields `outcome` and `microseconds` is told both.
#[derive(Debug)]
pub(crate) struct Watch {
    span: Span,
    begun: Instant,
    outcome: Option<&'static str>,
}

impl Watch {
    pub(crate) fn over(span: Span) -> Self {
        Self { span, begun: Instant::now(), outcome: None }
    }

    /// It has come to an end. If nobody says so, it has not.
    pub(crate) fn ended(&mut self, outcome: &'static str) {
        self.outcome = Some(outcome);
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn outcome(&self) -> &'static str {
        let unsaid = if std::thread::panicking() { PANICKED } else { ABANDONED };
        self.outcome.unwrap_or(unsaid)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.span.record("outcome", self.outcome());
        self.span.record("microseconds", microseconds(self.elapsed()));
    }
}

pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
