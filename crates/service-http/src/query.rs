//! The query of a listing.
//!
//! Percent-decoding is that of browsers' forms: `+` is a space, a percent sign that starts no sequence stands for itself. What is
//! decoded must be UTF-8. Parameters nobody knows are ignored, whatever they hold.

use std::collections::BTreeSet;
use std::str::FromStr;

use percent_encoding::percent_decode;
use service_core::filter::{MAX_FILTER_IDS, MAX_TAG_FILTERS};
use service_core::{
    ContinuationToken, Limit, ListServices, ServiceFilter, ServiceId, Sort, SortKey, TagFilter, ValueError,
};

use crate::invalid::{Faults, Invalid, Loc, Noted, kind};

/// How many faults of lists are noted. An honest query has few; a hostile one is not answered with more than it sent.
const MAX_NOTED: usize = 100;

/// Reads the query of a listing, as it stands in the URL behind the question mark.
///
/// # Errors
/// Every parameter at fault.
pub(crate) fn decode_listing(raw_query: Option<&str>) -> Result<ListServices, Invalid> {
    let parameters = Parameters::of(raw_query.unwrap_or_default());
    let mut faults = Faults::default();
    let outcome = parameters.read(&mut faults);
    faults.finish(outcome)
}

/// The parameters of a query in the order they came, decoded: `None` for what is no UTF-8.
struct Parameters(Vec<(String, Option<String>)>);

impl Parameters {
    fn of(raw_query: &str) -> Self {
        let pairs = raw_query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)))
        });
        Self(pairs.collect())
    }

    fn read(&self, faults: &mut Faults) -> Result<ListServices, Noted> {
        let filter = self.filter(faults);
        let sort = self.sort(faults);
        let limit = self.single("limit", faults, limit);
        let token = self.single("continuation_token", faults, continuation_token);
        Ok(ListServices {
            filter: filter?,
            sort: sort?,
            limit: limit?.unwrap_or_default(),
            token: token?.unwrap_or_default(),
        })
    }

    fn filter(&self, faults: &mut Faults) -> Result<ServiceFilter, Noted> {
        let ids = self.ids(faults);
        let is_active = self.single("is_active", faults, boolean);
        let tags = self.tags(faults);
        // Both lists have been counted, so nothing is left to be wrong.
        ServiceFilter::new(ids?, is_active?, tags?)
            .map_err(|error| faults.note(&Loc::root("query"), error.to_string(), kind::TOO_LONG))
    }

    fn ids(&self, faults: &mut Faults) -> Result<BTreeSet<ServiceId>, Noted> {
        let (ids, ill_formed) = self.list("id", faults);
        let distinct: BTreeSet<ServiceId> = ids.into_iter().map(|(_, id)| id).collect();
        if distinct.len() > MAX_FILTER_IDS {
            let msg = format!("must be at most {MAX_FILTER_IDS} different ones");
            return Err(faults.note(&Loc::root("query").name("id"), msg, kind::TOO_LONG));
        }
        ill_formed.map_or(Ok(distinct), Err)
    }

    /// The filters of both spellings, `tags` and `tag`, which count together.
    fn tags(&self, faults: &mut Faults) -> Result<Vec<TagFilter>, Noted> {
        let surplus = self.0.iter().filter(|(name, _)| name == "tags" || name == "tag").nth(MAX_TAG_FILTERS);
        if let Some((name, _)) = surplus {
            let msg = format!("must be at most {MAX_TAG_FILTERS}, `tags` and `tag` together");
            return Err(faults.note(&Loc::root("query").name(name), msg, kind::TOO_LONG));
        }
        let (tags, ill_formed_tags) = self.list("tags", faults);
        let (tag, ill_formed_tag) = self.list("tag", faults);
        let filters = tags.into_iter().chain(tag).map(|(_, filter)| filter).collect();
        ill_formed_tags.or(ill_formed_tag).map_or(Ok(filters), Err)
    }

    fn sort(&self, faults: &mut Faults) -> Result<Sort, Noted> {
        let (keys, mut at_fault) = self.list::<SortKey>("sort_by", faults);
        let query = Loc::root("query");
        let loc = query.name("sort_by");
        for (place, (index, key)) in keys.iter().enumerate() {
            if faults.len() < MAX_NOTED
                && keys.iter().take(place).any(|(_, earlier)| earlier.field == key.field)
            {
                let msg = "must not name a field that an earlier one names";
                at_fault = Some(faults.note(&loc.index(*index), msg, kind::VALUE_ERROR));
            }
        }
        match at_fault {
            Some(noted) => Err(noted),
            None => Sort::new(keys.into_iter().map(|(_, key)| key).collect())
                .map_err(|error| faults.note(&loc, error.to_string(), kind::VALUE_ERROR)),
        }
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_deref())
    }

    /// The well-formed values of a parameter that may be repeated, each with its place, and whether there are others. Those
    /// are noted, the first [`MAX_NOTED`] of them.
    fn list<T: FromStr<Err = ValueError>>(
        &self,
        name: &str,
        faults: &mut Faults,
    ) -> (Vec<(usize, T)>, Option<Noted>) {
        let query = Loc::root("query");
        let loc = query.name(name);
        let mut well_formed = Vec::new();
        let mut ill_formed = None;
        for (index, value) in self.values(name).enumerate() {
            let loc = loc.index(index);
            let parsed = utf8(value, &loc, faults).and_then(|value| {
                value
                    .parse()
                    .map_err(|error: ValueError| faults.note(&loc, error.to_string(), kind::VALUE_ERROR))
            });
            match parsed {
                Ok(value) => well_formed.push((index, value)),
                Err(noted) => ill_formed = Some(noted),
            }
            if faults.len() >= MAX_NOTED {
                break;
            }
        }
        (well_formed, ill_formed)
    }

    /// The value of a parameter that may stand once, if it is there.
    fn single<T>(
        &self,
        name: &str,
        faults: &mut Faults,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Noted> {
        let query = Loc::root("query");
        let loc = query.name(name);
        let mut values = self.values(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(faults.note(&loc, "must not be repeated", kind::REPEATED));
        }
        let value = utf8(value, &loc, faults)?;
        parse(value).map(Some).map_err(|(msg, kind)| faults.note(&loc, msg, kind))
    }
}

