//! Which services a listing is about.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::service::Service;
use crate::value::{ServiceId, TagKey, TagSignature, TagValue, Tags, ValueError, Wanted};

/// The most ids a filter can name.
pub const MAX_FILTER_IDS: usize = 1000;
/// The most tag filters a filter can hold.
pub const MAX_TAG_FILTERS: usize = 20;

/// A condition on a service's tags.
///
/// Written `key:value` for that pair, `key:*` for that key with any value or none, and `key:` for that key without a
/// value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagFilter {
    /// The key a service must have.
    pub key: TagKey,
    /// What it must have under the key.
    pub value: TagMatch,
}

/// What a tag filter asks of a tag's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagMatch {
    /// Any value, or none.
    Any,
    /// No value.
    Absent,
    /// This value.
    Is(TagValue),
}

impl TagFilter {
    /// Whether tags satisfy this filter.
    pub fn matches(&self, tags: &Tags) -> bool {
        match (tags.get(self.key.as_str()), &self.value) {
            (None, _) => false,
            (Some(_), TagMatch::Any) => true,
            (Some(value), TagMatch::Absent) => value.is_none(),
            (Some(value), TagMatch::Is(wanted)) => value == Some(wanted.as_str()),
        }
    }

    /// The same as what tags are compared with.
    fn wanted(&self) -> Wanted {
        match &self.value {
            TagMatch::Any => Wanted::key(&self.key),
            TagMatch::Absent => Wanted::tag(&self.key, None),
            TagMatch::Is(value) => Wanted::tag(&self.key, Some(value)),
        }
    }

    /// What the signature of tags has that satisfy this filter.
    fn signature(&self) -> TagSignature {
        match &self.value {
            TagMatch::Any => TagSignature::of_key(&self.key),
            TagMatch::Absent => TagSignature::of_pair(&self.key, None),
            TagMatch::Is(value) => TagSignature::of_pair(&self.key, Some(value)),
        }
    }
}

impl FromStr for TagFilter {
    type Err = ValueError;

    /// Splits at the first colon; key and value are stripped and obey the rules of tags.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (key, value) = text
            .split_once(':')
            .ok_or(ValueError::new("tag filter", "must be `key:value`, `key:*` or `key:`"))?;
        let value = match value.trim_matches(char::is_whitespace) {
            "" => TagMatch::Absent,
            "*" => TagMatch::Any,
            value => TagMatch::Is(value.parse()?),
        };
        Ok(Self { key: key.parse()?, value })
    }
}

impl fmt::Display for TagFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            TagMatch::Any => write!(formatter, "{}:*", self.key),
            TagMatch::Absent => write!(formatter, "{}:", self.key),
            TagMatch::Is(value) => write!(formatter, "{}:{value}", self.key),
        }
    }
}

/// Conditions that a service must satisfy, all of them. The default admits every service.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ServiceFilter {
    ids: BTreeSet<ServiceId>,
    is_active: Option<bool>,
    tags: BTreeSet<TagFilter>,
    /// What the signature of tags has that satisfy all of `tags`, and what they are compared with: both follow from those.
    signature: TagSignature,
    wanted: Arc<[Wanted]>,
}

impl fmt::Debug for ServiceFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ids, is_active, tags, signature: _, wanted: _ } = self;
        let mut fields = formatter.debug_struct("ServiceFilter");
        fields.field("ids", ids).field("is_active", is_active).field("tags", tags).finish()
    }
}

impl ServiceFilter {
    /// A filter on ids (none given: all services), activeness and tags. Ids that come twice count once.
    ///
    /// # Errors
    /// When there are more than [`MAX_FILTER_IDS`] different ids or more than [`MAX_TAG_FILTERS`] tag filters, each counted
    /// as often as it comes.
    pub fn new(
        ids: impl IntoIterator<Item = ServiceId>,
        is_active: Option<bool>,
        tags: impl IntoIterator<Item = TagFilter>,
    ) -> Result<Self, ValueError> {
        let ids: BTreeSet<ServiceId> = ids.into_iter().collect();
        if ids.len() > MAX_FILTER_IDS {
            return Err(ValueError::new("ids", "must be at most 1000"));
        }
        let mut distinct = BTreeSet::new();
        for (index, tag) in tags.into_iter().enumerate() {
            if index == MAX_TAG_FILTERS {
                return Err(ValueError::new("tag filters", "must be at most 20"));
            }
            distinct.insert(tag);
        }
        let signature =
            distinct.iter().map(TagFilter::signature).fold(TagSignature::default(), TagSignature::and);
        let wanted = distinct.iter().map(TagFilter::wanted).collect();
        Ok(Self { ids, is_active, tags: distinct, signature, wanted })
    }

