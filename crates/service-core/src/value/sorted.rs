//! Small maps, each in one piece of memory.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ValueError;

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
        Sorted(self.into_iter().map(|(key, old)| (key, value(old))).collect())
    }
}

impl<K, V> From<BTreeMap<K, V>> for Sorted<K, V> {
    fn from(entries: BTreeMap<K, V>) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<K, V> IntoIterator for Sorted<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
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

impl<K: Ord + fmt::Display, V> Sorted<K, V> {
    /// Reads an object of at most so many entries, in which a key may not come twice, neither as written nor as parsed.
    ///
    /// # Errors
    /// What is wrong with the JSON, that a key comes twice, or `too_many` where there are more than `most`.
    pub(super) fn read<'de, D>(
        deserializer: D,
        expected: &'static str,
        most: usize,
        too_many: ValueError,
    ) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
        K: Deserialize<'de>,
        V: Deserialize<'de>,
    {
        deserializer.deserialize_map(Entries { expected, most, too_many, found: PhantomData })
    }
}

struct Entries<K, V> {
    expected: &'static str,
    most: usize,
    too_many: ValueError,
    found: PhantomData<(K, V)>,
}

impl<'de, K, V> Visitor<'de> for Entries<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    type Value = Sorted<K, V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sorted<K, V>, A::Error> {
        let mut entries: Vec<(K, V)> = Vec::new();
        while let Some(key) = map.next_key()? {
            if entries.len() == self.most {
                return Err(A::Error::custom(self.too_many));
            }
            if entries.len() == entries.capacity() {
                // Most have one entry or two, and then there is nothing to give back.
                entries.reserve_exact(entries.len().max(1));
            }
            entries.push((key, map.next_value()?));
        }
        if !entries.is_sorted_by(|(left, _), (right, _)| left < right) {
            entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            let mut neighbours = entries.iter().zip(entries.iter().skip(1));
            if let Some(((key, _), _)) = neighbours.find(|((key, _), (next, _))| key == next) {
                let key = key.to_string();
                let twice = format_args!("the key `{}` twice in one object", key.escape_debug());
                return Err(A::Error::custom(twice));
            }
        }
        Ok(Sorted(entries.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Deserializer;

    use super::*;

    const TOO_MANY: ValueError = ValueError::new("entries", "must be at most 6");

    proptest! {
        #[test]
        fn sorted_entries_answer_as_a_b_tree_does(
            entries in prop::collection::vec(("[a-d]{1,2}", 0..9_u8), 0..9),
        ) {
            let members: Vec<String> = entries.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            let json = format!("{{{}}}", members.join(","));
            let read = Sorted::<String, u8>::read(&mut Deserializer::from_str(&json), "entries", 6, TOO_MANY);
            let expected: BTreeMap<String, u8> = entries.iter().cloned().collect();
            let sorted = Sorted::from(expected.clone());
            match read {
                Ok(read) => {
                    prop_assert!(entries.len() <= 6);
                    prop_assert_eq!((&read, read.len()), (&sorted, entries.len()));
                }
                Err(error) if entries.len() > 6 => {
                    prop_assert!(error.to_string().starts_with("entries must be at most 6"), "{}", error);
                }
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
            prop_assert!(sorted.map(u16::from).into_iter().eq(expected.into_iter().map(|(key, value)| (key, value.into()))));
        }
    }
}
