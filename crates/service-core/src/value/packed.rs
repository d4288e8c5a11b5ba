//! Tags in one piece of memory.

use std::sync::Arc;

use super::{TagKey, TagValue};

/// How many bytes of tags stand in the service itself: half a dozen short ones.
const INLINE: usize = 62;

/// Tags one after the other, in the order of their keys: each the length of its key, that of its value and one more (0 without a
/// value), the key and the value. Few stand where they are asked for, more elsewhere, and are shared by clones.
#[derive(Clone)]
pub(crate) enum Packed {
    Here { length: u8, bytes: [u8; INLINE] },
    Elsewhere(Arc<[u8]>),
}

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

/// What a filter asks of tags, in their form, to be compared as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    Key(Box<[u8]>),
    Tag(Box<[u8]>),
}

impl Packed {
    /// Packs tags that are in the order of their keys.
    pub(crate) fn new(tags: &[(TagKey, Option<TagValue>)]) -> Self {
        // Most are packed without growing.
        let mut all = Vec::with_capacity(2 * INLINE);
        for (key, value) in tags {
            push(&mut all, key.as_str(), value.as_ref().map(TagValue::as_str));
        }
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..all.len()), u8::try_from(all.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(&all);
                Self::Here { length, bytes }
            }
            _ => Self::Elsewhere(all.into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Here { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Elsewhere(bytes) => bytes,
        }
    }

    pub(crate) fn pieces(&self) -> Pieces<'_> {
        Pieces(self.bytes())
    }

    /// Whether there is a tag for each that is wanted. Those are in the order of their keys.
    pub(crate) fn has_all(&self, wanted: &[Wanted]) -> bool {
        let mut rest = Pieces(self.bytes());
        wanted.iter().all(|wanted| {
            loop {
                let here = rest.0;
                let Some(piece) = rest.next() else { return false };
                let is_found = match wanted {
                    Wanted::Key(key) => *piece.key == **key,
                    // Most tags differ in the length of the key.
                    Wanted::Tag(tag) => here.first() == tag.first() && here.starts_with(tag),
                };
                if is_found {
                    // The next may want the same key.
                    rest.0 = here;
                    return true;
                }
            }
        })
    }
}

impl Default for Packed {
    fn default() -> Self {
        Self::Here { length: 0, bytes: [0; INLINE] }
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Packed {}

impl Piece<'_> {
    /// The text that was packed.
    pub(crate) fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl Wanted {
    pub(crate) fn key(key: &TagKey) -> Self {
        Self::Key(key.as_str().as_bytes().into())
    }

    pub(crate) fn tag(key: &TagKey, value: Option<&TagValue>) -> Self {
        let mut tag = Vec::new();
        push(&mut tag, key.as_str(), value.map(TagValue::as_str));
        Self::Tag(tag.into())
    }
}

/// The tags that are packed in some bytes, in their order.
pub(crate) struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    fn take_length(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        if *first < LONG {
            return Some(usize::from(*first));
        }
        let (second, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(first - LONG) << 8 | usize::from(*second))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (key, value) = (self.take_length()?, self.take_length()?);
        let key = self.take(key)?;
        let value = match value.checked_sub(1) {
            Some(value) => Some(self.take(value)?),
            None => None,
        };
        Some(Piece { key, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = Pieces(self.0).fold(0, |count, _| count + 1);
        (count, Some(count))
    }
}

impl ExactSizeIterator for Pieces<'_> {}

/// The first byte of a length that takes two. A text of a tag has at most 512 bytes.
const LONG: u8 = 0xf0;

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    let [.., high, low] = length.to_be_bytes();
    if high == 0 && low < LONG {
        bytes.push(low);
    } else {
        bytes.extend([LONG + high, low]);
    }
}

fn push(bytes: &mut Vec<u8>, key: &str, value: Option<&str>) {
    push_length(bytes, key.len());
    push_length(bytes, value.map_or(0, |value| value.len() + 1));
    bytes.extend(key.as_bytes());
    bytes.extend(value.unwrap_or_default().as_bytes());
}
