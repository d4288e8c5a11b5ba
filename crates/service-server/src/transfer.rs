//! `export` and `import`: a whole store as lines of JSON.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use service_core::{
    ArchiveSink, ArchiveSource, ArchiveSummary, ArchiveWriter, ExportError, ImportError, ImportRefusal, Llms,
};
use tempfile::TempPath;

use crate::commands::print;
use crate::failure::Failure;
use crate::open::{self, Store};
use crate::shutdown::Shutdown;
use crate::store_url::StoreUrl;

/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;
/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// Runs `export`.
///
/// # Errors
/// Why the store could not be exported.
pub(crate) async fn export(url: &StoreUrl) -> Result<(), Failure> {
    open::check_lasting(url)?;
    let store = Store::open_current(url).await?;
    let mut output = Output { progress: Progress::new("exported"), lines: 0 };
    let exported = store.operations.export(&mut output).await;
    store.close().await;
    output.progress.end();
    match exported {
        Ok(_) => Ok(()),
        Err(ExportError::Sink(error)) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::OutputClosed),
        Err(ExportError::Sink(error)) => Err(Failure::failed("cannot write the archive", &error)),
        Err(ExportError::Store(error)) => Err(Failure::failed(&format!("cannot export `{url}`"), &error)),
    }
}

/// Runs `import`.
///
/// # Errors
/// Why the archive was not imported; then the store is as empty as it was, and no file if it was none.
pub(crate) async fn import(file: &Path, url: &StoreUrl) -> Result<(), Failure> {
    open::check_lasting(url)?;
    let mut shutdown = Shutdown::watch()?;
    let mut input = Input::open(file)?;
    let imported = tokio::select! {
        imported = into(url, &mut input) => imported,
        // What was begun is dropped with the future: a transaction is rolled back, a file of ours goes.
        () = shutdown.requested() => Err(Failure::Failed("interrupted: nothing was imported".to_owned())),
    };
    input.progress.end();
    match imported? {
        Ok(ArchiveSummary { organizations, revisions, .. }) => print(format_args!(
            "imported {} and {} of history\n",
            Count(organizations, "organization"),
            Count(revisions, "row")
        )),
        Err(ImportError::Refused(refusal @ ImportRefusal::NotEmpty)) => {
            Err(Failure::Failed(format!("cannot import into `{url}`: {refusal}")))
        }
        Err(ImportError::Refused(refusal)) => {
            Err(Failure::Failed(format!("`{}` is refused: {refusal}", file.display())))
        }
        Err(ImportError::Source(error)) => Err(Failure::failed(&unreadable(file), &error)),
        Err(ImportError::Store(error)) => {
            Err(Failure::failed(&format!("cannot import into `{url}`"), &error))
        }
    }
}

type Imported = Result<ArchiveSummary, ImportError>;

async fn into(url: &StoreUrl, input: &mut Input) -> Result<Imported, Failure> {
    match url {
        StoreUrl::Sqlite(path) if !path.exists() => new_file(path, input).await,
        _ => into_store(Store::open_current_or_new(url).await?, input).await,
    }
}

async fn into_store(store: Store, input: &mut Input) -> Result<Imported, Failure> {
    let imported = store.operations.import(input).await;
    store.close().await;
    Ok(imported)
}

/// Imports into a file that is not there yet: one in a directory beside it, which takes its place when it is complete. If another
/// program has made a file there meanwhile, that one stays.
async fn new_file(path: &Path, input: &mut Input) -> Result<Imported, Failure> {
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let cannot = |error: io::Error| Failure::failed(&format!("cannot create `{}`", path.display()), &error);
    // Only its owner may look into the directory: the file in it gets the mode of any new file.
    let directory = tempfile::Builder::new().prefix(".import-").tempdir_in(parent).map_err(cannot)?;
    let beside = directory.path().join("registry.sqlite");
    let imported = into_store(Store::open_migrated(&StoreUrl::Sqlite(beside.clone())).await?, input).await?;
    if imported.is_ok() {
        let complete = TempPath::try_from_path(beside).map_err(cannot)?;
        complete.persist_noclobber(path).map_err(|fault| cannot(fault.error))?;
        // The name, too, is to survive a power cut.
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(cannot)?;
    }
    directory.close().map_err(cannot)?;
    Ok(imported)
}

