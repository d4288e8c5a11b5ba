//! The functions that define a listing, over services in memory: beside a naive implementation of the same, and beside the label
//! selectors of `kube-core`, which clients of Kubernetes match with.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use kube_core::{Expression, Selector, SelectorExt};
use serde_json::Value;
use service_core::{
    Condition, ContinuationToken, Grant, Grants, Limit, Listing, Permission, Service, ServiceFilter,
    ServiceId, Sort, TagFilter, TagMatch, Visibility, admits, compare, matches, paginate,
};
use service_registry_benches::{Error, services};

/// How many services the functions of one service are measured over.
const SERVICES: usize = 100_000;
/// How many services the first page is selected from.
const MANY: usize = 1_000_000;
/// How many services are on a page.
const PAGE: usize = 20;
/// How many services are read from what they are kept as.
const ROWS: usize = 1000;

/// How many services each set of tag filters finds differs widely.
const TAG_FILTERS: [(&str, &[&str]); 5] = [
    ("no tag filter", &[]),
    ("one tag filter", &["env:prod"]),
    ("two tag filters", &["env:prod", "region:region 3"]),
    ("two tag filters that most services pass", &["env:prod", "region:*"]),
    ("three tag filters", &["env:prod", "region:*", "left:"]),
];

/// A service as one would write it at first.
#[derive(Clone)]
struct Naive {
    id: ServiceId,
    name: String,
    tags: BTreeMap<String, Option<String>>,
}

impl Naive {
    fn of(service: &Service) -> Self {
        let tags = service.tags.iter();
        Self {
            id: service.id,
            name: service.name.to_string(),
            tags: tags.map(|(key, value)| (key.to_string(), value.map(ToString::to_string))).collect(),
        }
    }

    fn matches(&self, filter: &TagFilter) -> bool {
        match (self.tags.get(filter.key.as_str()), &filter.value) {
            (None, _) => false,
            (Some(_), TagMatch::Any) => true,
            (Some(value), TagMatch::Absent) => value.is_none(),
            (Some(value), TagMatch::Is(wanted)) => value.as_deref() == Some(wanted.as_str()),
        }
    }
}

/// A label always has a value: a tag without one has the empty one, which no tag has.
fn labels(service: &Service) -> BTreeMap<String, String> {
    let tags = service.tags.iter();
    tags.map(|(key, value)| (key.to_string(), value.unwrap_or_default().to_owned())).collect()
}

fn selector(filters: &[TagFilter]) -> Selector {
    let mut selector = Selector::default();
    selector.extend(filters.iter().map(|filter| {
        let key = filter.key.to_string();
        match &filter.value {
            TagMatch::Any => Expression::Exists(key),
            TagMatch::Absent => Expression::Equal(key, String::new()),
            TagMatch::Is(value) => Expression::Equal(key, value.to_string()),
        }
    }));
    selector
}

fn sort(keys: &[&str]) -> Result<Sort, Error> {
    Ok(Sort::new(keys.iter().map(|key| key.parse()).collect::<Result<_, _>>()?)?)
}

fn group<'a>(criterion: &'a mut Criterion, name: &str, elements: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    group
}

fn matching(criterion: &mut Criterion, services: &[Arc<Service>]) -> Result<(), Error> {
    // In one piece of memory, as those of the others are.
    let together: Vec<Service> = services.iter().map(|service| Service::clone(service)).collect();
    let naive: Vec<Naive> = services.iter().map(|service| Naive::of(service)).collect();
    let labels: Vec<_> = services.iter().map(|service| labels(service)).collect();
    for (name, tags) in TAG_FILTERS {
        let filters = tags.iter().map(|tag| tag.parse()).collect::<Result<Vec<TagFilter>, _>>()?;
        let filter = ServiceFilter::new([], None, filters.iter().cloned())?;
        let selector = selector(&filters);
        let found = services.iter().filter(|service| matches(&filter, service)).count();
        println!("{name}: {found} of {} services", services.len());

        let mut group = group(criterion, name, services.len());
        group.bench_function("matches", |bencher| {
            bencher.iter(|| together.iter().filter(|service| matches(black_box(&filter), service)).count());
        });
        group.bench_function("matches, each by itself as in a store", |bencher| {
            bencher.iter(|| services.iter().filter(|service| matches(black_box(&filter), service)).count());
        });
        group.bench_function("naive", |bencher| {
            let all = |service: &&Naive| black_box(&filters).iter().all(|filter| service.matches(filter));
            assert_eq!(naive.iter().filter(all).count(), found);
            bencher.iter(|| naive.iter().filter(all).count());
        });
        group.bench_function("kube-core", |bencher| {
            let all = |labels: &&BTreeMap<_, _>| black_box(&selector).matches(labels);
            assert_eq!(labels.iter().filter(all).count(), found);
            bencher.iter(|| labels.iter().filter(all).count());
        });
        group.finish();
    }
    Ok(())
}

