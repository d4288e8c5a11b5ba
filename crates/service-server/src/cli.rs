//! The command line: every command and flag, and the environment variable of each flag.

use std::error::Error as _;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use service_core::{OrganizationId, UserId};

use crate::clusters::Clusters;
use crate::commands;
use crate::failure::Failure;
use crate::logs::Log;
use crate::store_url::{Cluster, StoreUrl};
use crate::ttl::Ttl;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 refused or failed; 2 wrong usage or configuration.";

/// The service registry: stores the services of organizations, answers filtered, sorted, paged listings of them, and lets
/// nobody break their rules.
#[derive(Debug, Parser)]
#[command(name = "service-server", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What to log, and how.
    #[command(flatten)]
    pub(crate) log: Log,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the HTTP API
    Serve(Serve),
    /// Serve sample data and print how to try it; unless told where, from a store that is gone afterwards
    Demo(Demo),
    /// Bring the schema of a store up to date
    Migrate(OnStore),
    /// Change what services refer to: agents, state machines, tests, LLMs, roles and users
    Catalog {
        /// What to do with the catalog.
        #[command(subcommand)]
        command: CatalogCommand,
    },
    /// Write all that a store holds to standard output, as lines of JSON: one snapshot
    Export(OnStore),
    /// Take what was exported into an empty store, whole or not at all
    Import {
        /// The file; `-` for standard input
        file: PathBuf,
        /// Where to.
        #[command(flatten)]
        store: OnStore,
    },
    /// Look for anything that is wrong in a store, and say what
    Check(OnStore),
    /// Manage the API keys that clients sign in with
    ApiKey {
        /// What to do with API keys.
        #[command(subcommand)]
        command: ApiKeyCommand,
    },
    /// Print a token for a user, signed as the configuration says
    Token(Token),
    /// Begin or end maintenance, in which every request is answered 503
    Maintenance(Maintenance),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Ask the server of this machine whether it answers: for containers and whatever else has no other client
    Health(Health),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of this program, as roff
    Man,
}

/// Which store a command works on.
#[derive(Debug, Args)]
pub(crate) struct OnStore {
    /// Where the store is: `sqlite:PATH`, `postgres://…` or `memory:`
    #[arg(long, env = "SERVICE_STORE", value_name = "URL", hide_env_values = true)]
    pub(crate) store: StoreUrl,
}

/// The flags of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The default storage cluster.
    #[command(flatten)]
    pub(crate) store: OnStore,
    /// Another storage cluster, which requests choose by its name; repeat the flag, or separate several in the variable by commas
    #[arg(long, env = "SERVICE_CLUSTER", value_name = "NAME=URL", hide_env_values = true)]
    pub(crate) cluster: Vec<Clusters>,
    /// Where to listen; port 0 takes a free one
    #[command(flatten)]
    pub(crate) listen: Listen,
    /// Whether requests are limited per user and minute
    #[arg(long, env = "SERVICE_RATE_LIMITS", value_name = "on|off", default_value = "on")]
    pub(crate) rate_limits: Switch,
    /// A catalog file to apply to the default cluster before serving
    #[arg(long, env = "SERVICE_CATALOG", value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// How tokens are signed and verified.
    #[command(flatten)]
    pub(crate) jwt: Jwt,
}

impl Serve {
    /// The storage clusters beside the default one.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.cluster.iter().flat_map(|Clusters(clusters)| clusters)
    }
}

/// Where to listen, and for how many.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, env = "SERVICE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    // Below the usual limit of 1,024 open files, with room for those of the store.
    /// How many connections to hold at once; those beyond are answered 503
    #[arg(long, env = "SERVICE_MAX_CONNECTIONS", value_name = "NUMBER", default_value = "900")]
    pub(crate) max_connections: NonZeroUsize,
    /// How many requests to work on at once [default: 1 for each processor, 2 with PostgreSQL]; those beyond wait for half a second at most, and are then
    /// answered 503
    #[arg(long, env = "SERVICE_MAX_REQUESTS", value_name = "NUMBER")]
    pub(crate) max_requests: Option<NonZeroUsize>,
}

/// The flags of `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// An empty store for the sample data, which keeps them; otherwise a temporary one is used
    #[arg(long, env = "SERVICE_STORE", value_name = "URL", hide_env_values = true)]
    pub(crate) store: Option<StoreUrl>,
    /// Where to listen.
    #[command(flatten)]
    pub(crate) listen: Listen,
}

/// What to do with the catalog.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Apply a catalog file, whole or not at all, and print what changed
    Apply {
        /// The file.
        file: PathBuf,
        /// Where to.
        #[command(flatten)]
        store: OnStore,
    },
}

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Create a key and print it: this once, as JSON
    Create {
        /// Where to.
        #[command(flatten)]
        store: OnStore,
        /// The organization whose users can sign in with the key
        #[arg(long, env = "SERVICE_ORG", value_name = "ORGANIZATION")]
        org: OrganizationId,
    },
}

