//! Where a database is and how it is spoken to.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// The most connections of a store whose URL does not say how many.
const CONNECTIONS: u32 = 10;

/// Where a database is and how it is spoken to: a URL, parsed.
///
/// The URL is PostgreSQL's, `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require`; what it leaves out comes from
/// PostgreSQL's own environment variables (`PGPASSWORD`, …). Two parameters are ours:
///
/// * `max-connections`: the most connections that the store opens, 10 if not given;
/// * `prepared-statements=off`: for a pooler in front of the database that gives each transaction another connection, such as
///   PgBouncer in transaction mode. Each call is one transaction then, and each statement takes one round trip more.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(crate) connect: PgConnectOptions,
    pub(crate) max_connections: u32,
    pub(crate) prepared_statements: bool,
}

/// The parameters of PostgreSQL's own that sqlx knows.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Why a text is not the URL of a PostgreSQL database. No message shows more of it than the name of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPostgresUrl {
    /// It has another form.
    #[error("must be a URL of PostgreSQL, as in `postgres://user@host/database`: {0}")]
    Form(String),
    /// A number of connections that is none.
    #[error("`max-connections` must be a number from 1 to 10000")]
    MaxConnections,
    /// Something else than `on` or `off`.
    #[error("`prepared-statements` must be `on` or `off`")]
    PreparedStatements,
    /// A parameter of ours that comes twice.
    #[error("`{0}` comes twice")]
    Twice(&'static str),
    /// A parameter that nobody knows.
    #[error("has a parameter that is unknown: `{0}`")]
    Unknown(String),
    /// A character that ends the user or the password before its end.
    #[error("has more than one `@`: in user and password, write `%40` for it")]
    Unescaped,
}

impl FromStr for PostgresOptions {
    type Err = InvalidPostgresUrl;

    fn from_str(url: &str) -> Result<Self, InvalidPostgresUrl> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(InvalidPostgresUrl::Form("it starts with something else".to_owned()));
        }
        let (mut max_connections, mut prepared_statements) = (None, None);
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        // What follows the first would be taken for the host, and shown.
        if place.matches('@').count() > 1 {
            return Err(InvalidPostgresUrl::Unescaped);
        }
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (slot, name) = match parameter.split('=').next() {
                Some("max-connections") => (&mut max_connections, "max-connections"),
                Some("prepared-statements") => (&mut prepared_statements, "prepared-statements"),
                Some(name) if PARAMETERS.contains(&name) || name.starts_with("options[") => {
                    rest.push(parameter);
                    continue;
                }
                name => return Err(InvalidPostgresUrl::Unknown(name.unwrap_or_default().to_owned())),
            };
            let value = parameter.split_once('=').map_or("", |(_, value)| value);
            if slot.replace(value).is_some() {
                return Err(InvalidPostgresUrl::Twice(name));
            }
        }
        let max_connections = match max_connections.map(str::parse) {
            None => CONNECTIONS,
            Some(Ok(number @ 1..=10_000)) => number,
            Some(_) => return Err(InvalidPostgresUrl::MaxConnections),
        };
        let prepared_statements = match prepared_statements {
            None | Some("on") => true,
            Some("off") => false,
            Some(_) => return Err(InvalidPostgresUrl::PreparedStatements),
        };
        let separator = if rest.is_empty() { "" } else { "?" };
        let mut connect: PgConnectOptions = format!("{place}{separator}{}", rest.join("&"))
            .parse()
            .map_err(|error: sqlx::Error| InvalidPostgresUrl::Form(reason(&error)))?;
        // A URL has brackets around an address of IPv6, a connection has not.
        let address = connect.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if let Some(address) = address.map(str::to_owned) {
            connect = connect.host(&address);
        }
        Ok(Self { connect, max_connections, prepared_statements })
    }
}

/// What is wrong, without sqlx's own introduction.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(cause) => cause.to_string(),
        error => error.to_string(),
    }
}

impl PostgresOptions {
    /// The same for a caller who names another database of the same server.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.connect = self.connect.database(name);
        self
    }
}

/// Shows where the database is, as a URL without user, password and parameters.
impl fmt::Display for PostgresOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "postgres://{}:{}", self.connect.get_host(), self.connect.get_port())?;
        self.connect.get_database().map_or(Ok(()), |database| write!(formatter, "/{database}"))
    }
}

/// Shows no password.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresOptions")
            .field("host", &self.connect.get_host())
            .field("port", &self.connect.get_port())
            .field("database", &self.connect.get_database())
            .field("user", &self.connect.get_username())
            .field("max_connections", &self.max_connections)
            .field("prepared_statements", &self.prepared_statements)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<PostgresOptions, InvalidPostgresUrl> {
        url.parse()
    }

    #[test]
    fn parameters_of_ours_are_taken_out_and_the_others_left() {
        let url = "postgres://alice:se%3Fcret@db.example:6432/registry?max-connections=3&application_name=here\
                   &prepared-statements=off&sslmode=disable";
        let options = parse(url).unwrap();
        assert_eq!((options.max_connections, options.prepared_statements), (3, false));
        let connect = &options.connect;
        assert_eq!((connect.get_host(), connect.get_port()), ("db.example", 6432));
        assert_eq!(connect.get_database(), Some("registry"));
        assert_eq!(connect.get_application_name(), Some("here"));

        let address = parse("postgres://alice@[::1]:6432/registry").unwrap();
        assert_eq!((address.connect.get_host(), address.connect.get_port()), ("::1", 6432));
        let plain = parse("postgresql://db.example/registry").unwrap();
        assert_eq!((plain.max_connections, plain.prepared_statements), (CONNECTIONS, true));
        assert!(parse("postgres://db.example/registry?prepared-statements=on").unwrap().prepared_statements);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (url, part) in [
            ("mysql://alice:secret@db/registry", "starts with something else"),
            ("postgres://alice:secret@db:port/registry", "port"),
            ("postgres://alice:secret@db/registry?max-connections=secret", "`max-connections`"),
            ("postgres://alice:secret@db/registry?max-connections=0", "`max-connections`"),
            ("postgres://alice:secret@db/registry?max-connections", "`max-connections`"),
            ("postgres://alice:secret@db/registry?prepared-statements=maybe", "`prepared-statements`"),
            ("postgres://alice:secret@db/registry?max-connections=1&max-connections=2", "comes twice"),
            ("postgres://alice:secret@db/registry?sslmode=perhaps", "perhaps"),
            ("postgres://alice:p@secret@db/registry", "`%40`"),
            ("postgres://alice:p@secret/secret@db/registry", "`%40`"),
            ("postgres://alice:secret@db/registry?prepared_statements=off", "`prepared_statements`"),
        ] {
            let message = parse(url).unwrap_err().to_string();
            assert!(message.contains(part) && !message.contains("secret"), "{url}: {message}");
        }
        let options = format!("{:?}", parse("postgres://alice:secret@db/registry").unwrap());
        assert!(options.contains("db") && !options.contains("secret"), "{options}");
    }
}
