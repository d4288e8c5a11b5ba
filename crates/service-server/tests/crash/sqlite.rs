//! What can happen to a file while a server works on it, and before it starts.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use reqwest::Method;
use reqwest::header::RETRY_AFTER;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::watch::Receiver;

use crate::clients::{Clients, Ending, Seen, Written, shows_nothing_inside, until};
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::process::{PATIENCE, Place, SECRET, Server, body, command, run};
use crate::world::{Target, export, history, is_sound, prepare, serve};

/// A command of ours by way of another program.
fn by(wrapper: &[&str], arguments: &[&str]) -> Command {
    let ours = command(arguments);
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(ours.get_program()).args(ours.get_args());
    for (name, _) in ours.get_envs() {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A server by way of another program.
fn serve_by(wrapper: &[&str], store: &str) -> Server {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--store", store, "--rate-limits", "off"];
    Server::spawn(by(wrapper, &arguments).env("SERVICE_JWT_SECRET", SECRET))
}

/// Has the system tell a program that its file has become too large instead of ending it.
const TOLD_OF_LIMITS: [&str; 4] = ["/bin/sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];

/// What keeps root to the permissions of files, as everybody else is.
fn bound_by_permissions() -> Vec<&'static str> {
    let id = run(Command::new("id").arg("-u").stdin(Stdio::null()).stdout(Stdio::piped())).succeeded();
    if id.trim() == "0" {
        vec!["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    } else {
        vec!["env"]
    }
}

/// Waits until the log of a server says something.
#[track_caller]
fn logged(server: &Server, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let line = server.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        if line.unwrap_or_else(|_| panic!("the log does not say `{words}`")).contains(words) {
            return;
        }
    }
}

/// The status of a request, and what else an answer may have told.
async fn status(target: &Target, method: Method, path: &str, body: Option<serde_json::Value>) -> u16 {
    let request = target.request(method, path);
    let request = body.iter().fold(request, |request, body| request.json(body));
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    assert_eq!(status == 503, answer.headers().contains_key(RETRY_AFTER));
    if status >= 500 {
        shows_nothing_inside(&answer.text().await.expect("text"));
    }
    status
}

async fn creates(target: &Target, name: &str) -> u16 {
    status(target, Method::POST, "", Some(body(name))).await
}

async fn lists(target: &Target) -> u16 {
    status(target, Method::GET, "?limit=20", None).await
}

/// Lets clients write: some of it before something breaks, some while it is broken, and some when that is over.
async fn write_through(
    store: &str,
    server: Server,
    seed: &mut Dice,
    break_it: impl AsyncFnOnce(&Server),
    mend_it: impl AsyncFnOnce(&Server),
) -> (Written, Server) {
    let target = Target::of(&server);
    let (mut clients, mut ledger) = (Clients::new(seed), Ledger::default());
    let breaking = async |mut seeing: Receiver<Seen>| {
        until(&mut seeing, |seen| seen.acknowledged >= 40).await;
        break_it(&server).await;
        let broken = *seeing.borrow_and_update();
        until(&mut seeing, |seen| seen.refused >= broken.refused + 30).await;
        assert_eq!(server.get("/healthz").await.status(), 200);
        mend_it(&server).await;
        let mended = *seeing.borrow_and_update();
        until(&mut seeing, |seen| seen.acknowledged >= mended.acknowledged + 20).await;
    };
    let (mut written, ()) = clients.write_until(&target, Ending::WhenTold, breaking).await;
    println!("{:?}", written.answers);
    ledger.add(std::mem::take(&mut written.attempts));
    ledger.compare_with(&target, store).await;
    let unknown = written.answers.count(503, "unknown");
    assert_eq!(ledger.numbers().1, unknown, "the server is there: what is not known is said to be");
    // What was in doubt stays as it is, also for a server that reads the log anew.
    server.signal("KILL");
    let again = serve(store);
    ledger.compare_with(&Target::of(&again), store).await;
    again.stop();
    is_sound(store);
    (written, server)
}

/// A process that closes a file gives up all locks that it holds on it: whoever has it open twice must not close it once.
#[tokio::test]
async fn a_file_under_two_names_keeps_what_was_acknowledged() {
    let place = Place::new();
    let store = place.store();
    prepare(&place, &store);
    let west = format!("west={store}");
    let server = Server::start(&["--store", &store, "--cluster", &west, "--rate-limits", "off"]);
    // Whoever closes a file last puts its log away. Beside a server, a command is not the last.
    is_sound(&store);
    assert_eq!(creates(&Target::of(&server), "Kept").await, 201);
    is_sound(&store);
    server.signal("KILL");
    assert!(export(&store).contains("\"Kept\""));
}

/// What keeps a file from growing.
enum Room {
    /// A file system of a few megabytes.
    Disk(PathBuf),
    /// A limit that the system sets the server.
    Limit,
}

impl Room {
    /// A small disk, if this machine lets us have one.
    fn disk(place: &Place) -> Self {
        let directory = place.directory.path().join("disk");
        fs::create_dir(&directory).expect("a directory");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&directory).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            Self::Disk(directory)
        } else {
            println!("this machine mounts nothing for us: the file is limited instead");
            Self::Limit
        }
    }

    fn store(&self, place: &Place) -> PathBuf {
        match self {
            Self::Disk(directory) => directory.join("registry.sqlite"),
            Self::Limit => place.path("registry.sqlite").into(),
        }
    }

    fn take(&self, server: &Server, path: &Path) {
        match self {
            Self::Disk(directory) => {
                let mut ballast = File::create(directory.join("ballast")).expect("a file");
                while ballast.write_all(&[0; 512]).is_ok() {}
            }
            Self::Limit => {
                let log = fs::metadata(path.with_extension("sqlite-wal")).expect("a log").len();
                limit(server, &(log + 10_000).to_string());
            }
        }
    }

    fn give_back(&self, server: &Server) {
        match self {
            Self::Disk(directory) => fs::remove_file(directory.join("ballast")).expect("it is removed"),
            Self::Limit => limit(server, "unlimited"),
        }
    }
}

