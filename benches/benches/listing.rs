//! Pages of twenty through the `Repository` trait, decoding included, from memory and from SQLite.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use service_core::{
    ContinuationToken, Limit, Listed, Listing, Operations, Page, Repository, Revision, ServiceFilter, Sort,
    Visibility,
};
use service_registry_benches::{Error, fill, organization};
use store_memory::MemoryStore;
use store_sqlite::SqliteStore;
use tokio::runtime::Runtime;

/// A store, and what it is called in the results.
type Named = (&'static str, Arc<dyn Repository>);

const SIZE: usize = 10_000;

async fn page(store: &dyn Repository, listing: &Listing) -> Result<Page, Error> {
    match store.list(&organization()?, listing).await? {
        Listed::Page(page) => Ok(page),
        other => Err(format!("a page was asked for, and {other:?} came").into()),
    }
}

fn stores(runtime: &Runtime, directory: &std::path::Path) -> Result<Vec<Named>, Error> {
    runtime.block_on(async {
        let sqlite = SqliteStore::open(directory.join("bench.sqlite")).await?;
        sqlite.migrate().await?;
        let stores: Vec<Named> = vec![("memory", Arc::new(MemoryStore::new())), ("sqlite", Arc::new(sqlite))];
        for (_, store) in &stores {
            fill(&**store, SIZE).await?;
        }
        Ok(stores)
    })
}

fn listing(criterion: &mut Criterion) -> Result<(), Error> {
    let runtime = Runtime::new()?;
    let directory = tempfile::tempdir()?;
    let stores = stores(&runtime, directory.path())?;
    for (shape, tags, sort) in [
        ("+name", &[][..], &["+name"][..]),
        ("-is_active, +name", &[], &["-is_active", "+name"]),
        ("by id", &[], &[]),
        ("one tag in twenty", &["region:region 3"], &["+name"]),
        ("any value of one tag in ten", &["flag:*"], &["+name"]),
        ("two tags of half each, together twenty", &["left:", "right:"], &["+name"]),
    ] {
        let tags = tags.iter().map(|tag| tag.parse()).collect::<Result<Vec<_>, _>>()?;
        let keys = sort.iter().map(|key| key.parse()).collect::<Result<Vec<_>, _>>()?;
        let from = |token| -> Result<Listing, Error> {
            Ok(Listing {
                filter: ServiceFilter::new([], None, tags.iter().cloned())?,
                visibility: Visibility::Everything,
                sort: Sort::new(keys.clone())?,
                limit: Limit::new(20)?,
                token,
            })
        };
        // Twenty positions all over the organization: revisions are spread over every order, because names are random.
        let middle = (1..=20)
            .map(|step| from(ContinuationToken::after(Revision::new(step * SIZE as i64 / 21)?)))
            .collect::<Result<Vec<_>, _>>()?;
        let first = [from(ContinuationToken::START)?];
        let mut group = criterion.benchmark_group(shape);
        for (name, store) in &stores {
            for (depth, listings) in [("first page, with facets", &first[..]), ("anywhere", &middle)] {
                let mut turns = listings.iter().cycle();
                group.bench_function(format!("{name}, {depth}"), |bencher| {
                    bencher.iter(|| {
                        turns.next().map(|listing| {
                            runtime.block_on(page(&**store, listing)).map_err(|error| error.to_string())
                        })
                    });
                });
            }
        }
        group.finish();
    }
    Ok(())
}

fn benches(criterion: &mut Criterion) {
    if let Err(error) = listing(criterion) {
        panic!("the stores cannot be filled: {error}");
    }
}

criterion_group!(group, benches);
criterion_main!(group);
