//! How PostgreSQL says what databases say differently.
//!
//! What finds rows is always an equality with a value that is known before the rows are read, never a join: so it bounds a
//! range of an index whatever the statistics say, and the planner has nothing to choose.

use store_sql::list::{Dialect, List};

pub(super) const DIALECT: Dialect = Dialect {
    marker: "$",
    no_name: "NULL::text",
    services: "service_registry.services AS d",
    services_by_id: "service_registry.services AS d",
    services_by_name: "service_registry.services AS d",
    services_by_falling_name: "service_registry.services AS d",
    tagged_by_id: "service_registry.tagged_services AS d",
    tagged_by_name: "service_registry.tagged_services AS d",
    tagged: "service_registry.tagged_services AS t",
    // A sub-select that may leave out rows is no join, which the planner would make of whole indexes.
    look_up_end: " OFFSET 0",
    // The planner takes half of the candidates to fail each test, so that few would be left of many tests, and it might as well
    // read and sort the whole range. That something is not null, it takes to hold nearly always: then a page seems near.
    tests: [" AND CASE WHEN ", " THEN true END IS NOT NULL"],
    // The index is read backwards as far as the last name goes on, so nothing is sorted but that name's ids.
    falling: [" ORDER BY d.name DESC FETCH FIRST ", " ROWS WITH TIES"],
    // A term is named by its place among those of the statement; what is not there has no number, and nothing equals that.
    term: &["(SELECT term FROM terms WHERE number = ", ")"],
    terms: List {
        from: &[""],
        found: &["ANY (ARRAY(SELECT term FROM terms WHERE number = ANY (", ")))"],
        within: &["(SELECT term FROM terms WHERE number = ANY (", "))"],
    },
    ids: List { from: &[""], found: &["ANY (", ")"], within: &["(SELECT unnest(", "))"] },
    names: List { from: &[""], found: &["ANY (", ")"], within: &["(SELECT unnest(", "))"] },
    // None is read at all if the first range fills the page, because then all the pieces together are asked for nothing.
    piece_after_first: &["", ""],
};
