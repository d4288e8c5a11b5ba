//! A PgBouncer before a server.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::account;
use crate::programs::Places;
use crate::supervised::{Supervised, on_free_port};

/// A PgBouncer in transaction mode: each transaction may be on another connection of the server. Dropped, it ends; so it does when
/// the process ends in any other way.
#[derive(Debug)]
pub struct PgBouncer {
    url: String,
    _supervised: Supervised,
}

impl PgBouncer {
    /// Starts a PgBouncer, on a free port of loopback, before the server of an address. Blocks for a moment.
    ///
    /// # Errors
    /// One line that says what to install, where there is none; the last lines of its log, when it does not start.
    pub fn start(url: &str) -> Result<Self, String> {
        let program = Places::of_environment().pgbouncer()?;
        let server = Target::of(url)?;
        on_free_port(|port| Self::start_on(port, &program, &server))
    }

    fn start_on(port: u16, program: &Path, server: &Target) -> Result<Self, String> {
        let (directory, account) = account::directory(&std::env::temp_dir())?;
        account::write(&directory.path().join("users"), &server.users(), account)?;
        account::write(&directory.path().join("pgbouncer.ini"), &server.configuration(port), account)?;
        let program = program.to_str().ok_or("PgBouncer is in a directory whose name is no text")?;
        // It has nothing to finish, and what other signals mean to it depends on its version.
        let mut supervised = Supervised::start(directory, account, "KILL", &[program, "pgbouncer.ini"])?;
        supervised
            .wait_until(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
            .map_err(|log| format!("`{program}` does not start:\n{}", log.trim_end()))?;
        Ok(Self { url: server.url(port), _supervised: supervised })
    }

    /// The address of the same database through it, without the parameters that the server's address has.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// The server behind, and who uses it.
struct Target {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    /// As the address has it: the database, and what stands before the host.
    database: String,
    credentials: String,
}

impl Target {
    fn of(url: &str) -> Result<Self, String> {
        let options = PgConnectOptions::from_str(url).map_err(|error| error.to_string())?;
        let url = options.to_url_lossy();
        let socket = options.get_socket().map(|socket| socket.display().to_string());
        let password =
            url.password().map(|password| percent_decode_str(password).decode_utf8_lossy().into_owned());
        let colon_password = url.password().map(|password| format!(":{password}")).unwrap_or_default();
        Ok(Self {
            host: socket.unwrap_or_else(|| options.get_host().to_owned()),
            port: options.get_port(),
            user: options.get_username().to_owned(),
            password,
            database: url.path().trim_start_matches('/').to_owned(),
            credentials: format!("{}{colon_password}", url.username()),
        })
    }

    fn url(&self, port: u16) -> String {
        format!("postgres://{}@127.0.0.1:{port}/{}", self.credentials, self.database)
    }

    fn users(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        format!("{} {}\n", quoted(&self.user), quoted(self.password.as_deref().unwrap_or_default()))
    }

    fn configuration(&self, port: u16) -> String {
        let Self { host, port: behind, .. } = self;
        let authentication = if self.password.is_some() { "plain" } else { "trust" };
        format!(
            "[databases]\n\
             * = host='{host}' port={behind}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = {authentication}\n\
             auth_file = users\n\
             pool_mode = transaction\n\
             default_pool_size = 20\n\
             max_client_conn = 200\n\
             ignore_startup_parameters = extra_float_digits\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn an_address_gives_what_to_connect_to_and_as_whom() {
        let target = Target::of("postgres://me:se%22cret%2F@127.0.0.1:5433/mine?sslmode=disable").unwrap();
        assert_eq!(target.users(), "\"me\" \"se\"\"cret/\"\n");
        assert!(target.configuration(7).contains("* = host='127.0.0.1' port=5433\n"));
        assert!(target.configuration(7).contains("auth_type = plain\n"));
        assert_eq!(target.url(7), "postgres://me:se%22cret%2F@127.0.0.1:7/mine");
    }

    #[test]
    fn a_socket_is_a_host_and_no_password_is_none() {
        let target = Target::of("postgres://me@localhost/mine?host=/run/postgresql").unwrap();
        assert!(target.configuration(7).contains("host='/run/postgresql' port=5432\n"));
        assert!(target.configuration(7).contains("auth_type = trust\n"));
        assert_eq!(target.url(7), "postgres://me@127.0.0.1:7/mine");
    }
}
