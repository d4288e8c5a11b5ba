//! What it was measured on.

use std::fs;

use service_registry_benches::Error;
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::stage::Stage;

/// Lines that say what the figures depend on.
pub(crate) async fn describe(stage: &Stage) -> Result<Vec<String>, Error> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism()?;
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut lines = vec![
        format!("{cores} cores of {model}, {} GiB, Linux {}", kilobytes >> 20, kernel.trim()),
        format!("SQLite {} (bundled), WAL, `synchronous=FULL`", sqlite().await?),
    ];
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
