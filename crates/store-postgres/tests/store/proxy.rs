//! What stands between a store and its server, hears what the store says, and cuts the connection where it hurts.

use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use test_postgres::Database;
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of a `COMMIT` that passes, or of the end of a statement that writes and commits by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It passes.
    Open,
    /// It waits until that changes.
    Closed,
    /// The connection is cut before the server hears it.
    CutBefore,
    /// The connection is cut after the server has answered, and the answer is lost.
    CutAfter,
}

const COMMIT: &str = "COMMIT";
/// Asks a server to send what it has to say so far.
const FLUSH: [u8; 5] = [b'H', 0, 0, 0, 4];
/// What [`Proxy::heard`] calls a statement that writes services.
pub(crate) const WRITE: &str = "write";

/// A way to a server, by TCP and without TLS.
pub(crate) struct Proxy {
    url: String,
    gate: watch::Sender<Gate>,
    heard: Arc<Mutex<Vec<String>>>,
    listening: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(database: &Database) -> Self {
        Self::start(database, false).await
    }

    /// The same as a pooler that does not pass on what a session is to be told when it begins.
    pub(crate) async fn without_options_before(database: &Database) -> Self {
        Self::start(database, true).await
    }

    async fn start(database: &Database, drops_options: bool) -> Self {
        let server = PgConnectOptions::from_str(database.url()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = server.clone().host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable);
        let gate = watch::Sender::new(Gate::Open);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (gates, hearing) = (gate.clone(), Arc::clone(&heard));
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((server.get_host(), server.get_port())).await.unwrap();
                let (gate, heard) = (gates.subscribe(), Arc::clone(&hearing));
                let way = Way { client, server, gate, heard, drops_options };
                // A connection that either side closes is no failure.
                tokio::spawn(async move { drop(way.run().await) });
            }
        });
        Self { url: options.to_url_lossy().to_string(), gate, heard, listening }
    }

    /// The address of the database by way of this.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn set(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }

    /// Waits until a commit was heard since the last look at what was heard.
    pub(crate) async fn commit_heard(&self) {
        while !self.heard.lock().unwrap().iter().any(|text| text == COMMIT || text == WRITE) {
            tokio::task::yield_now().await;
        }
    }

    /// What the store has said since the last look, one text for each time it then waited for an answer: the statements that were
    /// sent as text, [`WRITE`] for one that was prepared before and writes services, and `…` for any other.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// One connection.
struct Way {
    client: TcpStream,
    server: TcpStream,
    gate: watch::Receiver<Gate>,
    heard: Arc<Mutex<Vec<String>>>,
    drops_options: bool,
}

impl Way {
    async fn run(self) -> io::Result<()> {
        let Self { mut client, mut server, mut gate, heard, drops_options } = self;
        // The first message alone has no kind.
        let length = client.read_u32().await?;
        let mut greeting = content(&mut client, length).await?;
        if drops_options {
            greeting = without_options(&greeting);
        }
        let length = greeting.len() as u32 + 4;
        server.write_all(&[&length.to_be_bytes()[..], &greeting].concat()).await?;
        let mut answer = [0; 8192];
        // The statement that was prepared last, the one that runs, and what writes.
        let (mut prepared, mut executed, mut writes) = (None, None, Vec::new());
        let mut begun = false;
        loop {
            let kind = tokio::select! {
                kind = client.read_u8() => kind?,
                length = server.read(&mut answer) => match length? {
                    0 => return Ok(()),
                    length => {
                        client.write_all(&answer[..length]).await?;
                        continue;
                    }
                },
            };
            let length = client.read_u32().await?;
            let content = content(&mut client, length).await?;
            let message = [&[kind][..], &length.to_be_bytes(), &content].concat();
            // The first text, and the one behind it: a statement, and the name it is prepared under before that.
            let mut texts =
                content.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
            let said = match kind {
                b'Q' => texts.next(),
                b'P' => {
                    let name = texts.next();
                    prepared = texts.next();
                    if prepared
                        .as_ref()
                        .is_some_and(|text| text.contains("INSERT INTO service_registry.history"))
                    {
                        writes.extend(name);
                    }
                    None
                }
                b'B' => {
                    let is_write = texts.nth(1).is_some_and(|name| writes.contains(&name));
                    executed = Some(if is_write { WRITE } else { "…" });
                    None
                }
                // One alone is how a pool tries a connection that was given back, which nobody waits for.
                b'S' => prepared.take().or_else(|| executed.take().map(str::to_owned)),
                _ => None,
            };
            let said_commit = said.as_deref() == Some(COMMIT);
            let is_commit = said_commit || said.as_deref() == Some(WRITE) && !begun;
            match said.as_deref() {
                Some(said) if said.starts_with("BEGIN") => begun = true,
                Some(COMMIT | "ROLLBACK") => begun = false,
                _ => {}
            }
            if is_commit && !said_commit {
                // The server is done with the statement, but for its commit, when it has sent what it was to say.
                server.write_all(&FLUSH).await?;
                let length = server.read(&mut answer).await?;
                client.write_all(&answer[..length]).await?;
            }
            heard.lock().unwrap().extend(said);
            if is_commit {
                let gate = *gate.wait_for(|gate| *gate != Gate::Closed).await.map_err(io::Error::other)?;
                if gate == Gate::CutBefore {
                    return Ok(());
                }
                if gate == Gate::CutAfter {
                    server.write_all(&message).await?;
                    server.shutdown().await?;
                    // The server ends the session when it is done.
                    server.read_to_end(&mut Vec::new()).await?;
                    return Ok(());
                }
            }
            server.write_all(&message).await?;
        }
    }
}

/// A greeting, which is a version and then names and values, without the options.
fn without_options(greeting: &[u8]) -> Vec<u8> {
    let (version, rest) = greeting.split_at(4);
    let texts: Vec<&[u8]> = rest.split(|byte| *byte == 0).collect();
    let pairs = texts.chunks(2).filter(|pair| pair[0] != b"options" && !pair[0].is_empty());
    let kept: Vec<&[u8]> = pairs.flatten().copied().chain([&b""[..]]).collect();
    [version, &kept.join(&0)[..], &[0]].concat()
}

/// What follows the length of a message, which counts itself.
async fn content(client: &mut TcpStream, length: u32) -> io::Result<Vec<u8>> {
    let mut content = vec![0; length as usize - 4];
    client.read_exact(&mut content).await?;
    Ok(content)
}
