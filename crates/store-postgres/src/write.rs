//! The statement that writes changes of services.

use std::collections::BTreeMap;

use service_core::{OrganizationId, Revision, StoreError};
use store_sql::change::Change;
use store_sql::row;
use store_sql::term::{TermChanges, TermName};

use crate::error::{is_name_taken, store_error};
use crate::row::ids;
use crate::transaction::Transaction;

/// What becomes of the place of a service under a term.
#[derive(Debug, Clone, Copy)]
enum Place {
    Left,
    Moved,
    Taken,
}

/// The terms of which places change, and what changes.
#[derive(Debug, Default)]
struct Terms {
    /// Each with how many more services have it.
    counts: BTreeMap<TermName, i64>,
    /// Places: the term, the number of the change, what becomes of it.
    places: Vec<(TermName, i64, Place)>,
}

impl Terms {
    fn of(changes: &[Change]) -> Self {
        let mut terms = Self::default();
        for (Change { before, after }, number) in changes.iter().zip(1..) {
            let TermChanges { gone, new, moved } = TermChanges::of(before.as_deref(), after);
            for (names, place, change) in
                [(gone, Place::Left, -1), (moved, Place::Moved, 0), (new, Place::Taken, 1)]
            {
                for name in names {
                    *terms.counts.entry(name.clone()).or_default() += change;
                    terms.places.push((name, number, place));
                }
            }
        }
        terms
    }
}

/// What became of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// They are made.
    Done,
    /// The database refused them, because of a name that two active services would have had.
    NameTaken,
}

