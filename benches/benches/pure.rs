//! The functions that define a listing, over services in memory.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use service_core::{
    ContinuationToken, Limit, Listing, ServiceFilter, Sort, Visibility, compare, matches, paginate,
};
use service_registry_benches::{Error, services};

const SIZE: usize = 100_000;

fn filter(tags: &[&str]) -> Result<ServiceFilter, Error> {
    let tags = tags.iter().map(|tag| tag.parse()).collect::<Result<Vec<_>, _>>()?;
    Ok(ServiceFilter::new([], None, tags)?)
}

fn sort(keys: &[&str]) -> Result<Sort, Error> {
    Ok(Sort::new(keys.iter().map(|key| key.parse()).collect::<Result<_, _>>()?)?)
}

fn pure(criterion: &mut Criterion) -> Result<(), Error> {
    let services = services(SIZE)?;

    let mut group = criterion.benchmark_group("matches");
    group.throughput(Throughput::Elements(SIZE as u64));
    for (name, tags) in [
        ("no tag filter", &[][..]),
        ("one tag filter", &["env:prod"]),
        ("two tag filters", &["env:prod", "region:region 3"]),
        ("three tag filters", &["env:prod", "region:*", "left:"]),
    ] {
        let filter = filter(tags)?;
        group.bench_function(name, |bencher| {
            bencher.iter(|| services.iter().filter(|service| matches(black_box(&filter), service)).count());
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("the first 20 by name");
    let by_name = sort(&["+name"])?;
    let listing = Listing {
        filter: ServiceFilter::default(),
        visibility: Visibility::Everything,
        sort: by_name.clone(),
        limit: Limit::new(20)?,
        token: ContinuationToken::START,
    };
    group.bench_function("paginate", |bencher| {
        bencher.iter(|| paginate(black_box(&services), &listing, None));
    });
    group.bench_function("sort everything", |bencher| {
        bencher.iter(|| {
            let mut sorted = services.clone();
            sorted.sort_unstable_by(|left, right| compare(&by_name, left, right));
            sorted.truncate(20);
            sorted
        });
    });
    group.finish();
    Ok(())
}

fn benches(criterion: &mut Criterion) {
    if let Err(error) = pure(criterion) {
        panic!("the data set cannot be built: {error}");
    }
}

criterion_group!(group, benches);
criterion_main!(group);
