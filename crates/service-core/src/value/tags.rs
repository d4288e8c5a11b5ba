use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{TagKey, TagSignature, TagValue, ValueError};

/// The most tags a service can have.
pub const MAX_TAGS: usize = 20;

/// The tags of a service, ordered by key: at most [`MAX_TAGS`], one value a key, which may be absent.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tags {
    by_key: Arc<[(TagKey, Option<TagValue>)]>,
    signature: TagSignature,
}

impl Tags {
    /// Collects tags, in any order.
    ///
    /// # Errors
    /// When a key comes twice, or there are more than [`MAX_TAGS`].
    pub fn new(tags: impl IntoIterator<Item = (TagKey, Option<TagValue>)>) -> Result<Self, ValueError> {
        let mut by_key = BTreeMap::new();
        for (key, value) in tags {
            if by_key.insert(key, value).is_some() {
                return Err(ValueError::new("tags", "must have each key once (keys are stripped first)"));
            }
            if by_key.len() > MAX_TAGS {
                return Err(ValueError::new("tags", "must be at most 20"));
            }
        }
        let signature = by_key.iter().fold(TagSignature::default(), |signature, (key, value)| {
            signature.and(TagSignature::of_key(key)).and(TagSignature::of_pair(key, value.as_ref()))
        });
        Ok(Self { by_key: by_key.into_iter().collect(), signature })
    }

    /// The value under `key`: `None` without such a tag, `Some(None)` for a tag without a value.
    pub fn get(&self, key: &str) -> Option<Option<&TagValue>> {
        // At most twenty keys, and most services have a handful: comparing them in turn beats a binary search.
        self.by_key.iter().find(|(other, _)| other.as_str() == key).map(|(_, value)| value.as_ref())
    }

    /// The tags, ordered by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&TagKey, Option<&TagValue>)> {
        self.by_key.iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// Which tags there may be.
    pub(crate) fn signature(&self) -> TagSignature {
        self.signature
    }

    /// How many tags there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Tags;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of tags")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tags, A::Error> {
                let mut tags = Vec::new();
                while let Some(tag) = entries.next_entry()? {
                    if tags.len() == MAX_TAGS {
                        return Err(A::Error::custom("tags must be at most 20"));
                    }
                    tags.push(tag);
                }
                Tags::new(tags).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
