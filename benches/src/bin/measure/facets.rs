//! What the facets of a first page cost, and what a write makes of the page after it.

use std::time::Instant;

use service_core::ContinuationToken;
use service_registry_benches::Error;

use crate::listings::{Question, page};
use crate::rounds::median;
use crate::stage::Subject;
use crate::writer::Writer;

/// How often each page is measured.
const ROUNDS: usize = 40;

/// Medians, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facets {
    pub(crate) size: u64,
    /// The page after the first: it bears no facets.
    pub(crate) without: f64,
    /// The first page.
    pub(crate) warm: f64,
    /// The first page right after a write.
    pub(crate) cold: f64,
    /// The first page of one tag filter, which 5 % of the services match.
    pub(crate) tag_warm: f64,
    /// The same right after a write.
    pub(crate) tag_cold: f64,
}

/// Measures all subjects in turns. It writes to them.
pub(crate) async fn measure(subjects: &[Subject]) -> Result<Vec<Facets>, Error> {
    let (plain, tagged) = (Question::new("+name", &[])?, Question::new("+name", &["region:region 3"])?);
    let [first, tag] = [&plain, &tagged].map(|question| question.at(ContinuationToken::START));
    let (first, tag) = (first?, tag?);
    let mut samples = vec![[const { Vec::new() }; 5]; subjects.len()];
    for round in 0..=ROUNDS {
        for (subject, samples) in subjects.iter().zip(&mut samples) {
            let (repository, main) = (&*subject.repository, subject.main.id());
            // Without a tag and an index, facets are what is read besides.
            let without_index = subject.without_index.as_deref().unwrap_or(repository);
            let mut writer = Writer::new(subject, &subject.main, u64::try_from(round)?).await?;
            let next = page(without_index, main, &first).await?.next.unwrap_or_default();
            let second = plain.at(next)?;
            let pages = [
                (without_index, false, &second),
                (without_index, false, &first),
                (without_index, true, &first),
                (repository, false, &tag),
                (repository, true, &tag),
            ];
            for ((repository, is_after_write, listing), samples) in pages.into_iter().zip(samples) {
                if is_after_write {
                    writer.create().await?;
                } else {
                    // Something else in between, so that no page is measured twice in a row.
                    page(repository, &subject.small()?, &tag).await?;
                }
                let begin = Instant::now();
                page(repository, main, listing).await?;
                if round > 0 {
                    samples.push(begin.elapsed().as_secs_f64());
                }
            }
        }
    }
    let facets = subjects.iter().zip(samples).map(|(subject, samples)| {
        let [without, warm, cold, tag_warm, tag_cold] = samples.map(|mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            median(&times)
        });
        Facets { size: subject.size, without, warm, cold, tag_warm, tag_cold }
    });
    Ok(facets.collect())
}
