//! The tables and charts of what was measured.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use service_registry_benches::Error;
use service_registry_benches::chart::{Chart, Line, Scale};

use crate::facets::Facets;
use crate::listings::{ALL, ONE_TAG, TAGS};
use crate::options::Kind;
use crate::rounds::{Measured, Place, Samples, Who};
use crate::soak::Soak;
use crate::targets::{named, shown, verdicts};
use crate::writes::Writes;

/// What was measured of one store.
pub(crate) struct Run {
    pub(crate) kind: Kind,
    pub(crate) loaded: Vec<Loaded>,
    pub(crate) measured: Measured,
    pub(crate) facets: Vec<Facets>,
    pub(crate) writes: Vec<Writes>,
    pub(crate) soak: Option<Soak>,
}

/// What came of putting services in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loaded {
    pub(crate) size: u64,
    /// Services of all organizations.
    pub(crate) services: u64,
    pub(crate) seconds: f64,
    /// By how many kilobytes the process grew.
    pub(crate) kilobytes: i64,
}

impl Loaded {
    /// How many bytes of memory a service takes.
    pub(crate) fn bytes(&self) -> i64 {
        self.kilobytes * 1024 / i64::try_from(self.services).unwrap_or(i64::MAX).max(1)
    }
}

impl Run {
    /// The smallest organization.
    pub(crate) fn smallest(&self) -> Option<u64> {
        self.loaded.iter().map(|loaded| loaded.size).min()
    }

    /// The largest organization.
    pub(crate) fn largest(&self) -> Option<u64> {
        self.loaded.iter().map(|loaded| loaded.size).max()
    }

    fn of(&self, who: Who) -> impl Iterator<Item = &Samples> {
        self.measured.0.iter().filter(move |samples| samples.label.who == who)
    }
}

/// The tables, as Markdown.
pub(crate) fn markdown(runs: &[Run], machine: &[String], command: &str) -> String {
    let mut text = format!(
        "# Measured\n\nMade by `{command}`, whole: do not edit. Medians, and ratios of medians, of runs in which everything is done in \
         turns; pages of twenty through the `Repository` trait, decoding included, warm. One organization of the size given beside 99 small \
         ones. \"Anywhere\" is {} places in turn.\n\n",
        crate::listings::PLACES
    );
    for line in machine {
        let _ = writeln!(text, "* {line}");
    }
    text.push_str("\n## Targets\n");
    for run in runs {
        let sizes: Vec<String> = run.loaded.iter().map(|loaded| named(loaded.size)).collect();
        let _ = write!(
            text,
            "\n### {}\n\nOrganizations of {}; ratios at the largest, of the worst case.\n\n| | target | measured | | |\n|---|---|---|---|---|\n",
            run.kind,
            sizes.join(", ")
        );
        for verdict in verdicts(run) {
            let met = match verdict.is_met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "–",
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {met} | {} |",
                verdict.what, verdict.target, verdict.measured, verdict.where_
            );
        }
    }
    text.push_str("\n## Listings\n\nMilliseconds.\n");
    for run in runs {
        listings(&mut text, run);
    }
    text.push_str("\n## Beside a naive implementation\n\nMilliseconds of pages in the order `+name`: the naive peer's, ours.\n");
    for run in runs {
        peers(&mut text, run);
    }
    text.push_str("\n## Loading and writing\n");
    for run in runs {
        writes(&mut text, run);
    }
    text
}

/// A line for each sort and filter, a column for each size and place.
fn listings(text: &mut String, run: &Run) {
    let sizes: Vec<u64> = run.loaded.iter().map(|loaded| loaded.size).collect();
    let places = [Place::First, Place::Second, Place::Anywhere];
    let _ = write!(text, "\n### {}\n\n| sort | filter |", run.kind);
    for size in &sizes {
        for place in places {
            let _ = write!(text, " {}, {place} |", named(*size));
        }
    }
    text.push_str("\n|---|---|");
    text.push_str(&"---:|".repeat(sizes.len() * places.len()));
    text.push('\n');
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for samples in run.of(Who::Store).filter(|samples| places.contains(&samples.label.place)) {
        let (sort, filter) = (samples.label.sort.as_str(), samples.label.filter);
        if seen.contains(&(sort, filter)) {
            continue;
        }
        seen.push((sort, filter));
        let _ = write!(text, "| {} | {filter} |", shown(sort));
        for size in &sizes {
            for place in places {
                let found = run.of(Who::Store).find(|other| {
                    let label = &other.label;
                    (label.sort.as_str(), label.filter, label.size, label.place)
                        == (sort, filter, *size, place)
                });
                text.push_str(&cell(found));
            }
        }
        text.push('\n');
    }
    text.push('\n');
    for samples in run.measured.0.iter().filter(|samples| {
        samples.label.who != Who::Naive
            && (samples.label.who != Who::Store
                || matches!(samples.label.place, Place::Small | Place::SmallAnywhere))
    }) {
        let label = &samples.label;
        let who = match label.who {
            Who::ByHand => "the same SQL by hand, ",
            Who::Unparsed => "the same SQL by hand, rows not parsed, ",
            Who::Store | Who::Naive => "",
        };
        let _ = writeln!(
            text,
            "* {}: {who}{}, {}, {}: {} ms",
            named(label.size),
            shown(&label.sort),
            label.filter,
            label.place,
            milliseconds(samples.median())
        );
    }
    let rounds = run.measured.0.iter().map(Samples::count).max().unwrap_or_default();
    let _ = writeln!(text, "\n{rounds} rounds.");
}

/// A time, and how many services it brought where they are fewer than a page has.
fn cell(samples: Option<&Samples>) -> String {
    match samples {
        None => " – |".to_owned(),
        Some(samples) if samples.rows < 20 => {
            format!(" {} ({}) |", milliseconds(samples.median()), samples.rows)
        }
        Some(samples) => format!(" {} |", milliseconds(samples.median())),
    }
}