    /// The ids to choose from; empty means all services.
    pub fn ids(&self) -> &BTreeSet<ServiceId> {
        &self.ids
    }

    /// The activeness wanted, if any.
    pub fn is_active(&self) -> Option<bool> {
        self.is_active
    }

    /// The tag filters, all of which must hold.
    pub fn tags(&self) -> &BTreeSet<TagFilter> {
        &self.tags
    }

    /// Whether all tag filters hold: not if the signature lacks one, surely if each is satisfied. Without any, tags are not read.
    fn finds(&self, tags: &Tags) -> bool {
        self.wanted.is_empty()
            || self.signature.may_be_among(tags.signature()) && tags.packed().has_all(&self.wanted)
    }
}

/// Whether a service satisfies every condition of a filter. Allocates nothing.
pub fn matches(filter: &ServiceFilter, service: &Service) -> bool {
    filter.is_active.is_none_or(|is_active| service.is_active == is_active)
        && (filter.ids.is_empty() || filter.ids.contains(&service.id))
        && filter.finds(&service.tags)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::*;

    #[test]
    fn tag_filters_count_as_given_and_ids_once() {
        let tag: TagFilter = "env:prod".parse().unwrap();
        let id = ServiceId::from_bytes([1; 12]);
        let filter = ServiceFilter::new(vec![id; 2000], None, vec![tag.clone(); MAX_TAG_FILTERS]).unwrap();
        assert_eq!((filter.ids().len(), filter.tags().len()), (1, 1));
        assert!(ServiceFilter::new([], None, vec![tag; MAX_TAG_FILTERS + 1]).is_err());
    }

    /// Tags that no signature tells apart: by key, and all of them as pairs.
    fn colliding() -> Vec<(TagKey, TagValue)> {
        let numbered = |prefix: &str, number: u32| format!("{prefix}{number}");
        let first: TagKey = "k0".parse().unwrap();
        let like_first = TagSignature::of_key(&first);
        let keys = (0..).map(|number| numbered("k", number).parse().unwrap());
        let keys = keys.filter(|key| TagSignature::of_key(key) == like_first);
        let pair = TagSignature::of_pair(&first, Some(&"v0".parse().unwrap()));
        keys.take(3)
            .flat_map(|key: TagKey| {
                let values = (0..).map(|number| numbered("v", number).parse().unwrap());
                let values: Vec<TagValue> =
                    values.filter(|value| TagSignature::of_pair(&key, Some(value)) == pair).take(3).collect();
                values.into_iter().map(move |value| (key.clone(), value))
            })
            .collect()
    }

    fn holds(filter: &TagFilter, tags: &[(TagKey, Option<TagValue>)]) -> bool {
        tags.iter().any(|(key, value)| {
            *key == filter.key
                && match &filter.value {
                    TagMatch::Any => true,
                    TagMatch::Absent => value.is_none(),
                    TagMatch::Is(wanted) => value.as_ref() == Some(wanted),
                }
        })
    }

    proptest! {
        #[test]
        fn tags_of_one_signature_are_told_apart(
            (tags, filters) in {
                let pairs = colliding();
                assert_eq!(pairs.len(), 9);
                let tags = pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
                let absent = pairs.iter().step_by(3).map(|(key, _)| (key.clone(), None));
                let tags: Vec<_> = tags.chain(absent).collect();
                let any = pairs.iter().step_by(3).map(|(key, _)| TagFilter { key: key.clone(), value: TagMatch::Any });
                let exactly = tags.iter().map(|(key, value)| {
                    let value = value.clone().map_or(TagMatch::Absent, TagMatch::Is);
                    TagFilter { key: key.clone(), value }
                });
                let filters: Vec<_> = any.chain(exactly).collect();
                (subsequence(tags, 0..6), subsequence(filters, 0..4))
            }
        ) {
            let mut by_key = tags;
            by_key.sort();
            by_key.dedup_by(|later, earlier| later.0 == earlier.0);
            let tags = Tags::new(by_key.iter().cloned()).unwrap();
            let filter = ServiceFilter::new([], None, filters.iter().cloned()).unwrap();
            prop_assert_eq!(filter.finds(&tags), filters.iter().all(|filter| holds(filter, &by_key)));
        }
    }
}
