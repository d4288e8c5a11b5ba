//! A database for each test.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::server::Server;

/// What the names of all our databases begin with.
const PREFIX: &str = "registry_test_";
/// How old, in seconds, what a killed test left behind must be to be removed by another.
const LEFT_BEHIND: i64 = 3600;

/// How to make a database: the first that the server can. Most people's order comes first, so that it shows where an order by
/// code points is relied upon and not asked for.
const ORDERS: [&str; 3] = [
    "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
    "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'en_US.UTF-8' LC_CTYPE 'en_US.UTF-8'",
    "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
];

/// Which migrated database to clone.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Template<'a> {
    /// What it holds. Two templates of one name differ in version alone.
    pub name: &'a str,
    /// What its content depends on, a hash of the migrations for instance: one of another version is never used.
    pub version: &'a str,
}

impl Template<'_> {
    fn key(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// What the templates of all versions begin with.
    fn family(self) -> String {
        let simple =
            self.name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' });
        format!("{PREFIX}template_{}_", simple.take(16).collect::<String>().to_ascii_lowercase())
    }

    fn database(self) -> String {
        format!("{}{:016x}", self.family(), self.key())
    }
}

/// A database of one test. Dropped, it is dropped on the server too, together with whoever is still connected.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    /// A new database with nothing in it.
    ///
    /// # Panics
    /// When there is no PostgreSQL to test with, or it refuses.
    pub async fn empty() -> Self {
        or_panic(Self::try_empty().await)
    }

    /// A new database with nothing in it, made in a way of its own: `ENCODING 'LATIN1' LOCALE 'C'`, say.
    ///
    /// # Panics
    /// When there is no PostgreSQL to test with, or it refuses.
    pub async fn made(how: &str) -> Self {
        or_panic(Self::try_made(how).await)
    }

    /// A new database, as `migrate` leaves one whose address it is given. That happens once for a template on a server, however
    /// many processes ask at the same time; then it is cloned.
    ///
    /// # Panics
    /// When there is no PostgreSQL to test with, or it refuses; when `migrate` does.
    pub async fn migrated<Migrate, Migrated>(template: Template<'_>, migrate: Migrate) -> Self
    where
        Migrate: FnOnce(String) -> Migrated + Send,
        Migrated: Future<Output = ()> + Send,
    {
        or_panic(Self::try_migrated(template, migrate).await)
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives a parameter of the server another default in this database, for whoever connects from now on:
    /// `default_transaction_isolation`, say. Of some a client decides itself: sqlx of `TimeZone`, `DateStyle` and
    /// `client_encoding`.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub async fn with(self, parameter: &str, value: &str) -> Self {
        let statement =
            format!("ALTER DATABASE {} SET {parameter} = '{}'", self.name, value.replace('\'', "''"));
        or_panic(async { execute(&mut connect().await?, statement).await }.await);
        self
    }

    async fn try_empty() -> Result<Self, sqlx::Error> {
        let mut connection = connect().await?;
        remove_left_behind_once(&mut connection).await?;
        let name = new_name(&mut connection).await?;
        create_empty(&mut connection, &name).await?;
        Ok(Self::of(name))
    }

    async fn try_made(how: &str) -> Result<Self, sqlx::Error> {
        let mut connection = connect().await?;
        let name = new_name(&mut connection).await?;
        execute(&mut connection, format!("CREATE DATABASE {name} TEMPLATE template0 {how}")).await?;
        Ok(Self::of(name))
    }

    async fn try_migrated<Migrate, Migrated>(
        template: Template<'_>,
        migrate: Migrate,
    ) -> Result<Self, sqlx::Error>
    where
        Migrate: FnOnce(String) -> Migrated + Send,
        Migrated: Future<Output = ()> + Send,
    {
        let mut connection = connect().await?;
        remove_left_behind_once(&mut connection).await?;
        let name = new_name(&mut connection).await?;
        match clone(&mut connection, &name, template).await {
            Err(error) if is_missing(&error) => {
                // Held until the connection ends, so that no template goes before it is cloned.
                lock(&mut connection, &template.family()).await?;
                make(&mut connection, template, migrate).await?;
                clone(&mut connection, &name, template).await?;
            }
            outcome => outcome?,
        }
        connection.close().await?;
        Ok(Self::of(name))
    }

    fn of(name: String) -> Self {
        Self { url: Server::of_process().database(&name), name }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A thread of its own, since a runtime cannot be entered from within another, and there may be none.
        let dropped = thread::spawn(move || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(async { execute(&mut connect().await?, statement).await })?)
        });
        // A test that fails must not fail twice. What is left behind is removed another time.
        match dropped.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the database `{}` is left behind: {error}", self.name),
            Err(_) => eprintln!("the database `{}` is left behind", self.name),
        }
    }
}

