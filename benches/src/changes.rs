//! What happens to services after they were created.

use std::collections::HashMap;

use service_core::{Description, Revision, Service, ServiceName, TagKey, TagValue, Tags, Timestamp};

use crate::{Error, Numbers, Organization};

/// The writes after the creation of an organization's services, one by one. It keeps the services that were changed.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    organization: &'a Organization,
    left: u64,
    numbers: Numbers,
    revision: Option<Revision>,
    now: Option<Timestamp>,
    changed: HashMap<u64, Service>,
}

impl<'a> Changes<'a> {
    pub(crate) fn of(organization: &'a Organization, count: u64) -> Self {
        let numbers = Numbers::new(organization.services());
        Self { organization, left: count, numbers, revision: None, now: None, changed: HashMap::new() }
    }

    /// The next write. Nothing that it makes has a name which an active service could have.
    fn change(&mut self) -> Result<Service, Error> {
        let last = self.organization.services();
        let created = self.organization.created(last.saturating_sub(1))?;
        let revision = self.revision.unwrap_or(created.revision).next();
        let before = self.now.unwrap_or(created.updated_at);
        let now = Timestamp::from_microseconds(before.as_microseconds() + 1_000_000)?;
        (self.revision, self.now) = (Some(revision), Some(now));

        // Every other write is to one of a few services, which get a long history.
        let among = if self.numbers.below(2) == 0 { last } else { last.div_ceil(50) };
        let index = self.numbers.below(among);
        let mut service = match self.changed.remove(&index) {
            Some(service) => service,
            None => self.organization.created(index)?,
        };
        let new_name = || ServiceName::new(&format!("{} renamed {revision}", first_word(&service.name)));
        match self.numbers.below(4) {
            0 => service.name = new_name()?,
            1 => service.tags = self.other_tags(&service.tags)?,
            2 if service.is_active => service.is_active = false,
            2 => {
                service.name = new_name()?;
                service.is_active = true;
            }
            _ => service.description = Description::new(&format!("As of revision {revision}."))?,
        }
        (service.revision, service.updated_at) = (revision, now);
        self.changed.insert(index, service.clone());
        Ok(service)
    }

    /// All tags but one, and one more: now and then one that no other service has.
    fn other_tags(&mut self, tags: &Tags) -> Result<Tags, Error> {
        let left_out = usize::try_from(self.numbers.below(20))?;
        let kept = tags.pairs().enumerate().filter(|(place, _)| *place != left_out);
        let mut tags: Vec<(TagKey, Option<TagValue>)> = kept.map(|(_, tag)| tag).collect();
        let key: TagKey = format!("changed {}", self.numbers.below(3)).parse()?;
        let value = match self.numbers.below(4) {
            0 => None,
            1 => Some(format!("value {}", self.numbers.draw()).parse()?),
            _ => Some("often".parse()?),
        };
        tags.retain(|(other, _)| *other != key);
        tags.truncate(19);
        tags.push((key, value));
        Ok(Tags::new(tags)?)
    }
}

impl Iterator for Changes<'_> {
    type Item = Result<Service, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.change())
    }
}

fn first_word(name: &ServiceName) -> &str {
    name.as_str().split_whitespace().next().unwrap_or("Service")
}
