//! Where a store is: `memory:`, `sqlite:PATH` or `postgres://…`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use service_core::OrganizationId;
use store_postgres::{InvalidPostgresUrl, PostgresOptions};

/// Where a store is.
#[derive(Debug, Clone)]
pub(crate) enum StoreUrl {
    /// In the process; gone with it.
    Memory,
    /// In an SQLite file.
    Sqlite(PathBuf),
    /// In a PostgreSQL database.
    Postgres(Box<PostgresOptions>),
}

/// Why a text is not a URL of a store that this program can open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InvalidStoreUrl {
    /// It has another form.
    Form,
    /// `sqlite:` without a path.
    NoPath,
    /// A path that SQLite, or other programs, would take for something else.
    NotAPath(&'static str),
    /// A URL of PostgreSQL that is ill-formed.
    Postgres(InvalidPostgresUrl),
}

impl fmt::Display for InvalidStoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => formatter.write_str("must be `memory:`, `sqlite:PATH` or `postgres://…`"),
            Self::NoPath => formatter.write_str("must name a file, as in `sqlite:registry.sqlite`"),
            Self::NotAPath(instead) => formatter.write_str(instead),
            Self::Postgres(fault) => fault.fmt(formatter),
        }
    }
}

impl std::error::Error for InvalidStoreUrl {}

impl FromStr for StoreUrl {
    type Err = InvalidStoreUrl;

    fn from_str(text: &str) -> Result<Self, InvalidStoreUrl> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options = text.parse().map_err(InvalidStoreUrl::Postgres)?;
            return Ok(Self::Postgres(Box::new(options)));
        }
        let path = text.strip_prefix("sqlite:").ok_or(InvalidStoreUrl::Form)?;
        if path.is_empty() {
            return Err(InvalidStoreUrl::NoPath);
        }
        if path.starts_with(":memory:") {
            return Err(InvalidStoreUrl::NotAPath("must be `memory:` for a store in memory"));
        }
        if path.starts_with("//") && !path.starts_with("///") {
            return Err(InvalidStoreUrl::NotAPath(
                "must have the path right after the colon, as in `sqlite:registry.sqlite`",
            ));
        }
        if path.contains('\0') {
            return Err(InvalidStoreUrl::NotAPath("must not contain NUL"));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => formatter.write_str("memory:"),
            Self::Sqlite(path) => write!(formatter, "sqlite:{}", path.display()),
            Self::Postgres(options) => options.fmt(formatter),
        }
    }
}

/// A storage cluster beside the default one: `NAME=URL`.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// The name that requests choose it by.
    pub(crate) name: String,
    /// Where its store is.
    pub(crate) url: StoreUrl,
}

/// Why a text does not name a cluster.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InvalidCluster {
    /// There is no name, or no `=`.
    Form,
    /// The URL is wrong.
    Url(InvalidStoreUrl),
}

impl fmt::Display for InvalidCluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => formatter.write_str("must be `NAME=URL`, the name 1 to 64 of `A-Z a-z 0-9 _ -`"),
            Self::Url(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for InvalidCluster {}

impl FromStr for Cluster {
    type Err = InvalidCluster;

    fn from_str(text: &str) -> Result<Self, InvalidCluster> {
        let (name, url) = text.split_once('=').ok_or(InvalidCluster::Form)?;
        // Cluster names obey the rule of organization ids: what a header can carry and a log can show.
        OrganizationId::new(name).map_err(|_| InvalidCluster::Form)?;
        Ok(Self { name: name.to_owned(), url: url.parse().map_err(InvalidCluster::Url)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> InvalidStoreUrl {
        text.parse::<StoreUrl>().expect_err("no store URL")
    }

    #[test]
    fn the_forms_of_the_manual_parse_and_print() {
        for text in ["memory:", "sqlite:registry.sqlite", "sqlite:/var/lib/a b=c?d", "sqlite:///abs"] {
            let url: StoreUrl = text.parse().expect("a store URL");
            assert_eq!(url.to_string(), text);
        }
        for scheme in ["postgres", "postgresql"] {
            let url: StoreUrl = format!("{scheme}://alice:secret@db.example:6432/registry?sslmode=disable")
                .parse()
                .expect("a store URL");
            assert_eq!(url.to_string(), "postgres://db.example:6432/registry", "no secret is shown");
        }
    }

    #[test]
    fn what_would_open_something_else_is_refused() {
        for text in ["", "memory", "memory:x", "registry.sqlite", "mysql://localhost/registry"] {
            assert_eq!(refused(text), InvalidStoreUrl::Form, "{text}");
        }
        assert_eq!(refused("sqlite:"), InvalidStoreUrl::NoPath);
        for text in ["sqlite::memory:", "sqlite://registry.sqlite", "sqlite:a\0b"] {
            assert!(matches!(refused(text), InvalidStoreUrl::NotAPath(_)), "{text}");
        }
        let port = refused("postgres://alice:secret@db.example:port/registry");
        assert!(matches!(&port, InvalidStoreUrl::Postgres(_)) && !port.to_string().contains("secret"));
    }

    #[test]
    fn a_cluster_is_a_name_and_a_store() {
        let cluster: Cluster = "eu-1=sqlite:a=b.sqlite".parse().expect("a cluster");
        assert_eq!((cluster.name.as_str(), cluster.url.to_string().as_str()), ("eu-1", "sqlite:a=b.sqlite"));
        for text in ["", "eu", "=memory:", "e u=memory:", "é=memory:"] {
            assert_eq!(text.parse::<Cluster>().expect_err("no cluster"), InvalidCluster::Form, "{text}");
        }
        let no_path = "eu=sqlite:".parse::<Cluster>().expect_err("no cluster");
        assert_eq!(no_path, InvalidCluster::Url(InvalidStoreUrl::NoPath));
    }
}
