//! Whether what is stored is sound: the invariants of an organization, told from its history and its services as they are read.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::catalog::OrganizationCatalog;
use crate::page::TagFacet;
use crate::repository::OrganizationRecord;
use crate::service::{MAX_SERVICE_BYTES, Service};
use crate::value::{
    OrganizationId, Principal, Revision, ServiceId, ServiceName, SimulationUnitTestId, Timestamp, VersionSet,
    VersionSetName,
};

/// The most violations that are told of one organization.
pub const MAX_VIOLATIONS: usize = 1000;

/// Checks one organization while it is read: its history first, then its services, then its facets.
///
/// It keeps a few numbers of each service, not the services, so that an organization need not fit into memory.
#[derive(Debug)]
pub struct OrganizationCheck<'a> {
    organization: &'a OrganizationId,
    record: &'a OrganizationRecord,
    last: Revision,
    traces: HashMap<ServiceId, Trace>,
    listed: usize,
    /// The active services by name, as of the row of history that was last.
    holders: HashMap<ServiceName, ServiceId>,
    /// The names that two services held at once, as the history told.
    shared: HashSet<ServiceName>,
    active: HashMap<ServiceName, ServiceId>,
    facets: BTreeMap<TagFacet, usize>,
    /// The live tests whose target has not been seen yet.
    untargeted: HashMap<ServiceId, Vec<(SimulationUnitTestId, &'a VersionSetName)>>,
    violations: Vec<String>,
}

/// What is kept of a service: of its last row of history.
#[derive(Debug)]
struct Trace {
    revision: Revision,
    creator: Principal,
    created_at: Timestamp,
    updated_at: Timestamp,
    active_name: Option<ServiceName>,
}

impl<'a> OrganizationCheck<'a> {
    /// A check of an organization whose guard and catalog are these.
    pub fn new(organization: &'a OrganizationId, record: &'a OrganizationRecord) -> Self {
        let mut untargeted: HashMap<_, Vec<_>> = HashMap::new();
        for (id, test) in record.catalog.simulation_unit_tests.iter().filter(|(_, test)| !test.deleted) {
            untargeted.entry(test.service_id).or_default().push((*id, &test.version_set_name));
        }
        Self {
            organization,
            record,
            last: Revision::ZERO,
            traces: HashMap::new(),
            listed: 0,
            holders: HashMap::new(),
            shared: HashSet::new(),
            active: HashMap::new(),
            facets: BTreeMap::new(),
            untargeted,
            violations: Vec::new(),
        }
    }

