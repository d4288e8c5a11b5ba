//! How PostgreSQL says what databases say differently.
//!
//! What finds rows is always an equality or a bound that is known before the rows are read: so it is a range of an index whatever
//! the statistics say, and the planner has nothing to choose.

use store_sql::list::{Dialect, List};

pub(super) const DIALECT: Dialect = Dialect {
    marker: "$",
    no_name: "NULL::text",
    tables: ["service_registry.organizations", "service_registry.services", "service_registry.history"],
    // The order of a piece says which index has it.
    by_id: "",
    by_name: "",
    by_falling_name: "",
    // Looked up one by one: `OFFSET 0` keeps that from becoming a join, or a search through all services for some.
    ids: List {
        from: &["unnest(", ") AS wanted (id) CROSS JOIN LATERAL (SELECT d.is_active, d.name, d.id FROM "],
        found: &["wanted.id OFFSET 0) AS d WHERE TRUE"],
    },
    facets: [
        "coalesce(json_agg(json_build_array(key, CASE WHEN has_value THEN value END)), '[]')::text",
        "service_registry.facets",
    ],
    // Each statement is a round trip, and a range that is empty is none at all.
    looks_up: true,
    at_most: &["", ""],
    // None is read at all if the first range fills the page, because then all the pieces together are asked for nothing.
    piece_after_first: &["", ""],
};
