//! Small maps, each in one piece of memory.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Entries in the order of their keys, each key once. Most have one entry or two and take no more room than those: a B-tree has
/// room for eleven.
#[derive(Clone, PartialEq)]
pub(super) struct Sorted<K, V>(Box<[(K, V)]>);

impl<K, V> Sorted<K, V> {
    /// The value under a key.
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.0.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// The entries, in order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The same keys with other values.
    pub(super) fn map<W>(self, mut value: impl FnMut(V) -> W) -> Sorted<K, W> {
        Sorted(self.0.into_iter().map(|(key, old)| (key, value(old))).collect())
    }
}

impl<K, V> From<BTreeMap<K, V>> for Sorted<K, V> {
    fn from(entries: BTreeMap<K, V>) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Sorted<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Sorted<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Reads an object in which a key may not come twice, neither as written nor as parsed.
impl<'de, K, V> Deserialize<'de> for Sorted<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = Vec<(K, V)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == entries.capacity() {
                        // Most have one entry or two, and then there is nothing to give back.
                        entries.reserve_exact(entries.len().max(1));
                    }
                    entries.push(entry);
                }
                Ok(entries)
            }
        }
        let mut entries: Vec<(K, V)> = deserializer.deserialize_map(Entries(PhantomData))?;
        if !entries.is_sorted_by(|(left, _), (right, _)| left < right) {
            entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            let mut neighbours = entries.iter().zip(entries.iter().skip(1));
            if let Some(((key, _), _)) = neighbours.find(|((key, _), (next, _))| key == next) {
                return Err(D::Error::custom(format_args!("the key `{key}` twice in one object")));
            }
        }
        Ok(Self(entries.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorted_entries_are_a_b_tree(entries in prop::collection::vec(("[a-d]{1,2}", 0..9_u8), 0..9)) {
            let members: Vec<String> = entries.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            let read = serde_json::from_str::<Sorted<String, u8>>(&format!("{{{}}}", members.join(",")));
            let expected: BTreeMap<String, u8> = entries.iter().cloned().collect();
            let sorted = Sorted::from(expected.clone());
            match read {
                Ok(read) => prop_assert_eq!((&read, read.len()), (&sorted, entries.len())),
                Err(error) => {
                    prop_assert!(expected.len() < entries.len());
                    prop_assert!(error.to_string().contains("twice in one object"), "{}", error);
                }
            }
            prop_assert_eq!(sorted.len(), expected.len());
            prop_assert!(sorted.iter().eq(&expected));
            prop_assert_eq!(serde_json::to_string(&sorted).ok(), serde_json::to_string(&expected).ok());
            for key in ["a", "b", "cc", "d", "e"] {
                prop_assert_eq!(sorted.get(key), expected.get(key));
            }
        }
    }
}