    /// Something that is wrong, found by whoever reads.
    pub fn report(&mut self, violation: &str) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(format!("organization `{}`: {violation}", self.organization));
        }
    }

    /// The next row of the history.
    pub fn history(&mut self, row: &Service) {
        if row.revision != self.last.next() {
            self.report(&format!(
                "the revisions of the history are not 1, 2, 3, … without a gap: {} follows {}",
                row.revision, self.last
            ));
        }
        self.last = row.revision;
        let trace = Trace {
            revision: row.revision,
            creator: row.creator.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            active_name: row.is_active.then(|| row.name.clone()),
        };
        let before = self.traces.insert(row.id, trace);
        self.hold_name(before.as_ref().and_then(|before| before.active_name.as_ref()), row);
        let fault = before
            .and_then(|before| change_fault((&before.creator, before.created_at, before.updated_at), row))
            .or_else(|| row_fault(self.organization, &self.record.catalog, row));
        if let Some(fault) = fault {
            self.report(&format!("service `{}` in revision {} {fault}", row.id, row.revision));
        }
    }

    /// Lets a row of history give up the name that its service held, and take its own.
    fn hold_name(&mut self, before: Option<&ServiceName>, row: &Service) {
        if let Some(name) = before
            && self.holders.get(name) == Some(&row.id)
        {
            self.holders.remove(name);
        }
        if row.is_active
            && let Some(other) = self.holders.insert(row.name.clone(), row.id)
        {
            self.shared.insert(row.name.clone());
            self.report(&format!(
                "services `{other}` and `{}` were both active and called `{}` in revision {}",
                row.id, row.name, row.revision
            ));
        }
    }

    /// One of the services as they are.
    pub fn service(&mut self, service: &Service) {
        let id = service.id;
        self.listed += 1;
        match self.traces.get(&id).map(|trace| trace.revision) {
            None => self.report(&format!("service `{id}` has no history")),
            Some(last) if last != service.revision => self.report(&format!(
                "service `{id}` is what revision {} says, but its last revision is {last}",
                service.revision
            )),
            Some(_) => {}
        }
        if service.is_active
            && let Some(other) = self.active.insert(service.name.clone(), id)
            && !self.shared.contains(&service.name)
        {
            self.report(&format!(
                "services `{other}` and `{id}` are both active and called `{}`",
                service.name
            ));
        }
        for facet in facets_of(service) {
            *self.facets.entry(facet).or_insert(0) += 1;
        }
        if let Some(tests) = self.untargeted.remove(&id) {
            for (test, name) in tests {
                if !service.is_active || service.version_sets.get(name).is_none() {
                    self.report(&format!(
                        "simulation unit test `{test}` names no version set of an active service"
                    ));
                }
            }
        }
    }

    /// The facets as they are kept: each tag, with the number of services that have it.
    pub fn facets(&mut self, kept: impl IntoIterator<Item = (TagFacet, usize)>) {
        for (facet, services) in kept {
            match self.facets.remove(&facet) {
                Some(counted) if counted == services => {}
                Some(counted) => self.report(&format!(
                    "the facet `{facet}` counts {services} services, but {counted} have the tag"
                )),
                None => self.report(&format!("the facet `{facet}` is of a tag that no service has")),
            }
        }
        for (facet, counted) in std::mem::take(&mut self.facets) {
            self.report(&format!("the tag `{facet}` of {counted} services is not among the facets"));
        }
    }

    /// What is wrong, at most [`MAX_VIOLATIONS`] sentences; none if the organization is sound.
    pub fn finish(mut self) -> Vec<String> {
        if self.last != self.record.revision {
            self.report(&format!(
                "the history ends at revision {}, but the organization's counter is at {}",
                self.last, self.record.revision
            ));
        }
        if self.listed != self.traces.len() {
            self.report(&format!(
                "there are {} services, but the history is of {}",
                self.listed,
                self.traces.len()
            ));
        }
        for (test, _) in std::mem::take(&mut self.untargeted).into_values().flatten() {
            self.report(&format!("simulation unit test `{test}` names no version set of an active service"));
        }
        self.violations
    }
}

/// The tags of a service as facets.
pub(crate) fn facets_of(service: &Service) -> impl Iterator<Item = TagFacet> {
    service.tags.pairs().map(|(key, value)| TagFacet { key, value })
}

/// What is wrong with a row of history by itself, or beside the catalog: the rest of a sentence about the service.
pub(crate) fn row_fault(
    organization: &OrganizationId,
    catalog: &OrganizationCatalog,
    row: &Service,
) -> Option<String> {
    if row.organization != *organization {
        return Some(format!("is of organization `{}`", row.organization));
    }
    if row.version_sets.get(&VersionSetName::edge()) != Some(&VersionSet::default())
        || row.version_sets.get(&VersionSetName::release()).is_none()
    {
        return Some("lacks `release`, or an `edge` that follows the latest versions".to_owned());
    }
    let Some(agent) = catalog.agents.get(&row.agent_id) else {
        return Some(format!("has the agent `{}`, which the catalog does not know", row.agent_id));
    };
    let Some(machine) = catalog.state_machines.get(&row.state_machine_id) else {
        let machine = row.state_machine_id;
        return Some(format!("has the state machine `{machine}`, which the catalog does not know"));
    };
    for (name, set) in row.version_sets.iter() {
        if set.agent_version_number.is_some_and(|pin| !agent.has_version(pin))
            || set.state_machine_version_number.is_some_and(|pin| !machine.has_version(pin))
        {
            return Some(format!("has the version set `{name}`, which pins a version that does not exist"));
        }
    }
    if row.updated_at < row.created_at {
        return Some("was updated before it was created".to_owned());
    }
    (row.json_bytes() > MAX_SERVICE_BYTES).then(|| format!("is larger than {MAX_SERVICE_BYTES} bytes"))
}

/// What is wrong with a row of history after the row before it of the same service, of which these were creator, time of
/// creation and time of update.
pub(crate) fn change_fault(
    (creator, created_at, updated_at): (&Principal, Timestamp, Timestamp),
    row: &Service,
) -> Option<String> {
    if row.updated_at < updated_at {
        Some("was updated earlier than before".to_owned())
    } else if row.created_at != created_at || row.creator != *creator {
        Some("was created by another or at another time than before".to_owned())
    } else {
        None
    }
}
