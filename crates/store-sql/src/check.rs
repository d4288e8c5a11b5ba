//! Whether the tables of an organization agree with one another.

use service_core::{OrganizationCheck, OrganizationId, OrganizationRecord, StoreError};

use crate::row::{self, FacetRow, PlacedRow, ServiceRow};
use crate::transfer::said;

/// Checks an organization while its tables are read: history, services, facets.
#[derive(Debug)]
pub(crate) struct StoreCheck<'a> {
    organization: &'a OrganizationId,
    check: OrganizationCheck<'a>,
}

impl<'a> StoreCheck<'a> {
    pub(crate) fn new(organization: &'a OrganizationId, record: &'a OrganizationRecord) -> Self {
        let check = OrganizationCheck::new(organization, record);
        Self { organization, check }
    }

    pub(crate) fn report(&mut self, violation: &str) {
        self.check.report(violation);
    }

    pub(crate) fn history(&mut self, row: &PlacedRow) {
        match row.service(self.organization) {
            Ok(service) => self.check.history(&service),
            Err(fault) => self.unreadable(fault),
        }
    }

    pub(crate) fn service(&mut self, row: ServiceRow) {
        match row.service(self.organization) {
            Ok(Some(service)) => self.check.service(&service),
            Ok(None) => {}
            Err(fault) => self.unreadable(fault),
        }
    }

    fn unreadable(&mut self, fault: StoreError) {
        let sentence = said(fault).unwrap_or_else(|fault| fault.to_string());
        self.check.report(&sentence);
    }

    /// Takes the facets that are kept, each with the number of services that it counts.
    pub(crate) fn facets(&mut self, kept: Vec<FacetRow>) {
        let mut facets = Vec::new();
        for row in kept {
            match row::facet(self.organization, &row) {
                Ok(facet) => facets.push(facet),
                Err(fault) => self.unreadable(fault),
            }
        }
        self.check.facets(facets);
    }

    pub(crate) fn finish(self) -> Vec<String> {
        self.check.finish()
    }
}