/// Makes a template, unless somebody just has. Templates of the same name and another version go.
async fn make<Migrate, Migrated>(
    connection: &mut PgConnection,
    template: Template<'_>,
    migrate: Migrate,
) -> Result<(), sqlx::Error>
where
    Migrate: FnOnce(String) -> Migrated + Send,
    Migrated: Future<Output = ()> + Send,
{
    let family = template.family();
    let existing = names(connection, &family).await?;
    if existing.contains(&template.database()) {
        return Ok(());
    }
    for stale in existing {
        execute(connection, format!("DROP DATABASE IF EXISTS {stale} WITH (FORCE)")).await?;
    }
    // A template has its name only when it is complete.
    let unfinished = format!("{family}unfinished");
    create_empty(connection, &unfinished).await?;
    migrate(Server::of_process().database(&unfinished)).await;
    // Only what nobody is connected to can be renamed, and cloned.
    execute(connection, format!("ALTER DATABASE {unfinished} ALLOW_CONNECTIONS false")).await?;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind(&unfinished)
        .execute(&mut *connection)
        .await?;
    execute(connection, format!("ALTER DATABASE {unfinished} RENAME TO {}", template.database())).await
}

async fn clone(connection: &mut PgConnection, name: &str, template: Template<'_>) -> Result<(), sqlx::Error> {
    execute(connection, format!("CREATE DATABASE {name} TEMPLATE {}", template.database())).await
}

/// Makes a database with nothing in it.
async fn create_empty(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let mut outcome = Ok(());
    for order in ORDERS {
        outcome = execute(connection, format!("CREATE DATABASE {name} {order}")).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// A name that no other database has. It says when it was made, by the clock of the server.
async fn new_name(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let name =
        "SELECT $1 || extract(epoch FROM now())::bigint || '_' || replace(gen_random_uuid()::text, '-', '')";
    sqlx::query_scalar(name).bind(PREFIX).fetch_one(connection).await
}

/// Removes the databases of tests that were killed, once a process.
async fn remove_left_behind_once(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    static REMOVED: AtomicBool = AtomicBool::new(false);
    if REMOVED.swap(true, Ordering::Relaxed) { Ok(()) } else { remove_left_behind(connection).await }
}

async fn remove_left_behind(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let now = sqlx::query_scalar("SELECT extract(epoch FROM now())::bigint");
    let now: i64 = now.fetch_one(&mut *connection).await?;
    // The server would wait for seconds for those who are connected to one.
    let in_use =
        sqlx::query_scalar("SELECT DISTINCT datname::text FROM pg_stat_activity WHERE datname IS NOT NULL");
    let in_use: Vec<String> = in_use.fetch_all(&mut *connection).await?;
    for name in names(connection, PREFIX).await? {
        let is_old = made_at(&name).is_some_and(|made| made < now - LEFT_BEHIND);
        if is_old && !in_use.contains(&name) {
            // Somebody may have connected just now, and another process may be quicker.
            let _in_use_or_gone = execute(connection, format!("DROP DATABASE {name}")).await;
        }
    }
    Ok(())
}

/// When a database of a test was made, which its name says; nothing for those that are to stay.
fn made_at(name: &str) -> Option<i64> {
    name.strip_prefix(PREFIX)?.split_once('_')?.0.parse().ok()
}

/// The databases whose names begin like this.
async fn names(connection: &mut PgConnection, prefix: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1)")
        .bind(prefix)
        .fetch_all(connection)
        .await
}

/// Waits until nobody else holds the lock of this name.
async fn lock(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))").bind(name).execute(connection).await?;
    Ok(())
}

async fn connect() -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect(Server::of_process().url()).await
}

/// Runs a statement of ours, whose names are made of letters, digits and underscores.
async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

/// Whether a database that was named is not there.
fn is_missing(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("3D000"))
}

fn or_panic<T>(outcome: Result<T, sqlx::Error>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => panic!("the PostgreSQL to test with: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exists(connection: &mut PgConnection, name: &str) -> bool {
        names(connection, name).await.unwrap().len() == 1
    }

    /// A database as a test has left it that was killed in 2001.
    async fn abandoned(connection: &mut PgConnection) -> String {
        let name = new_name(connection).await.unwrap();
        let unique = name.rsplit('_').next().unwrap();
        let name = format!("{PREFIX}1000000000_{unique}");
        execute(connection, format!("CREATE DATABASE {name}")).await.unwrap();
        name
    }

    #[tokio::test]
    async fn what_is_old_and_unused_is_removed_and_nothing_else() {
        let young = Database::empty().await;
        let mut connection = connect().await.unwrap();
        let unused = abandoned(&mut connection).await;
        // Other processes remove what is left behind as well.
        let (used, _user) = loop {
            let used = abandoned(&mut connection).await;
            if let Ok(user) = PgConnection::connect(&Server::of_process().database(&used)).await {
                break (used, user);
            }
        };
        remove_left_behind(&mut connection).await.unwrap();
        assert!(!exists(&mut connection, &unused).await);
        assert!(exists(&mut connection, &used).await);
        assert!(exists(&mut connection, young.name()).await);
        execute(&mut connection, format!("DROP DATABASE {used} WITH (FORCE)")).await.unwrap();
    }

    #[test]
    fn templates_have_no_age_and_simple_names() {
        let template = Template { name: "Straße; DROP TABLE x", version: "1" };
        assert!(template.database().starts_with("registry_test_template_stra_e__drop_tab_"));
        assert!(template.database().len() < 64);
        assert_eq!(made_at(&template.database()), None);
        assert_eq!(made_at("registry_test_1000000000_x"), Some(1_000_000_000));
        assert_ne!(template.database(), Template { version: "2", ..template }.database());
    }
}
