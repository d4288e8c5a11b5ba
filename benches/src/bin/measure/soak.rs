//! Whether a process that lists for long stays as large as it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use service_registry_benches::{Error, resident};

use crate::rounds::{Turn, Who};

/// How many list at once.
const READERS: usize = 4;

/// What was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Soak {
    pub(crate) seconds: f64,
    pub(crate) pages: usize,
    /// Kilobytes of the process after a tenth of the time, and in the end.
    pub(crate) early: i64,
    pub(crate) late: i64,
}

/// Lists everything that a store of this size is measured with, again and again.
pub(crate) async fn run(turns: Vec<Turn>, size: u64, seconds: u64) -> Result<Soak, Error> {
    let listings = turns.into_iter().filter(|turn| turn.label.who == Who::Store && turn.label.size == size);
    let listings: Arc<Vec<Turn>> = Arc::new(listings.collect());
    let (begin, whole) = (Instant::now(), Duration::from_secs(seconds));
    let mut pages = list(&listings, begin, whole / 10).await?;
    let early = resident("self")?;
    pages += list(&listings, begin, whole).await?;
    Ok(Soak { seconds: begin.elapsed().as_secs_f64(), pages, early, late: resident("self")? })
}

async fn list(listings: &Arc<Vec<Turn>>, begin: Instant, until: Duration) -> Result<usize, Error> {
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let listings = Arc::clone(listings);
            tokio::spawn(async move {
                let mut pages = 0;
                while begin.elapsed() < until {
                    // Each reader goes through them in another order.
                    let Some(turn) =
                        listings.get((pages * (2 * reader + 1) + reader) % listings.len().max(1))
                    else {
                        break;
                    };
                    turn.act.act(pages / listings.len().max(1)).await?;
                    pages += 1;
                }
                Ok::<usize, Error>(pages)
            })
        })
        .collect();
    let mut pages = 0;
    for reader in readers {
        pages += reader.await??;
    }
    Ok(pages)
}
