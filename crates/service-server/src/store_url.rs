//! Where a store is: `memory:` or `sqlite:PATH`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use service_core::OrganizationId;

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    /// In the process; gone with it.
    Memory,
    /// In an SQLite file.
    Sqlite(PathBuf),
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
    /// PostgreSQL, which this build cannot speak to.
    Postgres,
}

impl fmt::Display for InvalidStoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Form => "must be `memory:` or `sqlite:PATH`",
            Self::NoPath => "must name a file, as in `sqlite:registry.sqlite`",
            Self::NotAPath(instead) => instead,
            Self::Postgres => {
                "names a PostgreSQL store, which this build does not have; use `sqlite:PATH` or `memory:`"
            }
        })
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
            return Err(InvalidStoreUrl::Postgres);
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
        }
    }
}

/// A storage cluster beside the default one: `NAME=URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    #[test]
    fn the_forms_of_the_manual_parse_and_print() {
        assert_eq!("memory:".parse(), Ok(StoreUrl::Memory));
        for path in ["registry.sqlite", "/var/lib/registry.sqlite", "a b=c?d", "///abs"] {
            let url: StoreUrl = format!("sqlite:{path}").parse().expect("a store URL");
            assert_eq!(url, StoreUrl::Sqlite(path.into()));
            assert_eq!(url.to_string(), format!("sqlite:{path}"));
        }
    }

    #[test]
    fn what_would_open_something_else_is_refused() {
        for (url, error) in [
            ("", InvalidStoreUrl::Form),
            ("memory", InvalidStoreUrl::Form),
            ("memory:x", InvalidStoreUrl::Form),
            ("registry.sqlite", InvalidStoreUrl::Form),
            ("sqlite:", InvalidStoreUrl::NoPath),
            ("postgres://localhost/registry", InvalidStoreUrl::Postgres),
            ("postgresql://localhost/registry", InvalidStoreUrl::Postgres),
        ] {
            assert_eq!(url.parse::<StoreUrl>(), Err(error), "{url}");
        }
        for url in ["sqlite::memory:", "sqlite://registry.sqlite", "sqlite:a\0b"] {
            assert!(matches!(url.parse::<StoreUrl>(), Err(InvalidStoreUrl::NotAPath(_))), "{url}");
        }
    }

    #[test]
    fn a_cluster_is_a_name_and_a_store() {
        let cluster: Cluster = "eu-1=sqlite:a=b.sqlite".parse().expect("a cluster");
        assert_eq!(cluster, Cluster { name: "eu-1".into(), url: StoreUrl::Sqlite("a=b.sqlite".into()) });
        for text in ["", "eu", "=memory:", "e u=memory:", "é=memory:"] {
            assert_eq!(text.parse::<Cluster>(), Err(InvalidCluster::Form), "{text}");
        }
        assert_eq!("eu=postgres://x".parse::<Cluster>(), Err(InvalidCluster::Url(InvalidStoreUrl::Postgres)));
    }
}