fn limit(server: &Server, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    run(Command::new("prlimit").args(["--pid", &server.id(), &limit]).stdin(Stdio::null())).succeeded();
}

impl Drop for Room {
    fn drop(&mut self) {
        let Self::Disk(directory) = self else { return };
        let unmounted = Command::new("umount").arg("--lazy").arg(&directory).status();
        if !unmounted.is_ok_and(|unmounted| unmounted.success()) {
            eprintln!("`{}` is still mounted", directory.display());
        }
    }
}

async fn run_out_of(room: Room, place: &Place, name: &str) {
    let mut seed = Dice::of_test(name);
    let path = room.store(place);
    let store = format!("sqlite:{}", path.display());
    prepare(place, &store);
    let server = serve_by(&TOLD_OF_LIMITS, &store);
    let broken = async |server: &Server| room.take(server, &path);
    let mended = async |server: &Server| room.give_back(server);
    let (written, server) = write_through(&store, server, &mut seed, broken, mended).await;
    let (failed, unknown) = (written.answers.count(500, ""), written.answers.count(503, "unknown"));
    assert!(failed + unknown > 0, "{written:?}");
    logged(&server, if matches!(room, Room::Limit) { "disk I/O error" } else { "database or disk is full" });
}

#[tokio::test]
async fn a_file_that_may_not_grow_loses_nothing_and_is_written_again_when_it_may() {
    run_out_of(Room::Limit, &Place::new(), "a limited file").await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_written_again_when_there_is_room() {
    let place = Place::new();
    run_out_of(Room::disk(&place), &place, "a full disk").await;
}

#[tokio::test]
async fn a_file_that_another_process_locks_is_read_and_writes_are_refused_until_it_lets_go() {
    let place = Place::new();
    let store = place.store();
    prepare(&place, &store);
    let server = serve(&store);
    let target = Target::of(&server);
    assert_eq!(creates(&target, "before").await, 201);
    let mut other = SqliteConnection::connect(&store).await.expect("the file opens");
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.expect("it is locked");
    let (first, second, reading) =
        tokio::join!(creates(&target, "first"), creates(&target, "second"), lists(&target));
    assert_eq!((first, second, reading), (503, 503, 200));
    logged(&server, "database is locked");
    let line = run(&mut command(&["maintenance", "on", "--store", &store])).failed(1);
    assert!(line.contains("database is locked"), "{line}");
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("it lets go");
    assert_eq!(creates(&target, "after").await, 201);
    assert_eq!(server.names().await, ["after", "before"]);
    other.close().await.expect("closed");
    server.stop();

    // One that shares the file with nobody.
    let mut other = SqliteConnection::connect(&store).await.expect("the file opens");
    sqlx::raw_sql("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT")
        .execute(&mut other)
        .await
        .expect("it is taken");
    let serving = ["serve", "--listen", "127.0.0.1:0", "--store", &store];
    let line = run(command(&serving).env("SERVICE_JWT_SECRET", SECRET).env("SERVICE_LOG", "off")).failed(1);
    assert!(line.contains("database is locked"), "{line}");
    other.close().await.expect("closed");
    is_sound(&store);
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_not_served() {
    let (place, bound) = (Place::new(), bound_by_permissions());
    let store = place.store();
    prepare(&place, &store);
    let before = export(&store);
    let mode = |path: &str, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    let serving = ["serve", "--listen", "127.0.0.1:0", "--store", &store];
    let attempt = |arguments: &[&str]| run(by(&bound, arguments).env("SERVICE_JWT_SECRET", SECRET)).failed(1);

    // SQLite writes files beside it.
    mode(&place.path(""), 0o555);
    let line = attempt(&serving);
    assert!(line.contains("cannot open") && line.contains("readonly database"), "{line}");
    let new = format!("sqlite:{}", place.path("new.sqlite"));
    let line = attempt(&["migrate", "--store", &new]);
    assert!(line.contains("unable to open database file"), "{line}");
    mode(&place.path(""), 0o755);

    mode(&place.path("registry.sqlite"), 0o444);
    for arguments in [serving.as_slice(), &["migrate", "--store", &store]] {
        let line = attempt(arguments);
        assert!(line.contains("cannot write to") && line.contains("Permission denied"), "{line}");
    }
    let line = attempt(&["maintenance", "on", "--store", &store]);
    assert!(line.contains("readonly database"), "{line}");
    assert_eq!(run(&mut by(&bound, &["export", "--store", &store])).succeeded(), before);
    mode(&place.path("registry.sqlite"), 0o644);
    assert_eq!(export(&store), before);
    is_sound(&store);
}

/// A store with enough in it that most of its file is rows.
async fn filled(place: &Place) -> Server {
    let store = place.store();
    prepare(place, &store);
    let server = serve(&store);
    for number in 0..150 {
        assert_eq!(creates(&Target::of(&server), &format!("service {number}")).await, 201);
    }
    server
}

/// Overwrites the middle of a file, and gives what was there.
fn damage(path: &str) -> (u64, Vec<u8>) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("the file opens");
    let half = file.metadata().expect("a size").len() / 2;
    let mut was = vec![0; usize::try_from(half).expect("it is small")];
    let from = half * 3 / 4;
    file.read_exact_at(&mut was, from).expect("it is read");
    file.write_all_at(&vec![0xa5; was.len()], from).expect("it is written");
    (from, was)
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_and_what_is_whole_of_it_is_served() {
    let place = Place::new();
    let (store, path) = (place.store(), place.path("registry.sqlite"));
    filled(&place).await.stop();
    let (archive, whole) = (export(&store), fs::read(&path).expect("the file"));
    let serving = ["serve", "--listen", "127.0.0.1:0", "--store", &store];

    let mut header = whole.clone();
    header[..16].copy_from_slice(b"not a database!!");
    for (content, said) in [(header.as_slice(), "file is not a database"), (&whole[..9_000], "malformed")] {
        fs::write(&path, content).expect("written");
        for arguments in [serving.as_slice(), &["check", "--store", &store], &["export", "--store", &store]] {
            let line = run(command(arguments).env("SERVICE_JWT_SECRET", SECRET)).failed(1);
            assert!(line.contains("corrupt data") && line.contains(said), "{line}");
        }
        assert_eq!(fs::read(&path).expect("the file"), content, "nobody made it worse");
    }

    fs::write(&path, &whole).expect("written");
    damage(&path);
    let server = serve(&store);
    assert_eq!(lists(&Target::of(&server)).await, 500);
    logged(&server, "malformed");
    assert_eq!(server.get("/healthz").await.status(), 200);
    let checked = run(&mut command(&["check", "--store", &store]));
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let exported = run(&mut command(&["export", "--store", &store]));
    assert!(exported.code == Some(1) && exported.stderr.contains("malformed"), "{}", exported.stderr);
    server.stop();

    fs::write(&path, &whole).expect("the backup is put back");
    assert_eq!(export(&store), archive);
    is_sound(&store);
}

#[tokio::test]
async fn what_a_damaged_log_still_has_is_a_state_that_there_was() {
    let place = Place::new();
    let store = place.store();
    let server = filled(&place).await;
    server.signal("KILL");
    drop(server);
    let whole = fs::read(place.path("registry.sqlite-wal")).expect("a log");
    // What a backup program would do, so that what was there can be told.
    let rows = {
        let copy = Place::new();
        for file in ["registry.sqlite", "registry.sqlite-wal"] {
            fs::copy(place.path(file), copy.path(file)).expect("copied");
        }
        history(&export(&copy.store()))
    };
    assert!(rows.len() == 150 && !whole.is_empty());
    damage(&place.path("registry.sqlite-wal"));
    let server = serve(&store);
    let left = history(&export(&store));
    assert!(left.len() < rows.len() && left == rows[..left.len()], "{} rows are left", left.len());
    assert_eq!(creates(&Target::of(&server), "after").await, 201);
    server.stop();
    is_sound(&store);
}