fn decode(raw: &str) -> Option<String> {
    let spaced = raw.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(Into::into)
}

fn utf8<'a>(value: Option<&'a str>, loc: &Loc<'_>, faults: &mut Faults) -> Result<&'a str, Noted> {
    value.ok_or_else(|| faults.note(loc, "must be UTF-8 once percent-decoded", kind::ENCODING_INVALID))
}

/// What is wrong with a value: in words, and its kind.
type Wrong = (String, &'static str);

fn boolean(text: &str) -> Result<bool, Wrong> {
    if text == "1" || text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text == "0" || text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(("must be `true`, `false`, `1` or `0`".to_owned(), kind::BOOLEAN_TYPE))
    }
}

fn limit(text: &str) -> Result<Limit, Wrong> {
    let number = integer(text).ok_or_else(|| not_an_integer("limit"))?;
    // A negative number is as much out of range as 0 is.
    Limit::new(usize::try_from(number).unwrap_or(0)).map_err(|error| (error.to_string(), kind::VALUE_ERROR))
}

/// A token may be any integer here; whether the organization issued it is for the core to say.
fn continuation_token(text: &str) -> Result<ContinuationToken, Wrong> {
    integer(text).map(ContinuationToken::new).ok_or_else(|| not_an_integer("continuation token"))
}

fn not_an_integer(what: &str) -> Wrong {
    (format!("{what} must be an integer"), kind::INTEGER_TYPE)
}

/// An integer in decimal digits, with a minus sign if it is negative. One beyond 64 bits becomes the nearest of 64 bits, which no
/// organization ever issues as a token and no limit admits.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let beyond = if digits.len() == text.len() { i64::MAX } else { i64::MIN };
    Some(text.parse().unwrap_or(beyond))
}

#[cfg(test)]
mod tests;
