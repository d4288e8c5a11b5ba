//! What it was measured on.

use service_registry_benches::{Error, processor};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::stage::Stage;

/// Lines that say what the figures depend on.
pub(crate) async fn describe(stage: &Stage) -> Result<Vec<String>, Error> {
    let mut lines =
        vec![processor()?, format!("SQLite {} (bundled), WAL, `synchronous=FULL`", sqlite().await?)];
    if let Some(url) = stage.server() {
        let mut connection = PgConnection::connect(url).await?;
        let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
        connection.close().await?;
        let settings = crate::stage::SETTINGS.join("`, `");
        lines.push(format!(
            "PostgreSQL {version} on loopback, `fsync=on`, `synchronous_commit=on`, `{settings}`"
        ));
    }
    Ok(lines)
}

async fn sqlite() -> Result<String, Error> {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
    let version = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(version)
}
