//! Whether the tables of an organization agree with one another.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use service_core::{OrganizationCheck, OrganizationId, OrganizationRecord, Service, StoreError, TagFacet};

use crate::row::{self, HistoryRow, ServiceRow};
use crate::term::{self, ABSENT, TermName, VALUE};
use crate::transfer::said;

/// Checks an organization while its tables are read: history, services with their places, places, terms.
#[derive(Debug)]
pub(crate) struct StoreCheck<'a> {
    organization: &'a OrganizationId,
    check: OrganizationCheck<'a>,
    /// How many services have each term.
    terms: BTreeMap<TermName, i64>,
    places: i64,
}

impl<'a> StoreCheck<'a> {
    pub(crate) fn new(organization: &'a OrganizationId, record: &'a OrganizationRecord) -> Self {
        let check = OrganizationCheck::new(organization, record);
        Self { organization, check, terms: BTreeMap::new(), places: 0 }
    }

    pub(crate) fn report(&mut self, violation: &str) {
        self.check.report(violation);
    }

    pub(crate) fn history(&mut self, row: &HistoryRow) {
        match row::service(self.organization, row) {
            Ok(service) => self.check.history(&service),
            Err(fault) => self.unreadable(fault),
        }
    }

    /// Takes a row of services, and gives the service if it can be read.
    pub(crate) fn service(&mut self, row: ServiceRow) -> Option<Arc<Service>> {
        match row.service(self.organization) {
            Ok(service) => {
                let service = service?;
                self.check.service(&service);
                for term in term::of_service(&service) {
                    *self.terms.entry(term).or_default() += 1;
                    self.places += 1;
                }
                Some(service)
            }
            Err(fault) => {
                self.unreadable(fault);
                None
            }
        }
    }

    fn unreadable(&mut self, fault: StoreError) {
        let sentence = said(fault).unwrap_or_else(|fault| fault.to_string());
        self.check.report(&sentence);
    }

    /// Takes how many of the places that some services should have they have.
    pub(crate) fn places(&mut self, services: &[Arc<Service>], found: Vec<(Vec<u8>, i64)>) {
        let found: HashMap<Vec<u8>, i64> = found.into_iter().collect();
        for service in services {
            let expected = i64::try_from(term::of_service(service).len()).unwrap_or(i64::MAX);
            let found = found.get(service.id.as_bytes().as_slice()).copied().unwrap_or(0);
            if found != expected {
                self.check.report(&format!(
                    "service `{}` has {expected} places under its terms, but is found in {found} of them",
                    service.id
                ));
            }
        }
    }

    pub(crate) fn all_places(&mut self, found: i64) {
        if found != self.places {
            let expected = self.places;
            self.check
                .report(&format!("the services have {expected} places under terms, but {found} are kept"));
        }
    }

    /// Takes the terms that are kept. Those of tags are the facets.
    pub(crate) fn terms(&mut self, kept: Vec<(TermName, i64)>) {
        let mut facets = Vec::new();
        for (name, services) in kept {
            if self.terms.remove(&name) != Some(services) {
                let (kind, key, value) = &name;
                self.check.report(&format!(
                    "the term {kind} `{key}` `{value}` counts {services} services, and not as many have it"
                ));
            }
            facets.extend(facet(&name).zip(usize::try_from(services).ok()));
        }
        self.check.facets(facets);
        for ((kind, key, value), services) in std::mem::take(&mut self.terms) {
            self.check
                .report(&format!("the term {kind} `{key}` `{value}` of {services} services is not kept"));
        }
    }

    pub(crate) fn finish(self) -> Vec<String> {
        self.check.finish()
    }
}

/// The facet that a term is, if it is one.
fn facet((kind, key, value): &TermName) -> Option<TagFacet> {
    let key = key.parse().ok()?;
    match *kind {
        ABSENT => Some(TagFacet { key, value: None }),
        VALUE => Some(TagFacet { key, value: Some(value.parse().ok()?) }),
        _ => None,
    }
}
