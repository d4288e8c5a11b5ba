//! Does things in turns and times them.
//!
//! What is timed is warm: it was done a moment before, as in a loop that does nothing else. The time of that first of two is kept as
//! well: everything else was done since this was last done, so what it needs may have left the processor's caches.

use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use service_registry_benches::{Error, Permutation};

use crate::options::Options;

/// What is measured: who lists, which listing, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    pub(crate) who: Who,
    pub(crate) size: u64,
    pub(crate) sort: String,
    pub(crate) filter: &'static str,
    pub(crate) place: Place,
}

/// Whose listing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Store,
    ByHand,
    Unparsed,
    Naive,
}

/// Where in the order the page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// At the beginning, where the facets come along.
    First,
    /// After the first page.
    Second,
    /// At many places, chosen at random.
    Anywhere,
    /// After so many thousandths of the services that match.
    Depth(u16),
    /// The first page of a small organization.
    Small,
    /// Anywhere in a small organization.
    SmallAnywhere,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => formatter.write_str("first page"),
            Self::Second => formatter.write_str("second page"),
            Self::Anywhere => formatter.write_str("anywhere"),
            Self::Depth(1000) => formatter.write_str("last page"),
            Self::Depth(thousandths) => write!(formatter, "at {} %", f64::from(*thousandths) / 10.0),
            Self::Small => formatter.write_str("small organization, first page"),
            Self::SmallAnywhere => formatter.write_str("small organization, anywhere"),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, size, sort, filter, place } = self;
        write!(formatter, "{who:?} {size} `{sort}` {filter}, {place}")
    }
}

/// Something that can be done again and again.
#[async_trait]
pub(crate) trait Act: Send + Sync {
    /// Does it, and says how many services came of it. The number chooses between variants, in turn.
    async fn act(&self, variant: usize) -> Result<usize, Error>;
}

/// What is done once in a round.
pub(crate) struct Turn {
    pub(crate) label: Label,
    /// In one of so many rounds at most.
    pub(crate) every: usize,
    pub(crate) act: Box<dyn Act>,
}

/// The times that something took.
#[derive(Debug)]
pub(crate) struct Samples {
    pub(crate) label: Label,
    /// Sorted, in seconds.
    times: Vec<f64>,
    /// The same of the times that it was not done just before.
    apart: Vec<f64>,
    /// How many services came, usually.
    pub(crate) rows: usize,
}

impl Samples {
    /// Times in seconds, in any order.
    #[cfg(test)]
    pub(crate) fn new(label: Label, mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let apart = times.iter().map(|time| time * 3.0).collect();
        Self { label, times, apart, rows: 20 }
    }

    /// Half of the times were shorter.
    pub(crate) fn median(&self) -> f64 {
        median(&self.times)
    }

    /// The same of those that came after something else.
    pub(crate) fn median_apart(&self) -> f64 {
        median(&self.apart)
    }

    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }
}

/// The middle of numbers that are in order.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What one run has measured.
#[derive(Debug, Default)]
pub(crate) struct Measured(pub(crate) Vec<Samples>);

impl Measured {
    /// What has this label.
    pub(crate) fn of(&self, label: &Label) -> Option<&Samples> {
        self.0.iter().find(|samples| samples.label == *label)
    }
}

/// The least number of rounds, however slow they are.
const AT_LEAST: usize = 20;
/// How many seconds of a round one thing may take on average: what takes longer is left out of rounds, so that everything else gets
/// its samples.
const SHARE: f64 = 0.02;
/// In one of so many rounds everything is done.
const RAREST: usize = 8;

/// Does everything once without looking at it, and then in rounds.
pub(crate) async fn run(turns: &[Turn], options: &Options) -> Result<Measured, Error> {
    let mut every = Vec::with_capacity(turns.len());
    for turn in turns {
        let Timed { apart, warm, .. } = timed(turn, 0).await?;
        let rounds = (1..RAREST).find(|rounds| apart + warm <= SHARE * *rounds as f64).unwrap_or(RAREST);
        every.push(rounds.max(turn.every));
    }
    let count = u64::try_from(turns.len())?;
    let mut samples = vec![Vec::with_capacity(options.rounds); turns.len()];
    let start = Instant::now();
    for round in 0..options.rounds {
        if round >= AT_LEAST && start.elapsed() > Duration::from_secs(options.seconds) {
            break;
        }
        let order = Permutation::new(u64::try_from(round)?, count);
        for place in 0..count {
            let index = usize::try_from(order.at(place))?;
            let (Some(turn), Some(every), Some(samples)) =
                (turns.get(index), every.get(index), samples.get_mut(index))
            else {
                continue;
            };
            // What is slow comes in different rounds, not all of it in one.
            if (round + index).is_multiple_of(*every) {
                samples.push(timed(turn, samples.len()).await?);
            }
        }
    }
    let measured = turns.iter().zip(samples).map(|(turn, samples)| {
        let sorted = |time: fn(&Timed) -> f64| {
            let mut times: Vec<f64> = samples.iter().map(time).collect();
            times.sort_by(f64::total_cmp);
            times
        };
        let mut rows: Vec<usize> = samples.iter().map(|timed| timed.rows).collect();
        rows.sort_unstable();
        let rows = rows.get(rows.len() / 2).copied().unwrap_or_default();
        let (times, apart) = (sorted(|timed| timed.warm), sorted(|timed| timed.apart));
        Samples { label: turn.label.clone(), times, apart, rows }
    });
    Ok(Measured(measured.collect()))
}

/// How long something took, in seconds.
#[derive(Clone)]
struct Timed {
    /// After something else.
    apart: f64,
    /// At once after that.
    warm: f64,
    /// How many services came of it.
    rows: usize,
}

async fn timed(turn: &Turn, variant: usize) -> Result<Timed, Error> {
    let once = async || {
        let begin = Instant::now();
        let rows = turn.act.act(variant).await.map_err(|error| format!("{}: {error}", turn.label))?;
        Ok::<_, Error>((begin.elapsed().as_secs_f64(), rows))
    };
    let (apart, _) = once().await?;
    let (warm, rows) = once().await?;
    Ok(Timed { apart, warm, rows })
}
