//! What was asked for, beside what was measured.

use crate::facets::Facets;
use crate::listings::{ALL, FILTER_SORTS, GRANTS, NO_INDEX, ONE_TAG, SORTS, TAGS};
use crate::options::Kind;
use crate::report::Run;
use crate::rounds::{Label, Place, Samples, Who};
use crate::writes::{WRITERS, Writes};

/// A target and what came of it.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) target: String,
    pub(crate) measured: String,
    /// Which of the cases it was, where the worst of several counts.
    pub(crate) where_: String,
    /// Nothing where it is not what was asked for, but good to know.
    pub(crate) is_met: Option<bool>,
}

/// Where every page is looked at.
const PLACES: [Place; 2] = [Place::First, Place::Anywhere];

/// A ratio, and what it is of.
type Ratio = (f64, String);

/// Everything that is asked of a store, as far as the run has measured it.
pub(crate) fn verdicts(run: &Run) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let Some(size) = run.largest() else { return verdicts };
    let is_memory = run.kind == Kind::Memory;
    let (sorts, tags) =
        (orders(&SORTS, &[ALL, NO_INDEX]), orders(&FILTER_SORTS, &ONE_TAG.map(|(name, _)| name)));
    let both: Vec<(&str, &'static str)> = sorts.iter().chain(&tags).copied().collect();

    verdicts.extend(at_most(
        "any depth against the first page, any sort, no filter or one tag",
        1.3,
        &depth(run, size, &both, Place::First, Samples::median),
    ));
    verdicts.extend(at_most(
        "the same against the second page, which bears no facets",
        1.3,
        &depth(run, size, &both, Place::Second, Samples::median),
    ));
    // First pages stay in the processor's caches between others, pages at forty places do not.
    let apart = depth(run, size, &both, Place::First, Samples::median_apart);
    let verdict = at_most("the same, each page asked for once, after all the others", 1.3, &apart);
    verdicts.extend(verdict.map(|verdict| Verdict { is_met: None, ..verdict }));
    for (what, cases) in [("no filter", &sorts), ("one tag filter", &tags)] {
        if let Some(small) = run.smallest().filter(|small| *small != size) {
            let what = format!("{} against {}, {what}", named(size), named(small));
            let (full, partial): (Vec<_>, Vec<_>) =
                sizes(run, size, small, cases).into_iter().partition(|(_, is_full)| *is_full);
            let [full, partial] =
                [full, partial].map(|ratios| ratios.into_iter().map(|(ratio, _)| ratio).collect::<Vec<_>>());
            verdicts.extend(at_most(&what, 2.0, &full));
            // A page of six services is not what a page of twenty is to be compared with.
            let what = format!("{what}, where the smaller has fewer services than a page");
            verdicts.extend(at_most(&what, 2.0, &partial).map(|verdict| Verdict { is_met: None, ..verdict }));
        }
    }
    verdicts.extend(at_most("each of the other sort orders against `+name`", 1.5, &against_name(run, size)));
    let limit = if is_memory { 2.0 } else { 2.5 };
    verdicts.extend(at_most("one tag filter against no filter", limit, &tag_against_none(run, size)));
    verdicts.extend(at_most(
        "the same, each page asked for once, after all the others, against SQL alone",
        limit,
        &tag_against_none_apart(run, size),
    ));
    verdicts.extend(several_tags(run, size));
    verdicts.extend(at_most(
        "grants with conditions, against the filter they amount to",
        1.3,
        &grants(run, size),
    ));
    if let Some(facets) = run.facets.iter().find(|facets| facets.size == size) {
        verdicts.extend(facets_of(facets, is_memory));
    }
    let limit = if run.kind == Kind::Sqlite { 1.4 } else { 1.25 };
    verdicts.extend(at_most("the store's listing against the same SQL by hand", limit, &by_hand(run, size)));
    if let Some(writes) = run.writes.iter().find(|writes| writes.size == size) {
        verdicts.extend(writes_of(writes, run.kind));
    }
    verdicts.extend(peers(run));
    verdicts.extend(memory(run, size));
    verdicts
}