fn admitting(criterion: &mut Criterion, services: &[Arc<Service>]) -> Result<(), Error> {
    let text = |text: &str| service_core::AttributeValue::Text(text.into());
    let ids = services.iter().step_by(services.len() / PAGE).map(|service| text(&service.id.to_string()));
    let mut group = group(criterion, "admits", services.len());
    for (name, attribute, condition) in [
        ("a tag", "tags.env", Condition::Equals { value: text("prod") }),
        ("20 ids", "service_id", Condition::In { values: ids.collect() }),
        ("all but a tag", "tags.env", Condition::NotEquals { value: text("prod") }),
        ("all but a name", "name", Condition::NotEquals { value: text(services[0].name.as_str()) }),
    ] {
        let grant = Grant::new(Permission::GetService, [(attribute.parse()?, condition)].into())?;
        let visibility = Visibility::of(&Grants::new([grant])?, Permission::GetService);
        group.bench_function(name, |bencher| {
            bencher
                .iter(|| services.iter().filter(|service| admits(black_box(&visibility), service)).count());
        });
    }
    group.finish();
    Ok(())
}

fn comparing(criterion: &mut Criterion, services: &[Arc<Service>]) -> Result<(), Error> {
    let mut group = group(criterion, "compare", services.len() - 1);
    for (name, keys) in
        [("by id", &[][..]), ("by name", &["+name"]), ("by activeness and name", &["-is_active", "-name"])]
    {
        let sort = sort(keys)?;
        group.bench_function(name, |bencher| {
            let is_less = |pair: &&[Arc<Service>]| compare(black_box(&sort), &pair[0], &pair[1]).is_lt();
            bencher.iter(|| services.windows(2).filter(is_less).count());
        });
    }
    group.finish();
    Ok(())
}

fn paging(criterion: &mut Criterion, services: &[Arc<Service>]) -> Result<(), Error> {
    let listing = |keys: &[&str]| -> Result<Listing, Error> {
        Ok(Listing {
            filter: ServiceFilter::default(),
            visibility: Visibility::Everything,
            sort: sort(keys)?,
            limit: Limit::new(PAGE)?,
            token: ContinuationToken::START,
        })
    };
    let sorted = |sort: &Sort| {
        let mut sorted = services.to_vec();
        sorted.sort_unstable_by(|left, right| compare(sort, left, right));
        sorted.truncate(PAGE);
        sorted
    };
    let by_name = listing(&["+name"])?;
    let first = sorted(&by_name.sort);
    let mut group = group(criterion, "the first 20 of a million", services.len());
    // One run of the slow ones takes seconds.
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function("paginate by name", |bencher| {
        assert_eq!(paginate(services, &by_name, None).services, first);
        bencher.iter(|| paginate(black_box(services), &by_name, None));
    });
    let backwards = listing(&["-is_active", "-name"])?;
    group.bench_function("paginate by activeness and name", |bencher| {
        bencher.iter(|| paginate(black_box(services), &backwards, None));
    });
    let from_the_middle = &services[services.len() / 2];
    group.bench_function("paginate by name from the middle", |bencher| {
        bencher.iter(|| paginate(black_box(services), &by_name, Some(from_the_middle)));
    });
    group.bench_function("sort everything", |bencher| bencher.iter(|| sorted(black_box(&by_name.sort))));
    let naive: Vec<Naive> = services.iter().map(|service| Naive::of(service)).collect();
    group.bench_function("naive", |bencher| {
        let page = || {
            let mut sorted: Vec<&Naive> = black_box(&naive).iter().collect();
            sorted.sort_by(|left, right| left.name.cmp(&right.name).then(left.id.cmp(&right.id)));
            sorted.into_iter().take(PAGE).cloned().collect::<Vec<_>>()
        };
        assert!(page().iter().map(|service| service.id).eq(first.iter().map(|service| service.id)));
        bencher.iter(page);
    });
    group.finish();
    Ok(())
}

/// What a store does with each row of a page, beside what it costs to parse JSON into anything at all.
fn reading(criterion: &mut Criterion, services: &[Arc<Service>]) -> Result<(), Error> {
    let some = services.iter().step_by(services.len().div_ceil(ROWS));
    let bodies: Vec<String> =
        some.map(|service| serde_json::to_string(&**service)).collect::<Result<_, _>>()?;
    let mut group = group(criterion, "a service from the JSON that it is kept as", bodies.len());
    group.bench_function("service", |bencher| {
        bencher.iter(|| {
            bodies.iter().filter(|body| serde_json::from_str::<Service>(black_box(body)).is_ok()).count()
        });
    });
    group.bench_function("any value", |bencher| {
        bencher.iter(|| {
            bodies.iter().filter(|body| serde_json::from_str::<Value>(black_box(body)).is_ok()).count()
        });
    });
    group.finish();
    Ok(())
}

fn pure(criterion: &mut Criterion) -> Result<(), Error> {
    let some = services(SERVICES)?;
    matching(criterion, &some)?;
    admitting(criterion, &some)?;
    comparing(criterion, &some)?;
    reading(criterion, &some)?;
    paging(criterion, &services(MANY)?)
}

fn benches(criterion: &mut Criterion) {
    if let Err(error) = pure(criterion) {
        panic!("the data set cannot be built: {error}");
    }
}

criterion_group! {
    name = everything;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30);
    targets = benches
}
criterion_main!(everything);
