//! Rate limits: at most so many accepted requests in any 60 seconds, for each key.
//!
//! The window slides: the times of the accepted requests are kept, at most as many as the limit, so the promise holds for
//! every 60 seconds and not only for those that begin with a minute.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use service_core::{ApiKeyId, OrganizationId, Principal, Timestamp, UserId};

const SECOND: i64 = 1_000_000;
const WINDOW: i64 = 60 * SECOND;

/// What is limited, each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    List,
    Create,
    Update,
    Upsert,
    Delete,
    SignIn,
}

impl Endpoint {
    /// How many requests are accepted in any 60 seconds.
    pub(crate) const fn limit(self) -> usize {
        match self {
            Self::List => 50,
            Self::Create | Self::Update => 20,
            Self::Upsert | Self::Delete => 30,
            Self::SignIn => 5,
        }
    }

    /// Whether it may change a service.
    pub(crate) const fn is_write(self) -> bool {
        match self {
            Self::Create | Self::Update | Self::Upsert | Self::Delete => true,
            Self::List | Self::SignIn => false,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::SignIn => "sign_in",
        }
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Principal(Principal),
    /// A sign-in: the user is not yet known by a token.
    Key(ApiKeyId, UserId),
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The storage cluster; `None` for the default one.
    pub(crate) cluster: Option<String>,
    pub(crate) organization: OrganizationId,
    pub(crate) subject: Subject,
    pub(crate) endpoint: Endpoint,
}

/// How a limit stands for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) limit: usize,
    /// How many more requests would be accepted now.
    pub(crate) remaining: usize,
    /// The Unix time, in seconds and rounded up, when the oldest counted request leaves the window; now, if none is counted.
    pub(crate) reset: i64,
}

/// Too many requests: how many seconds until the next one is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limited {
    pub(crate) retry_after: u64,
}

/// Counts requests.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    windows: HashMap<Key, Window>,
    swept_at: i64,
}

/// When requests were accepted, in microseconds: the earliest first, none that has left the window when it was last looked at.
#[derive(Debug, Default)]
struct Window(VecDeque<i64>);

impl Window {
    fn slide(&mut self, now: i64) {
        // After a clock was set back, what it counted then is taken to be of now: never too few, and gone in a minute.
        self.0.iter_mut().for_each(|time| *time = (*time).min(now));
        while self.0.front().is_some_and(|&oldest| has_left(oldest, now)) {
            self.0.pop_front();
        }
    }
}

fn has_left(time: i64, now: i64) -> bool {
    time.saturating_add(WINDOW) <= now
}

fn seconds_up(microseconds: i64) -> i64 {
    microseconds.div_euclid(SECOND) + i64::from(microseconds.rem_euclid(SECOND) > 0)
}

impl Quota {
    fn of(limit: usize, times: impl Iterator<Item = i64>, now: i64) -> Self {
        let (mut oldest, mut count) = (None, 0);
        for time in times.map(|time| time.min(now)).filter(|&time| !has_left(time, now)) {
            oldest = oldest.or(Some(time));
            count += 1;
        }
        let reset = seconds_up(oldest.map_or(now, |oldest| oldest.saturating_add(WINDOW)));
        Self { limit, remaining: limit.saturating_sub(count), reset }
    }

    /// How a limit stands for someone who has made no request.
    pub(crate) fn untouched(endpoint: Endpoint, now: Timestamp) -> Self {
        Self::of(endpoint.limit(), std::iter::empty(), now.as_microseconds())
    }
}

impl RateLimiter {
    /// Counts a request of a key unless it is one too many, and tells how the limit stands then.
    ///
    /// The clock is read under the lock, so that the times of one key follow each other as its requests do.
    pub(crate) fn count(&self, key: Key, clock: impl FnOnce() -> Timestamp) -> (Quota, Result<(), Limited>) {
        let limit = key.endpoint.limit();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock().as_microseconds();
        counted.sweep(now);
        let window = counted.windows.entry(key).or_default();
        window.slide(now);
        let outcome = match window.0.front() {
            Some(&oldest) if window.0.len() >= limit => {
                let wait = seconds_up(oldest.saturating_add(WINDOW) - now);
                Err(Limited { retry_after: u64::try_from(wait).unwrap_or(1).max(1) })
            }
            _ => {
                window.0.push_back(now);
                Ok(())
            }
        };
        (Quota::of(limit, window.0.iter().copied(), now), outcome)
    }

    /// How the limit stands for a key, without counting anything.
    pub(crate) fn look(&self, key: &Key, now: Timestamp) -> Quota {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let times = counted.windows.get(key).into_iter().flat_map(|window| window.0.iter().copied());
        Quota::of(key.endpoint.limit(), times, now.as_microseconds())
    }
}

impl Counted {
    /// Forgets the keys whose windows are empty, about once in the length of a window, so that memory is bounded by the keys of
    /// the last two.
    fn sweep(&mut self, now: i64) {
        if now.saturating_sub(self.swept_at).abs() < WINDOW {
            return;
        }
        self.swept_at = now;
        self.windows.retain(|_, window| {
            window.slide(now);
            !window.0.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
