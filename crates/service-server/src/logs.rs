//! Logs: one line each, as JSON or for a reader, on standard error.

mod event;
mod form;
mod lines;
mod panics;

use std::io::IsTerminal as _;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use tracing::Level;
use tracing_subscriber::filter::{FilterExt as _, FilterFn, LevelFilter, ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::failure::Failure;
#[cfg(feature = "otel")]
use crate::otel::{self, Traces};

use self::event::Events;
use self::form::Form;
use self::lines::Lines;
use self::panics::log_panics;

/// What begins the names of this program's own crates.
const OWN: [&str; 2] = ["service_", "store_"];

/// What to log, and how.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// What to log, as in `info` or `warn,service_http=debug`
    #[arg(long, env = "SERVICE_LOG", value_name = "FILTER", global = true, display_order = 100)]
    log: Option<LogFilter>,
    /// How lines look: as JSON, or for a reader
    #[arg(
        long,
        env = "SERVICE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "json",
        global = true,
        display_order = 101
    )]
    log_format: LogFormat,
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// An object of JSON.
    Json,
    /// Time, level, what happened, and what is known of it; in colours on a terminal.
    Human,
}

/// What to log: a text that is a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned()))
    }
}

/// Begins to log, by default what passes this filter; and to export traces, where that was built in and is asked for. Lines are held
/// back until [`Logs::let_through`].
///
/// # Errors
/// When the operating system does not let it, or traces cannot go where they are to.
pub(crate) fn start(log: &Log, default: &str) -> Result<Logs, Failure> {
    let filter = EnvFilter::try_new(log.log.as_ref().map_or(default, |LogFilter(filter)| filter))
        .map_err(|error| Failure::failed("cannot filter logs", &error))?;
    let form = match log.log_format {
        LogFormat::Json => Form::Json,
        LogFormat::Human => Form::Human { coloured: wants_colours() },
    };
    let lines = Lines::start()?;
    let events = Events::new(form, lines.sender());
    // Whatever is logged of a request says which, so our spans are there even where little is logged.
    let is_silent = filter.max_level_hint() == Some(LevelFilter::OFF);
    let events = if is_silent {
        events.with_filter(filter).boxed()
    } else {
        events.with_filter(filter.or(own_spans())).boxed()
    };
    let subscriber = tracing_subscriber::registry().with(events);
    #[cfg(feature = "otel")]
    let (subscriber, traces) = {
        let (layer, traces) = otel::start()?.unzip();
        (subscriber.with(layer), traces)
    };
    subscriber.try_init().map_err(|error| Failure::failed("cannot start logging", &error))?;
    log_panics();
    Ok(Logs {
        #[cfg(feature = "otel")]
        _traces: traces,
        lines,
    })
}

/// The spans of this program's own crates.
pub(crate) fn own_spans() -> FilterFn {
    filter_fn(|metadata| {
        metadata.is_span()
            && *metadata.level() <= Level::INFO
            && OWN.iter().any(|own| metadata.target().starts_with(own))
    })
}

/// Whether whoever reads standard error sees colours, and has not said otherwise.
fn wants_colours() -> bool {
    let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !declined
}

/// The logs of the program, and its traces. Dropping it waits, for a while, until what there is has been written and sent.
#[derive(Debug)]
pub(crate) struct Logs {
    /// Dropped first: that they cannot be sent is logged.
    #[cfg(feature = "otel")]
    _traces: Option<Traces>,
    lines: Lines,
}

impl Logs {
    /// Writes the lines that were held back, and from now on each at once.
    pub(crate) fn let_through(&self) {
        self.lines.let_through();
    }
}