/// Three digits that say something, at least.
fn milliseconds(seconds: f64) -> String {
    let milliseconds = seconds * 1e3;
    if milliseconds < 0.1 { format!("{milliseconds:.5}") } else { format!("{milliseconds:.3}") }
}

fn peers(text: &mut String, run: &Run) {
    let mut cases: Vec<(u64, &str)> =
        run.of(Who::Naive).map(|samples| (samples.label.size, samples.label.filter)).collect();
    cases.dedup();
    if cases.is_empty() {
        return;
    }
    let depths = crate::depth::DEPTHS;
    let _ = write!(text, "\n### {}\n\n| size | filter |", run.kind);
    for depth in depths {
        let _ = write!(text, " {} |", Place::Depth(depth));
    }
    let _ = writeln!(text, "\n|---|---|{}", "---:|".repeat(depths.len()));
    for (size, filter) in cases {
        let _ = write!(text, "| {} | {filter} |", named(size));
        for depth in depths {
            let time = |who| {
                run.of(who)
                    .find(|samples| {
                        let label = &samples.label;
                        (label.size, label.filter, label.place) == (size, filter, Place::Depth(depth))
                    })
                    .map(Samples::median)
            };
            match (time(Who::Naive), time(Who::Store)) {
                (Some(naive), Some(ours)) => {
                    let _ = write!(text, " {:.2}, {:.2} |", naive * 1e3, ours * 1e3);
                }
                _ => text.push_str(" – |"),
            }
        }
        text.push('\n');
    }
}

fn writes(text: &mut String, run: &Run) {
    let _ = write!(
        text,
        "\n### {}\n\n| size | loaded in | services/s | the process grew by | create | bare INSERT | rename, 20 tags | one writer | eight |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        run.kind
    );
    for loaded in &run.loaded {
        let _ = write!(
            text,
            "| {} | {:.1} s | {:.0} | {} bytes a service |",
            named(loaded.size),
            loaded.seconds,
            loaded.services as f64 / loaded.seconds,
            loaded.bytes()
        );
        match run.writes.iter().find(|writes| writes.size == loaded.size) {
            None => text.push_str(" – | – | – | – | – |\n"),
            Some(writes) => {
                let bare = writes.bare.map_or("–".to_owned(), |bare| format!("{:.3} ms", bare * 1e3));
                let _ = writeln!(
                    text,
                    " {:.3} ms | {bare} | {:.3} ms | {:.0}/s | {:.0}/s |",
                    writes.create * 1e3,
                    writes.rename * 1e3,
                    writes.one,
                    writes.eight
                );
            }
        }
    }
}

/// Writes the tables and the charts.
pub(crate) fn write(directory: &Path, runs: &[Run], machine: &[String], command: &str) -> Result<(), Error> {
    fs::create_dir_all(directory)?;
    let mut text = markdown(runs, machine, command);
    text.push_str("\n## Charts\n");
    for run in runs {
        let name = run.kind.to_string().to_lowercase();
        for (chart, what) in [(by_depth(run), "depth"), (by_size(run), "size")] {
            if let Some(chart) = chart {
                let file = format!("{what}-{name}.svg");
                fs::write(directory.join(&file), chart.svg())?;
                let _ = write!(text, "\n![{}]({file})\n", chart.title);
            }
        }
    }
    Ok(fs::write(directory.join("measured.md"), text)?)
}

/// The page over its depth, of every size, and the naive peer's.
fn by_depth(run: &Run) -> Option<Chart> {
    let mut lines = Vec::new();
    for (who, name) in [(Who::Naive, "OFFSET"), (Who::Store, "registry")] {
        for loaded in &run.loaded {
            let points: Vec<(f64, f64)> = run
                .of(who)
                .filter(|samples| samples.label.filter == ALL && samples.label.size == loaded.size)
                .filter_map(|samples| match samples.label.place {
                    // The first page bears facets: another kind of page.
                    Place::Depth(depth @ 1..) => Some((f64::from(depth) / 10.0, samples.median() * 1e3)),
                    _ => None,
                })
                .collect();
            if !points.is_empty() {
                let name = format!("{name}, {}", named(loaded.size));
                lines.push(Line { name, is_dashed: who == Who::Naive, points });
            }
        }
    }
    let title = format!("{}: a page by its depth, in the order +name", run.kind);
    (!lines.is_empty()).then_some(Chart {
        title,
        across: ("depth of the page", Scale::Percent),
        unit: "ms",
        lines,
    })
}

/// Pages anywhere over the size of the organization, by filter.
fn by_size(run: &Run) -> Option<Chart> {
    let one = ONE_TAG.iter().map(|(name, _)| *name);
    let several = TAGS.iter().map(|(name, _)| *name).filter(|name| name.contains("together"));
    let filters: Vec<&str> =
        [ALL].into_iter().chain(one.filter(|name| !name.contains("key"))).chain(several).collect();
    let line = |filter: &&str| {
        let points = run.of(Who::Store).filter(|samples| {
            let label = &samples.label;
            (label.sort.as_str(), label.filter, label.place) == ("+name", *filter, Place::Anywhere)
        });
        let points = points.map(|samples| (samples.label.size as f64, samples.median() * 1e3)).collect();
        Line { name: (*filter).to_owned(), is_dashed: false, points }
    };
    let title = format!("{}: a page anywhere by the size of the organization, in the order +name", run.kind);
    let lines = filters.iter().map(line).collect();
    (run.loaded.len() > 1).then_some(Chart { title, across: ("services", Scale::Sizes), unit: "ms", lines })
}
