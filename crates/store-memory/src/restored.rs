//! An organization that is taken over from an archive, row after row.

use std::collections::HashMap;
use std::sync::Arc;

use service_core::archive::{ArchivedOrganization, check_change, name_taken};
use service_core::{ImportRefusal, OrganizationRecord, Revision, Service, ServiceId, ServiceName};
use service_index::Slot;

use crate::organization::Organization;

/// What rows are checked against. The services are indexed once all of them are known, which is faster than one by one.
pub(crate) struct Restored {
    organization: Organization,
    /// By the slots that they will have: those are given in the order in which services come.
    services: Vec<Arc<Service>>,
    slots: HashMap<ServiceId, Slot>,
    /// The active services by their names.
    holders: HashMap<ServiceName, ServiceId>,
}

impl Restored {
    /// The organization before its history.
    pub(crate) fn begin(archived: ArchivedOrganization) -> Self {
        let record = OrganizationRecord { revision: Revision::ZERO, ..archived.record };
        let organization = Organization::new(record, archived.api_keys);
        Self { organization, services: Vec::new(), slots: HashMap::new(), holders: HashMap::new() }
    }

    /// Takes over the next row of the history.
    ///
    /// # Errors
    /// When it may not follow the one before it of the same service, or takes a name that is not free.
    pub(crate) fn take(&mut self, row: Arc<Service>) -> Result<(), ImportRefusal> {
        let next = Slot::try_from(self.services.len()).unwrap_or(Slot::MAX);
        let slot = *self.slots.entry(row.id).or_insert(next);
        match self.services.get_mut(slot as usize) {
            Some(place) => {
                let before = std::mem::replace(place, Arc::clone(&row));
                check_change(&before, &row)?;
                if before.is_active {
                    self.holders.remove(&before.name);
                }
            }
            None => self.services.push(Arc::clone(&row)),
        }
        if row.is_active && self.holders.insert(row.name.clone(), row.id).is_some() {
            return Err(name_taken(&row));
        }
        self.organization.remember(row, slot);
        Ok(())
    }

    /// The organization with all its services.
    pub(crate) fn complete(self) -> Organization {
        self.organization.with_services(self.services.into_iter())
    }
}
