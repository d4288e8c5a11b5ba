//! What to measure.

use std::fmt;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use service_registry_benches::count;

/// Measures the stores, and writes the tables and charts of it.
#[derive(Debug, Parser)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    /// How many services the organization that is measured has: each of these.
    #[arg(long, value_delimiter = ',', value_parser = count, default_value = "10k,100k,1m")]
    pub(crate) services: Vec<u64>,
    /// Which stores.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "memory,sqlite,postgres")]
    pub(crate) stores: Vec<Kind>,
    /// How often each listing is measured, if the time allows.
    #[arg(long, default_value_t = 200)]
    pub(crate) rounds: usize,
    /// How long the listings of a store are measured at most, in seconds.
    #[arg(long, default_value_t = 240)]
    pub(crate) seconds: u64,
    /// How often fifty writes of each kind are measured.
    #[arg(long, default_value_t = 20)]
    pub(crate) batches: usize,
    /// For how long a store is listed without pause to see whether the process grows, in seconds.
    #[arg(long, default_value_t = 60)]
    pub(crate) soak: u64,
    /// The command that the report says it was made by.
    #[arg(long, default_value = "cargo run --release -p service-registry-benches --bin measure")]
    pub(crate) command: String,
    /// The directory to write to; without it the tables go to standard output.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
    Postgres,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "memory",
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}
