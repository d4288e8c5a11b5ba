//! The statement that writes changes of services.

use std::collections::BTreeMap;

use service_core::{OrganizationId, Revision, Service, StoreError};
use store_sql::row;
use store_sql::term::{TermChanges, TermName};

use crate::row::ids;
use crate::transaction::Transaction;

/// What becomes of the place of a service under a term.
#[derive(Debug, Clone, Copy)]
enum Place {
    Gone,
    Moved,
    New,
}

/// Writes of one organization's services that happen at once, no two of one service.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    services: Vec<Written>,
    /// The terms of which places change, and how many more services have each.
    terms: BTreeMap<TermName, i64>,
    /// Places: the term, the number of the service among these, what becomes of it.
    places: Vec<(TermName, i64, Place)>,
}

#[derive(Debug)]
struct Written {
    service: Service,
    /// Null in the statement if there was no such service.
    was_active: Option<bool>,
}

impl Writes {
    /// Adds a write; `before` is the service as it was, if it was.
    pub(crate) fn add(&mut self, before: Option<&Service>, service: Service) {
        let number = i64::try_from(self.services.len()).unwrap_or(i64::MAX).saturating_add(1);
        let TermChanges { gone, new, moved } = TermChanges::of(before, &service);
        for (names, place, change) in
            [(gone, Place::Gone, -1), (moved, Place::Moved, 0), (new, Place::New, 1)]
        {
            for name in names {
                *self.terms.entry(name.clone()).or_insert(0) += change;
                self.places.push((name, number, place));
            }
        }
        self.services.push(Written { service, was_active: before.map(|before| before.is_active) });
    }

    /// Makes the writes, and moves the organization on to a revision.
    pub(crate) async fn write(
        &self,
        transaction: &mut Transaction,
        organization: &OrganizationId,
        revision: Revision,
    ) -> Result<(), sqlx::Error> {
        let services = || self.services.iter().map(|written| &written.service);
        let bodies = services().map(row::body).collect::<Result<Vec<String>, StoreError>>();
        let bodies = bodies.map_err(|fault| sqlx::Error::Encode(Box::new(fault)))?;
        let numbers: BTreeMap<&TermName, i64> = self.terms.keys().zip(1..).collect();
        let number_of = |(name, ..): &(TermName, i64, Place)| numbers.get(name).copied().unwrap_or_default();
        sqlx::query(WRITE)
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
            .bind(self.services.iter().map(|written| written.was_active).collect::<Vec<_>>())
            .bind(self.terms.keys().map(|(kind, _, _)| *kind).collect::<Vec<_>>())
            .bind(self.terms.keys().map(|(_, key, _)| key.as_str()).collect::<Vec<_>>())
            .bind(self.terms.keys().map(|(_, _, value)| value.as_str()).collect::<Vec<_>>())
            .bind(self.terms.values().copied().collect::<Vec<_>>())
            .bind(self.places.iter().map(number_of).collect::<Vec<_>>())
            .bind(self.places.iter().map(|(_, service, _)| *service).collect::<Vec<_>>())
            .bind(self.places.iter().map(|(_, _, place)| *place as i64).collect::<Vec<_>>())
            .execute(&mut **transaction)
            .await?;
        Ok(())
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
