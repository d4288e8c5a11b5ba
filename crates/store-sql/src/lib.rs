//! What stores of the service registry on SQL databases share: plain data, and functions on it.
//!
//! * [`row`]: how columns become values, and what does not parse is reported.
//! * [`change`]: which writes may be written at once, and what they change.
//! * [`list`]: how a page is found, by a statement assembled in one place for all databases from fragments of a [`list::Dialect`], or by
//!   an index of the organization that is kept in memory.
//! * [`facets`]: the facets of organizations, read once for each revision.
//! * [`transfer`]: how a store is exported, imported and checked, over what its database is asked and told for that.
//! * [`migration`]: which steps to its schema a database has not seen.
//! * [`error`]: what sqlx's own failures mean; [`pool`]: how busy connections are.
//!
//! Nothing here speaks to a database: a store runs the statements, and binds the values as its database likes them.

pub mod change;
mod check;
pub mod error;
pub mod facets;
pub mod list;
pub mod migration;
pub mod pool;
pub mod row;
pub mod transfer;
