//! What writes cost: beside a bare insert, of a service with many tags, and by eight writers at once.

use std::time::{Duration, Instant};

use service_core::{ServiceId, TagKey, TagValue, Tags};
use service_registry_benches::Error;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

use crate::rounds::median;
use crate::stage::{Place, Subject};
use crate::writer::{Writer, committed};

/// How many writes are one measurement: long enough for a checkpoint to fall into many.
const BATCH: usize = 50;
/// How many writers write at once, each to an organization of its own.
pub(crate) const WRITERS: usize = 8;

/// Medians over the rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writes {
    pub(crate) size: u64,
    /// Seconds a create, on average over a batch.
    pub(crate) create: f64,
    /// Seconds a bare insert of the same JSON, on a database.
    pub(crate) bare: Option<f64>,
    /// Seconds a rename of a service with twenty tags.
    pub(crate) rename: f64,
    /// Commits per second of one writer.
    pub(crate) one: f64,
    /// Commits per second of eight together.
    pub(crate) eight: f64,
    /// How many of their commits failed.
    pub(crate) failed: usize,
}

/// Measures all subjects in turns. It writes to them.
pub(crate) async fn measure(subjects: &[Subject], rounds: usize) -> Result<Vec<Writes>, Error> {
    let mut measured = Vec::new();
    for subject in subjects {
        measured.push(Measured::new(subject).await?);
    }
    for round in 0..=rounds {
        for (subject, measured) in subjects.iter().zip(&mut measured) {
            // The first round only warms up.
            measured.round(subject, u64::try_from(round)?, round > 0).await?;
        }
    }
    Ok(measured.into_iter().map(Measured::medians).collect())
}

struct Measured {
    size: u64,
    bare: Bare,
    /// Services with twenty tags.
    tagged: Vec<ServiceId>,
    creates: Vec<f64>,
    inserts: Vec<f64>,
    renames: Vec<f64>,
    ones: Vec<f64>,
    eights: Vec<f64>,
    failed: usize,
}

impl Measured {
    async fn new(subject: &Subject) -> Result<Self, Error> {
        let mut writer = Writer::new(subject, &subject.main, 1_000).await?;
        let tags = (0..20).map(|number| -> Result<(TagKey, Option<TagValue>), Error> {
            Ok((format!("key {number}").parse()?, Some(format!("value {}", number % 4).parse()?)))
        });
        let tags = Tags::new(tags.collect::<Result<Vec<_>, _>>()?)?;
        let mut tagged = Vec::new();
        for _ in 0..BATCH {
            tagged.push(writer.create_with(Some(tags.clone())).await?.0);
        }
        Ok(Self {
            size: subject.size,
            bare: Bare::new(subject).await?,
            tagged,
            creates: Vec::new(),
            inserts: Vec::new(),
            renames: Vec::new(),
            ones: Vec::new(),
            eights: Vec::new(),
            failed: 0,
        })
    }

    async fn round(&mut self, subject: &Subject, round: u64, counts: bool) -> Result<(), Error> {
        let mut writer = Writer::new(subject, &subject.main, 2_000 + round).await?;
        let (mut creates, mut inserts, mut renames) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for _ in 0..BATCH {
            creates += writer.create().await?.1;
        }
        for _ in 0..BATCH {
            let body = serde_json::to_string(writer.decided(None)?.draft.service())?;
            inserts += self.bare.insert(body).await?;
        }
        for id in &self.tagged {
            renames += writer.rename(*id).await?;
        }
        let (one, _) = together(subject, 1, round).await?;
        let (eight, failed) = together(subject, WRITERS, round).await?;
        if counts {
            let each = |batch: Duration| batch.as_secs_f64() / BATCH as f64;
            self.creates.push(each(creates));
            self.inserts.push(each(inserts));
            self.renames.push(each(renames));
            self.ones.push(one);
            self.eights.push(eight);
        }
        self.failed += failed;
        Ok(())
    }

    fn medians(self) -> Writes {
        let middle = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            median(&times)
        };
        Writes {
            size: self.size,
            create: middle(self.creates),
            bare: Some(middle(self.inserts)).filter(|_| !matches!(self.bare, Bare::Nowhere)),
            rename: middle(self.renames),
            one: middle(self.ones),
            eight: middle(self.eights),
            failed: self.failed,
        }
    }
}

/// So many writers at once, each to a small organization of its own: commits per second, and how many failed.
async fn together(subject: &Subject, writers: usize, round: u64) -> Result<(f64, usize), Error> {
    let small = subject.data.organizations().iter().filter(|other| other.id() != subject.main.id());
    let mut prepared = Vec::new();
    for organization in small.filter(|organization| organization.services() >= 100).take(writers) {
        let mut writer = Writer::new(subject, organization, 3_000 + round).await?;
        prepared.push((0..BATCH).map(|_| writer.decided(None)).collect::<Result<Vec<_>, _>>()?);
    }
    let begin = Instant::now();
    let tasks: Vec<_> = prepared
        .into_iter()
        .map(|commits| {
            let repository = subject.repository.clone();
            tokio::spawn(async move {
                let mut failed = 0;
                for commit in commits {
                    if let Err(error) = committed(&*repository, commit).await {
                        eprintln!("a commit failed: {error}");
                        failed += 1;
                    }
                }
                failed
            })
        })
        .collect();
    let mut failed = 0;
    for task in tasks {
        failed += task.await?;
    }
    Ok(((writers * BATCH) as f64 / begin.elapsed().as_secs_f64(), failed))
}

/// A table of its own in the store's database, written to as durably as the store writes.
enum Bare {
    Nowhere,
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Bare {
    async fn new(subject: &Subject) -> Result<Self, Error> {
        Ok(match &subject.place {
            Place::Nowhere => Self::Nowhere,
            Place::File(file) => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("cache_size", "-16384")
                    .pragma("wal_autocheckpoint", "4000");
                let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
                let pool = pool.connect_with(options).await?;
                let table = "CREATE TABLE bare (number INTEGER PRIMARY KEY, body TEXT NOT NULL)";
                sqlx::query(table).execute(&pool).await?;
                Self::Sqlite(pool)
            }
            Place::Url(url) => {
                let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
                let pool = pool.connect(url).await?;
                let table = "CREATE TABLE bare (number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
                             body TEXT NOT NULL)";
                sqlx::query(table).execute(&pool).await?;
                Self::Postgres(pool)
            }
        })
    }

    /// Inserts one row, and says how long that took.
    async fn insert(&self, body: String) -> Result<Duration, Error> {
        const INSERT: &str = "INSERT INTO bare (body) VALUES ($1)";
        let begin = Instant::now();
        match self {
            Self::Nowhere => {}
            Self::Sqlite(pool) => {
                sqlx::query(INSERT).bind(body).execute(pool).await?;
            }
            Self::Postgres(pool) => {
                sqlx::query(INSERT).bind(body).execute(pool).await?;
            }
        }
        Ok(begin.elapsed())
    }
}
