//! Reads clusters from where they are configured: each flag names one, the environment variable all.

use std::ffi::OsStr;

use clap::builder::{TypedValueParser, ValueParserFactory};
use clap::parser::ValueSource;
use clap::{Arg, Command, Error};

use crate::store_url::Cluster;

/// What stands between clusters in the environment variable.
const SEPARATOR: char = ',';

/// The clusters that one value names.
#[derive(Debug, Clone)]
pub(crate) struct Clusters(pub(crate) Vec<Cluster>);

impl ValueParserFactory for Clusters {
    type Parser = ClustersParser;

    fn value_parser() -> ClustersParser {
        ClustersParser
    }
}

/// Parses [`Clusters`].
#[derive(Debug, Clone)]
pub(crate) struct ClustersParser;

impl TypedValueParser for ClustersParser {
    type Value = Clusters;

    /// A value on the command line: one cluster, whose path may contain the separator.
    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Clusters, Error> {
        let cluster = str::parse::<Cluster>.parse_ref(command, argument, value)?;
        Ok(Clusters(vec![cluster]))
    }

    fn parse_ref_(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Clusters, Error> {
        if source != ValueSource::EnvVariable {
            return self.parse_ref(command, argument, value);
        }
        // What is no text is refused like any other ill-formed value.
        let Some(text) = value.to_str() else { return self.parse_ref(command, argument, value) };
        let clusters = text.split(SEPARATOR);
        let clusters =
            clusters.map(|text| str::parse::<Cluster>.parse_ref(command, argument, OsStr::new(text)));
        Ok(Clusters(clusters.collect::<Result<_, _>>()?))
    }
}
