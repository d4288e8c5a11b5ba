//! Logs: JSON, one line each, on standard error.

use std::io::{self, Write};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::failure::Failure;
use crate::panics::log_panics;

/// How many lines wait for a slow reader before further ones are dropped.
const WAITING_LINES: usize = 4096;

/// How long lines are held back at most, so that what the program itself says at its start comes before them.
const HOLD_TIME: Duration = Duration::from_secs(5);

/// How long the end of the program waits for lines to be written.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// What to log: a text that is a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned()))
    }
}

/// Begins to log what passes a filter. Lines are held back until [`Logs::let_through`].
///
/// # Errors
/// When the operating system does not let it.
pub(crate) fn start(filter: Option<&LogFilter>, default: &str) -> Result<Logs, Failure> {
    let filter = EnvFilter::try_new(filter.map_or(default, |LogFilter(filter)| filter))
        .map_err(|error| Failure::failed("cannot filter logs", &error))?;
    let (lines, waiting) = sync_channel(WAITING_LINES);
    let (gate, opened) = sync_channel(1);
    let (done, flushed) = sync_channel(1);
    let writer = thread::Builder::new().name("logs".into()).spawn(move || {
        let _: Result<(), RecvTimeoutError> = opened.recv_timeout(HOLD_TIME);
        write_all(&waiting);
        let _ = done.send(());
    });
    writer.map_err(|error| Failure::failed("cannot start a thread for logs", &error))?;
    let layer =
        fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(Lines(lines.clone()));
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .map_err(|error| Failure::failed("cannot start logging", &error))?;
    log_panics();
    Ok(Logs { lines, gate, flushed })
}

/// The logs of the program. Dropping it waits, for a while, until what was logged has been written.
#[derive(Debug)]
pub(crate) struct Logs {
    lines: SyncSender<Vec<u8>>,
    gate: SyncSender<()>,
    flushed: Receiver<()>,
}

impl Logs {
    /// Writes the lines that were held back, and from now on each at once.
    pub(crate) fn let_through(&self) {
        let _ = self.gate.try_send(());
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.let_through();
        // An empty line is the end: the subscriber is global and keeps its sender for ever. If no place is free for it,
        // nobody reads, and nobody waits.
        if self.lines.try_send(Vec::new()).is_ok() {
            let _: Result<(), RecvTimeoutError> = self.flushed.recv_timeout(FLUSH_TIME);
        }
    }
}

/// Writes lines until an empty one comes. Requests never wait for whoever reads the logs; this thread does.
fn write_all(waiting: &Receiver<Vec<u8>>) {
    while let Ok(line) = waiting.recv() {
        if line.is_empty() {
            break;
        }
        let _ = io::stderr().lock().write_all(&line);
    }
}

#[derive(Debug, Clone)]
struct Lines(SyncSender<Vec<u8>>);

impl MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line { text: Vec::new(), lines: self.0.clone() }
    }
}

/// One line, handed over when it is complete.
#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    lines: SyncSender<Vec<u8>>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            let _ = self.lines.try_send(std::mem::take(&mut self.text));
        }
    }
}
