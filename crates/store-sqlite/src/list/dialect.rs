//! How SQLite says what a listing asks for.

use store_sql::list::{Dialect, List};

/// Each range is read from the index that has its order; without statistics SQLite would guess which.
pub(super) const DIALECT: Dialect = Dialect {
    // A marker of this form has its place in its number; of the others SQLite searches the names.
    marker: "?",
    no_name: "NULL",
    services: "services AS d",
    services_by_id: "services AS d INDEXED BY services_by_id",
    services_by_name: "services AS d INDEXED BY services_by_name",
    services_by_falling_name: "services AS d INDEXED BY services_by_name_falling",
    tagged_by_id: "tagged_services AS d INDEXED BY tagged_services_by_id",
    tagged_by_name: "tagged_services AS d",
    tagged: "tagged_services AS t INDEXED BY tagged_services_by_id",
    look_up_end: "",
    tests: [" AND ", ""],
    falling: [" ORDER BY d.name DESC, d.id LIMIT ", ""],
    term: &["", ""],
    terms: list(&["wanted.value"], &["(SELECT value FROM json_each(", "))"]),
    ids: list(&["unhex(wanted.value)"], &["(SELECT unhex(value) FROM json_each(", "))"]),
    names: list(&["wanted.value"], &["(SELECT value FROM json_each(", "))"]),
    // SQLite finds all keys of a piece before it asks how many of them are wanted.
    piece_after_first: &["", " - (SELECT count(*) FROM first)"],
};

/// A list is the outer loop of whatever it finds.
const fn list(found: &'static [&'static str], within: &'static [&'static str]) -> List {
    List { from: &["json_each(", ") AS wanted CROSS JOIN "], found, within }
}
