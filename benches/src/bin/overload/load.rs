//! Those who ask.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::RETRY_AFTER;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use service_registry_benches::{Error, Numbers, catalog, organization};
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::server::Server;

/// How many connections there are at most: more than the server works on and lets wait, and fewer than it accepts.
const MOST_CONNECTIONS: usize = 600;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Pages of twenty, each from some place on.
    List,
    Create,
}

impl fmt::Display for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::List => "pages",
            Self::Create => "creates",
        })
    }
}

/// A request, answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// When it was due, in seconds since the load began.
    pub(crate) at: f64,
    /// How long after that it was answered, in milliseconds.
    pub(crate) milliseconds: f64,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    /// 503 with `Retry-After`.
    Refused,
    /// Anything else, which should not be.
    Failed,
}

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) answered: Vec<Answered>,
    pub(crate) seconds: f64,
    /// By how many milliseconds a request was sent too late, at worst: whoever asks could not keep up either.
    pub(crate) lag: f64,
}

impl Observed {
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.answered.iter().filter(|answered| answered.outcome == outcome).count()
    }

    /// How many requests of an outcome there were in a second.
    pub(crate) fn per_second(&self, outcome: Outcome) -> f64 {
        as_number(self.count(outcome)) / self.seconds
    }

    pub(crate) fn accepted_per_second(&self) -> f64 {
        self.per_second(Outcome::Accepted)
    }

    /// How long accepted requests took, the quickest first.
    pub(crate) fn latencies(&self) -> Vec<f64> {
        self.latencies_of(Outcome::Accepted)
    }

    pub(crate) fn latencies_of(&self, outcome: Outcome) -> Vec<f64> {
        let answered = self.answered.iter().filter(|answered| answered.outcome == outcome);
        let mut latencies: Vec<f64> = answered.map(|answered| answered.milliseconds).collect();
        latencies.sort_by(f64::total_cmp);
        latencies
    }

    pub(crate) fn median(sorted: &[f64]) -> f64 {
        Self::quantile(sorted, 50)
    }

    /// The value that so many in a hundred do not exceed; 0 where there is none.
    pub(crate) fn quantile(sorted: &[f64], percent: usize) -> f64 {
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
pub(crate) const fn as_number(count: usize) -> f64 {
    count as f64
}

type Connection = SendRequest<Full<Bytes>>;

/// Requests, and connections to send them on, which are kept.
pub(crate) struct Load {
    asking: Arc<Asking>,
    numbers: Numbers,
}

struct Asking {
    work: Work,
    address: SocketAddr,
    authorization: String,
    services: u64,
    body: Bytes,
    idle: Mutex<Vec<Connection>>,
    answered: Mutex<Vec<Answered>>,
    /// What went wrong first.
    failure: Mutex<Option<String>>,
}

impl Load {
    pub(crate) fn new(work: Work, server: &Server, services: u64) -> Result<Self, Error> {
        let catalog = catalog(&organization()?)?;
        let body = json!({
            "agent_id": catalog.agents.keys().next(),
            "service_hierarchical_state_machine_id": catalog.state_machines.keys().next(),
            "name": "Coach", "description": "Asks, listens, and sums up", "is_active": false,
            "tags": {"team": "north", "stage": "trial"},
        });
        let asking = Asking {
            work,
            address: server.address,
            authorization: format!("Bearer {}", server.token),
            services,
            body: Bytes::from(body.to_string()),
            idle: Mutex::default(),
            answered: Mutex::default(),
            failure: Mutex::default(),
        };
        Ok(Self { asking: Arc::new(asking), numbers: Numbers::new(7) })
    }

    /// So many who ask again as soon as they are answered.
    pub(crate) async fn closed(&mut self, askers: usize, lasts: Duration) -> Result<Observed, Error> {
        let begin = Instant::now();
        let tasks: Vec<_> = (0..askers)
            .map(|_| {
                let (asking, mut numbers) = (Arc::clone(&self.asking), Numbers::new(self.numbers.draw()));
                tokio::spawn(async move {
                    while begin.elapsed() < lasts {
                        asking.ask(numbers.draw(), begin, Instant::now()).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        let observed = self.asking.observed(begin, 0.0);
        if observed.count(Outcome::Accepted) > 0 {
            return Ok(observed);
        }
        let failure = self.asking.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(format!("nothing is accepted: {}", failure.unwrap_or_default()).into())
    }

    /// Requests at a rate, at random moments, whatever becomes of those before.
    pub(crate) async fn open(&mut self, rate: f64, lasts: Duration) -> Result<Observed, Error> {
        let begin = Instant::now();
        let mut due = begin;
        let (mut lag, mut tasks) = (Duration::ZERO, Vec::new());
        loop {
            due += self.pause(rate);
            if due - begin > lasts {
                break;
            }
            // Timers are too coarse for this; there is a processor to wait on.
            // Each request that is not answered yet holds `asking`, and a connection.
            while Instant::now() < due || Arc::strong_count(&self.asking) > MOST_CONNECTIONS {
                yield_now().await;
            }
            lag = lag.max(due.elapsed());
            let (asking, number, due) = (Arc::clone(&self.asking), self.numbers.draw(), due);
            tasks.push(tokio::spawn(async move { asking.ask(number, begin, due).await }));
        }
        for task in tasks {
            task.await?;
        }
        Ok(self.asking.observed(begin, lag.as_secs_f64() * 1e3))
    }

    /// How long until the next request: those of many who do not know of each other come like this.
    fn pause(&mut self, rate: f64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "any number between 0 and 1 will do")]
        let number = (self.numbers.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-(1.0 - number).ln() / rate)
    }
}

impl Asking {
    /// Asks once, and notes what came of it.
    async fn ask(&self, number: u64, begin: Instant, due: Instant) {
        let outcome = self.answer(number).await.unwrap_or_else(|error| {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| error.to_string());
            Outcome::Failed
        });
        let answered = Answered {
            at: (due - begin).as_secs_f64(),
            milliseconds: due.elapsed().as_secs_f64() * 1e3,
            outcome,
        };
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).push(answered);
    }

    async fn answer(&self, number: u64) -> Result<Outcome, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = connection.send_request(self.request(number)?).await?;
        let outcome = match answer.status() {
            status if status.is_success() => Outcome::Accepted,
            StatusCode::SERVICE_UNAVAILABLE if answer.headers().contains_key(RETRY_AFTER) => Outcome::Refused,
            status => return Err(format!("an answer {status}").into()),
        };
        answer.into_body().collect().await?;
        connection.ready().await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(outcome)
    }

    fn request(&self, number: u64) -> Result<Request<Full<Bytes>>, Error> {
        let organization = organization()?;
        let request =
            Request::builder().header("host", "localhost").header("authorization", &self.authorization);
        Ok(match self.work {
            Work::List => {
                // Each service was created by the revision of its number.
                let token = number % self.services + 1;
                let query = format!("sort_by=%2Bname&limit=20&continuation_token={token}");
                request.uri(format!("/v1/{organization}/service/?{query}")).body(Full::default())?
            }
            Work::Create => request
                .method(Method::POST)
                .uri(format!("/v1/{organization}/service/"))
                .header("content-type", "application/json")
                .body(Full::new(self.body.clone()))?,
        })
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn observed(&self, begin: Instant, lag: f64) -> Observed {
        let answered = std::mem::take(&mut *self.answered.lock().unwrap_or_else(PoisonError::into_inner));
        Observed { answered, seconds: begin.elapsed().as_secs_f64(), lag }
    }
}