/// Whether a store holds nothing: then, and only then, it takes an archive that has nothing in it.
///
/// # Errors
/// When the store fails.
pub(crate) async fn is_empty(store: &Store) -> Result<bool, Failure> {
    let mut nothing = Vec::new();
    let written = match ArchiveWriter::begin(&mut nothing, &Llms::new()).await {
        Ok(writer) => writer.finish().await.map(|_| ()),
        Err(error) => Err(error),
    };
    written.map_err(|error| Failure::failed("cannot write an archive", &error))?;
    match store.operations.import(&mut nothing.as_slice()).await {
        Ok(_) => Ok(true),
        Err(ImportError::Refused(ImportRefusal::NotEmpty)) => Ok(false),
        Err(error) => Err(Failure::failed("cannot ask the store", &error)),
    }
}

fn unreadable(file: &Path) -> String {
    format!("cannot read `{}`", file.display())
}

/// Standard output.
struct Output {
    progress: Progress,
    lines: u64,
}

#[async_trait]
impl ArchiveSink for Output {
    async fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.lines += lines.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        let mut output = io::stdout().lock();
        output.write_all(lines).and_then(|()| output.flush())?;
        self.progress.show(&Count(self.lines, "line"));
        Ok(())
    }
}

/// A file, or standard input.
struct Input {
    /// Lent to whoever reads.
    from: Option<Box<dyn Read + Send>>,
    /// How many bytes there are, if that is known.
    length: Option<u64>,
    read: u64,
    progress: Progress,
}

impl Input {
    fn open(file: &Path) -> Result<Self, Failure> {
        let progress = Progress::new("imported");
        if file == Path::new("-") {
            return Ok(Self { from: Some(Box::new(io::stdin())), length: None, read: 0, progress });
        }
        let opened = File::open(file).and_then(|opened| Ok((opened.metadata()?, opened)));
        let (metadata, opened) =
            opened.map_err(|error| Failure::Configuration(format!("{}: {error}", unreadable(file))))?;
        let length = Some(metadata.len()).filter(|_| metadata.is_file());
        Ok(Self { from: Some(Box::new(opened)), length, read: 0, progress })
    }
}

#[async_trait]
impl ArchiveSource for Input {
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut from = self.from.take().ok_or_else(|| io::Error::other("a read was given up"))?;
        // Standard input may have nothing to say for long: whoever waits must still hear a signal.
        let reading = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK];
            let read = loop {
                match from.read(&mut chunk) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    read => break read,
                }
            };
            (from, chunk, read)
        });
        let (from, mut chunk, read) = reading.await.map_err(io::Error::other)?;
        self.from = Some(from);
        chunk.truncate(read?);
        self.read = self.read.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        match self.length {
            Some(all) => self.progress.show(&Share(self.read, all)),
            None => self.progress.show(&Count(self.read, "byte")),
        }
        Ok(chunk)
    }
}

/// A number of things.
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, of) = self;
        write!(formatter, "{number} {of}{}", if *number == 1 { "" } else { "s" })
    }
}

/// A part of all, in percent.
struct Share(u64, u64);

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = u128::from(self.0) * 100 / u128::from(self.1.max(1));
        write!(formatter, "{percent} %")
    }
}

/// How far it has come, on standard error, if someone is there to see it.
struct Progress {
    what: &'static str,
    is_seen: bool,
    shown: Option<Instant>,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        Self { what, is_seen: io::stderr().is_terminal(), shown: None }
    }

    fn show(&mut self, far: &dyn fmt::Display) {
        if !self.is_seen || self.shown.is_some_and(|shown| shown.elapsed() < TICK) {
            return;
        }
        self.shown = Some(Instant::now());
        // Back to the start of the line, which what is written next goes over.
        let _ = write!(io::stderr().lock(), "\r{} {far}\u{1b}[K", self.what);
    }

    /// Leaves the line as if nothing had been on it.
    fn end(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