/// The flags of `token`.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The organization that the token names as the issuer of the identity
    #[arg(long, env = "SERVICE_ORG", value_name = "ORGANIZATION")]
    pub(crate) org: OrganizationId,
    /// The user
    #[arg(long, env = "SERVICE_USER", value_name = "USER")]
    pub(crate) user: UserId,
    /// How long the token is valid, such as 90s, 15m, 1h or 7d
    #[arg(long, env = "SERVICE_TTL", value_name = "TIME", default_value = "1h")]
    pub(crate) ttl: Ttl,
    /// How it is signed.
    #[command(flatten)]
    pub(crate) jwt: Jwt,
}

/// The flags of `maintenance`.
#[derive(Debug, Args)]
pub(crate) struct Maintenance {
    /// Whether it begins or ends
    pub(crate) switch: Switch,
    /// Of which store.
    #[command(flatten)]
    pub(crate) store: OnStore,
}

/// The variables that hold secrets: the one that tokens are signed with, and a further one whose tokens are accepted too.
pub(crate) const SECRETS: [&str; 2] = ["SERVICE_JWT_SECRET", "SERVICE_JWT_ACCEPTED_SECRET"];

/// The flags of `health`.
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Where the server listens, as it was told
    #[arg(long, env = "SERVICE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
}

/// How tokens are signed and verified. The secrets themselves have environment variables ([`SECRETS`]) and no flags: what stands on a
/// command line can be read by every user of the machine.
#[derive(Debug, Args)]
pub(crate) struct Jwt {
    /// The algorithm of tokens
    #[arg(
        long,
        env = "SERVICE_JWT_ALGORITHM",
        value_name = "ALGORITHM",
        default_value = "HS256",
        ignore_case = true
    )]
    pub(crate) jwt_algorithm: JwtAlgorithm,
    /// HS256: a file that holds the secret, at least 32 bytes; or set SERVICE_JWT_SECRET
    #[arg(long, env = "SERVICE_JWT_SECRET_FILE", value_name = "FILE")]
    pub(crate) jwt_secret_file: Option<PathBuf>,
    /// EdDSA, RS256: the public key, in PEM
    #[arg(long, env = "SERVICE_JWT_PUBLIC_KEY_FILE", value_name = "FILE")]
    pub(crate) jwt_public_key_file: Option<PathBuf>,
    /// EdDSA, RS256: the private key, in PEM; without it, tokens are only verified
    #[arg(long, env = "SERVICE_JWT_PRIVATE_KEY_FILE", value_name = "FILE")]
    pub(crate) jwt_private_key_file: Option<PathBuf>,
    /// HS256: a file that holds a further secret, whose tokens are accepted too; or set SERVICE_JWT_ACCEPTED_SECRET
    #[arg(long, env = "SERVICE_JWT_ACCEPTED_SECRET_FILE", value_name = "FILE")]
    pub(crate) jwt_accepted_secret_file: Option<PathBuf>,
    /// EdDSA, RS256: a further public key, in PEM, whose tokens are accepted too
    #[arg(long, env = "SERVICE_JWT_ACCEPTED_PUBLIC_KEY_FILE", value_name = "FILE")]
    pub(crate) jwt_accepted_public_key_file: Option<PathBuf>,
    /// The `iss` that tokens have
    #[arg(long, env = "SERVICE_JWT_ISSUER", value_name = "TEXT", default_value = "service-registry")]
    pub(crate) jwt_issuer: String,
    /// The `aud` that tokens have
    #[arg(long, env = "SERVICE_JWT_AUDIENCE", value_name = "TEXT", default_value = "service-registry")]
    pub(crate) jwt_audience: String,
}

/// The algorithm of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JwtAlgorithm {
    /// HMAC with SHA-256 and a shared secret
    #[value(name = "HS256")]
    Hs256,
    /// Ed25519
    #[value(name = "EdDSA")]
    EdDsa,
    /// RSA with SHA-256
    #[value(name = "RS256")]
    Rs256,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// Parses the command line and the environment. Help and version, where asked for, are printed, and end the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Failure> {
    let error = match Cli::try_parse_from(arguments) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            commands::print(error.render())?;
            std::process::exit(0);
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(Failure::configuration("a command is missing; `service-server --help` shows them"))
        }
        ErrorKind::ValueValidation => Err(Failure::Configuration(ill_formed(&error))),
        _ => Err(Failure::Configuration(essence(&error.render().to_string()))),
    }
}

/// Which flag has an ill-formed value, and what is wrong with it. URLs are not shown: they can hold passwords.
fn ill_formed(error: &clap::Error) -> String {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let flag = context(ContextKind::InvalidArg);
    let fault = error.source().map(ToString::to_string).unwrap_or_default();
    if flag.starts_with("--store") || flag.starts_with("--cluster") {
        format!("the value of `{flag}` {fault}")
    } else {
        format!("the value `{}` of `{flag}` is wrong: {fault}", context(ContextKind::InvalidValue))
    }
}

/// What is wrong, without the usage and hints that clap lets follow on further lines.
fn essence(rendered: &str) -> String {
    let text = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let essential: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    essential.join(" ")
}

#[cfg(test)]
mod tests;