/// Makes changes of an organization's services, a run that may happen at once, and moves the organization on to a revision.
pub(crate) async fn write(
    transaction: &mut Transaction,
    organization: &OrganizationId,
    changes: &[Change],
    revision: Revision,
) -> Result<Written, StoreError> {
    let services = || changes.iter().map(|change| &*change.after);
    let was_active = |change: &Change| change.before.as_ref().map(|before| before.is_active);
    let bodies: Vec<String> = services().map(row::body).collect::<Result<_, _>>()?;
    let terms = Terms::of(changes);
    let numbers: BTreeMap<&TermName, i64> = terms.counts.keys().zip(1..).collect();
    let number_of = |(name, ..): &(TermName, i64, Place)| numbers.get(name).copied();
    let outcome = sqlx::query(WRITE)
        .persistent(transaction.prepared)
        .bind(organization.as_str())
        .bind(revision.get())
        .bind(services().map(|service| service.revision.get()).collect::<Vec<_>>())
        .bind(ids(services().map(|service| service.id.as_bytes())))
        .bind(bodies)
        .bind(services().map(|service| service.name.as_str()).collect::<Vec<_>>())
        .bind(services().map(|service| service.is_active).collect::<Vec<_>>())
        .bind(ids(services().map(|service| service.agent_id.as_bytes())))
        .bind(ids(services().map(|service| service.state_machine_id.as_bytes())))
        .bind(changes.iter().map(was_active).collect::<Vec<_>>())
        .bind(terms.counts.keys().map(|(kind, _, _)| *kind).collect::<Vec<_>>())
        .bind(terms.counts.keys().map(|(_, key, _)| key.as_str()).collect::<Vec<_>>())
        .bind(terms.counts.keys().map(|(_, _, value)| value.as_str()).collect::<Vec<_>>())
        .bind(terms.counts.values().copied().collect::<Vec<_>>())
        .bind(terms.places.iter().map(number_of).collect::<Vec<_>>())
        .bind(terms.places.iter().map(|(_, change, _)| *change).collect::<Vec<_>>())
        .bind(terms.places.iter().map(|(_, _, place)| *place as i64).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await;
    match outcome {
        Ok(_) => Ok(Written::Done),
        Err(fault) if is_name_taken(&fault) => Ok(Written::NameTaken),
        Err(fault) => Err(store_error(fault)),
    }
}

/// Writes history, services, terms, tagged services and guard.
///
/// All parts see the state before the statement and run in no order, so no row is written by two of them: a term is counted,
/// dropped or added, and a place is left, moved or taken. New terms take the numbers after the highest, so none takes that of
/// a term that is dropped. A term that fewer services have than leave it, or that is left and not there, breaks a check of
/// its table.
const WRITE: &str = "WITH
 written AS (
     SELECT * FROM unnest($3, $4, $5, $6, $7, $8, $9, $10) WITH ORDINALITY
         AS w (revision, id, body, name, is_active, agent_id, state_machine_id, was_active, number)),
 guard AS (
     UPDATE service_registry.organizations SET revision = $2 WHERE organization = $1),
 history AS (
     INSERT INTO service_registry.history (organization, revision, id, body)
     SELECT $1, revision, id, body FROM written),
 added_services AS (
     INSERT INTO service_registry.services (organization, id, name, is_active, agent_id, state_machine_id, revision)
     SELECT $1, id, name, is_active, agent_id, state_machine_id, revision FROM written WHERE was_active IS NULL),
 changed_services AS (
     UPDATE service_registry.services AS s
     SET name = w.name, is_active = w.is_active, agent_id = w.agent_id, state_machine_id = w.state_machine_id,
         revision = w.revision
     FROM written AS w
     WHERE w.was_active IS NOT NULL AND s.organization = $1 AND s.id = w.id),
 wanted AS (
     SELECT * FROM unnest($11, $12, $13, $14) WITH ORDINALITY AS w (kind, key, value, change, number)),
 known AS MATERIALIZED (
     SELECT w.number, w.change, t.term, t.services
     FROM wanted AS w
     JOIN service_registry.tag_terms AS t
         ON t.organization = $1 AND t.key = w.key AND t.kind = w.kind AND t.value = w.value),
 counted AS (
     UPDATE service_registry.tag_terms AS t SET services = t.services + k.change
     FROM known AS k
     WHERE t.organization = $1 AND t.term = k.term AND k.change <> 0 AND k.services + k.change <> 0),
 dropped AS (
     DELETE FROM service_registry.tag_terms AS t
     USING known AS k
     WHERE t.organization = $1 AND t.term = k.term AND k.services + k.change = 0),
 added AS (
     INSERT INTO service_registry.tag_terms (organization, kind, key, value, term, services)
     SELECT $1, kind, key, value,
         (SELECT coalesce(max(term), 0) FROM service_registry.tag_terms WHERE organization = $1)
             + row_number() OVER (ORDER BY number),
         change
     FROM wanted AS w
     WHERE NOT EXISTS (SELECT 1 FROM known AS k WHERE k.number = w.number)
     RETURNING kind, key, value, term),
 numbered AS (
     SELECT number, term FROM known
     UNION ALL
     SELECT w.number, a.term FROM added AS a JOIN wanted AS w ON w.key = a.key AND w.kind = a.kind AND w.value = a.value),
 places AS MATERIALIZED (
     SELECT p.place, n.term, w.id, w.name, w.is_active, w.was_active
     FROM unnest($15, $16, $17) AS p (term, service, place)
     JOIN numbered AS n ON n.number = p.term
     JOIN written AS w ON w.number = p.service),
 left_places AS (
     DELETE FROM service_registry.tagged_services AS t
     USING places AS p
     WHERE p.place = 0 AND t.organization = $1 AND t.term = p.term AND t.is_active = p.was_active AND t.id = p.id),
 moved AS (
     UPDATE service_registry.tagged_services AS t SET is_active = p.is_active, name = p.name
     FROM places AS p
     WHERE p.place = 1 AND t.organization = $1 AND t.term = p.term AND t.is_active = p.was_active AND t.id = p.id)
 INSERT INTO service_registry.tagged_services (organization, term, is_active, name, id)
 SELECT $1, term, is_active, name, id FROM places WHERE place = 2";
