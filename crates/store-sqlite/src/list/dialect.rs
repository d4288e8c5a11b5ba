//! How SQLite says what a listing asks for.

use store_sql::list::{Dialect, List};

/// Each range is read from the index that has its order; without statistics SQLite would guess which.
pub(crate) const DIALECT: Dialect = Dialect {
    // A marker of this form has its place in its number; of the others SQLite searches the names.
    marker: "?",
    no_name: "NULL",
    tables: ["organizations", "services", "history"],
    by_id: " INDEXED BY services_by_id",
    by_name: " INDEXED BY services_by_name",
    by_falling_name: " INDEXED BY services_by_name_falling",
    // The list is the outer loop of what it finds.
    ids: List { from: &["json_each(", ") AS wanted CROSS JOIN "], found: &["unhex(wanted.value)"] },
    facets: ["json_group_array(json_array(key, CASE WHEN has_value THEN value END))", "facets"],
    // There is no way to a database in the process, and each range prepares to sort.
    looks_up: false,
    // Where a limit is a value and nothing else, SQLite plans by it, and so it plans the statement anew each time.
    at_most: &["", " + 0"],
    // SQLite finds all keys of a piece before it asks how many of them are wanted.
    piece_after_first: &["", " - (SELECT count(*) FROM first)"],
};