fn orders<'a>(sorts: &[&'a str], filters: &[&'static str]) -> Vec<(&'a str, &'static str)> {
    sorts.iter().flat_map(|sort| filters.iter().map(move |filter| (*sort, *filter))).collect()
}

/// How a size is written.
pub(crate) fn named(size: u64) -> String {
    match size {
        size if size.is_multiple_of(1_000_000) => format!("{} M", size / 1_000_000),
        size if size.is_multiple_of(1_000) => format!("{} k", size / 1_000),
        size => size.to_string(),
    }
}

/// How a sort is written.
pub(crate) fn shown(sort: &str) -> String {
    if sort.is_empty() { "no sort".to_owned() } else { format!("`{sort}`") }
}

impl Run {
    fn time(&self, who: Who, size: u64, case: (&str, &'static str), place: Place) -> Option<f64> {
        self.samples(who, size, case, place).map(Samples::median)
    }

    fn samples(
        &self,
        who: Who,
        size: u64,
        (sort, filter): (&str, &'static str),
        place: Place,
    ) -> Option<&Samples> {
        self.measured.of(&Label { who, size, sort: sort.to_owned(), filter, place })
    }
}

/// Pages anywhere against those of another place, each as `time` has it.
fn depth(
    run: &Run,
    size: u64,
    cases: &[(&str, &'static str)],
    against: Place,
    time: fn(&Samples) -> f64,
) -> Vec<Ratio> {
    let ratio = |&(sort, filter): &(&str, &'static str)| {
        let anywhere = run.samples(Who::Store, size, (sort, filter), Place::Anywhere)?;
        let other = run.samples(Who::Store, size, (sort, filter), against)?;
        Some((time(anywhere) / time(other), format!("{}, {filter}", shown(sort))))
    };
    cases.iter().filter_map(ratio).collect()
}

/// Ratios, and whether both pages are full.
fn sizes(run: &Run, large: u64, small: u64, cases: &[(&str, &'static str)]) -> Vec<(Ratio, bool)> {
    let ratio = |((sort, filter), place): ((&str, &'static str), Place)| {
        let [large, small] = [large, small].map(|size| {
            run.measured.of(&Label { who: Who::Store, size, sort: sort.to_owned(), filter, place })
        });
        let (large, small) = (large?, small?);
        let where_ = format!("{}, {filter}, {place}", shown(sort));
        Some(((large.median() / small.median(), where_), large.rows == small.rows))
    };
    cases.iter().flat_map(|case| PLACES.map(|place| (*case, place))).filter_map(ratio).collect()
}

fn against_name(run: &Run, size: u64) -> Vec<Ratio> {
    let others = orders(&SORTS, &[ALL, NO_INDEX]).into_iter().filter(|(sort, _)| *sort != "+name");
    let ratio = |((sort, filter), place): ((&str, &'static str), Place)| {
        let [other, name] = [sort, "+name"].map(|sort| run.time(Who::Store, size, (sort, filter), place));
        Some((other? / name?, format!("{}, {filter}, {place}", shown(sort))))
    };
    others.flat_map(|case| PLACES.map(|place| (case, place))).filter_map(ratio).collect()
}

fn tag_against_none(run: &Run, size: u64) -> Vec<Ratio> {
    let cases = orders(&FILTER_SORTS, &ONE_TAG.map(|(name, _)| name));
    let ratio = |((sort, filter), place): ((&str, &'static str), Place)| {
        let [tag, none] = [filter, ALL].map(|filter| run.time(Who::Store, size, (sort, filter), place));
        Some((tag? / none?, format!("{}, {filter}, {place}", shown(sort))))
    };
    cases.into_iter().flat_map(|case| PLACES.map(|place| (case, place))).filter_map(ratio).collect()
}

/// Pages anywhere that were not asked for since everything else was, beside the same without an index: whether their services are
/// still in the memory of a store on a database depends on how much everything else was.
fn tag_against_none_apart(run: &Run, size: u64) -> Vec<Ratio> {
    let ratio = |(sort, filter): (&str, &'static str)| {
        let [tag, none] =
            [filter, NO_INDEX].map(|filter| run.samples(Who::Store, size, (sort, filter), Place::Anywhere));
        let (tag, none) = (tag?.median_apart(), none?.median_apart());
        let where_ = format!("{}, {filter}: {:.3} against {:.3} ms", shown(sort), tag * 1e3, none * 1e3);
        Some((tag / none, where_))
    };
    let cases = orders(&FILTER_SORTS, &ONE_TAG.map(|(name, _)| name));
    cases.into_iter().filter_map(ratio).collect()
}

fn grants(run: &Run, size: u64) -> Vec<Ratio> {
    let ratio = |((grant, filter), place): ((&'static str, &'static str), Place)| {
        let [grants, filters] =
            [grant, filter].map(|name| run.time(Who::Store, size, ("+name", name), place));
        Some((grants? / filters?, format!("{grant}, against the filter {filter}, {place}")))
    };
    GRANTS.into_iter().flat_map(|case| PLACES.map(|place| (case, place))).filter_map(ratio).collect()
}

fn by_hand(run: &Run, size: u64) -> Vec<Ratio> {
    let ratio = |place: Place| {
        let [store, hand, unparsed] = [(Who::Store, NO_INDEX), (Who::ByHand, ALL), (Who::Unparsed, ALL)]
            .map(|(who, filter)| run.time(who, size, ("+name", filter), place));
        let (store, hand, unparsed) = (store?, hand?, unparsed?);
        let unparsed = store / unparsed;
        Some((store / hand, format!("`+name`, {place} ({unparsed:.2} × where nobody parses the rows)")))
    };
    PLACES.into_iter().filter_map(ratio).collect()
}

fn several_tags(run: &Run, size: u64) -> Option<Verdict> {
    let limit = match run.kind {
        Kind::Memory => 1e-3,
        Kind::Sqlite => 25e-3,
        Kind::Postgres => 80e-3,
    };
    let time = |(filter, place): (&'static str, Place)| {
        Some((run.time(Who::Store, size, ("+name", filter), place)?, format!("{filter}, {place}")))
    };
    let times: Vec<Ratio> =
        TAGS.iter().flat_map(|(filter, _)| PLACES.map(|place| (*filter, place))).filter_map(time).collect();
    let (worst, where_) = worst(&times)?;
    Some(Verdict {
        what: "two or three tag filters, also when each matches half of all and together twenty".into(),
        target: format!("≤ {} ms", limit * 1e3),
        measured: format!("{:.2} ms", worst * 1e3),
        where_: format!("{where_} ({} of {} within)", within(&times, limit), times.len()),
        is_met: Some(worst <= limit),
    })
}

fn facets_of(facets: &Facets, is_memory: bool) -> Vec<Verdict> {
    let Facets { without, warm, cold, tag_warm, tag_cold, .. } = *facets;
    let of = |what: &str, ratio: f64, limit: f64, where_: String| Verdict {
        what: what.to_owned(),
        target: format!("≤ {limit} ×"),
        measured: format!("{ratio:.2} ×"),
        where_,
        is_met: Some(ratio <= limit),
    };
    let absolute = |time: f64| format!("{:.3} ms against {:.3} ms", time * 1e3, without * 1e3);
    let cold_limit = if is_memory { 1.5 } else { 4.0 };
    let tag = format!(
        "{}; under a tag filter {:.3} ms, {:.3} ms warm",
        absolute(cold),
        tag_cold * 1e3,
        tag_warm * 1e3
    );
    vec![
        of("first page with its facets against a page without, warm", warm / without, 1.5, absolute(warm)),
        of("the same right after a write", cold / without, cold_limit, tag),
    ]
}

fn writes_of(writes: &Writes, kind: Kind) -> Vec<Verdict> {
    let Writes { create, bare, rename, one, eight, failed, .. } = *writes;
    let mut verdicts = Vec::new();
    if let Some(bare) = bare {
        let (ratio, limit) = (bare / create, if kind == Kind::Sqlite { 0.2 } else { 0.3 });
        verdicts.push(Verdict {
            what: "durable create against a bare one-row INSERT, one writer".into(),
            target: format!("≥ {limit} ×"),
            measured: format!("{ratio:.2} ×"),
            where_: format!("{:.0} against {:.0} commits/s", create.recip(), bare.recip()),
            is_met: Some(ratio >= limit),
        });
        let (ratio, limit) = (eight / one, if kind == Kind::Sqlite { 1.0 } else { 2.5 });
        verdicts.push(Verdict {
            what: format!("{WRITERS} writers on as many organizations against one"),
            target: format!("≥ {limit} ×, no error"),
            measured: format!("{ratio:.2} ×, {failed} errors"),
            where_: format!("{eight:.0} against {one:.0} commits/s"),
            is_met: Some(ratio >= limit && failed == 0),
        });
    }
    let ratio = rename / create;
    verdicts.push(Verdict {
        what: "rename of a service with 20 tags against a create".into(),
        target: "≤ 5 ×".into(),
        measured: format!("{ratio:.2} ×"),
        where_: format!("{:.3} against {:.3} ms", rename * 1e3, create * 1e3),
        is_met: Some(ratio <= 5.0),
    });
    verdicts
}

/// The naive peer, from the middle on, in each size that it was given.
fn peers(run: &Run) -> Vec<Verdict> {
    let peered = run.measured.0.iter().filter(|samples| samples.label.who == Who::Naive);
    let mut by_size: Vec<(u64, Vec<Ratio>)> = Vec::new();
    for samples in peered {
        let Label { size, filter, place, .. } = samples.label.clone();
        let Place::Depth(depth) = place else { continue };
        if depth < 500 {
            continue;
        }
        let Some(ours) = run.time(Who::Store, size, ("+name", filter), place) else { continue };
        let ratio = (samples.median() / ours, format!("{filter}, {place}"));
        match by_size.iter_mut().find(|(other, _)| *other == size) {
            Some((_, ratios)) => ratios.push(ratio),
            None => by_size.push((size, vec![ratio])),
        }
    }
    let verdict = |(size, ratios): (u64, Vec<Ratio>)| {
        let (least, where_) = ratios.iter().min_by(|left, right| left.0.total_cmp(&right.0))?;
        let most = worst(&ratios)?;
        Some(Verdict {
            what: format!("the naive peer against us at depth, {}", named(size)),
            target: "≥ 10 ×".into(),
            measured: format!("{least:.1} to {:.1} ×", most.0),
            where_: format!("least {where_}; most {}", most.1),
            is_met: Some(*least >= 10.0),
        })
    };
    by_size.into_iter().filter_map(verdict).collect()
}

fn memory(run: &Run, size: u64) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if let Some(soak) = run.soak {
        let growth = (soak.late - soak.early) as f64 / soak.early.max(1) as f64;
        verdicts.push(Verdict {
            what: "a process that lists stays as large as it is".into(),
            target: "flat (≤ 5 % more)".into(),
            measured: format!("{:+.1} %", growth * 100.0),
            where_: format!(
                "{} MB after a tenth of {:.0} s, {} MB after {} pages",
                soak.early >> 10,
                soak.seconds,
                soak.late >> 10,
                soak.pages
            ),
            is_met: Some(growth <= 0.05),
        });
    }
    if run.kind == Kind::Memory
        && let Some(loaded) = run.loaded.iter().find(|loaded| loaded.size == size)
    {
        verdicts.push(Verdict {
            what: format!("`store-memory` loads {}", named(size)),
            target: "≤ 60 s, says its bytes".into(),
            measured: format!("{:.1} s", loaded.seconds),
            where_: format!("{} bytes a service", loaded.bytes()),
            is_met: Some(loaded.seconds <= 60.0),
        });
    }
    verdicts
}

fn at_most(what: &str, limit: f64, ratios: &[Ratio]) -> Option<Verdict> {
    let (worst, where_) = worst(ratios)?;
    Some(Verdict {
        what: what.to_owned(),
        target: format!("≤ {limit} ×"),
        measured: format!("{worst:.2} ×"),
        where_: format!("{where_} ({} of {} within)", within(ratios, limit), ratios.len()),
        is_met: Some(worst <= limit),
    })
}

fn within(ratios: &[Ratio], limit: f64) -> usize {
    ratios.iter().filter(|(ratio, _)| *ratio <= limit).count()
}

fn worst(ratios: &[Ratio]) -> Option<Ratio> {
    ratios.iter().max_by(|left, right| left.0.total_cmp(&right.0)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Loaded, Run, markdown};
    use crate::rounds::Measured;

    fn samples(who: Who, size: u64, sort: &str, filter: &'static str, place: Place, time: f64) -> Samples {
        let label = Label { who, size, sort: sort.to_owned(), filter, place };
        Samples::new(label, vec![time * 5.0, time, time / 5.0])
    }

    fn run() -> Run {
        let store = |size, sort, filter, place, time| samples(Who::Store, size, sort, filter, place, time);
        let samples = vec![
            store(10_000, "+name", ALL, Place::First, 1e-3),
            store(10_000, "+name", ALL, Place::Anywhere, 1e-3),
            store(1_000_000, "+name", ALL, Place::First, 1e-3),
            store(1_000_000, "+name", ALL, Place::Anywhere, 1.2e-3),
            store(1_000_000, "-name", ALL, Place::First, 1e-3),
            store(1_000_000, "-name", ALL, Place::Anywhere, 2.4e-3),
            store(1_000_000, "+name", TAGS[2].0, Place::First, 30e-3),
            store(1_000_000, "+name", NO_INDEX, Place::Anywhere, 1.1e-3),
            store(10_000, "+name", ALL, Place::Depth(500), 1e-3),
            samples(Who::Naive, 10_000, "+name", ALL, Place::Depth(500), 12e-3),
            samples(Who::ByHand, 1_000_000, "+name", ALL, Place::Anywhere, 1e-3),
            samples(Who::Unparsed, 1_000_000, "+name", ALL, Place::Anywhere, 0.6e-3),
        ];
        let loaded = |size| Loaded { size, services: size, seconds: 2.0, kilobytes: 1 };
        Run {
            kind: Kind::Sqlite,
            loaded: vec![loaded(10_000), loaded(1_000_000)],
            measured: Measured(samples),
            facets: Vec::new(),
            writes: Vec::new(),
            soak: None,
        }
    }

    #[test]
    fn the_worst_case_decides_and_is_named() {
        let verdicts = verdicts(&run());
        let of = |what: &str| {
            let verdict = verdicts.iter().find(|verdict| verdict.what.starts_with(what));
            verdict.map(|verdict| {
                (verdict.measured.as_str(), verdict.is_met == Some(true), verdict.where_.as_str())
            })
        };
        assert_eq!(of("any depth"), Some(("2.40 ×", false, "`-name`, no filter (1 of 2 within)")));
        assert_eq!(
            of("1 M against 10 k, no filter"),
            Some(("1.20 ×", true, "`+name`, no filter, anywhere (2 of 2 within)"))
        );
        assert_eq!(
            of("each of the other"),
            Some(("2.00 ×", false, "`-name`, no filter, anywhere (1 of 2 within)"))
        );
        assert_eq!(of("two or three").map(|verdict| verdict.1), Some(false));
        assert_eq!(of("the store's listing").map(|verdict| verdict.0), Some("1.10 ×"));
        assert_eq!(
            of("the naive peer").map(|verdict| (verdict.0, verdict.1)),
            Some(("12.0 to 12.0 ×", true))
        );
        assert_eq!(of("grants"), None, "what was not measured is not judged");
    }

    #[test]
    fn every_verdict_is_a_row_of_the_report() {
        let run = run();
        let verdicts = verdicts(&run);
        let text = markdown(&[run], &["a machine".to_owned()], "a command");
        assert!(verdicts.iter().all(|verdict| text.contains(&format!("| {} |", verdict.what))), "{text}");
        assert!(text.contains("**missed**") && text.contains("a command") && text.contains("* a machine"));
    }
}
