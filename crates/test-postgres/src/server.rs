//! The server that the tests of a process use.

use std::sync::OnceLock;

use crate::cluster::{Cluster, Durability};

/// A PostgreSQL to test with: the one at `DATABASE_URL`, or a private one that ends with this value or with the process.
#[derive(Debug)]
pub struct Server {
    url: String,
    _cluster: Option<Cluster>,
}

impl Server {
    /// Finds or starts a server. Blocks while it starts one.
    ///
    /// # Errors
    /// When `DATABASE_URL` is no address of a PostgreSQL; when there is none and nothing is installed, one line that says what to
    /// install; when a private one does not start.
    pub fn find() -> Result<Self, String> {
        match std::env::var("DATABASE_URL") {
            Ok(url) if !url.is_empty() => {
                at(&url, "")?;
                Ok(Self { url, _cluster: None })
            }
            Ok(_) | Err(std::env::VarError::NotPresent) => {
                let cluster = Cluster::start(Durability::GivenUp)?;
                Ok(Self { url: cluster.url().to_owned(), _cluster: Some(cluster) })
            }
            Err(error) => Err(format!("DATABASE_URL: {error}")),
        }
    }

    /// The one server of this process, which lives as long as the process does.
    pub(crate) fn of_process() -> &'static Self {
        // Nothing drops what is static; the end of the process is what ends it.
        static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
        match SERVER.get_or_init(Self::find) {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        }
    }

    /// The address of a database on it, which is there to connect to and to make others from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of another database on it.
    pub(crate) fn database(&self, name: &str) -> String {
        // It was looked at when it was found.
        at(&self.url, name).unwrap_or_default()
    }
}

/// The address of another database on the server of an address.
fn at(url: &str, database: &str) -> Result<String, String> {
    let (place, parameters) = url.split_once('?').map_or((url, None), |(place, rest)| (place, Some(rest)));
    let (scheme, rest) = place.split_once("://").ok_or("DATABASE_URL is not like `postgres://…`")?;
    if !["postgres", "postgresql"].contains(&scheme) {
        return Err(format!("DATABASE_URL is to begin with `postgres://`, not with `{scheme}://`"));
    }
    if parameters
        .is_some_and(|parameters| parameters.split('&').any(|parameter| parameter.starts_with("dbname=")))
    {
        return Err("DATABASE_URL is to name its database in its path, not as `dbname`".into());
    }
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let parameters = parameters.map(|parameters| format!("?{parameters}")).unwrap_or_default();
    Ok(format!("{scheme}://{authority}/{database}{parameters}"))
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn another_database_is_at_the_same_server() {
        for (url, expected) in [
            ("postgres://me:secret@host:5433/mine", "postgres://me:secret@host:5433/x"),
            ("postgresql://host", "postgresql://host/x"),
            (
                "postgres://me@/mine?host=/run/pg&sslmode=disable",
                "postgres://me@/x?host=/run/pg&sslmode=disable",
            ),
        ] {
            assert_eq!(at(url, "x").unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_postgresql_is_refused() {
        for url in ["sqlite:registry.sqlite", "mysql://host/x", "host", "postgres://host/?dbname=mine"] {
            assert!(at(url, "x").is_err(), "{url}");
        }
    }
}
