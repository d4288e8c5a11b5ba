use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::packed::{Packed, Piece};
use super::{TagKey, TagSignature, TagValue, ValueError};

/// The most tags a service can have.
pub const MAX_TAGS: usize = 20;

/// The tags of a service, ordered by key: at most [`MAX_TAGS`], one value a key, which may be absent.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tags {
    signature: TagSignature,
    packed: Packed,
}

impl Tags {
    /// Collects tags, in any order.
    ///
    /// # Errors
    /// When a key comes twice, or there are more than [`MAX_TAGS`].
    pub fn new(tags: impl IntoIterator<Item = (TagKey, Option<TagValue>)>) -> Result<Self, ValueError> {
        let mut by_key = ByKey::default();
        for (key, value) in tags {
            by_key.insert(key, value)?;
        }
        Ok(by_key.packed())
    }

    /// The value under `key`: `None` without such a tag, `Some(None)` for a tag without a value.
    pub fn get(&self, key: &str) -> Option<Option<&str>> {
        Some(self.seen(key)?.map(Piece::text))
    }

    /// The same as bytes, in which values compare as they do as texts.
    pub(crate) fn seen(&self, key: &str) -> Option<Option<&[u8]>> {
        // At most twenty keys, and most services have a handful: comparing them in turn beats a binary search.
        self.packed.pieces().find(|piece| piece.key == key.as_bytes()).map(|piece| piece.value)
    }

    /// The tags, ordered by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.packed.pieces().map(|piece| (Piece::text(piece.key), piece.value.map(Piece::text)))
    }

    /// The same as values by themselves.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (TagKey, Option<TagValue>)> {
        self.iter().map(|(key, value)| (TagKey::kept(key), value.map(TagValue::kept)))
    }

    /// Which tags there may be.
    pub(crate) fn signature(&self) -> TagSignature {
        self.signature
    }

    /// The tags as they are kept.
    pub(crate) fn packed(&self) -> &Packed {
        &self.packed
    }

    /// How many tags there are.
    pub fn len(&self) -> usize {
        self.packed.pieces().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Tags that are collected, in the order of their keys.
#[derive(Default)]
struct ByKey(Vec<(TagKey, Option<TagValue>)>);

impl ByKey {
    fn insert(&mut self, key: TagKey, value: Option<TagValue>) -> Result<(), ValueError> {
        let Self(tags) = self;
        // Most come in their order.
        let place = match tags.last() {
            Some((last, _)) if *last >= key => tags.binary_search_by(|(other, _)| other.cmp(&key)),
            _ => Err(tags.len()),
        };
        let Err(place) = place else {
            return Err(ValueError::new("tags", "must have each key once (keys are stripped first)"));
        };
        if tags.len() == MAX_TAGS {
            return Err(ValueError::new("tags", "must be at most 20"));
        }
        tags.insert(place, (key, value));
        Ok(())
    }

    fn packed(self) -> Tags {
        let Self(tags) = self;
        let signature = tags.iter().fold(TagSignature::default(), |signature, (key, value)| {
            signature.and(TagSignature::of_key(key)).and(TagSignature::of_pair(key, value.as_ref()))
        });
        Tags { signature, packed: Packed::new(&tags) }
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
                let mut by_key = ByKey::default();
                while let Some((key, value)) = entries.next_entry()? {
                    by_key.insert(key, value).map_err(A::Error::custom)?;
                }
                Ok(by_key.packed())
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
