//! How a schema comes about: steps that are applied once, in order.

use service_core::{StoreError, StoreErrorKind};

/// A step from one schema to the next. Once released, it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its number: 1, 2, 3, …
    pub version: i64,
    /// What it does.
    pub sql: &'static str,
}

/// The known steps that a database has not seen, in order. `applied` are the steps that it remembers, by version: it keeps
/// their text, so that a database which was made by other steps is noticed.
///
/// # Errors
/// [`StoreErrorKind::Schema`] if the database has seen other steps than these, or more.
pub fn outstanding<'a>(
    known: &'a [Migration],
    applied: &[(i64, String)],
) -> Result<&'a [Migration], StoreError> {
    let mut rest = known;
    for (version, sql) in applied {
        let Some((migration, following)) = rest.split_first() else {
            return Err(other_schema(format!(
                "the database has migration {version}, this program knows only {}: use a newer program",
                known.len()
            )));
        };
        if migration.version != *version {
            return Err(other_schema(format!(
                "the database has migration {version} where migration {} belongs",
                migration.version
            )));
        }
        if migration.sql != sql {
            return Err(other_schema(format!(
                "migration {version} of the database is not the one of that number in this program"
            )));
        }
        rest = following;
    }
    Ok(rest)
}

/// Succeeds if no step is outstanding.
///
/// # Errors
/// [`StoreErrorKind::Schema`], naming the first that is.
pub fn none(outstanding: &[Migration]) -> Result<(), StoreError> {
    match outstanding.first() {
        None => Ok(()),
        Some(migration) => {
            Err(other_schema(format!("the database lacks migration {}: migrate it", migration.version)))
        }
    }
}

fn other_schema(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Schema, message)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    const KNOWN: [Migration; 2] =
        [Migration { version: 1, sql: "first" }, Migration { version: 2, sql: "second" }];

    fn applied(steps: &[(i64, &str)]) -> Vec<(i64, String)> {
        steps.iter().map(|(version, sql)| (*version, (*sql).to_owned())).collect()
    }

    fn refusal(steps: &[(i64, &str)]) -> String {
        let error = outstanding(&KNOWN, &applied(steps)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Schema);
        message(&error)
    }

    fn message(error: &StoreError) -> String {
        error.source().unwrap().to_string()
    }

    #[test]
    fn what_a_database_has_not_seen_is_outstanding() {
        assert_eq!(outstanding(&KNOWN, &[]).unwrap(), KNOWN);
        let rest = outstanding(&KNOWN, &applied(&[(1, "first")])).unwrap();
        assert_eq!(rest, &KNOWN[1..]);
        assert!(message(&none(rest).unwrap_err()).contains("lacks migration 2"));
        none(outstanding(&KNOWN, &applied(&[(1, "first"), (2, "second")])).unwrap()).unwrap();
    }

    #[test]
    fn a_database_that_was_made_by_other_steps_is_refused() {
        assert!(refusal(&[(1, "first"), (2, "second"), (3, "third")]).contains("use a newer program"));
        assert!(refusal(&[(1, "another")]).contains("is not the one of that number"));
        assert!(refusal(&[(2, "second")]).contains("where migration 1 belongs"));
    }
}
